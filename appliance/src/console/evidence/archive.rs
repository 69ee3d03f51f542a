//! The download: a copy of the log of one commit, as a tar archive that `assent log verify` takes offline.
//!
//! The rules it keeps: the copy is the one that backups are made of, and lies on the disk under no name once it is opened; what is
//! sent is read as it is sent, so that memory does not grow with the log; no key, no configuration and no secret is in it. A
//! volume that is erased from or archived meanwhile breaks it off, and the next one succeeds.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use assent_proto::number::Timestamp;
use tar::{Builder, EntryType, Header};

use super::Verified;
use crate::backup::BackupDesk;
use crate::cli::utc;
use crate::config::Config;
use crate::log::fence::signed_note;
use crate::log::reader::Reader;

/// The folder that everything in it lies in.
pub const FOLDER: &str = "assent-evidence";
/// The newest signed checkpoint, as a signed note.
const CHECKPOINT: &str = "checkpoint";
/// The trust file, as the appliance writes it about itself.
const TRUST: &str = "trust.toml";
/// What the last verification here told.
const REPORT: &str = "report.html";
/// How to check it.
const README: &str = "README";
/// How long the keys of its own trust file are trusted.
const TRUST_DAYS: u64 = 365;

/// The command that verifies it, where it was unpacked and a trust file lies beside it.
#[must_use]
pub fn command(log: &Path) -> String {
    let log = log.file_name().unwrap_or_default().to_string_lossy().into_owned();
    format!("assent log verify --log {FOLDER}/{log} --trust {TRUST} --against {FOLDER}/{CHECKPOINT}")
}

/// What the file is called.
#[must_use]
pub fn file_name(now: Timestamp) -> String {
    let digits: String = utc(now).chars().take(19).map(|c| if c == ':' { '-' } else { c }).collect();
    format!("{FOLDER}-{digits}.tar")
}

/// A download that is ready to be sent.
#[derive(Debug)]
pub struct Archive {
    /// The log's name, and the copy of its store.
    log: (String, File),
    /// The live log's volumes, by their paths: names of the archive, and where they lie.
    volumes: Vec<(String, PathBuf)>,
    /// Small files, with what is in them.
    texts: Vec<(&'static str, String)>,
    now: Timestamp,
}

impl Archive {
    pub(super) fn prepare(
        backup: &BackupDesk,
        config: &Config,
        newest: Option<&Verified>,
        by: &str,
        now: Timestamp,
    ) -> Result<Self, String> {
        let live = crate::provision::log_file(config);
        let folder = backup.copy_for_download(by.to_owned())?;
        let made = Self::of_copy(&folder, &live, config, newest, now);
        // What is open can be read on; nothing is left where the process is killed behind this.
        let _ = std::fs::remove_dir_all(&folder);
        made
    }

    fn of_copy(
        folder: &Path,
        live: &Path,
        config: &Config,
        newest: Option<&Verified>,
        now: Timestamp,
    ) -> Result<Self, String> {
        let told = |error: &dyn std::error::Error| format!("the log cannot be copied: {error}");
        let name = live.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let copy = folder.join(&name);
        let reader = Reader::open(&copy).map_err(|error| told(&error))?;
        let signed = reader.checkpoint().map_err(|error| told(&error))?;
        let signed = signed.ok_or(
            "the log has no signed checkpoint yet; come back when the token boundary has been open once",
        )?;
        let origin = reader.identity().map_err(|error| told(&error))?.origin;
        let trust =
            crate::cli::trust::export(config, now, TRUST_DAYS).map_err(|error| format!("{error:#}"))?;
        let lies = live.with_extension("volumes");
        let place = |path: PathBuf| {
            let file = path.file_name().unwrap_or_default().to_owned();
            let folder = lies.file_name().unwrap_or_default().to_string_lossy();
            (format!("{folder}/{}", file.to_string_lossy()), lies.join(file))
        };
        let volumes = reader.volume_files().map_err(|error| told(&error))?.into_iter().map(place).collect();
        let mut texts = vec![
            (README, readme(&origin, live, now)),
            (CHECKPOINT, signed_note(&origin, &signed)),
            (TRUST, trust),
        ];
        texts.extend(newest.map(|newest| (REPORT, newest.told().document())));
        let log = (name, File::open(&copy).map_err(|error| told(&error))?);
        Ok(Self { log, volumes, texts, now })
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// What the reader of it, or the disk, says: then what was written is no archive.
    pub fn write_to(self, to: impl Write) -> std::io::Result<()> {
        let mut archive = Builder::new(to);
        let made = self.now.0 / 1000;
        for (name, text) in &self.texts {
            let mut header = header(text.len() as u64, made);
            archive.append_data(&mut header, format!("{FOLDER}/{name}"), text.as_bytes())?;
        }
        let mut put = |name: &str, file: File| {
            let mut header = header(file.metadata()?.len(), made);
            archive.append_data(&mut header, format!("{FOLDER}/{name}"), file)
        };
        let (name, store) = self.log;
        put(&name, store)?;
        for (name, path) in self.volumes {
            put(&name, File::open(path)?)?;
        }
        archive.into_inner()?.flush()
    }
}

fn header(size: u64, made: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(made);
    header
}

fn readme(origin: &str, log: &Path, now: Timestamp) -> String {
    let command = command(log);
    format!(
        "The log of {origin}, copied {}.\n\nVerify it, in the folder that holds {FOLDER}/, under a trust file that you have from elsewhere:\n\n    \
         {command}\n\nIt ends with 0 where every leaf, every checkpoint and every gap holds, and with 3 where anything does not.\n\n\
         {FOLDER}/{TRUST} is what the appliance says of its own keys: with it the command shows that the copy is whole, and not whose it \
         is.\n{FOLDER}/{CHECKPOINT} is the newest signed checkpoint. Keep it: a later copy must lead to it (--against), or it is another log.\n\
         {FOLDER}/{REPORT}, where it is there, is the report of the last verification at the console.\n",
        utc(now),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_and_the_file_are_named_after_the_log_and_the_time() {
        assert_eq!(
            command(Path::new("/var/lib/assent/log-2.redb")),
            "assent log verify --log assent-evidence/log-2.redb --trust trust.toml --against assent-evidence/checkpoint"
        );
        assert_eq!(file_name(Timestamp(0)), "assent-evidence-1970-01-01T00-00-00.tar");
    }
}
