//! What the appliance itself asserts to the policies: `context.assent`.
//!
//! One for a batch, taken when it is decided; only the rate rises from intent to intent, so that the order in a batch
//! counts as the order in time does.

use assent_evaluator::Facts;
use assent_proto::number::{Epoch, Timestamp};

/// What holds for every intent of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asserted {
    /// When it is decided.
    pub now: Timestamp,
    /// The token boundary's epoch.
    pub epoch: Epoch,
    /// Whether the token boundary is closed.
    pub degraded: bool,
    /// Approvals that are in.
    pub approvals: i64,
    /// The principal's intents in the minute before this batch.
    pub rate_before: i64,
}

impl Asserted {
    /// What holds for the intent at this position, which counts itself.
    #[must_use]
    pub fn at(&self, position: usize) -> Facts {
        let here = i64::try_from(position).unwrap_or(i64::MAX).saturating_add(1);
        Facts {
            now_ms: i64::try_from(self.now.0).unwrap_or(i64::MAX),
            approvals: self.approvals,
            degraded: self.degraded,
            agent_rate: self.rate_before.saturating_add(here),
            epoch: i64::try_from(self.epoch.0).unwrap_or(i64::MAX),
        }
    }
}
