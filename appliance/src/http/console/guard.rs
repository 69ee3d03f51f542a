//! What holds of every request and answer: whose site it is, who asks, and what may run in what is answered.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::Shared;
use super::answers::refused;
use crate::console::Visitor;
use crate::limits::{HTTP_REQUEST_DEADLINE, MAX_CONSOLE_BODY_BYTES};

/// The session's cookie: of this host alone, and only ever sent over TLS (RFC 6265bis section 4.1.3.2).
const COOKIE: &str = "__Host-assent";
/// The header that brings the session's token back.
const CSRF: &str = "x-csrf";
/// Scripts and styles are ours, nothing is from elsewhere, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses what names another site, and what changes something and comes from one.
pub(super) async fn of_our_site(State(room): State<Shared>, request: Request, next: Next) -> Response {
    match foreign(room.console.passkeys().origin(), request.method(), request.headers()) {
        Some((status, kind, why)) => refused(status, kind, why),
        None => next.run(request).await,
    }
}

/// Why a request is none of this site's.
fn foreign(
    origin: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Option<(StatusCode, &'static str, &'static str)> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    if text(header::HOST) != Some(host) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "host", "this is not the site that was asked for"));
    }
    let changes = method != Method::GET && method != Method::HEAD;
    let is_foreign = changes && text(header::ORIGIN) != Some(origin);
    is_foreign.then_some((StatusCode::FORBIDDEN, "origin", "this came from another site"))
}

/// Reads what a request brings, within its time: behind this, a connection may take long for nothing but its answer.
pub(super) async fn brought(request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let reading = axum::body::to_bytes(body, MAX_CONSOLE_BODY_BYTES);
    match tokio::time::timeout(HTTP_REQUEST_DEADLINE, reading).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(head, Body::from(bytes))).await,
        Ok(Err(_)) => refused(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "this is more than any page sends"),
        Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "slow", "this did not come in time; send it again"),
    }
}

/// What every answer says of itself.
pub(super) async fn closed(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not "no-referrer": a form would then not say which site it came from.
        (header::REFERRER_POLICY, "same-origin"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The cookie's value, where the browser sent one.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Sets the cookie; without a value, takes it back.
pub(super) fn set_cookie(value: Option<&str>) -> (header::HeaderName, String) {
    let (value, age) = value.map_or(("", "; Max-Age=0"), |value| (value, ""));
    (header::SET_COOKIE, format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{age}"))
}

/// Who asks; whoever is not logged in is sent there.
#[expect(clippy::result_large_err, reason = "an answer is as large as it is, and is made once")]
pub(super) fn visitor(room: &Shared, headers: &HeaderMap) -> Result<Visitor, Response> {
    let now = room.console.now();
    let session = cookie(headers).and_then(|cookie| room.console.passkeys().session(cookie, now));
    session.map(|session| Visitor { session, now }).ok_or_else(|| Redirect::to("/login").into_response())
}

/// Who acts: with the session's token.
#[expect(clippy::result_large_err, reason = "an answer is as large as it is, and is made once")]
pub(super) fn actor(room: &Shared, headers: &HeaderMap) -> Result<(Visitor, String), Response> {
    let now = room.console.now();
    let cookie = cookie(headers).unwrap_or_default();
    let session = room.console.passkeys().session(cookie, now);
    let session =
        session.ok_or_else(|| refused(StatusCode::UNAUTHORIZED, "no_session", "you are not logged in"))?;
    let token = headers.get(CSRF).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !session.accepts(token) {
        return Err(refused(StatusCode::FORBIDDEN, "csrf", "this did not come from a page of this session"));
    }
    Ok((Visitor { session, now }, cookie.to_owned()))
}

/// The same of a form, whose field brings the token; where nobody is logged in there is nothing to refuse.
pub(super) fn actor_by_form(room: &Shared, headers: &HeaderMap, form: &str) -> Option<Response> {
    visitor(room, headers).ok()?;
    actor_of_form(room, headers, form).err()
}

/// Who acts by a form: with the session's token in its field.
#[expect(clippy::result_large_err, reason = "an answer is as large as it is, and is made once")]
pub(super) fn actor_of_form(room: &Shared, headers: &HeaderMap, form: &str) -> Result<Visitor, Response> {
    let visitor = visitor(room, headers)?;
    let token = form.split('&').find_map(|field| field.strip_prefix("csrf=")).unwrap_or_default();
    if !visitor.session.accepts(token) {
        return Err(refused(StatusCode::FORBIDDEN, "csrf", "this did not come from a page of this session"));
    }
    Ok(visitor)
}
