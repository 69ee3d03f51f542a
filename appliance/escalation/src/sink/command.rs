//! A command: a program that gets the event as JSON on its standard input, and says by its exit status whether it took it.
//!
//! It starts in `/` with hardly an environment, as the leader of a process group, and is killed with all of it at the
//! deadline. 0 is delivered, 65 (`EX_DATAERR`) refuses this event alone, anything else is a failure of the sink. What it
//! prints goes nowhere: the wait for it would have no bound.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::limits::MAX_REASON_BYTES;
use crate::message::Message;
use crate::outbox::Outcome;
use crate::visible::visible;

/// What a program gets of our environment.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"];
/// Its own variables: the message's id, and whether it is a drill.
const ID: &str = "ASSENT_MESSAGE_ID";
const DRILL: &str = "ASSENT_DRILL";
/// The exit status that refuses an event rather than all (`sysexits.h`).
const EX_DATAERR: i32 = 65;
/// How long a program that was killed may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
/// How often a wait is begun again because of a signal.
const MAX_INTERRUPTIONS: usize = 16;

/// A program with its arguments.
#[derive(Debug)]
pub(super) struct Command {
    program: PathBuf,
    arguments: Vec<String>,
    deadline: Duration,
}

impl Command {
    pub(super) const fn new(program: PathBuf, arguments: Vec<String>, deadline: Duration) -> Self {
        Self { program, arguments, deadline }
    }

    /// Runs it on a message.
    pub(super) fn run(&self, message: &Message) -> Outcome {
        let failed = |what: &str, error: &dyn std::fmt::Display| Outcome::Failed {
            reason: visible(&format!("cannot {what} {}: {error}", self.program.display()), MAX_REASON_BYTES),
            retry_after_seconds: None,
        };
        let input = match input(&message.json()) {
            Ok(input) => input,
            Err(error) => return failed("prepare the input of", &error),
        };
        let mut child = match self.process(message, input).spawn() {
            Ok(child) => child,
            Err(error) => return failed("run", &error),
        };
        match self.ended(&mut child) {
            Ok(Some(status)) => judge(status),
            Ok(None) => Outcome::Failed {
                reason: format!("it was killed after {} s", self.deadline.as_secs_f32()),
                retry_after_seconds: None,
            },
            Err(error) => {
                kill(&child);
                let _ = child.wait();
                failed("wait for", &error)
            }
        }
    }

    fn process(&self, message: &Message, input: File) -> Process {
        let mut process = Process::new(&self.program);
        process.args(&self.arguments).env_clear().current_dir("/").process_group(0);
        process.envs(INHERITED.iter().filter_map(|name| Some((*name, std::env::var_os(name)?))));
        process.env(ID, message.id());
        process.env(DRILL, if message.incident().is_drill() { "1" } else { "0" });
        process.stdin(Stdio::from(input)).stdout(Stdio::null()).stderr(Stdio::null());
        process
    }

    /// Its exit status; none: it was killed. A process that is not yet waited for keeps its id, so that no other is killed.
    fn ended(&self, child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
        let watched = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        if await_end(&watched, self.deadline)? {
            return child.wait().map(Some);
        }
        kill(child);
        if await_end(&watched, KILLED_WITHIN)? {
            child.wait()?;
        }
        Ok(None)
    }
}

/// The JSON as a file without a name: no pipe that somebody would have to fill while the program runs.
fn input(json: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(memfd_create("assent-incident", MemfdFlags::CLOEXEC)?);
    file.write_all(json)?;
    file.rewind()?;
    Ok(file)
}

fn kill(child: &Child) {
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
}

/// Whether the process ends within the limit.
fn await_end(watched: &impl std::os::fd::AsFd, limit: Duration) -> std::io::Result<bool> {
    let limit = Timespec::try_from(limit).map_err(std::io::Error::other)?;
    for _ in 0..MAX_INTERRUPTIONS {
        let mut fds = [PollFd::new(watched, PollFlags::IN)];
        match poll(&mut fds, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
    Ok(false)
}

fn judge(status: ExitStatus) -> Outcome {
    let reason = format!("it ended with {status}");
    match status.code() {
        Some(0) => Outcome::Delivered,
        Some(EX_DATAERR) => Outcome::Refused { reason },
        Some(_) | None => Outcome::Failed { reason, retry_after_seconds: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::begun;

    fn shell(script: &str, deadline: Duration) -> Outcome {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        Command::new("/bin/sh".into(), arguments, deadline).run(&begun())
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn the_event_comes_in_as_json_with_hardly_an_environment() {
        let folder = tempfile::tempdir().unwrap();
        let (got, environment) = (folder.path().join("got"), folder.path().join("environment"));
        let script = format!("cat > {}; env > {}; test $PWD = /", got.display(), environment.display());
        assert_eq!(shell(&script, SOON), Outcome::Delivered);
        assert_eq!(std::fs::read(got).unwrap(), begun().json());
        let environment = std::fs::read_to_string(environment).unwrap();
        assert!(environment.contains(&format!("ASSENT_MESSAGE_ID={}\n", begun().id())), "{environment}");
        assert!(environment.contains("ASSENT_DRILL=0\n"));
        let ours = ["ASSENT_MESSAGE_ID", "ASSENT_DRILL", "PWD", "OLDPWD", "SHLVL", "_"];
        for name in environment.lines().filter_map(|line| line.split('=').next()) {
            assert!(INHERITED.contains(&name) || ours.contains(&name), "{name}");
        }
    }

    #[test]
    fn exit_statuses_say_what_became_of_it() {
        assert!(matches!(shell("exit 65", SOON), Outcome::Refused { .. }));
        let Outcome::Failed { reason, .. } = shell("exit 3", SOON) else { panic!() };
        assert_eq!(reason, "it ended with exit status: 3");
        let Outcome::Failed { reason, .. } = shell("kill -9 $$", SOON) else { panic!() };
        assert_eq!(reason, "it ended with signal: 9 (SIGKILL)");
        let missing = Command::new("/nonexistent/program".into(), Vec::new(), SOON).run(&begun());
        let Outcome::Failed { reason, .. } = missing else { panic!() };
        assert!(reason.starts_with("cannot run /nonexistent/program: "), "{reason}");
    }

    #[test]
    fn one_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let Outcome::Failed { reason, .. } = shell(&script, Duration::from_millis(1500)) else { panic!() };
        assert_eq!(reason, "it was killed after 1.5 s");
        let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        for _ in 0..1000 {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                return;
            }
            // WAIT: for the kernel to be done with a process that was killed, ten seconds at most.
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the child of a command that was killed is still there");
    }
}
