//! How the appliance is, over HTTP: `/livez`, `/readyz`, `/metrics` and `/v1/status`.
//!
//! The one rule: whoever asks changes nothing and waits for neither HSM nor disk, so that a probe tells of an outage rather than
//! becomes a part of it. `/livez`, `/readyz` and `/metrics` say bounded words that name nobody; the whole status names sinks,
//! operators and folders, and is served only where the configuration says so, since a proxy makes every peer a local one.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

use super::told;
use crate::limits::MAX_SCRAPES;
use crate::meters::{Monitor, Notation};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// The monitor, and how many may read all of it at once.
#[derive(Clone, Debug)]
struct Desk {
    monitor: Arc<Monitor>,
    status: bool,
    places: Arc<Semaphore>,
}

impl Desk {
    /// Reads on a thread that may wait for a lock. None when we are stopping.
    async fn reading<T: Send + 'static>(
        self,
        read: impl FnOnce(&Arc<Monitor>) -> T + Send + 'static,
    ) -> Option<T> {
        let place = self.places.acquire_owned().await.ok()?;
        let reading = move || {
            let done = read(&self.monitor);
            // The place goes with the thread, not with whoever waits.
            drop(place);
            done
        };
        tokio::task::spawn_blocking(reading).await.ok()
    }
}

pub(super) fn routes(monitor: Arc<Monitor>, status: bool) -> Router {
    Router::new()
        .route("/livez", get(async || told(StatusCode::OK, "live\n")))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(whole_status))
        .with_state(Desk { monitor, status, places: Arc::new(Semaphore::new(MAX_SCRAPES)) })
}

async fn readiness(State(Desk { monitor, .. }): State<Desk>, headers: HeaderMap) -> Response {
    let readiness = monitor.readiness();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if accepts(&headers, JSON) {
        return serde_json::to_string(&readiness)
            .map_or_else(|_| unwritten(), |text| fresh(status, JSON, text + "\n"));
    }
    fresh(status, TEXT, readiness.to_string())
}

async fn metrics(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    let notation = notation(&headers);
    match desk.reading(move |monitor| monitor.exposition(notation)).await {
        Some(Ok(text)) => fresh(StatusCode::OK, notation.content_type(), text),
        Some(Err(_)) => unwritten(),
        None => told(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

async fn whole_status(State(desk): State<Desk>) -> Response {
    if !desk.status {
        return told(
            StatusCode::FORBIDDEN,
            "the status is not served here: listen.http_status; or ask `assent status`\n",
        );
    }
    match desk.reading(|monitor| serde_json::to_string(&monitor.status())).await {
        Some(Ok(text)) => fresh(StatusCode::OK, JSON, text + "\n"),
        Some(Err(_)) => unwritten(),
        None => told(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

/// OpenMetrics, but for a reader that asks for the older text and does not know it.
fn notation(headers: &HeaderMap) -> Notation {
    if accepts(headers, "text/plain") && !accepts(headers, "application/openmetrics-text") {
        Notation::Prometheus
    } else {
        Notation::OpenMetrics
    }
}

/// Whether the reader names this type. Nobody here has so many types that weights would matter.
fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let named = |value: &str| {
        value.split(',').any(|range| range.split(';').next().is_some_and(|name| name.trim() == kind))
    };
    headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(named)
}

/// An answer that is of this moment only.
fn fresh(status: StatusCode, kind: &'static str, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

fn unwritten() -> Response {
    told(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written\n")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn openmetrics_is_what_is_given_unless_only_the_older_text_is_known() {
        let asked = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            notation(&headers)
        };
        assert_eq!(notation(&HeaderMap::new()), Notation::OpenMetrics);
        assert_eq!(asked("*/*"), Notation::OpenMetrics);
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(asked(prometheus), Notation::OpenMetrics);
        assert_eq!(asked("text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), Notation::Prometheus);
        assert_eq!(asked("text/plain"), Notation::Prometheus);
    }
}
