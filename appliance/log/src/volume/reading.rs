//! Reading a volume. What is out of bounds is damage; whether an entry or a node is the right one, whoever asked finds out.

use std::io;
use std::path::{Path, PathBuf};

use assent_proto::codec::Cursor;
use assent_proto::hash::Hash;
use sha2::{Digest as _, Sha256};

use super::{FOOTER_BYTES, HEAD_BYTES, LABEL, bundles, leaves_path, level_offset, nodes_bytes};
use crate::SignedCheckpoint;
use crate::disk::{Disk, DiskFile, Open};
use crate::leaf_bytes::LeafBytes;
use crate::limits::BUNDLE_LEAVES;
use crate::store::{StoreError, StoredVolume, round};

/// A round that ends in a volume.
#[derive(Clone, Debug)]
pub(crate) struct RoundEnd {
    /// Index of its first leaf; it may lie in the volume before.
    pub(crate) first: u64,
    /// Size of the tree behind it.
    pub(crate) end: u64,
    pub(crate) checkpoint: Option<SignedCheckpoint>,
}

/// A volume's leaves, opened.
#[derive(Debug)]
pub(crate) struct Volume {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    stored: StoredVolume,
    /// Index of its first leaf.
    start: u64,
    height: u8,
    nodes_at: u64,
    rounds_at: u64,
    offsets_at: u64,
    /// Where each bundle begins, and where the last one ends.
    offsets: Vec<u64>,
    /// The bundle that was read last, for rounds may be short.
    last: Option<(usize, LeafBytes)>,
}

