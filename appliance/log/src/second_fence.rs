//! The second fence: the newest checkpoint kept where no copy of a disk brings back an older one, in a data object of the HSM.
//!
//! The rule it keeps: what the HSM shows is read before anything passes, and a log that is behind it, contradicts it, or lacks
//! the one that its key ring says it had, is not served. Of several objects the newest counts, for whoever replaces one may
//! be killed between the two. How an HSM keeps them, and what follows from a mismatch, is not known here.
//! (`proto/FORMAT.md`, section 10; `appliance/DESIGN.md`, "Fences".)

use assent_proto::hash::Hash;
use assent_proto::number::{Timestamp, TreeSize};
use assent_proto::tree::Frontier;

use super::fence::read_note;
use super::keyring::{Keyring, KeyringError};
use super::reader::Reader;
use super::store::StoreError;
use super::{Log, SignedCheckpoint};
use crate::hex::hex;

/// What the label of every such object begins with.
const LABEL: &str = "assent fence ";
/// Bytes of the origin's hash in the label: some HSMs take no more than 32 characters.
const LABEL_HASH_BYTES: usize = 8;

/// Why the log and the HSM's fence are not of one history.
#[derive(Debug, thiserror::Error)]
pub enum FenceMismatch {
    /// The HSM had a fence of this log, and has none any more.
    #[error(
        "the HSM has lost its fence of this log, the data object `{0}`, so an older log could have been put back"
    )]
    Missing(String),
    /// What it has is no checkpoint of this log signed by the key that was in force.
    #[error("what the HSM keeps as this log's fence is none: {0}")]
    NotOurs(String),
    /// An older log was put back.
    #[error(
        "the log's newest checkpoint covers {log} leaves, but the HSM's fence has seen {fence}: an older log was put back"
    )]
    Behind {
        /// Leaves that the log's newest checkpoint covers.
        log: u64,
        /// Leaves that the fence's covers.
        fence: u64,
    },
    /// The same size with another root.
    #[error("the log and the HSM's fence have different roots at {0} leaves: the log was forked")]
    Forked(u64),
    /// The log cannot be read where it is to be compared.
    #[error("the log cannot be compared with the HSM's fence")]
    Unreadable(#[from] StoreError),
}

/// What the HSM's fence is compared with: the log as it stood when it was asked for.
#[derive(Clone, Debug)]
pub struct SecondFence {
    keys: Keyring,
    signed: Option<SignedCheckpoint>,
    reader: Reader,
}

/// The label of the objects of this log. It does not name it, which the note in the object does.
#[must_use]
pub fn label(origin: &str) -> String {
    let hash = Hash::of_labelled(b"assent/fence/v1\0", [origin.as_bytes()]);
    format!("{LABEL}{}", hex(hash.0.get(..LABEL_HASH_BYTES).unwrap_or_default()))
}

/// The newest of these notes that is a checkpoint of this log; and what is wrong with one that is none.
#[must_use]
pub fn newest_note(notes: &[Vec<u8>], keys: &Keyring) -> (Option<SignedCheckpoint>, Option<String>) {
    let (mut newest, mut spoilt): (Option<SignedCheckpoint>, _) = (None, None);
    for note in notes {
        let text = std::str::from_utf8(note).map_err(|error| error.to_string());
        match text.and_then(|text| read_note(text, keys)) {
            Ok(held) if newest.is_none_or(|newest| newest.size < held.size) => newest = Some(held),
            Ok(_) => {}
            Err(why) => spoilt = Some(why),
        }
    }
    (newest, spoilt)
}

impl SecondFence {
    /// Compares what the HSM keeps with the log; gives the size that it has seen, if it has seen any.
    ///
    /// `known` is what this process wrote there, or compared, before: a checkpoint of this log for certain.
    ///
    /// # Errors
    /// [`FenceMismatch`]: nothing is to pass.
    pub fn check(
        &self,
        notes: &[Vec<u8>],
        known: Option<&SignedCheckpoint>,
    ) -> Result<Option<SignedCheckpoint>, FenceMismatch> {
        match newest_note(notes, &self.keys) {
            (Some(held), _) => self.compare(&held, known).map(|()| Some(held)),
            (None, Some(why)) => Err(FenceMismatch::NotOurs(why)),
            (None, None) if self.keys.fenced_in_hsm().is_some() => {
                Err(FenceMismatch::Missing(label(self.keys.origin())))
            }
            (None, None) => Ok(None),
        }
    }

    fn compare(
        &self,
        held: &SignedCheckpoint,
        known: Option<&SignedCheckpoint>,
    ) -> Result<(), FenceMismatch> {
        let log = self.signed.map_or(0, |signed| signed.size.0);
        if held.size.0 > log {
            return Err(FenceMismatch::Behind { log, fence: held.size.0 });
        }
        let at_fence =
            match [known, self.signed.as_ref()].into_iter().flatten().find(|one| one.size == held.size) {
                Some(same) => same.root,
                None => root_at(&self.reader, held.size)?,
            };
        if at_fence == held.root { Ok(()) } else { Err(FenceMismatch::Forked(held.size.0)) }
    }
}

