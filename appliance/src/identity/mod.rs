//! Who is at the other end: names, certificates and the register of agents.
//!
//! The one rule: an agent is the one URI in a certificate that our CA signed and nobody revoked. The room issues such
//! certificates, makes the TLS that demands them, and reads the name back; what that name may do is not asked here.
//! (X.509-SVID, SPIFFE-ID.)

pub mod ca;
mod certificate;
pub mod registry;
mod spiffe;
pub mod tls;

#[cfg(test)]
mod tests;

pub use crate::log::disk::{sync_folder_of, write_durably};
pub use ca::{CaError, CertificateAuthority, Issued, Name};
pub use certificate::{IdentityError, Peer, Serial, peer, validity};
pub use registry::{Agents, Record, Registry, RegistryError};
pub use spiffe::{SpiffeError, SpiffeId, TrustDomain};
pub use tls::first_expiry;
