//! The reply frame: what became of a batch, in so few bytes that the client derives the rest.
//!
//! The client knows its intents. So a reply gives what they have in common once, each distinct ruling once, and for every
//! intent the number of its ruling. From these both sides make the bytes of every entry ([`Ruling::entry`]), from the
//! entries and one range proof the root, and from all of it the tokens. A reply that was altered leads to a root that the
//! signature does not cover.

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError, Cursor};
use crate::entry::{Allow, Deny, Entry, Grounds, Hold, Policies, Salt, Wait, derived_salt};
use crate::hash::Hash;
use crate::intent::{Act, Essence, Intent, Priority};
use crate::limits::{
    MAX_BATCH_INTENTS, MAX_HEAD_BYTES, MAX_RANGE_PROOF_HASHES, MAX_REPLY_BYTES, MAX_RULING_BYTES, MAX_RULINGS,
};
use crate::note::KeyId;
use crate::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use crate::refusal::Refusal;

const REFUSED: u8 = 0;
const DECIDED: u8 = 1;

/// What was decided on an intent, with what is granted of its terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Leave, for so long and so often.
    Allow {
        /// From the time of the decision, in seconds.
        window_s: u32,
        /// How often the token may be used.
        uses: u16,
        /// Whence it has its authority.
        grounds: Grounds,
    },
    /// No leave, and why.
    Deny(Refusal),
    /// No leave yet, and what it wants.
    Hold {
        /// What the agent hears.
        refusal: Refusal,
        /// Where and for how long it waits; none: it does not, and is to be asked again.
        waiting: Option<Waiting>,
    },
}

/// How an intent waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Waiting {
    /// For how long at most, from the time of the decision, in seconds.
    pub wait_s: u32,
    /// Its place in the queue.
    pub priority: Priority,
}

/// A verdict with what it rests on; many intents of a batch share one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling<'a> {
    /// What was decided.
    pub verdict: Verdict,
    /// The risk score.
    pub risk: i64,
    /// The policies that determined it.
    #[serde(borrow)]
    pub policies: Policies<'a>,
}

/// What all entries of a batch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head<'a> {
    /// When it was decided.
    pub time: Timestamp,
    /// The token boundary's epoch.
    pub epoch: Epoch,
    /// Digest of the bundle that decided.
    pub bundle: Hash,
    /// From which each entry's salt is derived.
    pub salt: Salt,
    /// The agent, as the appliance knows it.
    pub principal: &'a str,
}

impl<'a> Ruling<'a> {
    /// The entry of the `position`th intent of a batch.
    #[must_use]
    pub fn entry(self, head: &Head<'a>, position: u32, intent: &Intent<'a>, digest: Hash) -> Entry<'a> {
        let (Act { action, resource, .. }, audience) = (intent.act, intent.terms.audience);
        self.entry_of(head, position, &Essence { action, resource, audience, digest })
    }

    /// The same, of what an entry repeats of the intent.
    #[must_use]
    pub fn entry_of(self, head: &Head<'a>, position: u32, essence: &Essence<'a>) -> Entry<'a> {
        let Head { time, epoch, bundle, principal, .. } = *head;
        let (risk, policies, salt) = (self.risk, self.policies, derived_salt(&head.salt, position));
        let Essence { action, resource, audience, digest } = *essence;
        let denial = |refusal, policies| Deny {
            salt,
            time,
            epoch,
            bundle,
            principal,
            audience,
            action,
            resource,
            intent: digest,
            refusal,
            risk,
            policies,
        };
        match self.verdict {
            Verdict::Deny(refusal) => Entry::Deny(denial(refusal, policies)),
            Verdict::Hold { refusal, waiting } => {
                let wait = waiting.map(|Waiting { wait_s, priority }| Wait {
                    until: time.plus_ms(u64::from(wait_s).saturating_mul(1000)),
                    priority,
                });
                Entry::Hold(Hold { denial: denial(refusal, policies), wait })
            }
            Verdict::Allow { window_s, uses, grounds } => Entry::Allow(Allow {
                salt,
                time,
                epoch,
                bundle,
                principal,
                audience,
                action,
                resource,
                intent: digest,
                not_before: time,
                not_after: time.plus_ms(u64::from(window_s).saturating_mul(1000)),
                uses,
                risk,
                grounds,
                policies,
            }),
        }
    }
}

/// What makes entries provable: where they are, and the signed checkpoint over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// Index of the batch's first entry; the others follow without a gap.
    pub first: LeafIndex,
    /// Size of the tree that the checkpoint covers.
    pub size: TreeSize,
    /// Whose signature.
    pub key_id: KeyId,
    /// The signature over the checkpoint's text.
    pub signature: [u8; 64],
    /// The range proof of the batch's entries.
    pub proof: heapless::Vec<Hash, MAX_RANGE_PROOF_HASHES>,
}

impl Sealing {
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, CodecError> {
        let first = LeafIndex(cursor.varint()?);
        let size = TreeSize(cursor.varint()?);
        let key_id = KeyId(cursor.array()?);
        let signature = cursor.array()?;
        let count = cursor.count(MAX_RANGE_PROOF_HASHES)?;
        let mut proof = heapless::Vec::new();
        for _ in 0..count {
            proof.push(Hash(cursor.array()?)).map_err(|_| CodecError::TooLong)?;
        }
        Ok(Self { first, size, key_id, signature, proof })
    }

