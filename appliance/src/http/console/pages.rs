//! The pages behind a login, and the acts that they begin and finish.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};

use super::Shared;
use super::answers::{document, of_act, page, refused, whole};
use super::brought::{InPath, InQuery, Text, not_understood};
use super::front::stopping;
use super::guard::{actor, visitor};
use crate::console::acts::{Asked, Signed};
use crate::console::drills;
use crate::console::pages::{self, Page};
use crate::console::search::{self, Proved, Query};
use crate::log::store::StoreError;

/// The route of a page that is told live.
pub(super) fn live(which: Page) -> MethodRouter<Shared> {
    get(move |State(room): State<Shared>, headers: HeaderMap| async move {
        match visitor(&room, &headers) {
            Ok(visitor) => page(room.console.page(which, &visitor).await),
            Err(elsewhere) => elsewhere,
        }
    })
}

pub(super) async fn hold(
    State(room): State<Shared>,
    headers: HeaderMap,
    InPath(ticket): InPath<String>,
) -> Response {
    let visitor = match visitor(&room, &headers) {
        Ok(visitor) => visitor,
        Err(elsewhere) => return elsewhere,
    };
    match pages::hold(&room.console, &ticket, &visitor).await {
        Ok(markup) => page(markup),
        Err(why) => whole(StatusCode::NOT_FOUND, pages::no_hold(&room.console, &why, &visitor)),
    }
}

pub(super) async fn ticket(
    State(room): State<Shared>,
    headers: HeaderMap,
    InPath(ticket): InPath<String>,
) -> Response {
    let visitor = match visitor(&room, &headers) {
        Ok(visitor) => visitor,
        Err(elsewhere) => return elsewhere,
    };
    match pages::ticket(&room.console, &ticket, &visitor).await {
        Ok(markup) => page(markup),
        Err(why) => whole(StatusCode::NOT_FOUND, pages::no_ticket(&room.console, &why, &visitor)),
    }
}

pub(super) async fn used(
    State(room): State<Shared>,
    headers: HeaderMap,
    InPath(leaf): InPath<u64>,
) -> Response {
    let visitor = match visitor(&room, &headers) {
        Ok(visitor) => visitor,
        Err(elsewhere) => return elsewhere,
    };
    match pages::used(&room.console, leaf, &visitor).await {
        Ok(markup) => page(markup),
        Err(why) => whole(StatusCode::NOT_FOUND, pages::no_use(&room.console, &why, &visitor)),
    }
}

/// Reads the log on a thread that may wait for the disk. None when we are stopping.
async fn reading<T: Send + 'static>(
    room: &Shared,
    read: impl FnOnce(&Shared) -> T + Send + 'static,
) -> Option<T> {
    let place = Arc::clone(&room.searches).acquire_owned().await.ok()?;
    let room = Arc::clone(room);
    let reading = move || {
        let done = read(&room);
        drop(place);
        done
    };
    tokio::task::spawn_blocking(reading).await.ok()
}

pub(super) async fn log(
    State(room): State<Shared>,
    headers: HeaderMap,
    query: Result<InQuery<Query>, Response>,
) -> Response {
    let visitor = match visitor(&room, &headers) {
        Ok(visitor) => visitor,
        Err(elsewhere) => return elsewhere,
    };
    let Ok(InQuery(query)) = query else {
        let why = "a search has `kind`, `text` and `before`";
        return whole(StatusCode::BAD_REQUEST, pages::no_entry(&room.console, why, &visitor));
    };
    let asked = query.clone();
    match reading(&room, move |room| search::search(room.console.reader(), &asked)).await {
        Some(found) => page(pages::log(&room.console, &query, &found, &visitor)),
        None => stopping(),
    }
}

async fn proved(room: &Shared, index: u64) -> Option<Result<Option<Proved>, StoreError>> {
    reading(room, move |room| search::proved(room.console.reader(), &room.console.status().origin, index))
        .await
}

