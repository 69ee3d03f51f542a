//! Batches: many intents in one frame, and the tokens that the answer leads to.
//!
//! The answer holds no tokens. From it and our own intents we make the log's entries, hash them into the root of the
//! tree, and cut each token out: so an answer that was altered on the way leads to a root that no signature covers. With
//! a trust at hand, such an answer is refused as a whole. No input or output here, and no clock.

mod derivation;
mod error;
mod ticket;

use std::collections::HashMap;

use assent_proto::hash::Hash;
use assent_proto::intent::Essence;
use assent_proto::limits::{MAX_BATCH_INTENTS, MAX_FRAME_BYTES};
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::refusal::Refusal;
pub use assent_proto::wire::BatchId;
use assent_proto::wire::{Ticket as TicketId, TraceContext, Verdict, begin_request, push_intent};

use crate::encoding;
use crate::intent::Intent;
use crate::outcome::{Outcome, Reason};
use crate::token::Token;
use crate::trust::Trust;
use crate::wallet::Succession;
#[cfg(feature = "break-glass")]
use crate::warrant::Warrant;

use self::derivation::Believed;
pub use self::error::{BatchError, ReplyError};
pub use self::ticket::{Ticket, TicketError};

/// Where something lies in a piece of memory.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
}

/// Where an intent lies in the frame.
#[derive(Clone, Copy, Debug)]
struct Place {
    span: Span,
    /// Bytes of its act.
    act: usize,
}

/// Intents, encoded into the frame that asks for leave for all of them.
#[derive(Clone, Debug)]
pub struct Batch {
    id: BatchId,
    frame: Vec<u8>,
    places: Vec<Place>,
    /// In which trace it is asked; nothing in the frame, in the answer or in what follows from it depends on it. Few have one.
    trace: Option<Box<TraceContext>>,
    /// Which succession of a wallet each intent goes on with; empty but where a wallet asks again.
    successions: Vec<Succession>,
}

impl Batch {
    /// Encodes intents under an id. Sending the same batch again fetches the recorded answer, never a second decision.
    ///
    /// # Errors
    /// [`BatchError`].
    pub fn new<'i>(
        id: BatchId,
        intents: impl IntoIterator<Item = &'i Intent, IntoIter: ExactSizeIterator>,
    ) -> Result<Self, BatchError> {
        let intents = intents.into_iter();
        let mut batch = Self::begin(id, intents.len())?;
        let mut encoded = Vec::with_capacity(512);
        for (position, intent) in intents.enumerate() {
            encoded.clear();
            let act = encoding::append_intent(intent, &mut encoded)
                .map_err(|cause| BatchError::Intent { position, cause })?;
            batch.push(&encoded, act)?;
        }
        Ok(batch)
    }

    fn begin(id: BatchId, intents: usize) -> Result<Self, BatchError> {
        if !(1..=MAX_BATCH_INTENTS).contains(&intents) {
            return Err(BatchError::Count { intents });
        }
        let mut frame = Vec::with_capacity(32 + 256 * intents);
        begin_request(id, intents, &mut frame);
        Ok(Self { id, frame, places: Vec::with_capacity(intents), trace: None, successions: Vec::new() })
    }

    /// Appends an intent whose act takes so many bytes.
    fn push(&mut self, encoded: &[u8], act: usize) -> Result<(), BatchError> {
        push_intent(encoded, &mut self.frame);
        let end = self.frame.len();
        if end > MAX_FRAME_BYTES {
            return Err(BatchError::TooLarge { bytes: end });
        }
        self.places.push(Place { span: Span { start: end - encoded.len(), end }, act });
        Ok(())
    }

    /// The same intents of `self` at these positions, as a batch of their own under another id.
    pub(crate) fn of_parts<'b>(
        id: BatchId,
        parts: impl ExactSizeIterator<Item = (&'b Self, usize)>,
    ) -> Result<Self, BatchError> {
        let mut batch = Self::begin(id, parts.len())?;
        for (from, position) in parts {
            let (encoded, act) = from.encoded(position).unwrap_or_default();
            batch.push(encoded, act)?;
        }
        Ok(batch)
    }

    /// The same, each intent asked again for the tokens of a wallet's succession.
    pub(crate) fn succeeding(self, successions: Vec<Succession>) -> Self {
        Self { successions, ..self }
    }

    /// Which succession of a wallet the intent at a position goes on with.
    pub(crate) fn succession(&self, position: usize) -> Option<Succession> {
        self.successions.get(position).copied()
    }

    /// The same, asked in this trace: the appliance's own span of it is to be a child of that span. It is sent ahead of the frame, and the log does
    /// not keep it.
    #[must_use]
    pub fn traced(self, trace: TraceContext) -> Self {
        Self { trace: Some(Box::new(trace)), ..self }
    }

    /// In which trace it is asked.
    #[must_use]
    pub fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_deref()
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> BatchId {
        self.id
    }

    /// The bytes to send.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// How many intents.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub const fn len(&self) -> usize {
        self.places.len()
    }

    /// An intent's bytes, and how many of them its act takes.
    fn encoded(&self, position: usize) -> Option<(&[u8], usize)> {
        let Place { span, act } = *self.places.get(position)?;
        Some((self.frame.get(span.start..span.end)?, act))
    }

    /// What the entry of an intent repeats of it.
    fn essence(&self, position: usize) -> Option<Essence<'_>> {
        let (encoded, act) = self.encoded(position)?;
        Essence::of_own(encoded, act).ok()
    }

    /// Opens the answer: verifies it against `trust`, where that is given, and derives the tokens.
    ///
    /// Without a trust the answer is believed as far as the connection is; executors verify every token all the same.
    ///
    /// # Errors
    /// [`ReplyError`]; then nothing of the answer is to be believed.
    pub fn open(self, reply: &[u8], trust: Option<&Trust>, now: Timestamp) -> Result<Outcomes, ReplyError> {
        derivation::open(self, reply, trust.map(|trust| Believed { trust, warrants: &[] }), now)
    }

    /// As [`Batch::open`], with warrants that are believed beside the trust: an answer that a warrant's key sealed is taken where
    /// all that it allows rests on that warrant.
    ///
    /// # Errors
    /// [`ReplyError`]; then nothing of the answer is to be believed.
    #[cfg(feature = "break-glass")]
    pub fn open_under<'w>(
        self,
        reply: &[u8],
        trust: &Trust,
        warrants: impl IntoIterator<Item = &'w Warrant>,
        now: Timestamp,
    ) -> Result<Outcomes, ReplyError> {
        let vouched = warrants.into_iter().filter(|warrant| warrant.is_vouched_for_by(trust.keys()));
        let warrants: Vec<_> = vouched.filter_map(Warrant::trusted).collect();
        derivation::open(self, reply, Some(Believed { trust, warrants: &warrants }), now)
    }
}

