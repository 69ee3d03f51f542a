//! Rotation: another key of the HSM takes over, without a gap and without a token lost.
//!
//! Ahead of it the key is announced: tried as at every arming, and kept in the ring, so that executors hold it before it
//! signs. Then one round records it under a checkpoint that both keys sign: the last of the old key and the first of the
//! new. Its commit decides; before it nothing has happened, after it the new key signs. The boundary stays open, and what
//! is asked meanwhile waits for one round. Nothing here makes, changes or deletes a key in the HSM.

use std::sync::{Arc, PoisonError};

use assent_proto::note::VerifierKey;
use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::turn::{gather, sign_by};
use super::{Message, Sealer, SealerError, SealerHandle};
use crate::clock::Stopwatch;
use crate::hsm::FaultClass;
use crate::limits::MAX_CKA_ID_BYTES;
use crate::log::hex::{hex, unhex};
use crate::log::keyring::{KeyRefusal, Keyring, NextKey, RingKey, over};
use crate::log::{KeySignature, SignedCheckpoint};
use crate::token::arming::Watched;
use crate::token::cause::Cause;
use crate::token::operation::Operation;

/// Characters of a wrong key id that an answer repeats.
const MAX_SHOWN_CHARS: usize = 80;

/// What an operator orders. Keys are named by `CKA_ID`, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyOrder {
    /// Try a key, and name it as the next one.
    Announce {
        /// Which.
        cka_id: String,
    },
    /// Let the announced key take over.
    Rotate {
        /// Which, so that nobody rotates to another than is meant.
        cka_id: String,
    },
    /// Mark a key, whose last tokens are over, as retired.
    Retire {
        /// Which.
        cka_id: String,
    },
}

impl KeyOrder {
    fn cka_id(&self) -> &str {
        match self {
            Self::Announce { cka_id } | Self::Rotate { cka_id } | Self::Retire { cka_id } => cka_id,
        }
    }
}

/// What became of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// Its `CKA_ID`, in hexadecimal.
    pub cka_id: String,
    /// The key, in C2SP form.
    pub verifier_key: String,
    /// Size of the checkpoint from which on it signs; none where it does not.
    pub from_size: Option<u64>,
    /// `CKA_ID` of the key that handed over to it.
    pub before: Option<String>,
    /// When the last token of that key is over, in milliseconds since 1970.
    pub before_over_ms: Option<u64>,
    /// How long it took, in microseconds, of which the rounds waited for `held_us`.
    pub took_us: u64,
    /// How long no round could begin.
    pub held_us: u64,
}

/// What the operator hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyAnswer {
    /// It was done, durably.
    Done(KeyChange),
    /// Nothing was changed.
    Refused {
        /// Why, and what to do.
        reason: String,
        /// Whether the same may work later.
        unavailable: bool,
    },
}

/// Why a key order was not carried out.
#[derive(Debug, thiserror::Error)]
enum RotationError {
    #[error(
        "the token boundary is closed, and keys are tried and rotated while it is open; see `assent status`"
    )]
    Closed,
    #[error("another order about keys is being carried out; try again")]
    Busy,
    #[error("`{0}` is no key id: give pairs of hexadecimal digits, such as 02")]
    NoId(String),
    #[error(transparent)]
    Refused(#[from] KeyRefusal),
    #[error("the new key cannot take over, the old one signs on: {}", .0.message)]
    NewKey(Cause),
    #[error("the key that signs failed, so the token boundary closed and nothing was rotated: {}", .0.message)]
    OldKey(Cause),
}

impl RotationError {
    /// Whether the same may work later.
    const fn unavailable(&self) -> bool {
        match self {
            Self::Closed | Self::Busy => true,
            Self::NoId(_) | Self::Refused(_) => false,
            Self::NewKey(cause) | Self::OldKey(cause) => matches!(cause.class, FaultClass::Availability),
        }
    }
}

/// An order, and who waits for its answer.
#[derive(Debug)]
pub(in crate::token) struct Request {
    order: KeyOrder,
    by: String,
    answer: oneshot::Sender<KeyAnswer>,
}

impl Request {
    /// The operator may be gone, which changes nothing.
    fn answer(self, outcome: Result<KeyChange, RotationError>) {
        let Self { order, by, answer } = self;
        let answered = match outcome {
            Ok(change) => {
                tracing::info!(?order, by, key = change.verifier_key, "key order carried out");
                KeyAnswer::Done(change)
            }
            Err(error) => {
                tracing::warn!(?order, by, "key order refused: {error}");
                KeyAnswer::Refused { reason: error.to_string(), unavailable: error.unavailable() }
            }
        };
        let _ = answer.send(answered);
    }
}

