//! The bundle: whether the appliance would take what lies at its source, and whether its age can be kept.

use assent_compiler::Bundle;
use assent_proto::hash::Hash;

use super::Subject;
use super::findings::Findings;
use crate::cli::output::chain;
use crate::cli::policy;
use crate::config::{Policy, show_duration};
use crate::policy::{LoadError, NAMESPACE, Offer, Statement};

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    let policy = &subject.config.policy;
    // Whatever the compiler takes, it takes on a stack of its own.
    let checked =
        policy::on_its_stack(|| Ok(policy::check(&policy.bundle, policy.budget, policy.signers.is_some())));
    match checked {
        Err(error) => findings.fail("bundle", error.to_string(), "`assent policy check`"),
        Ok(Err(error)) => {
            let next = next(&error, policy);
            findings.fail("bundle", error.reason(), next);
        }
        Ok(Ok(bundle)) => {
            let (policies, fuel) = (bundle.policies().len(), bundle.worst_case());
            let found = format!("{} policies, {fuel} of {} units of fuel", policies, policy.budget);
            findings.ok("bundle", found);
            examine_signatures(policy, &bundle, findings);
        }
    }
    examine_age(policy, findings);
    if let Some(shadow) = &policy.shadow {
        let checked = policy::on_its_stack(|| Ok(policy::check(shadow, policy.budget, false).map(drop)));
        match checked {
            Ok(Ok(())) => findings.ok("shadow bundle", shadow.display().to_string()),
            Ok(Err(error)) => {
                findings.warn(
                    "shadow bundle",
                    error.reason(),
                    format!("`assent policy check {}`", shadow.display()),
                );
            }
            Err(error) => findings.warn("shadow bundle", error.to_string(), "`assent policy check`"),
        }
    }
}

fn next(error: &LoadError, policy: &Policy) -> String {
    match error {
        LoadError::Budget { worst_case, .. } => {
            format!("raise `policy.budget` to {worst_case}, or make it cheaper: `assent policy check`")
        }
        LoadError::Operators { .. } => {
            "complete `operators.toml` of the bundle, then `assent policy check`".to_owned()
        }
        LoadError::Unversioned => {
            "write `version = N` into `bundle.toml`, and have operators sign that".to_owned()
        }
        LoadError::Signatures { .. } => SIGN.to_owned(),
        LoadError::Bundle(error) => {
            let advice = error.advice().unwrap_or("correct what is drawn");
            format!("{advice}; `assent policy check {}` draws it", policy.bundle.display())
        }
        LoadError::Offer(_)
        | LoadError::PolicyId { .. }
        | LoadError::Principals
        | LoadError::Neither { .. }
        | LoadError::Downgrade { .. }
        | LoadError::Store(_)
        | LoadError::Crashed
        | LoadError::Thread(_) => format!("`assent policy check {}`", policy.bundle.display()),
    }
}

const SIGN: &str = "operators sign what `assent policy statement` prints, into the bundle's `signatures/`";

/// Whether enough of those who must have signed it.
fn examine_signatures(policy: &Policy, bundle: &Bundle, findings: &mut Findings) {
    let quorum = match policy.quorum() {
        Ok(Some(quorum)) => quorum,
        Ok(None) => {
            let found = "bundles need nobody's signature";
            return findings.wanting(
                "bundle signatures",
                found,
                "name operators' SSH keys in `policy.signers`",
            );
        }
        Err(error) => {
            let next = "put the list back, or correct `policy.signers` and `policy.threshold`";
            return findings.fail("bundle signatures", chain(&error), next);
        }
    };
    let offer = match Offer::read(&policy.bundle) {
        Ok(offer) => offer,
        Err(error) => return findings.fail("bundle signatures", chain(&error), "`assent policy check`"),
    };
    let statement =
        Statement { digest: Hash(bundle.digest()), version: offer.manifest.version, replaces: None };
    let signed = quorum.verify(NAMESPACE, statement.to_string().as_bytes(), &offer.signatures);
    findings.of("bundle signatures", signed, |by| format!("signed by {}", by.names().join(", ")), SIGN);
}

/// Whether anything confirms the source often enough.
fn examine_age(policy: &Policy, findings: &mut Findings) {
    let Some(max_age) = policy.max_age else {
        let found = "`policy.max_age` is not set: the bundle decides however old it is";
        return findings.wanting("bundle age", found, "set `policy.max_age`, to a day for example");
    };
    let (shown, poll) = (show_duration(max_age), show_duration(policy.poll));
    if !policy.watch {
        let found = format!("after {shown} nothing is decided, and `policy.watch` is off");
        findings.warn("bundle age", found, "set `policy.watch = true`, or `assent policy load` that often");
    } else if max_age <= policy.poll {
        let found = format!("`policy.max_age` is {shown}, and the source is looked at every {poll}");
        findings.fail("bundle age", found, "raise `policy.max_age` above `policy.poll`");
    } else {
        findings.ok("bundle age", format!("at most {shown}, confirmed every {poll}"));
    }
}
