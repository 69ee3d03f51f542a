//! Making a backup: beside a running appliance, or of one that stands still.
//!
//! The one rule: it has its name only when it is whole, verified and durable. Key rings are copied before the log, volumes
//! and everything else behind it: what came in between is more than the log needs, never less. A volume that is erased from
//! or archived meanwhile fails the backup, and the next one succeeds.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use assent_doors::shelf::check;
use assent_proto::number::Timestamp;

use super::contents::{self, Item, SHELVES};
use super::desk::{self, BackupAnswer};
use super::examination::{Examined, examine};
use super::{BackupError, CHECKPOINT, DATA, FACTS, Facts, SCHEMA, file, sums};
use crate::config::Config;
use crate::control::{ControlError, ask_backup};
use crate::limits::{BACKUP_COPIES, MAX_BACKUP_LEVELS};
use crate::log::disk::sync_folder_of;
use crate::log::fence::signed_note;
use crate::log::keyring::Keyring;
use crate::log::reader::Reader;
use crate::provision;

/// Makes a backup of the configured appliance at `to`, where there is nothing.
///
/// # Errors
/// [`BackupError`]; then there is nothing at `to`.
pub fn create(config: &Config, to: &Path, private_keys: bool, now: Timestamp) -> Result<Facts, BackupError> {
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let mut unfinished = to.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    make_folder(&unfinished)?;
    let made = fill(config, &unfinished, private_keys, now).and_then(|facts| {
        std::fs::rename(&unfinished, to).map_err(file("name", to))?;
        sync_folder_of(to).map_err(file("sync the folder of", to))?;
        Ok(facts)
    });
    made.inspect_err(|_| drop(std::fs::remove_dir_all(&unfinished)))
}

fn fill(config: &Config, to: &Path, private_keys: bool, now: Timestamp) -> Result<Facts, BackupError> {
    provision::keyring(config)?;
    make_folder(&to.join(DATA))?;
    put_all(to, contents::rings(config)?)?;
    let log = contents::log_in(to, config);
    copy_log(config, &log)?;
    copy_volumes(config, &log)?;
    put_all(to, contents::older_logs(config)?)?;
    let is_shelf = |item: &Item| SHELVES.iter().any(|file| item.place.ends_with(file));
    let (shelves, others): (Vec<_>, Vec<_>) = contents::data(config).into_iter().partition(is_shelf);
    shelves.iter().filter(|item| item.place.exists()).try_for_each(|item| copy_shelf(to, item))?;
    let beside = contents::beside(config).into_iter().filter(|item| private_keys || !item.is_private);
    put_all(to, others.into_iter().chain(beside))?;
    let ring_file = contents::ring_in(to, config);
    let ring = Keyring::load(&ring_file)?.ok_or_else(|| missing(to, &ring_file))?;
    let examined = examine(&log, &ring, now)?;
    let facts = facts(&ring, &examined, private_keys, now);
    let write = |name: &str, text: String| {
        let path = to.join(name);
        std::fs::write(&path, text).map_err(file("write", &path))
    };
    write(CHECKPOINT, signed_note(ring.origin(), &examined.signed))?;
    write(FACTS, toml::to_string(&facts).unwrap_or_default())?;
    sums::write(to)?;
    sync_below(to, MAX_BACKUP_LEVELS)?;
    Ok(facts)
}

fn missing(backup: &Path, path: &Path) -> BackupError {
    BackupError::Malformed { path: backup.to_owned(), what: format!("{} is missing", path.display()) }
}

fn facts(ring: &Keyring, examined: &Examined, private_keys: bool, now: Timestamp) -> Facts {
    Facts {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        origin: ring.origin().to_owned(),
        made_ms: now.0,
        entries: examined.entries,
        signed_entries: examined.signed.size.0,
        root: examined.signed.root.to_string(),
        private_keys,
        archived_volumes: examined.archived_volumes,
    }
}

