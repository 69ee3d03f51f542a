//! Frames: what passes between an agent and an appliance, one request and one reply a QUIC stream, and notices on a stream
//! of their own. Ahead of a request for leave there may be a trace context.
//!
//! The end of the stream is the end of the frame, so no length is sent and none can lie. ALPN [`ALPN`] names the version.
//! Whoever is handed a [`Request`] knows that the bytes were canonical and within the limits; not who sent them.

mod notice;
mod reply;
mod request;
mod ticket;
mod trace;

pub use notice::{
    Arrived, Closure, KeyInUse, Notice, NoticeReader, SignedCheckpoint, Standing, begin_notices, notices,
};
pub use reply::{
    Decided, Head, Reply, Ruling, Sealing, Verdict, Waiting, append_refused, append_sealing, begin_decided,
};
pub use request::{
    BatchId, Frame, Intents, Request, RequestError, append_cancel, append_collect, begin_request, push_intent,
};
pub use ticket::{TICKET_LABEL, Ticket, Together};
pub use trace::TraceContext;

/// The application protocol that both sides must name.
pub const ALPN: &[u8] = b"assent/1";
