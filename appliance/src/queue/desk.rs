//! The desk: what `assent queue` asks of a running appliance.

use std::sync::Arc;

use assent_proto::hash::Hash;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Request, Ticket};
use serde::{Deserialize, Serialize};

use super::{Line, Queue, QueueLimits, intents};
use crate::limits::{MAX_LISTED_BYTES, MAX_LISTED_TICKETS};
use crate::pipeline::{Outcome, Pipeline};
use crate::shown;
use crate::token::{Operation, SealerHandle};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum QueueOrder {
    /// What waits.
    List,
    /// One ticket, with its intents.
    Show {
        /// Which.
        ticket: String,
    },
    /// That a ticket wait no longer.
    Cancel {
        /// Which.
        ticket: String,
        /// Why, for the log.
        reason: String,
    },
}

/// A ticket, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketView {
    /// Its name.
    pub ticket: String,
    /// Whose.
    pub principal: String,
    /// `low`, `normal`, `high` or `critical`.
    pub priority: String,
    /// `queued`, `awaiting_approval` or `approved`.
    pub state: String,
    /// How many intents.
    pub intents: u32,
    /// Bytes of them.
    pub bytes: u32,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// By when it is decided or expires.
    pub until_ms: u64,
    /// The leaf of the first hold.
    pub hold: u64,
    /// Who approved it so far.
    pub approved_by: Vec<String>,
}

/// One of its intents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntentView {
    /// The intent digest.
    pub digest: String,
    /// As agents write it.
    pub intent: serde_json::Value,
}

/// How the queue stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Intents that wait for the boundaries, from the lowest priority to the highest.
    pub queued: [u64; 4],
    /// Intents that wait for operators.
    pub awaiting_approval: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Intents that may wait.
    pub intents_max: u64,
    /// Bytes that may.
    pub bytes_max: u64,
    /// Since when the oldest waits that waits for the boundaries, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
    /// Since when the oldest waits that waits for operators.
    #[serde(default)]
    pub oldest_hold_ms: Option<u64>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueAnswer {
    /// What waits, in the order in which it is decided.
    Listed {
        /// The tickets.
        tickets: Vec<TicketView>,
        /// How many more there are.
        left_out: u64,
        /// How it stands as a whole.
        status: QueueStatus,
    },
    /// One ticket.
    Shown {
        /// It.
        ticket: TicketView,
        /// Its intents.
        intents: Vec<IntentView>,
        /// How many more there are.
        left_out: u64,
    },
    /// It waits no longer.
    Cancelled(TicketView),
    /// It was not carried out.
    Refused(String),
}

impl TicketView {
    pub(crate) fn of(line: &Line) -> Self {
        Self {
            ticket: line.ticket().to_string(),
            principal: line.principal.clone(),
            priority: format!("{:?}", line.priority).to_lowercase(),
            state: line.state.name().to_owned(),
            intents: line.intents,
            bytes: line.bytes,
            since_ms: line.since.0,
            until_ms: line.ticket().until().0,
            hold: line.hold.0,
            approved_by: line.approvers().iter().map(|approver| approver.name.clone()).collect(),
        }
    }
}

impl QueueStatus {
    /// How it stands.
    #[must_use]
    pub fn of(queue: &Queue) -> Self {
        let (queued, awaiting_approval) = queue.depths();
        let QueueLimits { intents: intents_max, bytes: bytes_max, .. } = queue.limits();
        let (oldest, oldest_hold) = queue.oldest();
        Self {
            queued,
            awaiting_approval,
            bytes: queue.counts().bytes,
            intents_max,
            bytes_max,
            oldest_ms: oldest.map(|since| since.0),
            oldest_hold_ms: oldest_hold.map(|since| since.0),
        }
    }
}

/// What answers.
#[derive(Clone, Debug)]
pub struct QueueDesk {
    queue: Arc<Queue>,
    pipeline: Arc<Pipeline>,
    sealer: SealerHandle,
}

impl QueueDesk {
    /// The desk of this queue.
    #[must_use]
    pub const fn new(queue: Arc<Queue>, pipeline: Arc<Pipeline>, sealer: SealerHandle) -> Self {
        Self { queue, pipeline, sealer }
    }

