//! What is not ours to write, or not what we wrote, is refused at start, with the next step in the message.
//!
//! Read-only folders, another user's files, a second instance; an older log, an edited one. Nothing is changed by a start that is
//! refused: what was put back afterwards serves again.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::load::copy_all;
use crate::support::agent::{Agent, allowed};
use crate::support::{ASSENT, Appliance, Hsm, assent, not_run};

/// A user that owns nothing.
const NOBODY: u32 = 65534;

/// An appliance that has released a token and was stopped.
fn stopped() -> Appliance {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
    assert!(appliance.stop(), "it stops well");
    appliance
}

/// Starts it, which must be refused with this code and these words.
fn is_refused(appliance: &Appliance, code: i32, words: &[&str]) {
    let (found, _, talk) = assent(Some(&appliance.config()), &["serve"]);
    assert_eq!(found, code, "{talk}");
    for word in words {
        assert!(talk.contains(word), "`{word}` is not in: {talk}");
    }
}

fn serves_again(mut appliance: Appliance) {
    appliance.launch();
    assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
    appliance.stop_and_verify_log();
}

/// A folder that is mounted read-only over itself until this is dropped. None where this user may not mount.
struct ReadOnly<'p>(&'p Path);

impl<'p> ReadOnly<'p> {
    fn over(folder: &'p Path) -> Option<Self> {
        let mount = |arguments: &[&str]| {
            let status = Command::new("mount").args(arguments).arg(folder).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        let path = folder.display().to_string();
        let bound = mount(&["--bind", &path]);
        let read_only = bound.then(|| Self(folder)).filter(|_| mount(&["-o", "remount,ro,bind"]));
        if read_only.is_none() {
            not_run::missing("only root may mount a folder read-only");
        }
        read_only
    }
}

impl Drop for ReadOnly<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_read_only_folder_is_refused() {
    let appliance = stopped();
    for name in ["data", "fence"] {
        let folder = appliance.folder.path().join(name);
        let Some(_read_only) = ReadOnly::over(&folder) else { return };
        is_refused(&appliance, 1, &["read-only file system", "mount it for writing", name]);
    }
    serves_again(appliance);
}

#[test]
fn a_second_instance_is_refused() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    is_refused(&appliance, 1, &["another process has the log open", "stop it"]);
    // The first one never noticed.
    assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
    assert_eq!(appliance.status().map(|status| status.epoch), Some(0));
    appliance.stop_and_verify_log();
}

#[test]
fn a_data_folder_that_others_may_write_in_is_refused() {
    let appliance = stopped();
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(appliance.data(), permissions).expect("a mode");
    };
    mode(0o777);
    is_refused(&appliance, 1, &["others may write", "chmod 700"]);
    mode(0o700);
    serves_again(appliance);
}

#[test]
fn a_fence_folder_that_others_may_write_in_is_refused_unless_it_is_sticky() {
    let appliance = stopped();
    let mode = |mode| {
        let fence = appliance.folder.path().join("fence");
        std::fs::set_permissions(fence, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode(0o777);
    is_refused(&appliance, 1, &["others may write", "latch", "chmod go-w"]);
    mode(0o1777);
    serves_again(appliance);
}

#[test]
fn another_users_files_are_refused() {
    if rustix::process::geteuid().as_raw() != 0 {
        return not_run::missing("only root can start it as another user");
    }
    let appliance = stopped();
    // Whatever lies in it stays root's; nobody may come as far as the configuration.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(appliance.folder.path(), open).expect("a mode");
    // The binary may lie where nobody may go.
    let program = appliance.folder.path().join("assent");
    std::fs::copy(ASSENT, &program).expect("a copy");
    let start = || {
        let mut command = Command::new(&program);
        command.arg("--config").arg(appliance.config()).arg("serve").uid(NOBODY).stdin(Stdio::null());
        let output = command.output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, talk) = start();
    assert!(code == Some(1) && talk.contains("may not read and write") && talk.contains("chown"), "{talk}");
    // A folder of its own does not help where the log in it is not.
    std::os::unix::fs::chown(appliance.data(), Some(NOBODY), None).expect("an owner");
    std::os::unix::fs::chown(appliance.folder.path().join("fence"), Some(NOBODY), None).expect("an owner");
    let (code, talk) = start();
    assert!(code == Some(1) && talk.contains("log-1") && talk.contains("chown"), "{talk}");
    std::os::unix::fs::chown(appliance.data(), Some(0), None).expect("an owner");
    std::os::unix::fs::chown(appliance.folder.path().join("fence"), Some(0), None).expect("an owner");
    serves_again(appliance);
}

#[test]
fn an_older_log_that_is_put_back_is_refused() {
    let mut appliance = stopped();
    let folder = appliance.folder.path().to_owned();
    copy_all(&folder.join("data"), &folder.join("older"));
    appliance.launch();
    assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
    assert!(appliance.stop(), "it stops well");
    std::fs::rename(folder.join("data"), folder.join("newest")).expect("put aside");
    copy_all(&folder.join("older"), &folder.join("data"));
    std::fs::set_permissions(folder.join("data"), std::fs::Permissions::from_mode(0o700)).expect("a mode");
    is_refused(&appliance, 3, &["an older log was put back", "restore the newest"]);
    std::fs::remove_dir_all(folder.join("data")).expect("the older log goes");
    std::fs::rename(folder.join("newest"), folder.join("data")).expect("put back");
    serves_again(appliance);
}

/// Every 97th byte of the files in which the log is; all of it is checked on the log's own disk, with 3,000 flips.
#[test]
fn an_edited_log_is_refused_or_the_edit_changed_nothing() {
    let mut appliance = stopped();
    let config = appliance.config();
    let whole = assent(Some(&config), &["log", "show", "-o", "jsonl"]);
    assert_eq!(whole.0, 0, "{}", whole.2);
    let path = appliance.log();
    let bytes = std::fs::read(&path).expect("the log");
    let (mut refused, mut without_effect) = (0, 0);
    for position in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut edited = bytes.clone();
        edited[position] ^= 0x10;
        std::fs::write(&path, &edited).expect("an edited log");
        let (code, out, _) = assent(Some(&config), &["log", "verify", "-o", "json"]);
        if code == 0 {
            assert_eq!(
                assent(Some(&config), &["log", "show", "-o", "jsonl"]).1,
                whole.1,
                "byte {position}: {out}"
            );
            without_effect += 1;
        } else {
            assert_eq!(code, 3, "byte {position}: {out}");
            appliance.launch_under(&[]);
            let status = appliance.ended();
            assert_eq!(status.code(), Some(3), "byte {position}: {}", appliance.traces());
            refused += 1;
        }
    }
    println!("{refused} edits refused, {without_effect} in bytes that mean nothing");
    assert!(refused > 0);
    std::fs::write(&path, &bytes).expect("the log");
    serves_again(appliance);
}
