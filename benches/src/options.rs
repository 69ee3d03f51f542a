//! The words of `assent bench`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use appliance::cli::Exit;
use clap::{Parser, Subcommand, ValueEnum};

use crate::bed::Hsm;

/// What it costs, beside what it stands on and what people would use instead: all of it on this machine, in one run.
///
/// Agents, peers and appliance share the processors. Ratios are made within a run, and told as the median over all runs. Ends with 3
/// when a target is missed.
#[derive(Debug, Parser)]
#[command(name = "assent bench", bin_name = "assent bench", max_term_width = 100)]
pub(crate) struct Options {
    /// How often everything is measured; what is told is the median.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=99))]
    pub(crate) runs: u8,
    /// How long each rate is measured, in seconds, 0.1 to 600; at 114 ms a signature 4 at least.
    ///
    /// A cell of the grid takes half as long, and goes on until each of its agents has four answers, for 20 seconds at most.
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) span: Duration,
    /// Only these; several are separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WORK")]
    pub(crate) only: Vec<Work>,
    /// Which HSM signs; SoftHSM2 where it is installed.
    #[arg(long, value_enum, value_name = "HSM")]
    pub(crate) hsm: Option<Hsm>,
    /// The binary of Cerbos; without it nothing is told of Cerbos.
    #[arg(long, value_name = "PATH")]
    pub(crate) cerbos: Option<PathBuf>,
    /// Where the page with the plots is written.
    #[arg(long, value_name = "FILE", default_value = "target/bench.html")]
    pub(crate) page: PathBuf,
    /// How to print the figures; JSON is one line, the last.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT", env = "ASSENT_FORMAT")]
    pub(crate) output: Output,
    #[command(subcommand)]
    pub(crate) helper: Option<Helper>,
}

/// How figures are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A table.
    #[default]
    Table,
    /// One line of JSON.
    Json,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Work {
    /// Bare signature, commit and exchange.
    Parts,
    /// Lone intents, one after the other.
    Lone,
    /// Batches of 1,024.
    Batches,
    /// Batches of all sizes, by 1, 8 and 64 agents.
    Grid,
    /// 64 agents with one intent in flight each.
    Agents,
    /// 64 agents with one intent in flight each, beside one of them that floods with large batches.
    Flood,
    /// At the pace of a device that takes 114 ms a signature.
    Paced,
    /// The evaluator beside cedar-policy.
    Evaluator,
    /// Tokens, beside a JWT, PASETO and Biscuit.
    Tokens,
    /// A straightforward peer.
    Plain,
    /// Cerbos.
    Cerbos,
}

/// Processes that this program starts of itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Helper {
    /// Signs with a module, and prints how fast.
    #[command(hide = true)]
    RawSign { module: PathBuf, pin_file: PathBuf, signatures: usize },
    /// Prints a module's version.
    #[command(hide = true)]
    ModuleVersion { module: PathBuf },
    /// Sends back what it gets.
    #[command(hide = true)]
    Echo,
    /// The straightforward peer.
    #[command(hide = true)]
    PlainPeer { module: PathBuf, pin_file: PathBuf, folder: PathBuf },
    /// Removes a folder when its parent has ended.
    #[command(hide = true)]
    Sweep { folder: PathBuf },
    /// Becomes another program, which ends when its parent does.
    #[command(hide = true)]
    Tied {
        program: OsString,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

impl Options {
    /// Whether this is to be measured; Cerbos is not unless its binary is at hand.
    pub(crate) fn wants(&self, work: Work) -> bool {
        let can = work != Work::Cerbos || self.cerbos.is_some();
        self.only.contains(&work) || (can && self.only.is_empty())
    }
}

/// Reads the words of this process behind the first so many; where they are no options, what the process ends with.
pub(crate) fn read(first: usize) -> Result<Options, ExitCode> {
    let words = std::iter::once("assent bench".into()).chain(std::env::args_os().skip(first));
    Options::try_parse_from(words).map_err(|usage| {
        let wanted = !usage.use_stderr();
        let _ = usage.print();
        if wanted { Exit::Done } else { Exit::Failed }.into()
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    let within = (0.1..=600.0).contains(&seconds);
    within.then(|| Duration::from_secs_f64(seconds)).ok_or_else(|| "between 0.1 and 600".to_owned())
}
