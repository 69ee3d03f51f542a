//! What was found: a line a check, with what to do next behind whatever is not well.
//!
//! A warning is what an appliance serves with and should not. Where a simulator is allowed nothing is at stake, so what is
//! wanting for production only is told as it is and warns nobody.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;
use serde_json::json;

use crate::cli::output::{chain, is_coloured, json_line, json_lines};
use crate::cli::{Exit, Format, stderr, stdout};
use crate::config::Config;
use crate::shown::{counted, visible};

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok,
    Warn,
    Fail,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }

    /// The colour of the word on a terminal.
    const fn colour(self) -> &'static str {
        match self {
            Self::Ok => "\u{1b}[32m",
            Self::Warn => "\u{1b}[33m",
            Self::Fail => "\u{1b}[31m",
        }
    }
}

/// One check.
#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    outcome: Outcome,
    found: String,
    next: Option<String>,
}

/// The checks so far. Lines are printed as they come, so that a hang shows where.
#[derive(Debug)]
pub(super) struct Findings {
    format: Format,
    /// Whether something is at stake, so that what production wants is wanted.
    at_stake: bool,
    all: Vec<Finding>,
    /// Why the first line that could not be printed was not.
    unprinted: Option<anyhow::Error>,
}

impl Findings {
    pub(super) const fn new(format: Format) -> Self {
        Self { format, at_stake: true, all: Vec::new(), unprinted: None }
    }

    /// Takes from the configuration whether anything is at stake.
    pub(super) const fn judge_by(&mut self, config: &Config) {
        self.at_stake = !config.hsm.allow_simulator;
    }

    /// It is as it should be.
    pub(super) fn ok(&mut self, check: &str, found: impl Into<String>) {
        self.add(check, Outcome::Ok, found.into(), None);
    }

    /// It works, and should not be so.
    pub(super) fn warn(&mut self, check: &str, found: impl Into<String>, next: impl Into<String>) {
        self.add(check, Outcome::Warn, found.into(), Some(next.into()));
    }

    /// As [`Self::warn`] where something is at stake.
    pub(super) fn wanting(&mut self, check: &str, found: impl Into<String>, next: impl Into<String>) {
        if self.at_stake {
            self.warn(check, found, next);
        } else {
            self.ok(check, format!("{}; fine where nothing is at stake", found.into()));
        }
    }

    /// It is wrong.
    pub(super) fn fail(&mut self, check: &str, found: impl Into<String>, next: impl Into<String>) {
        self.add(check, Outcome::Fail, found.into(), Some(next.into()));
    }

    /// What fails with an error, or is well.
    pub(super) fn of<T, E: std::error::Error + 'static>(
        &mut self,
        check: &str,
        outcome: Result<T, E>,
        found: impl FnOnce(&T) -> String,
        next: impl Into<String>,
    ) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.ok(check, found(&value));
                Some(value)
            }
            Err(error) => {
                self.fail(check, chain(&error), next);
                None
            }
        }
    }

    fn add(&mut self, check: &str, outcome: Outcome, found: String, next: Option<String>) {
        let finding = Finding { check: check.to_owned(), outcome, found, next };
        self.waits(None);
        let printed = match self.format {
            Format::Table => {
                let line = finding.line(is_coloured(&std::io::stdout()));
                writeln!(stdout(), "{line}").map_err(anyhow::Error::from)
            }
            Format::Jsonl => json_lines("assent.v1.doctor.check", std::slice::from_ref(&finding)),
            Format::Json => Ok(()),
        };
        // The checks go on; that nobody can read them all is told at the end.
        self.unprinted = self.unprinted.take().or(printed.err());
        self.all.push(finding);
    }

    /// Shows on a terminal what is waited for, until the next finding.
    pub(super) fn waits(&self, what: Option<&str>) {
        if std::io::stderr().is_terminal() {
            let _ = write!(stderr(), "\r\u{1b}[K{}", what.unwrap_or_default());
        }
    }

    /// Says what it came to.
    ///
    /// # Errors
    /// Where a line or the document could not be printed.
    pub(super) fn end(mut self, strict: bool) -> anyhow::Result<Exit> {
        self.waits(None);
        if let Some(error) = self.unprinted.take() {
            return Err(error.context("cannot print what was found"));
        }
        let count = |wanted| self.all.iter().filter(|finding| finding.outcome == wanted).count() as u64;
        let (ok, warnings, failures) = (count(Outcome::Ok), count(Outcome::Warn), count(Outcome::Fail));
        if self.format == Format::Json {
            json_line(&json!({
                "schema": "assent.v1.doctor", "well": failures == 0, "ok": ok, "warnings": warnings,
                "failures": failures, "checks": self.all,
            }))?;
        }
        let (warned, failed) =
            (counted(warnings, "warning", "warnings"), counted(failures, "failure", "failures"));
        talk!("{} made: {warned}, {failed}", counted(ok + warnings + failures, "check", "checks"));
        Ok(if failures > 0 || (strict && warnings > 0) { Exit::Invalid } else { Exit::Done })
    }
}

