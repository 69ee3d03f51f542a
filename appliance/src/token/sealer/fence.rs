//! The fences: where the log's newest checkpoint is kept outside it, how far each may stay behind, and what follows when one
//! cannot follow.
//!
//! The rule: nothing passes before both fences are at the log's end or, for the HSM's, where the HSM keeps none and need not.
//! The HSM's is read by the attempt to arm and written here, rarely: its memory wears. No step of this stands on the path
//! that closes the boundary.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Sealer, SealerHandle};
use crate::clock::Stopwatch;
use crate::hsm::InHsm;
use crate::limits::{FENCE_GRACE, FENCE_HSM_PAUSE};
use crate::log::SignedCheckpoint;
use crate::log::fence::signed_note;
use crate::log::second_fence::label;
use crate::token::arming::{FenceCheck, FenceRead};
use crate::token::cause::Cause;

/// How far behind a busy log its file may be. An idle one advances it with every heartbeat.
const FILE_EVERY: Duration = Duration::from_secs(10);

/// How the HSM is to keep the fence too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HsmFenceSettings {
    /// Whether nothing passes unless it does.
    pub demanded: bool,
    /// How often it is written while the log grows.
    pub every: Duration,
}

/// How the HSM keeps the fence, for whoever shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum FenceInHsm {
    /// It is not to.
    Off,
    /// It was not asked yet.
    #[default]
    Unknown,
    /// It keeps this.
    Kept {
        /// Leaves that its checkpoint covers.
        size: u64,
        /// When it was written, or seen at a start, in milliseconds since 1970.
        at_ms: u64,
    },
    /// It keeps none. The log goes on, fenced by the file alone.
    Refused {
        /// What the HSM said.
        why: String,
    },
}

/// Where the fences stand.
#[derive(Debug)]
pub(super) struct Fences {
    file: Stopwatch,
    /// Since when the file cannot follow the log.
    unfenced: Option<Stopwatch>,
    /// What the HSM keeps, for certain.
    known: Option<SignedCheckpoint>,
    /// When it was written by this process.
    written: Option<Stopwatch>,
    refused: bool,
    shown: Arc<Mutex<FenceInHsm>>,
}

impl Fences {
    pub(super) fn new(settings: Option<HsmFenceSettings>) -> Self {
        let shown = if settings.is_some() { FenceInHsm::Unknown } else { FenceInHsm::Off };
        let shown = Arc::new(Mutex::new(shown));
        Self { file: Stopwatch::start(), unfenced: None, known: None, written: None, refused: false, shown }
    }

    pub(super) fn shown(&self) -> Arc<Mutex<FenceInHsm>> {
        Arc::clone(&self.shown)
    }

