//! This appliance as a witness, over HTTP: `/witness/add-checkpoint` and what it cosigned last.
//!
//! Nobody is asked who he is: a request carries its own signature. What is decided, the witness decides; here it becomes a status
//! of C2SP tlog-witness.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::sync::Semaphore;

use super::told;
use crate::limits::{MAX_PROOF_BYTES, MAX_WITNESS_REQUESTS};
use crate::witness::{Answer, Witness};

/// The witness, and how many may ask it at once: each costs a signature check, and perhaps a write.
#[derive(Clone, Debug)]
struct Desk {
    witness: Arc<Witness>,
    places: Arc<Semaphore>,
}

pub(super) fn routes(witness: Arc<Witness>) -> Router {
    let places = Arc::new(Semaphore::new(MAX_WITNESS_REQUESTS));
    Router::new()
        .route("/witness/add-checkpoint", post(add_checkpoint))
        .route("/witness/{log}/checkpoint", get(checkpoint))
        .layer(DefaultBodyLimit::max(MAX_PROOF_BYTES))
        .with_state(Desk { witness, places })
}

async fn add_checkpoint(State(Desk { witness, places }): State<Desk>, body: Bytes) -> Response {
    let Ok(body) = String::from_utf8(body.into()) else { return answer(Answer::Malformed) };
    let Ok(place) = places.acquire_owned().await else { return answer(Answer::Failed) };
    let asking = move || {
        let answer = witness.add_checkpoint(&body);
        drop(place);
        answer
    };
    tokio::task::spawn_blocking(asking).await.map_or_else(|_| answer(Answer::Failed), answer)
}

async fn checkpoint(State(Desk { witness, .. }): State<Desk>, Path(log): Path<String>) -> Response {
    match witness.checkpoint(&log) {
        Some(note) => {
            let headers =
                [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
            (headers, note).into_response()
        }
        None => told(StatusCode::NOT_FOUND, "nothing of such a log was cosigned here\n"),
    }
}

fn answer(answer: Answer) -> Response {
    match answer {
        Answer::Cosigned(line) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], line).into_response()
        }
        Answer::Malformed => told(StatusCode::BAD_REQUEST, "not a request to add a checkpoint\n"),
        Answer::Unsigned => told(StatusCode::FORBIDDEN, "signed by no key of that log that is known here\n"),
        Answer::Unknown => told(StatusCode::NOT_FOUND, "that log is not witnessed here\n"),
        Answer::Behind(size) => {
            let headers = [(header::CONTENT_TYPE, "text/x.tlog.size")];
            (StatusCode::CONFLICT, headers, format!("{size}\n")).into_response()
        }
        Answer::Inconsistent => {
            told(StatusCode::UNPROCESSABLE_ENTITY, "the log did not grow from what was cosigned\n")
        }
        Answer::Failed => told(StatusCode::INTERNAL_SERVER_ERROR, "the record of that log cannot be kept\n"),
    }
}
