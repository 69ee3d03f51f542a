//! `assent demo`: the main job, seen.
//!
//! A whole appliance in a scratch folder, as its own process; a retail agent that pre-authorizes its intents in batches; an
//! executor, in a third process, that holds nothing but the trust file; a signer that is killed in the middle; and at the
//! end the log, verified. It exits 0 only if every intent came out as the store's rules say and everything else held.

mod agent;
mod appliance;
mod bad_day;
mod executor;
mod story;

use std::io::Write as _;
use std::time::Duration;

use assent_proto::number::LeafIndex;

use self::agent::Agent;
use self::appliance::Appliance;
use self::executor::Executor;
use self::story::Story;
use super::scratch::Scratch;
use super::{Exit, Format, Globals};
use crate::clock::Stopwatch;
use crate::log::reader::Reader;
use crate::log::verification::{Report, Verification};

/// How to run it.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Keep the scratch folder, and say where it is.
    #[arg(long)]
    keep: bool,
    /// An outage instead: queue, warrant, approvals, escalations.
    #[arg(long, conflicts_with = "batch")]
    bad_day: bool,
    /// Intents of one batch.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=4096))]
    batch: u16,
}

/// Runs the command.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    if options.bad_day {
        return bad_day::run(options.keep, globals);
    }
    let scratch = Scratch::new("demo", options.keep)?;
    let story = play(&scratch, options)?;
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => writeln!(out, "{}", story.json())?,
        Format::Table => write!(out, "{}", story.table())?,
    }
    Ok(if story.held() { Exit::Done } else { Exit::Invalid })
}

fn play(scratch: &Scratch, options: &Options) -> anyhow::Result<Story> {
    let watch = Stopwatch::start();
    let talk = |text: &str| drop(writeln!(crate::cli::stderr(), "{text}"));
    talk("provisioning: a simulated HSM with a fresh key, a CA, the retail store's bundle, one agent");
    let mut appliance = Appliance::start(&scratch.path)?;
    let mut story = Story { started: watch.elapsed(), ..Story::default() };

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let agent = runtime.block_on(Agent::connect(&appliance))?;
    let executor = Executor::start(&scratch.path, &appliance)?;
    let middle = agent.intents() / 2;

    talk("pre-authorizing the first half of the intents");
    story.add(runtime.block_on(agent.preauthorize(0..middle, usize::from(options.batch)))?);
    talk("kill -9 of the signer: the token boundary closes");
    story.outage = runtime.block_on(agent.through_an_outage(&appliance))?;
    talk("re-armed; pre-authorizing the second half");
    story.add(runtime.block_on(agent.preauthorize(middle..agent.intents(), usize::from(options.batch)))?);

    talk("the executor verifies every token, offline");
    story.execution = executor.verify(&agent, &story.tokens)?;
    drop(runtime);
    drop(agent);
    talk("stopping the appliance and verifying its log");
    appliance.stop()?;
    story.log = Some(verify_log(&appliance)?);
    story.elapsed = watch.elapsed();
    Ok(story)
}

fn verify_log(appliance: &Appliance) -> anyhow::Result<Report> {
    let store = Reader::open(&crate::provision::log_file(&appliance.config))?;
    let identity = store.identity()?;
    let trust = super::trust::own(&appliance.config)?;
    Ok(Verification::new(&identity.origin, trust.keys()).run(store.rounds(LeafIndex(0))?, |_| ())?)
}

/// How long anything in the demo may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);
