//! The token boundary: open or closed, and in which epoch.
//!
//! Whoever sees a fault trips it, from whatever thread, in one step; no PKCS#11 call stands on that path, and no lock but
//! the one over its story, which is never held for long. The epoch rises with every trip, so that what was begun before it
//! can be told from what came after. Who may open it again is the class of the cause: nobody here forgets a grave one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use assent_proto::number::{Epoch, Timestamp};
use tokio::sync::watch;

use super::transitions::{Transition, Transitions};
use crate::clock::Stamp;
use crate::hsm::{FaultClass, FaultKind, HsmFault};
use crate::log::TailEntry;

const FENCE: &str = "fence";
const WRONG_KEY: &str = "wrong_key";

/// Why the boundary is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// A bounded label, for metrics and the log.
    pub kind: &'static str,
    /// Whether it may re-arm by itself.
    pub class: FaultClass,
    /// What the operator reads.
    pub message: String,
}

impl Cause {
    /// Closed because it has not been open yet.
    #[must_use]
    pub fn starting() -> Self {
        Self { kind: "starting", class: FaultClass::Availability, message: "not armed yet".to_owned() }
    }

    /// How the boundary stands at start, from what the log's unsigned tail says: an integrity fault that no operators have
    /// answered outlives the process that met it.
    #[must_use]
    pub fn at_start(tail: &[TailEntry]) -> Self {
        let standing = tail.iter().rev().find_map(|entry| match entry {
            TailEntry::Ordered(_) => Some(None),
            TailEntry::Tripped(label) => grave(label).map(Some),
        });
        let Some(kind) = standing.flatten() else { return Self::starting() };
        let message = format!(
            "closed for {kind} before this start; find out why, then have operators sign: `assent hsm rearm`"
        );
        Self { kind, class: FaultClass::Integrity, message }
    }

    /// Operators have signed that it may re-arm; the attempt is on its way.
    #[must_use]
    pub fn ordered() -> Self {
        let message = "re-arm was ordered by operators, and is being tried";
        Self { kind: "rearm_ordered", class: FaultClass::Availability, message: message.to_owned() }
    }

    /// The signer was lost while the boundary was about to open.
    #[must_use]
    pub fn lost_while_arming() -> Self {
        let message = "the signer was lost while the boundary was about to open";
        Self { kind: "signer_lost", class: FaultClass::Availability, message: message.to_owned() }
    }

    /// The fence could not be written, so a rollback would go unseen.
    #[must_use]
    pub fn fence(error: &dyn std::error::Error) -> Self {
        let message = format!("{error}; the log would not be fenced against rollback");
        Self { kind: FENCE, class: FaultClass::Availability, message }
    }

    /// The HSM has another key than the pinned one.
    #[must_use]
    pub fn wrong_key(why: &str) -> Self {
        let message = format!("{why}; check slot and key id, or pin the new key by rotation");
        Self { kind: WRONG_KEY, class: FaultClass::Integrity, message }
    }

    /// The signature verified under nothing that we trust.
    #[must_use]
    pub fn bad_signature() -> Self {
        let message =
            "the HSM's signature does not verify under the pinned key; check the HSM before re-arming";
        Self { kind: "bad_signature", class: FaultClass::Integrity, message: message.to_owned() }
    }
}

impl From<&HsmFault> for Cause {
    fn from(fault: &HsmFault) -> Self {
        Self { kind: fault.kind(), class: fault.class(), message: fault.to_string() }
    }
}

/// The label of a cause that only operators may answer; none where it is another. One that we do not know is grave.
fn grave(label: &str) -> Option<&'static str> {
    let of_the_hsm = FaultKind::ALL.into_iter().map(|kind| (kind.label(), kind.class()));
    let ours = [
        Cause::starting(),
        Cause::ordered(),
        Cause::lost_while_arming(),
        Cause::bad_signature(),
        Cause { kind: FENCE, class: FaultClass::Availability, message: String::new() },
        Cause { kind: WRONG_KEY, class: FaultClass::Integrity, message: String::new() },
    ];
    let known: Vec<_> = of_the_hsm.chain(ours.map(|cause| (cause.kind, cause.class))).collect();
    match known.into_iter().find(|(known, _)| *known == label) {
        Some((_, FaultClass::Availability)) => None,
        Some((known, FaultClass::Integrity)) => Some(known),
        None => Some("unknown_fault"),
    }
}

/// Why, and since when.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Why it is closed: the first cause of the outage, unless a graver one was found since.
    pub cause: Cause,
    /// Since when nothing passes.
    pub since: Timestamp,
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
    lowest_epoch: Epoch,
    armed_once: bool,
    transitions: Transitions,
}

