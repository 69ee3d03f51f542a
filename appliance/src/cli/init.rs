//! `assent init`: what an appliance needs before it can serve, stage by stage.

use std::io::Write as _;

use super::{Exit, Globals};
use crate::clock::Clock;
use crate::config::Config;
use crate::{provision, sample};

/// How to begin.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Write the retail sample as the first bundle.
    #[arg(long)]
    sample: bool,
}

/// Runs the command. It may be repeated: each run does what can be done now, and says what comes next.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let mut talk = crate::cli::stderr();
    let path = &globals.config;
    if provision::init_config(path, Config::EXAMPLE)? {
        writeln!(
            talk,
            "wrote {}: read it, name your HSM in it, then run `assent init` again",
            path.display()
        )?;
        return Ok(Exit::Pending);
    }
    let config = Config::load(path)?;
    provision::init_identity(&config, Clock::system().now())?;
    writeln!(talk, "certificates: {}", config.tls.certificate.display())?;
    if options.sample && !config.policy.bundle.exists() {
        sample::write_bundle(&config.policy.bundle)?;
    }
    if !config.policy.bundle.exists() {
        writeln!(
            talk,
            "bundle: missing at {}; `assent init --sample` writes an example",
            config.policy.bundle.display()
        )?;
    }
    if provision::log_file(&config).exists() {
        let ring = provision::keyring(&config)?;
        writeln!(talk, "log: {}, key {}", config.origin(), ring.signing().vkey)?;
        return Ok(Exit::Done);
    }
    if config.appliance.log > 1 {
        provision::agree(&config)?;
        writeln!(
            talk,
            "log: {} is opened by operators; next: `assent log succeed --reason TEXT`",
            config.origin()
        )?;
        return Ok(Exit::Pending);
    }
    let made = config
        .hsm
        .pin
        .read()
        .map_err(anyhow::Error::from)
        .and_then(|pin| Ok(provision::found_log(&config, &pin, Clock::system().now())?));
    match made {
        Ok(_) => {
            let ring = provision::keyring(&config)?;
            writeln!(talk, "log: made {} for key {}", config.origin(), ring.signing().vkey)?;
            writeln!(talk, "next: `assent agent enroll NAME`, `assent trust export`, `assent serve`")?;
            Ok(Exit::Done)
        }
        Err(error) => {
            writeln!(talk, "log: not made yet, for the HSM shows no key")?;
            for cause in error.chain() {
                writeln!(talk, "  because: {cause}")?;
            }
            writeln!(talk, "next: `assent hsm init`, `assent keys generate`, then `assent init` again")?;
            Ok(Exit::Pending)
        }
    }
}
