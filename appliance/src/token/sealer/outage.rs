//! Outages: how the boundary closes, what is done meanwhile, and how it opens again.
//!
//! Closing: `close` for a fault that this thread saw, `notice_trip` whoever saw it; of an integrity fault the latch comes first.
//! Meanwhile `do_what_is_due`: the log shows that it is alive, room on the disk is looked at, and attempts to arm begin
//! (`Attempts` says when, `wants_to_arm` whether). Opening: `arm`, behind an attempt that succeeded: one signed checkpoint over
//! the whole gap, the fences, the boundary, and one more look whether it should have stayed closed. What operators order
//! (`obey`) has arming tried, in its epoch alone, and opens nothing.

use std::sync::Arc;
use std::time::Duration;

use assent_proto::note::VerifierKey;
use assent_proto::number::Epoch;

use super::{Sealer, SealerError};
use crate::clock::Stopwatch;
use crate::disk::Room;
use crate::hsm::FaultClass;
use crate::limits::SPARE_UNSIGNED_ENTRIES;
use crate::token::arming::{Attempt, FenceRead, Watched};
use crate::token::boundary::Closed;
use crate::token::cause::Cause;
use crate::token::operation::Operation;

/// The pause before the second attempt to arm; each further one is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// Attempts to arm: at most one at a time, further and further apart.
#[derive(Debug)]
pub(super) struct Attempts {
    running: bool,
    failed: u32,
    last: Stopwatch,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self { running: false, failed: 0, last: Stopwatch::start() }
    }

    pub(super) const fn has_failed(&self) -> bool {
        self.failed > 0
    }

    fn backoff(&self, longest: Duration) -> Duration {
        match self.failed {
            0 => Duration::ZERO,
            failed => FIRST_BACKOFF.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(longest),
        }
    }
}

/// What operators ordered.
#[derive(Debug)]
pub(in crate::token) struct Order {
    pub(in crate::token) epoch: Epoch,
    /// Whether executors are to refuse what was decided before that epoch.
    pub(in crate::token) revoke: bool,
    /// The order, as the log has it.
    pub(in crate::token) operation: Box<Operation>,
}

impl Sealer {
    /// Closes the boundary for a fault that this thread saw. Somebody may have seen a lesser one first: a graver one closes
    /// it again, for what the HSM cannot be trusted with must not re-arm by itself.
    pub(super) fn close(&mut self, cause: Cause) {
        if !self.boundary.trip(cause.clone(), self.clock.stamp()) && cause.class == FaultClass::Integrity {
            self.boundary.note(cause);
        }
        self.notice_trip();
    }

    /// Takes the order that operators signed, that re-arm be tried: at once, and in their epoch only.
    pub(super) fn obey(&mut self, mut order: Order) {
        // The last order of an epoch may be of fewer operators, after a lesser fault: what more of them ordered stands.
        order.revoke |= self.order.as_ref().is_some_and(|last| last.revoke && last.epoch == order.epoch);
        tracing::warn!(epoch = order.epoch.0, revoke = order.revoke, "operators ordered re-arm");
        self.operations.push((*order.operation).clone());
        self.attempts = Attempts { running: self.attempts.running, ..Attempts::new() };
        self.order = Some(order);
    }

    /// The epoch below which executors are to refuse tokens, once the boundary is open in this one.
    pub(super) fn lowest_epoch(&self) -> Epoch {
        let ordered =
            self.order.as_ref().filter(|order| order.revoke && order.epoch == self.boundary.epoch());
        ordered.map_or(self.log.lowest_epoch(), |order| order.epoch)
    }

    /// Where the boundary has closed, by whomever: the signer is done for, whatever it may still say, and the log is to
    /// tell of it. From here on entries are written in that epoch, and not before: an entry that is ahead of the trip's own
    /// tells of an epoch that the log has not begun.
    pub(super) fn notice_trip(&mut self) {
        let Some(Closed { cause, since, epoch }) = self.boundary.closed() else { return };
        if epoch == self.noted {
            return;
        }
        self.noted = epoch;
        self.signer = None;
        self.gauges.trip();
        self.attempts = Attempts { running: self.attempts.running, ..Attempts::new() };
        if cause.class == FaultClass::Integrity {
            self.latch(epoch, cause.kind);
        }
        tracing::error!(cause = cause.kind, "token boundary closed: {}", cause.message);
        // Ahead of whatever else waits, for that is written in its epoch; behind the trips before it.
        let place = self.operations.iter().rposition(|before| matches!(before, Operation::Tripped { .. }));
        let place = place.map_or(0, |before| before.saturating_add(1));
        self.operations.insert(place, Operation::Tripped { epoch, cause: cause.kind, at: since });
    }

