//! Sinks: who is told, and how. Each kind is a file that makes a request of a message; this one builds them from what the
//! configuration says, and sends.
//!
//! A configuration is refused whole rather than guessed at: a sink that was misconfigured would be found out on the day it is
//! needed. Secrets come from files, are read once, and go nowhere in the clear except to this machine.

mod alertmanager;
mod command;
mod configuration;
mod pagerduty;
mod slack;
mod webhook;

use assent_proto::number::Timestamp;

pub use configuration::{SinkConfig, SinkError, SinkKind};

use self::alertmanager::Alertmanager;
use self::command::Command;
use self::pagerduty::PagerDuty;
use self::slack::Slack;
use self::webhook::Webhook;
use crate::http::Client;
use crate::incident::{End, Incident, Kind, Severity};
use crate::message::Message;
use crate::outbox::{Outcome, Route};

#[derive(Debug)]
enum Door {
    Webhook(Webhook, Client),
    PagerDuty(PagerDuty, Client),
    Slack(Slack, Client),
    Alertmanager(Alertmanager, Client),
    Command(Command),
}

/// Somebody who is told.
#[derive(Debug)]
pub struct Sink {
    name: String,
    min_severity: Severity,
    door: Door,
}

impl Sink {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is told of.
    #[must_use]
    pub fn route(&self) -> Route {
        Route { name: self.name.clone(), min_severity: self.min_severity }
    }

    /// Sends a message, and waits for the answer until the sink's deadline.
    #[must_use]
    pub fn send(&self, message: &Message, now: Timestamp) -> Outcome {
        match &self.door {
            Door::Webhook(webhook, client) => client.post(&webhook.request(message, now), now),
            Door::PagerDuty(pagerduty, client) => client.post(&pagerduty.request(message), now),
            Door::Slack(slack, client) => client.post(&slack.request(message), now),
            Door::Alertmanager(alertmanager, client) => client.post(&alertmanager.request(message, now), now),
            Door::Command(command) => command.run(message),
        }
    }

    /// Sends the begin and the end of a test, beside the outbox; the first outcome that is not a delivery.
    #[must_use]
    pub fn test(&self, origin: &str, now: Timestamp) -> Outcome {
        let discriminator = format!("{}-{now}", self.name);
        let summary = format!("test of the escalation sink `{}`", self.name);
        let incident = Incident::new(Kind::Test, origin, &discriminator, &summary, now);
        let end = End::new(incident.key().clone(), now);
        for end in [None, Some(end)] {
            // Not of the outbox: the number that it never gives out.
            let message = Message::new(u64::MAX, u64::MAX, &self.name, 0, incident.clone(), end);
            let outcome = self.send(&message, now);
            if outcome != Outcome::Delivered {
                return outcome;
            }
        }
        Outcome::Delivered
    }
}
