//! kill -9 of the appliance at any moment of a rotation: it starts again, the old key or the new one signs, and the log
//! verifies.

use std::process::{Child, Command, Stdio};

use appliance::clock::Stopwatch;

use super::{announce, export, rotate, signing};
use crate::support::agent::{Agent, allowed};
use crate::support::{ASSENT, Appliance, Hsm, eventually, not_run};

/// Moments at which it is killed.
const MOMENTS: u32 = 24;
/// Of them, those within the time that a rotation took when nobody was killed; the others come later, for it may take longer.
const WITHIN: u32 = 16;

/// Begins a rotation, and does not wait for it.
fn begin_rotation(appliance: &Appliance, id: &str) -> Child {
    Command::new(ASSENT)
        .arg("--config")
        .arg(appliance.config())
        .args(["keys", "rotate", "--trust-carried", "--key-id", id])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("assent starts")
}

fn still_releases(appliance: &Appliance) {
    let agent = Agent::connect(appliance);
    assert!(agent.preauthorize(&[allowed()]).all_allowed());
}

#[test]
fn killed_at_any_moment_of_a_rotation_it_starts_with_one_key_in_force() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    announce(&appliance, "02");
    let watch = Stopwatch::start();
    assert!(begin_rotation(&appliance, "02").wait().expect("the command ends").success());
    let apart = watch.elapsed() / WITHIN;
    assert_eq!(signing(&appliance), "02");
    let (mut signs, mut rotated) = ("02".to_owned(), 0);
    for moment in 0..MOMENTS {
        let next = format!("{:02x}", moment + 3);
        announce(&appliance, &next);
        let watch = Stopwatch::start();
        let mut rotation = begin_rotation(&appliance, &next);
        eventually("the moment comes", || (watch.elapsed() >= apart * moment).then_some(()));
        appliance.kill();
        rotation.wait().expect("the command ends");
        appliance.launch();
        let now = signing(&appliance);
        assert!(now == signs || now == next, "{now} signs, neither {signs} nor {next}");
        rotated += u32::from(now == next);
        signs = now;
        export(&appliance, "trust.toml");
        still_releases(&appliance);
    }
    println!("{MOMENTS} kills, {apart:?} apart, {rotated} of them behind the commit");
    assert!(rotated < MOMENTS, "the first kill comes before anything has happened");
    assert!(rotated > 0, "no kill came as late as the commit");
    announce(&appliance, "ff");
    rotate(&appliance, "ff");
    appliance.kill();
    appliance.launch();
    assert_eq!(signing(&appliance), "ff", "what was said to be done is done");
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["key"], rotated + 3, "one for each key that ever signed");
}

/// The process itself is killed between the commit, which decides, and the ring's file, which follows.
#[test]
fn killed_between_commit_and_ring_it_starts_with_the_new_key() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    announce(&appliance, "02");
    let ring = appliance.data().join("log-1.keys.toml");
    let before = std::fs::read(&ring).expect("the ring");
    let Some(mut tracer) = kill_at_next_rename(&appliance) else {
        return not_run::missing("strace is not installed, or may not trace (apt-get install strace)");
    };
    begin_rotation(&appliance, "02").wait().expect("the command ends");
    let ended = || tracer.try_wait().expect("strace can be waited for");
    eventually("strace ends with the process that it traces", ended);
    assert_eq!(std::fs::read(&ring).expect("the ring"), before, "the file was not written");
    appliance.kill();
    appliance.launch();
    assert_eq!(signing(&appliance), "02");
    assert_ne!(std::fs::read(&ring).expect("the ring"), before);
    still_releases(&appliance);
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["keys"].as_array().map(Vec::len), Some(2), "{report}");
}

/// Kills the appliance when it renames a file the next time, before it is done. The next thing that an idle appliance renames
/// in a rotation is the ring, and behind it the fence. None where nobody can.
fn kill_at_next_rename(appliance: &Appliance) -> Option<Child> {
    let told = appliance.folder.path().join("strace");
    let tracer = Command::new("strace")
        .args(["-f", "-q", "-e", "trace=rename,renameat,renameat2", "-o"])
        .arg(&told)
        .args(["-e", "inject=rename,renameat,renameat2:signal=KILL:when=1"])
        .args(["-p", &appliance.process().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut tracer = tracer.ok()?;
    let threads = format!("/proc/{}/task", appliance.process());
    let is_traced = |thread: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
        Some(status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")))
    };
    let attached = eventually("strace has attached to every thread, or cannot", || {
        if tracer.try_wait().ok()?.is_some() {
            return Some(false);
        }
        let mut threads = std::fs::read_dir(&threads).ok()?;
        threads.all(|thread| is_traced(thread) == Some(true)).then_some(true)
    });
    attached.then_some(tracer)
}