impl Volume {
    pub(crate) fn open(
        disk: &dyn Disk,
        folder: &Path,
        number: u64,
        height: u8,
        stored: StoredVolume,
    ) -> Result<Self, StoreError> {
        let path = leaves_path(folder, number);
        let start = number << height;
        let file = match disk.open(&path, Open::ReadOnly) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && stored.archived => {
                return Err(StoreError::Archived { first: start, end: (number + 1) << height });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Damaged { path, what: "it is missing" });
            }
            Err(source) => return Err(StoreError::File { doing: "open", path, source }),
        };
        let mut volume = Self {
            file,
            path,
            stored,
            start,
            height,
            nodes_at: 0,
            rounds_at: 0,
            offsets_at: 0,
            offsets: Vec::new(),
            last: None,
        };
        volume.read_footer()?;
        Ok(volume)
    }

    fn read_footer(&mut self) -> Result<(), StoreError> {
        let length = self.file.len().map_err(|source| self.unread(source))?;
        if length != self.stored.leaves_bytes {
            return Err(self.damaged("its length is another"));
        }
        let footer_at = length.checked_sub(FOOTER_BYTES).ok_or_else(|| self.damaged("it is too short"))?;
        let footer = self.bytes(footer_at, FOOTER_BYTES)?;
        let mut cursor = Cursor::new(&footer);
        let mut number = || cursor.array().map(u64::from_be_bytes).map_err(|_| self.damaged("its footer"));
        let (nodes_at, rounds_at, offsets_at) = (number()?, number()?, number()?);
        let ends = nodes_at.checked_add(nodes_bytes(self.height)) == Some(rounds_at)
            && rounds_at <= offsets_at
            && offsets_at.checked_add(8 * (bundles(self.height) + 1)) == Some(footer_at);
        if cursor.rest() != LABEL || !ends {
            return Err(self.damaged("its footer"));
        }
        let table = self.bytes(offsets_at, footer_at - offsets_at)?;
        let offsets: Vec<u64> = table.as_chunks::<8>().0.iter().map(|at| u64::from_be_bytes(*at)).collect();
        let fits =
            offsets.is_sorted() && offsets.first() == Some(&HEAD_BYTES) && offsets.last() == Some(&nodes_at);
        if !fits {
            return Err(self.damaged("its offsets"));
        }
        (self.nodes_at, self.rounds_at, self.offsets_at, self.offsets) =
            (nodes_at, rounds_at, offsets_at, offsets);
        Ok(())
    }

    /// The leaves of one bundle, the first of the volume being number 0.
    pub(super) fn bundle(&self, number: usize) -> Result<LeafBytes, StoreError> {
        let bounds = self.offsets.get(number).zip(self.offsets.get(number + 1));
        let (from, to) = bounds.ok_or_else(|| self.damaged("its offsets"))?;
        let bytes = self.bytes(*from, to - from)?;
        let wanted = BUNDLE_LEAVES.min(1 << self.height);
        let leaves = LeafBytes::of_bundle(&bytes).filter(|leaves| leaves.len() as u64 == wanted);
        leaves.ok_or_else(|| self.damaged("an entry"))
    }

    /// Appends the leaves from index `from` to `to`, both in this volume.
    pub(crate) fn leaves(&mut self, from: u64, to: u64, out: &mut LeafBytes) -> Result<(), StoreError> {
        let mut index = from;
        while index < to {
            let within = index - self.start;
            let number = usize::try_from(within / BUNDLE_LEAVES).unwrap_or(usize::MAX);
            let bundle = match self.last.take() {
                Some((last, bundle)) if last == number => bundle,
                Some(_) | None => self.bundle(number)?,
            };
            let skip = usize::try_from(within % BUNDLE_LEAVES).unwrap_or(usize::MAX);
            let end =
                usize::try_from(to - index).unwrap_or(usize::MAX).saturating_add(skip).min(bundle.len());
            out.append(&bundle, skip, end);
            index += end.saturating_sub(skip).max(1) as u64;
            self.last = Some((number, bundle));
        }
        Ok(())
    }

    /// The hashes of the perfect subtrees of `2^level` leaves, from number `from` of the volume to `to`.
    pub(crate) fn nodes(&self, level: u32, from: u64, to: u64) -> Result<Vec<Hash>, StoreError> {
        let at = self.nodes_at + level_offset(self.height, level) + 32 * from;
        let bytes = self.bytes(at, 32 * to.saturating_sub(from))?;
        Ok(bytes.as_chunks::<32>().0.iter().map(|hash| Hash(*hash)).collect())
    }

    /// The rounds that end in it, having checked the frame.
    pub(crate) fn rounds(&self) -> Result<Vec<RoundEnd>, StoreError> {
        self.parse_rounds(&self.rounds_bytes()?).ok_or_else(|| self.damaged("its rounds"))
    }

    /// Their bytes, having checked the frame.
    pub(crate) fn rounds_bytes(&self) -> Result<Vec<u8>, StoreError> {
        let rounds = self.bytes(self.rounds_at, self.offsets_at - self.rounds_at)?;
        let mut frame = Sha256::new();
        frame.update(self.bytes(0, HEAD_BYTES)?);
        frame.update(&rounds);
        frame.update(self.bytes(self.offsets_at, self.stored.leaves_bytes - self.offsets_at)?);
        if self.stored.frame.0 != <[u8; 32]>::from(frame.finalize()) {
            return Err(self.damaged("its frame"));
        }
        Ok(rounds)
    }

    fn parse_rounds(&self, bytes: &[u8]) -> Option<Vec<RoundEnd>> {
        let mut cursor = Cursor::new(bytes);
        let mut first = cursor.varint().ok()?;
        let mut rounds = Vec::new();
        while !cursor.rest().is_empty() {
            let end = first.checked_add(cursor.varint().ok()?)?;
            rounds.push(RoundEnd { first, end, checkpoint: round::parse_signatures(&mut cursor)? });
            first = end;
        }
        (first <= self.start + (1 << self.height)).then_some(rounds)
    }

    pub(super) fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), what }
    }

    fn unread(&self, source: io::Error) -> StoreError {
        StoreError::File { doing: "read", path: self.path.clone(), source }
    }

    fn bytes(&self, at: u64, count: u64) -> Result<Vec<u8>, StoreError> {
        let inside = at.checked_add(count).is_some_and(|end| end <= self.stored.leaves_bytes);
        let count = usize::try_from(count).ok().filter(|_| inside);
        let mut bytes = vec![0; count.ok_or_else(|| self.damaged("its offsets"))?];
        self.file.read_at(at, &mut bytes).map_err(|source| self.unread(source))?;
        Ok(bytes)
    }
}
