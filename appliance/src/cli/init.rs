//! `assent init`: what an appliance needs before it can serve, stage by stage.

use std::error::Error as _;
use std::io::Write as _;

use super::{Exit, Globals, failure};
use crate::clock::Clock;
use crate::config::Config;
use crate::hsm::FaultKind;
use crate::provision::{self, ProvisionError};
use crate::sample;

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
    let pin = config.hsm.pin.read().map_err(ProvisionError::from);
    match pin.and_then(|pin| provision::found_log(&config, &pin, Clock::system().now())) {
        Ok(_) => {
            let ring = provision::keyring(&config)?;
            writeln!(talk, "log: made {} for key {}", config.origin(), ring.signing().vkey)?;
            writeln!(talk, "next: `assent agent enroll NAME`, `assent trust export`, `assent serve`")?;
            Ok(Exit::Done)
        }
        Err(error) if awaits_key(&error) => {
            writeln!(talk, "log: not made yet, for the HSM shows no key")?;
            let mut cause = error.source();
            while let Some(because) = cause {
                writeln!(talk, "  because: {because}")?;
                cause = because.source();
            }
            writeln!(talk, "next: `assent hsm init`, `assent keys generate`, then `assent init` again")?;
            Ok(Exit::Pending)
        }
        Err(error) => Err(failure(&error, exit_of(&error))),
    }
}

/// Whether slot or key are still to be made.
fn awaits_key(error: &ProvisionError) -> bool {
    let ProvisionError::Hsm(fault) = error else { return false };
    matches!(fault.fault(), FaultKind::SlotAbsent | FaultKind::KeyAbsent)
}

/// What cannot be believed ends with 3, what may be had later with 5, and what is to be corrected with 1.
const fn exit_of(error: &ProvisionError) -> Exit {
    match error {
        ProvisionError::Hsm(fault) => super::hsm::exit_of(fault),
        ProvisionError::Begun(_) => Exit::Invalid,
        ProvisionError::NotPinned(_)
        | ProvisionError::Succeeded { .. }
        | ProvisionError::NotOpened(_)
        | ProvisionError::NoSimulator
        | ProvisionError::File { .. }
        | ProvisionError::Ca(_)
        | ProvisionError::Spiffe(_)
        | ProvisionError::Pin(_)
        | ProvisionError::Key { .. }
        | ProvisionError::Keyring(_)
        | ProvisionError::Log(_) => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hsm::{HsmFault, PinError};

    #[test]
    fn only_a_slot_or_a_key_that_is_to_be_made_is_waited_for() {
        let ended = |error: ProvisionError| (awaits_key(&error), exit_of(&error));
        for (kind, waits, exit) in [
            (FaultKind::SlotAbsent, true, Exit::Unavailable),
            (FaultKind::KeyAbsent, true, Exit::Invalid),
            (FaultKind::ModuleMissing, false, Exit::Unavailable),
            (FaultKind::PinIncorrect, false, Exit::Invalid),
            (FaultKind::SerialOther, false, Exit::Invalid),
        ] {
            assert_eq!(ended(HsmFault::new(kind, "").into()), (waits, exit), "{kind:?}");
        }
        assert_eq!(ended(PinError::Empty.into()), (false, Exit::Failed));
        assert_eq!(ended(ProvisionError::NoSimulator), (false, Exit::Failed));
        assert_eq!(ended(ProvisionError::Begun("a/b".to_owned())), (false, Exit::Invalid));
    }
}
