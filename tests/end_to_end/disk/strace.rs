//! strace as the hand that breaks the disk: it counts the system calls of one thread, and kills, fails or delays the n-th.
//!
//! A count is of one call by its name, in one thread, from the moment on at which that thread is traced. So a fault is named
//! by `(call, n)`, and a sweep over what a dry run counted meets every call that the thread makes. What a call that is hit was
//! about to do is not done: the process dies, or hears the error, on the way in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{eventually, not_run};

/// Calls that change what is kept, or promise that it will last, and those by which the sealer speaks to the signer.
pub(crate) const CALLS: &str = "openat,write,pwrite64,writev,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,mkdir,mkdirat,unlink,\
     unlinkat,rmdir,ftruncate,fallocate,chmod,fchmod,fchmodat,flock,link,linkat,sendto,sendmsg";

/// Whether it is installed and may trace.
pub(crate) fn present() -> bool {
    let works = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    let works = works.is_ok_and(|status| status.success());
    if !works {
        not_run::missing("strace is not installed, or may not trace (apt-get install strace)");
    }
    works
}

/// What is done to the n-th call of this name.
#[derive(Clone, Debug)]
pub(crate) struct Injection {
    call: String,
    fault: String,
    when: String,
}

impl Injection {
    /// The process dies before the call does anything.
    pub(crate) fn kill(call: &str, nth: usize) -> Self {
        Self { call: call.to_owned(), fault: "signal=KILL".to_owned(), when: nth.to_string() }
    }

    /// The call does nothing, and gives this error.
    pub(crate) fn fail(call: &str, error: &str, nth: usize) -> Self {
        Self { call: call.to_owned(), fault: format!("error={error}"), when: nth.to_string() }
    }

    /// The call waits for so long before it does anything.
    pub(crate) fn delay(call: &str, delay: Duration, nth: usize) -> Self {
        let fault = format!("delay_enter={}", delay.as_micros());
        Self { call: call.to_owned(), fault, when: nth.to_string() }
    }
}

fn arguments(injection: Option<&Injection>, told: &Path) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = vec!["-q".into(), "-y".into(), "-o".into(), told.into(), "-e".into()];
    match injection {
        None => arguments.push(format!("trace={CALLS}").into()),
        Some(Injection { call, fault, when }) => {
            arguments.push(format!("trace={CALLS},{call}").into());
            arguments.extend(["-e".into(), format!("inject={call}:{fault}:when={when}").into()]);
        }
    }
    arguments
}

/// The words before a command under which its first thread is traced from its beginning. The process stays the caller's
/// child; strace is somebody else's.
pub(crate) fn before(injection: Option<&Injection>, told: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["strace".into(), "-D".into()];
    words.extend(arguments(injection, told));
    words
}

/// strace on one thread.
#[derive(Debug)]
pub(crate) struct Tracer {
    child: Child,
    told: PathBuf,
}

impl Tracer {
    /// Attaches to the thread of this name.
    pub(crate) fn attach(process: Pid, thread: &str, injection: Option<&Injection>, told: &Path) -> Self {
        let id = eventually("the thread runs", || thread_of(process, thread));
        let _ = std::fs::remove_file(told);
        let mut command = Command::new("strace");
        command.args(arguments(injection, told)).args(["-p", &id.to_string()]);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace starts");
        let status = format!("/proc/{}/task/{id}/status", process.as_raw_nonzero());
        eventually("strace has attached", || {
            let status = std::fs::read_to_string(&status).ok()?;
            let traced = |line: &str| line.starts_with("TracerPid:") && !line.ends_with("\t0");
            status.lines().any(traced).then_some(())
        });
        Self { child, told: told.to_owned() }
    }

    /// What it has seen so far, a line a call.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(&self.told).unwrap_or_default()
    }

    /// Lets the thread go, and gives how often each call was made.
    pub(crate) fn detach(mut self) -> BTreeMap<String, usize> {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        self.child.wait().expect("strace ends");
        counts(&self.told())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

fn thread_of(process: Pid, name: &str) -> Option<i32> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", process.as_raw_nonzero())).ok()?;
    threads.flatten().find_map(|thread| {
        let called = std::fs::read_to_string(thread.path().join("comm")).ok()?;
        (called.trim_end() == name).then(|| thread.file_name().to_str()?.parse().ok())?
    })
}

/// The call that was failed, with the path of what it was about; none before it was.
pub(crate) fn failed(told: &str) -> Option<&str> {
    told.lines().find(|line| line.ends_with("(INJECTED)"))
}

/// How often each call was made, by what strace wrote.
pub(crate) fn counts(told: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in told.lines() {
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if let Some((call, _)) = line.split_once('(').filter(|(call, _)| call.bytes().all(named)) {
            *counts.entry(call.to_owned()).or_default() += 1;
        }
    }
    counts
}
