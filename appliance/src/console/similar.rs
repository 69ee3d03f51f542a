//! What an agent asked before that is like what it asks now, and what differs.
//!
//! Whoever answers a hold wants to know whether this is what they have seen a hundred times. Alike: the same principal and action.
//! It is looked for a bounded way back, and what is not found is not claimed.

use std::sync::Arc;

use assent_proto::entry::{Deny, Entry};
use assent_proto::number::LeafIndex;
use assent_proto::wire::Request;
use serde_json::Value;

use super::Console;
use crate::limits::MAX_CONSOLE_SIMILAR;
use crate::log::reader::Reader;
use crate::shown;

/// One that was asked before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Similar {
    /// Where it is.
    pub(super) index: u64,
    /// When it was decided, in milliseconds since 1970.
    pub(super) time_ms: u64,
    /// How: `allow`, `deny` or `hold`.
    pub(super) outcome: &'static str,
    /// What differs.
    pub(super) changes: Vec<Change>,
}

/// A value that is another.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Where.
    pub(super) path: String,
    /// What it was.
    pub(super) then: Told,
    /// What it is.
    pub(super) now: Told,
}

/// A value of an agent's.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    /// As JSON, with what does not print escaped.
    pub(super) text: String,
    /// Whether that is not what was written.
    pub(super) hides: bool,
}

/// Leaves that are read at once.
const STRIDE: u64 = 512;

impl Console {
    /// The last one before this leaf, where one is found. Reads on a thread that may wait for the disk.
    pub(super) async fn similar(&self, leaf: u64, principal: &str, intent: &Value) -> Option<Similar> {
        let (desk, principal, intent) = (Arc::clone(&self.desk), principal.to_owned(), intent.clone());
        let reading = move || before(desk.status.sealer.reader(), leaf, &principal, &intent);
        tokio::task::spawn_blocking(reading).await.ok().flatten()
    }
}

fn before(reader: &Reader, leaf: u64, principal: &str, intent: &Value) -> Option<Similar> {
    let action = intent.get("action").and_then(Value::as_str)?;
    let mut end = leaf;
    let first = leaf.saturating_sub(MAX_CONSOLE_SIMILAR);
    while end > first {
        let begin = end.saturating_sub(STRIDE).max(first);
        let leaves = reader.leaves(begin..end).ok()?;
        for index in (begin..end).rev() {
            let position = usize::try_from(index.saturating_sub(begin)).ok()?;
            let Some(Ok(entry)) = leaves.get(position).map(Entry::parse) else { continue };
            let Some((outcome, who, what)) = of(&entry) else { continue };
            if who == principal && what == action {
                let known = asked(reader, index);
                let changes = known.map(|known| differences(&known, intent)).unwrap_or_default();
                return Some(Similar { index, time_ms: entry.time().0, outcome, changes });
            }
        }
        end = begin;
    }
    None
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are not about an intent")]
fn of<'e>(entry: &Entry<'e>) -> Option<(&'static str, &'e str, String)> {
    let denied = |outcome, deny: &Deny<'e>| Some((outcome, deny.principal, deny.action.to_string()));
    match entry {
        Entry::Allow(allow) => Some(("allow", allow.principal, allow.action.to_string())),
        Entry::Hold(hold) => denied("hold", &hold.denial),
        Entry::Deny(deny) => denied("deny", deny),
        _ => None,
    }
}

/// What was asked at this leaf, where it was not erased.
fn asked(reader: &Reader, index: u64) -> Option<Value> {
    let (first, frame) = reader.request_around(LeafIndex(index)).ok()??;
    let request = Request::parse(&frame).ok()?;
    let (_, (intent, _)) = (first.0..).zip(request.intents()).find(|(at, _)| *at == index)?;
    shown::intent(&intent).ok()
}

/// Every value that is another, is new or is gone, by its path.
fn differences(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare("", Some(before), Some(after), &mut changes);
    changes
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) {
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&path, old.get(key), new.get(key), changes);
        }
    } else if before != after {
        let told = |value: Option<&Value>| Told {
            text: value.map_or_else(|| "-".to_owned(), shown::json),
            hides: value.is_some_and(|value| shown::hides_in(path, value)),
        };
        changes.push(Change { path: path.to_owned(), then: told(before), now: told(after) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_their_paths() {
        let before = serde_json::json!({
            "action": "a", "context": {"amount": 1, "gone": true}, "resource": "A::\"1\"", "uses": 1,
        });
        let hidden = assent_proto::intent::Uid { type_name: "A", id: "\u{202e}1" }.to_string();
        let after = serde_json::json!({
            "action": "a", "context": {"amount": 2, "new": "x\u{202e}"}, "resource": hidden, "uses": 1,
        });
        let told = differences(&before, &after);
        let expected = [
            ("context.amount", "1", "2", false),
            ("context.gone", "true", "-", false),
            ("context.new", "-", "\"x\\u202e\"", true),
            ("resource", "\"A::\\\"1\\\"\"", "\"A::\\\"\\\\u{202e}1\\\"\"", true),
        ];
        assert!(told.iter().all(|change| !change.then.hides), "{told:?}");
        let told: Vec<_> = told
            .iter()
            .map(|Change { path, then, now }| (&**path, &*then.text, &*now.text, now.hides))
            .collect();
        assert_eq!(told, expected);
        assert!(differences(&after, &after).is_empty());
    }
}
