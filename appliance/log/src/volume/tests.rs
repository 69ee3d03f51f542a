//! A log of many small volumes, against a list of its leaves in memory.

use std::path::PathBuf;

use assent_proto::entry::{Entry, Rearm, Salt};
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use assent_proto::tree::Frontier;
use ed25519_dalek::{Signer as _, SigningKey};
use tempfile::TempDir;

use super::*;
use crate::binding::Binding;
use crate::keyring::Keyring;
use crate::limits::STORED_PIECE_BYTES;
use crate::reader::Reader;
use crate::store::{Identity, RequestRow, STORE_VERSION, Store};
use crate::{Commit, LeafBytes, Leaves, Log, OpenError, Place, SignedCheckpoint, Unsigned};

const ORIGIN: &str = "localhost/test/log/1";
/// Eight leaves a volume.
const HEIGHT: u8 = 3;

/// A log on disk, and what must be in it.
pub(super) struct Shelf {
    folder: TempDir,
    signing: SigningKey,
    leaves: Vec<Vec<u8>>,
    /// Size behind each round, and whether it was signed.
    ends: Vec<(u64, bool)>,
    pub(super) requests: Vec<(LeafIndex, Vec<u8>)>,
    /// As how many bytes more a request goes on: with many, its round lies in several pieces.
    pub(super) more: usize,
}

impl Shelf {
    pub(super) fn new() -> Self {
        let (folder, signing) = (tempfile::tempdir().unwrap(), SigningKey::from_bytes(&[1; 32]));
        let shelf =
            Self { folder, signing, leaves: Vec::new(), ends: Vec::new(), requests: Vec::new(), more: 0 };
        let identity = Identity { volume_height: HEIGHT, ..Identity::new(ORIGIN, &shelf.key().to_string()) };
        Store::create(&shelf.log(), &identity).unwrap();
        shelf
    }

    fn key(&self) -> VerifierKey<'static> {
        VerifierKey::new(ORIGIN, self.signing.verifying_key().as_bytes()).unwrap()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.path().join("log.redb")
    }

    pub(super) fn open(&self) -> Result<Log, OpenError> {
        let ring = Keyring::of_one(&self.folder.path().join("ring"), &self.key(), &[1], Timestamp(0));
        let fence = self.folder.path().join("fence");
        let place = Place { binding: Binding::Inline, ..Place::beside(&self.log(), &fence) };
        Log::open_at(place, ring, |_| ())
    }

    /// Appends a round of so many leaves, with one request; the first round of all is signed.
    pub(super) fn append(&mut self, log: &mut Log, count: u64, signed: bool) {
        let first = log.frontier().size().0;
        let mut leaves = Leaves::default();
        for index in first..first + count {
            let mut salt = Salt::default();
            salt.0[..8].copy_from_slice(&index.to_be_bytes());
            leaves.push(&Entry::Rearm(Rearm { salt, time: Timestamp(index), epoch: Epoch(0) })).unwrap();
        }
        let mut frontier = log.frontier().clone();
        leaves.hashes().iter().for_each(|hash| frontier.append(*hash).unwrap());
        let mut frame = format!("request of {first}").into_bytes();
        frame.resize(frame.len() + self.more, b'.');
        let commit = Commit {
            first: LeafIndex(first),
            leaves: vec![&leaves],
            requests: vec![(LeafIndex(first), &frame)],
            answers: Vec::new(),
            rows: Vec::new(),
            frontier: &frontier,
            checkpoint: signed.then(|| self.sign(&frontier)),
            epoch: Epoch(0),
            lowest_epoch: Epoch(0),
            unsigned: Unsigned::default(),
            time: Timestamp(first),
        };
        let _ = log.commit(&commit).unwrap();
        self.leaves.extend(leaves.iter().map(<[u8]>::to_vec));
        self.ends.push((first + count, signed));
        self.requests.push((LeafIndex(first), frame));
    }

    fn sign(&self, frontier: &Frontier) -> SignedCheckpoint {
        let (size, root) = (frontier.size(), frontier.root());
        let text = assent_proto::checkpoint::Checkpoint { origin: ORIGIN, size, root }.text().unwrap();
        let signature = self.signing.sign(text.as_bytes()).to_bytes();
        SignedCheckpoint { size, root, key_id: self.key().id(), signature, successor: None }
    }

    /// Everything that a reader gives is what was appended.
    pub(super) fn check(&self, reader: &Reader) {
        let size = self.leaves.len() as u64;
        assert_eq!(reader.size().unwrap(), TreeSize(size));
        for from in 0..=size {
            let ends: Vec<(u64, u64, bool)> = reader
                .rounds(LeafIndex(from))
                .unwrap()
                .map(|round| round.unwrap())
                .map(|round| {
                    let here = self.leaves.iter().skip(usize::try_from(round.first.0).unwrap());
                    assert!(round.leaves.iter().zip(here).all(|(one, other)| one == other));
                    (round.first.0, round.end(), round.checkpoint.is_some())
                })
                .collect();
            let firsts = std::iter::once(0).chain(self.ends.iter().map(|(end, _)| *end));
            let wanted = firsts.zip(&self.ends).map(|(first, (end, signed))| (first, *end, *signed));
            let wanted: Vec<_> = wanted.filter(|(first, ..)| *first >= from).collect();
            assert_eq!(ends, wanted, "rounds from {from}");
            let requests: Vec<_> =
                reader.requests(LeafIndex(from)).unwrap().map(|one| one.unwrap()).collect();
            let wanted: Vec<_> = self.requests.iter().filter(|(first, _)| first.0 >= from).cloned().collect();
            assert_eq!(requests, wanted, "requests from {from}");
        }
        let mut tree = Frontier::new();
        for (at, leaf) in self.leaves.iter().enumerate() {
            let at = at as u64;
            assert_eq!(reader.frontier(TreeSize(at)).unwrap(), tree);
            assert_eq!(reader.node(0, at).unwrap(), Hash::of_leaf(leaf));
            tree.append(Hash::of_leaf(leaf)).unwrap();
            let end = (at + 11).min(size);
            let found = reader.leaves(at..end).unwrap();
            assert!(found.iter().eq(self.leaves.iter().skip(usize::try_from(at).unwrap()).take(found.len())));
            assert_eq!(found.len() as u64, end - at);
        }
        assert!(reader.leaves(size..size + 1).is_err());
        assert!(reader.node(0, size).is_err());
        assert!(reader.node(1, size / 2).is_err());
    }
}

