//! What ours stands on, each alone: one signature, one commit, one exchange over QUIC.

pub(crate) mod commit;
pub(crate) mod echo;
pub(crate) mod rows;
pub(crate) mod sign;
