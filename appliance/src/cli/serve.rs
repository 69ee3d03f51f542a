//! `assent serve`: an appliance in the foreground, as a service manager wants it.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::{Exit, Globals};
use crate::config::Config;

/// Runs the command. It ends when it is told to stop.
pub(super) fn run(globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    trace();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(crate::serving::run(&config)).map_err(|error| super::unavailable(&error))?;
    Ok(Exit::Done)
}

/// Traces go to standard error: JSON, or text on a terminal. `ASSENT_TRACE` filters them.
pub(super) fn trace() {
    let filter = EnvFilter::try_from_env("ASSENT_TRACE").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if std::io::stderr().is_terminal() { builder.init() } else { builder.json().init() }
}
