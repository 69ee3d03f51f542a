//! Putting a backup back, where nothing is in its way.
//!
//! The one rule: nothing that is there is replaced. The backup is held against its digests and its log verified before a
//! byte is written; the log's own file comes last, so what a kill leaves half-way cannot be served. A fence that is there
//! stays, and says whether the log is older than what it has seen; where there is none, the backup's own checkpoint becomes
//! it. What the HSM remembers is compared at the start, and nobody can change that here.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use assent_proto::limits::MAX_NOTE_BYTES;
use assent_proto::number::Timestamp;

use super::contents::{self, Item};
use super::examination::{Examined, examine};
use super::making::{put, sync_below};
use super::{BackupError, CONFIGURATION, DATA, FACTS, Facts, SCHEMA, file, sums};
use crate::config::Config;
use crate::limits::{MAX_BACKUP_LEVELS, MAX_CONFIGURATION_BYTES};
use crate::log::disk::{folder_of, sync_folder_of, system, write_durably};
use crate::log::fence::{read_note, signed_note};
use crate::log::keyring::Keyring;

/// How a log that was put back stands to the fence that was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There was no fence: the backup's checkpoint is it now.
    Unfenced,
    /// The log reaches what the fence has seen.
    Reaches,
    /// The fence has seen more than the log holds, or another log.
    Behind {
        /// How many entries it has seen; none where it is under a key that the backup does not know.
        fence: Option<u64>,
    },
}

/// What was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup is of.
    pub facts: Facts,
    /// How its log stands to the fence.
    pub standing: Standing,
    /// What was there, and stays as it is.
    pub kept: Vec<PathBuf>,
    /// What the appliance needs, and neither the backup has nor this machine.
    pub missing: Vec<PathBuf>,
}

/// Puts the backup at `from` back as the configuration at `config_file` says: its own, where there is none.
///
/// # Errors
/// [`BackupError`]. Where it is one of a file that could not be written, what was written until then is there.
pub fn restore(from: &Path, config_file: &Path, now: Timestamp) -> Result<Restored, BackupError> {
    let facts = facts(from)?;
    sums::check(from)?;
    let config = configuration(from, config_file)?;
    if config.origin() != facts.origin {
        let (found, expected) = (facts.origin, config.origin());
        return Err(BackupError::Another { found, expected, file: config.file });
    }
    if let Some(path) = contents::in_the_way(&config) {
        return Err(BackupError::Exists(path));
    }
    let ring_file = contents::ring_in(from, &config);
    let ring = Keyring::load(&ring_file)?.ok_or_else(|| malformed(from, "it has no key ring"))?;
    let examined = examine(&contents::log_in(from, &config), &ring, now)?;
    // The last thing that is read before anything is written: a fence that cannot be read is no reason to go on.
    let standing = standing(&config, &ring, &examined)?;
    let (kept, missing) = put_back(from, &config)?;
    if standing == Standing::Unfenced {
        let fence = config.fence_file();
        let note = signed_note(ring.origin(), &examined.signed);
        let new = Place::make(&fence)?;
        write_durably(&fence, note.as_bytes(), 0o644).map_err(file("write", &fence))?;
        new.give()?;
    }
    Ok(Restored { facts, standing, kept, missing })
}

fn malformed(path: &Path, what: &str) -> BackupError {
    BackupError::Malformed { path: path.to_owned(), what: what.to_owned() }
}

fn facts(from: &Path) -> Result<Facts, BackupError> {
    let path = from.join(FACTS);
    let bytes = system().read(&path, MAX_CONFIGURATION_BYTES).map_err(file("read", &path))?;
    let bytes = bytes.ok_or_else(|| malformed(from, "it has no backup.toml"))?;
    let text = String::from_utf8(bytes).map_err(|_| malformed(from, "its backup.toml is no text"))?;
    let facts: Facts = toml::from_str(&text).map_err(|error| malformed(from, error.message()))?;
    if facts.schema == SCHEMA { Ok(facts) } else { Err(malformed(from, "it is of another version")) }
}

/// The configuration that is there, or the backup's as if it were there.
fn configuration(from: &Path, config_file: &Path) -> Result<Config, BackupError> {
    if config_file.exists() {
        return Ok(Config::load(config_file)?);
    }
    let path = from.join(CONFIGURATION);
    let bytes = system().read(&path, MAX_CONFIGURATION_BYTES).map_err(file("read", &path))?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| malformed(from, "it has no configuration"))?;
    Ok(Config::parse(&text, config_file)?)
}

