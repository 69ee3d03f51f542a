//! The request frame: a batch of intents under a batch id.
//!
//! `1 | batch id 16 | count varint | (length varint | intent)*`. The intents are parsed before the request exists, all of
//! them: one that is not canonical spoils the frame, since its sender is not to be trusted to frame the others.

use crate::codec::{self, CodecError, Cursor};
use crate::intent::{Intent, IntentError};
use crate::limits::{MAX_BATCH_AGE_MS, MAX_BATCH_INTENTS, MAX_FRAME_BYTES, MAX_INTENT_BYTES, MAX_SKEW_MS};
use crate::number::Timestamp;
use crate::refusal::Refusal;
use crate::wire::Ticket;

/// The first byte of a frame that asks for leave.
pub(super) const PREAUTHORIZE: u8 = 1;
/// The first byte of a frame that asks what became of intents that waited.
const COLLECT: u8 = 2;
/// The first byte of a frame that withdraws them.
const CANCEL: u8 = 3;

/// Names a batch, so that asking again fetches the recorded answer instead of a second decision.
///
/// The first six bytes are the time at which it was made, in milliseconds, big-endian; the rest is random. An appliance
/// remembers answers for [`MAX_BATCH_AGE_MS`] and refuses ids that are older, so none is ever decided twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub [u8; 16]);

impl BatchId {
    /// A new id.
    #[must_use]
    pub const fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let [_, _, a, b, c, d, e, f] = now.0.to_be_bytes();
        let [g, h, i, j, k, l, m, n, o, p] = random;
        Self([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p])
    }

    /// When it was made, as its maker says.
    #[must_use]
    pub const fn time(self) -> Timestamp {
        let [a, b, c, d, e, f, ..] = self.0;
        Timestamp(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// Whether an answer under this id would still be remembered, and it was not made in the future.
    #[must_use]
    pub fn is_current(self, now: Timestamp) -> bool {
        self.time() <= now.plus_ms(MAX_SKEW_MS) && now <= self.time().plus_ms(MAX_BATCH_AGE_MS)
    }
}

impl core::fmt::Display for BatchId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl core::fmt::Debug for BatchId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "BatchId({self})")
    }
}

/// Why bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The frame itself is malformed or over a limit.
    Frame(CodecError),
    /// The intent at this position is malformed or over a limit.
    Intent(u32, IntentError),
}

impl RequestError {
    /// What the peer hears.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::Intent(_, IntentError::TooLarge) => Refusal::IntentTooLarge,
            Self::Intent(_, IntentError::Malformed(_)) | Self::Frame(_) => Refusal::FrameInvalid,
        }
    }
}

impl core::fmt::Display for RequestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Frame(error) => write!(f, "frame: {error}"),
            Self::Intent(position, IntentError::TooLarge) => write!(f, "intent {position} is over a limit"),
            Self::Intent(position, IntentError::Malformed(error)) => write!(f, "intent {position}: {error}"),
        }
    }
}

impl core::error::Error for RequestError {}

impl From<CodecError> for RequestError {
    fn from(error: CodecError) -> Self {
        Self::Frame(error)
    }
}

/// What an agent can ask.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub enum Frame<'a> {
    /// Leave for intents.
    Preauthorize(Request<'a>),
    /// What became of intents that waited under this ticket.
    Collect(Ticket),
    /// That they wait no longer.
    Cancel(Ticket),
}

impl<'a> Frame<'a> {
    /// Parses a frame.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(frame: &'a [u8]) -> Result<Self, RequestError> {
        Self::parse_of_ticket(frame).unwrap_or_else(|| Request::parse(frame).map(Self::Preauthorize))
    }

    /// Parses a frame that is about a ticket; none where it is about something else.
    ///
    /// # Errors
    /// [`RequestError`].
    #[must_use]
    pub fn parse_of_ticket(frame: &'a [u8]) -> Option<Result<Self, RequestError>> {
        match frame.first() {
            Some(&COLLECT) => Some(ticket_of(frame).map(Self::Collect)),
            Some(&CANCEL) => Some(ticket_of(frame).map(Self::Cancel)),
            Some(_) | None => None,
        }
    }
}

fn ticket_of(frame: &[u8]) -> Result<Ticket, RequestError> {
    let mut cursor = Cursor::new(frame);
    cursor.byte()?;
    let ticket = Ticket(BatchId(cursor.array()?));
    cursor.end()?;
    Ok(ticket)
}

/// Appends the frame that asks what became of what waits under a ticket.
pub fn append_collect(ticket: Ticket, out: &mut impl Extend<u8>) {
    out.extend([COLLECT]);
    out.extend(ticket.0.0);
}

/// Appends the frame that withdraws what waits under a ticket.
pub fn append_cancel(ticket: Ticket, out: &mut impl Extend<u8>) {
    out.extend([CANCEL]);
    out.extend(ticket.0.0);
}

/// A batch of intents, every one of them parsed.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Request<'a> {
    batch: BatchId,
    intents: Intents<'a>,
    frame: &'a [u8],
}

impl<'a> Request<'a> {
    /// Parses a frame, and every intent in it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(frame: &'a [u8]) -> Result<Self, RequestError> {
        Self::parse_with(frame, |_| {})
    }

    /// The same, and gives each intent as soon as it is parsed, for those who need them all and would parse them again. What was
    /// given before an error is to be dropped.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse_with(frame: &'a [u8], mut each: impl FnMut(Intent<'a>)) -> Result<Self, RequestError> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(RequestError::Frame(CodecError::TooLong));
        }
        let mut cursor = Cursor::new(frame);
        if cursor.byte()? != PREAUTHORIZE {
            return Err(RequestError::Frame(CodecError::Malformed));
        }
        let batch = BatchId(cursor.array()?);
        let count = cursor.count(MAX_BATCH_INTENTS)?;
        let intents = Intents { cursor, remaining: count };
        for position in 0..count {
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            // The frame's limit is not the intent's: the length is taken as it is, and judged by the intent.
            let bytes = cursor.bytes(MAX_FRAME_BYTES)?;
            each(Intent::parse(bytes).map_err(|error| RequestError::Intent(position, error))?);
        }
        cursor.end()?;
        if count == 0 {
            return Err(RequestError::Frame(CodecError::Malformed));
        }
        Ok(Self { batch, intents, frame })
    }

    /// The batch id.
    #[must_use]
    pub const fn batch(&self) -> BatchId {
        self.batch
    }

    /// The intents, in order.
    #[must_use]
    pub const fn intents(&self) -> Intents<'a> {
        self.intents
    }

    /// All bytes of the frame: what a batch id is bound to.
    #[must_use]
    pub const fn frame(&self) -> &'a [u8] {
        self.frame
    }
}

/// Walks the intents of a request, giving each with its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Intents<'a> {
    cursor: Cursor<'a>,
    remaining: usize,
}

impl<'a> Iterator for Intents<'a> {
    type Item = (Intent<'a>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        let bytes = self.cursor.bytes(MAX_INTENT_BYTES).ok()?;
        Some((Intent::parse(bytes).ok()?, bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

impl ExactSizeIterator for Intents<'_> {}

/// Appends the beginning of a request for `count` intents, each of which [`push_intent`] then appends.
pub fn begin_request(batch: BatchId, count: usize, out: &mut impl Extend<u8>) {
    out.extend([PREAUTHORIZE]);
    out.extend(batch.0);
    codec::append_varint(count as u64, out);
}

/// Appends one encoded intent to a request.
pub fn push_intent(intent: &[u8], out: &mut impl Extend<u8>) {
    codec::append_bytes(intent, out);
}
