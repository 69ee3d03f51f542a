//! Progress of long work: a line on a terminal, nothing elsewhere.

use std::io::{IsTerminal as _, Write as _};

/// How far something is.
pub(super) struct Progress {
    doing: &'static str,
    total: u64,
    shown: u64,
    on: bool,
}

impl Progress {
    /// Begins to do something with so many entries.
    pub(super) fn new(doing: &'static str, total: u64) -> Self {
        Self { doing, total, shown: 0, on: std::io::stderr().is_terminal() }
    }

    /// Shows that so many are done.
    pub(super) fn show(&mut self, done: u64) {
        let percent = (done * 100).checked_div(self.total).unwrap_or(100);
        if self.on && percent != self.shown {
            self.shown = percent;
            let _ = write!(std::io::stderr(), "\r{} {percent:>3} % of {} entries", self.doing, self.total);
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.on {
            let _ = write!(std::io::stderr(), "\r\u{1b}[K");
        }
    }
}
