//! The walk: wire, intent, evaluation, token, log, reply.
//!
//! An intent passes the rooms in this order and no other. A room takes one type and gives one that only it can make:
//!
//! ```text
//! frame --proto::wire--> Request --intent--> Classified --evaluation--> Judgement
//!       --token--> Sealed --log--> Receipt --Sealed::release--> reply
//! ```
//!
//! Between evaluation and token this chain has a gap. The proof of the judgement ends at `Judgement::into_ruling`: entries and
//! draft are made of plain rulings, which the sealer may have to change, and what it takes it takes at their word.
//!
//! A batch walks as one: decided under one bundle, at one time, in one epoch, with one run of entries. The connection walks
//! up to the draft; from there the sealer takes it.

pub mod deciding;
mod timing;
mod turns;
mod waiting;

use deciding::{Asked, DecideError, Decided, Limits};
use timing::{Timing, record, span};
use turns::Turns;
pub(crate) use turns::{Lane, Lanes, Turn};
pub(crate) use waiting::Outcome;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use assent_proto::entry::Grounds;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Frame, RequestError, TraceContext};
use tokio::sync::{oneshot, watch};
use tracing::Instrument as _;

use crate::clock::{Clock, Stopwatch};
use crate::evaluation::{Asserted, Rates};
use crate::identity::SpiffeId;
use crate::log::store::BatchKey;
use crate::meters::Distribution;
use crate::policy::shadow::{Shadow, ShadowStatus};
use crate::policy::{Policies, Snapshot};
use crate::queue::Queue;
use crate::token::{Answer, Draft, SealerHandle, Share, TokenBoundary};

/// The rooms, joined.
#[derive(Debug)]
pub struct Pipeline {
    policies: Arc<Policies>,
    sealer: SealerHandle,
    queue: Arc<Queue>,
    clock: Clock,
    /// How long the evaluation of one batch may take.
    deadline: Duration,
    rates: Rates,
    turns: Turns,
    /// What the queue may have of the places among the drafts.
    of_queue: Share,
    late: AtomicU64,
    timing: Timing,
    shadow: Option<Arc<Shadow>>,
}

impl Pipeline {
    /// Joins the rooms.
    #[must_use]
    pub fn new(
        policies: Arc<Policies>,
        sealer: SealerHandle,
        queue: Arc<Queue>,
        clock: Clock,
        deadline: Duration,
        shadow: Option<Arc<Shadow>>,
    ) -> Self {
        Self {
            policies,
            sealer,
            queue,
            clock,
            deadline,
            rates: Rates::default(),
            turns: Turns::default(),
            of_queue: Share::default(),
            late: AtomicU64::new(0),
            timing: Timing::default(),
            shadow,
        }
    }

    /// Answers a frame of this principal, asked in that trace: the reply frame. None: the appliance is stopping, and the batch, if it was
    /// decided at all, is to be fetched again under its id.
    pub(crate) async fn answer(
        &self,
        principal: &SpiffeId,
        (lane, turn): (&Lane, Turn<'_>),
        (frame, trace): (Vec<u8>, Option<TraceContext>),
    ) -> Option<Answer> {
        match Frame::parse_of_ticket(&frame) {
            Some(Ok(Frame::Collect(ticket))) => self.collect(principal, ticket).await,
            Some(Ok(Frame::Cancel(ticket))) => self.cancel(principal, ticket).await,
            Some(Ok(Frame::Preauthorize(_))) | None => {
                let began = Stopwatch::start();
                let span = span(principal, trace.as_ref());
                let answer = self.preauthorize(principal, (lane, turn), frame).instrument(span).await;
                if answer.as_ref().is_some_and(|answer| answer.refused.is_none()) {
                    self.timing.answered(began.elapsed());
                }
                answer
            }
            Some(Err(error)) => Some(refused_frame(principal, error)),
        }
    }

    async fn preauthorize(
        &self,
        principal: &SpiffeId,
        (lane, turn): (&Lane, Turn<'_>),
        frame: Vec<u8>,
    ) -> Option<Answer> {
        let mut disk = self.sealer.disk_hangs();
        let place = tokio::select! {
            biased;
            // Whatever was taken in now would wait for the disk, too.
            true = hangs(&mut disk) => return Some(refused(Refusal::TokenUnavailable)),
            place = self.sealer.place(frame.len(), lane.share()) => place?,
        };
        let deciding = self.turns.to_decide(frame.len()).await;
        let walked = match Asked::parse(&frame) {
            // The time is taken after the wait: a window begins when it was decided.
            Ok(asked) if !asked.request.batch().is_current(self.clock.now()) => {
                return Some(refused(Refusal::Expired));
            }
            Ok(asked) => {
                let key = BatchKey::new(asked.request.batch(), principal.as_str());
                // A ticket is the id of what waits under it: what is decided under it is that and nothing else.
                if self.queue.has(&key) {
                    return Some(refused(Refusal::BatchConflict));
                }
                let bundle = self.bundle();
                self.walk(principal, &asked, &bundle, Evidence::default()).map(|decided| (key, decided))
            }
            Err(error) => return Some(refused_frame(principal, error)),
        };
        drop(deciding);
        let (key, Decided { written, account, .. }) = match walked {
            Ok(walked) => walked,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "batch not decided");
                return Some(refused(Refusal::EvaluationUnavailable));
            }
        };
        let (answer, answered) = oneshot::channel();
        let shadowed = account.map(|account| (frame.clone(), account));
        let submitted = self.sealer.submit(Draft::new(key, frame, written, answer, place));
        // The next large frame of this principal may be read.
        drop(turn);
        if let (Some(shadow), Some((frame, account))) = (&self.shadow, shadowed) {
            shadow.compare(frame, principal.clone(), account);
        }
        if !submitted {
            return None;
        }
        tokio::select! {
            biased;
            answer = answered => answer.ok(),
            // The draft stays with the sealer, and asking again fetches what becomes of it.
            true = hangs(&mut disk) => Some(refused(Refusal::TokenUnavailable)),
        }
    }

