//! Reading a log beside whoever appends to it: leaves, nodes of the tree, rounds, requests, and the newest checkpoint.
//!
//! A reader sees what is durable, from volumes and store alike. It does not compare leaves with nodes: what it gives is worth
//! what the checkpoint over it is worth, and whoever serves or proves with it compares with that root.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, TreeSize};
use assent_proto::tree::Frontier;

use crate::SignedCheckpoint;
use crate::leaf_bytes::LeafBytes;
use crate::store::{
    Answer, BatchKey, Identity, Room, Snapshot, Store, StoreError, StoredHead, StoredRequests, StoredRound,
};
use crate::volume::{self, Volume};

mod near;
mod requests;
mod rounds;
mod stretches;

pub use near::Near;
pub use requests::Requests;
pub use rounds::Rounds;
pub use stretches::{Stretch, Stretches};

/// A cheap handle that reads the log from any thread.
#[derive(Clone, Debug)]
pub struct Reader {
    store: Arc<Store>,
    kept: Arc<requests::Kept>,
}

impl Reader {
    /// Reads this store.
    #[must_use]
    pub fn new(store: Arc<Store>) -> Self {
        Self { store, kept: Arc::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Opens a log to read it, or a copy of one, and changes no byte of it: the store is checked whole, volumes are not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::new(Arc::new(Store::open_untouched(path)?)))
    }

