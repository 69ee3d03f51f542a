//! `assent hsm rearm`: operators order that a boundary open again which must not do so by itself.
//!
//! Without signatures it prints what is to be signed, byte for byte, and nothing else. With enough of them the running
//! appliance tries to arm; the command waits until it is open, or says why not. It cannot make the appliance believe its
//! HSM: the checks of every arming stand.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::output::signatures;
use super::super::{Exit, Failure, Format, Globals, unavailable};
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::control;
use crate::token::rearm::{NAMESPACE, Ordered};

/// How long the command waits for the boundary to open.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is ordered, and by whom.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Have executors refuse tokens that were decided before the boundary closed.
    #[arg(long)]
    revoke: bool,
    /// An operator's signature over the statement; may be given several times. Without any, the statement is printed.
    #[arg(long = "signature", value_name = "FILE")]
    signatures: Vec<PathBuf>,
}

/// Runs the command.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let data = &config.appliance.data;
    let signatures = signatures(&options.signatures)?;
    let ordered =
        control::ask_rearm(data, options.revoke, signatures).map_err(|error| unavailable(&error))?;
    if globals.output != Format::Table {
        let mut json = serde_json::to_value(&ordered)?;
        if let Some(json) = json.as_object_mut() {
            json.insert("schema".to_owned(), "assent.v1.hsm.rearm".into());
        }
        writeln!(crate::cli::stdout(), "{}", crate::shown::json(&json))?;
    }
    match ordered {
        Ordered::ToSign { statement, operators, threshold } => {
            if globals.output == Format::Table {
                write!(crate::cli::stdout(), "{statement}")?;
            }
            talk!("to be signed by {threshold} of: {}", operators.join(", "));
            talk!("write it to a file, and sign that with `ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE`");
            talk!("then `assent hsm rearm --signature FILE.sig`, once for each signature");
            Ok(Exit::Pending)
        }
        Ordered::Trying { epoch, by } => {
            talk!("ordered by {}; arming in epoch {epoch}", by.join(", "));
            until_open(data)
        }
        Ordered::NotClosed if options.revoke => failed(
            "the token boundary is open: tokens are revoked by an order that re-arms it, and by no other",
            Exit::Failed,
        ),
        Ordered::NotClosed => {
            talk!("the token boundary is open; nothing to do");
            Ok(Exit::Done)
        }
        Ordered::ByItself { cause } => failed(&format!("it re-arms by itself: {cause}"), Exit::Unavailable),
        Ordered::NoOperators => failed(
            "no operators are named; list their keys under `hsm.operators` and restart the appliance",
            Exit::Failed,
        ),
        Ordered::Refused { reason } => failed(&reason, Exit::Invalid),
    }
}

fn failed(message: &str, exit: Exit) -> anyhow::Result<Exit> {
    Err(Failure { message: message.to_owned(), exit }.into())
}

fn until_open(data: &Path) -> anyhow::Result<Exit> {
    let watch = Stopwatch::start();
    loop {
        let token = control::ask_status(data).map_err(|error| unavailable(&error))?.boundaries.token;
        if token.open {
            talk!("the token boundary is open");
            return Ok(Exit::Done);
        }
        let is_over = token.class == Some(crate::hsm::FaultClass::Integrity);
        if is_over || watch.left_of(PATIENCE).is_none() {
            let message = token.message.unwrap_or_default();
            let order =
                if is_over { "this order is spent" } else { "the order stands, and arming is tried again" };
            return failed(&format!("still closed: {message}; {order}"), Exit::Unavailable);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
