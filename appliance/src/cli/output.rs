//! What the commands have in common when they print, or read what operators signed.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use assent_proto::number::Timestamp;
use clap::ValueEnum;

use super::Exit;
use crate::operators::SignatureFile;

/// How a command prints its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
}

/// A format of rows, for other tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// RFC 4180, with a header.
    Csv,
    /// Events of the Open Cybersecurity Schema Framework, one a line.
    Ocsf,
}

/// What the command line takes: the formats of every command, and those of `assent log show` and `assent log export`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
    /// Rows for a spreadsheet (`log show` and `log export` only).
    Csv,
    /// Events for a SIEM (`log show` and `log export` only).
    Ocsf,
}

impl Output {
    pub(super) const fn split(self) -> (Format, Option<Rows>) {
        match self {
            Self::Table => (Format::Table, None),
            Self::Json => (Format::Json, None),
            Self::Jsonl => (Format::Jsonl, None),
            Self::Csv => (Format::Jsonl, Some(Rows::Csv)),
            Self::Ocsf => (Format::Jsonl, Some(Rows::Ocsf)),
        }
    }
}

/// Prints an error and its causes to standard error, and tells how the process ends.
#[must_use]
pub fn fail(error: &anyhow::Error) -> Exit {
    let mut talk = std::io::stderr().lock();
    let mark = if talk.is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        "\u{1b}[31merror\u{1b}[0m"
    } else {
        "error"
    };
    let _ = writeln!(talk, "{mark}: {error}");
    for cause in error.chain().skip(1) {
        let _ = writeln!(talk, "  because: {cause}");
    }
    error.downcast_ref::<Failure>().map_or(Exit::Failed, |failure| failure.exit)
}

/// An error that ends the process with another code than 1.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What is wrong, and what to do next.
    pub message: String,
    /// How the process ends.
    pub exit: Exit,
}

/// An error that means: the appliance or its HSM is not available.
pub(crate) fn unavailable(error: &(dyn std::error::Error + 'static)) -> anyhow::Error {
    failure(error, Exit::Unavailable)
}

/// An error that ends the process so. The whole chain becomes the message's lines.
pub(crate) fn failure(error: &(dyn std::error::Error + 'static), exit: Exit) -> anyhow::Error {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(because) = cause {
        message.push_str("\n  because: ");
        message.push_str(&because.to_string());
        cause = because.source();
    }
    Failure { message, exit }.into()
}

/// Operators' signatures, each named by its file.
pub(super) fn signatures(paths: &[PathBuf]) -> anyhow::Result<Vec<SignatureFile>> {
    let read = |path: &PathBuf| {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(SignatureFile { name: path.display().to_string(), text })
    };
    paths.iter().map(read).collect()
}

/// A time of day in UTC, as RFC 3339 writes it.
pub(crate) fn utc(time: Timestamp) -> String {
    let (days, of_day) = (time.0 / DAY_MS, time.0 % DAY_MS);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3_600_000, of_day / 60_000 % 60, of_day / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", of_day % 1000)
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Year, month and day of a day counted from 1970, in the Gregorian calendar: eras of 400 years begin on 1 March.
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + if month <= 2 { 1 } else { 0 }, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(utc(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(utc(Timestamp(951_782_400_123)), "2000-02-29T00:00:00.123Z");
        assert_eq!(utc(Timestamp(1_795_485_600_000)), "2026-11-24T02:00:00.000Z");
    }
}
