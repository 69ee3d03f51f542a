//! The token boundary: open or closed, and in which epoch.
//!
//! Whoever sees a fault trips it, from whatever thread, in one step; no PKCS#11 call stands on that path, and no lock but
//! the one over its story, which is never held for long. The epoch rises with every trip, so that what was begun before it
//! can be told from what came after. Who may open it again is the class of the cause: nobody here forgets a grave one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use assent_proto::number::{Epoch, Timestamp};
use tokio::sync::watch;

use super::cause::Cause;
use super::transitions::{Transition, Transitions};
use crate::clock::Stamp;
use crate::hsm::FaultClass;

/// Why, and since when.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Why it is closed: the first cause of the outage, unless a graver one was found since.
    pub cause: Cause,
    /// Since when nothing passes.
    pub since: Timestamp,
    /// The epoch that it is closed in: that of the last cause which began one.
    pub epoch: Epoch,
}

/// How the boundary stands: what agents and executors are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The epoch, whether open or closed.
    pub epoch: Epoch,
    /// Whether tokens may leave.
    pub open: bool,
    /// Of which class its last closing was.
    pub class: FaultClass,
    /// Executors are to refuse tokens that were decided in an earlier epoch than this.
    pub lowest_epoch: Epoch,
}

/// Whether tokens may leave. Starts closed.
#[derive(Debug)]
pub struct TokenBoundary {
    /// The epoch in all bits but the last, which says whether it is open. Read without the lock, changed under it.
    state: AtomicU64,
    story: Mutex<Story>,
    /// Holds the newest standing only, so that whoever listens slowly costs nothing.
    standing: watch::Sender<Standing>,
}

#[derive(Debug)]
struct Story {
    closed: Closed,
    /// When it opened last, in this process.
    opened: Option<Timestamp>,
    lowest_epoch: Epoch,
    /// Whether it was ever open, in this process or before: until then there is nothing that a fault could have spoilt.
    opened_before: bool,
    transitions: Transitions,
    /// How often it closed since the start, by the label of the cause.
    trips: BTreeMap<&'static str, u64>,
}

impl TokenBoundary {
    /// Closed for this cause, in the epoch in which the log ended; executors were told to refuse what is older than
    /// `lowest_epoch`. Whether it was ever open before, the log knows.
    #[must_use]
    pub fn new(epoch: Epoch, lowest_epoch: Epoch, opened_before: bool, cause: Cause, at: Stamp) -> Self {
        let standing = Standing { epoch, open: false, class: cause.class, lowest_epoch };
        let mut transitions = Transitions::default();
        transitions.closed(epoch, &cause, at);
        let closed = Closed { cause, since: at.time, epoch };
        Self {
            state: AtomicU64::new(epoch.0 << 1),
            story: Mutex::new(Story {
                closed,
                opened: None,
                lowest_epoch,
                opened_before,
                transitions,
                trips: BTreeMap::new(),
            }),
            standing: watch::Sender::new(standing),
        }
    }

