//! Opening a log: what must hold before anything is appended to it.
//!
//! The store is intact (redb checks all of it), and so is every volume; after a stop in order, volumes are left to whoever
//! checks them while the log serves, for no signature stands on their bytes. The newest checkpoint is signed by the key in force and covers the tree as it
//! stood; where it hands over to another key and the ring's file does not say so, a kill came between, and the hand-over is
//! finished here. Every leaf after it leads from that tree to the tree that the head names. The fence is not ahead, and says the
//! same where both speak of one size. Whatever fails: the log is refused, and nothing is repaired by guessing.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_proto::entry::Entry;
use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, TreeSize};
use assent_proto::tree::{Frontier, FrontierError};

use super::binding::{Binder, Binding};
use super::disk::{Disk, folder_of, system};
use super::fence::{Fence, FenceError};
use super::keyring::{Keyring, KeyringError};
use super::latch::{Latch, Latched};
use super::reader::Reader;
use super::store::{Identity, Store, StoreError};
use super::volume;
use super::{Log, SignedCheckpoint};
use crate::limits::{MAX_TAIL_ENTRIES, STORED_PIECE_BYTES};

/// Why a log is refused.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The fence cannot be read, or is no fence of this log.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// It is another log, or one for another key.
    #[error("the log's {what} is `{found}`, not `{expected}`; point the configuration at the right log")]
    Identity {
        /// Origin or verifier key.
        what: &'static str,
        /// What the log says.
        found: String,
        /// What the configuration says.
        expected: String,
    },
    /// The key ring cannot be kept.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The newest checkpoint is not signed by the key in force.
    #[error("the log's newest checkpoint is not signed as its key ring says; restore both from one backup")]
    Signature,
    /// The ring tells of a hand-over that is not in the log.
    #[error(
        "the key ring tells of a hand-over at {ring} leaves, but the log's newest checkpoint covers {log}; restore both from one backup"
    )]
    BehindRing {
        /// Leaves that the log's newest checkpoint covers.
        log: u64,
        /// Leaves at the hand-over.
        ring: u64,
    },
    /// The leaves do not lead to the tree that the head names.
    #[error("the log's leaves do not lead to its {0}; restore the log from a backup")]
    Tree(&'static str),
    /// An older state than the fence has seen.
    #[error(
        "the log ends at {log} leaves but its fence has seen {fence}: an older log was put back; restore the newest, or open log n+1 by ceremony"
    )]
    BehindFence {
        /// Leaves that the log's newest checkpoint covers.
        log: u64,
        /// Leaves that the fence's covers.
        fence: u64,
    },
    /// The fence of a log that has released tokens is gone.
    #[error("the fence {} is missing, so an older log could have been put back; restore it from a backup", .0.display())]
    FenceMissing(PathBuf),
    /// The same size with another root.
    #[error(
        "the log and its fence have different roots at {0} leaves: the log was forked; open log n+1 by ceremony"
    )]
    Forked(u64),
}

impl From<FrontierError> for OpenError {
    fn from(_: FrontierError) -> Self {
        Self::Tree("frontier")
    }
}

/// Where a log lies, how its rounds are cut, and who binds its volumes.
#[derive(Clone, Debug)]
pub struct Place {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// The log's store.
    pub log: PathBuf,
    /// The fence.
    pub fence: PathBuf,
    /// Bytes of a row with a piece of a round: [`STORED_PIECE_BYTES`], but for who wants small rounds in many pieces.
    pub piece_bytes: usize,
    /// Who binds.
    pub binding: Binding,
}

impl Place {
    /// A log on the system's disk, whose volumes are bound beside it.
    #[must_use]
    pub fn beside(log: &Path, fence: &Path) -> Self {
        let (log, fence) = (log.to_owned(), fence.to_owned());
        Self { disk: system(), log, fence, piece_bytes: STORED_PIECE_BYTES, binding: Binding::Beside }
    }
}

impl Log {
    /// Opens the log at `path` of the system's disk under its keys, fenced by the file at `fence`.
    ///
    /// # Errors
    /// [`OpenError`]: the log is not to be appended to.
    pub fn open(path: &Path, fence: &Path, keys: Keyring) -> Result<Self, OpenError> {
        Self::open_at(Place::beside(path, fence), keys, |_| ())
    }

    /// Opens the log at this place; `progress` hears how many volumes are checked, where they are.
    ///
    /// # Errors
    /// [`OpenError`]: the log is not to be appended to.
    pub fn open_at(
        place: Place,
        mut keys: Keyring,
        progress: impl Fn(u64) + Sync,
    ) -> Result<Self, OpenError> {
        let Place { disk, log, fence, piece_bytes, binding } = place;
        let store = Store::open_on(Arc::clone(&disk), &log)?.cutting_to(piece_bytes);
        check_identity(&store.identity()?, &keys)?;
        let head = store.head()?;
        let frontier = Frontier::restore(TreeSize(head.size), &head.frontier)?;
        let signed = store.snapshot()?.newest(&head)?;
        finish_hand_over(&store, signed.as_ref(), &mut keys)?;
        let store = Arc::new(store);
        let reader = Reader::new(Arc::clone(&store));
        check_tail(&reader, signed.as_ref(), &frontier, &keys)?;
        let (fence_file, fenced) = Fence::open(Arc::clone(&disk), &fence, &keys)?;
        if fenced.is_none() && reader.must_be_fenced()? {
            return Err(OpenError::FenceMissing(fence));
        }
        check_fence(&reader, signed.as_ref(), fenced.as_ref())?;
        let trips = trips(&reader, signed.as_ref())?;
        let checked = !store.closed_in_order(&head)?;
        if checked {
            reader.check_volumes(progress)?;
        }
        volume::clear(&store)?;
        // A process before may have left it undurable, and a kill may have left it behind what the log knows.
        keys.save(&*disk)?;
        settle(&*disk, &fence)?;
        let latch = Latch::beside(Arc::clone(&disk), &fence);
        latch.make_sure();
        // A kill may have come between the latch and the entry of the trip.
        let epoch = latch.held.as_ref().map_or(head.epoch, |held| held.epoch.max(head.epoch));
        let (lowest_epoch, unsigned) = (head.lowest_epoch, head.unsigned);
        let binder = Binder::new(Arc::clone(&store), binding, reader.volumes()?);
        Ok(Self {
            disk,
            store,
            binder,
            checked,
            fence: fence_file,
            keys,
            frontier,
            signed,
            epoch,
            told_epoch: head.epoch,
            lowest_epoch,
            unsigned,
            trips,
            latch,
        })
    }
}

