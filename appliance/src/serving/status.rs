//! How the appliance is: what `assent status` shows.

use std::sync::Arc;

use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use crate::break_glass::BreakGlassStatus;
use crate::break_glass::desk::BreakGlassDesk;
use crate::clock::Clock;
use crate::escalation::{EscalationDesk, EscalationStatus};
use crate::evaluation::Closed;
use crate::hsm::FaultClass;
use crate::meters::Spread;
use crate::pipeline::Pipeline;
use crate::policy::{Policies, PolicyStatus};
use crate::queue::desk::{QueueDesk, QueueStatus};
use crate::token::{FenceInHsm, Reading, SealerHandle};
use crate::witness::{Witness, WitnessStatus, WitnessedStatus, Witnesses};

/// One boundary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundaryStatus {
    /// Whether anything passes.
    pub open: bool,
    /// Why not, as a bounded label.
    pub cause: Option<String>,
    /// Who may open it again, where that depends on the cause.
    pub class: Option<FaultClass>,
    /// Why not, for people.
    pub message: Option<String>,
    /// Since when it is open, or closed, in milliseconds since 1970. Appliances of before do not say since when one is open.
    pub since_ms: Option<u64>,
}

impl BoundaryStatus {
    const fn open_since(since_ms: Option<u64>) -> Self {
        Self { open: true, cause: None, class: None, message: None, since_ms }
    }

    fn of_evaluation(closed: Option<Closed>, opened: Timestamp) -> Self {
        closed.map_or(Self::open_since(Some(opened.0)), |Closed { cause, since }| Self {
            open: false,
            cause: Some(cause.kind().to_owned()),
            class: None,
            message: Some(cause.to_string()),
            since_ms: Some(since.0),
        })
    }
}

/// The three boundaries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundaries {
    /// Is this a known action with a context that fits?
    pub intent: BoundaryStatus,
    /// Do the policies allow it?
    pub evaluation: BoundaryStatus,
    /// Is there a durable, HSM-signed checkpoint over it?
    pub token: BoundaryStatus,
}

impl Boundaries {
    /// Each with its name, in the order in which an intent meets them.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, &BoundaryStatus); 3] {
        [("intent", &self.intent), ("evaluation", &self.evaluation), ("token", &self.token)]
    }
}

/// A verifier key, by its two names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// `CKA_ID` in the HSM, in hexadecimal.
    pub cka_id: String,
    /// The key, in C2SP form.
    pub verifier_key: String,
    /// Since when it signs, or is announced, in milliseconds since 1970.
    pub since_ms: u64,
}

/// How long it takes, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The HSM, for a signature; those that failed included.
    pub signature: Spread,
    /// From a batch's last byte to its answer.
    pub answer: Spread,
}

/// How the appliance is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `assent.v1.status`.
    pub schema: String,
    /// Version of the appliance.
    pub version: String,
    /// The log's origin.
    pub origin: String,
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
    /// The three boundaries.
    pub boundaries: Boundaries,
    /// How often the token boundary has closed, over the log's life.
    pub epoch: u64,
    /// Executors are to refuse tokens that were decided in an earlier epoch.
    pub lowest_epoch: u64,
    /// The key that signs.
    pub key: KeyStatus,
    /// The key that was announced to sign next.
    pub next_key: Option<KeyStatus>,
    /// Digest of the bundle that decides.
    pub bundle: String,
    /// That bundle, and how it came to be.
    pub policy: PolicyStatus,
    /// What the sealer has done.
    #[serde(flatten)]
    pub counters: Reading,
    /// How long signatures and answers take. An appliance of before an upgrade in place does not say.
    #[serde(default)]
    pub latency: Latency,
    /// Entries that may stand unsigned; beyond it intents are refused without one.
    pub unsigned_max: u64,
    /// How the HSM keeps the log's fence.
    pub fence_in_hsm: FenceInHsm,
    /// Where agents connect.
    pub listen: String,
    /// Where the log is read over HTTP; none where it is not.
    pub http: Option<String>,
    /// Where browsers find the console; none where there is none.
    #[serde(default)]
    pub console: Option<String>,
    /// Those who are asked to cosign this log, and how far each is.
    pub witnesses: Vec<WitnessStatus>,
    /// Logs that are cosigned here, and how far each is.
    pub witnessed: Vec<WitnessedStatus>,
    /// What waits.
    pub queue: QueueStatus,
    /// What is done under charters while nothing can be signed.
    pub break_glass: BreakGlassStatus,
    /// What people are to know, and whether they do.
    pub escalations: EscalationStatus,
}

