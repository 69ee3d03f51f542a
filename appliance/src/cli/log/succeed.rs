//! `assent log succeed`: operators open log n+1 in place of one that must not go on.
//!
//! Without signatures it prints what is to be signed, byte for byte, and writes nothing. With enough of them it opens the log
//! that the configuration names. The appliance stands still meanwhile; the old log's files are read and never written.

use std::io::Write as _;
use std::path::PathBuf;

use serde_json::json;

use crate::cli::output::signatures;
use crate::cli::{Exit, Failure, Format, Globals};
use crate::clock::Clock;
use crate::config::Config;
use crate::hsm::{FaultClass, Signer};
use crate::limits::SIGNER_START_DEADLINE;
use crate::log::predecessor::NAMESPACE;
use crate::operators::Quorum;
use crate::provision::succession::{Outcome, Succession, SuccessionError};
use crate::provision::{self, ProvisionError};

/// Why, and by whom.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Why the old log must not go on, in one line; the statement has it.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Print the statement that is to be signed, and do nothing else; so it is without any signature.
    #[arg(long, conflicts_with = "signatures")]
    print_statement: bool,
    /// An operator's signature over the statement; may be given several times.
    #[arg(long = "signature", value_name = "FILE")]
    signatures: Vec<PathBuf>,
}

/// Runs the command.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    crate::hsm::signer::protect_memory()?;
    let config = Config::load(&globals.config)?;
    let signatures = signatures(&options.signatures)?;
    let quorum = quorum(&config)?;
    let start = || {
        let pin = config.hsm.pin.read().map_err(ProvisionError::from)?;
        Ok(Signer::start(&provision::hsm_settings(&config)?, &pin, SIGNER_START_DEADLINE, |_| ())?)
    };
    let ceremony = Succession::prepare(&config, &options.reason, start).map_err(|error| failed(&error))?;
    let statement = ceremony.statement().to_string();
    if signatures.is_empty() {
        propose(&statement, &quorum, globals)?;
        return Ok(Exit::Pending);
    }
    let by = quorum
        .verify(NAMESPACE, statement.as_bytes(), &signatures)
        .map_err(|error| Failure { message: format!("{error}; nothing was opened"), exit: Exit::Invalid })?;
    let (to, key) = (ceremony.statement().to.clone(), ceremony.statement().key.clone());
    let outcome =
        ceremony.carry_out(&by, &signatures, Clock::system().now()).map_err(|error| failed(&error))?;
    let (word, said) = match outcome {
        Outcome::Opened => ("opened", "is open"),
        Outcome::WasOpen => ("was_open", "was open, by this statement"),
    };
    if globals.output != Format::Table {
        let by = by.names();
        let json =
            json!({"schema": "assent.v1.log.succeed", "outcome": word, "origin": to, "key": key, "by": by});
        writeln!(crate::cli::stdout(), "{json}")?;
    }
    talk!("{to} {said}, for key {key}, by {}", by.names().join(", "));
    talk!(
        "next: `assent trust export`, bring the file to executors, agents and auditors, then `assent serve`;"
    );
    talk!("keep the old log, its key ring and its fence for auditors");
    Ok(Exit::Done)
}

/// At least two operators, as for everything that follows an integrity fault.
fn quorum(config: &Config) -> anyhow::Result<Quorum> {
    let office = config.hsm.office()?;
    let message =
        "no operators are named, so nobody can open another log; list their keys under `hsm.operators`";
    let none = || Failure { message: message.to_owned(), exit: Exit::Failed };
    Ok(office.ok_or_else(none)?.grave)
}

fn propose(statement: &str, quorum: &Quorum, globals: &Globals) -> anyhow::Result<()> {
    let operators: Vec<&str> = quorum.keys().iter().map(|key| key.name()).collect();
    let mut out = crate::cli::stdout();
    if globals.output == Format::Table {
        write!(out, "{statement}")?;
    } else {
        let json = json!({
            "schema": "assent.v1.log.succeed", "outcome": "to_sign", "statement": statement,
            "operators": operators, "threshold": quorum.threshold(),
        });
        writeln!(out, "{json}")?;
    }
    talk!("to be signed by {} of: {}", quorum.threshold(), operators.join(", "));
    talk!("write it to a file, and sign that with `ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE`");
    talk!("then the same command with `--signature FILE.sig`, once for each signature");
    Ok(())
}

/// What cannot be believed ends with 3, what may be had later with 5, and what was asked wrongly with 1.
fn failed(error: &SuccessionError) -> anyhow::Error {
    let exit = match error {
        SuccessionError::Hsm(fault) | SuccessionError::Provision(ProvisionError::Hsm(fault)) => {
            match fault.class() {
                FaultClass::Availability => Exit::Unavailable,
                FaultClass::Integrity => Exit::Invalid,
            }
        }
        SuccessionError::KeyInUse { .. }
        | SuccessionError::Opened(_)
        | SuccessionError::OtherKey(_)
        | SuccessionError::Key(_)
        | SuccessionError::Open(_)
        | SuccessionError::Provision(ProvisionError::Begun(_)) => Exit::Invalid,
        SuccessionError::First
        | SuccessionError::Number { .. }
        | SuccessionError::NoRing(_)
        | SuccessionError::Unused(_)
        | SuccessionError::Running
        | SuccessionError::Reason
        | SuccessionError::Provision(_)
        | SuccessionError::Origin(_)
        | SuccessionError::Fatal(_)
        | SuccessionError::Fence(_)
        | SuccessionError::TooLong => Exit::Failed,
    };
    crate::cli::failure(error, exit)
}
