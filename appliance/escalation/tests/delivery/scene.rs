//! The scene: an outbox, a deliverer, and a clock that moves only when it is told.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use assent_escalation::{
    Clock, Deliverer, End, Event, Incident, IncidentKey, Kind, Outbox, OutboxView, ProgressView, Severity,
    Sink, SinkConfig, SinkKind,
};
use assent_proto::number::{Epoch, Timestamp};

pub(crate) const ORIGIN: &str = "example.org/log";
pub(crate) const HMAC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A clock that moves only when it is told.
#[derive(Debug)]
pub(crate) struct ManualClock(AtomicU64);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) deliverer: Option<Deliverer>,
    sinks: Vec<SinkConfig>,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock(AtomicU64::new(1_790_000_000_000)));
        Self { folder: tempfile::tempdir().unwrap(), clock, deliverer: None, sinks: Vec::new() }
    }

    /// A secret in a file of its own.
    pub(crate) fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// A webhook that is told of everything.
    pub(crate) fn webhook(&self, name: &str, url: &str, ca: Option<&Path>) -> SinkConfig {
        SinkConfig {
            url: Some(url.to_owned()),
            secret_file: Some(self.secret("hmac", HMAC)),
            ca_file: ca.map(Path::to_owned),
            min_severity: Severity::Info,
            deadline: Some(Duration::from_secs(2)),
            ..SinkConfig::new(name, SinkKind::Webhook)
        }
    }

    pub(crate) fn start(&mut self, sinks: Vec<SinkConfig>) {
        self.sinks = sinks;
        let sinks: Vec<Sink> = self.sinks.iter().map(|sink| sink.build().unwrap()).collect();
        let routes: Vec<_> = sinks.iter().map(Sink::route).collect();
        let outbox = Outbox::open(&self.folder.path().join("escalations.redb"), ORIGIN, &routes).unwrap();
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        self.deliverer = Some(Deliverer::start(Arc::new(outbox), sinks, clock).unwrap());
    }

    pub(crate) fn stop(&mut self) {
        self.deliverer.take().unwrap().stop();
    }

    pub(crate) fn deliverer(&self) -> &Deliverer {
        self.deliverer.as_ref().unwrap()
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.clock.0.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn clock_ms(&self) -> u64 {
        self.clock.now().0
    }

    pub(crate) fn trip(&self, epoch: u64) -> Incident {
        Incident::new(Kind::Trip, ORIGIN, &epoch.to_string(), "token boundary closed", self.clock.now())
            .caused_by("hsm_timeout")
            .in_epoch(Epoch(epoch))
    }

    pub(crate) fn begin(&self, epoch: u64) {
        assert!(self.deliverer().escalations().begin(self.trip(epoch)));
    }

    pub(crate) fn end(&self, epoch: u64) {
        assert!(self.deliverer().escalations().end(over(epoch, self.clock.now())));
    }

    pub(crate) fn list(&self) -> OutboxView {
        self.deliverer().outbox().list()
    }

    /// How the first incident's begin stands at the first sink.
    pub(crate) fn first(&self) -> Option<ProgressView> {
        Some(self.list().incidents.first()?.deliveries.first()?.begun.clone())
    }

    /// Waits until the first incident's begin has a reason that holds this; gives the reason.
    pub(crate) fn await_reason(&self, part: &str) -> String {
        let reason = || self.first().and_then(|first| first.reason).unwrap_or_default();
        until(&format!("a reason with {part}"), || reason().contains(part));
        reason()
    }
}

pub(crate) fn over(epoch: u64, at: Timestamp) -> End {
    End::new(IncidentKey::new(ORIGIN, Kind::Trip, &epoch.to_string()), at)
}

pub(crate) fn begun(incident: Incident) -> Event {
    Event::Begun(Box::new(incident))
}

/// Waits on a condition, half a minute at most.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        // WAIT: for the condition, half a minute at most.
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("waited in vain for {what}");
}