pub(super) async fn entry(
    State(room): State<Shared>,
    headers: HeaderMap,
    InPath(index): InPath<u64>,
) -> Response {
    let visitor = match visitor(&room, &headers) {
        Ok(visitor) => visitor,
        Err(elsewhere) => return elsewhere,
    };
    match proved(&room, index).await {
        Some(Ok(Some(proved))) => page(pages::entry(&room.console, &proved, &visitor)),
        Some(Ok(None)) => {
            let why = format!("the log has no leaf {index} yet");
            whole(StatusCode::NOT_FOUND, pages::no_entry(&room.console, &why, &visitor))
        }
        Some(Err(error)) => {
            let why = format!("leaf {index} cannot be read: {error}");
            whole(StatusCode::SERVICE_UNAVAILABLE, pages::no_entry(&room.console, &why, &visitor))
        }
        None => stopping(),
    }
}

pub(super) async fn drills(State(room): State<Shared>, headers: HeaderMap) -> Response {
    let visitor = match visitor(&room, &headers) {
        Ok(visitor) => visitor,
        Err(elsewhere) => return elsewhere,
    };
    match reading(&room, |room| drills::marks(room.console.reader())).await {
        Some(found) => page(pages::drills(&room.console, &found, &visitor)),
        None => stopping(),
    }
}

pub(super) async fn drill(
    State(room): State<Shared>,
    headers: HeaderMap,
    InPath(index): InPath<u64>,
) -> Response {
    let visitor = match visitor(&room, &headers) {
        Ok(visitor) => visitor,
        Err(elsewhere) => return elsewhere,
    };
    match reading(&room, move |room| drills::drill(room.console.reader(), index)).await {
        Some(Ok(Some(drill))) => page(pages::drill(&room.console, &drill, &visitor)),
        Some(Ok(None)) => {
            let why = format!("no drill began at leaf {index}");
            whole(StatusCode::NOT_FOUND, pages::no_entry(&room.console, &why, &visitor))
        }
        Some(Err(error)) => {
            let why = format!("the log cannot be read: {error}");
            whole(StatusCode::SERVICE_UNAVAILABLE, pages::no_entry(&room.console, &why, &visitor))
        }
        None => stopping(),
    }
}

/// The proof as a file, in the form of C2SP tlog-proof.
pub(super) async fn proof(
    State(room): State<Shared>,
    headers: HeaderMap,
    InPath(index): InPath<u64>,
) -> Response {
    if let Err(elsewhere) = visitor(&room, &headers) {
        return elsewhere;
    }
    match proved(&room, index).await {
        Some(Ok(Some(Proved { proof: Some(proof), .. }))) => {
            ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], proof.to_string()).into_response()
        }
        Some(Ok(_)) => {
            refused(StatusCode::NOT_FOUND, "uncovered", "no signed checkpoint covers such a leaf yet")
        }
        Some(Err(error)) => refused(StatusCode::SERVICE_UNAVAILABLE, "unreadable", &error.to_string()),
        None => stopping(),
    }
}

pub(super) async fn begin(State(room): State<Shared>, headers: HeaderMap, Text(body): Text) -> Response {
    let (visitor, cookie) = match actor(&room, &headers) {
        Ok(actor) => actor,
        Err(refused) => return refused,
    };
    let Ok(asked) = serde_json::from_str::<Asked>(&body) else { return not_understood() };
    match room.console.begin(&cookie, &visitor, asked).await {
        Ok(begun) => document(&begun),
        Err(error) => of_act(&error),
    }
}

pub(super) async fn finish(State(room): State<Shared>, headers: HeaderMap, Text(body): Text) -> Response {
    let (visitor, cookie) = match actor(&room, &headers) {
        Ok(actor) => actor,
        Err(refused) => return refused,
    };
    let Ok(signed) = serde_json::from_str::<Signed>(&body) else { return not_understood() };
    // In a task of its own: what was signed is carried out to its end, also where the browser is gone meanwhile.
    let finishing = tokio::spawn(async move { room.console.finish(&cookie, &visitor, signed).await });
    match finishing.await {
        Ok(Ok(told)) => document(&serde_json::json!({ "told": told })),
        Ok(Err(error)) => of_act(&error),
        Err(_) => stopping(),
    }
}
