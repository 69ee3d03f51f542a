//! The evaluator: decides intents by compiled Cedar policies, without a standard library, an allocator or a panic.
//!
//! The rule it keeps: decision, reasons and errors are Cedar's, and the verdict is never more lenient. Whatever is not
//! known (an entity, a type, fuel) refuses. It does not parse Cedar and does not build images; the compiler crate does.
//!
//! The walk: an [`Intent`] is filled with borrowed values, [`Intent::classify`] holds it against the catalog, and only
//! what is [`Classified`] can be evaluated. Image and snapshot pass [`Verified::new`] before anything reads them.
//!
//! Design: `appliance/DESIGN.md`, "Policies".

#![no_std]
#![forbid(unsafe_code)]
// An overflow would panic or wrap, and this crate does neither unseen.
#![deny(clippy::arithmetic_side_effects)]

mod bits;
mod catalog;
mod classification;
mod comparison;
mod contents;
mod conversion;
mod environment;
mod evaluation;
mod extension;
mod fate;
mod image;
mod instruction;
mod intent;
mod limits;
mod machine;
mod names;
mod operand;
mod pattern;
mod program;
mod reading;
mod scope;
mod snapshot;
mod value;
mod verification;
mod view;
mod world;

pub use bits::PolicyBits;
pub use catalog::{ActionIndex, ActionRow, Attribute, FactNames, Priority, Shape, Terms, TypeRow};
pub use classification::{Classified, Facts, Misfit, Refused};
pub use contents::Uid;
pub use evaluation::{Cause, Decision, Evaluation, Verdict};
pub use fate::{Fate, Then};
pub use image::{Effect, Image, Literal, PolicyRow, ProgramRow};
pub use instruction::{Binary, Instruction, Unary};
pub use intent::Intent;
pub use limits::*;
pub use machine::{Fault, Outcome};
pub use names::{EMPTY_SLOT, Names, hash_name, hash_uid};
pub use operand::{Operand, Place, Variable};
pub use program::PROGRAMS;
pub use scope::ScopeIndex;
pub use snapshot::{EntityRow, Snapshot, Tag};
pub use value::{Address, Content, Field, Range, Source, Span, Value};
pub use verification::{Flaw, Storage, Verified};
pub use view::View;
