//! Differences: what changed between two bundles, before anything is decided under the second.
//!
//! The rule it keeps: it compares what people wrote: files and policies by their text, actions by their declaration, entities by
//! their JSON. What the change does to decisions, a replay of the log shows.

use crate::bundle::{Bundle, Document};
use crate::catalog::Action;
use serde::Serialize;
use std::collections::BTreeMap;

/// Names of what is in one bundle only, or in both and not the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// In the second only.
    pub added: Vec<String>,
    /// In the first only.
    pub removed: Vec<String>,
    /// In both, and not the same.
    pub changed: Vec<String>,
}

impl Changes {
    fn between<K: Ord + ToString, V: PartialEq>(before: &BTreeMap<K, V>, after: &BTreeMap<K, V>) -> Self {
        let names = |keys: &mut dyn Iterator<Item = &K>| keys.map(ToString::to_string).collect();
        Self {
            added: names(&mut after.keys().filter(|key| !before.contains_key(key))),
            removed: names(&mut before.keys().filter(|key| !after.contains_key(key))),
            changed: names(
                &mut before
                    .iter()
                    .filter(|(key, value)| after.get(key).is_some_and(|new| new != *value))
                    .map(|(key, _)| key),
            ),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// How an action changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionChange {
    /// The action, as Cedar writes it.
    pub action: String,
    /// What is other, in words: `risk 40 -> 60`.
    pub what: Vec<String>,
}

/// What changed between two bundles.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Files by name.
    pub files: Changes,
    /// Policies by id.
    pub policies: Changes,
    /// Actions that are in one bundle only.
    pub actions: Changes,
    /// Actions that are in both, and changed.
    pub action_changes: Vec<ActionChange>,
    /// Entities that were added, removed and changed.
    pub entities: [usize; 3],
    /// Entities before and after.
    pub entities_total: [usize; 2],
}

impl Difference {
    /// Compares two bundles.
    pub fn between(before: &Bundle, after: &Bundle) -> Self {
        let actions = |bundle: &Bundle| -> BTreeMap<String, Vec<(&'static str, String)>> {
            let contexts = bundle.schema.contexts();
            let described = bundle.catalog().actions().iter().map(|action| {
                (action.uid(), described(action, contexts.get(&action.id).cloned().unwrap_or_default()))
            });
            described.collect()
        };
        let (old, new) = (actions(before), actions(after));
        let changes = Changes::between(&old, &new);
        let change = |action: &String| ActionChange {
            action: action.clone(),
            what: old
                .get(action)
                .into_iter()
                .flatten()
                .zip(new.get(action).into_iter().flatten())
                .filter(|(old, new)| old != new)
                .map(|((what, old), (_, new))| format!("{what} {old} -> {new}"))
                .collect(),
        };
        let (entities_before, entities_after) = (entities(before), entities(after));
        let entities = Changes::between(&entities_before, &entities_after);
        Self {
            files: Changes::between(&files(before), &files(after)),
            policies: Changes::between(&policies(before), &policies(after)),
            action_changes: changes.changed.iter().map(change).collect(),
            actions: Changes { changed: Vec::new(), ..changes },
            entities: [entities.added.len(), entities.removed.len(), entities.changed.len()],
            entities_total: [entities_before.len(), entities_after.len()],
        }
    }
}

fn files(bundle: &Bundle) -> BTreeMap<&str, &str> {
    bundle.sources().documents().map(|Document { name, text }| (name.as_str(), text.as_str())).collect()
}

/// Policies with their text; a link differs from another by what fills its slots, too.
fn policies(bundle: &Bundle) -> BTreeMap<&str, (&str, String)> {
    let filled = |note: &crate::policy::PolicyNote| note.filled.clone();
    bundle.policies().iter().map(|note| (note.id.as_str(), (note.text.as_str(), filled(note)))).collect()
}

/// What can differ of an action, in one order.
fn described(action: &Action, context: String) -> Vec<(&'static str, String)> {
    let terms = &action.terms;
    let seconds = |ms: u64| format!("{}s", ms / 1000);
    vec![
        ("risk", terms.risk.to_string()),
        ("window", seconds(terms.window_ms)),
        ("uses", terms.uses.to_string()),
        ("priority", format!("{:?}", terms.priority).to_lowercase()),
        ("break_glass", terms.break_glass.to_string()),
        ("queue", terms.queue_ms.map_or_else(|| "none".to_owned(), seconds)),
        ("categories", action.categories.join(", ")),
        ("principals", action.principals.join(", ")),
        ("resources", action.resources.join(", ")),
        ("context", context),
    ]
}

/// Entities by their uid as it is written, with their content.
fn entities(bundle: &Bundle) -> BTreeMap<String, serde_json::Value> {
    let documents = bundle.sources().entities.iter();
    let read =
        documents.filter_map(|document| serde_json::from_str::<Vec<serde_json::Value>>(&document.text).ok());
    read.flatten().map(|entity| (uid(&entity), entity)).collect()
}

fn uid(entity: &serde_json::Value) -> String {
    let uid = entity.get("uid").unwrap_or(&serde_json::Value::Null);
    uid.get("__entity").unwrap_or(uid).to_string()
}
