//! A log somewhere else, read through its tiles (C2SP tlog-tiles).
//!
//! What comes over the wire proves nothing: nodes are for proofs, and a proof is verified under a checkpoint that somebody
//! trusted signed. What was fetched is kept, for one proof asks for a tile more than once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use assent_doors::outbound::RootsError;
use assent_proto::hash::Hash;
use assent_proto::limits::{MAX_BODY_BYTES, MAX_NOTE_BYTES};
use assent_proto::number::{LeafIndex, TreeSize};

use super::client::{Client, Unreachable};
use crate::log::tiles::{self, Level, Tile, WIDTH};

/// How long one exchange may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of a full tile.
const TILE_BYTES: u64 = WIDTH * 32;
/// Bytes of the longest bundle of entries: each at its limit, with its label and its length.
const BUNDLE_BYTES: u64 = WIDTH * (MAX_BODY_BYTES as u64 + 32);
/// There is no such thing, or it is not given.
const NOT_FOUND: [u16; 3] = [403, 404, 410];

/// Why a log cannot be read from afar.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody can be asked.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// Nobody answers.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// The answer is none.
    #[error("{url} is answered with status {status}: {told}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The first line of the answer.
        told: String,
    },
    /// The answer is not what was asked for.
    #[error("{url} gives no {what}")]
    Other {
        /// What was asked for.
        url: String,
        /// What it should be.
        what: &'static str,
    },
}

/// A log that is read over HTTP.
#[derive(Debug)]
pub struct RemoteLog {
    client: Client,
    /// Without a slash at its end.
    prefix: String,
    tiles: RefCell<HashMap<Tile, Vec<u8>>>,
}

impl RemoteLog {
    /// The log below this prefix.
    ///
    /// # Errors
    /// [`RemoteError::Roots`].
    pub fn new(prefix: &str) -> Result<Self, RemoteError> {
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Self { client: Client::new(DEADLINE, None)?, prefix, tiles: RefCell::default() })
    }

    /// Its newest checkpoint, as a note that nobody verified.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn note(&self) -> Result<String, RemoteError> {
        let url = format!("{}/checkpoint", self.prefix);
        let body = self.get(&url, MAX_NOTE_BYTES as u64)?.ok_or_else(|| none(&url))?;
        String::from_utf8(body).map_err(|_| RemoteError::Other { url, what: "note" })
    }

    /// A perfect subtree of the tree of `size` leaves.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn node(&self, level: u32, index: u64, size: TreeSize) -> Result<Hash, RemoteError> {
        let missing =
            || RemoteError::Other { url: self.prefix.clone(), what: "tile with the node that is asked for" };
        tiles::node(level, index, size, |tile| self.tile(tile, TILE_BYTES))?.ok_or_else(missing)
    }

    /// The bytes of a leaf of the tree of `size` leaves; none where entries are not served.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub fn leaf(&self, index: LeafIndex, size: TreeSize) -> Result<Option<Vec<u8>>, RemoteError> {
        let Some(tile) = Tile::holding(0, index.0, size) else { return Ok(None) };
        let tile = Tile { level: Level::Entries, ..tile };
        let bundle = match self.tile(tile, BUNDLE_BYTES) {
            Ok(bundle) => bundle,
            Err(RemoteError::Refused { status, .. }) if NOT_FOUND.contains(&status) => return Ok(None),
            Err(error) => return Err(error),
        };
        let url = format!("{}/tile/{tile}", self.prefix);
        let entries =
            tiles::entries(&bundle, tile.width).ok_or(RemoteError::Other { url, what: "entries" })?;
        let position = usize::try_from(index.0 % WIDTH).unwrap_or(usize::MAX);
        Ok(entries.get(position).map(|entry| entry.to_vec()))
    }

    /// The bytes of a tile. A log may have thrown a partial one away since the full one is there: then the beginning of that.
    fn tile(&self, tile: Tile, most: u64) -> Result<Vec<u8>, RemoteError> {
        if let Some(bytes) = self.tiles.borrow().get(&tile) {
            return Ok(bytes.clone());
        }
        let url = |tile: Tile| format!("{}/tile/{tile}", self.prefix);
        let full = Tile { width: WIDTH, ..tile };
        let bytes = match self.get(&url(tile), most)? {
            Some(bytes) => bytes,
            None if tile.is_full() || tile.level == Level::Entries => return Err(none(&url(tile))),
            None => {
                let mut bytes = self.get(&url(full), most)?.ok_or_else(|| none(&url(tile)))?;
                bytes.truncate(usize::try_from(tile.width * 32).unwrap_or(usize::MAX));
                bytes
            }
        };
        self.tiles.borrow_mut().insert(tile, bytes.clone());
        Ok(bytes)
    }

    /// The body of an answer; none where there is no such thing.
    fn get(&self, url: &str, most: u64) -> Result<Option<Vec<u8>>, RemoteError> {
        let reply = self.client.get(url, most)?;
        match reply.status {
            200 => Ok(Some(reply.body)),
            404 => Ok(None),
            status => {
                let told = String::from_utf8_lossy(&reply.body);
                let told = told.lines().next().unwrap_or_default().chars().take(80).collect();
                Err(RemoteError::Refused { url: url.to_owned(), status, told })
            }
        }
    }
}

fn none(url: &str) -> RemoteError {
    RemoteError::Refused { url: url.to_owned(), status: 404, told: "there is none".to_owned() }
}
