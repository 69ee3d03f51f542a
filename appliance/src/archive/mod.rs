//! The archive: where the leaves of old volumes lie when they are not here any more, as the tiles that they are.
//!
//! The one rule: a volume counts as archived when every object of it was read back and is what was given. An archive is a
//! folder or, behind the feature `s3`, a bucket; its layout is C2SP tlog-tiles below the log's origin, so that any tool for
//! tiles reads it, with one file more a volume, `rounds/N`, which says where rounds ended and which checkpoints were signed.
//! Requests are not archived.

mod orders;

use std::path::PathBuf;
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use url::Url;

use crate::log::reader::Reader;
use crate::log::store::StoreError;
use crate::log::tiles::{self, Level, Tile, TileError, WIDTH};
use crate::log::{LeafBytes, SignedCheckpoint};

pub use orders::{ArchiveAnswer, ArchiveOrder, carry_out};

/// Levels of tiles that one volume fills: the entries, their hashes, and the hashes of 256 leaves.
const FULL_LEVELS: u32 = 2;

/// Why the archive does not have a volume, or does not give it.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no place that we know.
    #[error("`{0}` is no archive: give a folder, or an s3:// address where this build has the feature `s3`")]
    Place(String),
    /// The archive did not do what it was asked.
    #[error("cannot {doing} `{object}` in the archive")]
    Object {
        /// What was being done.
        doing: &'static str,
        /// Which object, or the archive itself.
        object: String,
        /// What it says.
        #[source]
        source: Box<object_store::Error>,
    },
    /// What was read back is not what was given.
    #[error("the archive gives other bytes for `{0}` than it was given; nothing was let go")]
    Differs(String),
    /// The archive holds something else than that volume.
    #[error("`{0}` in the archive is no part of this log")]
    Strange(String),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] StoreError),
    /// What the log holds is not what was signed.
    #[error(transparent)]
    Tile(#[from] TileError),
}

/// A place for the volumes of one log.
#[derive(Clone, Debug)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    /// What the names of all objects begin with.
    base: Path,
}

impl Archive {
    /// The archive of the log of this origin: below a folder that exists, or at an address.
    ///
    /// # Errors
    /// [`ArchiveError::Place`].
    pub fn open(place: &str, origin: &str) -> Result<Self, ArchiveError> {
        let unknown = |_| ArchiveError::Place(place.to_owned());
        let (store, base): (Arc<dyn ObjectStore>, Path) = match Url::parse(place) {
            // No other scheme: what `memory:` was given is lost with the process, and the volumes are let go for it.
            Ok(url) if url.scheme() == "s3" && cfg!(feature = "s3") => {
                let named = std::env::vars().map(|(name, value)| (name.to_lowercase(), value));
                let (store, base) = object_store::parse_url_opts(&url, named).map_err(unknown)?;
                (store.into(), base)
            }
            Ok(url) if url.scheme() != "file" => return Err(ArchiveError::Place(place.to_owned())),
            other => {
                let folder = other.ok().and_then(|url| url.to_file_path().ok());
                let folder = folder.unwrap_or_else(|| PathBuf::from(place));
                let local = LocalFileSystem::new_with_prefix(folder).map_err(unknown)?;
                (Arc::new(local.with_fsync(true)), Path::default())
            }
        };
        let origin = origin.split('/').fold(base, |base, part| base.join(part));
        Ok(Self { store, base: origin })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.base.clone(), |base, part| base.join(part))
    }

    async fn get(&self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let failed = |source| object("read", name, source);
        let got = self.store.get(&self.path(name)).await.map_err(failed)?;
        Ok(got.bytes().await.map_err(failed)?.to_vec())
    }

    /// Puts an object, and reads it back.
    async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        let failed = |source| object("write", name, source);
        self.store.put(&self.path(name), bytes.clone().into()).await.map_err(failed)?;
        if self.get(name).await? == bytes { Ok(()) } else { Err(ArchiveError::Differs(name.to_owned())) }
    }

    /// Puts all of a volume, each tile held against the checkpoint before it goes, and the checkpoint last.
    ///
    /// # Errors
    /// [`ArchiveError`]; then the archive may have a part of it, which does no harm.
    pub async fn put_volume(
        &self,
        reader: &Reader,
        signed: &SignedCheckpoint,
        number: u64,
    ) -> Result<(), ArchiveError> {
        for tile in tiles_of(reader, number) {
            let (reader, signed) = (reader.clone(), *signed);
            let read = tokio::task::spawn_blocking(move || tiles::read(&reader, &signed, tile)).await;
            let bytes = read.map_err(|_| ArchiveError::Strange(tile.to_string()))??;
            self.put(&format!("tile/{tile}"), bytes).await?;
        }
        self.put(&rounds_name(number), reader.rounds_of(number)?).await?;
        let origin = reader.identity()?.origin;
        self.put("checkpoint", crate::log::fence::signed_note(&origin, signed).into_bytes()).await
    }

    /// Brings a volume back into a log that nobody has open.
    ///
    /// # Errors
    /// [`ArchiveError`]; then it is not here.
    pub async fn restore_volume(&self, reader: &Reader, number: u64) -> Result<(), ArchiveError> {
        let mut bundles = Vec::new();
        for tile in tiles_of(reader, number).filter(|tile| tile.level == Level::Entries) {
            let name = format!("tile/{tile}");
            let bundle = LeafBytes::of_bundle(&self.get(&name).await?);
            bundles.push(bundle.ok_or(ArchiveError::Strange(name))?);
        }
        let rounds = self.get(&rounds_name(number)).await?;
        Ok(reader.restore(number, bundles.into_iter(), &rounds)?)
    }
}

fn object(doing: &'static str, name: &str, source: object_store::Error) -> ArchiveError {
    ArchiveError::Object { doing, object: name.to_owned(), source: Box::new(source) }
}

/// The full tiles whose leaves all lie in a volume.
fn tiles_of(reader: &Reader, number: u64) -> impl Iterator<Item = Tile> + use<> {
    let leaves = reader.leaves_of(number);
    let levels = (0..FULL_LEVELS).map(|level| (Level::Hashes(level), WIDTH.pow(level + 1)));
    [(Level::Entries, WIDTH)].into_iter().chain(levels).flat_map(move |(level, leaves_each)| {
        let numbers = leaves.start.div_ceil(leaves_each)..leaves.end / leaves_each;
        numbers.map(move |number| Tile { level, number, width: WIDTH })
    })
}

/// Where the rounds of a volume lie.
fn rounds_name(number: u64) -> String {
    format!("rounds/{number:012}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_outlives_the_process_is_an_archive() {
        for place in ["memory:///x", "memory:x", "http://127.0.0.1/x", "az://c/x", "gs://b/x", "data:,x"] {
            let opened = Archive::open(place, "log.example/a/log/1");
            assert!(matches!(opened, Err(ArchiveError::Place(named)) if named == place), "{place}");
        }
        let is_taken = Archive::open("s3://bucket/logs", "log.example/a/log/1").is_ok();
        assert!(cfg!(feature = "s3") || !is_taken);
        let folder = tempfile::tempdir().unwrap();
        assert!(Archive::open(&folder.path().display().to_string(), "log.example/a/log/1").is_ok());
        assert!(Archive::open(&format!("file://{}", folder.path().display()), "log.example/a/log/1").is_ok());
        assert!(Archive::open("/no/such/folder", "log.example/a/log/1").is_err());
    }
}
