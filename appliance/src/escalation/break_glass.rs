//! What is done under warrants, as people are told of it: that one lives, each use at once, and a review that is overdue.
//!
//! The rule it keeps: one use, one message, whatever ends in between: what the outbox knows is not told anew. It looks at what is
//! durable and asks nothing of whoever writes it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use assent_escalation::{End, Escalations, Incident, IncidentKey, IncidentView, Kind};
use assent_proto::calendar::Utc;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};

use super::status::is_open;
use crate::break_glass::{BreakGlass, UseLine, WarrantView, due};
use crate::shown::counted;

/// What is known of warrants and their uses, and raised.
#[derive(Debug)]
pub(super) struct Uses {
    origin: String,
    room: Arc<BreakGlass>,
    within: Duration,
    raise: Escalations,
    /// Of warrants: those whose end is still to be told.
    warrants: BTreeSet<IncidentKey>,
    /// Warrants that were told.
    begun: BTreeSet<IncidentKey>,
    /// Of reviews: those whose end is still to be told.
    overdue: BTreeSet<IncidentKey>,
    /// Uses that were told.
    told: BTreeSet<LeafIndex>,
    known: BTreeSet<IncidentKey>,
}

impl Uses {
    /// `known`: what the outbox holds from before.
    pub(super) fn new(
        origin: String,
        room: Arc<BreakGlass>,
        within: Duration,
        raise: Escalations,
        known: &[IncidentView],
    ) -> Self {
        let open = |kind| {
            let of_kind = known.iter().filter(move |incident| is_open(incident) && incident.kind == kind);
            of_kind.map(|incident| incident.key.clone())
        };
        let warrants = open(Kind::WarrantActivated).collect();
        let overdue = open(Kind::ReviewOverdue).collect();
        let all = |kind| {
            let of_kind = known.iter().filter(move |incident| incident.kind == kind);
            of_kind.map(|incident| incident.key.clone()).collect()
        };
        let (begun, known) = (all(Kind::WarrantActivated), all(Kind::WarrantUsed));
        Self { origin, room, within, raise, warrants, begun, overdue, told: BTreeSet::new(), known }
    }

    /// Waits until something has changed.
    pub(super) async fn news(&self) {
        self.room.news().await;
    }

    /// Tells what has changed.
    pub(super) fn look(&mut self, now: Timestamp, epoch: Epoch, is_drill: bool) {
        let standing = self.room.standing(now);
        for warrant in &standing.warrants {
            self.warrant(warrant, epoch, is_drill);
        }
        self.end_warrants(standing.active, now);
        for used in &standing.uses {
            self.used(used, epoch, is_drill);
        }
        self.reviews(&standing.uses, now, epoch, is_drill);
        // What is kept no longer is not told again.
        self.told.retain(|leaf| standing.uses.iter().any(|used| used.leaf == *leaf));
    }

    /// One that is over already is told too: it may have lived for a moment only.
    fn warrant(&mut self, warrant: &WarrantView, epoch: Epoch, is_drill: bool) {
        let Some(leaf) = warrant.leaf else { return };
        let key = IncidentKey::new(&self.origin, Kind::WarrantActivated, &leaf.to_string());
        if self.begun.contains(&key) {
            return;
        }
        let WarrantView { charter, uses, reason, by, .. } = warrant;
        let until = Utc(Timestamp(warrant.not_after_ms));
        let summary = format!(
            "A break-glass warrant under the charter `{charter}` lives at {}, for {} until {until}, signed by {}: {reason}",
            self.origin,
            counted((*uses).into(), "use", "uses"),
            by.join(", "),
        );
        let since = Timestamp(warrant.not_before_ms);
        let incident =
            Incident::new(Kind::WarrantActivated, &self.origin, &leaf.to_string(), &summary, since)
                .caused_by("warrant")
                .in_epoch(epoch)
                .with_detail("ends", "`assent breakglass warrant end` ends it; re-arm does, too")
                .in_drill(is_drill);
        if self.raise.begin(incident) {
            self.begun.insert(key.clone());
            self.warrants.insert(key);
        }
    }

    fn end_warrants(&mut self, active: Option<u64>, now: Timestamp) {
        let key = |leaf: u64| IncidentKey::new(&self.origin, Kind::WarrantActivated, &leaf.to_string());
        let living = active.map(key);
        let (raise, origin) = (&self.raise, &self.origin);
        self.warrants.retain(|key| {
            let summary = format!("The break-glass warrant at {origin} is over.");
            living.as_ref() == Some(key) || !raise.end(End::new(key.clone(), now).because(&summary))
        });
    }

    fn used(&mut self, used: &UseLine, epoch: Epoch, is_drill: bool) {
        if self.told.contains(&used.leaf) {
            return;
        }
        let UseLine { warrant, number, leaf, time, .. } = *used;
        let summary = format!(
            "Use {number} of the break-glass warrant at leaf {warrant} of {} was made, at leaf {leaf}: it is to be reviewed.",
            self.origin
        );
        let incident = Incident::new(Kind::WarrantUsed, &self.origin, &leaf.to_string(), &summary, time)
            .caused_by("warrant")
            .in_epoch(epoch)
            .with_detail("next", "`assent breakglass review close`")
            .in_drill(is_drill);
        if self.known.contains(incident.key()) || self.raise.begin(incident) {
            self.told.insert(leaf);
        }
    }

    fn reviews(&mut self, uses: &[UseLine], now: Timestamp, epoch: Epoch, is_drill: bool) {
        let is_late = |used: &&UseLine| used.review.is_none() && due(used.time, self.within) < now;
        let mut late = BTreeSet::new();
        for used in uses.iter().filter(is_late) {
            let leaf = used.leaf;
            let key = IncidentKey::new(&self.origin, Kind::ReviewOverdue, &leaf.to_string());
            if !self.overdue.contains(&key) {
                let summary = format!(
                    "The use of a break-glass warrant at leaf {leaf} of {} has no review since {}: no other warrant is given under its charter.",
                    self.origin,
                    Utc(used.time)
                );
                let since = due(used.time, self.within);
                let incident =
                    Incident::new(Kind::ReviewOverdue, &self.origin, &leaf.to_string(), &summary, since)
                        .caused_by("review")
                        .in_epoch(epoch)
                        .with_detail("next", "`assent breakglass review close`")
                        .in_drill(is_drill);
                if self.raise.begin(incident) {
                    self.overdue.insert(key.clone());
                }
            }
            late.insert(key);
        }
        let (raise, origin) = (&self.raise, &self.origin);
        self.overdue.retain(|key| {
            let summary = format!("The use of a break-glass warrant at {origin} was reviewed.");
            late.contains(key) || !raise.end(End::new(key.clone(), now).because(&summary))
        });
    }
}
