//! Checkpoints from elsewhere: the fence, a note that somebody kept. The log must lead to them.
//!
//! No look at one file sees that the whole file was replaced by an older one, or by a fork. Whoever kept a signed checkpoint
//! sees it: the log's tree must have had that root at that size, and must not end before.

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::note::{Note, VerifierKey};
use assent_proto::number::TreeSize;

use super::report::Report;

/// A checkpoint that somebody kept.
#[derive(Debug)]
pub(super) struct Elsewhere {
    /// Who, as the report names it.
    keeper: String,
    note: String,
    size: TreeSize,
    root: Hash,
    is_met: bool,
}

impl Elsewhere {
    /// Reads a signed note.
    pub(super) fn read(keeper: String, text: String, origin: &str) -> Result<Self, String> {
        let (size, root) = {
            let note = Note::parse(&text).map_err(|error| format!("{keeper} is no signed note: {error}"))?;
            let checkpoint = Checkpoint::parse(note.text())
                .map_err(|error| format!("{keeper} is no checkpoint: {error}"))?;
            if checkpoint.origin != origin {
                return Err(format!("{keeper} is of the log `{}`, not of `{origin}`", checkpoint.origin));
            }
            (checkpoint.size, checkpoint.root)
        };
        Ok(Self { keeper, note: text, size, root, is_met: size == TreeSize(0) })
    }

    /// The tree as it stands at the end of a round.
    pub(super) fn meet(&mut self, size: TreeSize, root: impl FnOnce() -> Hash, report: &mut Report) {
        if size != self.size || self.is_met {
            return;
        }
        self.is_met = true;
        if root() == self.root {
            report.agreed.push(self.keeper.clone());
        } else {
            report.find(
                size.0,
                format!("the log and {} have different roots at {size} leaves: a fork", self.keeper),
            );
        }
    }

    /// The log is over: the note must have been met, and signed by a key of the log.
    pub(super) fn end(&self, report: &mut Report) {
        let Self { keeper, size, .. } = self;
        if !self.is_met {
            let what = if size.0 > report.entries {
                format!("the log ends here, but {keeper} has seen {size} leaves: an older log was put back")
            } else {
                format!("{keeper} covers {size} leaves, where the log has no checkpoint: a fork")
            };
            return report.find(report.entries, what);
        }
        let is_ours = Note::parse(&self.note).is_ok_and(|note| {
            let mut keys = report.keys.iter().filter_map(|key| VerifierKey::parse(&key.verifier_key).ok());
            keys.any(|key| note.verify(&key).is_ok())
        });
        if !is_ours {
            report.find(size.0, format!("{keeper} is not signed by a key of this log"));
        }
    }
}
