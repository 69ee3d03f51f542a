//! The requests of a volume: checked in one pass over their file, held in bounded memory, given out one frame at a time.
//!
//! The one rule: nothing of the file is believed before all of it has the digest that the store vouches for, and what is read
//! again later only where it is what that pass read. Agents decide how long the file is, a few gibibytes at the most, and not
//! what it costs. A small one ([`MAX_WHOLE_REQUESTS_BYTES`]) is kept as it is. Of a larger one the pass has a piece in memory at
//! a time, and keeps where each frame lies and its digest: 56 bytes for a request, of which a volume has no more than leaves.
//! Whoever wants a frame then has that one in memory, at most `MAX_FRAME_BYTES`, read anew and held against its digest; where
//! the file was changed or swapped in between, it is refused. What a frame says, others find out.

#[cfg(test)]
mod tests;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use assent_proto::codec::Cursor;
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_FRAME_BYTES;
use assent_proto::number::LeafIndex;

use super::{REQUESTS_LABEL, requests_path};
use crate::disk::{Disk, DiskFile, Open};
use crate::limits::{
    MAX_KEPT_REQUESTS_BYTES, MAX_VOLUME_HEIGHT, MAX_WHOLE_REQUESTS_BYTES, VOLUME_HEIGHT, VOLUME_PIECE_BYTES,
};
use crate::store::{StoreError, StoredRequests, StoredVolume};

/// Bytes before the first request: the label, and the volume's first leaf.
const HEAD_BYTES: usize = REQUESTS_LABEL.len() + 8;
/// Bytes before a frame at most: two varints.
const MAX_PLACE_BYTES: usize = 2 * 10;
/// Requests of the highest volume: each has a leaf of its own.
const MAX_PLACES: usize = 1 << MAX_VOLUME_HEIGHT;

/// A request, and where its frame lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Index of its first entry.
    pub(crate) first: LeafIndex,
    /// Bytes of its frame.
    pub(crate) length: usize,
    /// Where in the file its frame begins.
    at: u64,
}

/// A volume's requests, whose file had the digest that the store vouches for.
#[derive(Debug)]
pub(crate) struct VolumeRequests {
    path: PathBuf,
    /// In the order of the file, which is that of their entries.
    pub(crate) places: Vec<Place>,
    held: Held,
}

/// What is held of the file, beside the places.
#[derive(Debug)]
enum Held {
    /// All of it.
    Whole(Vec<u8>),
    /// The digest of each frame.
    Digests(Vec<Hash>),
}

impl VolumeRequests {
    /// Reads the file and checks its digest; none are none.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] where it is not what the store vouches for, or what could not be read.
    pub(crate) fn read(
        disk: &dyn Disk,
        folder: &Path,
        number: u64,
        stored: &StoredVolume,
    ) -> Result<Self, StoreError> {
        match stored.requests {
            None => Ok(Self { path: PathBuf::new(), places: Vec::new(), held: Held::Digests(Vec::new()) }),
            Some(requests) => {
                let path = requests_path(folder, number, requests.edition);
                Self::read_file(disk, path, requests, (MAX_WHOLE_REQUESTS_BYTES, VOLUME_PIECE_BYTES))
            }
        }
    }

    /// The same of a file, which is kept up to so many bytes, and else read in pieces of so many.
    fn read_file(
        disk: &dyn Disk,
        path: PathBuf,
        stored: StoredRequests,
        (whole, piece): (u64, usize),
    ) -> Result<Self, StoreError> {
        let file = open(disk, &path)?;
        let unread = |source| unread(&path, source);
        if file.len().map_err(unread)? != stored.bytes {
            return Err(damaged(&path, "its length is another"));
        }
        let is_whole = stored.bytes <= whole;
        let piece = if is_whole { usize::try_from(stored.bytes).unwrap_or(piece) } else { piece };
        let mut pass = Pass::over(&*file, stored.bytes, piece, !is_whole);
        let index = pass.index().map_err(unread)?;
        // Before anything is made of what was read, and before anything is said of it.
        if pass.digest().map_err(unread)? != stored.digest {
            return Err(damaged(&path, "its bytes are others"));
        }
        let (places, digests) = index.ok_or_else(|| damaged(&path, "its requests"))?;
        let held = if is_whole { Held::Whole(pass.piece) } else { Held::Digests(digests) };
        Ok(Self { path, places, held })
    }

