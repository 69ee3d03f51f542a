//! Tiles, as C2SP tlog-tiles (v0.1.0) cuts a log into files: 256 hashes of one level, or the entries below them.
//!
//! A tile is named by level, number and width; what it holds never changes. The one rule for whoever serves: bytes leave only
//! after they were held against the root of a signed checkpoint, so damage is told and never served. The one rule for whoever
//! reads: a node from a tile proves nothing until a proof made with it leads to that root.

use std::fmt;

use assent_proto::hash::Hash;
use assent_proto::limits::{MAX_TREE_HEIGHT, MAX_TREE_SIZE};
use assent_proto::number::TreeSize;

use crate::SignedCheckpoint;
use crate::proof::{parse_decimal, root_over};
use crate::reader::Reader;
use crate::store::StoreError;

/// Levels of the tree that one tile spans.
const HEIGHT: u32 = 8;
/// Hashes or entries of a full tile.
pub const WIDTH: u64 = 1 << HEIGHT;
/// The word that stands for the level of entries.
const ENTRIES: &str = "entries";
/// Levels of tiles that a path may name.
const MAX_LEVEL: u64 = 63;
/// Digits of one element of a path.
const DIGITS: usize = 3;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Hashes of perfect subtrees of 256 to the power of this many leaves.
    Hashes(u32),
    /// Entries: the bytes of leaves.
    Entries,
}

/// Names a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// What it holds.
    pub level: Level,
    /// Which of its level, from 0.
    pub number: u64,
    /// How many hashes or entries: 256 for a full one.
    pub width: u64,
}

/// Why a tile is not served.
#[derive(Debug, thiserror::Error)]
pub enum TileError {
    /// The tree does not hold it.
    #[error("the signed tree has no tile {0}")]
    Absent(Tile),
    /// The log cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the log holds does not lead to the root that was signed.
    #[error(
        "what the log holds for tile {tile} does not lead to the root signed at size {size}: run `assent log verify`"
    )]
    Damaged {
        /// Which tile.
        tile: Tile,
        /// Under which checkpoint.
        size: TreeSize,
    },
}

impl Tile {
    /// Parses what stands behind `tile/`: `L/N`, `entries/N`, either with `.p/W` behind it. Exactly one text names each tile.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let (level, rest) = path.split_once('/')?;
        let level = match level {
            ENTRIES => Level::Entries,
            level => {
                Level::Hashes(u32::try_from(parse_decimal(level).filter(|level| *level <= MAX_LEVEL)?).ok()?)
            }
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => {
                (number, parse_decimal(width).filter(|width| (1..WIDTH).contains(width))?)
            }
            None => (rest, WIDTH),
        };
        let (leading, last) =
            number.rsplit_once('/').map_or((None, number), |(leading, last)| (Some(leading), last));
        let leading = leading.map(|leading| leading.split('/').map(|element| element.strip_prefix('x')));
        let elements = leading.into_iter().flatten().chain([Some(last)]);
        let number = elements.enumerate().try_fold(0_u64, |number, (at, element)| {
            let element = element
                .filter(|element| element.len() == DIGITS && element.bytes().all(|b| b.is_ascii_digit()))?;
            // Zeroes in front would be a second name.
            let superfluous = at > 0 && number == 0;
            number.checked_mul(1000)?.checked_add(element.parse().ok()?).filter(|_| !superfluous)
        })?;
        Some(Self { level, number, width })
    }

    /// The tile that holds hash number `hash` of this level of tiles, as wide as the tree of `size` leaves makes it. None where the
    /// tree has no such hash.
    #[must_use]
    pub fn holding(level: u32, hash: u64, size: TreeSize) -> Option<Self> {
        let hashes = size.0.checked_shr(level.checked_mul(HEIGHT)?).unwrap_or(0);
        let number = hash >> HEIGHT;
        let width = hashes.checked_sub(number << HEIGHT)?.min(WIDTH);
        (hash < hashes).then_some(Self { level: Level::Hashes(level), number, width })
    }

    /// Whether it is full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width == WIDTH
    }

    /// The level in the tree of what it holds, and the numbers there of the first and of the one behind the last. None beyond what a tree can have.
    fn span(&self) -> Option<(u32, u64, u64)> {
        let level = match self.level {
            Level::Hashes(level) => level * HEIGHT,
            Level::Entries => 0,
        };
        let first = self.number.checked_mul(WIDTH).filter(|first| *first < MAX_TREE_SIZE)?;
        (level < MAX_TREE_HEIGHT).then_some((level, first, first + self.width))
    }
}

