//! Incidents: what people are to know of, as the rest of the appliance states it.
//!
//! The kinds are a closed list, so that a metric or a route may be labelled with them. All texts are bounded and made visible
//! where they enter, here. What an incident means for the boundaries is not known here. (`appliance/DESIGN.md`, "Escalations".)

use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::visible::prints;
use serde::{Deserialize, Serialize};

use crate::limits::{
    MAX_CAUSE_BYTES, MAX_DETAIL_BYTES, MAX_DETAIL_NAME_BYTES, MAX_DETAILS, MAX_KEY_BYTES, MAX_ORIGIN_BYTES,
    MAX_SUMMARY_BYTES,
};
use crate::visible::visible;

/// What stands before the summary of a drill.
pub const DRILL_MARK: &str = "[DRILL] ";

/// What has happened. The labels are as stable as a wire format: people route by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The token boundary has closed; ends at re-arm.
    Trip,
    /// The token boundary is closed, and the log has little room left for what is denied meanwhile; ends at re-arm.
    OutageBoundNear,
    /// An intent waits for approvals.
    HoldWaiting,
    /// Operators have activated a warrant; ends with the warrant.
    WarrantActivated,
    /// A token was released under a warrant. Momentary: nothing ends it.
    WarrantUsed,
    /// A warrant's uses have not been reviewed in time.
    ReviewOverdue,
    /// The log and a fence are not of one history.
    FenceMismatch,
    /// A bundle was refused; the one before stays in force.
    BundleRefused,
    /// The evaluation boundary has closed.
    EvaluationClosed,
    /// The disk is nearly full.
    DiskLow,
    /// A sink did not take an escalation, for days or for good.
    EscalationUndeliverable,
    /// Somebody tries whether a sink works. Momentary.
    Test,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Trip,
        Self::OutageBoundNear,
        Self::HoldWaiting,
        Self::WarrantActivated,
        Self::WarrantUsed,
        Self::ReviewOverdue,
        Self::FenceMismatch,
        Self::BundleRefused,
        Self::EvaluationClosed,
        Self::DiskLow,
        Self::EscalationUndeliverable,
        Self::Test,
    ];

    /// Its label, as it is serialized too.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Trip => "trip",
            Self::OutageBoundNear => "outage_bound_near",
            Self::HoldWaiting => "hold_waiting",
            Self::WarrantActivated => "warrant_activated",
            Self::WarrantUsed => "warrant_used",
            Self::ReviewOverdue => "review_overdue",
            Self::FenceMismatch => "fence_mismatch",
            Self::BundleRefused => "bundle_refused",
            Self::EvaluationClosed => "evaluation_closed",
            Self::DiskLow => "disk_low",
            Self::EscalationUndeliverable => "escalation_undeliverable",
            Self::Test => "test",
        }
    }

    /// How severe it is where nobody says otherwise.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Trip | Self::OutageBoundNear | Self::FenceMismatch | Self::EvaluationClosed => {
                Severity::Critical
            }
            Self::WarrantActivated
            | Self::WarrantUsed
            | Self::ReviewOverdue
            | Self::BundleRefused
            | Self::EscalationUndeliverable => Severity::Error,
            Self::HoldWaiting | Self::DiskLow => Severity::Warning,
            Self::Test => Severity::Info,
        }
    }

    /// Whether it only happens, so that no end is to come.
    #[must_use]
    pub const fn is_momentary(self) -> bool {
        matches!(self, Self::WarrantUsed | Self::Test)
    }
}

/// How severe: PagerDuty's four, from the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be known.
    Info,
    /// To be looked at in time.
    Warning,
    /// To be looked at today.
    Error,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// Its label, as it is serialized too.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }

    /// What a configuration calls so.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Error, Self::Critical].into_iter().find(|one| one.label() == label)
    }
}

/// What holds the events of one incident together, at every sink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentKey(String);

impl IncidentKey {
    /// The key of what is of this kind in this log, told from others of its kind by the discriminator: an epoch, an id.
    ///
    /// It is `ORIGIN/KIND/DISCRIMINATOR` in visible ASCII, at most [`MAX_KEY_BYTES`]; where that would not do, the ends are
    /// replaced by a hash of all three.
    #[must_use]
    pub fn new(origin: &str, kind: Kind, discriminator: &str) -> Self {
        let key = format!("{origin}/{}/{discriminator}", kind.label());
        if key.len() <= MAX_KEY_BYTES && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Self(key);
        }
        let hash = Hash::of_labelled(b"assent/incident/v1\0", [key.as_bytes()]);
        Self(format!("{}/{}", kind.label(), crate::message::hex(&hash.0)))
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The detail that tells that some text of an incident is not what was written: what does not print stands escaped in it.
pub const ESCAPED: &str = "escaped";

/// One more thing to know of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// What it is.
    pub name: String,
    /// How much or which.
    pub value: String,
}