    /// Waits until a large frame of this principal may be read.
    pub(crate) async fn turn_to_read<'t>(&'t self, lane: &'t Lane) -> Turn<'t> {
        self.turns.to_read(lane).await
    }

    /// The bundle in force. The boundary is looked at first: it opens behind a new bundle, and under the one before, which was not
    /// confirmed for too long, nothing is decided any more.
    fn bundle(&self) -> InForce {
        let is_closed = self.policies.boundary().closed(self.policies.moment(self.clock.now())).is_some();
        InForce { is_closed, snapshot: self.policies.snapshot() }
    }

    /// Takes what else holds at this moment, and decides the batch under it and this bundle.
    fn walk(
        &self,
        principal: &SpiffeId,
        asked: &Asked<'_>,
        bundle: &InForce,
        evidence: Evidence,
    ) -> Result<Decided, DecideError> {
        let (began, now) = (Stopwatch::start(), self.clock.now());
        let (moment, boundary) = (self.policies.moment(now), self.sealer.boundary());
        // What waited was counted when it was asked.
        let counted = if evidence.waited { 0 } else { asked.intents.len() };
        let rate_before = self.rates.count(principal.as_str(), moment.running, counted);
        let (epoch, degraded, approvals) = (boundary.epoch(), !boundary.is_open(), evidence.approvals);
        let asserted = Asserted { now, epoch, degraded, approvals, rate_before };
        let is_closed = bundle.is_closed || self.policies.boundary().closed(moment).is_some();
        let has_shadow = !is_closed
            && !evidence.waited
            && self.shadow.as_ref().is_some_and(|shadow| shadow.has_room(asked.request.frame().len()));
        let is_late = || began.left_of(self.deadline).is_none();
        let limits = Limits { is_closed, has_shadow, grounds: evidence.grounds, is_late };
        let decided = asked.decide(&bundle.snapshot, principal, asserted, limits)?;
        self.timing.evaluated(began.elapsed());
        record(asked.request.batch(), &decided.written);
        if decided.late > 0 {
            let (late, deadline) = (decided.late, self.deadline);
            tracing::warn!(%principal, late, ?deadline, "a batch passed `policy.deadline`; the rest of it was refused");
            self.late.fetch_add(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        Ok(decided)
    }

    /// Intents that were not evaluated because their batch had passed its deadline.
    #[must_use]
    pub fn late_intents(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// How long batches took from their last byte to their answer, in nanoseconds.
    #[must_use]
    pub fn answering(&self) -> Distribution {
        self.timing.answering()
    }

    /// How long deciding them took, in nanoseconds.
    #[must_use]
    pub fn evaluating(&self) -> Distribution {
        self.timing.evaluating()
    }

    /// The token boundary: whoever sends an answer with tokens looks at it once more.
    #[must_use]
    pub const fn boundary(&self) -> &Arc<TokenBoundary> {
        self.sealer.boundary()
    }

    /// Whether what is decided now can lead to a token.
    pub(crate) fn is_open(&self) -> bool {
        let moment = self.policies.moment(self.clock.now());
        self.boundary().is_open() && self.policies.boundary().closed(moment).is_none()
    }

    /// How the shadow bundle does, where there is one.
    #[must_use]
    pub fn shadow(&self) -> Option<ShadowStatus> {
        self.shadow.as_ref().map(|shadow| shadow.status())
    }
}

/// A bundle to decide by, and whether the evaluation boundary was closed when it was taken.
#[derive(Debug)]
struct InForce {
    is_closed: bool,
    snapshot: Arc<Snapshot>,
}

/// What is known of a batch besides its intents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// Whether it waited.
    pub(crate) waited: bool,
    /// How many operators approved it.
    pub(crate) approvals: i64,
    /// On what an allow rests.
    pub(crate) grounds: Grounds,
}

impl Default for Evidence {
    /// Of a batch that an agent asks.
    fn default() -> Self {
        Self { waited: false, approvals: 0, grounds: Grounds::Policy }
    }
}

/// Waits until the disk hangs; false where it never will.
async fn hangs(disk: &mut watch::Receiver<bool>) -> bool {
    disk.wait_for(|hangs| *hangs).await.is_ok()
}

fn refused_frame(principal: &SpiffeId, error: RequestError) -> Answer {
    tracing::debug!(%principal, %error, "frame refused");
    refused(error.refusal())
}

fn refused(refusal: Refusal) -> Answer {
    Answer::refused(refusal)
}