/// A distinct ruling of an answer, owned.
#[derive(Clone, Debug)]
struct Ruled {
    verdict: Verdict,
    risk: i64,
    policies: Vec<String>,
    policies_total: u32,
}

/// What became of one intent.
#[derive(Clone, Copy, Debug)]
struct Line {
    ruling: usize,
    digest: Hash,
    /// Under which it waits, where it does.
    ticket: Option<TicketId>,
    /// Its token within the arena; empty where there is none.
    token: Span,
}

/// What became of a batch, in the order of its intents. All its tokens lie in one piece of memory.
#[derive(Clone, Debug)]
#[must_use]
pub struct Outcomes {
    batch: Batch,
    time: Timestamp,
    epoch: Epoch,
    /// The log that the answer is in, where a trust told.
    origin: Option<&'static str>,
    principal: Box<str>,
    first: LeafIndex,
    rulings: Vec<Ruled>,
    lines: Vec<Line>,
    tokens: Vec<u8>,
}

impl Outcomes {
    /// How many intents.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub const fn len(&self) -> usize {
        self.lines.len()
    }

    /// The batch that was answered.
    #[must_use]
    pub const fn batch(&self) -> &Batch {
        &self.batch
    }

    /// When it was decided, by the appliance's clock.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The epoch of the token boundary in which it was decided.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Origin of the log that its entries are in; none where no trust was given, or nothing was sealed.
    #[must_use]
    pub const fn origin(&self) -> Option<&'static str> {
        self.origin
    }

    /// The agent, as the appliance knows it.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// What became of the intent at a position.
    #[must_use]
    pub fn at(&self, position: usize) -> Option<Outcome<'_>> {
        let line = self.lines.get(position)?;
        let ruled = self.rulings.get(line.ruling)?;
        match ruled.verdict {
            Verdict::Allow { window_s, uses, grounds } => Some(Outcome::Allowed(Token {
                bytes: self.tokens.get(line.token.start..line.token.end)?,
                index: LeafIndex(self.first.0.saturating_add(position as u64)),
                not_before: self.time,
                not_after: self.time.plus_ms(u64::from(window_s).saturating_mul(1000)),
                uses,
                grounds,
            })),
            Verdict::Deny(refusal) | Verdict::Hold { refusal, .. } => {
                let Ruled { risk, policies_total, .. } = *ruled;
                let reason = Reason { refusal, policies: &ruled.policies, policies_total, risk };
                Some(Outcome::refused(&ruled.verdict, line.ticket, reason))
            }
        }
    }

    /// What became of each, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Outcome<'_>> {
        (0..self.lines.len()).map(|position| {
            // INVARIANT: derivation has checked each ruling's number and each token's place.
            self.at(position).unwrap_or(Outcome::Unavailable(UNKNOWN))
        })
    }

    /// The tokens, each with the position of its intent.
    pub fn tokens(&self) -> impl Iterator<Item = (usize, Token<'_>)> {
        self.iter().enumerate().filter_map(|(position, outcome)| Some((position, outcome.token()?)))
    }

    /// Whether there is leave for every intent.
    #[must_use]
    pub fn all_allowed(&self) -> bool {
        self.iter().all(|outcome| outcome.token().is_some())
    }

    /// What the token of the intent at a position is bound to.
    #[must_use]
    pub fn digest(&self, position: usize) -> Option<Hash> {
        self.lines.get(position).map(|line| line.digest)
    }

    /// What waits: each ticket with its intents, in the order of the first of them.
    #[must_use]
    pub fn tickets(&self) -> Vec<Ticket> {
        let mut parts: Vec<(TicketId, Vec<usize>)> = Vec::new();
        let mut places: HashMap<TicketId, usize> = HashMap::new();
        for (position, line) in self.lines.iter().enumerate() {
            let Some(id) = line.ticket else { continue };
            let place = *places.entry(id).or_insert(parts.len());
            match parts.get_mut(place) {
                Some((_, positions)) => positions.push(position),
                None => parts.push((id, vec![position])),
            }
        }
        let made = parts.into_iter().map(|(id, positions)| Ticket::of_parts(id, &self.batch, positions));
        made.collect()
    }

    /// For whom the token of the intent at a position is.
    pub(crate) fn audience(&self, position: usize) -> Option<&str> {
        self.batch.essence(position).map(|essence| essence.audience)
    }
}

/// Stands where there is nothing to tell; the safe side of not knowing.
const UNKNOWN: Reason<'static> =
    Reason { refusal: Refusal::TokenUnavailable, policies: &[], policies_total: 0, risk: 0 };
