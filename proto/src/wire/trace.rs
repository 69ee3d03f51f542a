//! Trace context: where an agent's trace and the appliance's meet (W3C Trace Context, level 2).
//!
//! `5 | version 0 | trace id 16 | parent id 8 | flags 1`, ahead of a request for leave on the same stream. The one rule: it is
//! no part of that request. Nothing of it is hashed, logged or recorded, so a batch that is asked again may come with another one, or
//! with none. It says where a trace goes on; not who sent it, and nothing that a decision could rest on.

use core::fmt;
use core::str::FromStr;

use super::request::PREAUTHORIZE;
use crate::codec::{CodecError, Cursor};

/// The first byte of a trace context.
const TRACE: u8 = 5;
/// The version of `traceparent` that the fields are of.
const VERSION: u8 = 0;
/// The flags that have a meaning: sampled, and a trace id that is random. A sender sets no other.
const FLAGS: u8 = 0b11;
/// The flag by which a sender says that it records the trace.
const SAMPLED: u8 = 0b01;
/// Bytes of `traceparent` as text, up to its flags.
const TEXT_BYTES: usize = 55;

/// In which trace a batch is asked, and by which span of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    parent_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// Bytes that it takes ahead of a request.
    pub const BYTES: usize = 27;

    /// From its fields; flags without a meaning are left out.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] for an id of zeroes, which stands for none.
    pub fn new(trace_id: [u8; 16], parent_id: [u8; 8], flags: u8) -> Result<Self, CodecError> {
        if trace_id == [0; 16] || parent_id == [0; 8] {
            return Err(CodecError::Malformed);
        }
        Ok(Self { trace_id, parent_id, flags: flags & FLAGS })
    }

    /// Takes the trace context from what came on a stream, where it begins with one: what is left is the request for leave, or
    /// the part of it that has come. Anything else behind a trace context, another one included, is refused.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn split(stream: &[u8]) -> Result<(Option<Self>, &[u8]), CodecError> {
        if stream.first() != Some(&TRACE) {
            return Ok((None, stream));
        }
        let mut cursor = Cursor::new(stream);
        let [_, version] = cursor.array()?;
        let (trace_id, parent_id, flags) = (cursor.array()?, cursor.array()?, cursor.byte()?);
        if version != VERSION || flags & !FLAGS != 0 {
            return Err(CodecError::Malformed);
        }
        let context = Self::new(trace_id, parent_id, flags)?;
        match cursor.rest().first() {
            Some(&PREAUTHORIZE) => Ok((Some(context), cursor.rest())),
            Some(_) => Err(CodecError::Malformed),
            None => Err(CodecError::Truncated),
        }
    }

    /// Its bytes, which are sent ahead of a request for leave.
    #[must_use]
    pub fn encoded(&self) -> [u8; Self::BYTES] {
        let head = [TRACE, VERSION].into_iter().chain(self.trace_id);
        let mut all = head.chain(self.parent_id).chain([self.flags]);
        core::array::from_fn(|_| all.next().unwrap_or_default())
    }

    /// The trace.
    #[must_use]
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span that asks.
    #[must_use]
    pub const fn parent_id(&self) -> [u8; 8] {
        self.parent_id
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the sender records the trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// As `traceparent` has it, in version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, parent) = (u128::from_be_bytes(self.trace_id), u64::from_be_bytes(self.parent_id));
        write!(f, "{VERSION:02x}-{trace:032x}-{parent:016x}-{:02x}", self.flags)
    }
}

/// Reads a `traceparent`. Of a version that is to come it takes what the specification says will stay.
impl FromStr for TraceContext {
    type Err = CodecError;

    fn from_str(text: &str) -> Result<Self, CodecError> {
        let (head, tail) = text.as_bytes().split_first_chunk::<TEXT_BYTES>().ok_or(CodecError::Truncated)?;
        let mut fields = head.split(|byte| *byte == b'-');
        let [version] = hex(fields.next())?;
        let (trace_id, parent_id) = (hex(fields.next())?, hex(fields.next())?);
        let [flags] = hex(fields.next())?;
        let goes_on = version != VERSION && tail.first() == Some(&b'-');
        if fields.next().is_some() || version == u8::MAX || !(tail.is_empty() || goes_on) {
            return Err(CodecError::Malformed);
        }
        Self::new(trace_id, parent_id, flags)
    }
}

/// So many bytes of lower-case hexadecimal digits.
fn hex<const N: usize>(digits: Option<&[u8]>) -> Result<[u8; N], CodecError> {
    let (pairs, []) = digits.unwrap_or_default().as_chunks::<2>() else { return Err(CodecError::Malformed) };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return Err(CodecError::Malformed);
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Ok(bytes)
}

const fn digit(digit: u8) -> Result<u8, CodecError> {
    match digit {
        b'0'..=b'9' => Ok(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Ok(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => Err(CodecError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn text_reads_as_the_specification_says() {
        let context: TraceContext = TEXT.parse().unwrap();
        assert!(context.is_sampled());
        assert_eq!(heapless::format!(64; "{context}").unwrap(), TEXT);
        // Flags without a meaning are not passed on; versions to come are taken for what they have of this one.
        let [other, later] = [
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-fc",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
        ]
        .map(|text| text.parse::<TraceContext>().unwrap());
        assert_eq!((other.flags(), later), (0, context));
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
            "00-0af7651916cd43dd8448eb211c8031-9cb7ad6b7169203331--01",
        ] {
            assert!(wrong.parse::<TraceContext>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_of_it_are_the_only_ones() {
        let context: TraceContext = TEXT.parse().unwrap();
        let request = [PREAUTHORIZE, 7];
        let mut stream = [0; TraceContext::BYTES + 2];
        for (to, from) in stream.iter_mut().zip(context.encoded().into_iter().chain(request)) {
            *to = from;
        }
        assert_eq!(TraceContext::split(&stream), Ok((Some(context), request.as_slice())));
        assert_eq!(TraceContext::split(&request), Ok((None, request.as_slice())));
        for flags in 0..=u8::MAX {
            stream[TraceContext::BYTES - 1] = flags;
            assert_eq!(TraceContext::split(&stream).is_ok(), flags <= FLAGS, "{flags}");
        }
    }
}
