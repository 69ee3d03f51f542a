//! Annotations: what the catalog and the policies say beyond Cedar.
//!
//! The rule they keep: a key that is not ours and a value that is not of its type are load errors, so that a slip of
//! the pen never loosens anything silently. In plain Cedar files keys that are not ours are somebody else's and ignored.

use crate::bundle::Rules;
use crate::error::BundleError;
use assent_evaluator::{Priority, Terms};
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest token window where an action does not say.
const DEFAULT_WINDOW: Duration = Duration::from_secs(5 * 60);
/// Uses of a token where an action does not say.
const DEFAULT_USES: u32 = 1;

/// Annotations of one thing, with where they stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Annotations<'a> {
    pub(crate) file: &'a str,
    pub(crate) place: &'a str,
    pub(crate) values: &'a BTreeMap<String, String>,
    pub(crate) rules: Rules,
}

impl<'a> Annotations<'a> {
    fn error(&self, key: &str, problem: impl Into<String>) -> BundleError {
        BundleError::Annotation {
            file: self.file.to_owned(),
            place: self.place.to_owned(),
            key: key.to_owned(),
            problem: problem.into(),
        }
    }

    /// Rejects keys that are not among `ours`. `@doc` is a comment everywhere.
    pub(crate) fn only(&self, ours: &[&str]) -> Result<(), BundleError> {
        let is_ours = |key: &str| key == "doc" || ours.contains(&key);
        match self.values.keys().find(|key| !is_ours(key)) {
            Some(key) if self.rules == Rules::Bundle => {
                Err(self.error(key, format!("not one of @{}", ours.join(", @"))))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.values.get(key).map(String::as_str)
    }

    /// A mark without a value.
    pub(crate) fn mark(&self, key: &str) -> Result<bool, BundleError> {
        match self.text(key) {
            None => Ok(false),
            Some("") => Ok(true),
            Some(value) => Err(self.error(key, format!("takes no value, not `{value}`"))),
        }
    }

    /// A value that `read` understands.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, BundleError> {
        match self.text(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.error(key, format!("`{value}` is not {wanted}"))),
            },
        }
    }

    /// The terms of an action.
    pub(crate) fn terms(&self) -> Result<Terms, BundleError> {
        self.only(&["risk", "window", "uses", "priority", "break_glass", "queue"])?;
        let window = self.read("window", "a duration such as 5m", duration)?.unwrap_or(DEFAULT_WINDOW);
        let uses = |text: &str| text.parse().ok().filter(|uses| *uses > 0);
        Ok(Terms {
            risk: self.read("risk", "a whole number", score)?.unwrap_or(0),
            window_ms: milliseconds(window),
            uses: self.read("uses", "a number of at least 1", uses)?.unwrap_or(DEFAULT_USES),
            priority: self
                .read("priority", "one of low, normal, high, critical", priority)?
                .unwrap_or(Priority::Normal),
            break_glass: self.mark("break_glass")?,
            queue_ms: self.read("queue", "a duration such as 15m", duration)?.map(milliseconds),
        })
    }
}

/// A score: not negative, for a risk model only ever adds.
pub(crate) fn score(text: &str) -> Option<i64> {
    text.parse().ok().filter(|score| *score >= 0)
}

fn priority(text: &str) -> Option<Priority> {
    match text {
        "low" => Some(Priority::Low),
        "normal" => Some(Priority::Normal),
        "high" => Some(Priority::High),
        "critical" => Some(Priority::Critical),
        _ => None,
    }
}

/// A whole number with its unit: `500ms`, `30s`, `5m`, `2h`, `1d`. Zero is none.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(digits)?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let ms = count.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    (ms > 0 && i64::try_from(ms).is_ok()).then_some(Duration::from_millis(ms))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(pairs: &[(&str, &str)], rules: Rules) -> Result<Terms, BundleError> {
        let values = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Annotations { file: "catalog.cedarschema", place: "action `a`", values: &values, rules }.terms()
    }

    #[test]
    fn an_action_without_annotations_has_the_documented_terms() {
        let terms = terms(&[], Rules::Bundle).unwrap();
        let expected = Terms {
            risk: 0,
            window_ms: 300_000,
            uses: 1,
            priority: Priority::Normal,
            break_glass: false,
            queue_ms: None,
        };
        assert_eq!(terms, expected);
    }

    #[test]
    fn ill_typed_and_foreign_annotations_are_rejected() {
        for (key, value) in [
            ("risk", "high"),
            ("risk", "-1"),
            ("window", "5"),
            ("window", "0s"),
            ("uses", "0"),
            ("priority", "urgent"),
            ("break_glass", "yes"),
            ("queue", "m"),
            ("rsik", "40"),
        ] {
            assert!(terms(&[(key, value)], Rules::Bundle).is_err(), "@{key}(\"{value}\")");
        }
        assert!(terms(&[("rsik", "40")], Rules::Plain).is_ok());
    }
}
