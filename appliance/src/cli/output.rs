//! What the commands have in common when they print, or read what operators signed.

use std::io::{self, ErrorKind, Stderr, StderrLock, StdoutLock, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use assent_proto::calendar::Utc;
use assent_proto::number::Timestamp;
use clap::ValueEnum;
use serde::Serialize;

use super::Exit;
use crate::operators::SignatureFile;
use crate::shown;

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

/// A stream whose reader may stop reading.
///
/// Whoever has read enough closes the pipe. That is no fault, and no answer either: what is written behind it is dropped and the
/// command goes on, so that it ends with the exit code of what it found and never with another because nobody read it.
#[derive(Debug)]
pub(crate) struct Piped<W>(W);

/// Standard output, for every command.
pub(crate) fn stdout() -> Piped<StdoutLock<'static>> {
    Piped(io::stdout().lock())
}

/// Standard error, for what every command says.
pub(crate) fn stderr() -> Piped<StderrLock<'static>> {
    Piped(io::stderr().lock())
}

/// Standard error, for traces of any thread: whoever stops reading them stops no appliance.
pub(super) fn traces() -> Piped<Stderr> {
    Piped(io::stderr())
}

/// Says something on standard error: `talk!` hands it here.
pub(super) fn say(words: std::fmt::Arguments<'_>) {
    let _ = writeln!(stderr(), "{}", shown::lines(&words.to_string()));
}

impl<W: Write> Write for Piped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        read_or_not(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        read_or_not(self.0.flush(), ())
    }
}

fn read_or_not<T>(written: io::Result<T>, dropped: T) -> io::Result<T> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(dropped),
        Ok(_) | Err(_) => written,
    }
}

/// Whether what is written there is coloured: on a terminal, unless `NO_COLOR` says otherwise.
pub(super) fn is_coloured(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints things as JSON, one a line, each with its schema and with whatever does not print escaped.
pub(super) fn json_lines<T: Serialize>(schema: &str, things: &[T]) -> anyhow::Result<()> {
    for thing in things {
        let mut json = serde_json::to_value(thing)?;
        if let Some(fields) = json.as_object_mut() {
            fields.insert("schema".to_owned(), schema.into());
        }
        json_line(&json)?;
    }
    Ok(())
}

/// Prints one JSON document in a line, with whatever does not print escaped.
pub(super) fn json_line<T: Serialize>(document: &T) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{}", shown::json_of(document)?)?)
}

/// Prints an error and its causes to standard error, and tells how the process ends.
#[must_use]
pub fn fail(error: &anyhow::Error) -> Exit {
    let mark = if is_coloured(&io::stderr()) { "\u{1b}[31merror\u{1b}[0m" } else { "error" };
    let _ = writeln!(stderr(), "{mark}: {}", shown::lines(&error.to_string()));
    for cause in error.chain().skip(1) {
        talk!("  because: {cause}");
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

/// An error with its causes, in a line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        // An error that is shown as its cause would say it twice.
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
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
    Utc(time).to_string()
}
