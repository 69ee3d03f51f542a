//! The appliance's part of a backup: a copy of the log's store, of one commit, left where only its owner reads.
//!
//! The one rule: the appliance serves on, and never for a backup runs low on disk. It copies the store alone, which nobody
//! else can read while it is open; the command that asked takes the copy away, and all that are plain files. The console's
//! download is made from such a copy too, in a folder of its own.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BackupError;
use super::making::make_folder;
use crate::disk::free;
use crate::log::store::StoredHead;
use crate::token::{Operation, SealerHandle};

/// The folder in the data folder in which the copy waits to be taken away.
const STAGE: &str = "backup.unfinished";
/// The same for a download.
const DOWNLOAD_STAGE: &str = "evidence.unfinished";

/// What became of the wish for a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BackupAnswer {
    /// It lies in this folder, under the log's own name; whoever asked removes the folder.
    Copied {
        /// The folder.
        folder: PathBuf,
    },
    /// There is none.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
}

/// Who makes copies.
#[derive(Clone, Debug)]
pub struct BackupDesk {
    sealer: SealerHandle,
    data: PathBuf,
    /// Free bytes that must be left.
    spare: u64,
}

impl BackupDesk {
    /// Copies this sealer's log to the data folder, where so many bytes are to stay free. What a killed command left is gone.
    #[must_use]
    pub fn new(sealer: SealerHandle, data: &Path, spare: u64) -> Self {
        clear(data);
        clear_stage(data, DOWNLOAD_STAGE);
        Self { sealer, data: data.to_owned(), spare }
    }

    /// Makes a copy, and has the log say so. None: the appliance is stopping.
    pub(crate) async fn copy(&self, by: String) -> Option<BackupAnswer> {
        let desk = self.clone();
        let copied = tokio::task::spawn_blocking(move || desk.stage(STAGE)).await.ok()?;
        Some(match copied {
            Ok((folder, head)) => {
                self.tell("backup", by, &head);
                BackupAnswer::Copied { folder }
            }
            Err(error) => BackupAnswer::Refused { reason: reason(&error) },
        })
    }

    /// Makes a copy for somebody's download, and has the log say so: the folder that it lies in, which whoever asked removes.
    /// Waits for the disk.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(crate) fn copy_for_download(&self, by: String) -> Result<PathBuf, String> {
        let (folder, head) = self.stage(DOWNLOAD_STAGE).map_err(|error| reason(&error))?;
        self.tell("download", by, &head);
        Ok(folder)
    }

    fn tell(&self, act: &'static str, by: String, head: &StoredHead) {
        let (statement, by, signatures) = (format!("size {}\n", head.size), vec![by], Vec::new());
        self.sealer.record(Operation::Operators { act, by, statement, signatures });
    }

    fn stage(&self, name: &str) -> Result<(PathBuf, StoredHead), BackupError> {
        let reader = self.sealer.reader();
        let wanted = std::fs::metadata(reader.path()).map_or(0, |log| log.len());
        if free(&self.data).is_none_or(|free| free < wanted.saturating_add(self.spare)) {
            let needed = format!(
                "{wanted} bytes beside `log.low_water` are not free in {}; make room",
                self.data.display()
            );
            return Err(BackupError::Refused(needed));
        }
        let folder = self.data.join(name);
        match make_folder(&folder) {
            Err(BackupError::Exists(_)) => {
                let busy = "another backup is being made; come back when it is done. Where none is, a restart clears what a killed one left";
                return Err(BackupError::Refused(busy.to_owned()));
            }
            made => made?,
        }
        let copied = reader.copy_to(&folder.join(reader.path().file_name().unwrap_or_default()));
        match copied {
            Ok(head) => Ok((folder, head)),
            Err(error) => {
                clear_stage(&self.data, name);
                Err(error.into())
            }
        }
    }
}

/// Removes the copy.
pub(super) fn clear(data: &Path) {
    clear_stage(data, STAGE);
}

fn clear_stage(data: &Path, name: &str) {
    // Best effort: what is left costs room, and the next start tries again.
    let _ = std::fs::remove_dir_all(data.join(name));
}

/// An error with its causes, in a line.
fn reason(error: &BackupError) -> String {
    if let BackupError::Refused(reason) = error {
        return reason.clone();
    }
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
