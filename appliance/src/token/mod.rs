//! The token room: no HSM signature, no token.
//!
//! Connections hand over drafts. The sealer chooses a round among those that wait, appends it to the tree, has the HSM sign
//! one checkpoint over it, verifies the signature, makes the round durable, and only then lets the answers out. Any fault
//! closes the boundary at once: the allows in flight become denials, holds that wait, or uses of a warrant (`parking`) before
//! they are written, so that no unsigned allow can become valid later. Design: `appliance/DESIGN.md`, "The round".

mod arming;
pub mod boundary;
pub(crate) mod cause;
mod disk_watch;
pub mod draft;
mod operation;
mod parking;
pub mod rearm;
mod round;
mod sealed;
mod sealer;
mod transitions;

pub use arming::Authority;
pub use boundary::{Standing, TokenBoundary};
pub use cause::Cause;
pub use draft::{Answer, AskedBy, Draft, DraftError, Written};
pub use operation::{Answered, Keeps, Operation};
pub use parking::Wishes;
pub use sealed::Sealed;
pub use sealer::{
    ErasureAnswer, ErasureOrder, FenceInHsm, Gauges, HsmFenceSettings, KeyAnswer, KeyChange, KeyOrder, Place,
    Reading, Sealer, SealerError, SealerHandle, SealerSettings, Share,
};
pub use transitions::Transition;
