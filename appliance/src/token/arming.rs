//! Arming: from nothing to a signer that has proved itself, on a thread of its own.
//!
//! An attempt (`Attempt`) starts a signer process, which checks the key's attributes. It compares the key with the pinned one
//! and the log with the HSM's fence (`FenceCheck`), and has the current checkpoint signed again as often as the configuration
//! asks, verifying each time. What comes of it is a `Watched` signer, whose loss closes the boundary. A candidate goes the same
//! way before it may take over from the key that signs; until it does, its loss trips nothing. While an attempt runs the sealer
//! goes on answering: a module that hangs at start delays nobody. The sealer opens the boundary, not the attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use assent_proto::note::{NoteError, VerifierKey};
use assent_proto::number::Epoch;

use super::boundary::TokenBoundary;
use super::cause::Cause;
use super::sealer::Message;
use crate::clock::Clock;
use crate::hsm::{HsmFault, HsmSettings, InHsm, Pin, Signer};
use crate::log::SignedCheckpoint;
use crate::log::second_fence::{FenceMismatch, SecondFence};

/// The HSM and the key that it is held to.
#[derive(Clone, Debug)]
pub struct Authority {
    /// How to reach the HSM.
    pub hsm: HsmSettings,
    /// Its user PIN.
    pub pin: Pin,
    /// The pinned verifier key, in C2SP form; its name is the log's origin.
    pub verifier_key: String,
    /// How long one signature may take.
    pub deadline: Duration,
    /// How long start-up of the signer may take, login included.
    pub start_deadline: Duration,
    /// Verified signatures in a row before the boundary opens.
    pub probes: u32,
}

impl Authority {
    /// The same HSM and PIN, with another key of it.
    pub(super) fn with_key(&self, cka_id: Vec<u8>, verifier_key: String) -> Self {
        let mut authority = Self { verifier_key, ..self.clone() };
        authority.hsm.key_id = cka_id;
        authority
    }
}

/// A signer that is watched: the moment it is lost, the boundary closes.
#[derive(Debug)]
pub(super) struct Watched {
    signer: Signer,
    /// Whether the boundary depends on it; a candidate's does not yet.
    serving: Arc<AtomicBool>,
    /// Cleared before we end the signer ourselves, so that its end is no fault.
    watching: Arc<AtomicBool>,
    /// What the HSM's fence said, where it was asked.
    fence: Option<FenceRead>,
}

/// What the HSM said of the log's fence; where it keeps one, it agrees with the log.
#[derive(Debug)]
pub(super) enum FenceRead {
    /// It keeps this, or nothing yet.
    Kept(Option<SignedCheckpoint>),
    /// It keeps no data objects, and need not.
    Refused(String),
}

/// The fence check: what the HSM keeps, against the log as it stands.
#[derive(Clone, Debug)]
pub(super) struct FenceCheck {
    /// Under which label.
    pub(super) label: String,
    /// The log.
    pub(super) log: SecondFence,
    /// What this process knows to be there.
    pub(super) known: Option<SignedCheckpoint>,
    /// Whether nothing passes unless the HSM keeps one.
    pub(super) demanded: bool,
    /// Whether it did.
    pub(super) must_be: bool,
}

impl FenceCheck {
    fn run(&self, signer: &mut Signer, deadline: Duration) -> Result<FenceRead, Cause> {
        let kept = match signer.fence(&self.label, deadline).map_err(|fault| Cause::from(&fault))? {
            InHsm::Kept(kept) => kept,
            InHsm::Refused(why) if self.demanded => return Err(Cause::fence_refused(&why)),
            // An HSM that did, and says now that it does not, is not what it was.
            InHsm::Refused(_) if self.must_be => {
                return Err(Cause::fence_mismatch(&FenceMismatch::Missing(self.label.clone())));
            }
            InHsm::Refused(why) => return Ok(FenceRead::Refused(why)),
        };
        if kept.count > kept.values.len() {
            let what = format!("there are {} of them under the label `{}`", kept.count, self.label);
            return Err(Cause::fence_mismatch(&FenceMismatch::NotOurs(what)));
        }
        let held = self.log.check(&kept.values, self.known.as_ref());
        held.map(FenceRead::Kept).map_err(|mismatch| Cause::fence_mismatch(&mismatch))
    }
}

impl Watched {
    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Has the boundary depend on it from here on. Whoever calls looks afterwards whether it was lost before.
    pub(super) fn serve(&self) {
        self.serving.store(true, Ordering::SeqCst);
    }

    /// Whether the signer was lost, although nobody may have been there to be told: while the boundary is closed a loss
    /// trips nothing.
    pub(super) fn is_lost(&self) -> bool {
        !self.watching.load(Ordering::SeqCst)
    }

