//! Notices as their owner keeps them: how an appliance's token boundary stands, and what proves that its log has forked.
//!
//! The one rule: a notice takes leave away and never gives any. Where notices come from, [`Client::notices`] tells; an
//! executor without a network can be handed the bytes of [`to_bytes`]. The bytes: `FORMAT.md` section 16.
//!
//! [`Client::notices`]: crate::Client::notices

use std::fmt;

use assent_proto::number::{Epoch, Timestamp};
use assent_proto::wire::{self, Notice};
pub use assent_proto::wire::{Closure, SignedCheckpoint};

/// How the token boundary of an appliance stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When this was said, by the appliance's clock.
    pub time: Timestamp,
    /// Whose boundary: the origin of its log.
    pub origin: String,
    /// Its epoch, which every trip raises.
    pub epoch: Epoch,
    /// Why it is closed; none: it is open.
    pub closed: Option<Closure>,
    /// Tokens of this log that were decided in a lower epoch are revoked.
    pub lowest_epoch: Epoch,
}

impl Standing {
    /// Whether tokens can be had.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether the other says the same, be it at another time.
    #[cfg(feature = "network")]
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        *self == Self { time: self.time, ..other.clone() }
    }
}

impl From<wire::Standing<'_>> for Standing {
    fn from(said: wire::Standing<'_>) -> Self {
        let wire::Standing { time, origin, epoch, closed, lowest_epoch } = said;
        Self { time, origin: origin.to_owned(), epoch, closed, lowest_epoch }
    }
}

/// Notices as a file of them holds them, for an executor that has no network: see [`Guard::heed_all`].
///
/// Replace such a file as a whole (write another, rename it), so that nobody reads half of it.
///
/// [`Guard::heed_all`]: crate::Guard::heed_all
#[must_use]
pub fn to_bytes(standing: Option<&Standing>, checkpoint: Option<&SignedCheckpoint>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    wire::begin_notices(&mut bytes);
    let standing = standing.map(|said| {
        let Standing { time, origin, epoch, closed, lowest_epoch } = said;
        let (time, epoch, closed, lowest_epoch) = (*time, *epoch, *closed, *lowest_epoch);
        Notice::Standing(wire::Standing { time, origin, epoch, closed, lowest_epoch })
    });
    for notice in standing.into_iter().chain(checkpoint.map(|signed| Notice::Checkpoint(*signed))) {
        // What no reader would take is left out; nothing that was read is such.
        let _ = notice.append(&mut bytes);
    }
    bytes
}

/// Two verified checkpoints of one log that cannot both be of it: keep them, they are the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// Which log.
    pub origin: String,
    /// What it had signed.
    pub known: SignedCheckpoint,
    /// What it says now: another root for the same size, or a smaller size.
    pub said: SignedCheckpoint,
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, known, said } = self;
        if said.size == known.size {
            write!(
                f,
                "log `{origin}` has forked: at {} leaves it had root {}, and has {}",
                said.size, known.root, said.root
            )?;
        } else {
            write!(f, "log `{origin}` went back from {} leaves to {}", known.size, said.size)?;
        }
        f.write_str("; trust none of its tokens, and have its operators run `assent log verify`")
    }
}