/// What has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    kind: Kind,
    severity: Severity,
    key: IncidentKey,
    origin: String,
    summary: String,
    cause: String,
    since: Timestamp,
    epoch: Option<Epoch>,
    details: Vec<Detail>,
    drill: bool,
    #[serde(default)]
    leaf: Option<LeafIndex>,
}

impl Incident {
    /// An incident of the log with this origin, which began then. What is longer than its limit is cut, and says so.
    #[must_use]
    pub fn new(kind: Kind, origin: &str, discriminator: &str, summary: &str, since: Timestamp) -> Self {
        Self {
            kind,
            severity: kind.severity(),
            key: IncidentKey::new(origin, kind, discriminator),
            origin: visible(origin, MAX_ORIGIN_BYTES),
            summary: visible(summary, MAX_SUMMARY_BYTES),
            cause: String::new(),
            since,
            epoch: None,
            details: Vec::new(),
            drill: false,
            leaf: None,
        }
        .marked([origin, summary])
    }

    /// With the mark that a text of it is not what was written, where that is so: it comes before a detail for which there is no room.
    fn marked<const N: usize>(mut self, texts: [&str; N]) -> Self {
        let hides = texts.iter().any(|text| !prints(text));
        if hides && !self.details.iter().any(|detail| detail.name == ESCAPED) {
            self.details.truncate(MAX_DETAILS - 1);
            let value = "what does not print, or turns the direction of text, is written out";
            self.details.push(Detail { name: ESCAPED.to_owned(), value: value.to_owned() });
        }
        self
    }

    /// With the label of what caused it.
    #[must_use]
    pub fn caused_by(mut self, cause: &str) -> Self {
        self.cause = visible(cause, MAX_CAUSE_BYTES);
        self.marked([cause])
    }

    /// With another severity than its kind's.
    #[must_use]
    pub const fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// With the epoch that it began in.
    #[must_use]
    pub const fn in_epoch(mut self, epoch: Epoch) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// As what is told of its kind in the order of leaves, each once.
    #[must_use]
    pub const fn at_leaf(mut self, leaf: LeafIndex) -> Self {
        self.leaf = Some(leaf);
        self
    }

    /// With one more detail, in place of one of the same name. Beyond [`MAX_DETAILS`] nothing is added.
    #[must_use]
    pub fn with_detail(self, name: &str, value: &str) -> Self {
        let mut marked = self.marked([name, value]);
        let name = visible(name, MAX_DETAIL_NAME_BYTES);
        let value = visible(value, MAX_DETAIL_BYTES);
        if let Some(known) = marked.details.iter_mut().find(|known| known.name == name) {
            known.value = value;
        } else if marked.details.len() < MAX_DETAILS {
            marked.details.push(Detail { name, value });
        }
        marked
    }

    /// As a part of a drill: marked at every sink, so that nobody pages on it by mistake.
    #[must_use]
    pub const fn in_drill(mut self, drill: bool) -> Self {
        self.drill = drill;
        self
    }

    /// What has happened.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How severe it is, drill or not.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// How severe it is to people: a drill is not more than to be known.
    #[must_use]
    pub const fn shown_severity(&self) -> Severity {
        if self.drill { Severity::Info } else { self.severity }
    }

    /// What holds its events together.
    #[must_use]
    pub const fn key(&self) -> &IncidentKey {
        &self.key
    }

    /// The log's name.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// In a line, without the mark of a drill.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The label of its cause; empty where there is none.
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// When it began.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// The epoch that it began in.
    #[must_use]
    pub const fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// What else is known.
    #[must_use]
    pub fn details(&self) -> &[Detail] {
        &self.details
    }

    pub(crate) const fn leaf(&self) -> Option<LeafIndex> {
        self.leaf
    }

    /// Whether it is a part of a drill.
    #[must_use]
    pub const fn is_drill(&self) -> bool {
        self.drill
    }
}

/// The end of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    key: IncidentKey,
    at: Timestamp,
    summary: Option<String>,
}

impl End {
    /// What has this key ended then.
    #[must_use]
    pub const fn new(key: IncidentKey, at: Timestamp) -> Self {
        Self { key, at, summary: None }
    }

    /// With how it ended, in a line.
    #[must_use]
    pub fn because(mut self, summary: &str) -> Self {
        self.summary = Some(visible(summary, MAX_SUMMARY_BYTES));
        self
    }

    /// Which incident.
    #[must_use]
    pub const fn key(&self) -> &IncidentKey {
        &self.key
    }

    /// When.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// How, if that was said.
    #[must_use]
    pub fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }
}

/// What is raised: one incident is one begin and one end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It has begun.
    Begun(Box<Incident>),
    /// It is over.
    Ended(End),
}

#[cfg(test)]
mod tests;
