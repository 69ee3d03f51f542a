//! The disk door of the policies: the last good bundle, the version that may not be gone below, and when its source was last
//! confirmed.
//!
//! A shelf: a file of its own, as durable as the log's. Bundle and version change in one commit. What is in the bundle it does
//! not know.

use std::path::Path;

use assent_doors::shelf::{Label, Named, Shelf, ShelfError};
use assent_proto::codec;
use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

/// The store's name in the data folder.
pub const FILE: &str = "policies.redb";

const POLICIES: Named = Named::new("policies");
const BUNDLE: &str = "bundle";
const STATE: &str = "state";

pub(super) static LABEL: Label = Label {
    name: "the policies' store",
    remedy: "restore it from a backup, for without it an older bundle could come back",
    named: POLICIES,
    format: &[1],
};

/// What is remembered beside the bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version that may not be gone below: that of the last bundle in force.
    pub version: Option<u64>,
    /// When the bundle's source was last confirmed, about.
    pub confirmed: Timestamp,
}

/// The policies' database.
#[derive(Debug)]
pub struct Store(Shelf);

impl Store {
    /// Opens the store, or makes an empty one. It appears under its name only when it is complete.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn open(path: &Path) -> Result<Self, ShelfError> {
        Shelf::open(path, &LABEL).map(Self)
    }

    /// The last good bundle, as it was encoded.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn bundle(&self) -> Result<Option<Vec<u8>>, ShelfError> {
        self.0.value(BUNDLE)
    }

    /// What is remembered beside it.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn state(&self) -> Result<State, ShelfError> {
        let Some(bytes) = self.0.value(STATE)? else { return Ok(State::default()) };
        codec::parse(&bytes).map_err(|_| self.0.unreadable(STATE))
    }

    /// Keeps a bundle with its state: both, or neither.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn keep(&self, bundle: &[u8], state: &State) -> Result<(), ShelfError> {
        let state = self.encoded(state)?;
        self.0.put(&[(BUNDLE, bundle), (STATE, &state)])
    }

    /// Keeps the state alone.
    ///
    /// # Errors
    /// [`ShelfError`].
    pub fn remember(&self, state: &State) -> Result<(), ShelfError> {
        self.0.put(&[(STATE, &self.encoded(state)?)])
    }

    fn encoded(&self, state: &State) -> Result<Vec<u8>, ShelfError> {
        let mut bytes = Vec::new();
        codec::append(state, &mut bytes).map_err(|_| self.0.unreadable(STATE))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_and_state_outlive_the_process_that_kept_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let store = Store::open(&path).unwrap();
        assert_eq!((store.bundle().unwrap(), store.state().unwrap()), (None, State::default()));
        let state = State { version: Some(7), confirmed: Timestamp(1000) };
        store.keep(b"bundle", &state).unwrap();
        let later = State { confirmed: Timestamp(2000), ..state };
        store.remember(&later).unwrap();
        drop(store);
        let store = Store::open(&path).unwrap();
        assert_eq!(
            (store.bundle().unwrap().as_deref(), store.state().unwrap()),
            (Some(&b"bundle"[..]), later)
        );
    }
}