impl Finding {
    fn line(&self, coloured: bool) -> String {
        let word = self.outcome.word();
        let padding = " ".repeat(4_usize.saturating_sub(word.len()));
        let (before, behind) = if coloured { (self.outcome.colour(), "\u{1b}[0m") } else { ("", "") };
        let next = self.next.as_deref().map(|next| format!("; next: {next}")).unwrap_or_default();
        let (check, told) = (visible(&self.check), visible(&format!("{}{next}", self.found)));
        format!("{before}{word}{behind}{padding}  {check:<26}  {told}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(outcome: Outcome, next: Option<&str>) -> Finding {
        let (check, found) = ("pin file".to_owned(), "mode 0644".to_owned());
        Finding { check, outcome, found, next: next.map(str::to_owned) }
    }

    #[test]
    fn a_line_says_how_it_came_out_what_was_found_and_what_is_next() {
        assert_eq!(finding(Outcome::Ok, None).line(false), "ok    pin file                    mode 0644");
        let failed = finding(Outcome::Fail, Some("chmod 0600 pin")).line(false);
        assert_eq!(failed, "FAIL  pin file                    mode 0644; next: chmod 0600 pin");
        let coloured = finding(Outcome::Warn, Some("x")).line(true);
        assert_eq!(coloured, "\u{1b}[33mwarn\u{1b}[0m  pin file                    mode 0644; next: x");
    }

    #[test]
    fn what_is_found_draws_no_line_of_its_own() {
        let found = "a\nok    everything  \u{202e}\u{1b}[2J".to_owned();
        let line = Finding { found, ..finding(Outcome::Fail, None) }.line(false);
        assert!(!line.contains(['\n', '\u{202e}', '\u{1b}']), "{line}");
        assert!(line.ends_with("a\\nok    everything  \\u{202e}\\u{1b}[2J"), "{line}");
    }

    #[test]
    fn what_production_wants_warns_only_where_something_is_at_stake() {
        let mut findings = Findings::new(Format::Json);
        findings.wanting("fence", "on the same disk", "move it");
        findings.at_stake = false;
        findings.wanting("fence", "on the same disk", "move it");
        let outcomes: Vec<_> = findings.all.iter().map(|finding| finding.outcome).collect();
        assert_eq!(outcomes, [Outcome::Warn, Outcome::Ok]);
    }

    #[test]
    fn failures_end_with_3_and_warnings_only_where_they_are_to() {
        let ended = |warn: bool, fail: bool, strict| {
            let mut findings = Findings::new(Format::Json);
            if warn {
                findings.warn("a", "b", "c");
            }
            if fail {
                findings.fail("a", "b", "c");
            }
            findings.end(strict).unwrap()
        };
        assert_eq!(ended(true, false, false), Exit::Done);
        assert_eq!(ended(true, false, true), Exit::Invalid);
        assert_eq!(ended(true, true, false), Exit::Invalid);
        assert_eq!(ended(false, false, true), Exit::Done);
    }
}
