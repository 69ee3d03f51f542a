//! The disk fills up: the boundary closes while there is room for denials and trips, and opens when there is room again.
//!
//! A small file system of its own under the data folder, filled by a ballast to just below each mark. Without marks the writes
//! themselves fail, and the process ends: then too nothing is lost, and with room it goes on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use appliance::log::reader::Reader;
use assent_client::batch::Batch;
use assent_client::outcome::Outcome;
use assent_proto::number::LeafIndex;
use assent_proto::refusal::Refusal;
use assent_proto::wire::Reply;
use rustix::fs::FallocateFlags;

use super::load::{Load, copy_all};
use super::{attentive, configure};
use crate::support::agent::{Agent, allowed, batch_id};
use crate::support::{Appliance, assent, eventually, not_run};

pub(crate) const MIB: u64 = 1024 * 1024;
/// The smallest piece of a file system.
const BLOCK: u64 = 4096;

/// What the small file system is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Memory,
    Ext4,
}

/// A small file system over a folder, until this is dropped.
pub(crate) struct Small {
    folder: PathBuf,
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl Small {
    /// Moves what is in the folder onto it. None where this user may not mount.
    fn under(appliance: &Appliance, kind: Kind) -> Option<Self> {
        let folder = appliance.data();
        let aside = appliance.folder.path().join("aside");
        std::fs::rename(&folder, &aside).expect("put aside");
        std::fs::create_dir(&folder).expect("a folder");
        let path = folder.display().to_string();
        let mounted = match kind {
            Kind::Memory => runs("mount", &["-t", "tmpfs", "-o", "size=40m,mode=700", "tmpfs", &path]),
            Kind::Ext4 => {
                let image = appliance.folder.path().join("image");
                File::create(&image).and_then(|file| file.set_len(56 * MIB)).expect("an image");
                let image = image.display().to_string();
                runs("mkfs.ext4", &["-q", "-m", "0", &image]) && runs("mount", &["-o", "loop", &image, &path])
            }
        };
        if !mounted {
            let why = format!("cannot mount a small file system ({kind:?}), which takes root");
            match kind {
                Kind::Memory => not_run::missing(&why),
                // Root may lack a loop device.
                Kind::Ext4 => not_run::lacking(&why),
            }
            return None;
        }
        let small = Self { folder };
        copy_all(&aside, &small.folder);
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&small.folder, closed).expect("a mode");
        Some(small)
    }

    fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(&self.folder).expect("it says how much is free");
        found.f_bavail * found.f_frsize
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }

    /// Fills it, or empties it, until so many bytes are free.
    pub(crate) fn leave(&self, free: u64) {
        let size = std::fs::metadata(self.ballast()).map_or(0, |there| there.len());
        let wanted = (size + self.free()).saturating_sub(free);
        let file =
            File::options().create(true).truncate(false).write(true).open(self.ballast()).expect("a ballast");
        if wanted <= size {
            file.set_len(wanted).expect("it shrinks");
        } else {
            // Where not all of it fits, what does is taken.
            let mut step = wanted - size;
            let mut length = size;
            while step >= BLOCK {
                match rustix::fs::fallocate(&file, FallocateFlags::empty(), length, step) {
                    Ok(()) => length += step,
                    Err(_) => step /= 2,
                }
                step = step.min(wanted.saturating_sub(length));
            }
        }
        file.sync_all().expect("it is there");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = || runs("umount", &[&self.folder.display().to_string()]).then_some(());
        if !std::thread::panicking() {
            eventually("nobody uses it any more", unmounted);
        } else {
            let _ = runs("umount", &["-l", &self.folder.display().to_string()]);
        }
    }
}

/// An appliance whose data folder is small, with these lines under `[log]`.
pub(crate) fn on_a_small_disk(kind: Kind, lines: &str) -> Option<(Appliance, Small)> {
    let mut appliance = attentive();
    assert!(appliance.stop(), "it stops well");
    configure(&appliance, "[log]", lines);
    let small = Small::under(&appliance, kind)?;
    appliance.launch();
    Some((appliance, small))
}

fn cause(appliance: &Appliance) -> Option<String> {
    appliance.status()?.boundaries.token.cause
}

/// Asks one intent that the store allows.
fn asked(agent: &Agent) -> Vec<u8> {
    agent.reply(&Batch::new(batch_id(), &[allowed()]).expect("a batch"))
}

fn is_denied_with_an_entry(appliance: &Appliance, agent: &Agent) {
    let before = appliance.status().expect("it answers").counters.log_size;
    let outcomes = agent.preauthorize(&[allowed()]);
    let refused = matches!(outcomes.iter().next(), Some(Outcome::Unavailable(reason)) if reason.refusal == Refusal::TokenUnavailable);
    assert!(refused, "it is denied");
    // Told right behind the answer.
    eventually("the denial is in the log", || (appliance.status()?.counters.log_size > before).then_some(()));
}

