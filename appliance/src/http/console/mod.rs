//! The console's door: HTTPS for operators, with sessions in cookies that no script reads.
//!
//! The rules it keeps: a request names the site that passkeys are made for, or it is none of ours; whatever changes something comes
//! from that site's own pages and brings the session's token back; every answer says that nothing from elsewhere may run in it,
//! frame it or keep it. What is shown and done is [`crate::console`]'s.

mod answers;
mod brought;
mod events;
mod evidence;
mod followers;
mod front;
mod guard;
mod pages;

use std::net::IpAddr;
use std::sync::Arc;

use axum::middleware;
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use self::followers::Followers;
use super::flowing::Flowing;
use super::{ACCEPT_PAUSE, converse};
use crate::console::Console;
use crate::console::pages::NAVIGATION;
use crate::limits::{EVIDENCE_DOWNLOAD_TIME, HANDSHAKE_DEADLINE, HTTP_STALL_DEADLINE, MAX_HTTP_CONNECTIONS};

/// What every answer is made from.
#[derive(Debug)]
pub(super) struct Room {
    console: Arc<Console>,
    /// Places for those who follow the appliance.
    followers: Arc<Followers>,
    /// Searches of the log at once: each occupies a thread and the disk.
    searches: Arc<Semaphore>,
    /// Downloads of the log at once: each takes a copy on the disk, and a thread.
    downloads: Arc<Semaphore>,
}

type Shared = Arc<Room>;

/// The address that a connection comes from: a proxy's, where one stands in between.
#[derive(Clone, Copy, Debug)]
struct Peer(IpAddr);

/// Searches at once.
const SEARCHES: usize = 2;
/// Downloads at once.
const DOWNLOADS: usize = 1;

/// The console's routes.
#[derive(Debug)]
pub struct ConsoleRoutes(Router);

impl ConsoleRoutes {
    /// Those of this console.
    #[must_use]
    pub fn new(console: Arc<Console>) -> Self {
        let room = Arc::new(Room {
            console,
            followers: Arc::default(),
            searches: Arc::new(Semaphore::new(SEARCHES)),
            downloads: Arc::new(Semaphore::new(DOWNLOADS)),
        });
        let live = NAVIGATION.iter().fold(Router::new(), |routes, (page, path, _)| {
            // One table says where each page is, and what leads there.
            routes.route(path, pages::live(*page))
        });
        let routes = live
            .route("/holds/{ticket}", get(pages::hold))
            .route("/queue/{ticket}", get(pages::ticket))
            .route("/breakglass/{leaf}", get(pages::used))
            .route("/log", get(pages::log))
            .route("/log/{index}", get(pages::entry))
            .route("/log/{index}/proof", get(pages::proof))
            .route("/drills", get(pages::drills))
            .route("/drills/{index}", get(pages::drill))
            .route("/evidence/report", get(evidence::report))
            .route("/evidence/verify", post(evidence::verify))
            .route("/evidence/download", post(evidence::download))
            .route("/events", get(events::events))
            .route("/act/begin", post(pages::begin))
            .route("/act/finish", post(pages::finish))
            .route("/login", get(front::login))
            .route("/login/begin", post(front::begin_login))
            .route("/login/finish", post(front::finish_login))
            .route("/logout", post(front::logout))
            .route("/enrol/{token}", get(front::enrol))
            .route("/enrol/{token}/begin", post(front::begin_enrolment))
            .route("/enrol/{token}/finish", post(front::finish_enrolment))
            .route("/assets/{name}", get(front::asset))
            .fallback(front::nothing)
            .layer(middleware::from_fn(guard::brought))
            .layer(middleware::from_fn_with_state(Arc::clone(&room), guard::of_our_site))
            .layer(middleware::from_fn(guard::closed))
            .with_state(room);
        Self(routes)
    }
}

/// Serves whoever connects, until the task is dropped; over TLS unless the site is on this machine alone.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, ConsoleRoutes(routes): ConsoleRoutes) {
    let places = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors, most likely: others give some back.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (routes, tls) = (routes.clone().layer(Extension(Peer(peer.ip()))), tls.clone());
        let stream = Flowing::new(stream, HTTP_STALL_DEADLINE);
        tokio::spawn(async move {
            match tls {
                None => converse(stream, routes, EVIDENCE_DOWNLOAD_TIME).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_DEADLINE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => converse(stream, routes, EVIDENCE_DOWNLOAD_TIME).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "console: handshake failed"),
                    Err(_) => tracing::debug!(%peer, "console: handshake took too long"),
                },
            }
            drop(place);
        });
    }
}
