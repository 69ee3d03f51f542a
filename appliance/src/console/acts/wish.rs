//! Wishes: what an operator may want done, as a page asks for it.

use serde::{Deserialize, Serialize};

use crate::break_glass::BreakGlassOrder;
use crate::operators::SignatureFile;

/// What an operator wishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case", deny_unknown_fields)]
pub enum Wish {
    /// Approve or reject a hold.
    Answer {
        /// Its ticket.
        ticket: String,
        /// `true` approves it.
        approve: bool,
    },
    /// Withdraw a ticket.
    Cancel {
        /// Which.
        ticket: String,
        /// Why.
        reason: String,
    },
    /// Have the token boundary opened again.
    Rearm {
        /// Whether executors are to refuse what was decided before.
        revoke: bool,
    },
    /// Review a use of a warrant.
    Review {
        /// The use's leaf.
        leaf: u64,
        /// What was found.
        justified: bool,
        /// Why.
        text: String,
    },
    /// Make a warrant ready, and sign it.
    Warrant {
        /// The charter.
        charter: String,
        /// Why.
        reason: String,
        /// How many uses.
        uses: u16,
        /// For how many seconds.
        window_s: u32,
    },
    /// Sign something that others have signed.
    Join {
        /// Its number among those that wait for signatures.
        mark: String,
    },
    /// End a warrant.
    EndWarrant {
        /// The leaf at which it was activated.
        leaf: u64,
        /// Why.
        reason: String,
    },
}

/// The order of a review or a warrant; without a signature, what is to be signed is asked for.
pub(super) fn break_glass_order(wish: &Wish, signature: Option<SignatureFile>) -> Option<BreakGlassOrder> {
    match wish {
        Wish::Review { leaf, justified, text } => Some(BreakGlassOrder::ReviewClose {
            leaf: *leaf,
            justified: *justified,
            text: text.clone(),
            signatures: signature.into_iter().collect(),
        }),
        Wish::Warrant { charter, reason, uses, window_s } => Some(BreakGlassOrder::WarrantPrepare {
            charter: charter.clone(),
            reason: reason.clone(),
            uses: *uses,
            window_s: *window_s,
        }),
        Wish::Answer { .. }
        | Wish::Cancel { .. }
        | Wish::Rearm { .. }
        | Wish::Join { .. }
        | Wish::EndWarrant { .. } => None,
    }
}
