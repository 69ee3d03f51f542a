//! Doors that rooms share: a small store on the disk, and HTTP to others.
//!
//! What goes through them is not known here. The log has a store of its own, on a disk door that can be made to fail.

pub mod outbound;
pub mod shelf;