/// An order that needs the HSM, on its way.
#[derive(Debug)]
pub(super) struct Rotation {
    request: Request,
    since: Stopwatch,
    /// The signer of the key that is to take over, once it has proved itself.
    proved: Option<Watched>,
}

impl SealerHandle {
    /// Has the sealer carry out an order about keys; none when it has ended.
    pub async fn order_keys(&self, order: KeyOrder, by: String) -> Option<KeyAnswer> {
        let (answer, answered) = oneshot::channel();
        let request = Box::new(Request { order, by, answer });
        if self.outbox.try_send(Message::Keys(request)).is_err() {
            return Some(KeyAnswer::Refused { reason: RotationError::Busy.to_string(), unavailable: true });
        }
        answered.await.ok()
    }

    /// The key ring as it is.
    #[must_use]
    pub fn keys(&self) -> Keyring {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sealer {
    pub(super) fn take_order(&mut self, request: Request, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        match self.begin_order(&request.order, key)? {
            Ok(None) => {
                self.rotation = Some(Rotation { request, since: Stopwatch::start(), proved: None });
            }
            Ok(Some(change)) => request.answer(Ok(change)),
            Err(error) => request.answer(Err(error)),
        }
        Ok(())
    }

    /// What can be done or refused without the HSM is; else a candidate is on its way.
    fn begin_order(
        &mut self,
        order: &KeyOrder,
        key: &VerifierKey<'_>,
    ) -> Result<Result<Option<KeyChange>, RotationError>, SealerError> {
        let id = order.cka_id();
        let usable = |bytes: &Vec<u8>| bytes.len() <= MAX_CKA_ID_BYTES && hex(bytes) == id;
        let Some(bytes) = unhex(id).filter(usable) else {
            return Ok(Err(RotationError::NoId(id.chars().take(MAX_SHOWN_CHARS).collect())));
        };
        let keys = self.log.keys();
        let authority = match order {
            KeyOrder::Retire { .. } => return Ok(self.retire(id).map(Some)),
            KeyOrder::Announce { .. } => keys
                .take_id(id)
                .map(|()| (self.authority.with_key(bytes, self.authority.verifier_key.clone()), false)),
            KeyOrder::Rotate { .. } => {
                keys.announced(id).map(|next| (self.authority.with_key(bytes, next.vkey.clone()), true))
            }
        };
        let (authority, pinned) = match authority {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        if !self.boundary.is_open() {
            return Ok(Err(RotationError::Closed));
        }
        if self.rotation.is_some() {
            return Ok(Err(RotationError::Busy));
        }
        let begun = self.attempt_on_standing(key)?.begin_candidate(authority, pinned);
        Ok(begun.map(|()| None).map_err(|error| RotationError::NewKey(Cause::no_thread(&error))))
    }

    fn retire(&mut self, cka_id: &str) -> Result<KeyChange, RotationError> {
        let now = self.clock.now();
        self.disk.over(|| self.log.retire(cka_id, now))?;
        self.show_keys();
        let retired = self.log.keys().keys().find(|key| key.cka_id == cka_id);
        Ok(KeyChange::of(cka_id, retired.map(|key| key.vkey.clone()).unwrap_or_default()))
    }

    /// A candidate has ended its proof. To announce it is all that there is to do here; to take over it waits for the end
    /// of the sealer's turn.
    pub(super) fn end_proof(&mut self, outcome: Result<Watched, Cause>) {
        let Some(rotation) = self.rotation.take() else { return };
        let Rotation { request, since, .. } = rotation;
        match (outcome, &request.order) {
            (Err(cause), _) => request.answer(Err(RotationError::NewKey(cause))),
            (Ok(candidate), KeyOrder::Announce { cka_id }) => {
                let cka_id = cka_id.clone();
                let public_key = candidate.signer().identity().public_key;
                let now = self.clock.now();
                let announced = self.disk.over(|| self.log.announce(&cka_id, &public_key, now));
                let change = announced.map(|next| KeyChange {
                    took_us: micros(&since),
                    ..KeyChange::of(&next.cka_id, next.vkey.clone())
                });
                self.show_keys();
                request.answer(change.map_err(RotationError::from));
            }
            (Ok(candidate), KeyOrder::Rotate { .. } | KeyOrder::Retire { .. }) => {
                self.rotation = Some(Rotation { request, since, proved: Some(candidate) });
            }
        }
    }

    /// Rotates, when a candidate is ready; true when another key signs behind it.
    pub(super) fn rotate(&mut self, key: &VerifierKey<'_>) -> Result<bool, SealerError> {
        let Some(rotation) = self.rotation.take_if(|rotation| rotation.proved.is_some()) else {
            return Ok(false);
        };
        let Rotation { request, since, proved: Some(candidate) } = rotation else { return Ok(false) };
        let held = Stopwatch::start();
        let cka_id = request.order.cka_id().to_owned();
        let next = match self.log.keys().announced(&cka_id) {
            Ok(next) => next.clone(),
            Err(refusal) => {
                request.answer(Err(refusal.into()));
                return Ok(false);
            }
        };
        let before = self.log.keys().signing().clone();
        let outcome = self.hand_over(candidate, &next, key)?;
        let rotated = outcome.is_ok();
        request.answer(outcome.map(|at| KeyChange {
            took_us: micros(&since),
            held_us: micros(&held),
            ..KeyChange::taking_over(&next, &before, self.log.keys().signing(), at)
        }));
        Ok(rotated)
    }

    /// The round in which the next key takes over. An error in it that is none of ours leaves everything as it was.
    fn hand_over(
        &mut self,
        mut candidate: Watched,
        next: &NextKey,
        key: &VerifierKey<'_>,
    ) -> Result<Result<Timestamp, RotationError>, SealerError> {
        // Where there is too little it closes the boundary.
        self.look_for_room();
        self.notice_trip();
        let epoch = self.noted;
        if !self.boundary.is_open_in(epoch) {
            return Ok(Err(RotationError::Closed));
        }
        let new_key = VerifierKey::parse(&next.vkey)?;
        let others = self.operations.len();
        self.operations.push(Operation::KeyAdded { verifier_key: next.vkey.clone() });
        let round = gather(self, self.operation_leaves(epoch)?, Vec::new())?;
        let checkpoint = round.checkpoint(key.name());
        // The new key first: while it can still fail, the old one has signed nothing that is not in the log.
        let deadline = self.authority.deadline;
        let signature = self.hsm.over(deadline, || sign_by(&mut candidate, &checkpoint, &new_key, deadline));
        let signature = match signature {
            Ok(signature) => signature,
            Err(cause) => {
                self.operations.truncate(others);
                return Ok(Err(RotationError::NewKey(cause)));
            }
        };
        let signed = match self.sign(&checkpoint, key) {
            Ok(signed) if self.boundary.is_open_in(epoch) => signed,
            outcome => {
                self.operations.truncate(others);
                let Err(cause) = outcome else { return Ok(Err(RotationError::Closed)) };
                self.close(cause.clone());
                return Ok(Err(RotationError::OldKey(cause)));
            }
        };
        let successor = Some(KeySignature { key_id: new_key.id(), signature });
        // The commit decides, and writes the ring behind it.
        self.commit_sealed(round, SignedCheckpoint { successor, ..signed }, epoch)?;
        self.take_over(candidate, next);
        Ok(Ok(self.log.keys().signing().since))
    }

    /// The log has the new key: from here on the appliance has it too, whatever becomes of its signer.
    fn take_over(&mut self, candidate: Watched, next: &NextKey) {
        self.authority = Arc::new(self.authority.with_key(next.cka_id_bytes(), next.vkey.clone()));
        self.show_keys();
        self.gauges.signer(candidate.signer().process().unwrap_or_default());
        // The old signer ends with this, and its end is no fault.
        let serving = self.signer.insert(candidate);
        serving.serve();
        let lost = serving.is_lost();
        // The boundary may have closed during the commit, for the old signer's sake: then the new one arms like any other.
        self.notice_trip();
        if lost && self.boundary.is_open() {
            self.close(Cause::lost_while_arming());
        }
        self.advance_fence();
    }

    pub(super) fn show_keys(&self) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = self.log.keys().clone();
    }
}

impl KeyChange {
    fn of(cka_id: &str, verifier_key: String) -> Self {
        Self {
            cka_id: cka_id.to_owned(),
            verifier_key,
            from_size: None,
            before: None,
            before_over_ms: None,
            took_us: 0,
            held_us: 0,
        }
    }

    fn taking_over(next: &NextKey, before: &RingKey, signing: &RingKey, at: Timestamp) -> Self {
        Self {
            from_size: Some(signing.from.0),
            before: Some(before.cka_id.clone()),
            before_over_ms: Some(over(at).0),
            ..Self::of(&next.cka_id, next.vkey.clone())
        }
    }
}

fn micros(since: &Stopwatch) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
