//! The desk of approvals: what `assent approval` asks of a running appliance.

use std::sync::Arc;

use assent_proto::entry::{Answer, Approval};
use assent_proto::refusal::Refusal;
use assent_proto::wire::Ticket;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::approval::{self, Held};
use super::desk::{IntentView, TicketView, shown_intents};
use super::{Line, Queue, State, intents};
use crate::limits::MAX_LISTED_TICKETS;
use crate::log::store::{Room, Row};
use crate::operators::SignatureFile;
use crate::pipeline::{Outcome, Pipeline};
use crate::policy::{Policies, Snapshot};
use crate::shown;
use crate::token::{Answered, Keeps, SealerHandle};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ApprovalOrder {
    /// What awaits approval.
    List,
    /// One hold, in full.
    Show {
        /// Its ticket.
        ticket: String,
    },
    /// Answer one; without a signature, tell what is to be signed.
    Answer {
        /// Its ticket.
        ticket: String,
        /// `true` approves it, `false` rejects it.
        approve: bool,
        /// The operator's.
        signature: Option<SignatureFile>,
    },
}

/// What a hold waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemandView {
    /// How many operators.
    pub count: u32,
    /// Of which group.
    pub group: String,
    /// Who is in it, without those whose own agent asks.
    pub operators: Vec<String>,
}

/// A hold, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldView {
    /// Its ticket.
    #[serde(flatten)]
    pub ticket: TicketView,
    /// The intent digest.
    pub digest: String,
    /// The risk at which it was held.
    pub risk: i64,
    /// The policies that held it.
    pub policies: Vec<String>,
    /// What it waits for.
    pub demands: Vec<DemandView>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalAnswer {
    /// What awaits approval, in the order in which it would be decided.
    Listed {
        /// The holds.
        holds: Vec<HoldView>,
        /// How many more there are.
        left_out: u64,
    },
    /// One hold.
    Shown {
        /// It.
        hold: Box<HoldView>,
        /// Its intent.
        intents: Vec<IntentView>,
    },
    /// This is to be signed.
    ToSign {
        /// The statement, byte for byte.
        statement: String,
        /// In which namespace.
        namespace: String,
        /// The hold, in full.
        hold: Box<HoldView>,
        /// Its intent.
        intents: Vec<IntentView>,
    },
    /// The answer is in the log.
    Recorded {
        /// Who gave it.
        by: String,
        /// The entry.
        leaf: u64,
        /// Whether it is decided now: rejected, or evaluated anew as soon as the boundaries are open.
        complete: bool,
    },
    /// It was not carried out.
    Refused(String),
    /// The signature does not count for this answer to this hold, so nothing was changed.
    Invalid(String),
}

/// What answers.
#[derive(Clone, Debug)]
pub struct ApprovalDesk {
    queue: Arc<Queue>,
    pipeline: Arc<Pipeline>,
    policies: Arc<Policies>,
    sealer: SealerHandle,
    origin: String,
    /// One answer at a time: two that come together must not each be the first.
    turn: Arc<Mutex<()>>,
}

impl ApprovalDesk {
    /// The desk of this queue.
    #[must_use]
    pub fn new(
        queue: Arc<Queue>,
        pipeline: Arc<Pipeline>,
        policies: Arc<Policies>,
        sealer: SealerHandle,
        origin: String,
    ) -> Self {
        Self { queue, pipeline, policies, sealer, origin, turn: Arc::default() }
    }

    /// Carries out an order; none: the appliance is stopping.
    pub async fn carry_out(&self, order: ApprovalOrder) -> Option<ApprovalAnswer> {
        Some(match order {
            ApprovalOrder::List => self.list(),
            ApprovalOrder::Show { ticket } => match self.hold(&ticket) {
                Ok((_, _, hold, intents)) => ApprovalAnswer::Shown { hold: Box::new(hold), intents },
                Err(why) => ApprovalAnswer::Refused(why),
            },
            ApprovalOrder::Answer { ticket, approve, signature } => {
                let answer = if approve { Answer::Approved } else { Answer::Rejected };
                self.answer(&ticket, answer, signature).await?
            }
        })
    }

    fn list(&self) -> ApprovalAnswer {
        let snapshot = self.policies.snapshot();
        let (lines, all) = self.queue.awaiting(MAX_LISTED_TICKETS);
        let left_out = (all - lines.len()) as u64;
        let view = |line: &Line| {
            let held = Held::of(self.sealer.reader(), line).ok()?;
            Some(view(line, &held, &snapshot))
        };
        ApprovalAnswer::Listed { holds: lines.iter().filter_map(view).collect(), left_out }
    }

    /// A hold with all that is known of it.
    fn hold(&self, ticket: &str) -> Result<(Line, Held, HoldView, Vec<IntentView>), String> {
        let id: Ticket = ticket.parse().map_err(|_| {
            format!("`{}` is no ticket: it has 32 hexadecimal digits", shown::visible(ticket))
        })?;
        let line = self.queue.find(id).ok_or_else(|| {
            format!("nothing waits under ticket {ticket}: it was decided, has expired or never did; see `assent approval list`")
        })?;
        if !matches!(line.state, State::AwaitingApproval(_)) {
            return Err(format!("ticket {ticket} does not await approval: it is {}", line.state.name()));
        }
        let held = Held::of(self.sealer.reader(), &line)?;
        let frame = intents(self.sealer.reader(), &line).map_err(|error| error.to_string())?;
        approval::same_intent(&frame, &held)?;
        let (intents, _) = shown_intents(&self.sealer, &line)?;
        let view = view(&line, &held, &self.policies.snapshot());
        Ok((line, held, view, intents))
    }

