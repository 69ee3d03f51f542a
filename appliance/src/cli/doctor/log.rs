//! Key ring, log and fence: that they are of one log and agree about its end.
//!
//! A log that stands still is opened as an auditor opens it, and no byte of it is changed; of one that is served the
//! appliance tells. Leaves are not verified here: `assent log verify` does.

use assent_proto::entry::Entry;
use assent_proto::number::Timestamp;

use super::Subject;
use super::findings::Findings;
use crate::cli::output::chain;
use crate::cli::utc;
use crate::config::Config;
use crate::log::SignedCheckpoint;
use crate::log::disk::system;
use crate::log::fence::Fence;
use crate::log::keyring::Keyring;
use crate::log::reader::Reader;
use crate::log::store::StoreError;
use crate::provision::{self, ProvisionError};
use crate::serving::status::Status;
use crate::shown::counted;
use crate::token::FenceInHsm;

const RESTORE: &str = "restore log, key ring and fence from one backup; OPERATING.md, \"Backup\"";
const SUCCEED: &str =
    "find out who put an older log back; restore the newest, or open the next by `assent log succeed`";

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    let config = subject.config;
    let ring = match provision::keyring(config) {
        Ok(ring) => ring,
        Err(error) => return findings.fail("key ring", chain(&error), next(&error)),
    };
    let signing = ring.signing();
    findings.ok("key ring", format!("key {} signs, {}", signing.cka_id, signing.vkey));
    match (&subject.running, subject.running.status()) {
        (_, Some(status)) => examine_served(status, config, findings),
        (running, None) if running.is_up() => {
            findings.warn(
                "log",
                "held by an appliance that does not tell",
                "restart it, then run this again",
            );
        }
        (_, None) => {
            if let Some((reader, signed)) = open(config, &ring, findings) {
                examine_fence(config, &ring, &reader, signed.as_ref(), findings);
                examine_time(&reader, subject.now, findings);
            }
        }
    }
}

fn next(error: &ProvisionError) -> &'static str {
    if matches!(error, ProvisionError::NotPinned(_)) {
        "`assent hsm init`, `assent keys generate`, then `assent init`"
    } else if matches!(error, ProvisionError::NotOpened(_)) {
        "operators open it: `assent log succeed --reason TEXT`"
    } else if matches!(error, ProvisionError::Succeeded { .. }) {
        "set `appliance.log` to the newest log's number"
    } else {
        RESTORE
    }
}

/// What a running appliance tells of its log.
fn examine_served(status: &Status, config: &Config, findings: &mut Findings) {
    let counters = &status.counters;
    let entries = counted(counters.log_size, "entry", "entries");
    let at = utc(Timestamp(counters.last_checkpoint_ms));
    findings.ok("log", format!("{entries}, the newest checkpoint of {at}"));
    let unsigned = counters.unsigned_entries;
    if unsigned > 0 && !status.boundaries.token.open {
        let found = format!("{unsigned} of at most {} that may be unsigned", status.unsigned_max);
        findings.warn("unsigned entries", found, "end the outage: `assent status` says which");
    }
    let fence = config.fence_file();
    if fence.exists() || counters.log_size == 0 {
        findings.ok("fence", fence.display().to_string());
    } else {
        let found = format!("{} is missing while the log is served", fence.display());
        findings.fail("fence", found, "find out who took it away; stop the appliance and restore it");
    }
    match &status.fence_in_hsm {
        FenceInHsm::Off => findings.wanting("fence in the HSM", "off", "set `fence.hsm = \"auto\"`"),
        FenceInHsm::Unknown => findings.ok("fence in the HSM", "not written since start"),
        FenceInHsm::Kept { size, at_ms } => {
            let found = format!("of {size} entries, written {}", utc(Timestamp(*at_ms)));
            findings.ok("fence in the HSM", found);
        }
        FenceInHsm::Refused { why } => {
            let next = "have witnesses cosign (`witness.ask`), or use an HSM that keeps data objects";
            findings.wanting("fence in the HSM", format!("in its file only: {why}"), next);
        }
    }
}

