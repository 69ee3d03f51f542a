//! `assent log report`: a period of the log as an auditor reads it, in one page.
//!
//! The rule it keeps: the page says what was verified, and the log is verified as the page is made, all of it; a page about a log
//! that does not verify says so first, and the command ends with 3. The page needs nothing from elsewhere, runs no script, and
//! carries for each listed entry a proof that leads to the signed checkpoint on it. The console shows the same page of the log
//! that it runs beside ([`tell_own`]).

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
use assent_client::trust::Trust;
use assent_proto::number::{LeafIndex, Timestamp};

use self::account::{Account, Event, Period};
use super::filter::in_order;
use super::kept::{Elsewhere, Kept};
use super::moment::Moment;
use super::{Source, unreadable};
use crate::cli::progress::Progress;
use crate::cli::{Exit, Globals};
use crate::clock::Clock;
use crate::config::Config;
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

/// The style of its own that the page has.
pub(crate) const STYLE: &str = include_str!("report.css");

/// All that the page tells.
#[derive(Debug)]
pub(crate) struct Told {
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

impl Told {
    /// What the verification found.
    pub(crate) const fn report(&self) -> &Report {
        &self.report
    }

    /// The page, as a document of its own.
    pub(crate) fn document(&self) -> String {
        page::document(self)
    }

    /// What stands in it, for a page that has a frame and [`STYLE`]: every text of a peer in it is escaped.
    pub(crate) fn body(&self) -> String {
        page::body(self)
    }
}

/// What a page is to tell of.
struct Subject<'a> {
    reader: &'a Reader,
    trust: &'a Trust,
    /// Whom that is, in words.
    trust_name: String,
    /// Read before anything else: a log that runs grows past it, and never falls behind it.
    kept: Kept,
    period: Period,
    now: Timestamp,
    threads: usize,
}

/// Runs the command.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    in_order(options.from, options.to)?;
    let reader = options.source.open(globals)?;
    let head = reader.head().map_err(|error| unreadable(&error))?;
    let (trust, kept) =
        (options.source.trust(globals)?, options.elsewhere.read(&options.source, globals, &reader)?);
    let subject = Subject {
        reader: &reader,
        trust: &trust,
        trust_name: options.source.trust_name(),
        kept,
        period: Period { from: options.from, to: options.to },
        now: Clock::system().now(),
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let mut bar = Progress::new("verifying", head.size);
    let told = tell(&subject, || true, |done, _| bar.show(done));
    bar.clear();
    let Some(told) = told? else { anyhow::bail!("it was told to stop") };
    let page = told.document();
    match &options.out {
        None => crate::cli::stdout().write_all(page.as_bytes())?,
        Some(path) => {
            std::fs::write(path, &page).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(if told.report.verified() { Exit::Done } else { Exit::Invalid })
}

/// The log of a running appliance as it is now, all of it, under its own key ring and held against its fence, on the caller's
/// thread. `progress` hears how many entries are done, and of how many. None: `goes_on` said no.
pub(crate) fn tell_own(
    config: &Config,
    reader: &Reader,
    now: Timestamp,
    goes_on: impl Fn() -> bool,
    mut progress: impl FnMut(u64, u64),
) -> anyhow::Result<Option<Told>> {
    let mut told = None;
    // What operators erase while it is read looks like something that is missing: in that case, and in no other, a second
    // look at the longer log does not find it again.
    for _ in 0..2 {
        let subject = Subject {
            reader,
            trust: &crate::cli::trust::own(config)?,
            trust_name: Source::trusting(None).trust_name(),
            kept: Kept::of_fence(config.fence_file(), reader)?,
            period: Period::default(),
            now,
            threads: 1,
        };
        told = tell(&subject, &goes_on, &mut progress)?;
        if told.as_ref().is_none_or(|told| told.report.verified()) {
            break;
        }
    }
    Ok(told)
}

fn tell(
    subject: &Subject<'_>,
    goes_on: impl Fn() -> bool,
    mut progress: impl FnMut(u64, u64),
) -> anyhow::Result<Option<Told>> {
    let &Subject { reader, trust, ref kept, period, now, threads, .. } = subject;
    let origin = reader.identity().map_err(|error| unreadable(&error))?.origin;
    let head = reader.head().map_err(|error| unreadable(&error))?;
    let verification = Verification::new(&origin, trust.keys()).beside(reader).at(now).on(threads);
    let verification = kept.hold(verification)?;
    let mut account = Account::default();
    // A log that runs has more rounds than this by now.
    let of_head =
        |round: &Result<StoredRound, _>| round.as_ref().map_or(true, |round| round.end() <= head.size);
    let rounds = reader.rounds(LeafIndex(0)).map_err(|error| unreadable(&error))?;
    let rounds = rounds.take_while(|round| goes_on() && of_head(round));
    let look = |round: &StoredRound| Ok::<_, StoreError>(Account::of(round, period));
    let shown = |done| progress(done, head.size);
    let report = verification.run_with(rounds, look, |next, _| account.merge(next), shown);
    let mut report = report.map_err(|error| unreadable(&error))?;
    if !goes_on() {
        return Ok(None);
    }
    report.compare_with_head(&head);
    kept.tell(&mut report);
    let note = report.head.as_ref().map(|signed| signed_note(&origin, signed));
    let proofs = match (&report.head, &note) {
        (Some(signed), Some(note)) => prove(reader, signed, note, &account.events)?,
        _ => vec![None; account.events.len()],
    };
    let stops = stops::of(reader, &account.events).map_err(|error| unreadable(&error))?;
    let (trust, made) = (subject.trust_name.clone(), now);
    Ok(Some(Told { origin, trust, made, period, account, report, note, stops, proofs }))
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
