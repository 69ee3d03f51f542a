//! The appliance: an intent walks through its rooms in one direction and leaves a line in the log before it leaves the
//! building.
//!
//! [`pipeline`] names every room and reads like the picture in the README. The rooms are pure where they can be. The walk has
//! four doors to the outside: the socket ([`server`]), the HSM ([`hsm`]), the disk ([`log::store`]) and the clock
//! ([`clock`]). Commands come by [`control`], operators' browsers and whoever reads by [`http`]; sinks, witnesses and a collector of
//! traces are asked through the crate `assent_doors`. What this crate never does: let anything pass when it does not know.
//!
//! - **The walk**: [`pipeline`] joins [`intent`], [`evaluation`], [`token`] and [`log`]. [`identity`] knows who asks, [`policy`]
//!   which bundle decides, [`queue`] what waits.
//! - **Doors**: [`server`] with [`notices`], [`hsm`], [`disk`] (places and room; the store is the log's), [`clock`]; [`control`],
//!   [`http`], [`witness`].
//! - **Desks of operators**: [`break_glass`], [`archive`], [`backup`]; approvals are at [`queue`], re-arm and keys at [`token`],
//!   bundles at [`policy`]. [`operators`] knows what enough of them signed, [`passkeys`] who is at the console.
//! - **What people are shown**: [`console`], [`meters`], [`escalation`], `traces`; `shown` makes the texts of peers visible.
//! - **The command line**: [`cli`], with [`config`], [`provision`], [`sample`] and [`serving`], which builds a whole appliance.
//!
//! All limits hang in [`limits`].

#![forbid(unsafe_code)]

pub mod archive;
pub mod backup;
pub mod break_glass;
pub mod cli;
pub mod clock;
pub mod config;
pub mod console;
pub mod control;
pub mod disk;
pub mod escalation;
pub mod evaluation;
pub mod hsm;
pub mod http;
pub mod identity;
pub mod intent;
pub mod limits;
pub mod meters;
pub mod notices;
pub mod passkeys;
pub mod pipeline;
pub mod policy;
pub mod provision;
pub mod queue;
pub mod sample;
pub mod server;
pub mod serving;
mod shown;
pub mod token;
mod traces;
pub mod witness;

pub use assent_log as log;
pub use assent_operators as operators;
