//! The appliance: an intent walks through its rooms in one direction and leaves a line in the log before it leaves the
//! building.
//!
//! [`pipeline`] names every room and reads like the picture in the README. The rooms are pure where they can be; the
//! doors to the outside are four: the socket ([`server`]), the HSM ([`hsm`]), the disk ([`log::store`]) and the clock
//! ([`clock`]). What this crate never does: let anything pass when it does not know.

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