    /// Bytes of memory that they take.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = match &self.held {
            Held::Whole(bytes) => bytes.capacity(),
            Held::Digests(digests) => digests.capacity() * size_of::<Hash>(),
        };
        size_of::<Self>() + self.path.capacity() + self.places.capacity() * size_of::<Place>() + held
    }

    /// The requests whose first entry lies in `range`, in order; each is read when it is asked for.
    ///
    /// # Errors
    /// Why the file cannot be opened.
    pub(crate) fn frames(
        self: &Arc<Self>,
        disk: &dyn Disk,
        range: &Range<u64>,
    ) -> Result<Frames, StoreError> {
        let from = self.places.partition_point(|place| place.first.0 < range.start);
        let inside = self.places.iter().skip(from).take_while(|place| place.first.0 < range.end);
        let numbers = from..from + inside.count();
        let file = match &self.held {
            Held::Digests(_) if !numbers.is_empty() => Some(open(disk, &self.path)?),
            Held::Digests(_) | Held::Whole(_) => None,
        };
        Ok(Frames { requests: Arc::clone(self), numbers, file })
    }

    fn frame(&self, number: usize, file: Option<&dyn DiskFile>) -> Result<(LeafIndex, Vec<u8>), StoreError> {
        let others = || damaged(&self.path, "its bytes are others");
        let place = self.places.get(number).ok_or_else(others)?;
        let frame = match (&self.held, file) {
            (Held::Whole(bytes), _) => {
                let rest = usize::try_from(place.at).ok().and_then(|at| bytes.get(at..));
                rest.and_then(|rest| rest.get(..place.length)).map(<[u8]>::to_vec)
            }
            (Held::Digests(digests), Some(file)) => {
                let mut frame = vec![0; place.length];
                file.read_at(place.at, &mut frame).map_err(|source| unread(&self.path, source))?;
                let digest = Hash(*blake3::hash(&frame).as_bytes());
                Some(frame).filter(|_| digests.get(number) == Some(&digest))
            }
            (Held::Digests(_), None) => None,
        };
        Ok((place.first, frame.ok_or_else(others)?))
    }
}

/// Requests of a volume on their way out, from either end; behind an error there are none.
#[derive(Debug)]
pub(crate) struct Frames {
    requests: Arc<VolumeRequests>,
    /// Which of the places are to come.
    numbers: Range<usize>,
    /// Where they are read from; none where the file is held.
    file: Option<Box<dyn DiskFile>>,
}

impl Frames {
    fn read(&mut self, number: usize) -> Result<(LeafIndex, Vec<u8>), StoreError> {
        self.requests.frame(number, self.file.as_deref()).inspect_err(|_| self.numbers = 0..0)
    }
}

impl Iterator for Frames {
    type Item = Result<(LeafIndex, Vec<u8>), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.numbers.next()?;
        Some(self.read(number))
    }
}

impl DoubleEndedIterator for Frames {
    fn next_back(&mut self) -> Option<Self::Item> {
        let number = self.numbers.next_back()?;
        Some(self.read(number))
    }
}

/// A file on its way through its digest: each byte is looked at as it was hashed.
struct Pass<'f> {
    file: &'f dyn DiskFile,
    /// Bytes of the file.
    bytes: u64,
    /// Bytes of the file that were read.
    read: u64,
    hasher: blake3::Hasher,
    /// Bytes that are read at once.
    most: usize,
    /// What was read last.
    piece: Vec<u8>,
    /// How much of that piece was looked at.
    seen: usize,
    /// For the digest of a frame, where it is wanted.
    frame: Option<blake3::Hasher>,
}

impl<'f> Pass<'f> {
    fn over(file: &'f dyn DiskFile, bytes: u64, most: usize, with_digests: bool) -> Self {
        let frame = with_digests.then(blake3::Hasher::new);
        Self { file, bytes, read: 0, hasher: blake3::Hasher::new(), most, piece: Vec::new(), seen: 0, frame }
    }

