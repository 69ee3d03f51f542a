//! The appliance itself, where it runs: whether this program and that one agree, and what it says is wrong.

use super::Subject;
use super::findings::Findings;
use crate::cli::output::chain;
use crate::config::Config;
use crate::control::{self, ControlError};
use crate::hsm::FaultClass;
use crate::serving::status::{BoundaryStatus, Status};

/// Whether an appliance runs on this data folder.
pub(super) enum Running {
    /// None does.
    No,
    /// One does, and says this.
    Yes(Box<Status>),
    /// One does that this program does not understand; of which version it is, if it says.
    Other(Option<String>),
    /// One does not answer, or not us.
    Mute(String),
}

impl Running {
    pub(super) fn ask(config: &Config) -> Self {
        let data = &config.appliance.data;
        match control::ask_status(data) {
            Ok(status) => Self::Yes(Box::new(status)),
            Err(ControlError::Silent { .. }) => Self::No,
            Err(ControlError::Answer(_)) => Self::Other(control::ask_version(data).ok()),
            Err(
                error @ (ControlError::Unreached { .. }
                | ControlError::Unanswered { .. }
                | ControlError::Listen { .. }),
            ) => Self::Mute(chain(&error)),
        }
    }

    pub(super) fn status(&self) -> Option<&Status> {
        match self {
            Self::Yes(status) => Some(status),
            Self::No | Self::Other(_) | Self::Mute(_) => None,
        }
    }

    /// Whether something holds the log and the ports.
    pub(super) const fn is_up(&self) -> bool {
        !matches!(self, Self::No)
    }
}

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    const RESTART: &str = "restart the appliance: `systemctl restart assent`";
    let ours = env!("CARGO_PKG_VERSION");
    match &subject.running {
        Running::No => findings.ok("appliance", "does not run; its files are looked at"),
        Running::Mute(why) => {
            findings.fail(
                "appliance",
                why.clone(),
                "run this as the appliance's user; if it hangs, restart it",
            );
        }
        Running::Other(version) => {
            let theirs = version.as_deref().unwrap_or("another version");
            findings.fail("appliance", format!("{theirs} runs, and this program is {ours}"), RESTART);
        }
        Running::Yes(status) if status.version != ours => {
            let found = format!("version {} runs, and this program is {ours}", status.version);
            findings.fail("appliance", found, RESTART);
        }
        Running::Yes(_) => findings.ok("appliance", format!("version {ours} runs, and answers")),
    }
    let Some(status) = subject.running.status() else { return };
    if status.origin != subject.config.origin() {
        let found =
            format!("{} is served, the configuration says {}", status.origin, subject.config.origin());
        findings.fail("serves this log", found, RESTART);
    }
    let boundaries = &status.boundaries;
    for (name, boundary) in [
        ("intent boundary", &boundaries.intent),
        ("evaluation boundary", &boundaries.evaluation),
        ("token boundary", &boundaries.token),
    ] {
        examine_boundary(name, boundary, findings);
    }
    let refused = status.counters.refused_unlogged;
    if refused > 0 {
        let found = format!("{refused} intents were refused without an entry since start");
        findings.fail("unsigned entries", found, "end the outage: `assent status` says which");
    }
    if let Some(refused) = status.policy.standing_refusal() {
        let found = format!("the last bundle from {} was refused: {}", refused.source, refused.reason);
        findings.warn("offered bundle", found, "`assent policy check`");
    }
}

fn examine_boundary(name: &str, boundary: &BoundaryStatus, findings: &mut Findings) {
    if boundary.open {
        findings.ok(name, "open");
        return;
    }
    let message = boundary.message.as_deref().unwrap_or("no cause is told");
    let next = match boundary.class {
        Some(FaultClass::Integrity) => "find out why, then let operators open it: `assent hsm rearm`",
        Some(FaultClass::Availability) | None => "mend the cause; `assent status` shows whether it opens",
    };
    findings.fail(name, format!("closed: {message}"), next);
}
