//! Conformance: why entities do not conform to the catalog, and which line of which file to blame.
//!
//! The rule it keeps: it is asked only after Cedar refused, and it never makes a refusal an acceptance: what it cannot place
//! is told as Cedar told it. It asks Cedar again, entity by entity, to find the one.

use crate::bundle::Document;
use crate::diagnosis::Diagnosis;
use crate::error::BundleError;
use crate::json::{Oddity, elements, find, oddity};
use crate::schema::ResolvedSchema;
use cedar_policy::Entities;
use serde::Deserialize;
use std::collections::HashMap;
use std::ops::Range;

/// What to do about an entity that is refused.
const ADVICE: &str = "correct the entity, or declare in the catalog what it has";
/// What to do about a file that is not one of entities.
const FORMAT: &str =
    "write a list of {\"uid\": {\"type\", \"id\"}, \"attrs\": {..}, \"parents\": [..]} in JSON";
/// Entities that are looked at one by one; in larger snapshots Cedar's own words must do.
const MAX_ASKED: usize = 50_000;

/// The same refusal with its place.
pub(crate) fn blame(error: BundleError, documents: &[Document], schema: &ResolvedSchema) -> BundleError {
    if !matches!(error, BundleError::Entities { .. }) {
        return error;
    }
    let said = error.report();
    let syntax = documents.iter().find_map(syntax);
    let odd = || documents.iter().find_map(odd);
    let one = || documents.iter().find_map(|document| refused(document, schema, &said));
    match syntax.or_else(odd).map(|diagnosis| vec![diagnosis]).or_else(one).or_else(|| twice(documents)) {
        Some(diagnoses) => BundleError::entities(diagnoses),
        None => error,
    }
}

fn syntax(document: &Document) -> Option<Diagnosis> {
    let error = serde_json::from_str::<serde::de::IgnoredAny>(&document.text).err()?;
    let at = document.offset(error.line(), error.column());
    Some(Diagnosis::new(document, at..at, format!("not JSON: {error}"), FORMAT))
}

fn odd(document: &Document) -> Option<Diagnosis> {
    let (range, oddity) = oddity(&document.text)?;
    Some(match oddity {
        Oddity::Twice(key, first) => {
            let message = format!("key `{key}` occurs twice in one object");
            let help = "keep one of the two: which one would hold, nobody could tell";
            Diagnosis::new(document, range, message, help).and(first, "the first")
        }
        Oddity::Fraction(number) => {
            let message = format!("`{number}` is not a whole number of 64 bits");
            let help = "Cedar has no floats: write a whole number, or a decimal as \"1.50\" where the catalog says decimal";
            Diagnosis::new(document, range, message, help)
        }
        Oddity::Null => {
            let help = "leave the attribute out, and declare it as optional";
            Diagnosis::new(document, range, "`null` is no value", help)
        }
    })
}

/// The first entity that Cedar refuses alone.
fn refused(document: &Document, schema: &ResolvedSchema, said: &str) -> Option<Vec<Diagnosis>> {
    let mut places = elements(&document.text);
    if places.len() > MAX_ASKED {
        return None;
    }
    // Whom Cedar named comes first.
    places.sort_by_key(|range| {
        uid(document, range).is_none_or(|uid| !said.contains(&format!("\"{}\"", uid.id)))
    });
    places.into_iter().find_map(|range| {
        let text = format!("[{}]", document.text.get(range.clone()).unwrap_or_default());
        let error = Entities::from_json_str(&text, Some(&schema.schema)).err()?;
        let mut diagnoses = Diagnosis::of(&error, document, range.start, ADVICE);
        // What it names in backticks and holds itself is nearer than its beginning.
        let message = diagnoses.first().map(ToString::to_string).unwrap_or_default();
        let named =
            message.split('`').skip(1).step_by(2).filter_map(|name| find(&document.text, &range, name));
        if let Some(at) = named.max_by_key(|at| at.start) {
            diagnoses = Diagnosis::of(&error, document, at.start, ADVICE);
        }
        Some(diagnoses)
    })
}

/// An entity that two elements describe.
fn twice(documents: &[Document]) -> Option<Vec<Diagnosis>> {
    let mut first: HashMap<(String, String), (&Document, Range<usize>)> = HashMap::new();
    for document in documents {
        for range in elements(&document.text) {
            let Some(uid) = uid(document, &range) else { continue };
            let message = format!("entity {}::\"{}\" occurs twice", uid.type_name, uid.id);
            let here = (document, range.clone());
            if let Some((known, place)) = first.insert((uid.type_name, uid.id), here) {
                let place = known.place(place.start);
                let help = format!("keep one of the two; the first is at {place}");
                return Some(vec![Diagnosis::new(document, range, message, help)]);
            }
        }
    }
    None
}

/// The uid of an element.
#[derive(Debug, Deserialize)]
struct UidJson {
    #[serde(rename = "type")]
    type_name: String,
    id: String,
}

fn uid(document: &Document, range: &Range<usize>) -> Option<UidJson> {
    let element: serde_json::Value = serde_json::from_str(document.text.get(range.clone())?).ok()?;
    let uid = element.get("uid")?;
    let uid = uid.get("__entity").unwrap_or(uid);
    UidJson::deserialize(uid).ok()
}