    /// Latches an integrity fault, before anything else follows it: neither a kill nor an older log may let go of it.
    fn latch(&mut self, epoch: Epoch, cause: &str) {
        if let Err(error) = self.disk.over(|| self.log.latch(epoch, cause)) {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the latch cannot be written; only the log's entry holds it"
            );
        }
    }

    /// How much room the disk has. Too little closes the boundary, before anything is written into what is left.
    pub(super) fn look_for_room(&mut self) -> Room {
        let room = self.disk.over(|| self.settings.space.look());
        if room < Room::Enough && self.boundary.is_open() {
            self.close(Cause::disk_low(&self.settings.space));
        }
        self.room = room;
        self.gauges.disk(room < Room::Enough, self.settings.space.free());
        room
    }

    /// How long nothing is due.
    pub(super) fn until_due(&self) -> Duration {
        if self.room == Room::None {
            return self.settings.heartbeat;
        }
        if !self.drafts.is_empty() || self.operations.iter().any(Operation::cannot_wait) {
            return Duration::ZERO;
        }
        if self.boundary.is_open() {
            return self.settings.heartbeat.saturating_sub(self.idle.elapsed());
        }
        let sign_of_life = self.settings.status_every.saturating_sub(self.alive.elapsed());
        if self.attempts.running || !self.wants_to_arm() {
            return self.settings.heartbeat.min(sign_of_life);
        }
        let attempt = self.attempts.backoff(self.settings.backoff_max);
        attempt.saturating_sub(self.attempts.last.elapsed()).min(sign_of_life)
    }

    pub(super) fn do_what_is_due(&mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        self.notice_trip();
        self.mind_volumes();
        self.break_glass.tidy(self.clock.now());
        if self.boundary.is_open() {
            if self.idle.elapsed() >= self.settings.heartbeat && self.look_for_room() < Room::Enough {
                return self.turn(key);
            }
            self.follow_with_fences();
            return self.prove_life(key);
        }
        if self.is_closed_untold() {
            self.operations.push(Operation::StartedClosed);
            self.turn(key)?;
        }
        if self.shows_life_unsigned() {
            self.alive = Stopwatch::start();
            self.operations.push(Operation::Alive);
            self.turn(key)?;
        }
        if self.may_attempt() { self.attempt(key) } else { Ok(()) }
    }

    /// Whether the log is to say that it is alive although nothing can be signed. Not before its first checkpoint, when there
    /// is nobody yet who could miss it; and not for ever.
    fn shows_life_unsigned(&self) -> bool {
        let room = self.room > Room::None
            && self.log.unsigned_entries() < self.settings.unsigned_max + SPARE_UNSIGNED_ENTRIES;
        room && self.log.signed().is_some() && self.alive.elapsed() >= self.settings.status_every
    }

    /// A heartbeat: the standing checkpoint signed again, for nothing else proves that the HSM can sign.
    fn prove_life(&mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        if self.idle.elapsed() < self.settings.heartbeat {
            return Ok(());
        }
        if self.alive.elapsed() >= self.settings.status_every {
            self.alive = Stopwatch::start();
            self.operations.push(Operation::Alive);
            return self.turn(key);
        }
        if let Err(cause) = self.sign(&self.standing_checkpoint(key.name()), key) {
            self.close(cause);
            return self.turn(key);
        }
        self.checkpoints.send_replace(self.log.signed().copied());
        self.advance_fence();
        Ok(())
    }

    fn may_attempt(&self) -> bool {
        let due = self.attempts.last.elapsed() >= self.attempts.backoff(self.settings.backoff_max);
        due && !self.stopping && !self.attempts.running && self.wants_to_arm()
    }

    /// Once at start; afterwards by itself only where the configuration and the class of the fault let it.
    fn wants_to_arm(&self) -> bool {
        let class = self.boundary.closed().map(|closed| closed.cause.class);
        let first = !self.booted && self.attempts.failed == 0;
        let ordered = self.order.as_ref().is_some_and(|order| order.epoch == self.boundary.epoch());
        class == Some(FaultClass::Availability) && (first || ordered || self.settings.rearm_automatically)
    }

    fn attempt(&mut self, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        if self.look_for_room() < Room::Enough {
            let cause = Cause::disk_low(&self.settings.space);
            return self.end_attempt(self.boundary.epoch(), Err(cause), key);
        }
        let attempt = self.attempt_on_standing(key)?;
        self.attempts.running = true;
        match attempt.begin(Arc::clone(&self.authority)) {
            Ok(()) => Ok(()),
            Err(error) => self.end_attempt(self.boundary.epoch(), Err(Cause::no_thread(&error)), key),
        }
    }

    /// An attempt in this epoch, whose probes sign the checkpoint that the log stands at.
    pub(super) fn attempt_on_standing(&self, key: &VerifierKey<'_>) -> Result<Attempt, SealerError> {
        let checkpoint = self.standing_checkpoint(key.name());
        let text = checkpoint.text().map_err(|_| SealerError::Round("the origin is no origin"))?;
        Ok(Attempt {
            boundary: Arc::clone(&self.boundary),
            sealer: self.outbox.clone(),
            clock: self.clock.clone(),
            text: text.as_str().to_owned(),
            fence: self.fence_check(),
            epoch: self.boundary.epoch(),
        })
    }

    pub(super) fn end_attempt(
        &mut self,
        epoch: Epoch,
        outcome: Result<Watched, Cause>,
        key: &VerifierKey<'_>,
    ) -> Result<(), SealerError> {
        self.attempts.running = false;
        self.attempts.last = Stopwatch::start();
        let armed = match outcome {
            // Something graver was found meanwhile: what was tried on a lesser belief is void.
            Ok(_) if self.boundary.epoch() != epoch => return Ok(()),
            Ok(watched) => self.arm(watched, key)?,
            Err(cause) => Err(cause),
        };
        if let Err(cause) = armed {
            self.signer = None;
            self.attempts.failed = self.attempts.failed.saturating_add(1);
            tracing::warn!(
                cause = cause.kind,
                attempt = self.attempts.failed,
                "not armed: {}",
                cause.message
            );
            if !self.boundary.trip(cause.clone(), self.clock.stamp()) {
                self.boundary.note(cause);
            }
            self.notice_trip();
        }
        Ok(())
    }

    /// Records the outage and the re-arm under one signed checkpoint over the whole gap, then opens.
    fn arm(&mut self, mut watched: Watched, key: &VerifierKey<'_>) -> Result<Result<(), Cause>, SealerError> {
        // Should something graver be found meanwhile, the boundary does not open in this one.
        let epoch = self.noted;
        // INVARIANT: what is held is let go by an order of this epoch only.
        if self.log.latched().is_some() && self.order.as_ref().is_none_or(|order| order.epoch != epoch) {
            return Ok(Err(Cause::at_start(self.log.latched(), &[])));
        }
        // The attempt may have lasted seconds since somebody looked.
        if self.look_for_room() < Room::Enough {
            return Ok(Err(Cause::disk_low(&self.settings.space)));
        }
        let identity = watched.signer().identity();
        let hsm = format!("{} {} {}", identity.manufacturer, identity.model, identity.serial);
        let simulator = identity.simulator;
        self.gauges.signer(watched.signer().process().unwrap_or_default());
        let read = watched.take_fence();
        self.signer = Some(watched);
        self.disk.take_late();
        // What the last attempt signed and could not fence comes first: of a log without a fence there is one checkpoint at most.
        if let Err(error) = self.disk.over(|| self.log.advance_fence()) {
            return Ok(Err(Cause::fence(&error)));
        }
        let mut operations = Vec::new();
        if self.log.signed().is_none() {
            operations.push(Operation::KeyAdded { verifier_key: key.to_string() });
        }
        if !self.booted {
            operations.push(Operation::Booted { hsm, simulator });
        }
        operations.extend(self.outage());
        operations.extend(self.warrant_ends());
        operations.push(Operation::Rearmed);
        let before = self.operations.len();
        if let Err(cause) = self.seal_operations(operations, key)? {
            self.operations.truncate(before);
            return Ok(Err(cause));
        }
        // The outage's entry has counted them.
        self.unlogged = 0;
        self.booted = true;
        if let Err(cause) = self.make_ready_to_open(read) {
            tracing::error!(cause = cause.kind, "armed, and not opened: {}", cause.message);
            // What is held is graver than what keeps it held: were it closed for the lesser one, fewer operators could let go of it.
            let cause =
                if let Some(held) = self.log.latched() { Cause::at_start(Some(held), &[]) } else { cause };
            self.boundary.trip_behind_rearm(epoch, cause.clone(), self.clock.stamp());
            return Ok(Err(cause));
        }
        self.attempts = Attempts::new();
        let opens = self.boundary.arm(epoch, self.log.lowest_epoch(), self.clock.stamp());
        self.order = None;
        if !opens {
            // Something graver was found since; it is held for operators.
            self.signer = None;
            self.notice_trip();
            return Ok(Ok(()));
        }
        // A signer that died during the commit tripped nothing, for the boundary was closed.
        if self.signer.as_ref().is_none_or(Watched::is_lost) {
            self.close(Cause::lost_while_arming());
            return Ok(Ok(()));
        }
        // Nor did a disk that hung under it, for the same reason.
        if self.disk.take_late() {
            self.close(Cause::disk_hangs(self.settings.disk_deadline));
            return Ok(Ok(()));
        }
        tracing::info!(epoch = epoch.0, "token boundary open");
        Ok(Ok(()))
    }

    /// Behind the entry of the re-arm, and before anything passes: the fences follow it, and what was held is let go. Should it
    /// hold on, it is the operators' again.
    fn make_ready_to_open(&mut self, read: Option<FenceRead>) -> Result<(), Cause> {
        self.fence_before_opening(read)?;
        self.disk.over(|| self.log.unlatch()).map_err(|error| Cause::fence(&error))
    }

    fn outage(&self) -> Option<Operation> {
        let unsigned = self.log.unsigned();
        let from = unsigned.since?;
        let covered = self.log.signed().map(|signed| signed.size).unwrap_or_default();
        let (denials, holds) = (unsigned.denials, unsigned.holds);
        let refused = unsigned.refused + self.unlogged;
        Some(Operation::Outage { from, covered, reached: self.size(), denials, holds, refused })
    }
}
