//! Binding: from rounds in the store to a volume's files.

use std::io;
use std::path::Path;

use assent_proto::codec;
use assent_proto::hash::Hash;
use assent_proto::number::LeafIndex;
use sha2::{Digest as _, Sha256};

use super::{HEAD_BYTES, LABEL, REQUESTS_LABEL, leaves_path, requests_path};
use crate::disk::{Disk, DiskFile, Open};
use crate::leaf_bytes::LeafBytes;
use crate::limits::{BUNDLE_LEAVES, VOLUME_PIECE_BYTES, VOLUME_SYNC_BYTES};
use crate::store::{Snapshot, Store, StoreError, StoredRequests, StoredVolume, round};

/// Makes the files of a volume from the rounds in the store: durable when this returns without an error.
///
/// # Errors
/// [`StoreError`]; then what was written is in nobody's way, and binding may be tried again.
pub(crate) fn bind(store: &Store, snapshot: &Snapshot, number: u64) -> Result<StoredVolume, StoreError> {
    let (disk, folder) = (store.disk().as_ref(), store.volumes_folder());
    let failed = |source| StoreError::File { doing: "bind a volume in", path: folder.clone(), source };
    disk.make_folder(&folder).map_err(failed)?;
    let mut volume = Binding::begin(store, number)?;
    let rounds = fill(&mut volume, snapshot, number << store.height())?;
    let (root, written) = volume.finish(&rounds)?;
    let range = number << store.height()..(number + 1) << store.height();
    let rows = snapshot.request_rows(range.clone())?;
    let requests = rows.flat_map(|row| match row {
        Ok(row) => row.requests.into_iter().map(Ok).collect::<Vec<_>>(),
        Err(error) => vec![Err(error)],
    });
    let inside = requests.filter(|request| match request {
        Ok((first, _)) => range.contains(&first.0),
        Err(_) => true,
    });
    let requests = write_requests(disk, &folder, number, 0, range.start, inside)?;
    disk.sync_folder(&folder).map_err(failed)?;
    let Written { bytes: leaves_bytes, frame, digest } = written;
    Ok(StoredVolume { root, frame, digest, leaves_bytes, requests, archived: false })
}

/// Binds a volume again from what an archive has of it: its leaves, and its rounds as they stood in its frame.
///
/// # Errors
/// [`StoreError`]; also where it does not come out as the store vouches for.
pub(crate) fn rebind(
    store: &Store,
    number: u64,
    stored: &StoredVolume,
    leaves: impl Iterator<Item = LeafBytes>,
    rounds: &[u8],
) -> Result<(), StoreError> {
    let failed =
        |source| StoreError::File { doing: "restore a volume in", path: store.volumes_folder(), source };
    store.disk().make_folder(&store.volumes_folder()).map_err(failed)?;
    let mut volume = Binding::begin(store, number)?;
    for bundle in leaves {
        bundle.iter().try_for_each(|leaf| volume.leaf(leaf))?;
    }
    let path = leaves_path(&store.volumes_folder(), number);
    let vouched = Written { bytes: stored.leaves_bytes, frame: stored.frame, digest: stored.digest };
    if volume.finish(rounds)? == (stored.root, vouched) {
        return store.disk().sync_folder(&store.volumes_folder()).map_err(failed);
    }
    store.disk().remove(&path).map_err(failed)?;
    Err(StoreError::Damaged { path, what: "the archive does not lead to its root" })
}

/// Writes the leaves that the store holds from `start` on; gives the rounds that end in the volume.
fn fill(volume: &mut Binding<'_>, snapshot: &Snapshot, start: u64) -> Result<Vec<u8>, StoreError> {
    let end = start + (1 << volume.store.height());
    let mut rounds = Vec::new();
    let first = snapshot.round_around(start)?.ok_or(StoreError::Unreadable("round"))?.first.0;
    codec::append_varint(first, &mut rounds);
    let mut next = first;
    for round in snapshot.rounds_from(first)? {
        let round = round?;
        if round.first.0 != next {
            return Err(StoreError::Unreadable("round"));
        }
        let inside = (next..).zip(round.leaves.iter()).filter(|(index, _)| (start..end).contains(index));
        for (_, leaf) in inside {
            volume.leaf(leaf)?;
        }
        next = round.end();
        if next <= end {
            codec::append_varint(round.leaves.len() as u64, &mut rounds);
            round::append_signatures(round.checkpoint.as_ref(), &mut rounds);
        }
        if next >= end {
            break;
        }
    }
    Ok(rounds)
}