/// Rounds of lengths that straddle one volume, two, or none.
const LENGTHS: [u64; 16] = [3, 1, 8, 1, 1, 20, 5, 2, 16, 7, 1, 1, 1, 30, 4, 9];

fn filled() -> Shelf {
    let mut shelf = Shelf::new();
    let mut log = shelf.open().unwrap();
    for count in LENGTHS {
        shelf.append(&mut log, count, true);
    }
    log.advance_fence().unwrap();
    shelf
}

#[test]
fn what_is_bound_reads_as_it_was_appended() {
    let mut shelf = Shelf::new();
    let mut log = shelf.open().unwrap();
    for (number, count) in LENGTHS.into_iter().enumerate() {
        shelf.append(&mut log, count, number % 5 != 4);
        shelf.check(&log.reader());
        if number % 4 == 3 {
            log.advance_fence().unwrap();
            drop(log);
            log = shelf.open().unwrap();
            shelf.check(&log.reader());
        }
    }
    assert!(log.reader().volumes().unwrap() > 8, "volumes were bound: {:?}", log.binding_failure());
}

#[test]
fn unsigned_leaves_are_not_bound() {
    let mut shelf = Shelf::new();
    let mut log = shelf.open().unwrap();
    shelf.append(&mut log, 4, true);
    for _ in 0..10 {
        shelf.append(&mut log, 8, false);
    }
    assert_eq!(log.reader().volumes().unwrap(), 0);
    shelf.append(&mut log, 1, true);
    for _ in 0..11 {
        shelf.append(&mut log, 1, true);
    }
    assert!(log.reader().volumes().unwrap() >= 10);
    shelf.check(&log.reader());
}

