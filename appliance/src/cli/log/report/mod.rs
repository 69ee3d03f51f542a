//! `assent log report`: a period of the log as an auditor reads it, in one page.
//!
//! The rule it keeps: the page says what was verified, and the log is verified as the page is made, all of it; a page about a log
//! that does not verify says so first, and the command ends with 3. The page needs nothing from elsewhere, runs no script, and
//! carries for each listed entry a proof that leads to the signed checkpoint on it.

mod account;
mod events;
mod histogram;
mod page;
mod pictures;
mod stops;
mod warrants;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use assent_proto::number::{LeafIndex, Timestamp};

use self::account::{Account, Event, Period};
use super::filter::in_order;
use super::kept::Elsewhere;
use super::moment::Moment;
use super::{Source, unreadable};
use crate::cli::progress::Progress;
use crate::cli::{Exit, Globals};
use crate::clock::Clock;
use crate::log::SignedCheckpoint;
use crate::log::fence::signed_note;
use crate::log::proof::{self, InclusionProof};
use crate::log::reader::Reader;
use crate::log::store::{StoreError, StoredRound};
use crate::log::verification::{Report, Verification};

/// Which log, which period, and where the page goes.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    elsewhere: Elsewhere,
    /// Entries made at this time or later: 2026-11-24T12:00:00Z, 2026-11-24, or so long ago: 90s, 30m, 2h, 7d.
    #[arg(long, value_name = "TIME")]
    from: Option<Moment>,
    /// Entries made before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<Moment>,
    /// The page; by default standard output.
    #[arg(short = 'O', long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// All that the page tells.
#[derive(Debug)]
struct Told {
    origin: String,
    /// Whom the verification trusted, in words.
    trust: String,
    made: Timestamp,
    period: Period,
    account: Account,
    report: Report,
    /// The newest checkpoint as a signed note; none where nothing was signed yet.
    note: Option<String>,
    /// When it did not run: from, until.
    stops: Vec<(u64, u64)>,
    /// For each listed event, its proof; none where no checkpoint covers it yet.
    proofs: Vec<Option<String>>,
}

/// Runs the command.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    in_order(options.from, options.to)?;
    let reader = options.source.open(globals)?;
    let told = tell(options, &reader, globals)?;
    let page = page::of(&told);
    match &options.out {
        None => crate::cli::stdout().write_all(page.as_bytes())?,
        Some(path) => {
            std::fs::write(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(if told.report.verified() { Exit::Done } else { Exit::Invalid })
}

fn tell(options: &Options, reader: &Reader, globals: &Globals) -> anyhow::Result<Told> {
    let origin = reader.identity().map_err(|error| unreadable(&error))?.origin;
    let (trust, made) = (options.source.trust(globals)?, Clock::system().now());
    let period = Period { from: options.from, to: options.to };
    let head = reader.head().map_err(|error| unreadable(&error))?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let verification = Verification::new(&origin, trust.keys()).beside(reader).at(made).on(threads);
    let kept = options.elsewhere.read(&options.source, globals, reader)?;
    let verification = kept.hold(verification)?;
    let (mut account, mut bar) = (Account::default(), Progress::new("verifying", head.size));
    let rounds = reader.rounds(LeafIndex(0)).map_err(|error| unreadable(&error))?;
    let look = |round: &StoredRound| Ok::<_, StoreError>(Account::of(round, period));
    let report = verification.run_with(rounds, look, |next| account.merge(next), |done| bar.show(done));
    bar.clear();
    let mut report = report.map_err(|error| unreadable(&error))?;
    report.compare_with_head(&head);
    kept.tell(&mut report);
    let note = report.head.as_ref().map(|signed| signed_note(&origin, signed));
    let proofs = match (&report.head, &note) {
        (Some(signed), Some(note)) => prove(reader, signed, note, &account.events)?,
        _ => vec![None; account.events.len()],
    };
    let stops = stops::of(reader, &account.events).map_err(|error| unreadable(&error))?;
    let trust = options.source.trust_name();
    Ok(Told { origin, trust, made, period, account, report, note, stops, proofs })
}

/// A proof for each event that this checkpoint covers.
fn prove(
    reader: &Reader,
    signed: &SignedCheckpoint,
    note: &str,
    events: &[Event],
) -> anyhow::Result<Vec<Option<String>>> {
    let prove = |event: &Event| {
        let index = LeafIndex(event.index);
        let path = proof::inclusion(index, signed.size, |level, number| reader.node(level, number))?;
        let whole =
            |path| InclusionProof { extra: Some(event.leaf.clone()), index, path, note: note.to_owned() };
        Ok(path.map(|path| whole(path).to_string()))
    };
    events.iter().map(prove).collect::<Result<_, StoreError>>().map_err(|error| unreadable(&error))
}
