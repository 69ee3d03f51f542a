//! A frame as it comes in: read whole, within its limit and its time.
//!
//! The one rule: a peer has no more of our memory than small frames and what its windows hold, until it is its turn. A large
//! frame shows itself by its first bytes; the rest is left unread, and so is without credit, until the principal's turn has come.

use assent_proto::limits::MAX_FRAME_BYTES;
use quinn::RecvStream;

use crate::limits::{FRAME_DEADLINE, LARGE_FRAME_BYTES};
use crate::pipeline::{Lane, Pipeline, Turn};

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is longer than a frame may be.
    TooLong,
    /// It did not come in time.
    Late,
    /// The peer has taken it back, or is gone.
    Gone,
}

/// Reads one frame, and gives it with the turn that it was read in.
pub(super) async fn read<'t>(
    receive: &mut RecvStream,
    pipeline: &'t Pipeline,
    lane: &'t Lane,
) -> Result<(Vec<u8>, Turn<'t>), Unread> {
    let mut frame = Vec::new();
    if in_time(read_up_to(receive, LARGE_FRAME_BYTES, &mut frame)).await? {
        return Ok((frame, Turn::default()));
    }
    let turn = pipeline.turn_to_read(lane).await;
    match in_time(read_up_to(receive, MAX_FRAME_BYTES, &mut frame)).await? {
        true => Ok((frame, turn)),
        false => Err(Unread::TooLong),
    }
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
