//! The latch: an integrity fault that operators have not answered yet, kept beside the fence.
//!
//! It outlives the process, and whatever becomes of the log's unsigned tail: it is written before anything else follows the
//! closing, and goes only when a re-arm that operators ordered is in the log. Where it cannot be read, it holds. It does not
//! know what the cause means.

use std::path::{Path, PathBuf};

use assent_proto::number::Epoch;

use crate::identity::sync_folder_of;

/// What a latch begins with.
const HEAD: &str = "assent/latch/v1";
/// What is known of a latch that cannot be read.
const UNKNOWN: &str = "unknown_fault";

/// What holds the boundary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The epoch that began with the closing.
    pub epoch: Epoch,
    /// Why, as a bounded label.
    pub cause: String,
}

/// The file, and what it says.
#[derive(Debug)]
pub(super) struct Latch {
    path: PathBuf,
    pub(super) held: Option<Held>,
}

impl Latch {
    /// Reads the latch beside this fence.
    pub(super) fn beside(fence: &Path) -> Self {
        let path = fence.with_extension("latch");
        let held = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(_) => Some(Held { epoch: Epoch(0), cause: UNKNOWN.to_owned() }),
            Ok(text) => Some(parse(&text).unwrap_or(Held { epoch: Epoch(0), cause: UNKNOWN.to_owned() })),
        };
        Self { path, held }
    }

    /// Holds from here on. In memory at once; an error says that it would not outlive this process.
    pub(super) fn hold(&mut self, epoch: Epoch, cause: &str) -> std::io::Result<()> {
        self.held = Some(Held { epoch, cause: cause.to_owned() });
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // In its place first, which is enough should this process be killed; then to the disk. What a power cut leaves of it
        // holds too, be it empty.
        let unfinished = self.path.with_extension("latch.unfinished");
        std::fs::write(&unfinished, format!("{HEAD}\nepoch {epoch}\ncause {cause}\n"))?;
        std::fs::rename(&unfinished, &self.path)?;
        std::fs::File::open(&self.path)?.sync_all()?;
        sync_folder_of(&self.path)
    }

    /// Lets go. On an error it holds as before.
    pub(super) fn release(&mut self) -> std::io::Result<()> {
        if self.held.is_none() {
            return Ok(());
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        sync_folder_of(&self.path)?;
        self.held = None;
        Ok(())
    }
}

fn parse(text: &str) -> Option<Held> {
    let mut lines = text.lines();
    (lines.next()? == HEAD).then_some(())?;
    let epoch = lines.next()?.strip_prefix("epoch ")?.parse().ok()?;
    let cause = lines.next()?.strip_prefix("cause ")?.to_owned();
    Some(Held { epoch: Epoch(epoch), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_over_a_restart_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let fence = folder.path().join("fence/checkpoint");
        assert_eq!(Latch::beside(&fence).held, None);
        Latch::beside(&fence).hold(Epoch(7), "bad_signature").unwrap();
        let mut latch = Latch::beside(&fence);
        assert_eq!(latch.held, Some(Held { epoch: Epoch(7), cause: "bad_signature".to_owned() }));
        latch.hold(Epoch(8), "wrong_key").unwrap();
        assert_eq!(Latch::beside(&fence).held.map(|held| held.epoch), Some(Epoch(8)));
        latch.release().unwrap();
        assert_eq!(Latch::beside(&fence).held, None);
    }

    #[test]
    fn one_that_cannot_be_read_holds() {
        let folder = tempfile::tempdir().unwrap();
        let fence = folder.path().join("checkpoint");
        for text in ["", "assent/latch/v1\n", "assent/latch/v1\nepoch x\ncause y\n", "something else"] {
            std::fs::write(folder.path().join("checkpoint.latch"), text).unwrap();
            assert_eq!(
                Latch::beside(&fence).held.map(|held| held.cause),
                Some(UNKNOWN.to_owned()),
                "{text:?}"
            );
        }
    }
}
