//! The watcher: turns what the boundaries do into incidents, one for each outage, and ends them.
//!
//! What it keeps: one outage is one alert, and one more only where what operators have to do became graver; when the boundary
//! opens, everything of it ends, also what an earlier process had begun. A start is quiet for a while, for it begins closed.
//! It goes by the boundary's own list of transitions, so that one that was over before it looked is told none the less.

use std::sync::Arc;

use assent_escalation::{End, Escalations, Incident, IncidentKey, IncidentView, Kind, Severity};
use assent_proto::calendar::Utc;
use assent_proto::number::{Epoch, Timestamp};
use tokio::sync::oneshot;

use super::DrillMark;
use super::break_glass::Uses;
use super::holds::Holds;
use super::outage_bound::{Outage, OutageBound};
use super::status::is_open;
use crate::clock::{Clock, Stopwatch};
use crate::hsm::FaultClass;
use crate::limits::{ESCALATION_POLL, ESCALATION_START_GRACE};
use crate::policy::Policies;
use crate::token::cause::{DISK_LOW, FENCE_MISMATCH};
use crate::token::{TokenBoundary, Transition};

/// The cause of a closing with which the process ends.
const FATAL: &str = "fatal";

/// What the watcher knows of, and raises through.
#[derive(Debug)]
pub(super) struct Watching {
    origin: String,
    boundary: Arc<TokenBoundary>,
    policies: Arc<Policies>,
    clock: Clock,
    raise: Escalations,
    drill: DrillMark,
    automatic: bool,
    began: Stopwatch,
    /// Whether the token boundary was open since this process began.
    opened: bool,
    /// The last transition that was looked at.
    seen: u64,
    /// What is open of the token boundary's outage.
    outage: Vec<Open>,
    evaluation: Option<IncidentKey>,
    bundle: Option<IncidentKey>,
    bound: Option<OutageBound>,
    uses: Option<Uses>,
    holds: Option<Holds>,
}

#[derive(Debug)]
struct Open {
    key: IncidentKey,
    kind: Kind,
    severity: Severity,
    since: Timestamp,
}

/// A closing of the token boundary, as it is told.
struct Closing<'a> {
    cause: &'a str,
    class: FaultClass,
    message: &'a str,
    since: Timestamp,
    epoch: Epoch,
}

/// Waits until something was done under a warrant.
async fn news(uses: Option<&Uses>) {
    match uses {
        Some(uses) => uses.news().await,
        None => std::future::pending().await,
    }
}

/// Where a transition stands among all: epochs rise with every closing, and each opens once.
fn rank(transition: &Transition) -> u64 {
    transition.epoch.saturating_mul(2).saturating_add(u64::from(transition.open))
}

impl Watching {
    /// `known`: what the outbox holds from before.
    #[expect(clippy::too_many_arguments, reason = "each is one thing that it watches or raises through")]
    pub(super) fn new(
        origin: String,
        boundary: Arc<TokenBoundary>,
        policies: Arc<Policies>,
        clock: Clock,
        raise: Escalations,
        drill: DrillMark,
        automatic: bool,
        known: &[IncidentView],
    ) -> Self {
        // The first is how it began, which is no closing.
        let seen = boundary.transitions().first().map_or(0, rank);
        let open = |kinds: &[Kind]| -> Vec<&IncidentView> {
            known.iter().filter(|incident| is_open(incident) && kinds.contains(&incident.kind)).collect()
        };
        let of_outage = |incident: &IncidentView| Open {
            key: incident.key.clone(),
            kind: incident.kind,
            severity: incident.severity,
            since: incident.since_ms,
        };
        let outage = open(&[Kind::Trip, Kind::FenceMismatch, Kind::DiskLow]).into_iter().map(of_outage);
        let last = |kind| open(&[kind]).last().map(|incident| incident.key.clone());
        let (evaluation, bundle) = (last(Kind::EvaluationClosed), last(Kind::BundleRefused));
        let (began, outage) = (Stopwatch::start(), outage.collect());
        Self {
            origin,
            boundary,
            policies,
            clock,
            raise,
            drill,
            automatic,
            began,
            opened: false,
            seen,
            outage,
            evaluation,
            bundle,
            bound: None,
            uses: None,
            holds: None,
        }
    }

