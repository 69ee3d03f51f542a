//! The log, searched.

use maud::{Markup, html};

use super::hold::uid;
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
                _ if query.unknown_kind().is_some() => { p.warn { (no_kind(query)) } }
                Err(error) => { p.warn { "The log cannot be read: " (error) } }
                Ok(found) => { (hits(query, found)) }
            }
        },
    )
}

/// That there is no such kind, and which there are, as the command line says it.
fn no_kind(query: &Query) -> Markup {
    html! { "There is no kind " (peers(&query.kind, ROW)) ": the kinds are " (kinds().join(", ")) "." }
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
    const UIDS: [&str; 2] = ["action", "resource"];
    let told = hit.told();
    html! {
        @for (name, text) in &told {
            span.soft { (name) " " }
            @if UIDS.contains(name) { (uid(text, ROW)) } @else { (peers(text, ROW)) }
            " "
        }
        @if told.is_empty() { (peers(&hit.about, ROW * 2)) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn line(shown: Value) -> String {
        let about = "3 denials from 7 to 10".to_owned();
        in_a_line(&Hit { index: 1, time_ms: 2, kind: "k".to_owned(), shown, about }).into_string()
    }

    #[test]
    fn an_entity_that_hides_something_is_marked_in_a_line() {
        let of = |id: &str| assent_proto::intent::Uid { type_name: "Shop::Order", id }.to_string();
        let told =
            |id: &str| line(serde_json::json!({"action": "Shop::Action::\"buy\"", "resource": of(id)}));
        let hostile = told("7\u{202e}");
        assert!(hostile.contains("class=\"marked\"") && hostile.contains("7\\u{202e}"), "{hostile}");
        assert!(!told("7").contains("marked"), "{}", told("7"));
    }

    #[test]
    fn several_who_acted_are_named_in_words_and_what_has_no_names_is_told_as_the_command_line_does() {
        let act = line(serde_json::json!({"act": "rearm", "by": ["bob", "ca<rol"], "name": null}));
        assert!(act.contains("bob, ca&lt;rol") && !act.contains("name") && !act.contains("denials"), "{act}");
        let outage = line(serde_json::json!({"covered": 7, "reached": 10, "denials": 3}));
        assert!(outage.contains("3 denials from 7 to 10"), "{outage}");
    }
}
