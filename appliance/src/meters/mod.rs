//! The meters: what monitoring reads of a running appliance, and in which words.
//!
//! The one rule: whoever serves intents pays a few plain additions a batch and never waits for whoever reads, and a label is
//! one of a closed list, never what a peer wrote. Each room counts what it does with the instruments of this one; the rest is
//! taken from the status when somebody asks. It decides nothing and tells nobody: the rules and the runbook do
//! (`appliance/monitoring/`, `OPERATING.md`).

mod decisions;
mod exposition;
mod histogram;
mod monitor;
mod process;
mod readiness;
mod sheet;
mod spread;

pub use decisions::{Decision, Decisions, Tally};
pub use exposition::Notation;
pub use histogram::{COMPUTED, COUNTED, Distribution, Histogram, WAITED};
pub use monitor::{Bounds, Monitor};
pub use readiness::{ClosedBoundary, Readiness};
pub use spread::{Bound, Spread};