#[test]
fn a_volume_bound_and_not_told_of_is_bound_again() {
    let mut shelf = Shelf::new();
    let mut log = shelf.open().unwrap();
    shelf.append(&mut log, 9, true);
    assert_eq!(log.reader().volumes().unwrap(), 0, "the next commit tells of it");
    let path = leaves_path(&shelf.log().with_extension("volumes"), 0);
    let whole = std::fs::read(&path).unwrap();
    drop(log);
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let mut log = shelf.open().unwrap();
    for _ in 0..3 {
        shelf.append(&mut log, 1, true);
    }
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    assert_eq!(log.reader().volumes().unwrap(), 1);
    shelf.check(&log.reader());
}

#[test]
fn rounds_that_stand_in_volumes_leave_the_store() {
    let mut shelf = filled();
    let mut log = shelf.open().unwrap();
    for _ in 0..40 {
        shelf.append(&mut log, 1, true);
    }
    let kept = log.store.snapshot().unwrap().rounds_from(0).unwrap().count();
    assert!(kept <= 12, "{kept} rounds are still in the store");
}

/// Rounds of one piece and of several, in turn.
fn filled_in_pieces() -> Shelf {
    let mut shelf = Shelf::new();
    let mut log = shelf.open().unwrap();
    for (turn, count) in LENGTHS.into_iter().enumerate() {
        shelf.more = if turn % 3 == 1 { 0 } else { turn * STORED_PIECE_BYTES / 2 };
        shelf.append(&mut log, count, true);
    }
    log.advance_fence().unwrap();
    shelf
}

#[test]
fn rounds_of_several_pieces_are_bound_and_leave_the_store_with_their_requests() {
    let mut shelf = filled_in_pieces();
    let mut log = shelf.open().unwrap();
    shelf.check(&log.reader());
    for _ in 0..40 {
        shelf.append(&mut log, 1, true);
    }
    shelf.check(&log.reader());
    let snapshot = log.store.snapshot().unwrap();
    let kept = snapshot.rounds_from(0).unwrap().count();
    assert!(kept <= 12, "{kept} rounds are still in the store");
    let first = snapshot.rounds_from(0).unwrap().next().unwrap().unwrap().first.0;
    let rows: Vec<u64> = snapshot.request_rows(0..u64::MAX).unwrap().map(|row| row.unwrap().round).collect();
    assert_eq!((rows.len(), rows[0]), (kept, first), "requests stay as long as their rounds, and no longer");
}

#[test]
fn a_commit_takes_out_no_more_than_it_may() {
    let mut shelf = Shelf::new();
    let mut log = shelf.open().unwrap();
    // Nothing is bound while nothing is signed; then one signature covers two volumes.
    for _ in 0..70 {
        shelf.append(&mut log, 1, false);
    }
    shelf.append(&mut log, 1, true);
    let first =
        |log: &Log| log.store.snapshot().unwrap().rounds_from(0).unwrap().next().unwrap().unwrap().first.0;
    assert_eq!(first(&log), 0);
    let mut before = 0;
    for _ in 0..9 {
        shelf.append(&mut log, 1, true);
        let now = first(&log);
        assert!((1..=18).contains(&(now - before)) || now % 8 == 0, "from {before} to {now}");
        assert!(now - before <= 18, "from {before} to {now}");
        before = now;
    }
    assert!(before >= 56, "the store holds from {before} on");
    shelf.check(&log.reader());
}

#[test]
fn a_round_of_which_requests_are_erased_keeps_the_others_and_no_piece_more() {
    let shelf = filled_in_pieces();
    let log = shelf.open().unwrap();
    let row = |round: u64| {
        let rows = log.store.snapshot().unwrap().request_rows(round..round + 1).unwrap();
        rows.map(|row| row.unwrap()).find(|row| row.round == round).unwrap()
    };
    let (last, frame) = shelf.requests.last().cloned().unwrap();
    assert!(frame.len() > 3 * STORED_PIECE_BYTES);
    assert_eq!(row(last.0).requests, [(last, frame.clone())]);
    for kept in [frame.len() - STORED_PIECE_BYTES, STORED_PIECE_BYTES, 5] {
        let requests = vec![(last, frame[..kept].to_vec())];
        log.store.amend(&[], &[RequestRow { round: last.0, requests: requests.clone() }]).unwrap();
        assert_eq!(row(last.0).requests, requests);
    }
    log.store.amend(&[], &[RequestRow { round: last.0, requests: Vec::new() }]).unwrap();
    assert_eq!(row(last.0).requests, []);
}

