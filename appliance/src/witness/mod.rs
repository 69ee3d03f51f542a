//! Witnesses: others who say that this log only grew, and this appliance as the witness of others.
//!
//! A fence keeps an older log from being served where it lies; whoever replaces log and fence together is seen only by somebody
//! else who remembers. A witness remembers one size and root for each log and cosigns what follows from it, under a key of its
//! own: the HSM's key signs checkpoints of its own log and nothing else. No token needs a cosignature, and no witness can close a
//! boundary or open one. (C2SP tlog-witness and tlog-cosignature; `proto/FORMAT.md` section 17.)

mod asking;
mod cosigned;
mod key;
#[cfg(test)]
pub(crate) mod tests;
mod witnessing;

pub use asking::{AskError, Asking, WitnessStatus, Witnesses, client as witness_client};
pub use cosigned::{Cosignatures, cosigned_path, note_of};
pub use key::{SigningKey, SigningKeyError};
pub use witnessing::{Answer, Witness, WitnessError, WitnessedStatus, name_of};
