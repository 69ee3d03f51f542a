//! The HSM door: a child process that signs, and the parent's end of it.
//!
//! The one rule: a PKCS#11 module is a stranger. It may hang, crash or lie, so the appliance never loads it: it talks to
//! [`signer`], which does, and can be killed. After any fault a [`Signer`] is dead and another is started.
//!
//! What this room does not do: verify signatures, compare the key with the pinned one, or decide when to try again. The
//! token room does. (`appliance/DESIGN.md`, "Boundaries".)

mod alarm;
mod confinement;
mod fault;
mod frame;
pub(crate) mod key;
pub(crate) mod module;
mod pin;
mod point;
mod remote;
pub mod signer;
pub(crate) mod slot;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use confinement::Confinement;
pub use fault::{FaultClass, FaultKind, HsmFault};
pub use module::DataObjects;
pub use pin::{Pin, PinError, pin_source};
pub use remote::{InHsm, Signer};

/// Which module, slot and key, and how the child that uses them is started.
#[derive(Clone, Debug)]
pub struct HsmSettings {
    /// The PKCS#11 module, a shared library.
    pub module: PathBuf,
    /// The label of the slot.
    pub slot_label: String,
    /// Its serial number, when it is pinned; without it the label must be unique.
    pub slot_serial: Option<String>,
    /// The authority key's `CKA_ID`.
    pub key_id: Vec<u8>,
    /// Whether a simulator may sign.
    pub allow_simulator: bool,
    /// The child's whole environment: it inherits nothing.
    pub environment: BTreeMap<String, String>,
    /// What the child need not open, and cannot where the kernel has Landlock: the appliance's log, fence and keys.
    pub protected: Vec<PathBuf>,
    /// The executable that has the command `signer`; this process's own when absent.
    pub signer_program: Option<PathBuf>,
}

/// What signs: as the module describes itself, and the key's public half. Nothing of it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HsmIdentity {
    /// Who made the slot's HSM.
    pub manufacturer: String,
    /// Its model.
    pub model: String,
    /// Its serial number.
    pub serial: String,
    /// The slot's label.
    pub label: String,
    /// Whether it says that it is a simulator.
    pub simulator: bool,
    /// The Ed25519 public key.
    pub public_key: [u8; 32],
    /// Whether the process that signs is kept from the protected paths.
    pub confinement: Confinement,
}
