//! The outage bound, as people are told of it: while there is still room for what an outage denies, and at the latest when
//! there is none.
//!
//! What is denied is written until `round.unsigned_max` entries wait for a signature, or the disk has no more room than
//! `log.reserve`; of what comes then the log tells the number only. One outage is told once, over restarts too, and it is over
//! when the boundary opens. What is refused without an entry is not decided here, but where entries are written.

use std::sync::Arc;

use assent_escalation::{End, Escalations, Incident, IncidentKey, IncidentView, Kind};
use assent_proto::number::{Epoch, Timestamp};

use super::status::is_open;
use crate::limits::OUTAGE_BOUND_NEAR_PERCENT;
use crate::token::Gauges;

/// What is known of the bound, and raised.
#[derive(Debug)]
pub(super) struct OutageBound {
    origin: String,
    gauges: Arc<Gauges>,
    /// Entries that may stand unsigned.
    unsigned_max: u64,
    raise: Escalations,
    /// What is open of it.
    open: Option<IncidentKey>,
    /// Intents that had been refused without an entry before the outage.
    refused_before: u64,
}

/// An outage, as the watcher sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outage {
    /// When it was looked at.
    pub(super) now: Timestamp,
    pub(super) epoch: Epoch,
    /// Whether people were told that the disk is low: then it is near one bound by its nature.
    pub(super) is_of_the_disk: bool,
    pub(super) is_drill: bool,
}

/// How much of its bounds an outage has used up.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    /// Entries that wait for a signature.
    unsigned: u64,
    /// Intents that were refused without an entry, since the process began.
    refused: u64,
    disk_is_low: bool,
}

/// Which bound is near.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Near {
    /// So many intents are past one already.
    Refused(u64),
    /// So many entries wait for a signature.
    Unsigned(u64),
    Disk,
}

impl OutageBound {
    /// `known`: what the outbox holds from before.
    pub(super) fn new(
        origin: String,
        gauges: Arc<Gauges>,
        unsigned_max: u64,
        raise: Escalations,
        known: &[IncidentView],
    ) -> Self {
        let open = known.iter().find(|incident| is_open(incident) && incident.kind == Kind::OutageBoundNear);
        let open = open.map(|incident| incident.key.clone());
        Self { origin, gauges, unsigned_max, raise, open, refused_before: 0 }
    }

    /// The token boundary is closed, and people know.
    pub(super) fn look(&mut self, outage: Outage) {
        self.judge(self.used(), outage);
    }

    /// The token boundary is open: its outage is over.
    pub(super) fn end(&mut self, at: Timestamp) {
        self.end_with(self.used(), at);
    }

    fn used(&self) -> Used {
        let reading = self.gauges.read();
        Used {
            unsigned: reading.unsigned_entries,
            refused: reading.refused_unlogged,
            disk_is_low: self.gauges.is_disk_low(),
        }
    }

    fn near(&self, used: Used, is_of_the_disk: bool) -> Option<Near> {
        let refused = used.refused.saturating_sub(self.refused_before);
        let mark = u128::from(self.unsigned_max) * u128::from(OUTAGE_BOUND_NEAR_PERCENT);
        if refused > 0 {
            Some(Near::Refused(refused))
        } else if u128::from(used.unsigned) * 100 >= mark {
            Some(Near::Unsigned(used.unsigned))
        } else {
            (used.disk_is_low && !is_of_the_disk).then_some(Near::Disk)
        }
    }

    fn judge(&mut self, used: Used, outage: Outage) {
        let Outage { now, epoch, is_of_the_disk, is_drill } = outage;
        let Some(near) = self.near(used, is_of_the_disk).filter(|_| self.open.is_none()) else { return };
        let (origin, most) = (&self.origin, self.unsigned_max);
        let (cause, summary) = match near {
            Near::Refused(intents) => (
                "refused_unlogged",
                format!(
                    "The log of {origin} has no room for the outage: {intents} intents were refused without an entry, and only their number will be in it. End the outage, or make room on the disk."
                ),
            ),
            Near::Unsigned(entries) => (
                "unsigned_entries",
                format!(
                    "{entries} entries of {origin} wait for a signature, of at most {most} (`round.unsigned_max`): of what comes then the log tells the number only. End the outage before."
                ),
            ),
            Near::Disk => (
                "disk_low",
                format!(
                    "The disk of {origin} runs low while the token boundary is closed (`log.low_water`): below `log.reserve` the log tells only the number of what is refused. Make room, or end the outage before."
                ),
            ),
        };
        let incident = Incident::new(Kind::OutageBoundNear, origin, &epoch.0.to_string(), &summary, now)
            .caused_by(cause)
            .in_epoch(epoch)
            .with_detail("unsigned", &format!("{} of at most {most}", used.unsigned))
            .in_drill(is_drill);
        let key = incident.key().clone();
        if self.raise.begin(incident) {
            self.open = Some(key);
        }
    }

