//! Server-sent events: the live part of a page whenever it is another, and a beat with every reading.
//!
//! Whoever does not read is told nothing more until they do, and then only what is newest; whoever is gone costs nothing. A page
//! that stays open does not keep its session alive: people do. A page whose place went to another is told so, and is not to ask
//! for one by itself.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::channel::Channel;
use hyper::body::{Bytes, Frame};

use super::Shared;
use super::answers::refused;
use super::brought::InQuery;
use super::guard::{cookie, visitor};
use crate::console::Visitor;
use crate::console::pages::Page;

#[derive(Clone, Copy, Debug, serde::Deserialize)]
pub(super) struct Wanted {
    page: Page,
}

/// Events that are on their way to one who reads slowly.
const ON_THE_WAY: usize = 2;

pub(super) async fn events(
    State(room): State<Shared>,
    method: Method,
    headers: HeaderMap,
    wanted: Result<InQuery<Wanted>, Response>,
) -> Response {
    let Ok(visitor) = visitor(&room, &headers) else {
        return refused(StatusCode::UNAUTHORIZED, "no_session", "you are not logged in");
    };
    // Whoever is not logged in is told no more than that.
    let page = match wanted {
        Ok(InQuery(Wanted { page })) => page,
        Err(refused) => return refused,
    };
    let form = [(header::CONTENT_TYPE, "text/event-stream")];
    // Asked only whether it would be told anything: a browser does not say why a stream was refused.
    if method == Method::HEAD {
        return form.into_response();
    }
    let mut place = Arc::clone(&room.followers).enter(&visitor.session.name);
    let cookie = cookie(&headers).unwrap_or_default().to_owned();
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(ON_THE_WAY);
    tokio::spawn(async move {
        let is_given_up = tokio::select! {
            () = place.given_up() => true,
            () = tell(&room, page, (visitor, cookie), &mut sender) => false,
        };
        if is_given_up {
            // Whoever does not read is not waited for.
            let _ = sender.try_send(Frame::data(Bytes::from_static(b"event: elsewhere\ndata:\n\n")));
        }
    });
    (form, Body::new(body)).into_response()
}

async fn tell(
    room: &Shared,
    page: Page,
    (mut visitor, cookie): (Visitor, String),
    sender: &mut http_body_util::channel::Sender<Bytes, Infallible>,
) {
    let mut readings = room.console.live().subscribe();
    let mut told = String::new();
    let mut first = "retry: 500\n".to_owned();
    loop {
        let moment = readings.borrow_and_update().clone();
        visitor.now = room.console.now();
        if !room.console.passkeys().stands(&cookie, visitor.now) {
            let _ = sender.send(Frame::data(Bytes::from_static(b"event: over\ndata:\n\n"))).await;
            return;
        }
        if let Some(moment) = moment {
            let mut text = std::mem::take(&mut first);
            let markup = room.console.live_part(page, &moment, &visitor).await.into_string();
            if markup != told && page != Page::Still {
                text.push_str("event: page\n");
                text.extend(markup.lines().map(|line| format!("data: {line}\n")));
                text.push('\n');
                told = markup;
            }
            text.push_str(&format!("event: beat\ndata: {}\n\n", moment.status.now_ms));
            if sender.send(Frame::data(text.into())).await.is_err() {
                return;
            }
        }
        if readings.changed().await.is_err() {
            return;
        }
    }
}