/// A volume's leaves on their way into its file.
struct Binding<'s> {
    store: &'s Store,
    number: u64,
    writer: Writer,
    hashes: Vec<Hash>,
    offsets: Vec<u8>,
}

impl<'s> Binding<'s> {
    fn begin(store: &'s Store, number: u64) -> Result<Self, StoreError> {
        let unfinished = leaves_path(&store.volumes_folder(), number).with_extension("unfinished");
        let fresh = Writer::fresh(&**store.disk(), &unfinished);
        let failed = |source| StoreError::File { doing: "make", path: unfinished.clone(), source };
        let writer = fresh.map_err(failed)?;
        let mut binding = Self { store, number, writer, hashes: Vec::new(), offsets: Vec::new() };
        let mut head = LABEL.to_vec();
        head.extend((number << store.height()).to_be_bytes());
        head.push(store.height());
        binding.writer.put_frame(&head).map_err(failed)?;
        Ok(binding)
    }

    /// The path is made only when something failed: this is asked for every leaf.
    fn failed(&self) -> impl Fn(io::Error) -> StoreError + use<'s> {
        let (store, number) = (self.store, self.number);
        move |source| {
            let path = leaves_path(&store.volumes_folder(), number);
            StoreError::File { doing: "write", path, source }
        }
    }

    fn leaf(&mut self, leaf: &[u8]) -> Result<(), StoreError> {
        if (self.hashes.len() as u64).is_multiple_of(BUNDLE_LEAVES) {
            self.offsets.extend(self.writer.at().to_be_bytes());
        }
        let length = u16::try_from(leaf.len()).map_err(|_| StoreError::Unreadable("leaf"))?;
        let put = self.writer.put(&length.to_be_bytes()).and_then(|()| self.writer.put(leaf));
        put.map_err(self.failed())?;
        self.hashes.push(Hash::of_leaf(leaf));
        Ok(())
    }

    /// Behind the leaves: nodes, rounds, offsets and footer. Gives the root, and what is kept of the file; it has its name,
    /// which is not durable yet.
    fn finish(mut self, rounds: &[u8]) -> Result<(Hash, Written), StoreError> {
        if self.hashes.len() as u64 != 1 << self.store.height() {
            return Err(StoreError::Unreadable("leaf"));
        }
        let failed = self.failed();
        let writer = &mut self.writer;
        self.offsets.extend(writer.at().to_be_bytes());
        let nodes_at = writer.at();
        let root = write_nodes(writer, self.hashes).map_err(&failed)?;
        let rounds_at = writer.at();
        writer.put_frame(rounds).map_err(&failed)?;
        let offsets_at = writer.at();
        writer.put_frame(&self.offsets).map_err(&failed)?;
        let footer: Vec<u8> =
            [nodes_at, rounds_at, offsets_at].iter().flat_map(|at| at.to_be_bytes()).collect();
        writer.put_frame(&footer).map_err(&failed)?;
        writer.put_frame(LABEL).map_err(&failed)?;
        let written = self.writer.finish().map_err(&failed)?;
        let path = leaves_path(&self.store.volumes_folder(), self.number);
        self.store.disk().rename(&path.with_extension("unfinished"), &path).map_err(&failed)?;
        Ok((root, written))
    }
}