/// A process before may have removed a latch and not known whether that lasts: what is read now must not change with a power
/// cut.
fn settle(disk: &dyn Disk, fence: &Path) -> Result<(), FenceError> {
    match disk.sync_folder(folder_of(fence)) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FenceError::File { doing: "sync the folder of", path: fence.to_owned(), source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn check_identity(identity: &Identity, keys: &Keyring) -> Result<(), OpenError> {
    let differs = |what, found: &str, expected: &str| {
        Err(OpenError::Identity { what, found: found.to_owned(), expected: expected.to_owned() })
    };
    if identity.origin != keys.origin() {
        return differs("origin", &identity.origin, keys.origin());
    }
    let expected = &keys.founding().vkey;
    if &identity.verifier_key != expected {
        return differs("verifier key", &identity.verifier_key, expected);
    }
    Ok(())
}

/// Where the log has handed over to the announced key and the ring does not know it yet, the ring learns it. Whether both keys signed that checkpoint, the look at the tail tells, before anything is kept.
fn finish_hand_over(
    store: &Store,
    signed: Option<&SignedCheckpoint>,
    keys: &mut Keyring,
) -> Result<(), OpenError> {
    let (log, ring) = (signed.map(|signed| signed.size).unwrap_or_default(), keys.signing().from);
    if ring > log {
        return Err(OpenError::BehindRing { log: log.0, ring: ring.0 });
    }
    if let Some(signed) = signed.filter(|signed| keys.lags_behind(signed)) {
        keys.hand_over(signed.size, store.handed_over_at()?);
    }
    Ok(())
}

/// The newest checkpoint is signed, and the leaves behind it lead to the head.
fn check_tail(
    reader: &Reader,
    signed: Option<&SignedCheckpoint>,
    head: &Frontier,
    keys: &Keyring,
) -> Result<(), OpenError> {
    if signed.is_some_and(|signed| !keys.verifies(signed)) {
        return Err(OpenError::Signature);
    }
    let covered = signed.map_or(0, |signed| signed.size.0);
    // From the volumes' roots, and of what is not bound yet from the leaves.
    let bound = reader.bound()?;
    if bound.0 > covered {
        return Err(OpenError::Tree("volumes"));
    }
    let mut tree = reader.frontier(bound)?;
    append_from(reader, &mut tree, covered)?;
    let root = signed.map_or_else(Hash::of_empty_tree, |signed| signed.root);
    if tree.root() != root {
        return Err(OpenError::Tree("checkpoint"));
    }
    append_from(reader, &mut tree, u64::MAX)?;
    if &tree == head { Ok(()) } else { Err(OpenError::Tree("head")) }
}

/// Why the boundary closed in the unsigned tail, the last times where it did often.
fn trips(reader: &Reader, signed: Option<&SignedCheckpoint>) -> Result<Vec<Latched>, OpenError> {
    let mut told = VecDeque::new();
    for round in reader.rounds(LeafIndex(signed.map_or(0, |signed| signed.size.0)))? {
        for leaf in round?.leaves.iter() {
            match Entry::parse(leaf) {
                Ok(Entry::Trip(trip)) => {
                    told.push_back(Latched { epoch: trip.epoch, cause: trip.cause.to_owned() });
                }
                Ok(_) => {}
                Err(_) => return Err(OpenError::Tree("entries")),
            }
            if told.len() > MAX_TAIL_ENTRIES {
                told.pop_front();
            }
        }
    }
    Ok(told.into())
}

fn check_fence(
    reader: &Reader,
    signed: Option<&SignedCheckpoint>,
    fenced: Option<&SignedCheckpoint>,
) -> Result<(), OpenError> {
    let Some(fenced) = fenced else {
        return Ok(());
    };
    let (log, fence) = (signed.map_or(0, |signed| signed.size.0), fenced.size.0);
    if fence > log {
        return Err(OpenError::BehindFence { log, fence });
    }
    let at_fence = match signed {
        Some(signed) if signed.size == fenced.size => signed.root,
        _ => reader.frontier(fenced.size)?.root(),
    };
    if at_fence == fenced.root { Ok(()) } else { Err(OpenError::Forked(fence)) }
}

/// Appends the leaves that the store holds behind the tree, up to a size that a round ends at, or all.
fn append_from(reader: &Reader, tree: &mut Frontier, size: u64) -> Result<(), OpenError> {
    for round in reader.tail(tree.size())? {
        if tree.size().0 >= size {
            break;
        }
        let round = round?;
        let skip = tree.size().0.checked_sub(round.first.0).and_then(|skip| usize::try_from(skip).ok());
        let skip = skip.filter(|skip| *skip < round.leaves.len()).ok_or(OpenError::Tree("rounds"))?;
        for leaf in round.leaves.iter().skip(skip) {
            tree.append(Hash::of_leaf(leaf))?;
        }
    }
    Ok(())
}
