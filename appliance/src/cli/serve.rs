//! `assent serve`: an appliance in the foreground, as a service manager wants it.

use std::io::IsTerminal as _;

use super::{Exit, Failure, Globals};
use crate::config::Config;
use crate::limits::TASKS_PER_LOOK_AT_SOCKET;
use crate::log::OpenError;
use crate::log::store::StoreError;
use crate::serving::ServeError;
use crate::serving::status::Status;
use crate::traces::Traces;

/// Runs the command. It ends when it is told to stop.
pub(super) fn run(globals: &Globals) -> anyhow::Result<Exit> {
    run_and_tell(globals, |_| ())
}

/// The same, and says how the appliance is when it listens.
pub(super) fn run_and_tell(globals: &Globals, listening: impl FnOnce(&Status)) -> anyhow::Result<Exit> {
    crate::hsm::signer::protect_memory()?;
    let config = Config::load(&globals.config)?;
    // Ends last: what happens on the way out is traced too.
    let _traces = Traces::begin(&config, super::output::traces, std::io::stderr().is_terminal())?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // A large batch takes milliseconds to decide: the socket is looked at in between, and not behind a row of them.
    let runtime = builder.enable_all().event_interval(TASKS_PER_LOOK_AT_SOCKET).build()?;
    runtime.block_on(crate::serving::run(&config, listening)).map_err(|error| failed(&error))?;
    Ok(Exit::Done)
}

/// A bundle that is refused is told with all that is known of it, as `assent policy check` would.
fn failed(error: &ServeError) -> anyhow::Error {
    if let ServeError::Bundle(refused) = error {
        let message = format!("cannot load the bundle\n{}", refused.report());
        return Failure { message, exit: exit_of(error) }.into();
    }
    super::failure(error, exit_of(error))
}

/// What cannot be verified ends with 3, what was running and is no more with 5, and what could not begin with 1.
const fn exit_of(error: &ServeError) -> Exit {
    match error {
        ServeError::Log(OpenError::Store(StoreError::Busy | StoreError::Missing(_))) => Exit::Failed,
        ServeError::Bundle(_) | ServeError::Log(_) | ServeError::Queue(_) | ServeError::BreakGlass(_) => {
            Exit::Invalid
        }
        ServeError::Sealer(_) | ServeError::SealerDied => Exit::Unavailable,
        ServeError::Place(_)
        | ServeError::Provision(_)
        | ServeError::Pin(_)
        | ServeError::Tls(_)
        | ServeError::Registry(_)
        | ServeError::Passkeys(_)
        | ServeError::Console(_)
        | ServeError::Port(_)
        | ServeError::Signers(_)
        | ServeError::Operators(_)
        | ServeError::Control(_)
        | ServeError::Escalation(_)
        | ServeError::Witnesses(_)
        | ServeError::Witness(_)
        | ServeError::System { .. } => Exit::Failed,
    }
}