    /// The epoch, whether open or closed.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        Epoch(self.state.load(Ordering::SeqCst) >> 1)
    }

    /// Whether it is open, in any epoch.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.load(Ordering::SeqCst) & 1 == 1
    }

    /// Whether it is open in just this epoch.
    #[must_use]
    pub fn is_open_in(&self, epoch: Epoch) -> bool {
        self.state.load(Ordering::SeqCst) == (epoch.0 << 1 | 1)
    }

    /// Why it is closed; none when it is open.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        let story = self.story();
        (!self.is_open()).then(|| story.closed.clone())
    }

    /// Since when it is open; none when it is closed.
    #[must_use]
    pub fn opened(&self) -> Option<Timestamp> {
        let story = self.story();
        story.opened.filter(|_| self.is_open())
    }

    /// Hears how it stands, now and from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The last times that it closed and opened, oldest first.
    #[must_use]
    pub fn transitions(&self) -> Vec<Transition> {
        self.story().transitions.all()
    }

    /// How often it closed since the start, for every cause that there is.
    #[must_use]
    pub fn trips(&self) -> Vec<(&'static str, u64)> {
        let story = self.story();
        let of = |(label, _)| (label, story.trips.get(label).copied().unwrap_or_default());
        Cause::labels().map(of).collect()
    }

    /// The epoch below which executors are to refuse tokens.
    #[must_use]
    pub fn lowest_epoch(&self) -> Epoch {
        self.story().lowest_epoch
    }

    /// Closes it and raises the epoch. So does a cause that is for operators when it is closed for one that is not: what
    /// was begun on the belief that it may re-arm by itself is void. False when nothing changed: then it was somebody
    /// else's trip.
    pub fn trip(&self, cause: Cause, at: Stamp) -> bool {
        let mut story = self.story();
        let state = self.state.load(Ordering::SeqCst);
        let is_open = state & 1 == 1;
        let is_graver = cause.class == FaultClass::Integrity
            && story.closed.cause.class == FaultClass::Availability
            && story.opened_before;
        if !is_open && !is_graver {
            return false;
        }
        let since = if is_open { at.time } else { story.closed.since };
        self.close_in_next_epoch(&mut story, cause, at, since);
        true
    }

    /// Closes it anew where it did not open behind the entry that says so, in an epoch of its own: a log that says that it is
    /// open must be told otherwise. False when it is open, or another epoch has begun: that is somebody else's trip.
    pub(super) fn trip_behind_rearm(&self, epoch: Epoch, cause: Cause, at: Stamp) -> bool {
        let mut story = self.story();
        let was_to_open = self.state.load(Ordering::SeqCst) == epoch.0 << 1;
        if was_to_open {
            self.close_in_next_epoch(&mut story, cause, at, at.time);
        }
        was_to_open
    }

    fn close_in_next_epoch(&self, story: &mut Story, cause: Cause, at: Stamp, since: Timestamp) {
        // Open in epoch e is 2e + 1; closed in epoch e + 1 is 2e + 2.
        let closed = (self.state.load(Ordering::SeqCst) & !1) + 2;
        self.state.store(closed, Ordering::SeqCst);
        let epoch = Epoch(closed >> 1);
        story.transitions.closed(epoch, &cause, at);
        *story.trips.entry(cause.kind).or_default() += 1;
        story.closed = Closed { cause, since, epoch };
        self.tell(story);
    }

    /// Notes another reason while it is closed: a failed attempt to arm replaces "starting". One that is for operators is
    /// not replaced by one that is not.
    pub(super) fn note(&self, cause: Cause) {
        let mut story = self.story();
        let stays = story.closed.cause.class == FaultClass::Integrity && cause.class != FaultClass::Integrity;
        if !self.is_open() && !stays {
            story.closed.cause = cause;
            self.tell(&story);
        }
    }

    /// Operators have signed that it may re-arm in the epoch in which it is closed now, for the cause that they were told;
    /// what they found out takes its place. False when it is another epoch or another cause, or open.
    pub(super) fn permit(&self, epoch: Epoch, cause: &Cause) -> bool {
        let mut story = self.story();
        let is_theirs =
            self.state.load(Ordering::SeqCst) == epoch.0 << 1 && story.closed.cause.is_same_as(cause);
        if is_theirs {
            story.closed.cause = Cause::ordered();
        }
        is_theirs
    }

    /// Opens it in this epoch. Only the sealer arms, after the round that records it is durable. False where something graver
    /// was found since: then it stays closed.
    pub(super) fn arm(&self, epoch: Epoch, lowest_epoch: Epoch, at: Stamp) -> bool {
        let mut story = self.story();
        let is_closed_in_it = self.state.load(Ordering::SeqCst) == epoch.0 << 1;
        if !is_closed_in_it || story.closed.cause.class == FaultClass::Integrity {
            return false;
        }
        self.state.store(epoch.0 << 1 | 1, Ordering::SeqCst);
        story.opened_before = true;
        story.opened = Some(at.time);
        story.lowest_epoch = lowest_epoch;
        story.transitions.opened(epoch, at);
        self.tell(&story);
        true
    }

    fn tell(&self, story: &Story) {
        let (epoch, open) = (self.epoch(), self.is_open());
        let (class, lowest_epoch) = (story.closed.cause.class, story.lowest_epoch);
        self.standing.send_replace(Standing { epoch, open, class, lowest_epoch });
    }

    fn story(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Mark;

    fn at(ms: u64) -> Stamp {
        Stamp { time: Timestamp(ms), mark: Mark(ms * 1000) }
    }

    fn gone() -> Cause {
        Cause::lost_while_arming()
    }

    fn boundary() -> TokenBoundary {
        TokenBoundary::new(Epoch(7), Epoch(0), true, Cause::starting(), at(0))
    }

    #[test]
    fn every_trip_raises_the_epoch_once() {
        let boundary = boundary();
        assert!(!boundary.trip(gone(), at(1)), "it starts closed");
        assert!(boundary.arm(Epoch(7), Epoch(0), at(1)));
        assert!(boundary.is_open_in(Epoch(7)));
        assert_eq!(boundary.opened(), Some(Timestamp(1)));
        assert!(boundary.trip(Cause::bad_signature(), at(2)));
        assert_eq!(boundary.opened(), None);
        assert!(!boundary.trip(gone(), at(3)));
        assert_eq!(boundary.epoch(), Epoch(8));
        assert_eq!(
            boundary.closed().map(|closed| (closed.cause.kind, closed.since, closed.epoch)),
            Some(("bad_signature", Timestamp(2), Epoch(8)))
        );
        let trips = boundary.trips();
        let counted: Vec<_> = trips.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [&("bad_signature", 1)], "what changes nothing is no trip");
        assert!(trips.contains(&("deadline_missed", 0)), "{trips:?}");
    }

    #[test]
    fn a_graver_cause_closes_it_again_and_a_lesser_one_changes_nothing() {
        let boundary = boundary();
        boundary.arm(Epoch(7), Epoch(0), at(1));
        assert!(boundary.trip(gone(), at(2)));
        assert!(boundary.trip(Cause::bad_signature(), at(3)));
        assert_eq!(boundary.epoch(), Epoch(9));
        assert!(!boundary.trip(Cause::bad_signature(), at(4)));
        boundary.note(gone());
        let closed = boundary.closed().expect("it is closed");
        assert_eq!(
            (closed.cause.kind, closed.since, closed.epoch),
            ("bad_signature", Timestamp(2), Epoch(9)),
            "closed since the first"
        );
    }

    #[test]
    fn a_boundary_that_was_never_open_has_nothing_that_a_fault_could_have_spoilt() {
        let boundary = TokenBoundary::new(Epoch(0), Epoch(0), false, Cause::starting(), at(0));
        assert!(!boundary.trip(Cause::bad_signature(), at(1)));
        boundary.note(Cause::bad_signature());
        assert_eq!(
            (boundary.epoch(), boundary.closed().map(|closed| closed.cause.kind)),
            (Epoch(0), Some("bad_signature"))
        );
        assert!(!boundary.arm(Epoch(0), Epoch(0), at(2)), "not by this process");
    }

    #[test]
    fn what_fails_behind_the_entry_of_a_rearm_is_a_trip_of_its_own() {
        let boundary = boundary();
        assert!(!boundary.trip_behind_rearm(Epoch(6), gone(), at(1)), "another epoch");
        assert!(boundary.trip_behind_rearm(Epoch(7), gone(), at(2)));
        let closed = boundary.closed().expect("it is closed");
        assert_eq!((closed.cause.kind, closed.since, closed.epoch), (gone().kind, Timestamp(2), Epoch(8)));
        assert!(!boundary.trip_behind_rearm(Epoch(7), gone(), at(3)), "once");
        assert!(!boundary.arm(Epoch(7), Epoch(0), at(4)), "what was tried is void");
        assert!(boundary.arm(Epoch(8), Epoch(0), at(5)));
        assert!(!boundary.trip_behind_rearm(Epoch(8), gone(), at(6)), "it is open");
    }

    #[test]
    fn what_is_found_while_it_is_about_to_open_keeps_it_closed() {
        let boundary = boundary();
        assert!(boundary.trip(Cause::bad_signature(), at(1)), "it is graver than starting");
        assert!(!boundary.arm(Epoch(7), Epoch(0), at(2)), "another epoch");
        assert!(!boundary.arm(Epoch(8), Epoch(0), at(2)), "nobody has signed");
        assert!(boundary.permit(Epoch(8), &Cause::bad_signature()));
        assert!(boundary.arm(Epoch(8), Epoch(0), at(3)));
    }

    #[test]
    fn operators_permit_the_epoch_that_they_signed_and_no_other() {
        let boundary = boundary();
        boundary.arm(Epoch(7), Epoch(0), at(1));
        let told = Cause::bad_signature();
        assert!(!boundary.permit(Epoch(7), &told), "it is open");
        boundary.trip(Cause::bad_signature(), at(2));
        assert!(!boundary.permit(Epoch(7), &told));
        assert!(!boundary.permit(Epoch(8), &gone()), "another cause");
        assert!(boundary.permit(Epoch(8), &told));
        assert_eq!(boundary.closed().map(|closed| closed.cause.class), Some(FaultClass::Availability));
        assert!(boundary.trip(Cause::bad_signature(), at(3)), "what is found again closes it again");
        assert!(!boundary.permit(Epoch(8), &told));
    }

    #[test]
    fn whoever_listens_hears_the_newest_standing() {
        let boundary = boundary();
        let mut heard = boundary.subscribe();
        boundary.arm(Epoch(7), Epoch(7), at(1));
        boundary.trip(gone(), at(2));
        let standing = *heard.borrow_and_update();
        let expected = Standing {
            epoch: Epoch(8),
            open: false,
            class: FaultClass::Availability,
            lowest_epoch: Epoch(7),
        };
        assert_eq!(standing, expected);
        let told: Vec<_> = boundary.transitions().iter().map(|t| (t.epoch, t.open, t.mark_us)).collect();
        assert_eq!(told, [(7, false, Mark(0)), (7, true, Mark(1000)), (8, false, Mark(2000))]);
    }
}
