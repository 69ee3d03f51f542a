//! What is done under warrants, as people are told of it: that one lives, each use at once, and a review that is overdue.
//!
//! The rule it keeps: one use, one message, whatever ends in between, and whatever the outbox has forgotten since: it knows up to
//! which leaf people were told. What is over when it is told is told as such. It looks at what is durable and asks nothing of
//! whoever writes it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use assent_escalation::{End, Escalations, Incident, IncidentKey, Kind, Outbox, Told};
use assent_proto::calendar::Utc;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};

use super::status::is_open;
use crate::break_glass::{BreakGlass, Standing, UseLine, WarrantView, due};
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
    /// How far warrants were told.
    begun: Option<Told>,
    /// Of reviews: those whose end is still to be told.
    overdue: BTreeSet<IncidentKey>,
    /// How far uses were told.
    told: Option<Told>,
}

/// Whether this was told.
fn is_told(told: Option<Told>, leaf: LeafIndex, since: Timestamp) -> bool {
    told.is_some_and(|told| told.covers(leaf, since))
}

impl Uses {
    /// It goes on where the process before has left off, which the outbox knows.
    pub(super) fn new(
        origin: String,
        room: Arc<BreakGlass>,
        within: Duration,
        raise: Escalations,
        outbox: &Outbox,
    ) -> Self {
        let known = outbox.list().incidents;
        let open = |kind| {
            let of_kind = known.iter().filter(move |incident| is_open(incident) && incident.kind == kind);
            of_kind.map(|incident| incident.key.clone()).collect()
        };
        let (warrants, overdue) = (open(Kind::WarrantActivated), open(Kind::ReviewOverdue));
        let (begun, told) = (outbox.told(Kind::WarrantActivated), outbox.told(Kind::WarrantUsed));
        Self { origin, room, within, raise, warrants, begun, overdue, told }
    }

    /// Waits until something has changed.
    pub(super) async fn news(&self) {
        self.room.news().await;
    }

    /// Tells what has changed.
    pub(super) fn look(&mut self, now: Timestamp, epoch: Epoch, is_drill: bool) {
        let standing = self.room.standing(now);
        self.tell(&standing, now, epoch, is_drill);
    }

    fn tell(&mut self, standing: &Standing, now: Timestamp, epoch: Epoch, is_drill: bool) {
        // In the order of leaves: one that is lost is tried again, and before all that come behind it.
        for warrant in &standing.warrants {
            let lives = warrant.leaf == standing.active;
            if !self.warrant(warrant, lives, epoch, is_drill) {
                break;
            }
        }
        self.end_warrants(standing.active, now);
        for used in &standing.uses {
            if !self.used(used, epoch, is_drill) {
                break;
            }
        }
        self.reviews(&standing.uses, now, epoch, is_drill);
    }

