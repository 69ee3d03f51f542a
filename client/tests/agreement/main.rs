//! Agent, appliance and executor agree: what the client encodes the formats parse, what an appliance answers verifies at
//! an executor, and whatever is altered on the way is refused.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the functions beside the tests may fail as loudly as the tests"
)]

mod appliance;
mod batch;
#[cfg(feature = "break-glass")]
mod break_glass;
#[cfg(feature = "network")]
mod connection;
mod guard;
mod intent;
#[cfg(feature = "network")]
mod notices;
#[cfg(feature = "break-glass")]
mod office;
#[cfg(feature = "break-glass")]
mod under_warrant;
#[cfg(feature = "network")]
mod waiting;
mod wallet;
#[cfg(feature = "break-glass")]
mod warrants;