    fn end_with(&mut self, used: Used, at: Timestamp) {
        self.refused_before = used.refused;
        let Some(key) = self.open.take() else { return };
        let summary = format!("The outage of {} is over: what waited for a signature has it.", self.origin);
        if !self.raise.end(End::new(key.clone(), at).because(&summary)) {
            self.open = Some(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escalation::tests::{ORIGIN, Scene};

    const MOST: u64 = 1000;

    /// As a process begins that finds this scene.
    fn bound(scene: &mut Scene) -> OutageBound {
        let known = scene.incidents();
        OutageBound::new(ORIGIN.to_owned(), Arc::default(), MOST, scene.start(), &known)
    }

    fn outage(epoch: u64) -> Outage {
        Outage { now: Timestamp(epoch), epoch: Epoch(epoch), is_of_the_disk: false, is_drill: false }
    }

    fn unsigned(entries: u64) -> Used {
        Used { unsigned: entries, ..Used::default() }
    }

    fn refused(intents: u64) -> Used {
        Used { refused: intents, ..Used::default() }
    }

    #[test]
    fn it_is_near_from_four_fifths_on_or_when_the_disk_runs_low_or_one_is_passed() {
        let bound = bound(&mut Scene::new());
        let low = Used { disk_is_low: true, ..Used::default() };
        for (used, is_of_the_disk, near) in [
            (Used::default(), false, None),
            (unsigned(799), false, None),
            (unsigned(800), false, Some(Near::Unsigned(800))),
            (unsigned(MOST + 7), true, Some(Near::Unsigned(MOST + 7))),
            (low, false, Some(Near::Disk)),
            (low, true, None),
            (Used { unsigned: MOST, ..refused(2) }, false, Some(Near::Refused(2))),
            (refused(2), true, Some(Near::Refused(2))),
        ] {
            assert_eq!(bound.near(used, is_of_the_disk), near, "{used:?}, {is_of_the_disk}");
        }
        let least = OutageBound { unsigned_max: 1, ..bound };
        assert_eq!(least.near(unsigned(0), false), None);
        assert_eq!(least.near(unsigned(1), false), Some(Near::Unsigned(1)));
    }

    #[test]
    fn one_outage_is_told_once_and_its_end_once() {
        let mut scene = Scene::new();
        let mut bound = bound(&mut scene);
        for used in [unsigned(10), unsigned(800), unsigned(900), Used { unsigned: MOST, ..refused(3) }] {
            bound.judge(used, outage(2));
        }
        bound.judge(unsigned(MOST), outage(3));
        bound.end_with(refused(3), Timestamp(9));
        bound.end_with(refused(3), Timestamp(10));
        // What an earlier outage refused says nothing of the next.
        bound.judge(refused(3), outage(4));
        bound.judge(refused(5), outage(4));
        let incidents = scene.incidents();
        let told: Vec<_> = incidents
            .iter()
            .map(|incident| (incident.epoch, incident.cause.as_str(), incident.ended_ms))
            .collect();
        assert_eq!(
            told,
            [
                (Some(Epoch(2)), "unsigned_entries", Some(Timestamp(9))),
                (Some(Epoch(4)), "refused_unlogged", None)
            ]
        );
        assert!(incidents[1].summary.contains(": 2 intents were refused"), "{}", incidents[1].summary);
    }

    #[test]
    fn what_an_earlier_process_told_is_not_told_again_and_ends_with_the_outage() {
        let mut scene = Scene::new();
        bound(&mut scene).judge(unsigned(900), outage(2));
        let mut next = bound(&mut scene);
        next.judge(unsigned(950), outage(3));
        next.end_with(unsigned(0), Timestamp(9));
        let incidents = scene.incidents();
        assert_eq!((incidents.len(), incidents[0].ended_ms), (1, Some(Timestamp(9))), "{incidents:?}");
    }
}