    fn append(&self, out: &mut impl Extend<u8>) {
        codec::append_varint(self.first.0, out);
        codec::append_varint(self.size.0, out);
        out.extend(self.key_id.0);
        out.extend(self.signature);
        codec::append_varint(self.proof.len() as u64, out);
        for hash in &self.proof {
            out.extend(hash.0);
        }
    }
}

/// The answer to a batch that was decided.
#[derive(Clone, Debug)]
pub struct Decided<'a> {
    /// What all its entries have in common.
    pub head: Head<'a>,
    /// Missing while the token boundary is closed: then nothing was allowed.
    pub sealing: Option<Sealing>,
    rulings: Section<'a>,
    outcomes: Section<'a>,
}

/// So many items, the first of them at the cursor.
#[derive(Clone, Copy, Debug)]
struct Section<'a> {
    cursor: Cursor<'a>,
    count: usize,
}

/// A reply frame.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart where it is parsed, and nothing here allocates"
)]
pub enum Reply<'a> {
    /// The frame was refused as a whole, and no decision is told. With [`Refusal::TokenUnavailable`] there may be one, which the
    /// same frame fetches later; otherwise this asking led to none.
    Refused(Refusal),
    /// Every intent was decided.
    Decided(Decided<'a>),
}

impl<'a> Reply<'a> {
    /// Parses a reply frame.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn parse(frame: &'a [u8]) -> Result<Self, CodecError> {
        if frame.len() > MAX_REPLY_BYTES {
            return Err(CodecError::TooLong);
        }
        let mut cursor = Cursor::new(frame);
        match cursor.byte()? {
            REFUSED => codec::parse(cursor.rest()).map(Self::Refused),
            DECIDED => Decided::read(cursor).map(Self::Decided),
            _ => Err(CodecError::Malformed),
        }
    }
}

impl<'a> Decided<'a> {
    fn read(mut cursor: Cursor<'a>) -> Result<Self, CodecError> {
        let head: Head<'a> = codec::parse(cursor.bytes(MAX_HEAD_BYTES)?)?;
        let count = cursor.count(MAX_RULINGS)?;
        let rulings = Section { cursor, count };
        for _ in 0..rulings.count {
            codec::parse::<Ruling<'_>>(cursor.bytes(MAX_RULING_BYTES)?)?;
        }
        let count = cursor.count(MAX_BATCH_INTENTS)?;
        let outcomes = Section { cursor, count };
        let highest = rulings.count.checked_sub(1).ok_or(CodecError::Malformed)?;
        for _ in 0..count {
            cursor.count(highest)?;
        }
        let sealing = if cursor.boolean()? { Some(Sealing::read(&mut cursor)?) } else { None };
        cursor.end()?;
        Ok(Self { head, sealing, rulings, outcomes })
    }

    /// The distinct rulings, in the order of their numbers.
    pub fn rulings(&self) -> impl Iterator<Item = Result<Ruling<'a>, CodecError>> + use<'a> {
        let Section { mut cursor, count } = self.rulings;
        (0..count).map(move |_| cursor.bytes(MAX_RULING_BYTES).and_then(codec::parse))
    }

    /// For each intent, in order, the number of its ruling, which there is.
    pub fn outcomes(&self) -> impl ExactSizeIterator<Item = usize> + use<'a> {
        let Section { mut cursor, count } = self.outcomes;
        // INVARIANT: `read` has read each of these numbers.
        (0..count).map(move |_| cursor.count(MAX_RULINGS).unwrap_or_default())
    }
}

/// Appends the frame that refuses a request as a whole.
pub fn append_refused(refusal: Refusal, out: &mut impl Extend<u8>) {
    out.extend([REFUSED, refusal.number()]);
}

/// Appends the beginning of a reply; [`append_sealing`] ends it.
///
/// # Errors
/// [`CodecError::TooLong`] when head or a ruling is over its limit.
pub fn begin_decided<'r>(
    head: &Head<'_>,
    rulings: impl ExactSizeIterator<Item = &'r Ruling<'r>>,
    outcomes: &[u16],
    out: &mut impl Extend<u8>,
) -> Result<(), CodecError> {
    out.extend([DECIDED]);
    codec::append_bytes(codec::encode(head, &mut [0; MAX_HEAD_BYTES])?, out);
    codec::append_varint(rulings.len() as u64, out);
    let mut buffer = [0; MAX_RULING_BYTES];
    for ruling in rulings {
        codec::append_bytes(codec::encode(ruling, &mut buffer)?, out);
    }
    codec::append_varint(outcomes.len() as u64, out);
    for outcome in outcomes {
        codec::append_varint(u64::from(*outcome), out);
    }
    Ok(())
}

/// Appends the end of a reply: none while the token boundary is closed.
pub fn append_sealing(sealing: Option<&Sealing>, out: &mut impl Extend<u8>) {
    match sealing {
        None => out.extend([0]),
        Some(sealing) => {
            out.extend([1]);
            sealing.append(out);
        }
    }
}
