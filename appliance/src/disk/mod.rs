//! The disk as the appliance stands on it: whether it may be written, and has room.
//!
//! The one rule: what the disk cannot promise is known before it is needed. What is written, and how it becomes durable, is
//! the log's; whether it answers in time, the token room watches. Design: `DESIGN.md`, section "The disk".

mod places;
mod space;

pub use places::{PlaceError, check as check_places};
pub(crate) use space::free;
pub use space::{Room, Space};
