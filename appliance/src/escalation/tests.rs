//! An outbox without sinks, for the tests of what raises into it.

use std::sync::Arc;

use assent_escalation::{Deliverer, Escalations, IncidentView, Outbox, SystemClock};

/// The origin of all that is raised.
pub(super) const ORIGIN: &str = "a.test/log";

/// The outbox, and what takes to it what is raised.
pub(super) struct Scene {
    outbox: Arc<Outbox>,
    deliverer: Option<Deliverer>,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(&folder.path().join("escalations.redb"), ORIGIN, &[]).unwrap();
        Self { outbox: Arc::new(outbox), deliverer: None, _folder: folder }
    }

    /// The front of a process; that of the one before takes nothing any more.
    pub(super) fn start(&mut self) -> Escalations {
        self.deliverer = None;
        let deliverer =
            Deliverer::start(Arc::clone(&self.outbox), Vec::new(), Arc::new(SystemClock)).unwrap();
        self.deliverer.insert(deliverer).escalations()
    }

    /// What the next process finds.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// What was raised, all of it: the process ends.
    pub(super) fn incidents(&mut self) -> Vec<IncidentView> {
        self.deliverer = None;
        self.outbox.list().incidents
    }
}
