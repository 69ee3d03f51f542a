//! Processes that are measured or that measure: started here, and ended with their holder, however it ends.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::{Signal, set_parent_process_death_signal};

/// This program, as one of its helpers.
pub(crate) fn helper(verb: &str) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bench", verb]);
    Ok(command)
}

/// Another program, which ends when this one does: one that was left would take the processors from the next run.
pub(crate) fn tied(program: &OsStr) -> anyhow::Result<Command> {
    let mut command = helper("tied")?;
    command.arg(program);
    Ok(command)
}

/// What the helper of that name does: becomes the program, with the wish to hear when its parent ends.
pub(crate) fn become_tied(program: &OsStr, words: &[OsString]) -> anyhow::Result<Infallible> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    Err(Command::new(program).args(words).exec())
        .with_context(|| format!("{} cannot be started", program.display()))
}

/// A process. It ends with this.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts it.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.get_program().display().to_string();
        Ok(Self(command.spawn().with_context(|| format!("{program} cannot be started"))?))
    }

    /// Starts a server that says in its first line where it listens, and ends when its standard input does.
    pub(crate) fn listening(command: &mut Command) -> anyhow::Result<(Self, String)> {
        let mut process = Self::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let mut line = String::new();
        BufReader::new(process.0.stdout.take().context("a pipe")?).read_line(&mut line)?;
        ensure!(!line.trim().is_empty(), "a server ended before it listened");
        Ok((process, line.trim().to_owned()))
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
