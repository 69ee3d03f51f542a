//! Drills, as the log tells them: each from its beginning to its end, with what happened in between.
//!
//! The rule it keeps: it reads as many leaves as a search may and for as long, and says where it stopped. What was measured to the
//! millisecond stands in the report that `assent drill run` wrote; the log says what was decided and signed.

use assent_proto::entry::{DrillStage, Entry, Kind};

use super::search::{Found, Hit, Query, hit_of, search};
use crate::clock::Stopwatch;
use crate::limits::{CONSOLE_SEARCH_TIME, MAX_CONSOLE_HITS, MAX_CONSOLE_SEARCHED};
use crate::log::reader::Reader;
use crate::log::store::StoreError;

/// Leaves that are read at once.
const STRIDE: u64 = 512;

/// One drill.
#[derive(Clone, Debug)]
pub struct Drill {
    /// What was rehearsed.
    pub name: String,
    /// The entry that says that it began.
    pub begun: Hit,
    /// The one that says that it ended; none: it has not, or not within what was read.
    pub ended: Option<Hit>,
    /// What the appliance and its operators did in between, in order; the first of it.
    pub events: Vec<Hit>,
    /// How much more of it there was.
    pub more: u64,
    /// When an intent was decided, and whether it was allowed.
    pub decisions: Vec<(u64, bool)>,
    /// When the token boundary was closed: from, and until where it opened again.
    pub closed: Vec<(u64, Option<u64>)>,
    /// When the last entry that was read was made.
    pub until_ms: u64,
    /// Whether all of it was read.
    pub whole: bool,
}

/// The marks of drills, the newest first.
///
/// # Errors
/// What the store says.
pub fn marks(reader: &Reader) -> Result<Found, StoreError> {
    search(reader, &Query { kind: "drill".to_owned(), ..Query::default() })
}

/// The drill that began at this leaf; none where none did.
///
/// # Errors
/// What the store says.
pub fn drill(reader: &Reader, index: u64) -> Result<Option<Drill>, StoreError> {
    let (watch, size) = (Stopwatch::start(), reader.size()?.0);
    let Some(mut drill) = begun(reader, index, size)? else { return Ok(None) };
    let last = size.min(index.saturating_add(MAX_CONSOLE_SEARCHED));
    let mut next = index + 1;
    while next < last && drill.ended.is_none() && watch.left_of(CONSOLE_SEARCH_TIME).is_some() {
        let end = last.min(next + STRIDE);
        for (at, leaf) in (next..).zip(reader.leaves(next..end)?.iter()) {
            if drill.ended.is_none() {
                drill.take(at, leaf);
            }
        }
        next = end;
    }
    drill.whole = drill.ended.is_some() || next >= size;
    Ok(Some(drill))
}

fn begun(reader: &Reader, index: u64, size: u64) -> Result<Option<Drill>, StoreError> {
    if index >= size {
        return Ok(None);
    }
    let leaves = reader.leaves(index..index + 1)?;
    let begun = leaves.get(0).and_then(|leaf| {
        let Ok(Entry::Drill(drill)) = Entry::parse(leaf) else { return None };
        let begun = hit_of(index, leaf)?;
        (drill.stage == DrillStage::Begun).then(|| (drill.name.to_owned(), begun))
    });
    Ok(begun.map(|(name, begun)| Drill {
        name,
        until_ms: begun.time_ms,
        begun,
        ended: None,
        events: Vec::new(),
        more: 0,
        decisions: Vec::new(),
        closed: Vec::new(),
        whole: false,
    }))
}

impl Drill {
    fn take(&mut self, index: u64, leaf: &[u8]) {
        let Ok(entry) = Entry::parse(leaf) else { return };
        let (time_ms, kind) = (entry.time().0, entry.kind());
        self.until_ms = self.until_ms.max(time_ms);
        if [Kind::Allow, Kind::Deny, Kind::Hold].contains(&kind) {
            return self.decisions.push((time_ms, kind == Kind::Allow));
        }
        if kind == Kind::Status {
            return;
        }
        if let Entry::Drill(mark) = &entry
            && mark.name == self.name
            && mark.stage == DrillStage::Ended
        {
            self.ended = hit_of(index, leaf);
            return;
        }
        if kind == Kind::Trip && self.closed.last().is_none_or(|(_, until)| until.is_some()) {
            self.closed.push((time_ms, None));
        }
        if let (Kind::Rearm, Some((_, until @ None))) = (kind, self.closed.last_mut()) {
            *until = Some(time_ms);
        }
        self.list(index, leaf);
    }

    fn list(&mut self, index: u64, leaf: &[u8]) {
        match hit_of(index, leaf) {
            Some(hit) if self.events.len() < MAX_CONSOLE_HITS => self.events.push(hit),
            Some(_) | None => self.more += 1,
        }
    }
}
