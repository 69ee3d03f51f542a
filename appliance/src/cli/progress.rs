//! Progress of long work: a line on a terminal, with rate and time left; nothing elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crate::clock::Stopwatch;

/// How often the line changes at most.
const EVERY: Duration = Duration::from_millis(100);

/// How far something is.
pub(super) struct Progress {
    doing: &'static str,
    total: u64,
    began: Stopwatch,
    /// When the line was written last.
    shown: Option<Duration>,
    on: bool,
}

impl Progress {
    /// Begins to do something with so many entries.
    pub(super) fn new(doing: &'static str, total: u64) -> Self {
        Self { doing, total, began: Stopwatch::start(), shown: None, on: std::io::stderr().is_terminal() }
    }

    /// Shows that so many are done.
    pub(super) fn show(&mut self, done: u64) {
        let elapsed = self.began.elapsed();
        if self.on && self.shown.is_none_or(|shown| elapsed - shown >= EVERY) {
            self.shown = Some(elapsed);
            let line = line(self.doing, done, self.total, elapsed);
            let _ = write!(crate::cli::stderr(), "\r\u{1b}[K{line}");
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.on {
            let _ = write!(crate::cli::stderr(), "\r\u{1b}[K");
        }
    }
}

fn line(doing: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let (done, total) = (done.min(total), total.max(1));
    let percent = u128::from(done) * 100 / u128::from(total);
    let ms = elapsed.as_millis().max(1);
    let rate = u128::from(done) * 1000 / ms;
    let left = u128::from(total - done)
        .checked_div(rate)
        .map_or_else(String::new, |left| format!(", {left} s left"));
    format!("{doing} {percent:>3} % of {total} entries, {rate} a second{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_follow_from_what_is_done() {
        let after = |done, ms| line("verifying", done, 1000, Duration::from_millis(ms));
        assert_eq!(after(250, 500), "verifying  25 % of 1000 entries, 500 a second, 1 s left");
        assert_eq!(after(0, 0), "verifying   0 % of 1000 entries, 0 a second");
        assert_eq!(after(2000, 1000), "verifying 100 % of 1000 entries, 1000 a second, 0 s left");
    }
}
