//! A log's past, taken apart and put together again: what an attacker does who owns the disk and knows the format.
//!
//! A past is read through the log's reader and written through the log's own door, into another store. So whatever was changed
//! in it has right checksums, right volumes and a right tree everywhere below the signatures: only a verification finds it. How
//! a log lies on disk nobody here knows.

#![expect(clippy::wildcard_enum_match_arm, reason = "a tampering is about some kinds, and the others stay")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use appliance::log::binding::Binding;
use appliance::log::disk::{Disk, DiskFile, Open, system};
use appliance::log::keyring::Keyring;
use appliance::log::reader::Reader;
use appliance::log::store::{Answer, BatchKey, Identity, Store};
use appliance::log::{Commit, Leaves, Log, Place, Recorded, SignedCheckpoint, Unsigned};
use assent_proto::entry::{Entry, Hold};
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::tree::Frontier;
use assent_proto::wire::Request;

/// A log, as it was.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    identity: Identity,
    pub(crate) rounds: Vec<Round>,
}

/// One round of it.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Leaves that parse: what does not, nobody would forge.
    pub(crate) leaves: Vec<Arc<[u8]>>,
    pub(crate) checkpoint: Option<SignedCheckpoint>,
    /// Requests, each with the place of its first entry in the round.
    pub(crate) requests: Vec<(u64, Arc<[u8]>)>,
    pub(crate) answers: Vec<(BatchKey, Answer)>,
}

impl Past {
    /// Reads a log that nobody has open.
    pub(crate) fn read(log: &Path) -> Self {
        let reader = Reader::open(log).expect("the log opens");
        let identity = reader.identity().expect("an identity");
        let mut rounds = Vec::new();
        for round in reader.rounds(LeafIndex(0)).expect("rounds") {
            let round = round.expect("a round");
            let (first, range) = (round.first.0, round.first.0..round.end());
            let leaves: Vec<Arc<[u8]>> = round.leaves.iter().map(Arc::from).collect();
            let (mut requests, mut answers) = (Vec::new(), Vec::new());
            for (index, frame) in reader.requests_in(range).expect("requests") {
                let place = index.0 - first;
                let leaf = leaves.get(usize::try_from(place).expect("a place")).expect("a leaf");
                let request = Request::parse(&frame).expect("a request");
                let key = BatchKey::new(request.batch(), principal_of(leaf));
                answers.extend(reader.answer(&key).expect("answers").map(|answer| (key, answer)));
                requests.push((place, Arc::from(frame)));
            }
            rounds.push(Round { leaves, checkpoint: round.checkpoint, requests, answers });
        }
        Self { identity, rounds }
    }

    /// Which log it is of.
    pub(crate) fn origin(&self) -> &str {
        &self.identity.origin
    }

    /// Rounds that a checkpoint covers, the gaps before it included: beyond the last, nothing can be proved.
    pub(crate) fn covered(&self) -> usize {
        self.rounds.iter().rposition(|round| round.checkpoint.is_some()).map_or(0, |last| last + 1)
    }

    /// Where a round begins.
    pub(crate) fn first_of(&self, number: usize) -> u64 {
        self.rounds.iter().take(number).map(|round| round.leaves.len() as u64).sum()
    }

    /// The tree at the end of each round.
    pub(crate) fn trees(&self) -> Vec<Frontier> {
        let mut tree = Frontier::new();
        let end = |round: &Round| {
            for leaf in &round.leaves {
                tree.append(assent_proto::hash::Hash::of_leaf(leaf)).expect("room");
            }
            tree.clone()
        };
        self.rounds.iter().map(end).collect()
    }

