//! What happened on the bad day, and whether everything held.

use std::fmt::Write as _;

use serde::Serialize;

/// One line of it.
#[derive(Clone, Debug, Serialize)]
struct Line {
    /// What was to hold.
    what: &'static str,
    /// What was found.
    found: String,
    held: bool,
}

/// All of it, in the order of the day.
#[derive(Debug, Default)]
pub(super) struct Account {
    lines: Vec<Line>,
}

impl Account {
    /// Notes what was found where this was wanted.
    pub(super) fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &'static str, found: T, wanted: T) {
        let held = found == wanted;
        let found = if held { format!("{found:?}") } else { format!("{found:?}, not {wanted:?}") };
        self.lines.push(Line { what, found, held });
    }

    /// Notes what was found, and whether that is right.
    pub(super) fn note(&mut self, what: &'static str, found: String, held: bool) {
        self.lines.push(Line { what, found, held });
    }

    pub(super) fn held(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line.held)
    }

    pub(super) fn json(&self, elapsed_ms: u128) -> serde_json::Value {
        serde_json::json!({
            "schema": "assent.v1.demo.bad_day", "held": self.held(), "elapsed_ms": elapsed_ms, "lines": self.lines,
        })
    }

    pub(super) fn table(&self, elapsed_ms: u128) -> String {
        let mut text = String::from("\n");
        for Line { what, found, held } in &self.lines {
            let mark = if *held { "  " } else { "!!" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{mark}{what:<62} {found}");
        }
        let verdict = if self.held() { "everything held" } else { "NOT EVERYTHING HELD" };
        let _ = writeln!(text, "\n  {verdict}; all of it in {:.1} s", elapsed_ms as f64 / 1e3);
        text
    }
}