/// Writes the hashes of all perfect subtrees, level by level; gives the highest one.
fn write_nodes(writer: &mut Writer, leaves: Vec<Hash>) -> io::Result<Hash> {
    let mut level = leaves;
    loop {
        for hash in &level {
            writer.put(&hash.0)?;
        }
        if let [root] = level.as_slice() {
            return Ok(*root);
        }
        level = level.as_chunks::<2>().0.iter().map(|[left, right]| Hash::of_node(left, right)).collect();
    }
}

/// Writes an edition of a volume's requests; none where there are none. Its name is not durable yet.
pub(crate) fn write_requests(
    disk: &dyn Disk,
    folder: &Path,
    number: u64,
    edition: u32,
    start: u64,
    requests: impl Iterator<Item = Result<(LeafIndex, Vec<u8>), StoreError>>,
) -> Result<Option<StoredRequests>, StoreError> {
    let path = requests_path(folder, number, edition);
    let failed = |source| StoreError::File { doing: "write", path: path.clone(), source };
    let mut requests = requests.peekable();
    if requests.peek().is_none() {
        return Ok(None);
    }
    let unfinished = path.with_extension("unfinished");
    let write = || -> Result<StoredRequests, StoreError> {
        let mut writer = Writer::fresh(disk, &unfinished).map_err(failed)?;
        writer.put(REQUESTS_LABEL).map_err(failed)?;
        writer.put(&start.to_be_bytes()).map_err(failed)?;
        for request in requests {
            let (first, frame) = request?;
            let mut head = Vec::new();
            codec::append_varint(first.0, &mut head);
            codec::append_varint(frame.len() as u64, &mut head);
            writer.put(&head).map_err(failed)?;
            writer.put(&frame).map_err(failed)?;
        }
        let Written { bytes, digest, .. } = writer.finish().map_err(failed)?;
        disk.rename(&unfinished, &path).map_err(failed)?;
        Ok(StoredRequests { edition, bytes, digest })
    };
    // What is left of it would fill the disk further; where it cannot be taken away the next start does it.
    write().map(Some).inspect_err(|_| drop(disk.remove(&unfinished)))
}

/// What is kept of a file that was written.
#[derive(PartialEq, Eq)]
struct Written {
    bytes: u64,
    /// Digest of its frame.
    frame: Hash,
    /// Digest of all of it.
    digest: Hash,
}

/// A file that is written from its beginning to its end, in pieces.
struct Writer {
    file: Box<dyn DiskFile>,
    written: u64,
    /// How much of it is durable.
    synced: u64,
    piece: Vec<u8>,
    frame: Sha256,
    all: blake3::Hasher,
}

impl Writer {
    fn fresh(disk: &dyn Disk, path: &Path) -> io::Result<Self> {
        let file = disk.open(path, Open::Fresh { mode: 0o600 })?;
        let piece = Vec::with_capacity(VOLUME_PIECE_BYTES);
        Ok(Self { file, written: 0, synced: 0, piece, frame: Sha256::new(), all: blake3::Hasher::new() })
    }

    /// Where the next byte goes.
    const fn at(&self) -> u64 {
        self.written + self.piece.len() as u64
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= VOLUME_PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Puts what the digest of the frame covers.
    fn put_frame(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frame.update(bytes);
        self.put(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(self.written, &self.piece)?;
        self.written += self.piece.len() as u64;
        self.all.update(&self.piece);
        self.piece.clear();
        self.sync_a_little()
    }

    /// A volume that is made durable in one go fills the disk's queue for tens of milliseconds, and every round would wait behind it.
    fn sync_a_little(&mut self) -> io::Result<()> {
        if self.written - self.synced >= VOLUME_SYNC_BYTES {
            self.file.sync()?;
            self.synced = self.written;
        }
        Ok(())
    }

    /// Makes it durable.
    fn finish(mut self) -> io::Result<Written> {
        self.flush()?;
        self.file.sync()?;
        let (frame, digest) = (Hash(self.frame.finalize().into()), Hash(self.all.finalize().into()));
        Ok(Written { bytes: self.written, frame, digest })
    }
}

const _: () = assert!(HEAD_BYTES == LABEL.len() as u64 + 9, "the head is a label, a number and a height");
