//! Tiles of a real log: what leaves is what was signed, and what is damaged does not leave.

#![expect(clippy::unwrap_used, reason = "the functions beside the tests may fail as loudly as the tests")]

use assent_log::keyring::Keyring;
use assent_log::reader::Reader;
use assent_log::store::{Identity, Store};
use assent_log::tiles::{self, Level, Tile, TileError};
use assent_log::{Commit, Leaves, Log, SignedCheckpoint, Unsigned};
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Entry, Salt, Status};
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use ed25519_dalek::{Signer as _, SigningKey};

const ORIGIN: &str = "localhost/test/log/1";

struct Scratch {
    log: Log,
    signing: SigningKey,
    _folder: tempfile::TempDir,
}

impl Scratch {
    /// A log with one signed round of each of these lengths.
    fn with_rounds(rounds: &[u64]) -> Self {
        let (folder, signing) = (tempfile::tempdir().unwrap(), SigningKey::from_bytes(&[1; 32]));
        let key = VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes()).unwrap();
        let path = |name: &str| folder.path().join(name);
        let identity = Identity::new(ORIGIN, &key.to_string());
        Store::create(&path("log"), &identity).unwrap();
        let ring = Keyring::found(&path("keys"), &key, &[1], Timestamp(0)).unwrap();
        let log = Log::open(&path("log"), &path("fence"), ring).unwrap();
        let mut scratch = Self { log, signing, _folder: folder };
        rounds.iter().for_each(|leaves| scratch.append(*leaves, true));
        scratch
    }

    fn append(&mut self, count: u64, signed: bool) {
        let (mut leaves, mut frontier) = (Leaves::default(), self.log.frontier().clone());
        let first = LeafIndex(frontier.size().0);
        for index in first.0..first.0 + count {
            let (salt, time) = (Salt([7; 16]), Timestamp(index));
            frontier
                .append(leaves.push(&Entry::Status(Status { salt, time, epoch: Epoch(0) })).unwrap())
                .unwrap();
        }
        let commit = Commit {
            first,
            leaves: vec![&leaves],
            requests: Vec::new(),
            answers: Vec::new(),
            rows: Vec::new(),
            frontier: &frontier,
            checkpoint: signed.then(|| self.sign(frontier.size(), frontier.root())),
            epoch: Epoch(0),
            lowest_epoch: Epoch(0),
            unsigned: Unsigned::default(),
            time: Timestamp(0),
        };
        let _ = self.log.commit(&commit).unwrap();
    }

    fn sign(&self, size: TreeSize, root: Hash) -> SignedCheckpoint {
        let text = Checkpoint { origin: ORIGIN, size, root }.text().unwrap();
        let key = VerifierKey::new(ORIGIN, self.signing.verifying_key().as_bytes()).unwrap();
        let signature = self.signing.sign(text.as_bytes()).to_bytes();
        SignedCheckpoint { size, root, key_id: key.id(), signature, successor: None }
    }

    fn reader(&self) -> Reader {
        self.log.reader()
    }

    fn signed(&self) -> SignedCheckpoint {
        *self.log.signed().unwrap()
    }
}

fn tile(path: &str) -> Tile {
    Tile::parse(path).unwrap()
}

#[test]
fn entries_hash_to_the_tile_of_leaves_and_those_to_the_tile_above() {
    let scratch = Scratch::with_rounds(&[200, 1, 400]);
    let (reader, signed) = (scratch.reader(), scratch.signed());
    let read = |path: &str| tiles::read(&reader, &signed, tile(path)).unwrap();
    for (bundle, hashes, count) in
        [("entries/000", "0/000", 256), ("entries/001", "0/001", 256), ("entries/002.p/89", "0/002.p/89", 89)]
    {
        let (bundle, hashes) = (read(bundle), read(hashes));
        let entries = tiles::entries(&bundle, count).unwrap();
        let of_entries: Vec<u8> = entries.iter().flat_map(|entry| Hash::of_leaf(entry).0).collect();
        assert_eq!(of_entries, hashes);
    }
    let above = read("1/000.p/2");
    assert_eq!(above, [reader.node(8, 0).unwrap().0, reader.node(8, 1).unwrap().0].concat());
    assert_eq!(read("1/000.p/1"), above[..32]);
}

#[test]
fn nothing_beyond_the_signed_checkpoint_leaves() {
    let mut scratch = Scratch::with_rounds(&[300]);
    scratch.append(300, false);
    let (reader, signed) = (scratch.reader(), scratch.signed());
    assert_eq!((reader.size().unwrap(), signed.size), (TreeSize(600), TreeSize(300)));
    assert!(tiles::read(&reader, &signed, tile("0/001.p/44")).is_ok());
    for beyond in [
        "0/001.p/45",
        "0/001",
        "entries/001.p/45",
        "entries/001",
        "0/002.p/1",
        "1/000.p/2",
        "1/000",
        "2/000.p/1",
        "63/000.p/1",
        "7/000",
        "0/x999/x999/x999/x999/x999/999",
        "entries/x999/x999/x999/x999/x999/999",
    ] {
        let refused = tiles::read(&reader, &signed, tile(beyond));
        assert!(matches!(refused, Err(TileError::Absent(_))), "{beyond}: {refused:?}");
    }
}

#[test]
fn what_does_not_lead_to_the_signed_root_does_not_leave() {
    let scratch = Scratch::with_rounds(&[300]);
    // What the log holds against what was signed: one of them is not what it was.
    let forged = scratch.sign(TreeSize(300), Hash([9; 32]));
    for path in ["0/000", "0/001.p/44", "entries/000", "entries/001.p/3", "1/000.p/1"] {
        let refused = tiles::read(&scratch.reader(), &forged, tile(path));
        assert!(matches!(refused, Err(TileError::Damaged { .. })), "{path}: {refused:?}");
    }
}

#[test]
fn a_bundle_is_exactly_so_many_entries() {
    assert_eq!(tiles::entries(&[0, 1, 7, 0, 0], 2), Some(vec![&[7_u8][..], &[]]));
    for (bytes, count) in [(&[0, 1, 7][..], 2), (&[0, 2, 7], 1), (&[0, 1, 7, 0], 1), (&[0], 0), (&[], 1)] {
        assert_eq!(tiles::entries(bytes, count), None, "{bytes:?}");
    }
}

#[test]
fn a_tile_has_one_name() {
    for name in ["0/000", "entries/x001/234", "5/x001/x234/067.p/255", "63/999.p/1"] {
        assert_eq!(tile(name).to_string(), name);
    }
    assert_eq!(tile("0/x001/x234/067"), Tile { level: Level::Hashes(0), number: 1_234_067, width: 256 });
    for name in [
        "",
        "0",
        "0/",
        "0/0",
        "0/0000",
        "0/x000",
        "0/x000/001",
        "0/000/001",
        "0/x00a/001",
        "0/-01",
        "0/+01",
        "00/000",
        "64/000",
        "-1/000",
        "data/000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/01",
        "0/000.p/",
        "0/000.p",
        "0//000",
        "0/000/",
        "/0/000",
        "0/000.p/1/2",
        "0/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert_eq!(Tile::parse(name), None, "{name}");
    }
}
