//! The walk: wire, intent, evaluation, token, log, reply.
//!
//! An intent passes the rooms in this order and no other. Each room takes one type and gives one that only it can make:
//!
//! ```text
//! frame --proto::wire--> Request --intent--> Classified --evaluation--> Judgement
//!       --token--> Sealed --log--> Receipt --Sealed::release--> reply
//! ```
//!
//! A batch walks as one: decided under one bundle, at one time, in one epoch, with one run of entries. The connection walks
//! up to the draft; from there the sealer takes it.

use std::sync::Arc;

use assent_evaluator::Facts;
use assent_proto::codec::CodecError;
use assent_proto::entry::Salt;
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Head, Request, Ruling, append_refused};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::evaluation::evaluate;
use crate::identity::SpiffeId;
use crate::intent::Reading;
use crate::log::Leaves;
use crate::log::store::BatchKey;
use crate::policy::{Policies, Snapshot};
use crate::token::{Draft, DraftError, SealerHandle, Written};

/// The rooms, joined.
#[derive(Debug)]
pub struct Pipeline {
    policies: Arc<Policies>,
    sealer: SealerHandle,
    clock: Clock,
}

/// Our own fault: nothing was decided.
#[derive(Debug, thiserror::Error)]
enum DecideError {
    #[error("an entry cannot be encoded")]
    Encoding(#[from] CodecError),
    #[error("a draft cannot be encoded")]
    Draft(#[from] DraftError),
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

impl Pipeline {
    /// Joins the rooms.
    #[must_use]
    pub const fn new(policies: Arc<Policies>, sealer: SealerHandle, clock: Clock) -> Self {
        Self { policies, sealer, clock }
    }

    /// Answers a frame of this principal: the reply frame. None: the appliance is stopping, and the batch, if it was
    /// decided at all, is to be fetched again under its id.
    pub async fn answer(&self, principal: &SpiffeId, frame: Vec<u8>) -> Option<Vec<u8>> {
        let place = self.sealer.place().await?;
        // The time is taken after the wait: a window begins when it was decided.
        let (now, epoch) = (self.clock.now(), self.sealer.boundary().epoch());
        let walked = match Request::parse(&frame) {
            Ok(request) if !request.batch().is_current(now) => return Some(refused(Refusal::Expired)),
            Ok(request) => {
                let key = BatchKey::new(request.batch(), principal.as_str());
                decide(&self.policies.snapshot(), principal, request, now, epoch)
                    .map(|written| (key, written))
            }
            Err(error) => {
                tracing::debug!(%principal, %error, "frame refused");
                return Some(refused(error.refusal()));
            }
        };
        let (key, written) = match walked {
            Ok(walked) => walked,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "batch not decided");
                return Some(refused(Refusal::EvaluationUnavailable));
            }
        };
        let (answer, answered) = oneshot::channel();
        let submitted = self.sealer.submit(Draft::new(key, frame, written, answer, place));
        if submitted { answered.await.ok() } else { None }
    }
}

/// Walks every intent of a batch through the intent and the evaluation boundary.
fn decide(
    snapshot: &Snapshot,
    principal: &SpiffeId,
    request: Request<'_>,
    now: Timestamp,
    epoch: Epoch,
) -> Result<Written, DecideError> {
    let mut salt = Salt::default();
    getrandom::fill(&mut salt.0)?;
    let head = Head { time: now, epoch, bundle: snapshot.digest(), salt, principal: principal.as_str() };
    let view = snapshot.bundle().view();
    let subject = snapshot.principal(principal.as_str());
    let facts = facts(now, epoch);
    let intents = request.intents();
    let mut rulings: Vec<Ruling<'_>> = Vec::new();
    let mut outcomes = Vec::with_capacity(intents.len());
    let mut reading = Reading::new(&view);
    let mut leaves = Leaves::with_capacity(intents.len(), intents.len() * 512);
    for (position, (intent, _)) in intents.enumerate() {
        let ruling = match reading.classify(subject, &intent, facts) {
            Ok(classified) => evaluate(classified, snapshot).into_ruling(),
            Err(unclassified) => unclassified.ruling(),
        };
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        leaves.push(&ruling.clone().entry(&head, position, &intent, intent.act.digest()))?;
        outcomes.push(number_of(ruling, &mut rulings));
    }
    Ok(Written::new(&head, &rulings, &outcomes, leaves)?)
}

/// What the appliance asserts to the policies in `context.assent`.
fn facts(now: Timestamp, epoch: Epoch) -> Facts {
    Facts {
        now_ms: i64::try_from(now.0).unwrap_or(i64::MAX),
        approvals: 0,
        degraded: false,
        agent_rate: 0,
        epoch: i64::try_from(epoch.0).unwrap_or(i64::MAX),
    }
}

/// The number of a ruling among the distinct ones; a batch has few.
fn number_of<'r>(ruling: Ruling<'r>, rulings: &mut Vec<Ruling<'r>>) -> u16 {
    let number = rulings.iter().position(|known| *known == ruling).unwrap_or_else(|| {
        rulings.push(ruling);
        rulings.len() - 1
    });
    // INVARIANT: a batch has at most MAX_BATCH_INTENTS rulings, which fits.
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn refused(refusal: Refusal) -> Vec<u8> {
    let mut reply = Vec::with_capacity(2);
    append_refused(refusal, &mut reply);
    reply
}
