//! Gaps: entries that no checkpoint covered at the time, and the outage entry that must account for them.
//!
//! What is counted here is what stands in the gap. The outage entry in the round that closes it must say the same, or what
//! was denied while nobody signed could be more, or other, than the log admits.

use assent_proto::entry::Outage;
use assent_proto::number::Timestamp;

use super::report::Gap;
use crate::limits::{MAX_GAP_CAUSES, MAX_QUIET_STEP_BACK_MS};

/// The gap that is open, if one is, and the outage entry of the round that is being taken.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    open: Option<Gap>,
    told: Option<(u64, Outage)>,
    /// Where the round began that is being taken.
    round_first: u64,
    /// Time of the last trip in the gap.
    last_trip: Option<Timestamp>,
}

impl Gaps {
    /// A round begins where so many leaves were; unsigned, it opens a gap or prolongs one.
    pub(super) fn begin_round(&mut self, first: u64, leaves: u64, is_signed: bool) {
        (self.round_first, self.told) = (first, None);
        if !is_signed {
            let gap = self.open.get_or_insert_with(|| Gap { from_size: first, ..Gap::default() });
            gap.entries += leaves;
        }
    }

    /// The gap that this entry stands in.
    fn here(&mut self, is_signed: bool) -> Option<&mut Gap> {
        self.open.as_mut().filter(|_| !is_signed)
    }

    pub(super) fn time(&mut self, time: Timestamp, is_signed: bool) {
        if let Some(gap) = self.here(is_signed).filter(|gap| gap.began_ms == 0) {
            gap.began_ms = time.0;
        }
    }

    pub(super) fn decisions(&mut self, allows: u64, denials: u64, holds: u64, is_signed: bool) {
        if let Some(gap) = self.here(is_signed) {
            (gap.allows, gap.denials, gap.holds) =
                (gap.allows + allows, gap.denials + denials, gap.holds + holds);
        }
    }

    pub(super) fn trip(&mut self, cause: &str, time: Timestamp, is_signed: bool) {
        let Some(gap) = self.here(is_signed) else { return };
        gap.trips += 1;
        if gap.causes.len() < MAX_GAP_CAUSES && !gap.causes.iter().any(|known| known == cause) {
            gap.causes.push(cause.to_owned());
        }
        self.last_trip = Some(time);
    }

    /// The appliance started; the entry stands in the round that closes the gap in which it was.
    pub(super) fn start(&mut self) {
        if let Some(gap) = self.open.as_mut() {
            gap.starts += 1;
        }
    }

    /// An outage entry was read. Gives what is wrong with it.
    pub(super) fn outage(&mut self, index: u64, outage: &Outage, is_signed: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        if !is_signed {
            wrong.push("an outage entry in a round that no checkpoint covered".to_owned());
        }
        if self.told.is_some() {
            wrong.push("a second outage entry in one round".to_owned());
        }
        self.told = Some((index, outage.clone()));
        let Some(gap) = &self.open else {
            wrong.push("an outage entry where there is no gap".to_owned());
            return wrong;
        };
        let mut differs = |what: &str, says: u64, is: u64| {
            if says != is {
                wrong.push(format!("the outage entry says {says} for {what}, and it was {is}"));
            }
        };
        differs("what the last checkpoint covered", outage.covered.0, gap.from_size);
        differs("where the log stood", outage.reached.0, self.round_first);
        differs("the denials in the gap", outage.denials, gap.denials);
        differs("the holds in the gap", outage.holds, gap.holds);
        let latest = self.last_trip.unwrap_or(outage.time).plus_ms(MAX_QUIET_STEP_BACK_MS);
        if outage.from > latest {
            wrong.push("the outage entry says that the gap began after what stands in it".to_owned());
        }
        wrong
    }

    /// A checkpoint covers the round that was taken, and a gap before it. Gives that gap, and where it has no account.
    pub(super) fn close(&mut self, covered: u64) -> Option<(Gap, Option<String>)> {
        let gap = self.open.take()?;
        self.last_trip = None;
        match self.told.take() {
            Some((_, outage)) => {
                let (began_ms, until_ms) = (outage.from.0, Some(outage.time.0));
                Some((Gap { began_ms, until_ms, closed: true, covered_by: Some(covered), ..gap }, None))
            }
            None => {
                let (entries, from) = (gap.entries, gap.from_size);
                let why = format!("{entries} unsigned entries from {from} have no outage entry");
                Some((Gap { covered_by: Some(covered), ..gap }, Some(why)))
            }
        }
    }

    /// The gap that is open at the end of the log.
    pub(super) fn end(self) -> Option<Gap> {
        self.open
    }
}
