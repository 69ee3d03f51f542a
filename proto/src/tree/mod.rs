//! The Merkle tree of RFC 6962 section 2.1, as arithmetic: no storage, no allocation.
//!
//! [`Frontier`] appends. [`Range`] knows the nodes that a contiguous run of leaves and a range proof determine; appliances
//! make range proofs from it, clients make inclusion proofs from it. [`Run`] is what both share. [`inclusion`] and [`consistency`] verify proofs.

pub mod consistency;
mod frontier;
pub mod inclusion;
mod memo;
mod range;
mod run;

pub use frontier::{Frontier, FrontierError};
pub use memo::PathMemo;
pub use range::{Paths, Range, RangeError};
pub use run::Run;

/// The number of `index`'s ancestor that many levels up.
pub(crate) fn ancestor(index: u64, level: u32) -> u64 {
    index.checked_shr(level).unwrap_or(0)
}

/// The first leaf below a node.
pub(crate) fn first_leaf(level: u32, index: u64) -> u64 {
    if index == 0 { 0 } else { index.saturating_mul(1_u64.checked_shl(level).unwrap_or(u64::MAX)) }
}

/// Levels above the leaves that a tree of `size` leaves has.
#[must_use]
pub fn height(size: u64) -> u32 {
    match size.checked_sub(1) {
        None | Some(0) => 0,
        Some(last) => last.ilog2().saturating_add(1),
    }
}