/// The store: from the appliance where one runs, else from its file.
fn copy_log(config: &Config, to: &Path) -> Result<(), BackupError> {
    let data = &config.appliance.data;
    match ask_backup(data) {
        Ok(BackupAnswer::Copied { folder }) => {
            let copied = std::fs::copy(folder.join(to.file_name().unwrap_or_default()), to);
            desk::clear(data);
            copied.map_err(file("copy the log to", to))?;
            Ok(())
        }
        Ok(BackupAnswer::Refused { reason }) => Err(BackupError::Refused(reason)),
        // No appliance has it open. One that does not answer has, and may be copying still: that is said.
        Err(ControlError::Silent { .. }) => {
            Reader::open(&provision::log_file(config))?.copy_to(to)?;
            Ok(())
        }
        Err(error) => Err(BackupError::Refused(error.to_string())),
    }
}

/// The volumes that the copied store names.
fn copy_volumes(config: &Config, log: &Path) -> Result<(), BackupError> {
    let files = Reader::open(log)?.volume_files()?;
    let from = provision::log_file(config).with_extension("volumes");
    if !files.is_empty() {
        make_folder(&log.with_extension("volumes"))?;
    }
    for to in files {
        let from = from.join(to.file_name().unwrap_or_default());
        std::fs::copy(&from, &to).map_err(file("copy", &from))?;
    }
    Ok(())
}

/// A small store that the appliance may be writing: copied until the copy opens, for one that was cut does not.
fn copy_shelf(backup: &Path, item: &Item) -> Result<(), BackupError> {
    let to = backup.join(&item.name);
    let mut tries = 0;
    loop {
        std::fs::copy(&item.place, &to).map_err(file("copy", &item.place))?;
        tries += 1;
        match check(&to) {
            Ok(()) => return Ok(()),
            Err(_) if tries < BACKUP_COPIES => {}
            Err(error) => return Err(BackupError::Refused(format!("{}: {error}", item.place.display()))),
        }
    }
}

/// What is there of these, under their names.
fn put_all(backup: &Path, items: impl IntoIterator<Item = Item>) -> Result<(), BackupError> {
    for item in items {
        if item.place.exists() {
            let to = backup.join(&item.name);
            if let Some(folder) = to.parent().filter(|folder| !folder.exists()) {
                make_folder(folder)?;
            }
            put(&item.place, &to, MAX_BACKUP_LEVELS)?;
        }
    }
    Ok(())
}

/// A file, or a folder with all that is in it. A link is what it leads to.
pub(super) fn put(from: &Path, to: &Path, levels: usize) -> Result<(), BackupError> {
    let kind = std::fs::metadata(from).map_err(file("look at", from))?;
    if kind.is_file() {
        std::fs::copy(from, to).map_err(file("copy", from))?;
        return Ok(());
    }
    if !kind.is_dir() || levels == 0 {
        // A socket, a pipe, or a folder that leads into itself.
        return Ok(());
    }
    make_folder(to)?;
    for entry in std::fs::read_dir(from).map_err(file("look into", from))? {
        let entry = entry.map_err(file("look into", from))?;
        put(&entry.path(), &to.join(entry.file_name()), levels - 1)?;
    }
    Ok(())
}

/// A folder that only its owner looks into, where there is none.
pub(super) fn make_folder(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().mode(0o700).create(path).map_err(|source| {
        if source.kind() == std::io::ErrorKind::AlreadyExists {
            BackupError::Exists(path.to_owned())
        } else {
            file("make", path)(source)
        }
    })
}

/// Makes durable all that lies there.
pub(super) fn sync_below(path: &Path, levels: usize) -> Result<(), BackupError> {
    let opened = std::fs::File::open(path).map_err(file("sync", path))?;
    if levels > 0 && opened.metadata().map_err(file("look at", path))?.is_dir() {
        for entry in std::fs::read_dir(path).map_err(file("look into", path))? {
            sync_below(&entry.map_err(file("look into", path))?.path(), levels - 1)?;
        }
    }
    opened.sync_all().map_err(file("sync", path))
}
