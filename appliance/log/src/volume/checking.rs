//! Checking volumes: every byte of their files is what the store vouches for.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

use assent_proto::hash::Hash;
use sha2::{Digest as _, Sha256};

use super::{Volume, requests_path};
use crate::disk::Open;
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
            check(store, number, volume).inspect_err(|_| next.store(volumes, Ordering::Relaxed))?;
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

/// Checks one volume: its leaves lead to its nodes and these to its root, its frame and its requests are unchanged.
///
/// # Errors
/// [`StoreError::Damaged`], or what could not be read.
pub(crate) fn check(store: &Store, number: u64, stored: &StoredVolume) -> Result<(), StoreError> {
    check_requests(store, number, stored)?;
    let volume = Volume::open(&**store.disk(), &store.volumes_folder(), number, store.height(), *stored);
    let volume = match volume {
        Err(StoreError::Archived { .. }) => return Ok(()),
        opened => opened?,
    };
    volume.rounds()?;
    let mut level = Vec::new();
    for bundle in 0..volume.bundles() {
        level.extend(volume.bundle(bundle)?.iter().map(Hash::of_leaf));
    }
    for height in 0..=u32::from(store.height()) {
        if volume.nodes(height, 0, level.len() as u64)? != level {
            return Err(volume.damaged("its leaves do not lead to its nodes"));
        }
        if height < u32::from(store.height()) {
            level = level.as_chunks::<2>().0.iter().map(|[left, right]| Hash::of_node(left, right)).collect();
        }
    }
    if level != [stored.root] {
        return Err(volume.damaged("its leaves do not lead to its root"));
    }
    Ok(())
}

fn check_requests(store: &Store, number: u64, stored: &StoredVolume) -> Result<(), StoreError> {
    let Some(requests) = stored.requests else { return Ok(()) };
    let path = requests_path(&store.volumes_folder(), number, requests.edition);
    let damaged = |what| StoreError::Damaged { path: path.clone(), what };
    let unread = |source| StoreError::File { doing: "read", path: path.clone(), source };
    let file = match store.disk().open(&path, Open::ReadOnly) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(damaged("it is missing")),
        opened => opened.map_err(unread)?,
    };
    if file.len().map_err(unread)? != requests.bytes {
        return Err(damaged("its length is another"));
    }
    let (mut digest, mut at) = (Sha256::new(), 0);
    let mut piece = vec![0; VOLUME_PIECE_BYTES];
    while at < requests.bytes {
        let left = usize::try_from(requests.bytes - at).unwrap_or(usize::MAX).min(VOLUME_PIECE_BYTES);
        let piece = piece.get_mut(..left).unwrap_or_default();
        file.read_at(at, piece).map_err(unread)?;
        digest.update(&*piece);
        at += left as u64;
    }
    if requests.digest.0 == <[u8; 32]>::from(digest.finalize()) {
        Ok(())
    } else {
        Err(damaged("its bytes are others"))
    }
}
