//! The appliance as a service: what its manager is told, and how it stops.

mod hung;
mod notified;
mod stopped;
mod unit;

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{Appliance, Hsm, PATIENCE, eventually};

/// A service manager, as far as sd_notify(3) knows one: a socket, and what came through it.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn listen() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        Self { folder, socket }
    }

    /// An appliance that this one starts, with a watchdog of `within`.
    fn start(&self, within: Duration) -> Appliance {
        let mut appliance = Appliance::start(Hsm::Simulator);
        assert!(appliance.stop(), "it stops");
        let socket = self.folder.path().join("notify");
        let words = [
            "env".to_owned(),
            format!("NOTIFY_SOCKET={}", socket.display()),
            format!("WATCHDOG_USEC={}", within.as_micros()),
        ];
        appliance.launch_under(&words.map(OsString::from));
        appliance
    }

    /// The lines of the next message; none within `patience`.
    fn next(&self, patience: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(patience)).expect("a timeout");
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).ok()?;
        let text = std::str::from_utf8(&message[..length]).expect("text");
        Some(text.lines().map(str::to_owned).collect())
    }

    /// Waits for a message with this line; gives those before it.
    fn hears(&self, line: &str) -> Vec<String> {
        let mut before = Vec::new();
        eventually(line, || {
            let message = self.next(PATIENCE).unwrap_or_else(|| panic!("not told {line}; told {before:?}"));
            let is_it = message.iter().any(|told| told == line);
            before.extend(message);
            is_it.then_some(())
        });
        before
    }
}
