//! Instructions of the hot path, counted by callgrind and held against those on record: a change that makes an intent dearer
//! fails before it lands, whatever else the machine does meanwhile.
//!
//! `hot-path check` counts and compares, `hot-path record` counts and writes the record. Both ask valgrind to run this very
//! program as `hot-path walk`. What is counted is `walk`'s, how it is counted `count`'s, what is kept `record`'s.

#![forbid(unsafe_code)]

mod count;
mod record;
#[path = "../src/sample.rs"]
mod sample;
mod walk;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail, ensure};
use appliance::cli::{Exit, fail};
use appliance::clock::Clock;
use assent_proto::calendar::Utc;
use clap::{Parser, Subcommand};

use record::{Piece, Record};

/// Where the record lies, in the source tree that this was built from.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions/recorded.txt");
/// How to write it anew.
pub(crate) const RECORD_ANEW: &str =
    "CARGO_INCREMENTAL=0 cargo build --release --locked --workspace && target/release/hot-path record";

/// Counts the hot path's instructions.
#[derive(Debug, Parser)]
#[command(name = "hot-path", max_term_width = 100)]
struct Words {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Count, and compare with the record; ends with 3 where a piece has become dearer.
    Check,
    /// Count, and write the record.
    Record,
    /// What is counted: every piece, so many times.
    #[command(hide = true)]
    Walk { repeats: usize },
}

fn main() -> ExitCode {
    let outcome = match Words::parse().verb {
        Verb::Check => check(Path::new(RECORD)),
        Verb::Record => record(Path::new(RECORD)),
        Verb::Walk { repeats } => walk(repeats),
    };
    outcome.unwrap_or_else(|error| fail(&error)).into()
}

fn walk(repeats: usize) -> anyhow::Result<Exit> {
    let walk = walk::Walk::new()?;
    for (_, piece) in walk::PIECES {
        counted(&walk, piece, repeats)?;
    }
    Ok(Exit::Done)
}

/// What callgrind counts: it knows this function by its name.
#[inline(never)]
fn counted(walk: &walk::Walk, piece: walk::Work, repeats: usize) -> anyhow::Result<()> {
    (0..repeats).try_for_each(|_| piece(walk))
}

fn check(file: &Path) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(file).with_context(|| format!("there is no record: {RECORD_ANEW}"))?;
    let recorded = Record::parse(&text)?;
    let rustc = rustc()?;
    if !recorded.is_of(&rustc) {
        let mut talk = std::io::stderr().lock();
        let theirs = &recorded.rustc;
        writeln!(
            talk,
            "\n*** INSTRUCTIONS NOT COMPARED: they were recorded with rustc {theirs}, and this is {rustc}."
        )?;
        writeln!(talk, "*** Another compiler gives other counts. Record anew: {RECORD_ANEW}\n")?;
        return Ok(Exit::Done);
    }
    let (counted, control) = count::with_control()?;
    let now = Record { date: String::new(), rustc, pieces: counted };
    // The check is checked each time: of work that is an eighth more, it must find every piece too dear.
    let found = now.dearer(&control);
    ensure!(
        found.len() == control.len(),
        "the check does not see an eighth more work: it saw {found:?} only"
    );
    judge(&recorded, &now.pieces)
}

/// Tells what was counted beside what is on record, and whether it may be.
fn judge(recorded: &Record, counted: &[Piece]) -> anyhow::Result<Exit> {
    write!(std::io::stdout().lock(), "{}", recorded.beside(counted))?;
    let dearer = recorded.dearer(counted);
    if dearer.is_empty() {
        return Ok(Exit::Done);
    }
    let mut talk = std::io::stderr().lock();
    writeln!(talk, "dearer by more than a tenth: {}", dearer.join(", "))?;
    writeln!(talk, "make it cheaper, or say in the commit what it is worth and record anew: {RECORD_ANEW}")?;
    Ok(Exit::Invalid)
}

fn record(file: &Path) -> anyhow::Result<Exit> {
    let (pieces, _) = count::with_control()?;
    let now = Utc(Clock::system().now()).to_string();
    let date = now.get(..10).context("a date")?.to_owned();
    let record = Record { date, rustc: rustc()?, pieces };
    std::fs::write(file, record.to_string())
        .with_context(|| format!("{} cannot be written", file.display()))?;
    write!(std::io::stdout().lock(), "{record}")?;
    Ok(Exit::Done)
}

/// The version of the compiler at hand, which is taken to be the one that made this program.
fn rustc() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("--version").output().context("rustc cannot be asked")?;
    let text = String::from_utf8(output.stdout)?;
    match text.split_whitespace().nth(1) {
        Some(version) => Ok(version.to_owned()),
        None => bail!("rustc does not say its version: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The positive control: with the figures on record a tenth too low, what was recorded is too dear, and the check fails.
    #[test]
    fn record_that_is_a_tenth_off_fails_the_check() {
        let kept = Record::parse(include_str!("recorded.txt")).unwrap();
        assert_eq!(judge(&kept, &kept.pieces).unwrap(), Exit::Done);
        let low = kept.pieces.iter().map(|piece| Piece { ours: piece.ours * 10 / 11 - 1, ..piece.clone() });
        let low = Record { pieces: low.collect(), ..kept.clone() };
        assert_eq!(low.dearer(&kept.pieces).len(), walk::PIECES.len());
        assert_eq!(judge(&low, &kept.pieces).unwrap(), Exit::Invalid);
    }
}
