//! Frames between the appliance and its signer: a little-endian `u32` length, then one postcard value.
//!
//! Each end has one buffer of fixed size for each direction; a frame is one `write` and, as a rule, one `read`. A length
//! over the limit ends the connection before a byte of it is kept. Both ends are of one build: there is no version.

use std::io::{Read, Write};

use assent_proto::codec;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::{FaultKind, HsmFault, HsmIdentity};
use crate::limits::MAX_SIGNER_FRAME_BYTES;

const LENGTH_BYTES: usize = 4;

/// What the appliance asks. The first question is `Start`, and there is no second one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Question<'a> {
    #[serde(borrow)]
    Start(Start<'a>),
    Sign {
        sequence: u64,
        text: &'a [u8],
    },
    /// What data objects have this label?
    Fence {
        label: &'a str,
    },
    /// Keep this in place of what has this label.
    KeepFence {
        label: &'a str,
        note: &'a [u8],
    },
}

/// Everything that the signer needs to be able to sign.
#[derive(Serialize, Deserialize)]
pub(super) struct Start<'a> {
    /// The process that asks; when the signer's parent is another one, the appliance is gone already.
    pub(super) parent: u32,
    pub(super) module: &'a str,
    pub(super) slot_label: &'a str,
    pub(super) slot_serial: Option<&'a str>,
    pub(super) key_id: &'a [u8],
    pub(super) pin: &'a [u8],
    pub(super) allow_simulator: bool,
    /// Paths that it must not open.
    #[serde(borrow)]
    pub(super) protected: Vec<&'a str>,
}

impl std::fmt::Debug for Start<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Start").field("slot_label", &self.slot_label).finish_non_exhaustive()
    }
}

/// What the signer says. After a `Fault` it ends.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer<'a> {
    Ready(HsmIdentity),
    Signature {
        sequence: u64,
        signature: &'a [u8],
    },
    /// So many data objects, and what the first of them hold.
    Fence {
        count: u32,
        #[serde(borrow)]
        notes: Vec<&'a [u8]>,
    },
    FenceKept,
    /// The HSM keeps no data objects; it signs all the same.
    FenceRefused {
        why: &'a str,
    },
    Fault {
        kind: FaultKind,
        detail: &'a str,
    },
}

impl Answer<'_> {
    /// The fault that it tells, or that it is, where another answer was due.
    pub(super) fn undue(&self) -> HsmFault {
        let what = match self {
            Self::Fault { kind, detail } => return HsmFault::new(*kind, *detail),
            Self::Ready(_) => "ready",
            Self::Signature { .. } => "a signature",
            Self::Fence { .. } => "what the HSM keeps",
            Self::FenceKept => "that something is kept",
            Self::FenceRefused { .. } => "that nothing is kept",
        };
        HsmFault::new(FaultKind::FrameUnexpected, format!("{what}, which nobody asked for"))
    }
}

/// Why no frame came or went.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the other end is gone")]
    Gone,
    #[error("a frame of {0} bytes is over the limit of {MAX_SIGNER_FRAME_BYTES}")]
    TooLong(usize),
    #[error("the value does not fit into a frame of {MAX_SIGNER_FRAME_BYTES} bytes")]
    DoesNotFit,
    #[error("the socket failed")]
    Socket(#[source] std::io::Error),
}

/// Reads frames one after the other.
pub(super) struct FrameReader<R> {
    source: R,
    buffer: Zeroizing<Vec<u8>>,
    start: usize,
    end: usize,
}

impl<R: Read> FrameReader<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: buffer(), start: 0, end: 0 }
    }

    /// Where it reads, to say how long it may take.
    pub(super) const fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// The next frame's value, still encoded; the frame before it is overwritten.
    pub(super) fn next(&mut self) -> Result<&[u8], FrameError> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let length = self.length()?;
        let whole = LENGTH_BYTES + length;
        self.fill_to(whole)?;
        self.start = whole;
        Ok(self.buffer.get(LENGTH_BYTES..whole).unwrap_or_default())
    }

    /// Wipes what was read: the frame with the PIN.
    pub(super) fn wipe_read(&mut self) {
        self.buffer.get_mut(..self.start).unwrap_or_default().zeroize();
    }

    fn length(&mut self) -> Result<usize, FrameError> {
        self.fill_to(LENGTH_BYTES)?;
        let bytes = self.buffer.first_chunk().copied().unwrap_or_default();
        let length = usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(usize::MAX);
        if length > MAX_SIGNER_FRAME_BYTES { Err(FrameError::TooLong(length)) } else { Ok(length) }
    }

    fn fill_to(&mut self, wanted: usize) -> Result<(), FrameError> {
        while self.end < wanted {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) => return Err(FrameError::Gone),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FrameError::Socket(error)),
            }
        }
        Ok(())
    }
}

