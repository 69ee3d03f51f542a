//! Requests, and trace contexts ahead of them, against their vectors.

use assent_proto::wire::{Request, RequestError, TraceContext};

use crate::cases::Case;
use crate::{Outcome, codec_error, intent_error, numbered};

pub(crate) fn requests(case: &mut Case) -> Outcome {
    let frame = case.bytes("frame");
    let result = case.text("result");
    match Request::parse(&frame) {
        Ok(request) => {
            assert_eq!(request.batch().to_string(), case.text("batch"));
            assert_eq!(request.batch().time().to_string(), case.text("time"));
            let intents: Vec<_> = request.intents().map(|(_, bytes)| bytes.to_vec()).collect();
            assert_eq!(intents, case.all_bytes("intent"));
            (result, "ok".to_owned())
        }
        Err(error) => {
            assert_eq!(numbered(error.refusal()), case.text("refusal"));
            (result, request_error(error))
        }
    }
}

pub(crate) fn traces(case: &mut Case) -> Outcome {
    let stream = case.bytes("stream");
    let split = TraceContext::split(&stream).map_err(RequestError::Frame);
    let parsed = split.and_then(|(trace, rest)| Request::parse(rest).map(|request| (trace, request)));
    match parsed {
        Ok((trace, request)) => {
            assert_eq!(request.frame(), case.bytes("request"));
            assert_eq!(trace.map(|trace| trace.to_string()).unwrap_or_default(), case.text("traceparent"));
            let ahead = trace.map(|trace| trace.encoded().to_vec()).unwrap_or_default();
            assert_eq!([&*ahead, request.frame()].concat(), stream, "it has another encoding");
            (case.text("result"), "ok".to_owned())
        }
        Err(error) => {
            assert_eq!(numbered(error.refusal()), case.text("refusal"));
            (case.text("result"), request_error(error))
        }
    }
}

fn request_error(error: RequestError) -> String {
    match error {
        RequestError::Frame(error) => format!("frame {}", codec_error(error)),
        RequestError::Intent(position, error) => format!("intent {position} {}", intent_error(error)),
    }
}
