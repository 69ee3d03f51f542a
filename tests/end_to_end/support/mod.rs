//! A real appliance in a folder of its own, as its own process, and an agent that talks to it.
//!
//! Nothing here is a mock: the binary is the product's, the HSM is the simulator or SoftHSM2, the port is any that is free.
//! Every wait is for a condition, with a deadline.

#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses a part of it")]

pub(crate) mod agent;
pub(crate) mod go;
pub(crate) mod not_run;
pub(crate) mod ports;
pub(crate) mod raw;
pub(crate) mod softhsm;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::config::Config;
use appliance::control;
use appliance::serving::status::Status;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The binary under test.
pub(crate) const ASSENT: &str = env!("CARGO_BIN_EXE_assent");
/// How long a condition may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How much later than it must something may be seen on two processors that run other tests beside it.
pub(crate) const SLACK: Duration = Duration::from_millis(1_500);

/// Waits until `condition` gives something.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let watch = Stopwatch::start();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(watch.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2)); // WAIT: for the condition, up to PATIENCE
    }
}

/// Runs `ssh-keygen`, with which operators make their keys and sign.
pub(crate) fn keygen(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("ssh-keygen");
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("ssh-keygen runs").success(), "ssh-keygen {arguments:?}");
}

/// Which HSM signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hsm {
    /// The embedded simulator.
    Simulator,
    /// Debian's SoftHSM2.
    SoftHsm,
}

/// Runs `assent` with these arguments to its end; gives exit code, standard output and standard error.
pub(crate) fn assent(config: Option<&Path>, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(ASSENT);
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("assent runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("assent prints UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// An appliance that runs until it is dropped.
pub(crate) struct Appliance {
    /// Its folder, removed with it.
    pub(crate) folder: TempDir,
    /// Where agents connect; the same after a restart.
    port: u16,
    /// What is started: `assent`, unless a test has it run otherwise.
    pub(crate) program: OsString,
    process: Option<Child>,
}

impl Appliance {
    /// Provisions and starts one.
    pub(crate) fn start(hsm: Hsm) -> Self {
        let mut appliance = Self::unfounded(hsm);
        appliance.launch();
        appliance
    }

    /// One that has a folder, and on the simulator nothing in it.
    pub(crate) fn unfounded(hsm: Hsm) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let port = ports::free_port();
        if hsm == Hsm::SoftHsm {
            softhsm::provision(folder.path(), port);
        }
        Self { folder, port, program: ASSENT.into(), process: None }
    }

    /// Starts the process again on what the last one left behind.
    pub(crate) fn launch(&mut self) {
        self.launch_closed();
        self.wait_until_open();
    }

    /// Starts the process, and waits only until it answers.
    pub(crate) fn launch_closed(&mut self) {
        self.launch_under(&[]);
        eventually("the appliance answers", || self.status());
    }

    /// Starts the process behind these words, and waits for nothing.
    pub(crate) fn launch_under(&mut self, words: &[OsString]) {
        let config = self.config();
        // Once it is provisioned it is served: `dev` would put back what a test took away.
        if config.exists() && (self.log().exists() || !self.folder.path().join("hsm/simulator").exists()) {
            self.spawn(words, &["--config".as_ref(), config.as_os_str(), "serve".as_ref()]);
        } else {
            self.launch_dev_under(words);
        }
    }

    /// Starts `dev`, whatever is there already.
    pub(crate) fn launch_dev_under(&mut self, words: &[OsString]) {
        let (port, folder) = (self.port.to_string(), self.folder.path().to_owned());
        self.spawn(
            words,
            &["dev", "--port", &port, "--http-port", "0", "--console-port", "0", "--dir"]
                .map(OsStr::new)
                .into_iter()
                .chain([folder.as_os_str()])
                .collect::<Vec<_>>(),
        );
    }

    fn spawn(&mut self, words: &[OsString], arguments: &[&OsStr]) {
        let mut all = words.to_vec();
        all.push(self.program.clone());
        let (program, before) = all.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(before).args(arguments);
        let traces =
            std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("traces"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(traces.expect("a file for the traces"));
        // A socket that a killed process left behind would answer nobody; it is gone before the next one starts.
        let _ = std::fs::remove_file(self.data().join(control::SOCKET));
        self.process = Some(command.spawn().expect("assent starts"));
    }

    /// Waits until it has ended by itself, or by somebody else's hand.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        let status = eventually("the process ends", || process.try_wait().expect("it can be waited for"));
        let _ = std::fs::remove_file(self.data().join(control::SOCKET));
        status
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().expect("it can be waited for")?;
        self.process = None;
        Some(status)
    }

    /// Starts the process on a log of a later number than its first.
    pub(crate) fn launch_next(&mut self) -> Status {
        self.launch();
        self.status().expect("it answers")
    }

    /// Waits until a token could be released.
    pub(crate) fn wait_until_open(&self) -> Status {
        eventually("the token boundary opens", || self.status().filter(|status| status.boundaries.token.open))
    }

    /// How it is, if it answers.
    pub(crate) fn status(&self) -> Option<Status> {
        control::ask_status(&self.data()).ok()
    }

    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("assent.toml")
    }

    /// How long one signature may take there.
    pub(crate) fn hsm_deadline(&self) -> Duration {
        Config::load(&self.config()).expect("the configuration").hsm.deadline
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.data().join("log-1.redb")
    }

    /// What it traced so far.
    pub(crate) fn traces(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("traces")).unwrap_or_default()
    }

    /// Its own process id.
    pub(crate) fn process(&self) -> Pid {
        Pid::from_child(self.process.as_ref().expect("it runs"))
    }

    /// The signer's process id.
    pub(crate) fn signer(&self) -> Pid {
        eventually("a signer runs", || {
            let process = self.status()?.counters.signer_process;
            i32::try_from(process).ok().and_then(Pid::from_raw)
        })
    }

    /// kill -9, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the process can be killed");
            process.wait().expect("the process ends");
        }
    }

    /// SIGTERM, as a service manager would; gives whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        let mut process = self.process.take().expect("it runs");
        kill_process(Pid::from_child(&process), Signal::TERM).expect("the process can be told to stop");
        process.wait().expect("the process ends").success()
    }

    /// Stops it, and verifies its log with the command that an auditor would use.
    pub(crate) fn stop_and_verify_log(&mut self) -> serde_json::Value {
        if self.process.is_some() {
            assert!(self.stop(), "the appliance stops well; traces:\n{}", self.traces());
        }
        let (code, out, talk) = assent(Some(&self.config()), &["log", "verify", "-o", "json"]);
        let report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{talk}"));
        assert_eq!((code, &report["verified"]), (0, &true.into()), "{out}{talk}");
        report
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("traces of the appliance:\n{}", self.traces());
        }
    }
}
