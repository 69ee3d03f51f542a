//! The agent's ear: what its appliance says unasked, the newest of it, for any number of tasks.
//!
//! It outlives connections: one that breaks is made anew for it, whether anybody asks for leave meanwhile or not. What is
//! here was checked as far as it can be: checkpoints verified under the configured trust, standings of an origin that it holds.

use assent_proto::wire::SignedCheckpoint;
use tokio::sync::watch;

use super::heard::Heard;
pub use super::heard::Hearing;
use crate::notice::{Fork, Standing, to_bytes};

/// What was heard, as it is now. Clones hear the same; each waits by itself.
#[derive(Clone, Debug)]
pub struct Notices {
    heard: watch::Receiver<Heard>,
}

impl Notices {
    pub(super) const fn new(heard: watch::Receiver<Heard>) -> Self {
        Self { heard }
    }

    /// How the token boundary stood when the appliance was last heard; see [`Notices::hearing`] for when that was.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.heard.borrow().standing.clone()
    }

    /// The newest checkpoint, verified. None where the client's configuration holds no trust: then none is believed.
    #[must_use]
    pub fn checkpoint(&self) -> Option<SignedCheckpoint> {
        self.heard.borrow().checkpoint
    }

    /// Whether the appliance is heard, and when last.
    #[must_use]
    pub fn hearing(&self) -> Hearing {
        self.heard.borrow().hearing
    }

    /// The proof that its log has forked or went back. From then on the client believes and gives nothing: see
    /// [`ClientError::Forked`](super::ClientError::Forked).
    #[must_use]
    pub fn fork(&self) -> Option<Fork> {
        self.heard.borrow().fork.clone()
    }

    /// The verifier key that signs, where the trust does not hold it: hearsay, and a reason to fetch a new trust file.
    #[must_use]
    pub fn unknown_key(&self) -> Option<String> {
        self.heard.borrow().unknown_key.clone()
    }

    /// How many notices were not believed: malformed, of another log, or checkpoints that do not verify.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.heard.borrow().dropped
    }

    /// Waits for news since the last wait: another standing, checkpoint or key, silence and its end, a fork. That the same
    /// was said again is no news. What was heard before the first wait ends it at once. False: the client is gone, and there
    /// will be none.
    pub async fn changed(&mut self) -> bool {
        self.heard.changed().await.is_ok()
    }

    /// Waits for a standing such as `wanted`, which may be the one that there is. None: the client is gone, or the log was seen
    /// to fork (see [`Notices::fork`]), after which no standing is believed any more.
    pub async fn standing_where(&mut self, wanted: impl Fn(&Standing) -> bool) -> Option<Standing> {
        let told = |heard: &Heard| heard.fork.is_some() || heard.standing.as_ref().is_some_and(&wanted);
        let heard = self.heard.wait_for(told).await.ok()?;
        if heard.fork.is_some() { None } else { heard.standing.clone() }
    }

    /// The newest notices as a file holds them, for executors without a network.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let heard = self.heard.borrow();
        to_bytes(heard.standing.as_ref(), heard.checkpoint.as_ref())
    }
}