/// Where the status comes from.
#[derive(Debug)]
pub struct StatusSource {
    /// The log's origin.
    pub origin: String,
    /// Where agents connect.
    pub listen: String,
    /// Where the log is read over HTTP.
    pub http: Option<String>,
    /// Where browsers find the console.
    pub console: Option<String>,
    /// Who cosigns this log.
    pub witnesses: Witnesses,
    /// The witness that this appliance is for others.
    pub witness: Option<Arc<Witness>>,
    /// What tells people.
    pub escalation: EscalationDesk,
    /// What waits.
    pub queue: QueueDesk,
    /// Charters, warrants and reviews.
    pub break_glass: BreakGlassDesk,
    /// Entries that may stand unsigned.
    pub unsigned_max: u64,
    /// The sealer.
    pub sealer: SealerHandle,
    /// The policies.
    pub policies: Arc<Policies>,
    /// What decides by them.
    pub pipeline: Arc<Pipeline>,
    /// The clock.
    pub clock: Clock,
}

impl StatusSource {
    /// How the boundaries are now.
    #[must_use]
    pub fn boundaries(&self) -> Boundaries {
        let boundary = self.sealer.boundary();
        let token = match boundary.closed() {
            // What closes between the two looks is told the next time, and no time of opening until then.
            None => BoundaryStatus::open_since(boundary.opened().map(|opened| opened.0)),
            Some(closed) => BoundaryStatus {
                open: false,
                cause: Some(closed.cause.kind.to_owned()),
                class: Some(closed.cause.class),
                message: Some(closed.cause.message),
                since_ms: Some(closed.since.0),
            },
        };
        let boundary = self.policies.boundary();
        let closed = boundary.closed(self.policies.moment(self.clock.now()));
        let evaluation = BoundaryStatus::of_evaluation(closed, boundary.opened());
        // A catalog is loaded before the appliance serves, and stays until a better one replaces it.
        Boundaries { intent: BoundaryStatus::open_since(Some(boundary.began().0)), evaluation, token }
    }

    /// How the appliance is now.
    #[must_use]
    pub fn read(&self) -> Status {
        let boundary = self.sealer.boundary();
        let keys = self.sealer.keys();
        let policy = self.policies.status(self.pipeline.late_intents(), self.pipeline.shadow());
        Status {
            schema: "assent.v1.status".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            origin: self.origin.clone(),
            now_ms: self.clock.now().0,
            boundaries: self.boundaries(),
            epoch: boundary.epoch().0,
            lowest_epoch: boundary.lowest_epoch().0,
            key: KeyStatus {
                cka_id: keys.signing().cka_id.clone(),
                verifier_key: keys.signing().vkey.clone(),
                since_ms: keys.signing().since.0,
            },
            next_key: keys.next().map(|next| KeyStatus {
                cka_id: next.cka_id.clone(),
                verifier_key: next.vkey.clone(),
                since_ms: next.announced.0,
            }),
            bundle: policy.digest.clone(),
            policy,
            counters: self.sealer.gauges().read(),
            latency: Latency {
                signature: Spread::of(&self.sealer.gauges().signing()),
                answer: Spread::of(&self.pipeline.answering()),
            },
            unsigned_max: self.unsigned_max,
            fence_in_hsm: self.sealer.fence_in_hsm(),
            listen: self.listen.clone(),
            http: self.http.clone(),
            console: self.console.clone(),
            witnesses: self.witnesses.status(),
            witnessed: self.witness.as_ref().map_or_else(Vec::new, |witness| witness.status()),
            queue: self.queue.status(),
            break_glass: self.break_glass.status(),
            escalations: self.escalation.status(),
        }
    }
}