/// What stands behind `tile/`.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Level::Hashes(level) => write!(f, "{level}")?,
            Level::Entries => f.write_str(ENTRIES)?,
        }
        let mut elements = vec![self.number % 1000];
        let mut rest = self.number / 1000;
        while rest > 0 {
            elements.push(rest % 1000);
            rest /= 1000;
        }
        for (left, element) in (0..elements.len()).rev().zip(elements.into_iter().rev()) {
            write!(f, "/{}{element:03}", if left > 0 { "x" } else { "" })?;
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// The bytes of a tile, held against the checkpoint before they are given.
///
/// # Errors
/// [`TileError`].
pub fn read(reader: &Reader, signed: &SignedCheckpoint, tile: Tile) -> Result<Vec<u8>, TileError> {
    let (level, first, end) = tile.span().ok_or(TileError::Absent(tile))?;
    if end > signed.size.0 >> level {
        return Err(TileError::Absent(tile));
    }
    let (bytes, hashes) = match tile.level {
        Level::Hashes(_) => {
            let hashes = reader.nodes(level, first..end)?;
            (hashes.iter().flat_map(|hash| hash.0).collect(), hashes)
        }
        Level::Entries => bundle(reader, first, end)?,
    };
    let root = root_over(signed.size, level, first, &hashes, |level, index| reader.node(level, index))?;
    if root == Some(signed.root) { Ok(bytes) } else { Err(TileError::Damaged { tile, size: signed.size }) }
}

/// Entries behind their lengths, and their leaf hashes.
fn bundle(reader: &Reader, first: u64, end: u64) -> Result<(Vec<u8>, Vec<Hash>), StoreError> {
    let (mut bytes, mut hashes) = (Vec::new(), Vec::new());
    for leaf in reader.leaves(first..end)?.iter() {
        // A leaf is far below that; what is not, is none of ours.
        let length = u16::try_from(leaf.len()).map_err(|_| StoreError::Unreadable("leaf"))?;
        bytes.extend(length.to_be_bytes());
        bytes.extend_from_slice(leaf);
        hashes.push(Hash::of_leaf(leaf));
    }
    Ok((bytes, hashes))
}

/// The entries of a bundle. None where the bytes are not exactly so many entries.
#[must_use]
pub fn entries(bundle: &[u8], count: u64) -> Option<Vec<&[u8]>> {
    let (mut rest, mut entries) = (bundle, Vec::new());
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let (entry, behind) = behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        rest = behind;
    }
    (rest.is_empty() && entries.len() as u64 == count).then_some(entries)
}

/// The perfect subtree number `index` of `2^level` leaves, from the tile of a tree of `size` leaves that holds its hashes.
/// `tile` gives the bytes of a tile; none comes back where the tree has no such node or the bytes are no such tile.
///
/// # Errors
/// What `tile` says.
pub fn node<E>(
    level: u32,
    index: u64,
    size: TreeSize,
    tile: impl FnOnce(Tile) -> Result<Vec<u8>, E>,
) -> Result<Option<Hash>, E> {
    let (of_tiles, below) = (level / HEIGHT, level % HEIGHT);
    let first = index << below;
    let Some(wanted) = Tile::holding(of_tiles, first, size) else { return Ok(None) };
    let bytes = tile(wanted)?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || hashes.len() as u64 != wanted.width {
        return Ok(None);
    }
    let at = usize::try_from(first & (WIDTH - 1)).unwrap_or(usize::MAX);
    let run = at.checked_add(1 << below).and_then(|end| hashes.get(at..end));
    let mut run: Vec<Hash> = run.unwrap_or_default().iter().copied().map(Hash).collect();
    while run.len() > 1 {
        run =
            run.chunks_exact(2).filter_map(|pair| Some(Hash::of_node(pair.first()?, pair.last()?))).collect();
    }
    Ok(run.first().copied())
}
