//! Checking volumes: every byte of their files is what the store vouches for.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use assent_proto::hash::Hash;

use super::{leaves_path, requests_path};
use crate::disk::{Disk, Open};
use crate::limits::VOLUME_PIECE_BYTES;
use crate::store::{Store, StoreError, StoredVolume};

/// Checks all volumes that are here, on all processors; `progress` hears how many are done, from any thread.
///
/// # Errors
/// The first damage that was found, or what could not be read.
pub(crate) fn check_all(store: &Store, progress: impl Fn(u64) + Sync) -> Result<(), StoreError> {
    let snapshot = store.snapshot()?;
    let volumes = snapshot.volumes()?;
    let stored: Vec<StoredVolume> =
        (0..volumes).map(|number| snapshot.volume(number)).collect::<Result<_, _>>()?;
    drop(snapshot);
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || -> Result<(), StoreError> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(volume) = usize::try_from(number).ok().and_then(|number| stored.get(number)) else {
                return Ok(());
            };
            check_in_force(store, number, *volume).inspect_err(|_| next.store(volumes, Ordering::Relaxed))?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(stored.len());
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut outcome = work();
        for other in others {
            let theirs = other.join().unwrap_or(Err(StoreError::Unreadable("volume")));
            outcome = outcome.and(theirs);
        }
        outcome
    })
}

/// Checks one volume as it stands: while it is checked its requests may be erased, or its leaves let go of, and what was
/// in force before is no damage.
fn check_in_force(store: &Store, number: u64, mut stored: StoredVolume) -> Result<(), StoreError> {
    loop {
        let Err(damage) = check(store, number, &stored) else { return Ok(()) };
        let now = store.snapshot()?.volume(number)?;
        if now == stored {
            return Err(damage);
        }
        stored = now;
    }
}

/// Checks one volume: every byte of its files is what was written, when its leaves led to its nodes and these to its root.
///
/// # Errors
/// [`StoreError::Damaged`], or what could not be read.
pub(crate) fn check(store: &Store, number: u64, stored: &StoredVolume) -> Result<(), StoreError> {
    let folder = store.volumes_folder();
    if let Some(requests) = &stored.requests {
        let path = requests_path(&folder, number, requests.edition);
        check_file(&**store.disk(), &path, requests.bytes, requests.digest, false)?;
    }
    let path = leaves_path(&folder, number);
    check_file(&**store.disk(), &path, stored.leaves_bytes, stored.digest, stored.archived)
}

fn check_file(
    disk: &dyn Disk,
    path: &Path,
    bytes: u64,
    digest: Hash,
    may_be_missing: bool,
) -> Result<(), StoreError> {
    let damaged = |what| StoreError::Damaged { path: path.to_owned(), what };
    let unread = |source| StoreError::File { doing: "read", path: path.to_owned(), source };
    let file = match disk.open(path, Open::ReadOnly) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && may_be_missing => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(damaged("it is missing")),
        opened => opened.map_err(unread)?,
    };
    if file.len().map_err(unread)? != bytes {
        return Err(damaged("its length is another"));
    }
    let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
    let mut piece = vec![0; VOLUME_PIECE_BYTES];
    while at < bytes {
        let left = usize::try_from(bytes - at).unwrap_or(usize::MAX).min(VOLUME_PIECE_BYTES);
        let piece = piece.get_mut(..left).unwrap_or_default();
        file.read_at(at, piece).map_err(unread)?;
        hasher.update(piece);
        at += left as u64;
    }
    if digest.0 == *hasher.finalize().as_bytes() { Ok(()) } else { Err(damaged("its bytes are others")) }
}
