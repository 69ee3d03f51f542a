//! The disks under the log and its fence: room, and what kind they are.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, statfs, statvfs};

use super::Subject;
use super::findings::Findings;
use crate::config::Log;

const MIB: u64 = 1024 * 1024;

/// File systems that do not keep what a commit needs, by the number that the kernel tells: `statfs(2)`.
const UNFIT: &[(u32, &str)] =
    &[(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB2"), (0x6573_5546, "FUSE")];
/// A file system in memory, by the same number.
const TMPFS: u32 = 0x0102_1994;

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    let config = subject.config;
    let (data, fence) = (there(&config.appliance.data), there(&config.fence_file()));
    for (check, place) in [("room for the log", &data), ("room for the fence", &fence)] {
        match statvfs(place) {
            Ok(found) => judge(check, place, free(&found), &config.log, findings),
            Err(error) => {
                let found = format!("cannot look at {}: {error}", place.display());
                findings.fail(check, found, "run this as the appliance's user");
            }
        }
    }
    examine_kind(&data, findings);
    let disk = |place: &Path| std::fs::metadata(place).ok().map(|found| found.dev());
    if disk(&data).is_some() && disk(&data) == disk(&fence) {
        let found = "on the disk of the log: whoever puts back the one puts back the other";
        findings.wanting("fence's disk", found, "put `fence.path` on another disk");
    } else {
        findings.ok("fence's disk", "another than the log's");
    }
}

/// The place itself, or the nearest folder above it that is there.
fn there(place: &Path) -> PathBuf {
    place.ancestors().find(|above| above.exists()).unwrap_or(Path::new(".")).to_owned()
}

/// What this user may still write.
const fn free(found: &StatVfs) -> u64 {
    found.f_bavail.saturating_mul(found.f_frsize)
}

fn judge(check: &str, place: &Path, free: u64, log: &Log, findings: &mut Findings) {
    const NEXT: &str = "make room: `assent log archive` moves old volumes; or lower `log.low_water`";
    let (low_water, reserve) = (u64::from(log.low_water), u64::from(log.reserve));
    let told = format!("{} MiB free at {}", free / MIB, place.display());
    if free < reserve {
        findings.fail(
            check,
            format!("{told}, below `log.reserve`: intents are refused without an entry"),
            NEXT,
        );
    } else if free < low_water {
        findings.fail(check, format!("{told}, below `log.low_water`: nothing is allowed"), NEXT);
    } else if free < low_water.saturating_mul(2) {
        findings.warn(check, format!("{told}, near `log.low_water` of {} MiB", low_water / MIB), NEXT);
    } else {
        findings.ok(check, told);
    }
}

fn examine_kind(data: &Path, findings: &mut Findings) {
    // The kernel's number has 32 bits, whatever this processor's type for it has.
    let kind =
        statfs(data).map(|found| u32::try_from(i128::from(found.f_type) & i128::from(u32::MAX)).unwrap_or(0));
    let unfit = |kind: &u32| UNFIT.iter().find(|(number, _)| number == kind).map(|(_, name)| *name);
    match kind {
        Ok(kind) if let Some(name) = unfit(&kind) => {
            let found =
                format!("{} is on {name}, whose locks and syncs are somebody else's word", data.display());
            findings.fail("kind of disk", found, "put `appliance.data` on a disk of this machine");
        }
        Ok(TMPFS) => {
            let found = format!("{} is in memory: a restart of the machine forgets it", data.display());
            findings.wanting("kind of disk", found, "put `appliance.data` on a disk");
        }
        Ok(_) => findings.ok("kind of disk", "of this machine"),
        Err(error) => findings.fail("kind of disk", error.to_string(), "run this as the appliance's user"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Exit, Format};

    #[test]
    fn room_is_judged_by_the_marks_of_the_configuration() {
        let mib = |count: u32| count * 1024 * 1024;
        let log = Log { deadline: std::time::Duration::from_secs(1), low_water: mib(256), reserve: mib(64) };
        let judged = |free: u32, strict| {
            let mut findings = Findings::new(Format::Json);
            judge("room", Path::new("/x"), u64::from(mib(free)), &log, &mut findings);
            findings.end(strict).unwrap()
        };
        assert_eq!((judged(63, false), judged(255, false)), (Exit::Invalid, Exit::Invalid));
        assert_eq!((judged(300, false), judged(300, true)), (Exit::Done, Exit::Invalid));
        assert_eq!(judged(512, true), Exit::Done);
    }
}