/// Writes frames one after the other.
pub(super) struct FrameWriter<W> {
    sink: W,
    buffer: Zeroizing<Vec<u8>>,
}

impl<W: Write> FrameWriter<W> {
    pub(super) fn new(sink: W) -> Self {
        Self { sink, buffer: buffer() }
    }

    /// Sends `value` as one frame in one write.
    pub(super) fn send(&mut self, value: &impl Serialize) -> Result<(), FrameError> {
        let (length, room) =
            self.buffer.split_first_chunk_mut::<LENGTH_BYTES>().ok_or(FrameError::DoesNotFit)?;
        let count = codec::encode(value, room).map_err(|_| FrameError::DoesNotFit)?.len();
        *length = u32::try_from(count).map_err(|_| FrameError::DoesNotFit)?.to_le_bytes();
        let frame = self.buffer.get(..LENGTH_BYTES + count).unwrap_or_default();
        self.sink.write_all(frame).map_err(FrameError::Socket)
    }

    /// Wipes what was sent: the frame with the PIN.
    pub(super) fn wipe(&mut self) {
        self.buffer.as_mut_slice().zeroize();
    }
}

// What went through the buffers is nobody's to print.
impl<R> std::fmt::Debug for FrameReader<R> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("FrameReader").finish_non_exhaustive()
    }
}

impl<W> std::fmt::Debug for FrameWriter<W> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("FrameWriter").finish_non_exhaustive()
    }
}

fn buffer() -> Zeroizing<Vec<u8>> {
    Zeroizing::new(vec![0; LENGTH_BYTES + MAX_SIGNER_FRAME_BYTES])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(text: &[u8]) -> Question<'_> {
        Question::Sign { sequence: 7, text }
    }

    fn sent(texts: &[&[u8]]) -> Vec<u8> {
        let mut writer = FrameWriter::new(Vec::new());
        for text in texts {
            writer.send(&sign(text)).unwrap();
        }
        writer.sink
    }

    /// Gives a byte at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
            let count = room.len().min(1);
            self.0.read(&mut room[..count])
        }
    }

    fn texts(source: impl Read) -> Vec<Vec<u8>> {
        let mut reader = FrameReader::new(source);
        let mut found = Vec::new();
        loop {
            match reader.next() {
                Ok(bytes) => match codec::parse(bytes).unwrap() {
                    Question::Sign { sequence: 7, text } => found.push(text.to_vec()),
                    other @ (Question::Start(_)
                    | Question::Sign { .. }
                    | Question::Fence { .. }
                    | Question::KeepFence { .. }) => panic!("{other:?}"),
                },
                Err(FrameError::Gone) => return found,
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn frames_come_back_however_they_are_cut() {
        let long = vec![b'x'; MAX_SIGNER_FRAME_BYTES - 16];
        let bytes = sent(&[b"one", b"", &long, b"two"]);
        let expected = vec![b"one".to_vec(), Vec::new(), long, b"two".to_vec()];
        assert_eq!(texts(&bytes[..]), expected);
        assert_eq!(texts(Dribble(&bytes)), expected);
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_bytes_come() {
        let length = u32::try_from(MAX_SIGNER_FRAME_BYTES + 1).unwrap().to_le_bytes();
        let mut reader = FrameReader::new(&length[..]);
        assert!(matches!(reader.next(), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn a_value_over_the_limit_is_not_sent() {
        let mut writer = FrameWriter::new(Vec::new());
        let outcome = writer.send(&sign(&vec![0; MAX_SIGNER_FRAME_BYTES]));
        assert!(matches!(outcome, Err(FrameError::DoesNotFit)));
        assert!(writer.sink.is_empty());
    }

    #[test]
    fn a_frame_cut_short_is_an_end_not_a_value() {
        let bytes = sent(&[b"one"]);
        assert!(texts(&bytes[..bytes.len() - 1]).is_empty());
    }

    #[test]
    fn a_wiped_frame_is_gone_from_the_buffers() {
        let bytes = sent(&[b"secret"]);
        let mut reader = FrameReader::new(&bytes[..]);
        reader.next().unwrap();
        reader.wipe_read();
        assert!(!reader.buffer.windows(6).any(|window| window == b"secret"));
        let mut writer = FrameWriter::new(Vec::new());
        writer.send(&sign(b"secret")).unwrap();
        writer.wipe();
        assert!(!writer.buffer.windows(6).any(|window| window == b"secret"));
    }
}