    /// Where the frames lie, and their digests; none where this is no file of requests.
    fn index(&mut self) -> io::Result<Option<(Vec<Place>, Vec<Hash>)>> {
        self.read_on()?;
        if !self.unseen().starts_with(REQUESTS_LABEL) || self.unseen().len() < HEAD_BYTES {
            return Ok(None);
        }
        self.seen = HEAD_BYTES;
        let (mut places, mut digests) = (Vec::new(), Vec::new());
        while self.at() < self.bytes {
            let Some(place) = self.place()? else { return Ok(None) };
            // LIMIT: no more are remembered than a volume can have, whatever the file says.
            if places.len() == MAX_PLACES || !self.pass_frame(place.length)? {
                return Ok(None);
            }
            places.push(place);
            if let Some(frame) = &mut self.frame {
                digests.push(Hash(*frame.finalize().as_bytes()));
                frame.reset();
            }
        }
        places.shrink_to_fit();
        digests.shrink_to_fit();
        Ok(Some((places, digests)))
    }

    fn place(&mut self) -> io::Result<Option<Place>> {
        if self.unseen().len() < MAX_PLACE_BYTES {
            self.read_on()?;
        }
        let mut cursor = Cursor::new(self.unseen());
        let (Ok(first), Ok(length)) = (cursor.varint(), cursor.count(MAX_FRAME_BYTES)) else {
            return Ok(None);
        };
        self.seen = self.piece.len() - cursor.rest().len();
        Ok(Some(Place { first: LeafIndex(first), length, at: self.at() }))
    }

    /// False where the file ends before the frame.
    fn pass_frame(&mut self, length: usize) -> io::Result<bool> {
        let mut left = length;
        loop {
            let here = self.piece.get(self.seen..).unwrap_or_default();
            let here = here.get(..left).unwrap_or(here);
            if let Some(frame) = &mut self.frame {
                frame.update(here);
            }
            self.seen += here.len();
            left -= here.len();
            if left == 0 || self.read == self.bytes {
                return Ok(left == 0);
            }
            self.read_on()?;
        }
    }

    /// The digest of all of it, to its end.
    fn digest(&mut self) -> io::Result<Hash> {
        while self.read < self.bytes {
            self.seen = self.piece.len();
            self.read_on()?;
        }
        Ok(Hash(*self.hasher.finalize().as_bytes()))
    }

    /// Reads the next piece behind what was not looked at yet; at the end of the file nothing, and nothing goes.
    fn read_on(&mut self) -> io::Result<()> {
        if self.read == self.bytes {
            return Ok(());
        }
        self.piece.drain(..self.seen);
        self.seen = 0;
        let kept = self.piece.len();
        let left = usize::try_from(self.bytes - self.read).unwrap_or(usize::MAX);
        self.piece.resize(kept + left.min(self.most.saturating_sub(kept)), 0);
        let fresh = self.piece.get_mut(kept..).unwrap_or_default();
        self.file.read_at(self.read, fresh)?;
        self.hasher.update(fresh);
        self.read += fresh.len() as u64;
        Ok(())
    }

    fn unseen(&self) -> &[u8] {
        self.piece.get(self.seen..).unwrap_or_default()
    }

    /// Where in the file the next byte to look at lies.
    const fn at(&self) -> u64 {
        self.read - (self.piece.len() - self.seen) as u64
    }
}

fn open(disk: &dyn Disk, path: &Path) -> Result<Box<dyn DiskFile>, StoreError> {
    disk.open(path, Open::ReadOnly).map_err(|source| {
        let is_missing = source.kind() == io::ErrorKind::NotFound;
        if is_missing { damaged(path, "it is missing") } else { unread(path, source) }
    })
}

fn unread(path: &Path, source: io::Error) -> StoreError {
    if source.kind() == io::ErrorKind::UnexpectedEof {
        return damaged(path, "its length is another");
    }
    StoreError::File { doing: "read", path: path.to_owned(), source }
}

fn damaged(path: &Path, what: &'static str) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what }
}

const _: () = assert!(
    VOLUME_PIECE_BYTES > HEAD_BYTES + MAX_PLACE_BYTES,
    "what stands before a frame fits a piece, with more behind it"
);
const _: () = assert!(
    2 * (MAX_WHOLE_REQUESTS_BYTES + ((size_of::<Place>() as u64) << VOLUME_HEIGHT))
        < MAX_KEPT_REQUESTS_BYTES as u64,
    "two volumes whose requests are held as they are can be kept, for rounds are examined side by side"
);
