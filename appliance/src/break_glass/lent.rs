//! The lent warrant: the one that lives, lent to one round that nothing else can sign.
//!
//! The rule it keeps: a number is given once, in order, and only for what operators have signed: the charter's scope, the warrant's
//! window and its uses. What was decided before the warrant was in the log, or in another epoch, is not decided under it.
//! A number counts as used only when the round's commit has it; a round that comes to nothing gives it back by never having been.

use std::sync::Arc;

use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Entry, Grounds};
use assent_proto::intent::Uid;
use assent_proto::note::{KeyId, VerifierKey};
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::verify::warrant_key_name;
use assent_proto::wire::{Head, Verdict};

use super::key::Prepared;

/// What is left of a warrant.
#[derive(Debug)]
pub(crate) struct LentWarrant {
    pub(super) warrant: LeafIndex,
    pub(super) prepared: Arc<Prepared>,
    /// The charter's leaf.
    pub(super) charter: Vec<u8>,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) uses: u16,
    /// Uses so far, with those of this round.
    pub(super) used: u16,
    /// Whether this round made any.
    pub(super) is_used: bool,
}

/// Tells its holder that the key of a warrant signed a checkpoint that covers the round, and that the signature verified. It
/// does not tell that the round is durable, and it covers nothing but the answers that hold uses of this warrant.
///
/// Only [`LentWarrant::sign`] makes one.
#[derive(Debug)]
#[must_use]
pub(crate) struct UnderWarrant {
    warrant: LeafIndex,
    key_id: KeyId,
    signature: [u8; 64],
}

impl UnderWarrant {
    pub(crate) const fn warrant(&self) -> LeafIndex {
        self.warrant
    }

    pub(crate) const fn key_id(&self) -> KeyId {
        self.key_id
    }

    pub(crate) const fn signature(&self) -> [u8; 64] {
        self.signature
    }
}

impl LentWarrant {
    /// Whether any of it was used in this round.
    pub(crate) const fn is_used(&self) -> bool {
        self.is_used
    }

    /// The next use, for an intent that the policies allow so long; none where it is not for this, or none is left.
    pub(crate) fn take(
        &mut self,
        head: &Head<'_>,
        (action, resource): (&Uid<'_>, &Uid<'_>),
        window_s: u32,
    ) -> Option<Verdict> {
        let Ok(Entry::Charter(charter)) = Entry::parse(&self.charter) else { return None };
        let number = self.used.checked_add(1).filter(|number| *number <= self.uses)?;
        let window_s = self.window(head.time, window_s)?;
        if !charter.scope().covers(action, resource, head.principal) {
            return None;
        }
        (self.used, self.is_used) = (number, true);
        let grounds = Grounds::Warrant { leaf: self.warrant, number };
        Some(Verdict::Allow { window_s, uses: 1, grounds })
    }

    /// As long as the catalog grants, and no longer than the warrant lives.
    fn window(&self, time: Timestamp, window_s: u32) -> Option<u32> {
        let is_alive = self.not_before <= time && time <= self.not_after;
        let left_s = self.not_after.0.saturating_sub(time.0) / 1000;
        let window_s = window_s.min(u32::try_from(left_s).unwrap_or(u32::MAX));
        (is_alive && window_s > 0).then_some(window_s)
    }

    /// Has the warrant's key sign a checkpoint of this log. None where the signature does not verify.
    pub(crate) fn sign(&self, checkpoint: &Checkpoint<'_>) -> Option<UnderWarrant> {
        let name = warrant_key_name(checkpoint.origin, self.warrant).ok()?;
        let key = VerifierKey::new(&name, self.prepared.key.public()).ok()?;
        let text = checkpoint.text().ok()?;
        let signature = self.prepared.key.sign(&key, text.as_bytes())?;
        Some(UnderWarrant { warrant: self.warrant, key_id: key.id(), signature })
    }
}
