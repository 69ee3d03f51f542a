//! What a request brings, read: a name in its path, its query, its body.
//!
//! The one rule: whatever cannot be read is refused in the console's own words, which say nothing of the types that it was to be.

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::de::DeserializeOwned;

use super::answers::refused;
use super::front::nothing;

/// What the path names. Where it can be no such name, there is no such page.
#[derive(Debug)]
pub(super) struct InPath<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(_) => Err(nothing().await),
        }
    }
}

/// What the query says.
#[derive(Debug)]
pub(super) struct InQuery<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for InQuery<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(said)) => Ok(Self(said)),
            Err(_) => Err(not_understood()),
        }
    }
}

/// The body's text.
#[derive(Debug)]
pub(super) struct Text(pub(super) String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        String::from_request(request, state).await.map(Self).map_err(|_| not_understood())
    }
}

/// Nothing that a page of this version sends.
pub(super) fn not_understood() -> Response {
    refused(
        StatusCode::BAD_REQUEST,
        "not_understood",
        "this is nothing that this version understands; load the page again",
    )
}
