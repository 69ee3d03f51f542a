//! What the fuzz targets share: tables of an image and a snapshot, made out of bytes, and intents to ask of them.
//!
//! The targets are in `targets/`, the inputs that led somewhere new in `corpus/`. How to run them is in `tests/README.md`.

pub mod choices;
pub mod deciding;
pub mod frame;
pub mod programs;
pub mod script;
pub mod tables;
