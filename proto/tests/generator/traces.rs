//! Trace contexts ahead of requests, and what may be wrong with them.

use assent_proto::wire::{self, TraceContext};

use super::File;
use super::frames::{BATCH, intent};

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(super) fn traces() -> String {
    let about = [
        "What comes on a stream. Where the result is ok: the trace context, as a traceparent, and the request behind it.",
    ];
    let mut file = File::new("traces", &about);
    let context: TraceContext = TRACEPARENT.parse().unwrap();
    let (trace, mut request) = (context.encoded(), Vec::new());
    wire::begin_request(BATCH, 1, &mut request);
    wire::push_intent(&intent(), &mut request);
    let traced = [&trace[..], &request].concat();
    file.case("trace context ahead of a request").bytes("stream", &traced).field("result", "ok");
    file.field("traceparent", TRACEPARENT).bytes("request", &request);
    file.case("request alone").bytes("stream", &request).field("result", "ok");
    file.field("traceparent", "").bytes("request", &request);

    let mut refuse = |name: &str, stream: &[u8], result: &str| {
        file.case(name).bytes("stream", stream).field("result", result).field("refusal", "2 FRAME_INVALID");
    };
    let with = |at: usize, bytes: &[u8]| {
        let mut other = traced.clone();
        other[at..at + bytes.len()].copy_from_slice(bytes);
        other
    };
    refuse("trace context cut short", &trace[..26], "frame truncated");
    refuse("trace context alone", &trace, "frame truncated");
    refuse("another version", &with(1, &[1]), "frame malformed");
    refuse("trace id of zeroes", &with(2, &[0; 16]), "frame malformed");
    refuse("parent id of zeroes", &with(18, &[0; 8]), "frame malformed");
    refuse("flag without a meaning", &with(26, &[0x05]), "frame malformed");
    refuse("second trace context", &[&trace[..], &traced].concat(), "frame malformed");
    let mut collect = trace.to_vec();
    wire::append_collect(wire::Ticket(BATCH), &mut collect);
    refuse("ahead of a question about a ticket", &collect, "frame malformed");
    refuse("trace context behind the request", &[&request[..], &trace].concat(), "frame trailing");
    file.0
}