#[test]
fn a_log_of_another_format_says_which_and_what_to_do() {
    let shelf = Shelf::new();
    let path = shelf.folder.path().join("older.redb");
    let identity = Identity { version: STORE_VERSION - 1, ..Identity::new(ORIGIN, &shelf.key().to_string()) };
    Store::create(&path, &identity).unwrap();
    let told = Store::open(&path).and_then(|store| store.identity().map(drop)).unwrap_err().to_string();
    assert!(told.contains(&format!("format {}", STORE_VERSION - 1)), "{told}");
    assert!(told.contains(&format!("reads format {STORE_VERSION};")), "{told}");
}

#[test]
fn after_a_stop_in_order_volumes_are_not_checked_and_after_a_kill_they_are() {
    let shelf = filled();
    assert!(shelf.open().unwrap().checked());
    shelf.open().unwrap().close().unwrap();
    let log = shelf.open().unwrap();
    assert!(!log.checked());
    log.reader().check_volumes(|_| ()).unwrap();
    drop(log);
    let mut shelf = shelf;
    let mut log = shelf.open().unwrap();
    shelf.append(&mut log, 1, true);
    drop(log);
    assert!(shelf.open().unwrap().checked());
}

#[test]
fn every_flipped_bit_of_a_volume_is_found() {
    let shelf = filled();
    // What no commit told of is cleared away here.
    let told = shelf.open().unwrap().reader().volumes().unwrap();
    let folder = shelf.log().with_extension("volumes");
    let files = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    assert!(files.len() as u64 > told, "leaves of each, and requests of most");
    let reader = Reader::open(&shelf.log()).unwrap();
    for (number, path) in files.iter().enumerate() {
        let whole = std::fs::read(path).unwrap();
        for at in (number % 7..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(path, &damaged).unwrap();
            let found = reader.check_volumes(|_| ());
            let named = matches!(&found, Err(StoreError::Damaged { path: of, .. }) if of == path);
            assert!(named, "{}: byte {at}: {found:?}", path.display());
        }
        std::fs::write(path, &whole).unwrap();
    }
    drop(reader);
    std::fs::remove_file(files.first().unwrap()).unwrap();
    assert!(matches!(shelf.open(), Err(OpenError::Store(StoreError::Damaged { .. }))));
}

#[test]
fn levels_lie_one_behind_the_other() {
    assert_eq!(level_offset(3, 0), 0);
    assert_eq!(level_offset(3, 1), 32 * 8);
    assert_eq!(level_offset(3, 2), 32 * 12);
    assert_eq!(level_offset(3, 3), 32 * 14);
    assert_eq!(nodes_bytes(3), 32 * 15);
    assert_eq!((bundles(3), bundles(8), bundles(16)), (1, 1, 256));
}

#[test]
fn a_volume_goes_to_an_archive_and_comes_back_as_it_was() {
    let mut shelf = filled();
    let mut log = shelf.open().unwrap();
    let path = leaves_path(&shelf.log().with_extension("volumes"), 2);
    let whole = std::fs::read(&path).unwrap();
    let reader = log.reader();
    let range = reader.leaves_of(2);
    let (leaves, rounds) = (reader.leaves(range.clone()).unwrap(), reader.rounds_of(2).unwrap());
    log.archived(&[2]).unwrap();
    assert!(!path.exists());
    assert!(!reader.volumes_here().unwrap().contains(&2));
    assert!(matches!(reader.leaves(range.clone()), Err(StoreError::Archived { first: 16, end: 24 })));
    assert!(reader.node(u32::from(HEIGHT), 2).is_ok(), "its root stays");
    shelf.append(&mut log, 3, true);
    log.advance_fence().unwrap();
    drop(log);
    drop(reader);
    drop(shelf.open().expect("it is served without them"));
    let reader = Reader::open_to_restore(&shelf.log()).unwrap();
    let mut other = LeafBytes::default();
    (0..leaves.len()).rev().filter_map(|at| leaves.get(at)).for_each(|leaf| other.push(leaf));
    assert!(reader.restore(2, std::iter::once(other), &rounds).is_err());
    assert!(!path.exists());
    reader.restore(2, std::iter::once(leaves), &rounds).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    drop(reader);
    let log = shelf.open().unwrap();
    shelf.check(&log.reader());
}
