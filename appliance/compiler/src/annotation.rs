//! Annotations: what the catalog and the policies say beyond Cedar.
//!
//! The rule they keep: a key that is not ours and a value that is not of its type are load errors, so that a slip of
//! the pen never loosens anything silently. In plain Cedar files keys that are not ours are somebody else's and ignored.

use crate::bundle::Rules;
use crate::error::BundleError;
use crate::place::Place;
use crate::policy::Approval;
use assent_evaluator::{Priority, Terms};
use assent_proto::limits::MAX_WINDOW_S;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest token window where an action does not say.
const DEFAULT_WINDOW: Duration = Duration::from_secs(5 * 60);
/// Uses of a token where an action does not say.
const DEFAULT_USES: u32 = 1;

/// Annotations of one thing, with where they stand.
#[derive(Clone, Copy)]
pub(crate) struct Annotations<'a> {
    /// What is annotated.
    pub(crate) of: &'a str,
    pub(crate) values: &'a BTreeMap<String, String>,
    pub(crate) rules: Rules,
    /// Where the annotation of a key stands.
    pub(crate) at: &'a dyn Fn(&str) -> Place,
}

impl<'a> Annotations<'a> {
    fn error(&self, key: &str, problem: impl Into<String>) -> BundleError {
        BundleError::Annotation {
            file: (self.at)(key).to_string(),
            place: self.of.to_owned(),
            key: key.to_owned(),
            problem: problem.into(),
        }
    }

    /// Rejects keys that are not among `ours`. `@doc` is a comment everywhere.
    pub(crate) fn only(&self, ours: &[&str]) -> Result<(), BundleError> {
        let is_ours = |key: &str| key == "doc" || ours.contains(&key);
        match self.values.keys().find(|key| !is_ours(key)) {
            Some(key) if self.rules == Rules::Bundle => Err(self.error(
                key,
                match ours {
                    _ if key == "approval" => {
                        "stands on forbids only, for it says whose approvals lift one".to_owned()
                    }
                    [] => "no annotation of ours stands here; only @doc may".to_owned(),
                    ours => format!("not one of @{}, @doc", ours.join(", @")),
                },
            )),
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
        let window = self.read("window", "a duration such as 5m, of 1s to 1d", window)?;
        let uses = |text: &str| text.parse::<u16>().ok().filter(|uses| *uses > 0).map(u32::from);
        Ok(Terms {
            risk: self.read("risk", "a whole number", score)?.unwrap_or(0),
            window_ms: milliseconds(window.unwrap_or(DEFAULT_WINDOW)),
            uses: self.read("uses", "a number of 1 to 65535", uses)?.unwrap_or(DEFAULT_USES),
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

/// A token's window: no verifier takes a longer one than the formats allow, and windows are told in seconds.
fn window(text: &str) -> Option<Duration> {
    let allowed = Duration::from_secs(1)..=Duration::from_secs(u64::from(MAX_WINDOW_S));
    duration(text).filter(|window| allowed.contains(window))
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

/// `2 of payments-oncall`
pub(crate) fn approval(text: &str) -> Option<Approval> {
    let (count, group) = text.split_once(" of ")?;
    let count = count.parse().ok().filter(|count| *count > 0)?;
    let is_group = !group.is_empty() && !group.contains(char::is_whitespace);
    is_group.then(|| Approval { count, group: group.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(pairs: &[(&str, &str)], rules: Rules) -> Result<Terms, BundleError> {
        let values = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let at = |_: &str| Place { file: "catalog.cedarschema".to_owned(), line: 3, column: 1 };
        Annotations { of: "action `a`", values: &values, rules, at: &at }.terms()
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
            ("window", "999ms"),
            ("window", "25h"),
            ("uses", "65536"),
            ("uses", "0"),
            ("priority", "urgent"),
            ("break_glass", "yes"),
            ("queue", "m"),
            ("rsik", "40"),
        ] {
            let error = terms(&[(key, value)], Rules::Bundle).expect_err(key).to_string();
            assert!(error.starts_with("catalog.cedarschema:3:1: action `a`: @"), "{error}");
        }
        assert!(terms(&[("rsik", "40")], Rules::Plain).is_ok());
    }
}