impl TokenBoundary {
    /// Closed for this cause, in the epoch in which the log ended; executors were told to refuse what is older than
    /// `lowest_epoch`.
    #[must_use]
    pub fn new(epoch: Epoch, lowest_epoch: Epoch, cause: Cause, at: Stamp) -> Self {
        let standing = Standing { epoch, open: false, class: cause.class, lowest_epoch };
        let mut transitions = Transitions::default();
        transitions.closed(epoch, &cause, at);
        let closed = Closed { cause, since: at.time };
        Self {
            state: AtomicU64::new(epoch.0 << 1),
            story: Mutex::new(Story { closed, lowest_epoch, armed_once: false, transitions }),
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
            && story.armed_once;
        if !is_open && !is_graver {
            return false;
        }
        // Open in epoch e is 2e + 1; closed in epoch e + 1 is 2e + 2.
        let closed = (state & !1) + 2;
        self.state.store(closed, Ordering::SeqCst);
        let since = if is_open { at.time } else { story.closed.since };
        story.transitions.closed(Epoch(closed >> 1), &cause, at);
        story.closed = Closed { cause, since };
        self.tell(&story);
        true
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

    /// Operators have signed that it may re-arm in the epoch in which it is closed now; what they found out takes the
    /// place of the cause. False when it is another epoch, or open.
    pub(super) fn permit(&self, epoch: Epoch) -> bool {
        let mut story = self.story();
        let is_theirs = self.state.load(Ordering::SeqCst) == epoch.0 << 1;
        if is_theirs {
            story.closed.cause = Cause::ordered();
        }
        is_theirs
    }

    /// Opens it in its epoch, which becomes the lowest that executors accept where operators said so. Only the sealer arms,
    /// after the round that records it is durable.
    pub(super) fn arm(&self, lowest_epoch: Epoch, at: Stamp) -> Epoch {
        let mut story = self.story();
        let epoch = Epoch(self.state.fetch_or(1, Ordering::SeqCst) >> 1);
        story.armed_once = true;
        story.lowest_epoch = lowest_epoch;
        story.transitions.opened(epoch, at);
        self.tell(&story);
        epoch
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
        TokenBoundary::new(Epoch(7), Epoch(0), Cause::starting(), at(0))
    }

    #[test]
    fn every_trip_raises_the_epoch_once() {
        let boundary = boundary();
        assert!(!boundary.trip(Cause::bad_signature(), at(1)), "it starts closed");
        assert_eq!(boundary.arm(Epoch(0), at(1)), Epoch(7));
        assert!(boundary.is_open_in(Epoch(7)));
        assert!(boundary.trip(Cause::bad_signature(), at(2)));
        assert!(!boundary.trip(gone(), at(3)));
        assert_eq!(boundary.epoch(), Epoch(8));
        assert_eq!(
            boundary.closed().map(|closed| (closed.cause.kind, closed.since)),
            Some(("bad_signature", Timestamp(2)))
        );
    }

    #[test]
    fn a_graver_cause_closes_it_again_and_a_lesser_one_changes_nothing() {
        let boundary = boundary();
        boundary.arm(Epoch(0), at(1));
        assert!(boundary.trip(gone(), at(2)));
        assert!(boundary.trip(Cause::bad_signature(), at(3)));
        assert_eq!(boundary.epoch(), Epoch(9));
        assert!(!boundary.trip(Cause::bad_signature(), at(4)));
        boundary.note(gone());
        let closed = boundary.closed().expect("it is closed");
        assert_eq!(
            (closed.cause.kind, closed.since),
            ("bad_signature", Timestamp(2)),
            "closed since the first"
        );
    }

    #[test]
    fn an_integrity_fault_outlives_the_process_until_operators_have_answered() {
        let tripped = |label: &str| TailEntry::Tripped(label.to_owned());
        let ordered = TailEntry::Ordered(String::new());
        let kind = |tail: &[TailEntry]| Cause::at_start(tail).kind;
        assert_eq!(kind(&[]), "starting");
        assert_eq!(kind(&[tripped("device_removed")]), "starting");
        assert_eq!(kind(&[tripped("bad_signature"), tripped("device_removed")]), "bad_signature");
        assert_eq!(kind(&[tripped("pin_locked"), ordered.clone()]), "starting");
        assert_eq!(kind(&[ordered, tripped("wrong_key")]), "wrong_key");
        assert_eq!(kind(&[tripped("of a later version")]), "unknown_fault");
    }

    #[test]
    fn operators_permit_the_epoch_that_they_signed_and_no_other() {
        let boundary = boundary();
        boundary.arm(Epoch(0), at(1));
        assert!(!boundary.permit(Epoch(7)), "it is open");
        boundary.trip(Cause::bad_signature(), at(2));
        assert!(!boundary.permit(Epoch(7)));
        assert!(boundary.permit(Epoch(8)));
        assert_eq!(boundary.closed().map(|closed| closed.cause.class), Some(FaultClass::Availability));
        assert!(boundary.trip(Cause::bad_signature(), at(3)), "what is found again closes it again");
        assert!(!boundary.permit(Epoch(8)));
    }

    #[test]
    fn whoever_listens_hears_the_newest_standing() {
        let boundary = boundary();
        let mut heard = boundary.subscribe();
        boundary.arm(Epoch(7), at(1));
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
