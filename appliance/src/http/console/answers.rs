//! The forms of answers: a page, a document, a refusal.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::Markup;

use crate::console::acts::ActError;
use crate::passkeys::IdentityError;

pub(super) fn page(markup: Markup) -> Response {
    whole(StatusCode::OK, markup)
}

pub(super) fn whole(status: StatusCode, markup: Markup) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
}

pub(super) fn document(document: &impl serde::Serialize) -> Response {
    let text = serde_json::to_string(document).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

pub(super) fn refused(status: StatusCode, kind: &str, why: &str) -> Response {
    let text = serde_json::json!({ "kind": kind, "error": why }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// What an operator hears whose identity is refused.
pub(super) fn of_identity(error: &IdentityError) -> Response {
    let status = match error {
        IdentityError::Store(_) | IdentityError::Random(_) => StatusCode::SERVICE_UNAVAILABLE,
        IdentityError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        IdentityError::UnknownOperator { .. }
        | IdentityError::UnknownKey { .. }
        | IdentityError::Link
        | IdentityError::NotBegun
        | IdentityError::Answer(_)
        | IdentityError::Key
        | IdentityError::KnownKey
        | IdentityError::Counter
        | IdentityError::NoSession
        | IdentityError::Role(_)
        | IdentityError::Unsigned(_)
        | IdentityError::Text(_)
        | IdentityError::Full => StatusCode::FORBIDDEN,
    };
    refused(status, error.kind(), &error.to_string())
}

/// What an operator hears whose act was not done.
pub(super) fn of_act(error: &ActError) -> Response {
    let status = match error {
        ActError::Identity(error) => return of_identity(error),
        ActError::Stale | ActError::Changed | ActError::NotBegun => StatusCode::CONFLICT,
        ActError::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
        ActError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    refused(status, error.kind(), &error.to_string())
}
