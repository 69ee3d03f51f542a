//! In front of a login: logging in, enrolling, and the console's own files.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::answers::{document, of_identity, page, refused, whole};
use super::brought::{InPath, Text};
use super::guard::{actor_by_form, cookie, set_cookie};
use super::{Peer, Shared};
use crate::console::{assets, pages};
use crate::passkeys::IdentityError;

/// An asset is named by its bytes, so a browser may keep it for ever (RFC 8246).
const FOR_EVER: &str = "private, max-age=31536000, immutable";

pub(super) async fn login(State(room): State<Shared>) -> Response {
    page(pages::login(&room.console.status().origin))
}

/// The passkey tells who it is: nobody is named, so nobody can be asked about.
pub(super) async fn begin_login(
    State(room): State<Shared>,
    Extension(Peer(from)): Extension<Peer>,
) -> Response {
    match room.console.passkeys().begin_login(None, from, room.console.now()) {
        Ok(options) => document(&options),
        Err(error) => of_identity(&error),
    }
}

pub(super) async fn finish_login(State(room): State<Shared>, Text(response): Text) -> Response {
    let (passkeys, now) = (Arc::clone(room.console.passkeys()), room.console.now());
    let finished = tokio::task::spawn_blocking(move || passkeys.finish_login(&response, now)).await;
    match finished {
        Ok(Ok(entered)) => {
            ([set_cookie(Some(&entered.cookie))], document(&serde_json::json!({}))).into_response()
        }
        Ok(Err(error)) => of_identity(&error),
        Err(_) => stopping(),
    }
}

pub(super) async fn logout(State(room): State<Shared>, headers: HeaderMap, Text(form): Text) -> Response {
    if let Some(refused) = actor_by_form(&room, &headers, &form) {
        return refused;
    }
    room.console.passkeys().logout(cookie(&headers).unwrap_or_default());
    ([set_cookie(None)], Redirect::to("/login")).into_response()
}

pub(super) async fn enrol(State(room): State<Shared>, InPath(token): InPath<String>) -> Response {
    match room.console.passkeys().invited(&token, room.console.now()) {
        Ok(name) => page(pages::enrol(&name, &token)),
        Err(error) => whole(StatusCode::NOT_FOUND, pages::sorry("No such link", &error.to_string())),
    }
}

pub(super) async fn begin_enrolment(State(room): State<Shared>, InPath(token): InPath<String>) -> Response {
    match room.console.passkeys().begin_enrolment(&token, room.console.now()) {
        Ok(options) => document(&options),
        Err(error) => of_identity(&error),
    }
}

pub(super) async fn finish_enrolment(
    State(room): State<Shared>,
    InPath(token): InPath<String>,
    Text(response): Text,
) -> Response {
    let (passkeys, now) = (Arc::clone(room.console.passkeys()), room.console.now());
    let finishing = move || passkeys.finish_enrolment(&token, &response, now);
    match tokio::task::spawn_blocking(finishing).await {
        Ok(Ok(enrolled)) => document(&enrolled),
        Ok(Err(error)) => of_identity(&error),
        Err(_) => stopping(),
    }
}

pub(super) async fn asset(InPath(name): InPath<String>) -> Response {
    match assets::find(&name) {
        Some(asset) => {
            let headers = [(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, FOR_EVER)];
            (headers, asset.text).into_response()
        }
        None => nothing().await,
    }
}

pub(super) async fn nothing() -> Response {
    whole(StatusCode::NOT_FOUND, pages::sorry("There is no such page", "The address may be mistyped."))
}

pub(super) fn stopping() -> Response {
    refused(StatusCode::SERVICE_UNAVAILABLE, "stopping", &IdentityError::NotBegun.to_string())
}