    async fn answer(
        &self,
        ticket: &str,
        answer: Answer,
        signature: Option<SignatureFile>,
    ) -> Option<ApprovalAnswer> {
        let _turn = self.turn.lock().await;
        let (line, held, hold, intents) = match self.hold(ticket) {
            Ok(hold) => hold,
            Err(why) => return Some(ApprovalAnswer::Refused(why)),
        };
        let statement = approval::statement(&self.origin, &line, &held, answer);
        let Some(signature) = signature else {
            let (namespace, hold) = (Approval::NAMESPACE.to_owned(), Box::new(hold));
            return Some(ApprovalAnswer::ToSign { statement, namespace, hold, intents });
        };
        let snapshot = self.policies.snapshot();
        Some(match self.admitted(&line, &held, &snapshot, &statement, &signature) {
            Ok((by, key)) => self.record(line, &held, &snapshot, answer, (by, key, signature.text)).await?,
            Err(why) => ApprovalAnswer::Invalid(why),
        })
    }

    /// Who signed, where they may answer this hold.
    fn admitted(
        &self,
        line: &Line,
        held: &Held,
        snapshot: &Snapshot,
        statement: &str,
        signature: &SignatureFile,
    ) -> Result<(String, String), String> {
        let signed = snapshot.approvers().signed(Approval::NAMESPACE, statement, signature)?;
        let (operator, name) = (signed.operator, &signed.operator.name);
        let demands = held.demands(snapshot);
        let groups: Vec<&str> = demands.iter().map(|demand| demand.group.as_str()).collect();
        if !groups.iter().any(|group| operator.groups.iter().any(|own| own == group)) {
            let groups = if groups.is_empty() { "no group".to_owned() } else { groups.join(", ") };
            return Err(format!("{name} is in none of the groups that may answer this hold: {groups}"));
        }
        if operator.agents.contains(&line.principal) {
            return Err(format!("{name} does not answer for an agent of their own; somebody else must"));
        }
        if line.approvers().iter().any(|approver| approver.name == *name) {
            return Err(format!("{name} has approved this hold already; somebody else must"));
        }
        Ok((name.clone(), signed.key))
    }

    /// Has an answer written down, and the ticket be what it makes of it.
    ///
    /// The ticket is out meanwhile: its end, written ahead of the answer, would have its row come back.
    pub(super) async fn record(
        &self,
        line: Line,
        held: &Held,
        snapshot: &Snapshot,
        answer: Answer,
        (by, key, signature): (String, String, String),
    ) -> Option<ApprovalAnswer> {
        let Some(taken) = self.queue.take(&line.key()) else {
            return Some(ApprovalAnswer::Refused(format!(
                "ticket {} is being decided just now",
                line.ticket()
            )));
        };
        let demands: Vec<_> = held.demands(snapshot).into_iter().cloned().collect();
        let (approvers, known_line) = (snapshot.approvers().clone(), line.clone());
        let approver = (by.clone(), key.clone());
        let changed = move |leaf| {
            let demands: Vec<_> = demands.iter().collect();
            let approver = approval::approver(&approver.0, &approver.1, leaf);
            approval::after(&known_line, answer, approver, &demands, &approvers)
        };
        let again = changed.clone();
        let keeps = Keeps::new(move |leaf| {
            let line = changed(leaf);
            // INVARIANT: encoding a line does not fail; a row that is not written would leave the hold as it was.
            let encoded = line.encoded().unwrap_or_default();
            vec![Row::put(Room::Waits, line.key().as_bytes(), encoded)]
        });
        let answered = Answered {
            hold: line.hold,
            intent: held.intent,
            principal: line.principal,
            answer,
            by: by.clone(),
            key,
            bundle: snapshot.digest(),
            signature,
            keeps,
        };
        let Some(leaf) = self.sealer.keep(answered).await else {
            return Some(ApprovalAnswer::Refused(
                "the answer cannot be written now; see `assent status`, and give it again".to_owned(),
            ));
        };
        let changed = again(leaf);
        let complete = !matches!(changed.state, State::AwaitingApproval(_));
        let (ticket, rejected) = (changed.ticket(), matches!(changed.state, State::Rejected(_)));
        self.queue.replace(changed);
        if !rejected {
            taken.put_back();
        } else if let Outcome::Decided(_) =
            // Where it cannot be written now the drainer goes on trying.
            self.pipeline.end_wait(taken, Refusal::ApprovalRejected).await?.outcome().await
        {
            tracing::info!(%ticket, by, "a hold was rejected");
        }
        Some(ApprovalAnswer::Recorded { by, leaf: leaf.0, complete })
    }
}

fn view(line: &Line, held: &Held, snapshot: &Snapshot) -> HoldView {
    let demand = |demand: &assent_compiler::Approval| DemandView {
        count: demand.count,
        group: demand.group.clone(),
        operators: snapshot
            .approvers()
            .in_group(&demand.group)
            .filter(|operator| !operator.agents.contains(&line.principal))
            .map(|operator| operator.name.clone())
            .collect(),
    };
    HoldView {
        ticket: TicketView::of(line),
        digest: held.intent.to_string(),
        risk: held.risk,
        policies: held.policies.clone(),
        demands: held.demands(snapshot).into_iter().map(demand).collect(),
    }
}
