//! What waits, on its walk: asked about, withdrawn, decided anew, or ended.
//!
//! It goes the way of every batch, as a batch of its own under its ticket. So it is decided once: the log answers whoever
//! asks again.

use std::sync::Arc;

use assent_proto::codec::CodecError;
use assent_proto::entry::{Grounds, Salt};
use assent_proto::intent::Intent;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Head, Ruling, Ticket, Verdict};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::deciding::{Asked, DecideError, Decided};
use super::{Evidence, Pipeline, refused};
use crate::identity::SpiffeId;
use crate::limits::COLLECT_PATIENCE;
use crate::log::Leaves;
use crate::log::store::BatchKey;
use crate::policy::Snapshot;
use crate::queue::approval::{self, Held};
use crate::queue::{self, Line, State, Taken};
use crate::token::draft::tokens_in;
use crate::token::{Answer, AskedBy, Draft, Written};

/// What became of a ticket that was to be decided.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was decided, and the log has it.
    Decided(Answer),
    /// It waits as before.
    WaitsOn,
}

/// A ticket in the sealer's hands, or back in the queue already.
#[derive(Debug)]
#[must_use]
pub(crate) struct Pending(JoinHandle<Outcome>);

impl Pending {
    /// Follows a draft to its answer, in a task of its own: whoever waits for the outcome may be gone before.
    fn follow(taken: Taken, answered: Option<oneshot::Receiver<Answer>>) -> Self {
        Self(tokio::spawn(async move {
            let answer = match answered {
                Some(answered) => answered.await.ok(),
                None => None,
            };
            // Behind the answer: as long as the sealer has the draft nobody else may have the ticket.
            drop(taken);
            answer.map_or(Outcome::WaitsOn, Outcome::Decided)
        }))
    }

    /// What becomes of it.
    pub(crate) async fn outcome(self) -> Outcome {
        // An error: the appliance is stopping.
        self.0.await.unwrap_or(Outcome::WaitsOn)
    }
}

impl Pipeline {
    /// Answers with what became of a ticket; while it waits, the question does, too, for a time.
    pub(super) async fn collect(&self, principal: &SpiffeId, ticket: Ticket) -> Option<Answer> {
        let key = BatchKey::new(ticket.0, principal.as_str());
        Some(match self.queue.ended(&key, COLLECT_PATIENCE).await {
            Some(refusal) => refused(refusal),
            None => self.recorded(&key),
        })
    }