    /// The same, with how long an outage may last, what is done under warrants, and what awaits approval.
    pub(super) fn with(self, bound: OutageBound, uses: Uses, holds: Holds) -> Self {
        Self { bound: Some(bound), uses: Some(uses), holds: Some(holds), ..self }
    }

    /// Watches until it is told to stop, and why, where nobody wanted it to.
    pub(super) async fn run(mut self, mut enough: oneshot::Receiver<Option<String>>) {
        let mut standing = self.boundary.subscribe();
        let fatal = loop {
            self.look();
            tokio::select! {
                heard = &mut enough => break heard.ok().flatten(),
                _ = standing.changed() => {}
                () = news(self.uses.as_ref()) => {}
                () = tokio::time::sleep(ESCALATION_POLL) => {}
            }
        };
        self.look();
        if let Some(why) = fatal {
            let epoch = self.boundary.epoch();
            let message = format!("the appliance has ended: {why}");
            let class = FaultClass::Integrity;
            let since = self.clock.now();
            self.close(&Closing { cause: FATAL, class, message: &message, since, epoch });
        }
    }

    fn look(&mut self) {
        self.token();
        let now = self.clock.now();
        self.evaluation(now);
        self.bundle(now);
        let (epoch, is_drill) = (self.boundary.epoch(), self.drill.is_on());
        let is_of_the_disk = self.outage.iter().any(|open| open.kind == Kind::DiskLow);
        // People hear of the outage first, and of a start that is merely slow they do not.
        if let Some(bound) =
            self.bound.as_mut().filter(|_| !self.outage.is_empty() && !self.boundary.is_open())
        {
            bound.look(Outage { now, epoch, is_of_the_disk, is_drill });
        }
        if let Some(uses) = &mut self.uses {
            uses.look(now, epoch, is_drill);
        }
        if let Some(holds) = &mut self.holds {
            holds.look(now, epoch, is_drill);
        }
    }

    fn token(&mut self) {
        for transition in self.boundary.transitions() {
            if rank(&transition) <= self.seen {
                continue;
            }
            self.seen = rank(&transition);
            let (at, epoch) = (Timestamp(transition.at_ms), Epoch(transition.epoch));
            let closed = self.boundary.closed().filter(|closed| closed.epoch == epoch);
            match (&transition.cause, transition.class, closed) {
                // That it is closed now is looked at below, in its own words.
                (_, _, Some(_)) if !transition.open => {}
                (Some(cause), Some(class), _) => {
                    self.close(&Closing { cause, class, message: cause, since: at, epoch });
                }
                (..) => self.open(at, epoch),
            }
        }
        if let Some(closed) = self.boundary.closed() {
            let class = closed.cause.class;
            let is_starting = !self.opened && class == FaultClass::Availability;
            if !is_starting || self.began.elapsed() >= ESCALATION_START_GRACE {
                let (cause, message) = (closed.cause.kind, closed.cause.message.as_str());
                self.close(&Closing { cause, class, message, since: closed.since, epoch: closed.epoch });
            }
        }
    }