/// Opens a log that stands still, and holds its end against the key ring.
fn open(
    config: &Config,
    ring: &Keyring,
    findings: &mut Findings,
) -> Option<(Reader, Option<SignedCheckpoint>)> {
    findings.waits(Some("reading the log"));
    let path = provision::log_file(config);
    let opened = Reader::open(&path).and_then(|reader| {
        let (identity, head, signed) = (reader.identity()?, reader.head()?, reader.checkpoint()?);
        Ok((reader, identity, head, signed))
    });
    let (reader, identity, head, signed) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let next = match &error {
                StoreError::Missing(_) => "`assent init` makes the first; else restore it from a backup",
                StoreError::Busy => "another process holds it: find it with `fuser` or `lsof`",
                StoreError::Version(_) => "serve it with the version that wrote it",
                StoreError::Exists(_)
                | StoreError::Open(_)
                | StoreError::Access { .. }
                | StoreError::File { .. }
                | StoreError::Unreadable(_)
                | StoreError::Damaged { .. }
                | StoreError::Archived { .. } => RESTORE,
            };
            findings.fail("log", format!("{}: {}", path.display(), chain(&error)), next);
            return None;
        }
    };
    if identity.origin != config.origin() {
        let found = format!("{} is of `{}`, not of `{}`", path.display(), identity.origin, config.origin());
        findings.fail(
            "log",
            found,
            "set `appliance.host`, `name` and `log` as they were, or point `data` elsewhere",
        );
        return None;
    }
    if let Some(signed) = &signed
        && !agrees(&reader, signed, ring)
    {
        let found = "its newest checkpoint is not signed as the key ring says, or not over these leaves";
        findings.fail("log", found, RESTORE);
        return None;
    }
    let (covered, entries) = (signed.as_ref().map_or(0, |signed| signed.size.0), head.size);
    let unsigned = entries.saturating_sub(covered);
    let told = counted(entries, "entry", "entries");
    findings.ok("log", format!("{told}, {unsigned} of them unsigned; the newest checkpoint verifies"));
    Some((reader, signed))
}

fn agrees(reader: &Reader, signed: &SignedCheckpoint, ring: &Keyring) -> bool {
    ring.verifies(signed) && reader.frontier(signed.size).is_ok_and(|tree| tree.root() == signed.root)
}

fn examine_fence(
    config: &Config,
    ring: &Keyring,
    reader: &Reader,
    signed: Option<&SignedCheckpoint>,
    findings: &mut Findings,
) {
    let path = config.fence_file();
    let held = match Fence::open(system(), &path, ring) {
        Ok((_, held)) => held,
        Err(error) => return findings.fail("fence", chain(&error), RESTORE),
    };
    let log = signed.map_or(0, |signed| signed.size.0);
    match held {
        Some(held) if held.size.0 > log => {
            let found = format!("it has seen {} leaves, and the log ends at {log}", held.size);
            findings.fail("fence", found, SUCCEED);
        }
        Some(held) if reader.frontier(held.size).is_ok_and(|tree| tree.root() == held.root) => {
            findings.ok("fence", format!("{}, of {} entries", path.display(), held.size));
        }
        Some(held) => {
            let found =
                format!("log and fence have different roots at {} leaves: the log was forked", held.size);
            findings.fail("fence", found, SUCCEED);
        }
        None => match reader.must_be_fenced() {
            Ok(false) => findings.ok("fence", "none yet: nothing was released"),
            Ok(true) => {
                let found =
                    format!("{} is missing, so an older log could have been put back", path.display());
                findings.fail("fence", found, "restore it from where it is backed up");
            }
            Err(error) => findings.fail("fence", chain(&error), RESTORE),
        },
    }
}

/// Whether the clock is behind what the log has seen.
fn examine_time(reader: &Reader, now: Timestamp, findings: &mut Findings) {
    match last_time(reader) {
        Ok(None) => findings.ok("clock and log", "nothing is written yet"),
        Ok(Some(last)) if last > now => {
            let found = format!("it is {}, and the log's last entry is of {}", utc(now), utc(last));
            findings.fail("clock and log", found, "set the clock (`timedatectl`); tokens would end too late");
        }
        Ok(Some(last)) => findings.ok("clock and log", format!("the last entry is of {}", utc(last))),
        Err(error) => findings.fail("clock and log", chain(&error), RESTORE),
    }
}

/// When the newest entry was made.
fn last_time(reader: &Reader) -> Result<Option<Timestamp>, StoreError> {
    let Some(last) = reader.size()?.0.checked_sub(1) else { return Ok(None) };
    let leaves = match reader.leaves(last..last + 1) {
        Ok(leaves) => leaves,
        // What is archived is of the past.
        Err(StoreError::Archived { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let entry = leaves.get(0).and_then(|leaf| Entry::parse(leaf).ok());
    Ok(entry.map(|entry| entry.time()))
}
