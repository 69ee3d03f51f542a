//! The escalation room: how people come to know.
//!
//! The walk of an event has three steps. Whoever notices something *raises* it, through [`Escalations`], which never blocks,
//! or into the [`Outbox`] itself, which is one local commit. The *outbox* keeps it, with how far it has come at each sink, and
//! decides what goes out next: one incident is one alert and one resolve, in order, under ids that stay through every attempt.
//! A thread per sink, the [`Deliverer`]'s, takes it to the *[sink](Sink)*, which makes a request of it, sends it within a
//! deadline, and says what the answer means; that is written down before the next attempt.
//!
//! ```text
//! begin/end -> Escalations -> Outbox (redb) -> Deliverer -> Sink -> people
//!              bounded,       durable,         a thread      webhook, PagerDuty, Slack,
//!              counts loss    refuses when     for each      Alertmanager, command
//!                             full, counts
//! ```
//!
//! Delivery is at least once: killed between a delivery and its commit, an event goes out again under the same id. A sink that
//! is down slows nobody: it is asked again on the schedule of Standard Webhooks, and what it did not take after three days is
//! undeliverable, which the other sinks hear. The room decides nothing about boundaries, and knows no log but its origin.
//! (`appliance/DESIGN.md`, "Escalations".)

#![forbid(unsafe_code)]

mod calendar;
mod clock;
mod deliverer;
mod http;
mod incident;
pub mod limits;
mod message;
mod outbox;
mod raising;
pub mod schedule;
mod secret;
mod sink;
mod visible;

pub use assent_doors::outbound::RootsError;
pub use assent_doors::shelf::ShelfError;
pub use clock::{Clock, SystemClock};
pub use deliverer::{Deliverer, StartError, TestError};
pub use incident::{DRILL_MARK, Detail, ESCAPED, End, Event, Incident, IncidentKey, Kind, Severity};
pub use message::{Message, Phase};
pub use outbox::{
    DeliveryView, IncidentView, Next, Outbox, OutboxView, Outcome, ProgressView, Raised, Retry, Route,
    SinkView, StageView, Told,
};
pub use raising::Escalations;
pub use secret::SecretError;
pub use sink::{Sink, SinkConfig, SinkError, SinkKind};
pub use visible::visible;
