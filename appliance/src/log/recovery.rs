//! Opening a log: what must hold before anything is appended to it.
//!
//! The file is intact (redb checks all of it). The newest checkpoint is signed by the key in force and covers the tree as it
//! stood; where it hands over to another key and the ring's file does not say so, a kill came between, and the hand-over is
//! finished here. Every leaf after it leads from that tree to the tree that the head names. The fence is not ahead, and says the
//! same where both speak of one size. Whatever fails: the log is refused, and nothing is repaired by guessing.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use assent_proto::entry::Entry;
use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, TreeSize};
use assent_proto::tree::{Frontier, FrontierError};

use super::fence::{Fence, FenceError};
use super::keyring::{Keyring, KeyringError};
use super::latch::{Held, Latch};
use super::store::{Identity, Store, StoreError};
use super::{Log, SignedCheckpoint};
use crate::limits::MAX_TAIL_ENTRIES;

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

impl Log {
    /// Opens the log at `path` under its keys, fenced by the file at `fence`.
    ///
    /// # Errors
    /// [`OpenError`]: the log is not to be appended to.
    pub fn open(path: &Path, fence: &Path, mut keys: Keyring) -> Result<Self, OpenError> {
        let store = Store::open(path)?;
        check_identity(&store.identity()?, &keys)?;
        let head = store.head()?;
        let frontier = Frontier::restore(TreeSize(head.size), &head.frontier)?;
        let signed = store.newest(&head)?;
        let lagging = finish_hand_over(&store, signed.as_ref(), &mut keys)?;
        check_tail(&store, signed.as_ref(), &frontier, &keys)?;
        let (fence_file, fenced) = Fence::open(fence, &keys)?;
        if fenced.is_none() && checkpoints(&store)? > 1 {
            return Err(OpenError::FenceMissing(fence.to_owned()));
        }
        check_fence(&store, signed.as_ref(), fenced.as_ref())?;
        let trips = trips(&store, signed.as_ref())?;
        if lagging {
            keys.save()?;
        }
        let latch = Latch::beside(fence);
        // A kill may have come between the latch and the entry of the trip.
        let epoch = latch.held.as_ref().map_or(head.epoch, |held| held.epoch.max(head.epoch));
        let (lowest_epoch, unsigned) = (head.lowest_epoch, head.unsigned);
        Ok(Self {
            store,
            fence: fence_file,
            keys,
            frontier,
            signed,
            epoch,
            lowest_epoch,
            unsigned,
            trips,
            latch,
        })
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

/// Where the log has handed over to the announced key and the ring does not know it yet, the ring learns it; true where it
/// did. Whether both keys signed that checkpoint, the look at the tail tells, before anything is kept.
fn finish_hand_over(
    store: &Store,
    signed: Option<&SignedCheckpoint>,
    keys: &mut Keyring,
) -> Result<bool, OpenError> {
    let (log, ring) = (signed.map(|signed| signed.size).unwrap_or_default(), keys.signing().from);
    if ring > log {
        return Err(OpenError::BehindRing { log: log.0, ring: ring.0 });
    }
    let Some(signed) = signed.filter(|signed| keys.lags_behind(signed)) else {
        return Ok(false);
    };
    keys.hand_over(signed.size, store.handed_over_at()?);
    Ok(true)
}

/// The newest checkpoint is signed, and the leaves behind it lead to the head.
fn check_tail(
    store: &Store,
    signed: Option<&SignedCheckpoint>,
    head: &Frontier,
    keys: &Keyring,
) -> Result<(), OpenError> {
    if signed.is_some_and(|signed| !keys.verifies(signed)) {
        return Err(OpenError::Signature);
    }
    let covered = signed.map_or(0, |signed| signed.size.0);
    if covered == head.size().0 {
        let root = signed.map_or_else(Hash::of_empty_tree, |signed| signed.root);
        return if head.root() == root { Ok(()) } else { Err(OpenError::Tree("checkpoint")) };
    }
    let mut tree = rebuilt(store, covered)?;
    if signed.is_some_and(|signed| tree.root() != signed.root) {
        return Err(OpenError::Tree("checkpoint"));
    }
    append_from(store, &mut tree, covered)?;
    if &tree == head { Ok(()) } else { Err(OpenError::Tree("head")) }
}

/// Why the boundary closed in the unsigned tail, the last times where it did often.
fn trips(store: &Store, signed: Option<&SignedCheckpoint>) -> Result<Vec<Held>, OpenError> {
    let mut told = VecDeque::new();
    for round in store.rounds(LeafIndex(signed.map_or(0, |signed| signed.size.0)))? {
        for leaf in round?.leaves {
            match Entry::parse(&leaf) {
                Ok(Entry::Trip(trip)) => {
                    told.push_back(Held { epoch: trip.epoch, cause: trip.cause.to_owned() });
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

/// How many checkpoints there are, as far as it matters. The fence is written behind the first and before any token goes
/// out, so a log that died in between has one and no fence.
fn checkpoints(store: &Store) -> Result<usize, StoreError> {
    let mut count = 0;
    for round in store.rounds(LeafIndex(0))? {
        count += usize::from(round?.checkpoint.is_some());
        if count > 1 {
            break;
        }
    }
    Ok(count)
}

fn check_fence(
    store: &Store,
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
        _ => rebuilt(store, fence)?.root(),
    };
    if at_fence == fenced.root { Ok(()) } else { Err(OpenError::Forked(fence)) }
}

/// The tree over the first `size` leaves, from the leaves.
fn rebuilt(store: &Store, size: u64) -> Result<Frontier, OpenError> {
    let mut tree = Frontier::new();
    for round in store.rounds(LeafIndex(0))? {
        for leaf in round?.leaves {
            if tree.size().0 == size {
                return Ok(tree);
            }
            tree.append(Hash::of_leaf(&leaf))?;
        }
    }
    if tree.size().0 == size { Ok(tree) } else { Err(OpenError::Tree("size")) }
}

/// Appends the leaves of the rounds from `first` on, which is where a round begins.
fn append_from(store: &Store, tree: &mut Frontier, first: u64) -> Result<(), OpenError> {
    for round in store.rounds(LeafIndex(first))? {
        let round = round?;
        if round.first.0 != tree.size().0 {
            return Err(OpenError::Tree("rounds"));
        }
        for leaf in round.leaves {
            tree.append(Hash::of_leaf(&leaf))?;
        }
    }
    Ok(())
}