    /// Opens a log that volumes are to be brought back to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_to_restore(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::new(Arc::new(Store::open(path)?)))
    }

    /// Copies the store, as it is at one commit, to where there is none; gives the state that the copy is of. The volumes that it names are not copied with it:
    /// [`Reader::volume_files`] of the copy says which.
    ///
    /// # Errors
    /// [`StoreError`]; then there is no copy.
    pub fn copy_to(&self, path: &Path) -> Result<StoredHead, StoreError> {
        self.store.copy_to(path)
    }

    /// The files of volumes that must lie beside the store.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn volume_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let (snapshot, folder) = (self.store.snapshot()?, self.store.volumes_folder());
        let mut files = Vec::new();
        for number in 0..snapshot.volumes()? {
            let stored = snapshot.volume(number)?;
            files.extend((!stored.archived).then(|| volume::leaves_path(&folder, number)));
            let requests =
                |requests: StoredRequests| volume::requests_path(&folder, number, requests.edition);
            files.extend(stored.requests.map(requests));
        }
        Ok(files)
    }

    /// Whether the log must have a fence: that is written behind the first checkpoint and before any token goes out, so a log
    /// that died in between has one checkpoint and no fence, however long the outage was that it began with.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn must_be_fenced(&self) -> Result<bool, StoreError> {
        let mut is_second = false;
        for round in self.rounds(LeafIndex(0))? {
            match round {
                Ok(round) if round.checkpoint.is_none() => {}
                Ok(_) if is_second => return Ok(true),
                Ok(_) => is_second = true,
                // Nobody archives a log that was never fenced.
                Err(StoreError::Archived { .. }) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// The store's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// Which log this is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn identity(&self) -> Result<Identity, StoreError> {
        self.store.identity()
    }

    /// The state after the last commit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn head(&self) -> Result<StoredHead, StoreError> {
        self.store.head()
    }

    /// The recorded answer of a batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn answer(&self, key: &BatchKey) -> Result<Option<Answer>, StoreError> {
        self.store.answer(key)
    }

    /// The row of that key, which a room keeps with its entries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn row(&self, room: Room, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.row(room, key)
    }

    /// Hands every row of a room to `take`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rows(&self, room: Room, take: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.store.rows(room, take)
    }

    /// How many leaves are durable.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn size(&self) -> Result<TreeSize, StoreError> {
        Ok(TreeSize(self.head()?.size))
    }

    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let head = snapshot.head()?;
        snapshot.newest(&head)
    }

    /// The bytes of the leaves in `range`.
    ///
    /// # Errors
    /// [`StoreError`], also where there are not so many; [`StoreError::Archived`].
    pub fn leaves(&self, range: Range<u64>) -> Result<LeafBytes, StoreError> {
        self.leaves_at(&self.store.snapshot()?, range)
    }

    pub(crate) fn leaves_at(&self, snapshot: &Snapshot, range: Range<u64>) -> Result<LeafBytes, StoreError> {
        let height = self.store.height();
        let bound = snapshot.volumes()? << height;
        let mut leaves = LeafBytes::default();
        let mut index = range.start;
        while index < range.end.min(bound) {
            let end = (((index >> height) + 1) << height).min(range.end);
            self.volume(snapshot, index >> height)?.leaves(index, end, &mut leaves)?;
            index = end;
        }
        if index < range.end {
            let missing = || StoreError::Unreadable("leaf");
            let first = snapshot.round_around(index)?.ok_or_else(missing)?.first.0;
            for round in snapshot.rounds_from(first)? {
                let round = round?;
                if round.first.0 >= range.end {
                    break;
                }
                let inside = (round.first.0..).zip(round.leaves.iter()).skip_while(|(at, _)| *at < index);
                inside.take_while(|(at, _)| *at < range.end).for_each(|(_, leaf)| leaves.push(leaf));
                index = index.max(round.end());
            }
            if index < range.end {
                return Err(missing());
            }
        }
        Ok(leaves)
    }

    /// The hash of the perfect subtree number `index` of `2^level` leaves (RFC 6962 section 2.1).
    ///
    /// # Errors
    /// [`StoreError`], also where the tree does not hold all of it.
    pub fn node(&self, level: u32, index: u64) -> Result<Hash, StoreError> {
        let next = index.checked_add(1).ok_or(StoreError::Unreadable("node"))?;
        self.nodes(level, index..next)?.first().copied().ok_or(StoreError::Unreadable("node"))
    }

    /// The hashes of perfect subtrees of one level that lie side by side.
    ///
    /// # Errors
    /// [`StoreError`], also where the tree does not hold all of them.
    pub fn nodes(&self, level: u32, range: Range<u64>) -> Result<Vec<Hash>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let leaves = range.end.checked_mul(1_u64.checked_shl(level).unwrap_or(u64::MAX));
        if leaves.is_none_or(|leaves| leaves > snapshot.head().map_or(0, |head| head.size)) {
            return Err(StoreError::Unreadable("node"));
        }
        self.nodes_at(&snapshot, level, range)
    }

    fn nodes_at(&self, snapshot: &Snapshot, level: u32, range: Range<u64>) -> Result<Vec<Hash>, StoreError> {
        let height = u32::from(self.store.height());
        let volumes = snapshot.volumes()?;
        let mut nodes = Vec::new();
        if level >= height {
            let per_node = 1_u64 << (level - height);
            for index in range {
                nodes.push(self.above(snapshot, index * per_node..(index + 1) * per_node, volumes)?);
            }
            return Ok(nodes);
        }
        let per_volume = 1_u64 << (height - level);
        let mut index = range.start;
        while index < range.end.min(volumes.saturating_mul(per_volume)) {
            let number = index / per_volume;
            let end = ((number + 1) * per_volume).min(range.end);
            let within = number * per_volume;
            let volume = self.volume(snapshot, number)?;
            nodes.extend(volume.nodes(level, index - within, end - within)?);
            index = end;
        }
        if index < range.end {
            nodes.extend(self.hashed(snapshot, level, index..range.end)?);
        }
        Ok(nodes)
    }

    /// The node over whole volumes; of what is not bound yet, from its leaves.
    fn above(&self, snapshot: &Snapshot, numbers: Range<u64>, volumes: u64) -> Result<Hash, StoreError> {
        let height = u32::from(self.store.height());
        let mut tree = Frontier::new();
        for number in numbers {
            let root = if number < volumes {
                snapshot.volume(number)?.root
            } else {
                let hashed = self.hashed(snapshot, height, number..number + 1)?;
                *hashed.first().ok_or(StoreError::Unreadable("node"))?
            };
            tree.append(root).map_err(|_| StoreError::Unreadable("node"))?;
        }
        Ok(tree.root())
    }

    /// Nodes from their leaves.
    fn hashed(&self, snapshot: &Snapshot, level: u32, range: Range<u64>) -> Result<Vec<Hash>, StoreError> {
        let leaves = self.leaves_at(snapshot, range.start << level..range.end << level)?;
        let mut nodes: Vec<Hash> = leaves.iter().map(Hash::of_leaf).collect();
        for _ in 0..level {
            nodes = nodes.as_chunks::<2>().0.iter().map(|[left, right]| Hash::of_node(left, right)).collect();
        }
        Ok(nodes)
    }

    /// The tree as it was at this size.
    ///
    /// # Errors
    /// [`StoreError`], also where the log has not so many leaves.
    pub fn frontier(&self, size: TreeSize) -> Result<Frontier, StoreError> {
        let snapshot = self.store.snapshot()?;
        if size.0 > snapshot.head()?.size {
            return Err(StoreError::Unreadable("node"));
        }
        let mut subtrees = Vec::new();
        let mut covered = 0;
        for level in (0..u64::BITS).rev().filter(|level| size.0 >> level & 1 == 1) {
            subtrees.extend(self.nodes_at(&snapshot, level, covered >> level..(covered >> level) + 1)?);
            covered += 1 << level;
        }
        Frontier::restore(size, &subtrees).map_err(|_| StoreError::Unreadable("node"))
    }

    /// The rounds from the one that begins at `first`, or is the first to begin behind it, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn rounds(&self, first: LeafIndex) -> Result<Rounds, StoreError> {
        Rounds::new(self.clone(), first)
    }

    /// The requests whose first entry has this index or a higher one, in order, each with that entry's index; erased ones are
    /// not among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn requests(&self, first: LeafIndex) -> Result<Requests, StoreError> {
        Requests::new(self.clone(), first.0..u64::MAX)
    }

    /// Checks every byte of the volumes that are here, on all processors; `progress` hears how many are done.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or what could not be read.
    pub fn check_volumes(&self, progress: impl Fn(u64) + Sync) -> Result<(), StoreError> {
        volume::check_all(&self.store, progress)
    }

    pub(crate) fn volume(&self, snapshot: &Snapshot, number: u64) -> Result<Volume, StoreError> {
        let stored = snapshot.volume(number)?;
        let folder = self.store.volumes_folder();
        Volume::open(&**self.store.disk(), &folder, number, self.store.height(), stored)
    }

    /// How many volumes there are.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn volumes(&self) -> Result<u64, StoreError> {
        self.store.snapshot()?.volumes()
    }

    /// The rounds that the store holds from the one around the leaf behind `size` on.
    pub(crate) fn tail(
        &self,
        size: TreeSize,
    ) -> Result<impl Iterator<Item = Result<StoredRound, StoreError>> + use<>, StoreError> {
        let snapshot = self.store.snapshot()?;
        let first = snapshot.round_around(size.0)?.map_or(size.0, |round| round.first.0);
        snapshot.rounds_from(first)
    }

    /// How many leaves stand in volumes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn bound(&self) -> Result<TreeSize, StoreError> {
        Ok(TreeSize(self.store.snapshot()?.volumes()? << self.store.height()))
    }
}
