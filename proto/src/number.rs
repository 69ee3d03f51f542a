//! Numbers that must not mix: each is its own type.

use core::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// Position of a leaf in the log, from 0 (RFC 6962 section 2.1).
    LeafIndex
}
number! {
    /// Leaves in the log (RFC 6962 section 3.5).
    TreeSize
}
number! {
    /// How often the token boundary has tripped. A token of a lower epoch than a verifier accepts is refused.
    Epoch
}
number! {
    /// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    Timestamp
}

impl Timestamp {
    /// This much later; saturates at the end of time.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This much earlier; saturates at 1970.
    #[must_use]
    pub const fn minus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }
}
