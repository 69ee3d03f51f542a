//! The monitor: everything that the HTTP door shows of how the appliance is.
//!
//! The one rule: it reads and changes nothing, and asks neither HSM nor disk; so it answers while either hangs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assent_proto::number::Timestamp;

use super::readiness::Readiness;
use crate::identity::{Registry, first_expiry};
use crate::server::SocketCounts;
use crate::serving::status::{Status, StatusSource};

/// Bounds of the configuration that alarms are measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long one signature may take.
    pub hsm_deadline: Duration,
    /// Below so many free bytes the token boundary closes.
    pub disk_low_water: u64,
    /// For how long a bundle decides whose source is not confirmed; none: for ever.
    pub bundle_max_age: Option<Duration>,
}

/// What can be read of a running appliance.
#[derive(Debug)]
pub struct Monitor {
    pub(super) status: Arc<StatusSource>,
    pub(super) door: Arc<SocketCounts>,
    registry: Arc<Registry>,
    /// The appliance's own certificates, by name, and when the first of each file ends; as they were read at start.
    own: Vec<(&'static str, Timestamp)>,
    pub(super) bounds: Bounds,
    pub(super) started: Timestamp,
}

impl Monitor {
    /// The monitor of an appliance that starts now, with these certificates.
    #[must_use]
    pub fn new(
        status: Arc<StatusSource>,
        door: Arc<SocketCounts>,
        registry: Arc<Registry>,
        [ca, certificate]: [&Path; 2],
        bounds: Bounds,
    ) -> Self {
        let of = |name, path: &Path| first_expiry(path).ok().map(|ends| (name, ends));
        let own = [of("ca", ca), of("server", certificate)].into_iter().flatten().collect();
        let started = status.clock.now();
        Self { status, door, registry, own, bounds, started }
    }

    /// Whether a token could be released now.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        Readiness::of(&self.status.boundaries())
    }

    /// What `assent status` shows.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.read()
    }

    /// When certificates end: our own, and of the agents' the one that ends first.
    pub(super) fn certificates(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let agents = self.registry.snapshot().first_expiry().map(|ends| ("agent", ends));
        self.own.iter().copied().chain(agents)
    }
}
