//! What the commands have in common when they print.

use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;

use super::Exit;

/// How a command prints its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Jsonl,
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