    /// One that is over already is told too: it may have lived for a moment only. False: it was lost.
    fn warrant(&mut self, warrant: &WarrantView, lives: bool, epoch: Epoch, is_drill: bool) -> bool {
        let (Some(leaf), since) = (warrant.leaf.map(LeafIndex), Timestamp(warrant.not_before_ms)) else {
            return true;
        };
        if is_told(self.begun, leaf, since) {
            return true;
        }
        let WarrantView { charter, uses, used, reason, by, .. } = warrant;
        let (origin, until, by) = (&self.origin, Utc(Timestamp(warrant.not_after_ms)), by.join(", "));
        let uses = counted((*uses).into(), "use", "uses");
        let summary = if lives {
            format!(
                "A break-glass warrant under the charter `{charter}` lives at {origin}, for {uses} until {until}, signed by {by}: {reason}"
            )
        } else {
            format!(
                "A break-glass warrant under the charter `{charter}` was given at {origin} and is over: {used} of {uses} were made, signed by {by}: {reason}"
            )
        };
        let ends =
            if lives { "`assent breakglass warrant end` ends it; re-arm does, too" } else { "it is over" };
        let incident = Incident::new(Kind::WarrantActivated, origin, &leaf.to_string(), &summary, since)
            .at_leaf(leaf)
            .caused_by("warrant")
            .in_epoch(epoch)
            .with_detail("ends", ends)
            .in_drill(is_drill);
        let key = incident.key().clone();
        let raised = self.raise.begin(incident);
        if raised {
            self.begun = Some(self.begun.unwrap_or_default().with(leaf, since));
            self.warrants.insert(key);
        }
        raised
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

    /// One that is reviewed already is told too, as that. False: it was lost.
    fn used(&mut self, used: &UseLine, epoch: Epoch, is_drill: bool) -> bool {
        let UseLine { warrant, number, leaf, time, review } = *used;
        if is_told(self.told, leaf, time) {
            return true;
        }
        let (follows, next) = match review {
            None => ("it is to be reviewed".to_owned(), "`assent breakglass review close`".to_owned()),
            Some(at) => {
                (format!("it was reviewed, at leaf {at}"), format!("`assent breakglass review show {leaf}`"))
            }
        };
        let summary = format!(
            "Use {number} of the break-glass warrant at leaf {warrant} of {} was made, at leaf {leaf}: {follows}.",
            self.origin
        );
        let incident = Incident::new(Kind::WarrantUsed, &self.origin, &leaf.to_string(), &summary, time)
            .at_leaf(leaf)
            .caused_by("warrant")
            .in_epoch(epoch)
            .with_detail("next", &next)
            .in_drill(is_drill);
        let raised = self.raise.begin(incident);
        if raised {
            self.told = Some(self.told.unwrap_or_default().with(leaf, time));
        }
        raised
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::escalation::tests::{ORIGIN, Scene};

    /// As a process begins that finds this scene.
    fn uses(scene: &mut Scene) -> Uses {
        let (raise, within) = (scene.start(), Duration::from_secs(1_000));
        Uses::new(ORIGIN.to_owned(), BreakGlass::without_log(), within, raise, scene.outbox())
    }

    fn warrant(leaf: u64, state: &str) -> WarrantView {
        WarrantView {
            leaf: Some(leaf),
            charter: "orders".to_owned(),
            state: state.to_owned(),
            uses: 2,
            used: 1,
            not_before_ms: leaf,
            not_after_ms: 9_000,
            reason: "gone".to_owned(),
            by: vec!["a".to_owned()],
            key: String::new(),
        }
    }

    fn used(leaf: u64, review: Option<u64>) -> UseLine {
        let (leaf, time, review) = (LeafIndex(leaf), Timestamp(leaf), review.map(LeafIndex));
        UseLine { warrant: LeafIndex(9), number: 1, leaf, time, review }
    }

    /// A warrant that is over under one charter, and one that lives under another, each with a use.
    fn standing() -> Standing {
        Standing {
            warrants: vec![warrant(9, "ended"), warrant(30, "active")],
            active: Some(30),
            uses: vec![used(12, Some(20)), used(31, None)],
        }
    }

    fn tell(uses: &mut Uses, standing: &Standing) {
        uses.tell(standing, Timestamp(100), Epoch(1), false);
    }

    #[test]
    fn what_is_over_is_not_told_as_living_and_what_was_reviewed_not_as_to_be_reviewed() {
        let mut scene = Scene::new();
        let mut first = uses(&mut scene);
        tell(&mut first, &standing());
        let told = scene.incidents();
        let [over, lives, reviewed, open] = told.as_slice() else { panic!("{told:?}") };
        assert!(
            over.summary.contains("is over: 1 of 2 uses were made") && over.ended_ms.is_some(),
            "{over:?}"
        );
        assert!(lives.summary.contains("lives at") && lives.ended_ms.is_none(), "{lives:?}");
        assert!(reviewed.summary.ends_with("at leaf 12: it was reviewed, at leaf 20."), "{reviewed:?}");
        assert!(open.summary.ends_with("at leaf 31: it is to be reviewed."), "{open:?}");
    }

    #[test]
    fn what_the_outbox_has_forgotten_is_not_told_again() {
        let mut scene = Scene::new();
        let mut first = uses(&mut scene);
        tell(&mut first, &standing());
        assert_eq!(scene.incidents().len(), 4);
        // All of it is over, delivered and more than is kept.
        let raise = scene.start();
        let key = IncidentKey::new(ORIGIN, Kind::WarrantActivated, "30");
        assert!(raise.end(End::new(key, Timestamp(200))));
        for number in 0..300_u64 {
            let other = Incident::new(Kind::Test, ORIGIN, &number.to_string(), "other", Timestamp(number));
            assert!(raise.begin(other));
        }
        let all_but_others = |scene: &mut Scene| -> usize {
            scene.incidents().iter().filter(|incident| incident.kind != Kind::Test).count()
        };
        // It forgets at an end, and when it delivers.
        assert!(raise.begin(Incident::new(Kind::DiskLow, ORIGIN, "", "low", Timestamp(300))));
        let low = IncidentKey::new(ORIGIN, Kind::DiskLow, "");
        assert!(raise.end(End::new(low, Timestamp(301))));
        assert_eq!(all_but_others(&mut scene), 1, "of the disk alone");
        let mut next = uses(&mut scene);
        tell(&mut next, &standing());
        assert_eq!(all_but_others(&mut scene), 1);
        // What comes behind is news.
        let mut next = uses(&mut scene);
        let mut standing = standing();
        standing.uses.push(used(40, None));
        tell(&mut next, &standing);
        assert_eq!(all_but_others(&mut scene), 2);
    }
}
