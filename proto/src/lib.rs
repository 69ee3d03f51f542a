//! Assent's formats, and the code that verifies them.
//!
//! Everything that two parties must agree on to the byte lives here: frames, intents and their digest, refusals, log
//! entries, the Merkle tree, notes and checkpoints, tokens. `FORMAT.md` beside this crate is the normative text; this
//! crate is its reference.
//!
//! The one rule: what is not exactly as the format says is refused, before anything is computed from it. The crate does
//! no input or output, asks no clock, allocates nothing and holds no secret.

#![no_std]
#![forbid(unsafe_code)]
#![deny(clippy::arithmetic_side_effects)]

pub mod calendar;
pub mod checkpoint;
pub mod codec;
pub mod context;
pub mod cosignature;
pub mod entry;
pub mod hash;
pub mod intent;
pub mod limits;
mod lines;
pub mod note;
pub mod number;
pub mod proof;
pub mod refusal;
pub mod token;
pub mod tree;
pub mod verify;
pub mod visible;
pub mod wire;