    /// What the HSM's fence said, once.
    pub(super) const fn take_fence(&mut self) -> Option<FenceRead> {
        self.fence.take()
    }

    /// Has the HSM keep this as the fence under that label.
    pub(super) fn keep_fence(
        &mut self,
        label: &str,
        note: &str,
        deadline: Duration,
    ) -> Result<InHsm<()>, HsmFault> {
        self.signer.keep_fence(label, note.as_bytes(), deadline)
    }

    pub(super) fn sign(&mut self, text: &[u8], deadline: Duration) -> Result<[u8; 64], HsmFault> {
        self.signer.sign(text, deadline)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watching.store(false, Ordering::SeqCst);
    }
}

/// What an attempt needs besides the authority.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) boundary: Arc<TokenBoundary>,
    pub(super) sealer: SyncSender<Message>,
    pub(super) clock: Clock,
    /// Text of the current checkpoint: what the probes sign.
    pub(super) text: String,
    /// What is asked of the HSM's fence; nothing where there is to be none.
    pub(super) fence: Option<FenceCheck>,
    /// The epoch in which it began: in any other its outcome is void.
    pub(super) epoch: Epoch,
}

impl Attempt {
    /// Runs the attempt on its own thread; the sealer hears the outcome.
    pub(super) fn begin(self, authority: Arc<Authority>) -> std::io::Result<()> {
        let run = move || {
            let outcome = self.run(&authority);
            // The sealer is gone only when the process stops; then the signer is dropped, which ends it.
            let _ = self.sealer.send(Message::Attempted(self.epoch, Box::new(outcome)));
        };
        std::thread::Builder::new().name("arming".to_owned()).spawn(run).map(drop)
    }

    /// Proves a key that does not sign yet: the pinned one, where it was announced, else the one that the HSM shows. The
    /// sealer hears the outcome.
    pub(super) fn begin_candidate(self, authority: Authority, pinned: bool) -> std::io::Result<()> {
        let run = move || {
            let pinned = pinned.then_some(authority.verifier_key.as_str());
            let outcome = self.prove(&authority, pinned, false);
            let _ = self.sealer.send(Message::Proved(Box::new(outcome)));
        };
        std::thread::Builder::new().name("proving".to_owned()).spawn(run).map(drop)
    }

    fn run(&self, authority: &Authority) -> Result<Watched, Cause> {
        self.prove(authority, Some(&authority.verifier_key), true)
    }

    fn prove(&self, authority: &Authority, pinned: Option<&str>, serving: bool) -> Result<Watched, Cause> {
        let mut watched = self.start(authority, serving).map_err(|fault| Cause::from(&fault))?;
        let no_key = |error: NoteError| Cause::wrong_key(&error.to_string());
        let origin = VerifierKey::parse(&authority.verifier_key).map_err(no_key)?.name();
        let shown = VerifierKey::new(origin, &watched.signer.identity().public_key).map_err(no_key)?;
        if pinned.is_some_and(|pinned| pinned != shown.to_string()) {
            return Err(Cause::wrong_key("the HSM's key is not the pinned one"));
        }
        // A key that is yet to take over signs for the same log, which was compared when the other one armed.
        if let Some(check) = self.fence.as_ref().filter(|_| serving) {
            watched.fence = Some(check.run(&mut watched.signer, authority.start_deadline)?);
        }
        for _ in 0..authority.probes.max(1) {
            let signature = watched
                .sign(self.text.as_bytes(), authority.deadline)
                .map_err(|fault| Cause::from(&fault))?;
            shown.verify(self.text.as_bytes(), &signature).map_err(|_| Cause::bad_signature())?;
        }
        Ok(watched)
    }

    fn start(&self, authority: &Authority, serving: bool) -> Result<Watched, HsmFault> {
        let (watching, serving) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(serving)));
        let (boundary, sealer, clock) = (Arc::clone(&self.boundary), self.sealer.clone(), self.clock.clone());
        let (still, depended_on) = (Arc::clone(&watching), Arc::clone(&serving));
        let on_loss = move |fault: HsmFault| {
            if !still.swap(false, Ordering::SeqCst) || !depended_on.load(Ordering::SeqCst) {
                return;
            }
            if boundary.trip(Cause::from(&fault), clock.stamp()) {
                // Full means that the sealer is busy, and will see at its next signature that the signer is gone.
                let _ = sealer.try_send(Message::Lost);
            }
        };
        let signer = Signer::start(&authority.hsm, &authority.pin, authority.start_deadline, on_loss)?;
        Ok(Watched { signer, serving, watching, fence: None })
    }
}
