//! How the appliance is: what `assent status` shows.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::policy::Policies;
use crate::token::{Reading, SealerHandle};

/// One boundary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundaryStatus {
    /// Whether anything passes.
    pub open: bool,
    /// Why not, as a bounded label.
    pub cause: Option<String>,
    /// Why not, for people.
    pub message: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub since_ms: Option<u64>,
}

impl BoundaryStatus {
    fn open_if(open: bool, cause: &str, message: &str) -> Self {
        let when_closed = |text: &str| (!open).then(|| text.to_owned());
        Self { open, cause: when_closed(cause), message: when_closed(message), since_ms: None }
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
    /// Digest of the bundle that decides.
    pub bundle: String,
    /// What the sealer has done.
    #[serde(flatten)]
    pub counters: Reading,
    /// Where agents connect.
    pub listen: String,
}

/// Where the status comes from.
#[derive(Debug)]
pub struct StatusSource {
    /// The log's origin.
    pub origin: String,
    /// Where agents connect.
    pub listen: String,
    /// The sealer.
    pub sealer: SealerHandle,
    /// The policies.
    pub policies: Arc<Policies>,
    /// The clock.
    pub clock: Clock,
}

impl StatusSource {
    /// How the appliance is now.
    #[must_use]
    pub fn read(&self) -> Status {
        let boundary = self.sealer.boundary();
        let closed = boundary.closed();
        let token = BoundaryStatus {
            open: closed.is_none(),
            cause: closed.as_ref().map(|closed| closed.cause.kind.to_owned()),
            message: closed.as_ref().map(|closed| closed.cause.message.clone()),
            since_ms: closed.as_ref().map(|closed| closed.since.0),
        };
        // A bundle is loaded before the appliance serves, and stays until a better one replaces it.
        let loaded = BoundaryStatus::open_if(true, "", "");
        Status {
            schema: "assent.v1.status".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            origin: self.origin.clone(),
            now_ms: self.clock.now().0,
            boundaries: Boundaries { intent: loaded.clone(), evaluation: loaded, token },
            epoch: boundary.epoch().0,
            bundle: self.policies.digest().to_string(),
            counters: self.sealer.gauges().read(),
            listen: self.listen.clone(),
        }
    }
}