fn standing(config: &Config, ring: &Keyring, examined: &Examined) -> Result<Standing, BackupError> {
    let path = config.fence_file();
    let Some(bytes) = system().read(&path, MAX_NOTE_BYTES as u64).map_err(file("read", &path))? else {
        return Ok(Standing::Unfenced);
    };
    // A fence under a key that the backup's ring does not know is of a later time.
    let Some(fence) = String::from_utf8(bytes).ok().and_then(|text| read_note(&text, ring).ok()) else {
        return Ok(Standing::Behind { fence: None });
    };
    let reaches = fence.size <= examined.signed.size
        && examined.reader.frontier(fence.size).is_ok_and(|tree| tree.root() == fence.root);
    Ok(if reaches { Standing::Reaches } else { Standing::Behind { fence: Some(fence.size.0) } })
}

/// Everything but the fence. Gives what was kept, and what is missing.
fn put_back(from: &Path, config: &Config) -> Result<(Vec<PathBuf>, Vec<PathBuf>), BackupError> {
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    for item in contents::beside(config) {
        if item.place.exists() {
            kept.push(item.place);
        } else if from.join(&item.name).exists() {
            put_item(from, &item)?;
        } else if item.is_private && item.place != config.witnessing.key {
            missing.push(item.place);
        }
    }
    let data = &config.appliance.data;
    let owner = Owner::around(data);
    system().make_folder(data).map_err(file("make", data))?;
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(data, owner_only).map_err(file("close to others", data))?;
    let log = contents::log_in(from, config);
    let mut last = None;
    let folder = from.join(DATA);
    for entry in std::fs::read_dir(&folder).map_err(file("look into", &folder))? {
        let path = entry.map_err(file("look into", &folder))?.path();
        let to = data.join(path.file_name().unwrap_or_default());
        if path == log {
            last = Some(to);
        } else {
            put(&path, &to, MAX_BACKUP_LEVELS)?;
        }
    }
    sync_below(data, MAX_BACKUP_LEVELS)?;
    let last = last.ok_or_else(|| malformed(from, "it has no log"))?;
    put(&log, &last, 0)?;
    owner.give(data)?;
    sync_below(data, MAX_BACKUP_LEVELS)?;
    Ok((kept, missing))
}

fn put_item(from: &Path, item: &Item) -> Result<(), BackupError> {
    let new = Place::make(&item.place)?;
    put(&from.join(&item.name), &item.place, MAX_BACKUP_LEVELS)?;
    new.give()?;
    sync_below(&item.place, MAX_BACKUP_LEVELS)?;
    // The name too, where the folder was there before: a latch that a power cut takes away again keeps nothing closed.
    sync_folder_of(&item.place).map_err(file("sync the folder of", &item.place))
}

/// Where something is about to be put, whose it will be, and what of it was made for that.
#[derive(Debug)]
struct Place<'p> {
    owner: Owner,
    /// The folder where it is new, else what is put there.
    made: &'p Path,
}

impl<'p> Place<'p> {
    fn make(path: &'p Path) -> Result<Self, BackupError> {
        let (owner, folder) = (Owner::around(path), folder_of(path));
        let made = if folder.exists() { path } else { folder };
        system().make_folder(folder).map_err(file("make", folder))?;
        Ok(Self { owner, made })
    }

    fn give(self) -> Result<(), BackupError> {
        self.owner.give(self.made)
    }
}

/// Whose the nearest folder is that is there already: the appliance runs as another user than whoever restores.
#[derive(Clone, Copy, Debug)]
struct Owner(Option<(u32, u32)>);

impl Owner {
    fn around(path: &Path) -> Self {
        let there = path.ancestors().skip(1).find_map(|folder| std::fs::metadata(folder).ok());
        Self(
            there.map(|folder| (folder.uid(), folder.gid())).filter(|_| rustix::process::geteuid().is_root()),
        )
    }

    /// Gives it all that lies there; only root can, and only root needs to.
    fn give(self, path: &Path) -> Result<(), BackupError> {
        let Some((user, group)) = self.0 else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(user), Some(group)).map_err(file("give away", path))?;
        if std::fs::symlink_metadata(path).is_ok_and(|kind| kind.is_dir()) {
            for entry in std::fs::read_dir(path).map_err(file("look into", path))? {
                self.give(&entry.map_err(file("look into", path))?.path())?;
            }
        }
        Ok(())
    }
}
