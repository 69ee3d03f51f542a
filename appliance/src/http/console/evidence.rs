//! The doors of the evidence page: a verification begins, its report is read, and a copy of the log goes out piece by piece.
//!
//! One download at a time: each takes a copy on the disk. Whoever reads slowly is waited for, as long as a connection may last,
//! with a few pieces in memory.

use std::io::{BufWriter, Error as IoError, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Shared;
use super::answers::{page, whole};
use super::brought::Text;
use super::front::stopping;
use super::guard::{actor_of_form, visitor};
use crate::console::evidence::file_name;
use crate::console::pages;
use crate::limits::{EVIDENCE_PIECE_BYTES, EVIDENCE_PIECES};

pub(super) async fn report(State(room): State<Shared>, headers: HeaderMap) -> Response {
    match visitor(&room, &headers) {
        Ok(visitor) => page(pages::report(&room.console, &visitor)),
        Err(elsewhere) => elsewhere,
    }
}

pub(super) async fn verify(State(room): State<Shared>, headers: HeaderMap, Text(form): Text) -> Response {
    let visitor = match actor_of_form(&room, &headers, &form) {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    match room.console.begin_verification(&visitor.session.name) {
        Ok(()) => Redirect::to("/evidence").into_response(),
        Err(error) => {
            let why = error.to_string();
            whole(StatusCode::CONFLICT, pages::not_begun(&room.console, &why, &visitor))
        }
    }
}

pub(super) async fn download(State(room): State<Shared>, headers: HeaderMap, Text(form): Text) -> Response {
    let visitor = match actor_of_form(&room, &headers, &form) {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let refused =
        |why: &str| whole(StatusCode::SERVICE_UNAVAILABLE, pages::not_begun(&room.console, why, &visitor));
    let Ok(place) = Arc::clone(&room.downloads).try_acquire_owned() else {
        return refused("somebody downloads the log already; come back when that is done");
    };
    let (console, by) = (Arc::clone(&room.console), visitor.session.name.clone());
    let archive = match tokio::task::spawn_blocking(move || console.archive(&by)).await {
        Ok(Ok(archive)) => archive,
        Ok(Err(why)) => return refused(&why),
        Err(_) => return stopping(),
    };
    let (sender, pieces) = channel(EVIDENCE_PIECES);
    tokio::task::spawn_blocking(move || {
        let mut writer = BufWriter::with_capacity(EVIDENCE_PIECE_BYTES, Outlet(sender.clone()));
        if let Err(error) = archive.write_to(&mut writer) {
            tracing::warn!(%error, "console: a download of the log broke off");
            // An error is its end, so that nobody takes it for whole.
            let _ = sender.blocking_send(Err(error));
        }
        drop(place);
    });
    let name = format!("attachment; filename=\"{}\"", file_name(visitor.now));
    (
        [(header::CONTENT_TYPE, "application/x-tar".to_owned()), (header::CONTENT_DISPOSITION, name)],
        Body::new(Pieces(pieces)),
    )
        .into_response()
}

/// Where a thread that may wait writes what a connection sends.
struct Outlet(Sender<Result<Bytes, IoError>>);

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len()).map_err(|_| IoError::from(std::io::ErrorKind::BrokenPipe))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What it wrote, for the connection.
struct Pieces(Receiver<Result<Bytes, IoError>>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = IoError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, IoError>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