    /// The token boundary is closed; nothing where that was said already.
    fn close(&mut self, closing: &Closing<'_>) {
        let Closing { cause, class, message, since, epoch } = *closing;
        let (severity, next) = match (class, self.automatic) {
            // Nobody's signature is wanted, and a start says whether one is.
            (_, _) if cause == FATAL => (
                Severity::Critical,
                "Look at the traces and at the disk, then start it again: it checks its log first.",
            ),
            (FaultClass::Integrity, _) => {
                (Severity::Critical, "It opens only when operators sign: `assent hsm rearm`.")
            }
            (FaultClass::Availability, true) => (
                Severity::Error,
                "It opens by itself when that is over: see to it; `assent status` shows how it stands.",
            ),
            (FaultClass::Availability, false) => {
                (Severity::Error, "See to it; it opens when an operator signs: `assent hsm rearm`.")
            }
        };
        if self.outage.iter().any(|open| open.severity >= severity) {
            return;
        }
        let kind = match cause {
            FENCE_MISMATCH => Kind::FenceMismatch,
            DISK_LOW => Kind::DiskLow,
            _ => Kind::Trip,
        };
        let mut discriminator = epoch.0.to_string();
        let key = IncidentKey::new(&self.origin, kind, &discriminator);
        if self.outage.iter().any(|open| open.key == key) {
            discriminator.push_str("-graver");
        }
        let (origin, time) = (&self.origin, Utc(since));
        let summary = format!(
            "The token boundary of {origin} is closed since {time} in epoch {}: {message}. {next}",
            epoch.0
        );
        let incident = Incident::new(kind, origin, &discriminator, &summary, since)
            .caused_by(cause)
            .with_severity(severity)
            .in_epoch(epoch)
            .with_detail("opens", next)
            .in_drill(self.drill.is_on());
        let key = incident.key().clone();
        if self.raise.begin(incident) {
            self.outage.push(Open { key, kind, severity, since });
        }
    }

    /// The token boundary is open: its outage is over.
    fn open(&mut self, at: Timestamp, epoch: Epoch) {
        self.opened = true;
        let (raise, origin) = (&self.raise, &self.origin);
        self.outage.retain(|open| {
            let seconds = at.0.saturating_sub(open.since.0) / 1000;
            let summary = format!(
                "The token boundary of {origin} is open again in epoch {}, after {seconds} s.",
                epoch.0
            );
            !raise.end(End::new(open.key.clone(), at).because(&summary))
        });
        if let Some(bound) = &mut self.bound {
            bound.end(at);
        }
    }

    fn evaluation(&mut self, now: Timestamp) {
        let closed = self.policies.boundary().closed(self.policies.moment(now));
        let incident = closed.map(|closed| {
            let summary = format!(
                "The evaluation boundary of {} is closed since {}: {}.",
                self.origin,
                Utc(closed.since),
                closed.cause
            );
            let since = closed.since.0.to_string();
            Incident::new(Kind::EvaluationClosed, &self.origin, &since, &summary, closed.since)
                .caused_by(closed.cause.kind())
        });
        let over = format!("The evaluation boundary of {} is open again.", self.origin);
        self.evaluation = self.lasting(self.evaluation.clone(), incident, &over, now);
    }

    fn bundle(&mut self, now: Timestamp) {
        let incident = self.policies.standing_refusal().map(|refused| {
            let summary = format!(
                "{} refused a bundle from {}, offered by {}; the one before stays in force. {}",
                self.origin, refused.source, refused.by, refused.reason
            );
            let (at, cause) = (refused.at_ms, refused.reason.split(':').next().unwrap_or_default());
            Incident::new(Kind::BundleRefused, &self.origin, &at.to_string(), &summary, Timestamp(at))
                .caused_by(cause)
                .with_detail("next", "`assent policy check` on it tells all that is wrong")
        });
        let over = format!("The bundle in force at {} is what its source offers again.", self.origin);
        self.bundle = self.lasting(self.bundle.clone(), incident, &over, now);
    }

    /// Begins or ends what lasts; gives what is open afterwards.
    fn lasting(
        &self,
        open: Option<IncidentKey>,
        incident: Option<Incident>,
        over: &str,
        now: Timestamp,
    ) -> Option<IncidentKey> {
        match (open, incident) {
            (None, Some(incident)) => {
                let incident = incident.in_epoch(self.boundary.epoch()).in_drill(self.drill.is_on());
                let key = incident.key().clone();
                self.raise.begin(incident).then_some(key)
            }
            (Some(key), None) => {
                let ended = self.raise.end(End::new(key.clone(), now).because(over));
                (!ended).then_some(key)
            }
            (open, _) => open,
        }
    }
}
