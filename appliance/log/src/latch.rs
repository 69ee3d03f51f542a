//! The latch: an integrity fault that operators have not answered yet, kept beside the fence.
//!
//! It outlives the process, and whatever becomes of the log's unsigned tail: it is written before anything else follows the
//! closing, and goes only when a re-arm that operators ordered is in the log. Where it cannot be read, it holds. It does not
//! know what the cause means.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_proto::number::Epoch;

use crate::disk::{Disk, Open, folder_of};

/// Bytes of a latch that is read: a longer one cannot be ours, and holds.
const MAX_BYTES: u64 = 4096;

/// What a latch begins with.
const HEAD: &str = "assent/latch/v1";
/// What is known of a latch that cannot be read.
const UNKNOWN: &str = "unknown_fault";

/// What holds the boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latched {
    /// The epoch that began with the closing.
    pub epoch: Epoch,
    /// Why, as a bounded label.
    pub cause: String,
}

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Latch {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    pub(super) held: Option<Latched>,
}

impl Latch {
    /// Reads the latch beside this fence.
    pub(super) fn beside(disk: Arc<dyn Disk>, fence: &Path) -> Self {
        let path = fence.with_extension("latch");
        let unknown = || Latched { epoch: Epoch(0), cause: UNKNOWN.to_owned() };
        let held = match disk.read(&path, MAX_BYTES) {
            Ok(None) => None,
            Err(_) => Some(unknown()),
            Ok(Some(bytes)) => Some(std::str::from_utf8(&bytes).ok().and_then(parse).unwrap_or_else(unknown)),
        };
        Self { disk, path, held }
    }

    /// Holds from here on. In memory at once; an error says that it would not outlive this process.
    pub(super) fn set(&mut self, epoch: Epoch, cause: &str) -> std::io::Result<()> {
        self.held = Some(Latched { epoch, cause: cause.to_owned() });
        let folder = folder_of(&self.path);
        self.disk.make_folder(folder)?;
        // In its place first, which is enough should this process be killed; then to the disk. What a power cut leaves of it
        // holds too, be it empty.
        let unfinished = self.path.with_extension("latch.unfinished");
        let file = self.disk.open(&unfinished, Open::Fresh { mode: 0o644 })?;
        file.write_at(0, text(epoch, cause).as_bytes())?;
        self.disk.rename(&unfinished, &self.path)?;
        file.sync()?;
        self.disk.sync_folder(folder)
    }

    /// Makes durable what was read, for the process that wrote it may have died before it was. Should it fail, it holds in
    /// memory as it did.
    pub(super) fn make_sure(&self) {
        if let Some(Latched { epoch, cause }) = self.held.as_ref().filter(|held| held.cause != UNKNOWN) {
            let _ = self.disk.write_durably(&self.path, text(*epoch, cause).as_bytes(), 0o644);
        }
    }

    /// Lets go. On an error it holds as before.
    pub(super) fn lift(&mut self) -> std::io::Result<()> {
        if self.held.is_none() {
            return Ok(());
        }
        self.disk.remove_durably(&self.path)?;
        self.held = None;
        Ok(())
    }
}

fn text(epoch: Epoch, cause: &str) -> String {
    format!("{HEAD}\nepoch {epoch}\ncause {cause}\n")
}

fn parse(text: &str) -> Option<Latched> {
    let mut lines = text.lines();
    (lines.next()? == HEAD).then_some(())?;
    let epoch = lines.next()?.strip_prefix("epoch ")?.parse().ok()?;
    let cause = lines.next()?.strip_prefix("cause ")?.to_owned();
    Some(Latched { epoch: Epoch(epoch), cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::system;

    #[test]
    fn it_holds_over_a_restart_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let fence = folder.path().join("fence/checkpoint");
        assert_eq!(Latch::beside(system(), &fence).held, None);
        Latch::beside(system(), &fence).set(Epoch(7), "bad_signature").unwrap();
        let mut latch = Latch::beside(system(), &fence);
        assert_eq!(latch.held, Some(Latched { epoch: Epoch(7), cause: "bad_signature".to_owned() }));
        latch.set(Epoch(8), "wrong_key").unwrap();
        assert_eq!(Latch::beside(system(), &fence).held.map(|held| held.epoch), Some(Epoch(8)));
        latch.lift().unwrap();
        assert_eq!(Latch::beside(system(), &fence).held, None);
    }

    #[test]
    fn one_that_cannot_be_read_holds() {
        let folder = tempfile::tempdir().unwrap();
        let fence = folder.path().join("checkpoint");
        for text in ["", "assent/latch/v1\n", "assent/latch/v1\nepoch x\ncause y\n", "something else"] {
            std::fs::write(folder.path().join("checkpoint.latch"), text).unwrap();
            assert_eq!(
                Latch::beside(system(), &fence).held.map(|held| held.cause),
                Some(UNKNOWN.to_owned()),
                "{text:?}"
            );
        }
    }
}
