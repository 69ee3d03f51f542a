//! `assent policy load`: have the running appliance put a bundle in force.
//!
//! The appliance reads the folder itself, on its own machine and as its own user. Ends with 3 and the whole report where
//! it refuses, with 5 where nobody answers; the bundle before stays in force in both cases.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::{Exit, Failure, Format, Globals, unavailable};
use crate::config::Config;
use crate::control::{self, ControlError};
use crate::policy::loader::Answer;

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// Which bundle, and how.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The bundle's folder on the appliance's machine; by default the configured source.
    bundle: Option<PathBuf>,
    /// Take it although it is older than the one in force.
    #[arg(long)]
    downgrade: bool,
    /// An operator's signature beside those in the bundle's folder; may be given several times.
    #[arg(long = "signature", value_name = "FILE")]
    signatures: Vec<PathBuf>,
}

/// Runs the command.
pub(super) fn run(options: Options, globals: &Globals) -> anyhow::Result<Exit> {
    let Options { bundle, downgrade, signatures } = options;
    let config = Config::load(&globals.config)?;
    // The appliance has another working folder than we.
    let folder = bundle
        .map(|path| std::path::absolute(&path).with_context(|| format!("cannot find {}", path.display())))
        .transpose()?;
    let signatures = super::super::output::signatures(&signatures)?;
    let asked = move || control::ask_load(&config.appliance.data, folder, downgrade, signatures);
    let answer = while_turning(asked)?.map_err(|error| unavailable(&error))?;
    match answer {
        Answer::Loaded { .. } => {
            print(&answer, globals.output)?;
            Ok(Exit::Done)
        }
        Answer::Refused { ref kind, ref in_force, ref report } => {
            if globals.output != Format::Table {
                print(&answer, globals.output)?;
            }
            let message = format!("the bundle is refused ({kind}); {in_force} stays in force\n{report}");
            Err(Failure { message, exit: Exit::Invalid }.into())
        }
        Answer::Busy => {
            let message = "the appliance is loading other bundles; try again".to_owned();
            Err(Failure { message, exit: Exit::Unavailable }.into())
        }
    }
}

/// Waits for an answer; on a terminal, visibly.
fn while_turning(
    asked: impl FnOnce() -> Result<Answer, ControlError> + Send + 'static,
) -> anyhow::Result<Result<Answer, ControlError>> {
    let (tell, told) = sync_channel(1);
    let run = move || drop(tell.send(asked()));
    std::thread::Builder::new().name("asking".to_owned()).spawn(run)?;
    let mut turning = Turning::new();
    loop {
        match told.recv_timeout(TURN) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => turning.turn(),
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("nobody asked the appliance"),
        }
    }
}

/// A spinner on a terminal, nothing elsewhere.
struct Turning {
    turns: usize,
    is_on: bool,
}

impl Turning {
    fn new() -> Self {
        Self { turns: 0, is_on: std::io::IsTerminal::is_terminal(&std::io::stderr()) }
    }

    fn turn(&mut self) {
        const MARKS: [char; 4] = ['|', '/', '-', '\\'];
        self.turns += 1;
        let mark = MARKS.iter().cycle().nth(self.turns % MARKS.len()).unwrap_or(&'|');
        if self.is_on {
            let _ = write!(crate::cli::stderr(), "\r{mark} loading");
        }
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        if self.is_on && self.turns > 0 {
            let _ = write!(crate::cli::stderr(), "\r\u{1b}[K");
        }
    }
}

fn print(answer: &Answer, format: Format) -> anyhow::Result<()> {
    let mut out = crate::cli::stdout();
    if format != Format::Table {
        let mut json = serde_json::to_value(answer)?;
        if let Some(json) = json.as_object_mut() {
            json.insert("schema".to_owned(), "assent.v1.policy.load".into());
        }
        writeln!(out, "{}", crate::shown::json(&json))?;
        return Ok(());
    }
    if let Answer::Loaded { digest, before, version, source, signers, warnings } = answer {
        writeln!(out, "loaded from {source}")?;
        writeln!(out, "  digest      {digest}")?;
        writeln!(out, "  before      {before}")?;
        writeln!(out, "  version     {}", version.map_or("none".to_owned(), |version| version.to_string()))?;
        if !signers.is_empty() {
            writeln!(out, "  signed by   {}", signers.join(", "))?;
        }
        for warning in warnings {
            writeln!(out, "  warning     {warning}")?;
        }
    }
    Ok(())
}
