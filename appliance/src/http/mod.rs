//! The HTTP door: what anyone may read who reaches it, over TCP. The log as C2SP tlog-tiles, and how the appliance is; nothing
//! that decides.
//!
//! The one rule: a peer costs a place among few, for a bounded time, and a bounded number of bytes; what does not fit is refused
//! or closed. It has no TLS and knows nobody: it listens on the loopback address unless the configuration says otherwise, and
//! who is to reach it from elsewhere comes through a proxy that does.

pub mod client;
pub mod console;
mod flowing;
mod monitoring;
pub mod remote;
mod tiles;
mod witnessing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

pub use tiles::Tiles;

use crate::limits::{
    HTTP_CONNECTION_LIFETIME, HTTP_HEADER_DEADLINE, HTTP_REQUEST_DEADLINE, MAX_HTTP_BUFFER_BYTES,
    MAX_HTTP_CONNECTIONS, MAX_HTTP_HEADERS,
};
use crate::meters::Monitor;
use crate::witness::Witness;

/// What is served.
#[derive(Debug)]
pub struct Routes(Router);

impl Routes {
    /// The log's tiles.
    #[must_use]
    pub fn new(tiles: Tiles) -> Self {
        Self(tiles::routes(Arc::new(tiles)))
    }

    /// And the witness of other logs.
    #[must_use]
    pub fn with_witness(self, witness: Arc<Witness>) -> Self {
        Self(self.0.merge(witnessing::routes(witness)))
    }

    /// And how the appliance is; the whole status only where that is wanted.
    #[must_use]
    pub fn with_monitor(self, monitor: Arc<Monitor>, status: bool) -> Self {
        Self(self.0.merge(monitoring::routes(monitor, status)))
    }
}

/// Takes the address.
///
/// # Errors
/// What the system says.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves whoever connects, until the task is dropped.
pub async fn serve(listener: TcpListener, Routes(routes): Routes) {
    let routes = routes.layer(middleware::from_fn(in_time)).layer(middleware::from_fn(plainly));
    let places = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
    // The place comes first: whoever finds none waits in the system's own queue, which is bounded too.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: others give some back.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let routes = routes.clone();
        tokio::spawn(async move {
            converse(stream, routes, HTTP_REQUEST_DEADLINE).await;
            drop(place);
        });
    }
}

/// How long a door waits that could not accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One connection, with as many requests as its time allows, and then so long for the answer that is under way.
async fn converse<S>(stream: S, routes: Router, last: Duration)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut settings = http1::Builder::new();
    settings.timer(TokioTimer::new()).header_read_timeout(HTTP_HEADER_DEADLINE);
    settings.max_headers(MAX_HTTP_HEADERS).max_buf_size(MAX_HTTP_BUFFER_BYTES);
    let connection = settings.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut connection = std::pin::pin!(connection);
    let over = tokio::time::timeout(HTTP_CONNECTION_LIFETIME, connection.as_mut()).await;
    if over.is_err() {
        // The answer that is under way may end; a peer that does not read it is left.
        connection.as_mut().graceful_shutdown();
        let _ = tokio::time::timeout(last, connection).await;
    }
}

/// An answer by its deadline, whatever the log is doing.
async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(HTTP_REQUEST_DEADLINE, next.run(request)).await;
    answer.unwrap_or_else(|_| told(StatusCode::SERVICE_UNAVAILABLE, "not in time; ask again\n"))
}

/// Nothing that we serve is a page.
async fn plainly(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A status, and one line for people.
fn told(status: StatusCode, line: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], line)
        .into_response()
}