/// The root of the log's first `size` leaves.
fn root_at(reader: &Reader, size: TreeSize) -> Result<Hash, StoreError> {
    let (mut subtrees, mut covered) = (Vec::new(), 0_u64);
    for level in (0..u64::BITS).rev().filter(|level| size.0 >> level & 1 == 1) {
        subtrees.push(reader.node(level, covered >> level)?);
        covered += 1 << level;
    }
    let tree = Frontier::restore(size, &subtrees).map_err(|_| StoreError::Unreadable("node"))?;
    Ok(tree.root())
}

impl Log {
    /// What the HSM's fence is to agree with now.
    #[must_use]
    pub fn second_fence(&self) -> SecondFence {
        SecondFence { keys: self.keys.clone(), signed: self.signed, reader: self.reader() }
    }

    /// Writes down, beside the keys, that the HSM has a fence of this log since then; or with none, that it need not.
    ///
    /// # Errors
    /// [`KeyringError`]; then nothing was written down.
    pub fn note_second_fence(&mut self, since: Option<Timestamp>) -> Result<(), KeyringError> {
        self.keys.note_fence(&*self.disk, since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::signed_note;
    use crate::tests::Scratch;

    /// A log of three signed rounds, and the note of each.
    fn log_of_three() -> (Scratch, Log, Vec<Vec<u8>>) {
        let scratch = Scratch::new();
        let mut log = scratch.open().unwrap();
        let notes = (1..=3).map(|time| {
            scratch.append(&mut log, time, true);
            signed_note(log.keys().origin(), log.signed().unwrap()).into_bytes()
        });
        let notes = notes.collect();
        (scratch, log, notes)
    }

    #[test]
    fn what_the_hsm_keeps_agrees_with_the_log_at_its_end_and_before_it() {
        let (_scratch, log, notes) = log_of_three();
        let fence = log.second_fence();
        let seen = |notes: &[Vec<u8>]| fence.check(notes, None).unwrap().map(|held| held.size.0);
        assert_eq!(seen(&[]), None, "it never kept one");
        for (note, size) in notes.iter().zip([2, 4, 6]) {
            assert_eq!(seen(std::slice::from_ref(note)), Some(size));
        }
        assert_eq!(
            seen(&[notes[1].clone(), notes[2].clone(), notes[0].clone()]),
            Some(6),
            "the newest counts"
        );
        assert_eq!(seen(&[b"torn".to_vec(), notes[0].clone()]), Some(2), "beside a good one it is nothing");
    }

    #[test]
    fn a_log_that_ends_before_what_the_hsm_keeps_is_behind_it() {
        let (scratch, log, notes) = log_of_three();
        let older = Scratch::new();
        let mut short = older.open().unwrap();
        older.append(&mut short, 1, true);
        drop((scratch, log));
        for (note, size) in notes.iter().zip([2, 4, 6]).skip(1) {
            let outcome = short.second_fence().check(std::slice::from_ref(note), None);
            assert!(
                matches!(outcome, Err(FenceMismatch::Behind { log: 2, fence }) if fence == size),
                "{outcome:?}"
            );
        }
        assert!(short.second_fence().check(&notes, None).is_err(), "the newest counts");
    }

    #[test]
    fn a_log_that_went_another_way_contradicts_it_at_every_size() {
        let (_scratch, _log, notes) = log_of_three();
        let other = Scratch::new();
        let mut log = other.open().unwrap();
        for time in 7..11 {
            other.append(&mut log, time, true);
        }
        for (note, at) in notes.iter().zip([2, 4, 6]) {
            let outcome = log.second_fence().check(std::slice::from_ref(note), None);
            assert!(matches!(outcome, Err(FenceMismatch::Forked(size)) if size == at), "{outcome:?}");
        }
    }

    #[test]
    fn one_that_is_missing_or_none_is_a_mismatch_once_it_was_there() {
        let (scratch, mut log, _) = log_of_three();
        let torn = [b"torn".to_vec()];
        assert!(matches!(log.second_fence().check(&torn, None), Err(FenceMismatch::NotOurs(_))));
        log.note_second_fence(Some(Timestamp(5))).unwrap();
        assert!(matches!(log.second_fence().check(&[], None), Err(FenceMismatch::Missing(_))));
        log.advance_fence().unwrap();
        drop(log);
        assert_eq!(scratch.ring().fenced_in_hsm(), Some(Timestamp(5)), "a restart does not forget");
        let mut log = scratch.open().unwrap();
        log.note_second_fence(None).unwrap();
        assert!(matches!(log.second_fence().check(&[], None), Ok(None)));
    }

    #[test]
    fn what_this_process_knows_is_not_read_again() {
        let (scratch, log, notes) = log_of_three();
        let held = log.second_fence().check(&notes[..1], None).unwrap();
        assert_eq!(log.second_fence().check(&notes[..1], held.as_ref()).unwrap(), held);
        let other = scratch.sign(&Frontier::new());
        let wrong = SignedCheckpoint { size: TreeSize(2), ..other };
        let outcome = log.second_fence().check(&notes[..1], Some(&wrong));
        assert!(matches!(outcome, Err(FenceMismatch::Forked(2))), "known is compared, not assumed");
    }

    #[test]
    fn a_label_fits_an_hsm_and_tells_logs_apart() {
        assert_eq!(label("localhost/test/log/1").len(), 29);
        assert_ne!(label("localhost/test/log/1"), label("localhost/test/log/2"));
    }
}
