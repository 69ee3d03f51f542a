//! The log, searched.

use maud::{Markup, html};

use super::{ROW, Visitor, peers, still, time};
use crate::console::Console;
use crate::console::search::{Found, Hit, Query, kinds};
use crate::log::store::StoreError;

/// What a search found.
#[must_use]
pub fn log(console: &Console, query: &Query, found: &Result<Found, StoreError>, visitor: &Visitor) -> Markup {
    still(
        console,
        "Log",
        visitor,
        &html! {
            form.search method="get" action="/log" {
                label { "Kind " select name="kind" {
                    option value="" selected[query.kind.is_empty()] { "all" }
                    @for kind in kinds() { option value=(kind) selected[query.kind == kind] { (kind) } }
                } }
                label { "Text " input type="search" name="text" value=(query.text) maxlength="256"; }
                button { "Search" }
            }
            @match found {
                Err(error) => { p.warn { "The log cannot be read: " (error) } }
                Ok(found) => { (hits(query, found)) }
            }
        },
    )
}

fn hits(query: &Query, found: &Found) -> Markup {
    html! {
        p.soft { (found.hits.len()) " found in " (found.searched) " entries, the newest first."
            @if found.archived { " What is older lies in an archive." } }
        div.wide.rows role="group" tabindex="0" aria-label="Entries" { table {
            thead { tr { th { "Leaf" } th { "When" } th { "Kind" } th { "What" } } }
            tbody { @for hit in &found.hits {
                tr {
                    td data-what="Leaf" { a href=(format!("/log/{}", hit.index)) { (hit.index) } }
                    td data-what="When" { (time(hit.time_ms)) }
                    td data-what="Kind" { (hit.kind) }
                    td data-what="What" { (in_a_line(hit)) }
                }
            } }
        } }
        @if let Some(rest) = found.rest {
            form method="get" action="/log" {
                input type="hidden" name="kind" value=(query.kind); input type="hidden" name="text" value=(query.text);
                input type="hidden" name="before" value=(rest);
                button { "Older than leaf " (rest) }
            }
        }
    }
}

/// What an entry is about, in a line.
pub(super) fn in_a_line(hit: &Hit) -> Markup {
    const TOLD: [&str; 12] = [
        "principal",
        "action",
        "resource",
        "refusal",
        "cause",
        "act",
        "by",
        "answer",
        "name",
        "after",
        "version",
        "epoch",
    ];
    let told = |name: &&str| {
        let value = hit.shown.get(*name)?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (!value.is_null()).then(|| ((*name).to_owned(), text))
    };
    html! { @for (name, text) in TOLD.iter().filter_map(told) { span.soft { (name) " " } (peers(&text, ROW)) " " } }
}
