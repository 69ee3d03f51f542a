//! `assent log verify`: the whole log, offline, with nothing but a trust file.
//!
//! A log alone cannot show that an older state of it was put back: `--fence` and `--against` bring checkpoints that others
//! kept. Whatever is found ends with 3.

mod predecessor;
mod replay;
mod table;

use std::io::Write as _;
use std::path::PathBuf;

use assent_proto::number::LeafIndex;

use self::predecessor::Predecessor;
use self::replay::{Replay, Replayed};
use super::kept::Elsewhere;
use super::{Source, unreadable};
use crate::cli::progress::Progress;
use crate::cli::{Exit, Format, Globals};
use crate::clock::Clock;
use crate::log::reader::Reader;
use crate::log::store::StoredRound;
use crate::log::verification::{Report, Verification};

/// Which log, and against what.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    elsewhere: Elsewhere,
    /// The file of the log that this one follows: whether it verifies, and ends as operators signed that it did.
    #[arg(long, value_name = "FILE")]
    predecessor: Option<PathBuf>,
    /// Look at leaves and checkpoints only, not at the requests and answers beside them: more than twice as fast.
    #[arg(long, conflicts_with = "replay")]
    leaves_only: bool,
    /// Decide the recorded intents again, under the bundles that decided them, and compare.
    #[arg(long)]
    replay: bool,
    /// On how many threads; by default as many as there are processors.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    threads: Option<u16>,
}

impl Options {
    pub(super) fn threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.map_or_else(all, usize::from)
    }
}

/// Runs the command.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let store = options.source.open(globals)?;
    let (mut report, replayed) = verify(options, &store, globals)?;
    let (trust, named) = (options.source.trust(globals)?, options.predecessor.as_deref());
    let before = predecessor::examine(&store, &trust, named, options.threads(), &mut report)?;
    let origin = store.identity().map_err(|error| unreadable(&error))?.origin;
    let trust = options.source.trust_name();
    let named = (origin.as_str(), trust.as_str());
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => {
            writeln!(out, "{}", report_json(named, &report, replayed.as_ref(), before.as_ref()))?;
        }
        Format::Table => table::write(&mut out, named, &report, replayed.as_ref(), before.as_ref())?,
    }
    Ok(if report.verified() { Exit::Done } else { Exit::Invalid })
}

fn verify(
    options: &Options,
    store: &Reader,
    globals: &Globals,
) -> anyhow::Result<(Report, Option<Replayed>)> {
    let identity = store.identity().map_err(|error| unreadable(&error))?;
    let (trust, kept) =
        (options.source.trust(globals)?, options.elsewhere.read(&options.source, globals, store)?);
    let head = store.head().map_err(|error| unreadable(&error))?;
    let mut verification =
        Verification::new(&identity.origin, trust.keys()).at(Clock::system().now()).on(options.threads());
    if !options.leaves_only {
        verification = verification.beside(store);
    }
    verification = kept.hold(verification)?;
    let replay = match options.replay {
        true => Some(Replay::new(store, options.source.archive(globals)?)),
        false => None,
    };
    let mut bar = Progress::new(if options.replay { "replaying" } else { "verifying" }, head.size);
    let rounds = store.rounds(LeafIndex(0)).map_err(|error| unreadable(&error))?;
    let (mut replayed, mut done) = (Replayed::default(), |done| bar.show(done));
    let report = match &replay {
        None => verification.run(rounds, &mut done).map_err(|error| unreadable(&error)),
        Some(replay) => {
            let look = |round: &StoredRound| replay.round(round);
            verification.run_with(rounds, look, |round, approved| replayed.take(round, approved), &mut done)
        }
    };
    bar.clear();
    let mut report = report?;
    report.compare_with_head(&head);
    kept.tell(&mut report);
    if options.leaves_only {
        report.remark(0, "requests and answers beside the leaves were not looked at".to_owned());
    }
    let replayed = replay.map(|replay| replay.end(replayed, &mut report)).transpose()?;
    Ok((report, replayed))
}

/// The report as JSON.
fn report_json(
    (origin, trust): (&str, &str),
    report: &Report,
    replayed: Option<&Replayed>,
    before: Option<&Predecessor>,
) -> serde_json::Value {
    let kinds: serde_json::Map<String, serde_json::Value> =
        report.kinds.iter().map(|(kind, count)| (super::entry::kind_name(*kind), (*count).into())).collect();
    serde_json::json!({
        "schema": "assent.v1.log.verify",
        "origin": origin,
        "trust": trust,
        "verified": report.verified(),
        "signed_entries": report.head.map_or(0, |head| head.size.0),
        "entries": report.entries,
        "kinds": kinds,
        "checkpoints": report.checkpoints,
        "keys": report.keys,
        "predecessor": before.map(Predecessor::json),
        "head": report.head.map(|head| serde_json::json!({"size": head.size.0, "root": head.root.to_string()})),
        "agreed": report.agreed,
        "gaps": report.gaps,
        "warrants": report.warrants,
        "beside": report.beside,
        "replayed": replayed,
        "longest_silence": report.silence,
        "longest_stop": report.stopped,
        "times_ms": report.times_ms,
        "findings": report.findings,
        "findings_total": report.findings_total,
        "remarks": report.remarks,
        "remarks_total": report.remarks_total,
    })
}
