//! Uses, as people see them: in a line for a list, and whole for whoever reviews one.
//!
//! The rule it keeps: a reviewer sees what the log holds, read from there at this moment, and the intent only where it has the digest that the
//! allow names. What cannot be shown is said, and hinders no review: its requests may have been erased, or lie in an archive.

use std::time::Duration;

use assent_proto::entry::{Allow, Entry};
use assent_proto::number::LeafIndex;
use assent_proto::wire::Request;

use super::check::no_use_at;
use super::line::UseLine;
use super::order::{AllowedView, FoundView, ReviewView, UseView};
use super::status::due;
use super::{BreakGlass, Moment};
use crate::limits::MAX_LISTED_BYTES;
use crate::log::reader::Reader;
use crate::shown;

/// A use in a line.
pub(super) fn listed(line: &UseLine, reader: &Reader, within: Duration) -> ReviewView {
    let leaf = leaf_at(reader, line.leaf).unwrap_or_default();
    let (principal, action, resource) = match Entry::parse(&leaf) {
        Ok(Entry::Allow(allow)) => {
            (allow.principal.to_owned(), allow.action.to_string(), allow.resource.to_string())
        }
        // It lies in an archive.
        Ok(_) | Err(_) => (String::new(), String::new(), String::new()),
    };
    ReviewView {
        leaf: line.leaf.0,
        warrant: line.warrant.0,
        number: line.number,
        time_ms: line.time.0,
        principal,
        action,
        resource,
        review: line.review.map(|at| at.0),
        due_ms: due(line.time, within).0,
    }
}

impl BreakGlass {
    /// The use at this leaf with all that the log holds of it.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn whole(
        &self,
        leaf: LeafIndex,
        reader: &Reader,
        within: Duration,
        moment: &Moment,
    ) -> Result<UseView, String> {
        let (line, warrant, charter) = self.use_under(leaf, moment).ok_or_else(|| no_use_at(leaf))?;
        let (allowed, missing) = match allowed(reader, leaf) {
            Ok((allowed, missing)) => (Some(allowed), missing),
            Err(why) => (None, Some(why)),
        };
        let used = listed(&line, reader, within);
        let found = line.review.and_then(|at| found(reader, at));
        Ok(UseView { used, allowed, missing, warrant, charter, found })
    }
}

fn leaf_at(reader: &Reader, index: LeafIndex) -> Result<Vec<u8>, String> {
    let leaves = reader.leaves(index.0..index.0.saturating_add(1)).map_err(|error| error.to_string())?;
    Ok(leaves.get(0).map(<[u8]>::to_vec).unwrap_or_default())
}

/// What was allowed at this leaf, and why something of it is not shown.
fn allowed(reader: &Reader, index: LeafIndex) -> Result<(AllowedView, Option<String>), String> {
    let leaf = leaf_at(reader, index).map_err(|why| format!("the entry cannot be read: {why}"))?;
    let Ok(Entry::Allow(allow)) = Entry::parse(&leaf) else {
        return Err(format!("leaf {index} is no allow"));
    };
    let (intent, missing) = match intent(reader, index, &allow) {
        Ok(intent) => (Some(intent), None),
        Err(why) => (None, Some(why)),
    };
    let view = AllowedView {
        audience: allow.audience.to_owned(),
        digest: allow.intent.to_string(),
        bundle: allow.bundle.to_string(),
        risk: allow.risk,
        policies: allow.policies.named.iter().map(|id| (*id).to_owned()).collect(),
        not_before_ms: allow.not_before.0,
        not_after_ms: allow.not_after.0,
        intent,
    };
    Ok((view, missing))
}

/// The intent that lies beside the allow, as agents write it.
fn intent(reader: &Reader, index: LeafIndex, allow: &Allow<'_>) -> Result<serde_json::Value, String> {
    let unreadable = |what: &dyn std::fmt::Display| format!("the intent cannot be read: {what}");
    let gone = || "no intent of this digest lies beside the entry any more: it was erased".to_owned();
    let request = reader.request_around(index).map_err(|error| unreadable(&error))?;
    let (first, frame) = request.ok_or_else(gone)?;
    let request = Request::parse(&frame).map_err(|error| unreadable(&error))?;
    let position = usize::try_from(index.0 - first.0.min(index.0)).unwrap_or(usize::MAX);
    let asked = request.intents().nth(position).map(|(intent, _)| intent);
    let intent = asked.filter(|intent| intent.act.digest() == allow.intent).ok_or_else(gone)?;
    let json = shown::intent(&intent).map_err(|error| unreadable(&error))?;
    if json.to_string().len() > MAX_LISTED_BYTES {
        return Err("the intent is too long for this answer: `assent log show --intents` on a copy of the log shows it".to_owned());
    }
    Ok(json)
}

/// What its review says.
fn found(reader: &Reader, index: LeafIndex) -> Option<FoundView> {
    let leaf = leaf_at(reader, index).ok()?;
    let Ok(Entry::Review(review)) = Entry::parse(&leaf) else { return None };
    Some(FoundView {
        finding: review.finding.name().to_owned(),
        text: review.text.to_owned(),
        by: review.by.to_owned(),
        time_ms: review.time.0,
    })
}