    /// The answer that the log has for a ticket.
    fn recorded(&self, key: &BatchKey) -> Answer {
        match self.sealer.reader().answer(key) {
            Ok(Some(recorded)) if recorded.allows && !self.boundary().is_open() => {
                refused(Refusal::TokenUnavailable)
            }
            Ok(Some(recorded)) => {
                let tokens = tokens_in(&recorded.reply);
                Answer::decided(recorded.reply, tokens)
            }
            Ok(None) => refused(Refusal::TicketUnknown),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a recorded answer cannot be read");
                refused(Refusal::TokenUnavailable)
            }
        }
    }

    /// Withdraws what waits under a ticket. What is being decided meanwhile is decided, and answered.
    pub(super) async fn cancel(&self, principal: &SpiffeId, ticket: Ticket) -> Option<Answer> {
        let key = BatchKey::new(ticket.0, principal.as_str());
        match self.queue.take(&key) {
            Some(taken) => match self.end_wait(taken, Refusal::Cancelled).await?.outcome().await {
                Outcome::Decided(answer) => Some(answer),
                Outcome::WaitsOn => Some(refused(Refusal::TokenUnavailable)),
            },
            None => self.collect(principal, ticket).await,
        }
    }

    /// Decides anew what waited, and hands it to the sealer. None: the appliance is stopping.
    pub(crate) async fn decide_again(&self, taken: Taken) -> Option<Pending> {
        self.conclude(taken, AskedBy::Queue, |line, principal, asked| {
            // While a boundary is closed nothing is a decision: it waits for both.
            if !self.is_open() {
                return Ok(None);
            }
            // One bundle says who still counts and decides: under another, those who were counted may be nobody.
            let bundle = self.bundle();
            let Some(evidence) = self.evidence(line, &bundle.snapshot)? else { return Ok(None) };
            self.walk(principal, asked, &bundle, evidence).map(|Decided { written, .. }| Some(written))
        })
        .await
    }

    /// What is known of a ticket besides its intents. None where this bundle does not take those for enough who
    /// approved it: then it awaits approval again.
    fn evidence(&self, line: &Line, snapshot: &Arc<Snapshot>) -> Result<Option<Evidence>, DecideError> {
        let mut evidence = Evidence { waited: true, ..Evidence::default() };
        let State::Approved(_) = &line.state else { return Ok(Some(evidence)) };
        let held = Held::of(self.sealer.reader(), line).map_err(DecideError::Hold)?;
        match approval::recounted(line, &held, snapshot) {
            Some(approvers) => {
                evidence.approvals = i64::try_from(approvers.len()).unwrap_or(i64::MAX);
                let last = approvers.iter().map(|approver| approver.leaf).max();
                evidence.grounds = last.map_or(evidence.grounds, Grounds::Approval);
                Ok(Some(evidence))
            }
            None => {
                tracing::warn!(ticket = %line.ticket(), "approvals do not count any more: an operator is not who they were");
                let approvers = line.approvers().to_vec();
                let mut line = line.clone();
                line.state = State::AwaitingApproval(approvers);
                self.queue.replace(line);
                Ok(None)
            }
        }
    }

    /// Refuses what waited, for a reason that no policy gives. None: the appliance is stopping.
    pub(crate) async fn end_wait(&self, taken: Taken, refusal: Refusal) -> Option<Pending> {
        self.conclude(taken, AskedBy::EndOfWait, |_, principal, asked| {
            let head = self.head(principal)?;
            refuse_all(&head, &asked.intents, refusal).map(Some)
        })
        .await
    }

    async fn conclude(
        &self,
        taken: Taken,
        asked_by: AskedBy,
        decide: impl FnOnce(&Line, &SpiffeId, &Asked<'_>) -> Result<Option<Written>, DecideError>,
    ) -> Option<Pending> {
        let line = taken.line();
        let place = self.sealer.place(usize::try_from(line.bytes).ok()?, &self.of_queue).await?;
        let draft = match self.written(line, decide) {
            Ok(Some((frame, written))) => Some((frame, written)),
            Ok(None) => None,
            Err(error) => {
                tracing::error!(
                    ticket = %line.ticket(),
                    error = &error as &dyn std::error::Error,
                    "what waits was not decided; it waits on"
                );
                None
            }
        };
        let answered = match draft {
            Some((frame, written)) => {
                let (answer, answered) = oneshot::channel();
                let draft = Draft::new(line.key(), frame, written, answer, place).asked_by(asked_by);
                if !self.sealer.submit(draft) {
                    return None;
                }
                Some(answered)
            }
            None => None,
        };
        Some(Pending::follow(taken, answered))
    }

    fn written(
        &self,
        line: &Line,
        decide: impl FnOnce(&Line, &SpiffeId, &Asked<'_>) -> Result<Option<Written>, DecideError>,
    ) -> Result<Option<(Vec<u8>, Written)>, DecideError> {
        let frame = queue::intents(self.sealer.reader(), line)?;
        let principal = SpiffeId::parse(&line.principal).map_err(|_| CodecError::Malformed)?;
        let asked = Asked::parse(&frame).map_err(|_| CodecError::Malformed)?;
        let written = decide(line, &principal, &asked)?;
        Ok(written.map(|written| (frame, written)))
    }

    fn head<'p>(&self, principal: &'p SpiffeId) -> Result<Head<'p>, DecideError> {
        let mut salt = Salt::default();
        getrandom::fill(&mut salt.0)?;
        let (time, epoch, bundle) = (self.clock.now(), self.boundary().epoch(), self.policies.digest());
        Ok(Head { time, epoch, bundle, salt, principal: principal.as_str() })
    }
}

fn refuse_all(head: &Head<'_>, intents: &[Intent<'_>], refusal: Refusal) -> Result<Written, DecideError> {
    let ruling = Ruling { verdict: Verdict::Deny(refusal), risk: 0, policies: Default::default() };
    let count = intents.len();
    let mut leaves = Leaves::with_capacity(count, count * 512);
    for (position, intent) in (0..).zip(intents) {
        leaves.push(&ruling.clone().entry(head, position, intent, intent.act.digest()))?;
    }
    Ok(Written::new(head, std::slice::from_ref(&ruling), &vec![0; count], leaves)?)
}
