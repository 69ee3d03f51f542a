//! A frame as it comes in: read whole, within its limit and its time.
//!
//! The one rule: a peer has no more of our memory than small frames and what its windows hold, until it is its turn. A large
//! frame shows itself by its first bytes; the rest is left unread, and so is without credit, until the principal's turn has come.

use assent_proto::codec::CodecError;
use assent_proto::limits::MAX_FRAME_BYTES;
use assent_proto::wire::TraceContext;
use quinn::RecvStream;

use crate::limits::{FRAME_DEADLINE, LARGE_FRAME_BYTES};
use crate::pipeline::{Lane, Pipeline, Turn};

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is longer than a frame may be.
    TooLong,
    /// What stands ahead of it is no trace context, or may not stand there.
    Untraceable(CodecError),
    /// It did not come in time.
    Late,
    /// The peer has taken it back, or is gone.
    Gone,
    /// Too many of all peers' frames are on their way, and most of them are this principal's.
    Crowded,
}

/// A frame that came in whole.
#[derive(Debug)]
pub(super) struct Arrived<'t> {
    /// What is asked.
    pub(super) frame: Vec<u8>,
    /// The turn that it was read in.
    pub(super) turn: Turn<'t>,
    /// In which trace, where the agent said.
    pub(super) trace: Option<TraceContext>,
}

/// Reads one frame. What stands ahead of it is taken off before the rest is read, so that a large frame is not moved for it.
pub(super) async fn read<'t>(
    receive: &mut RecvStream,
    pipeline: &'t Pipeline,
    lane: &'t Lane,
) -> Result<Arrived<'t>, Unread> {
    let mut frame = Vec::new();
    let is_whole = in_time(read_up_to(receive, LARGE_FRAME_BYTES, &mut frame)).await?;
    let trace = take_trace(&mut frame)?;
    if is_whole {
        return Ok(Arrived { frame, turn: Turn::default(), trace });
    }
    let turn = pipeline.turn_to_read(lane).await;
    match in_time(read_up_to(receive, MAX_FRAME_BYTES, &mut frame)).await? {
        true => Ok(Arrived { frame, turn, trace }),
        false => Err(Unread::TooLong),
    }
}

/// Takes the trace context off the beginning of what came, where there is one.
fn take_trace(came: &mut Vec<u8>) -> Result<Option<TraceContext>, Unread> {
    let (trace, rest) = TraceContext::split(came).map_err(Unread::Untraceable)?;
    let ahead = came.len() - rest.len();
    came.drain(..ahead);
    Ok(trace)
}

async fn in_time<T>(reading: impl Future<Output = Result<T, Unread>>) -> Result<T, Unread> {
    tokio::time::timeout(FRAME_DEADLINE, reading).await.unwrap_or(Err(Unread::Late))
}

/// Reads on until the frame has ended, which is `true`, or has more bytes than `most`.
async fn read_up_to(receive: &mut RecvStream, most: usize, frame: &mut Vec<u8>) -> Result<bool, Unread> {
    loop {
        // One byte more than may be there tells whether it is.
        let room = (most + 1).saturating_sub(frame.len());
        match receive.read_chunk(room, true).await {
            Ok(Some(chunk)) => frame.extend_from_slice(&chunk.bytes),
            Ok(None) => return Ok(true),
            Err(_) => return Err(Unread::Gone),
        }
        if frame.len() > most {
            return Ok(false);
        }
    }
}
