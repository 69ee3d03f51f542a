//! kill -9 of the ceremony at any moment: the same command, given again, ends with the log open, and with one log only.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{REASON, both_sign, log, name_next, staffed, statement, succeed};
use crate::fences::{copy, restore, save};
use crate::support::{ASSENT, Appliance, Hsm, assent, eventually};
use appliance::clock::Stopwatch;

/// Moments at which it is killed: together longer than the ceremony takes.
const MOMENTS: u32 = 30;
const APART: Duration = Duration::from_millis(4);

/// Begins the ceremony and kills it after so long; whether it had ended by then.
fn kill_after(appliance: &Appliance, moment: Duration, signatures: &[String; 2]) -> bool {
    let [alice, bob] = signatures;
    let watch = Stopwatch::start();
    let mut ceremony = Command::new(ASSENT)
        .arg("--config")
        .arg(appliance.config())
        .args(["log", "succeed", "--reason", REASON, "--signature", alice, "--signature", bob])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("assent starts");
    eventually("the moment comes", || (watch.elapsed() >= moment).then_some(()));
    let ended = ceremony.try_wait().expect("it can be waited for").is_some();
    let _ = ceremony.kill();
    let _ = ceremony.wait();
    ended
}

#[test]
fn killed_at_any_moment_of_the_ceremony_it_is_finished_by_the_same_command() {
    let mut appliance = staffed(Hsm::Simulator);
    name_next(&appliance, 2, "02");
    let simulator = appliance.folder.path().join("hsm/simulator");
    let kept = appliance.folder.path().join("simulator");
    save(&appliance, "before");
    copy(&simulator, &kept);
    let signatures = both_sign(&appliance, &statement(&appliance, REASON));
    let (mut halfway, mut ended) = (0, 0);
    for moment in 0..MOMENTS {
        restore(&appliance, "before");
        std::fs::remove_dir_all(&simulator).expect("removed");
        copy(&kept, &simulator);
        ended += u32::from(kill_after(&appliance, APART * moment, &signatures));
        halfway += u32::from(appliance.data().join("log-2.keys.toml").exists());
        let (code, _, talk) = succeed(&appliance, REASON, &[&signatures[0], &signatures[1]]);
        assert_eq!(code, 0, "after {:?}: {talk}", APART * moment);
        let second = log(&appliance, 2);
        let (code, out, talk) = assent(Some(&appliance.config()), &["log", "verify", "--log", &second]);
        assert!(code == 0 && out.contains("1 signature verified"), "one round, once: {out}{talk}");
    }
    println!("{MOMENTS} kills, {ended} behind the end, {halfway} behind the first thing that was written");
    assert!(halfway > 0 && ended < MOMENTS, "{halfway} {ended}");
    appliance.launch_next();
    appliance.stop_and_verify_log();
}
