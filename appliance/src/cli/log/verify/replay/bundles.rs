//! The bundles of a replay: compiled when they are first needed, a few of them kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use assent_compiler::Bundle;
use assent_proto::hash::Hash;

use super::facts::Mentions;
use crate::policy::archive::{Archive, ArchiveError};

/// Compiled bundles that are kept: a log goes from one to the next.
const MAX_KEPT: usize = 4;

/// A bundle, and which facts it speaks of.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) bundle: Bundle,
    pub(super) mentions: Mentions,
}

/// The archive, and what was taken from it.
#[derive(Debug)]
pub(super) struct Bundles {
    archive: Archive,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The newest last. None where it is not in the archive, or not as it was.
    bundles: Vec<(Hash, Option<Arc<Loaded>>)>,
    /// What is wrong with those that are not as they were.
    faults: BTreeMap<Hash, String>,
}

impl Bundles {
    pub(super) fn of(archive: Archive) -> Self {
        Self { archive, kept: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &Path {
        self.archive.folder()
    }

    /// The bundle; none where it is not in the archive, or not as it was. Another thread that wants one waits.
    pub(super) fn get(&self, digest: &Hash) -> anyhow::Result<Option<Arc<Loaded>>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, loaded)) = kept.bundles.iter().find(|(known, _)| known == digest) {
            return Ok(loaded.clone());
        }
        let loaded = match self.archive.bundle(digest) {
            Ok(bundle) => bundle.map(|bundle| {
                let mentions = Mentions::of(bundle.sources());
                Arc::new(Loaded { bundle, mentions })
            }),
            Err(error @ (ArchiveError::Altered { .. } | ArchiveError::Malformed { .. })) => {
                kept.faults.insert(*digest, error.to_string());
                None
            }
            Err(error @ ArchiveError::File { .. }) => return Err(error.into()),
        };
        if kept.bundles.len() >= MAX_KEPT {
            kept.bundles.remove(0);
        }
        kept.bundles.push((*digest, loaded.clone()));
        Ok(loaded)
    }

    /// What is wrong with bundles of the archive.
    pub(super) fn faults(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.faults.values().cloned().collect()
    }
}
