//! The log over HTTP: `/checkpoint` and `/tile/...` as C2SP tlog-tiles (v0.1.0) names them.
//!
//! The one rule: every byte of a tile was held against the root of the newest signed checkpoint before it leaves, so what is
//! damaged is answered with an error and a trace, never with other bytes; and nothing beyond that checkpoint leaves. Entries
//! name principals and what they asked, so they leave only where the configuration says so.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

use super::told;
use crate::clock::Clock;
use crate::limits::MAX_TILE_READS;
use crate::log::reader::Reader;
use crate::log::store::StoreError;
use crate::log::tiles::{Level, Tile, TileError, read};
use crate::witness::Cosignatures;

/// A tile never changes, and a year is as long as anybody keeps one (RFC 9111).
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Entries neither, but only the reader itself may keep them.
const FOR_THE_READER: &str = "private, max-age=31536000, immutable";

/// What the log's readers are given.
#[derive(Debug)]
pub struct Tiles {
    reader: Reader,
    entries: bool,
    cosignatures: Arc<Cosignatures>,
    /// For how many seconds a cosigned checkpoint is shown in place of a newer one.
    fresh_s: u64,
    clock: Clock,
    /// Reads of the log at once: each occupies a thread and the disk.
    reads: Arc<Semaphore>,
}

impl Tiles {
    /// Serves a log, with its entries or without. Where witnesses cosign, the checkpoint is shown that they cosigned, for so many
    /// seconds behind newer ones.
    #[must_use]
    pub fn new(
        reader: Reader,
        entries: bool,
        cosignatures: Arc<Cosignatures>,
        fresh_s: u64,
        clock: Clock,
    ) -> Self {
        Self {
            reader,
            entries,
            cosignatures,
            fresh_s,
            clock,
            reads: Arc::new(Semaphore::new(MAX_TILE_READS)),
        }
    }

    /// Reads the log on a thread that may wait for the disk. None when we are stopping.
    async fn reading<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.reads).acquire_owned().await.ok()?;
        let tiles = Arc::clone(self);
        let reading = move || {
            let done = work(&tiles);
            // The place goes with the thread, not with whoever waits: a peer that left frees no disk.
            drop(place);
            done
        };
        tokio::task::spawn_blocking(reading).await.ok()
    }

    fn note(&self) -> Result<Option<String>, TileError> {
        let signed = self.reader.checkpoint()?;
        let now_s = self.clock.now().0 / 1000;
        Ok(signed.map(|signed| self.cosignatures.note(&signed, now_s, self.fresh_s)))
    }

    fn tile(&self, tile: Tile) -> Result<Vec<u8>, TileError> {
        let signed = self.reader.checkpoint()?.ok_or(TileError::Absent(tile))?;
        read(&self.reader, &signed, tile)
    }
}

pub(super) fn routes(tiles: Arc<Tiles>) -> Router {
    Router::new()
        .route("/checkpoint", get(checkpoint))
        .route("/tile/{*tile}", get(tile))
        .fallback(async || {
            told(
                StatusCode::NOT_FOUND,
                "there is /checkpoint, /tile/, /livez, /readyz, /metrics and /v1/status\n",
            )
        })
        .with_state(tiles)
}

async fn checkpoint(State(tiles): State<Arc<Tiles>>) -> Response {
    match tiles.reading(Tiles::note).await {
        Some(Ok(Some(note))) => {
            let headers =
                [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (headers, note).into_response()
        }
        Some(Ok(None)) => told(StatusCode::NOT_FOUND, "no checkpoint is signed yet\n"),
        Some(Err(error)) => failed(&error),
        None => told(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

/// The tile is taken from the path as it was sent: it has exactly one name.
async fn tile(State(tiles): State<Arc<Tiles>>, uri: Uri) -> Response {
    let Some(tile) = uri.path().strip_prefix("/tile/").and_then(Tile::parse) else {
        return told(StatusCode::BAD_REQUEST, "no tile has that name\n");
    };
    let is_entries = tile.level == Level::Entries;
    if is_entries && !tiles.entries {
        return told(StatusCode::FORBIDDEN, "entries are not served here: listen.http_entries\n");
    }
    match tiles.reading(move |tiles| tiles.tile(tile)).await {
        Some(Ok(bytes)) => {
            let kept = if is_entries { FOR_THE_READER } else { FOR_EVER };
            let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, kept)];
            (headers, bytes).into_response()
        }
        Some(Err(error)) => failed(&error),
        None => told(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

fn failed(error: &TileError) -> Response {
    match error {
        TileError::Store(StoreError::Archived { .. }) => {
            told(StatusCode::GONE, "these leaves lie in the archive\n")
        }
        TileError::Absent(_) => told(StatusCode::NOT_FOUND, "the signed tree has no such tile\n"),
        TileError::Store(_) | TileError::Damaged { .. } => {
            tracing::error!(error = error as &dyn std::error::Error, "a tile is not served");
            told(StatusCode::INTERNAL_SERVER_ERROR, "the log cannot be read\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use assent_proto::number::TreeSize;

    use super::*;

    #[test]
    fn damage_is_an_error_and_what_is_elsewhere_is_not() {
        let tile = Tile { level: Level::Entries, number: 0, width: 1 };
        let damaged = failed(&TileError::Damaged { tile, size: TreeSize(1) });
        assert_eq!(damaged.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(damaged.headers()[header::CACHE_CONTROL], "no-store", "no cache keeps the error");
        let unreadable = failed(&TileError::Store(StoreError::Unreadable("leaf")));
        assert_eq!(unreadable.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let archived = failed(&TileError::Store(StoreError::Archived { first: 0, end: 1 }));
        assert_eq!(archived.status(), StatusCode::GONE);
        assert_eq!(failed(&TileError::Absent(tile)).status(), StatusCode::NOT_FOUND);
    }
}
