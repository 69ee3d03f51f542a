//! firmware-sim: a PKCS#11 module that can be broken on purpose.
//!
//! Stand-alone it is a software HSM with slots, PINs, sessions, objects on disk and Ed25519: the embedded default of
//! `assent dev` and `assent demo`. Interposed it stands in front of a real module. In both modes it fails as it is told to, at run
//! time: see [`faults`]. **It is no HSM**: keys lie unprotected in a folder, and whoever reads the folder has them.
//!
//! It always says what it is: `C_GetInfo` and `C_GetTokenInfo` answer the manufacturer [`MANUFACTURER`], and
//! `C_GetTokenInfo` the model [`MODEL`]. The appliance refuses a module that says so, unless `hsm.allow_simulator` is set.
//!
//! The modules follow the chapters of PKCS#11 2.40. Only `ffi` is unsafe: it turns pointers into slices, calls the safe core,
//! and lets no panic cross the C ABI. The shared library exports one symbol, `C_GetFunctionList`.

mod attributes;
mod calls;
mod clock;
mod configuration;
mod failure;
pub mod faults;
mod ffi;
mod general;
mod hex;
mod keys;
mod latency;
mod limits;
mod objects;
mod pins;
mod random;
mod sessions;
mod signing;
mod slots;
mod state;
mod store;
mod templates;

pub use configuration::{ConfigurationError, ENV_DIR, ENV_MODULE, SETTINGS_FILE};
pub use latency::SettingsError;

/// `manufacturerID` of the module, its slots and its tokens, before blank padding.
pub const MANUFACTURER: &str = "Assent";

/// `model` of every token, before blank padding.
pub const MODEL: &str = "firmware-sim";