fn is_refused_without_an_entry(appliance: &Appliance, agent: &Agent) {
    let before = appliance.status().expect("it answers").counters.log_size;
    let reply = asked(agent);
    assert!(matches!(Reply::parse(&reply), Ok(Reply::Refused(Refusal::TokenUnavailable))), "it is refused");
    assert_eq!(
        appliance.status().expect("it answers").counters.log_size,
        before,
        "and the log knows nothing of it"
    );
}

/// What goes without the entry that says so would be missed by nobody.
fn nothing_is_erased(appliance: &Appliance) {
    let order =
        ["log", "erase", "--principal", "spiffe://assent.test/agent/retail-support", "--reason", "asked to"];
    let (code, _, talk) = assent(Some(&appliance.config()), &order);
    assert!(
        code == 1 && talk.contains("nothing was erased, and no entry written: the disk"),
        "{code} {talk}"
    );
}

fn closes_in_time_and_opens_again(kind: Kind) {
    let lines = "low_water = \"16MiB\"\nreserve = \"10MiB\"";
    let Some((mut appliance, small)) = on_a_small_disk(kind, lines) else { return };
    let agent = Agent::connect(&appliance);
    assert!(agent.preauthorize(&[allowed()]).all_allowed());

    small.leave(14 * MIB);
    eventually("it closes below the low water", || (cause(&appliance)? == "disk_low").then_some(()));
    is_denied_with_an_entry(&appliance, &agent);
    for free in [7 * MIB, MIB] {
        small.leave(free);
        is_refused_without_an_entry(&appliance, &agent);
        nothing_is_erased(&appliance);
    }
    // Above the mark, but not by a quarter of it: it does not flap.
    small.leave(18 * MIB);
    is_denied_with_an_entry(&appliance, &agent);
    assert_eq!(cause(&appliance).as_deref(), Some("disk_low"));
    small.leave(22 * MIB);
    assert_eq!(appliance.wait_until_open().epoch, 1, "it closed once");
    assert!(agent.preauthorize(&[allowed()]).all_allowed());

    // Started on a full disk it serves, closed.
    small.leave(2 * MIB);
    drop(agent);
    appliance.kill();
    appliance.launch_closed();
    eventually("it says why it is closed", || (cause(&appliance)? == "disk_low").then_some(()));
    small.leave(22 * MIB);
    appliance.wait_until_open();
    let report = appliance.stop_and_verify_log();
    assert!(report["kinds"]["trip"].as_u64() >= Some(1), "{report}");
    assert_eq!(
        report["kinds"]["operator"].as_u64().unwrap_or_default(),
        0,
        "nobody's order was carried out: {report}"
    );
    let reader = Reader::open(&appliance.log()).expect("the log opens");
    assert!(reader.requests(LeafIndex(0)).expect("requests").count() > 0, "what was asked is there");
    drop((reader, small));
}

fn without_marks_it_ends_and_loses_nothing(kind: Kind) {
    let Some((mut appliance, small)) = on_a_small_disk(kind, "low_water = \"0B\"\nreserve = \"0B\"") else {
        return;
    };
    let mut load = Load::begin(&appliance);
    load.goes_on(1);
    small.leave(0);
    let status = appliance.ended();
    assert_eq!(status.code(), Some(5), "{status}");
    assert!(appliance.traces().contains("No space left"), "it was full; {}", appliance.traces());
    load.check_log_of(&appliance);
    // What a start on it does is not promised, only that it harms nothing.
    appliance.launch_under(&[]);
    eventually("it serves, or has ended", || {
        appliance.status().map(drop).or_else(|| appliance.has_ended().map(drop))
    });
    appliance.kill();
    load.check_log_of(&appliance);
    small.leave(20 * MIB);
    appliance.launch();
    load.check_answers_of(&appliance);
    load.goes_on(1);
    load.rest();
    appliance.stop_and_verify_log();
    remove(&small.ballast());
}

fn remove(path: &Path) {
    std::fs::remove_file(path).expect("it goes");
}

#[test]
fn a_full_disk_closes_the_boundary_in_time_and_opens_it_again() {
    closes_in_time_and_opens_again(Kind::Memory);
}

#[test]
fn a_full_ext4_closes_the_boundary_in_time_and_opens_it_again() {
    closes_in_time_and_opens_again(Kind::Ext4);
}

#[test]
fn a_disk_that_is_full_at_once_ends_the_process_and_loses_nothing() {
    without_marks_it_ends_and_loses_nothing(Kind::Memory);
}

#[test]
fn an_ext4_that_is_full_at_once_ends_the_process_and_loses_nothing() {
    without_marks_it_ends_and_loses_nothing(Kind::Ext4);
}
