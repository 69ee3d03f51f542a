//! Validation: all policies of a bundle together against its catalog, by Cedar.
//!
//! The rule it keeps: strict, in bundles at level 1 and without a warning. Each fault is told over the file of its policy,
//! and with what to do where Cedar does not say.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's enums are open; what is not named has Cedar's own help"
)]

use crate::bundle::Rules;
use crate::diagnosis::Diagnosis;
use crate::error::BundleError;
use crate::policy::Origin;
use cedar_policy::{
    PolicyId, PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator,
};
use miette::Diagnostic;
use std::collections::HashMap;

/// Deepest dereference that validation accepts in a bundle.
const LEVEL: u32 = 1;

/// Validates, and returns what does not reject.
pub(crate) fn validate(
    policies: &PolicySet,
    places: &HashMap<String, Origin<'_>>,
    schema: &Schema,
    rules: Rules,
) -> Result<Vec<String>, BundleError> {
    let validator = Validator::new(schema.clone());
    let result = match rules {
        Rules::Bundle => validator.validate_with_level(policies, ValidationMode::Strict, LEVEL),
        Rules::Plain => validator.validate(policies, ValidationMode::Strict),
    };
    let diagnose = |diagnostic: &dyn Diagnostic, id: &PolicyId, advice: &str| {
        let id: &str = id.as_ref();
        let origin = places.get(id);
        origin.map_or(Vec::new(), |origin| Diagnosis::of(diagnostic, origin.document, origin.at, advice))
    };
    let errors = result.validation_errors();
    let errors: Vec<_> = errors.flat_map(|error| diagnose(error, error.policy_id(), mend(error))).collect();
    // Texts that look alike are among the warnings.
    let warnings = || result.validation_warnings();
    let rejected = match rules {
        Rules::Bundle if errors.is_empty() => {
            warnings().flat_map(|warning| diagnose(warning, warning.policy_id(), amend(warning))).collect()
        }
        Rules::Bundle | Rules::Plain => errors,
    };
    if !rejected.is_empty() {
        return Err(BundleError::policies(rejected));
    }
    if !result.validation_passed() {
        // BUG: none is known; an error whose policy is not ours must still reject.
        return Err(BundleError::Policies { file: "policies".to_owned(), drawn: result.to_string() });
    }
    let mut told: Vec<String> = warnings()
        .map(|warning| {
            let id: &str = warning.policy_id().as_ref();
            let place = places.get(id).map(|origin| format!("{}: ", origin.place()));
            format!("{}{warning}", place.unwrap_or_default())
        })
        .collect();
    told.sort();
    told.dedup();
    Ok(told)
}

/// What to do about an error.
const fn mend(error: &ValidationError) -> &'static str {
    match error {
        ValidationError::UnrecognizedEntityType(_) => "declare the type in the catalog, or correct its name",
        ValidationError::UnrecognizedActionId(_) => "declare the action in the catalog, or correct its id",
        ValidationError::UnexpectedType(_) => {
            "give the operator what it takes, or declare another type in the catalog"
        }
        ValidationError::IncompatibleTypes(_) => {
            "compare values of one type, and give both ways of an `if` and all elements of a set one type"
        }
        ValidationError::UnsafeAttributeAccess(_) => {
            "declare the attribute in the catalog, or correct its name"
        }
        ValidationError::UnsafeOptionalAttributeAccess(_) => {
            "ask with `has` first, or declare the attribute as required"
        }
        ValidationError::UnsafeTagAccess(_) => "ask with `hasTag` first",
        ValidationError::NoTagsAllowed(_) => "declare tags for the type in the catalog, or read an attribute",
        ValidationError::UndefinedFunction(_) => {
            "use the functions of Cedar's decimal, ipaddr and datetime extensions"
        }
        ValidationError::WrongNumberArguments(_) | ValidationError::FunctionArgumentValidation(_) => {
            "give the function the arguments that it takes"
        }
        ValidationError::EmptySetForbidden(_) => "compare with `.isEmpty()`: an empty set has no type",
        ValidationError::NonLitExtConstructor(_) => {
            "give the constructor a literal, or declare the attribute with the type itself"
        }
        ValidationError::EntityDerefLevelViolation(_) => {
            "read attributes of principal, resource and entities of the context only: put what lies further into the context"
        }
        ValidationError::InvalidEnumEntity(_) => "name one of the entities that the catalog enumerates",
        _ => "correct the policy here",
    }
}

/// What to do about a warning, which rejects a bundle.
const fn amend(warning: &ValidationWarning) -> &'static str {
    match warning {
        ValidationWarning::ImpossiblePolicy(_) => "no request can satisfy it: correct it, or take it out",
        ValidationWarning::InvalidActionApplication(_) => {
            "no action of the catalog takes such a principal and resource: correct the scope, or take the policy out"
        }
        ValidationWarning::MixedScriptString(_)
        | ValidationWarning::BidiCharsInString(_)
        | ValidationWarning::BidiCharsInIdentifier(_)
        | ValidationWarning::MixedScriptIdentifier(_)
        | ValidationWarning::ConfusableIdentifier(_) => {
            "it reads as something else than it is: write it in one script, without characters that cannot be seen"
        }
        _ => "a warning rejects a bundle: correct the policy here",
    }
}