    /// How the queue stands.
    #[must_use]
    pub fn status(&self) -> QueueStatus {
        QueueStatus::of(&self.queue)
    }

    /// Carries out an order; none: the appliance is stopping.
    pub async fn carry_out(&self, order: QueueOrder, by: String) -> Option<QueueAnswer> {
        Some(match order {
            QueueOrder::List => self.list(),
            QueueOrder::Show { ticket } => self.show(&ticket),
            QueueOrder::Cancel { ticket, reason } => self.cancel(&ticket, &reason, by).await?,
        })
    }

    fn list(&self) -> QueueAnswer {
        let (lines, all) = self.queue.lines(MAX_LISTED_TICKETS);
        let left_out = (all - lines.len()) as u64;
        let tickets = lines.iter().map(TicketView::of).collect();
        QueueAnswer::Listed { tickets, left_out, status: self.status() }
    }

    fn show(&self, ticket: &str) -> QueueAnswer {
        let line = match self.find(ticket) {
            Ok(line) => line,
            Err(why) => return QueueAnswer::Refused(why),
        };
        match shown_intents(&self.sealer, &line) {
            Ok((intents, left_out)) => {
                QueueAnswer::Shown { ticket: TicketView::of(&line), intents, left_out }
            }
            Err(why) => QueueAnswer::Refused(why),
        }
    }

    async fn cancel(&self, ticket: &str, reason: &str, by: String) -> Option<QueueAnswer> {
        let line = match self.find(ticket) {
            Ok(line) => line,
            Err(why) => return Some(QueueAnswer::Refused(why)),
        };
        if let Err(why) = shown::one_line("reason", reason) {
            return Some(QueueAnswer::Refused(why));
        }
        let Some(taken) = self.queue.take(&line.key()) else {
            return Some(QueueAnswer::Refused(format!("ticket {ticket} is being decided just now")));
        };
        let statement = format!("ticket {ticket}\nprincipal {}\nreason {reason}\n", line.principal);
        let (act, signatures) = ("cancel", Vec::new());
        self.sealer.record(Operation::Operators { act, by: vec![by], statement, signatures });
        Some(match self.pipeline.end_wait(taken, Refusal::Cancelled).await?.outcome().await {
            Outcome::Decided(_) => QueueAnswer::Cancelled(TicketView::of(&line)),
            Outcome::WaitsOn => QueueAnswer::Refused(format!(
                "ticket {ticket} waits on: its end cannot be written now; see `assent status`"
            )),
        })
    }

    fn find(&self, ticket: &str) -> Result<Line, String> {
        let id: Ticket = ticket.parse().map_err(|_| {
            format!("`{}` is no ticket: it has 32 hexadecimal digits", shown::visible(ticket))
        })?;
        self.queue.find(id).ok_or_else(|| {
            format!(
                "nothing waits under ticket {ticket}: it was decided or never did; see `assent queue list`"
            )
        })
    }
}

/// The intents of a ticket, as many as an answer has room for, and how many more there are.
pub(crate) fn shown_intents(sealer: &SealerHandle, line: &Line) -> Result<(Vec<IntentView>, u64), String> {
    let unreadable =
        |what: &dyn std::fmt::Display| format!("the intents of the ticket cannot be read: {what}");
    let frame = intents(sealer.reader(), line).map_err(|error| unreadable(&error))?;
    let request = Request::parse(&frame).map_err(|error| unreadable(&error))?;
    let (mut views, mut bytes) = (Vec::new(), 0_usize);
    for (intent, _) in request.intents() {
        let digest: Hash = intent.act.digest();
        let intent = shown::intent(&intent).map_err(|error| unreadable(&error))?;
        bytes = bytes.saturating_add(intent.to_string().len());
        if bytes > MAX_LISTED_BYTES {
            break;
        }
        views.push(IntentView { digest: digest.to_string(), intent });
    }
    let left_out = request.intents().len().saturating_sub(views.len()) as u64;
    Ok((views, left_out))
}