    fn show(&self, state: FenceInHsm) {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl SealerHandle {
    /// How the HSM keeps the fence.
    #[must_use]
    pub fn fence_in_hsm(&self) -> FenceInHsm {
        self.fence_in_hsm.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sealer {
    /// A log whose fence cannot follow it could be rolled back unseen: after a while nothing more is let out.
    pub(super) fn advance_fence(&mut self) {
        self.fences.file = Stopwatch::start();
        let Err(error) = self.disk.over(|| self.log.advance_fence()) else {
            self.fences.unfenced = None;
            return;
        };
        tracing::error!(error = &error as &dyn std::error::Error, "the fence stays behind the log");
        if self.fences.unfenced.get_or_insert_with(Stopwatch::start).elapsed() >= FENCE_GRACE {
            self.close(Cause::fence(&error));
        }
    }

    /// Moves the fences of a log that grows; closes where the HSM failed at it.
    pub(super) fn follow_with_fences(&mut self) {
        if self.fences.file.elapsed() >= FILE_EVERY {
            self.advance_fence();
        }
        let every = self.settings.hsm_fence.map(|settings| settings.every);
        let due = |last: &Stopwatch| every.is_some_and(|every| last.elapsed() >= every);
        if self.fences.written.as_ref().is_some_and(due)
            && let Err(cause) = self.keep_in_hsm()
        {
            self.close(cause);
        }
    }

    /// What an attempt to arm asks of the HSM's fence.
    pub(super) fn fence_check(&self) -> Option<FenceCheck> {
        let settings = self.settings.hsm_fence?;
        Some(FenceCheck {
            label: label(self.log.keys().origin()),
            log: self.log.second_fence(),
            known: self.fences.known,
            demanded: settings.demanded,
            must_be: self.log.keys().fenced_in_hsm().is_some(),
        })
    }

    /// Brings both fences to the log's end before anything passes; `read` is what the attempt found in the HSM.
    pub(super) fn fence_before_opening(&mut self, read: Option<FenceRead>) -> Result<(), Cause> {
        // A log that released tokens always has a fence: start-up refuses one without.
        self.disk.over(|| self.log.advance_fence()).map_err(|error| Cause::fence(&error))?;
        match read {
            None => return self.need_no_fence_in_hsm(),
            Some(FenceRead::Refused(why)) => self.go_on_without(why),
            Some(FenceRead::Kept(held)) => {
                self.fences.refused = false;
                self.fences.known = held;
            }
        }
        if let Some(held) = self.fences.known {
            self.fences.show(FenceInHsm::Kept { size: held.size.0, at_ms: self.clock.now().0 });
        }
        // An HSM that comes and goes is not written each time.
        let lately = self.fences.written.as_ref().is_some_and(|last| last.elapsed() < FENCE_HSM_PAUSE);
        if self.fences.known.is_some() && lately { Ok(()) } else { self.keep_in_hsm() }
    }

    /// Leaves both fences at the end of the log, where that can be had without waiting for anything. False where one of them holds
    /// an older checkpoint.
    pub(super) fn fence_at_the_end(&mut self) -> bool {
        self.advance_fence();
        if self.boundary.is_open()
            && let Err(cause) = self.keep_in_hsm()
        {
            tracing::error!(cause = cause.kind, "the HSM's fence stays behind the log: {}", cause.message);
        }
        self.fences.unfenced.is_none() && self.is_at_the_end_in_hsm()
    }

    /// One that the HSM took before it began to refuse is there still.
    fn is_at_the_end_in_hsm(&self) -> bool {
        let size = |checkpoint: SignedCheckpoint| checkpoint.size;
        match self.fences.known {
            Some(known) => self.log.signed().copied().map(size) == Some(known.size),
            None => self.log.keys().fenced_in_hsm().is_none(),
        }
    }

    /// Writes the newest checkpoint into the HSM, unless it is there.
    fn keep_in_hsm(&mut self) -> Result<(), Cause> {
        let Some(settings) = self.settings.hsm_fence else { return Ok(()) };
        let (Some(signed), Some(signer)) = (self.log.signed().copied(), self.signer.as_mut()) else {
            return Ok(());
        };
        let is_there = self.fences.known.is_some_and(|known| known.size == signed.size);
        if self.fences.refused {
            return Ok(());
        }
        if is_there && self.log.keys().fenced_in_hsm().is_some() {
            self.fences.written = Some(Stopwatch::start());
            return Ok(());
        }
        let origin = self.log.keys().origin();
        let note = signed_note(origin, &signed);
        let deadline = self.authority.deadline;
        match self.hsm.over(deadline, || signer.keep_fence(&label(origin), &note, deadline)) {
            Ok(InHsm::Kept(())) => self.is_kept_in_hsm(signed),
            Ok(InHsm::Refused(why)) if settings.demanded => Err(Cause::fence_refused(&why)),
            Ok(InHsm::Refused(why)) => {
                self.go_on_without(why);
                Ok(())
            }
            Err(fault) => Err(Cause::from(&fault)),
        }
    }

    /// Takes note that the HSM keeps this: from here on one that is missing is missed.
    fn is_kept_in_hsm(&mut self, signed: SignedCheckpoint) -> Result<(), Cause> {
        let now = self.clock.now();
        self.fences.known = Some(signed);
        self.fences.written = Some(Stopwatch::start());
        self.fences.show(FenceInHsm::Kept { size: signed.size.0, at_ms: now.0 });
        if self.log.keys().fenced_in_hsm().is_none() {
            self.note_in_ring(Some(now))?;
            tracing::info!(size = signed.size.0, "the HSM keeps the log's fence too");
        }
        Ok(())
    }

    fn need_no_fence_in_hsm(&mut self) -> Result<(), Cause> {
        if self.log.keys().fenced_in_hsm().is_some() {
            self.note_in_ring(None)?;
            tracing::warn!("the HSM kept this log's fence, and by the configuration does no more");
        }
        Ok(())
    }

    fn note_in_ring(&mut self, since: Option<Timestamp>) -> Result<(), Cause> {
        self.disk.over(|| self.log.note_second_fence(since)).map_err(|error| Cause::fence(&error))?;
        self.show_keys();
        Ok(())
    }

    /// Said once for as long as it is so.
    fn go_on_without(&mut self, why: String) {
        if !self.fences.refused {
            tracing::warn!(why, "the HSM keeps no fence of the log; the file is the only one");
        }
        self.fences.refused = true;
        self.fences.show(FenceInHsm::Refused { why });
    }
}