    /// Writes it as a log of its own into this folder.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let path = folder.join("log-1.redb");
        let disk: Arc<dyn Disk> = Arc::new(Unsynced(system()));
        Store::create_on(Arc::clone(&disk), &path, &self.identity).expect("a store");
        let key = VerifierKey::parse(&self.identity.verifier_key).expect("a key");
        let ring = Keyring::found(&folder.join("keys.toml"), &key, &[1], Timestamp(0)).expect("a ring");
        let fence = folder.join("unused");
        let place = Place { disk, binding: Binding::Inline, ..Place::beside(&path, &fence) };
        let mut log = Log::open_at(place, ring, |_| ()).expect("an empty log opens");
        let (mut epoch, mut unsigned) = (Epoch(0), Unsigned::default());
        for round in &self.rounds {
            let leaves = leaves_of(round, &mut epoch, &mut unsigned);
            commit(&mut log, round, &leaves, epoch, &mut unsigned);
        }
        log.close().expect("it closes");
        path
    }
}

/// The leaves of a round, and what they say of epoch and gap.
fn leaves_of(round: &Round, epoch: &mut Epoch, unsigned: &mut Unsigned) -> Leaves {
    let mut leaves = Leaves::default();
    for leaf in &round.leaves {
        let entry = Entry::parse(leaf).expect("an entry");
        match &entry {
            Entry::Trip(trip) => *epoch = trip.epoch,
            Entry::Rearm(rearm) => *epoch = rearm.epoch,
            Entry::Boot(boot) => *epoch = boot.epoch,
            Entry::Deny(_) => unsigned.denials += 1,
            Entry::Hold(_) => unsigned.holds += 1,
            _ => {}
        }
        leaves.push(&entry).expect("an entry");
    }
    leaves
}

fn commit(log: &mut Log, round: &Round, leaves: &Leaves, epoch: Epoch, unsigned: &mut Unsigned) {
    let mut frontier = log.frontier().clone();
    leaves.hashes().iter().for_each(|hash| frontier.append(*hash).expect("room"));
    if round.checkpoint.is_some() {
        *unsigned = Unsigned::default();
    }
    let first = log.frontier().size().0;
    let requests =
        round.requests.iter().map(|(place, frame)| (LeafIndex(first + place), &frame[..])).collect();
    let recorded = |(key, answer): &'_ (BatchKey, Answer)| (*key, answer.request, answer.allows);
    let answers = round.answers.iter().map(|both| {
        let (key, request, allows) = recorded(both);
        Recorded { key, request, reply: &both.1.reply, allows }
    });
    let commit = Commit {
        first: LeafIndex(first),
        leaves: vec![leaves],
        requests,
        answers: answers.collect(),
        rows: Vec::new(),
        frontier: &frontier,
        checkpoint: round.checkpoint,
        epoch,
        lowest_epoch: Epoch(0),
        unsigned: *unsigned,
        // Nothing that was kept is dropped.
        time: Timestamp(0),
    };
    let receipt = log.commit(&commit).expect("a commit");
    assert_eq!(receipt.size(), frontier.size());
}

fn principal_of(leaf: &[u8]) -> &str {
    match Entry::parse(leaf).expect("an entry") {
        Entry::Allow(allow) => allow.principal,
        Entry::Deny(deny) | Entry::Hold(Hold { denial: deny, .. }) => deny.principal,
        other => panic!("{other:?} is not about an intent"),
    }
}

/// A disk that syncs nothing: a forged log need not outlive a power cut.
#[derive(Debug)]
struct Unsynced(Arc<dyn Disk>);

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

impl Disk for Unsynced {
    fn open(&self, path: &Path, open: Open) -> std::io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(UnsyncedFile(self.0.open(path, open)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> std::io::Result<()> {
        self.0.remove(path)
    }

    fn sync_folder(&self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }

    fn make_folder(&self, folder: &Path) -> std::io::Result<()> {
        self.0.make_folder(folder)
    }

    fn list(&self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        self.0.list(folder)
    }
}

impl DiskFile for UnsyncedFile {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn try_lock(&self) -> std::io::Result<bool> {
        self.0.try_lock()
    }

    fn unlock(&self) -> std::io::Result<()> {
        self.0.unlock()
    }
}
