//! The policies in force: one bundle at a time, swapped whole.
//!
//! A batch runs under one [`Snapshot`], whatever is loaded meanwhile. A bundle that cannot be loaded changes nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use assent_compiler::{Bundle, BundleError};
use assent_evaluator::Uid;
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_POLICY_ID_BYTES;

/// Why a bundle is refused; the one before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It does not compile.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An entry has no room for the id.
    #[error("the id of policy `{id}` has {} bytes; an id may have {MAX_POLICY_ID_BYTES}", id.len())]
    PolicyId {
        /// The id.
        id: String,
    },
    /// A SPIFFE ID would not name one entity.
    #[error("the catalog's actions take principals of {0} types; give agents one entity type")]
    Principals(usize),
}

/// A bundle, compiled: what one batch is decided by.
#[derive(Debug)]
pub struct Snapshot {
    bundle: Bundle,
    digest: Hash,
    principal_type: String,
}

impl Snapshot {
    /// The compiled bundle.
    #[must_use]
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The entity that a principal is: its SPIFFE ID, of the type that the catalog's actions take.
    #[must_use]
    pub fn principal<'s>(&'s self, spiffe_id: &'s str) -> Uid<'s> {
        Uid { type_name: &self.principal_type, id: spiffe_id }
    }

    /// Its digest, which every entry names.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }
}

/// The bundle in force.
#[derive(Debug)]
pub struct Policies {
    current: RwLock<Arc<Snapshot>>,
}

impl Policies {
    /// Loads the first bundle.
    ///
    /// # Errors
    /// [`LoadError`]: without a bundle nothing is served.
    pub fn load(folder: &Path) -> Result<Self, LoadError> {
        Ok(Self { current: RwLock::new(Arc::new(read(folder)?)) })
    }

    /// What a batch that begins now is decided by.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Digest of the bundle in force.
    #[must_use]
    pub fn digest(&self) -> Hash {
        self.snapshot().digest
    }
}

fn read(folder: &Path) -> Result<Snapshot, LoadError> {
    let bundle = Bundle::from_folder(folder)?;
    if let Some(long) = bundle.policies().iter().find(|policy| policy.id.len() > MAX_POLICY_ID_BYTES) {
        return Err(LoadError::PolicyId { id: long.id.clone() });
    }
    let digest = Hash(bundle.digest());
    let principal_type = principal_type(&bundle)?;
    Ok(Snapshot { bundle, digest, principal_type })
}

/// The one entity type of all agents: a SPIFFE ID is an entity of it.
fn principal_type(bundle: &Bundle) -> Result<String, LoadError> {
    let types: BTreeSet<&String> =
        bundle.catalog().actions().iter().flat_map(|action| &action.principals).collect();
    match types.first() {
        Some(only) if types.len() == 1 => Ok((*only).clone()),
        _ => Err(LoadError::Principals(types.len())),
    }
}
