//! The walk over a log for the verbs that print entries: in order, each entry that is meant, with what lies beside it.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::Context as _;
use assent_proto::entry::Entry;
use assent_proto::limits::MAX_BATCH_INTENTS;
use assent_proto::wire::Request;

use super::decision::Decision;
use super::filter::Choice;
use super::unreadable;
use crate::cli::progress::Progress;
use crate::log::reader::{Reader, Stretch};
use crate::shown::counted;

/// An entry that is meant.
#[derive(Debug)]
pub(super) struct Selected<'e> {
    pub(super) index: u64,
    pub(super) leaf: &'e [u8],
    pub(super) entry: Entry<'e>,
    /// What the agent asked, where it was wanted.
    pub(super) body: Body,
}

/// What lies beside an entry about an intent.
#[derive(Debug)]
pub(super) enum Body {
    /// Nobody wanted it, or the entry is not about an intent.
    Unwanted,
    /// It was erased.
    Erased,
    /// The intent, as agents write it.
    Intent(serde_json::Value),
}

/// Gives every entry that is meant to `take`, in order; how many they were.
pub(super) fn each(
    store: &Reader,
    choice: &mut Choice<'_>,
    with_intents: bool,
    progress: &mut Progress,
    mut take: impl FnMut(&Selected<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let (mut count, mut archived) = (0, 0);
    let span = choice.span();
    for stretch in store.stretches(span.first..span.end).map_err(|error| unreadable(&error))? {
        let (first, leaves) = match stretch.map_err(|error| unreadable(&error))? {
            Stretch::Here { first, leaves } => (first, leaves),
            Stretch::Archived(range) => {
                archived += range.end - range.start;
                continue;
            }
        };
        let (end, mut bodies) = (first + leaves.len() as u64, None);
        for (index, leaf) in (first..).zip(leaves.iter()) {
            let entry = Entry::parse(leaf).with_context(|| format!("leaf {index}"))?;
            if !choice.takes(index, &entry) {
                continue;
            }
            let body = if with_intents && Decision::of(&entry).is_some() {
                let bodies = match &mut bodies {
                    Some(bodies) => bodies,
                    none => none.insert(bodies_of(store, first..end)?),
                };
                bodies.remove(&index).map_or(Body::Erased, Body::Intent)
            } else {
                Body::Unwanted
            };
            take(&Selected { index, leaf, entry, body })?;
            count += 1;
        }
        progress.show(end);
    }
    progress.clear();
    if archived > 0 {
        talk!(
            "{} not looked at; `assent log restore` brings back what is archived, on a copy of the log",
            counted(archived, "entry lies in an archive and was", "entries lie in an archive and were")
        );
    }
    Ok(count)
}

/// The intents of a stretch, by leaf index.
fn bodies_of(store: &Reader, range: Range<u64>) -> anyhow::Result<BTreeMap<u64, serde_json::Value>> {
    let mut bodies = BTreeMap::new();
    // A request may have begun before it.
    let range = range.start.saturating_sub(MAX_BATCH_INTENTS as u64)..range.end;
    for (first, frame) in store.requests_in(range).map_err(|error| unreadable(&error))? {
        let request = Request::parse(&frame).with_context(|| format!("the request of leaf {first}"))?;
        for (index, (intent, _)) in (first.0..).zip(request.intents()) {
            let json =
                crate::shown::intent(&intent).with_context(|| format!("the intent of leaf {index}"))?;
            bodies.insert(index, json);
        }
    }
    Ok(bodies)
}
