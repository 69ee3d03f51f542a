//! Charters, warrants and reviews, and what waits for more signatures.

use maud::{Markup, html};

use super::{ROW, Visitor, act, dialog, elsewhere, peers, statement, time, until};
use crate::break_glass::{BreakGlassAnswer, BreakGlassOrder, CharterView, ReviewView, WarrantView};
use crate::console::Console;
use crate::console::acts::Collected;
use crate::console::live::Moment;
use crate::passkeys::Act;

pub(super) async fn live(console: &Console, moment: &Moment, visitor: &Visitor) -> Markup {
    let now = moment.status.now_ms;
    let ask =
        async |order| console.desk.status.break_glass.carry_out(order, visitor.session.name.clone()).await;
    let charters = match ask(BreakGlassOrder::CharterList).await {
        Some(BreakGlassAnswer::Charters(charters)) => charters,
        _ => Vec::new(),
    };
    let warrants = match ask(BreakGlassOrder::WarrantList).await {
        Some(BreakGlassAnswer::Warrants(warrants)) => warrants,
        _ => Vec::new(),
    };
    let (uses, left_out) = match ask(BreakGlassOrder::ReviewList).await {
        Some(BreakGlassAnswer::Reviews { uses, left_out }) => (uses, left_out),
        _ => (Vec::new(), 0),
    };
    let collected = console.collected(visitor.now);
    html! {
        @if !collected.is_empty() { (waiting(&collected, now, visitor)) }
        (of_warrants(&warrants, now, visitor))
        (of_reviews(&uses, left_out, now, visitor))
        (of_charters(&charters, now, visitor))
        (dialog())
    }
}

/// What others have signed, for whoever signs next.
fn waiting(collected: &[Collected], now: u64, visitor: &Visitor) -> Markup {
    html! {
        section {
            h2 { "Waits for more signatures" }
            @for kept in collected {
                article.card {
                    p { b { (kept.act.label()) } ", signed by " (kept.by.join(", ")) ", since " (time(kept.since.0)) ", waits until " (until(kept.until_ms(), now)) }
                    pre { code { (statement(&kept.statement)) } }
                    @if visitor.session.may(kept.act) && !kept.by.contains(&visitor.session.name) {
                        (act("Sign it, too", "danger", &serde_json::json!({"act": "join", "mark": kept.mark}), ""))
                    }
                }
            }
        }
    }
}

fn of_warrants(warrants: &[WarrantView], now: u64, visitor: &Visitor) -> Markup {
    html! {
        section {
            h2 { "Warrants" }
            @if warrants.is_empty() { p { "None." } } @else {
                div.wide.rows role="group" tabindex="0" aria-label="Warrants" { table {
                    thead { tr { th { "Charter" } th { "State" } th.number { "Used" } th { "Until" } th { "Why" } th { "Signed by" } th { "Leaf" } } }
                    tbody { @for warrant in warrants {
                        tr {
                            td data-what="Charter" { (peers(&warrant.charter, ROW)) }
                            td data-what="State" { (warrant.state.replace('_', " ")) }
                            td.number data-what="Used" { (warrant.used) " of " (warrant.uses) }
                            td data-what="Until" { (until(warrant.not_after_ms, now)) }
                            td data-what="Why" { (peers(&warrant.reason, ROW)) }
                            td data-what="Signed by" { (warrant.by.join(", ")) }
                            td data-what="Leaf" { @if let Some(leaf) = warrant.leaf { a href=(format!("/log/{leaf}")) { (leaf) } } }
                        }
                    } }
                } }
            }
            @if visitor.session.may(Act::EndWarrant) {
                @for warrant in warrants.iter().filter(|warrant| warrant.state == "active") {
                    (act("End the warrant", "danger ask-reason", &serde_json::json!({"act": "end_warrant", "leaf": warrant.leaf, "reason": ""}), ""))
                }
            }
        }
    }
}

fn of_reviews(uses: &[ReviewView], left_out: u64, now: u64, visitor: &Visitor) -> Markup {
    html! {
        section {
            h2 { "Uses and their reviews" }
            @if uses.is_empty() { p { "No warrant was used." } } @else {
                div.wide.rows role="group" tabindex="0" aria-label="Uses and their reviews" { table {
                    thead { tr { th { "Use" } th { "When" } th { "Principal" } th { "Action" } th { "Resource" } th { "Review" } } }
                    tbody { @for used in uses {
                        tr {
                            td data-what="Use" { a href=(format!("/breakglass/{}", used.leaf)) { (used.leaf) } }
                            td data-what="When" { (time(used.time_ms)) }
                            td data-what="Principal" { (peers(&used.principal, ROW)) }
                            td data-what="Action" { (super::hold::uid(&used.action, ROW)) }
                            td data-what="Resource" { (super::hold::uid(&used.resource, ROW)) }
                            td data-what="Review" { (review(used, now, visitor)) }
                        }
                    } }
                } }
                @if left_out > 0 { p.soft { "And " (left_out) " more." } }
            }
        }
    }
}

/// Whether it was reviewed. Where it was not, the way to the page that shows all of it, where it is.
fn review(used: &ReviewView, now: u64, visitor: &Visitor) -> Markup {
    html! {
        @match used.review {
            Some(leaf) => { a href=(format!("/log/{leaf}")) { "reviewed at " (leaf) } }
            None => {
                (due(used, now))
                @if visitor.session.may(Act::Review) { " " a href=(format!("/breakglass/{}", used.leaf)) { "review it" } }
            }
        }
    }
}

/// By when it is to be reviewed, and in red once that is past.
pub(super) fn due(used: &ReviewView, now: u64) -> Markup {
    html! { @if used.due_ms < now { b.bad { "overdue since " (time(used.due_ms)) } } @else { "by " (until(used.due_ms, now)) } }
}

fn of_charters(charters: &[CharterView], now: u64, visitor: &Visitor) -> Markup {
    html! {
        section {
            h2 { "Charters" }
            @if charters.is_empty() { p { "None: nothing can be done while nothing can be signed." } }
            (elsewhere("Charters are made and revoked", &["assent breakglass charter create FILE", "assent breakglass charter revoke NAME"]))
            @for charter in charters {
                article.card {
                    h3 { (peers(&charter.name, ROW)) " " span.soft { (charter.state.replace('_', " ")) } }
                    dl { (terms(charter, now)) }
                    @if visitor.session.may(Act::Warrant) && charter.state == "in_force" {
                        p.parts {
                            label { "Uses " input type="number" data-part="uses" min="1" max=(charter.uses) value=(charter.uses); } " "
                            label { "Seconds " input type="number" data-part="window_s" min="1" max=(charter.window_s) value=(charter.window_s); }
                        }
                        (act("Ask for a warrant", "danger ask-reason", &serde_json::json!({
                            "act": "warrant", "charter": charter.name, "reason": "", "uses": charter.uses, "window_s": charter.window_s,
                        }), ""))
                    }
                }
            }
        }
    }
}

/// What a charter gives leave for, and who ordered it.
pub(super) fn terms(charter: &CharterView, now: u64) -> Markup {
    html! {
        dt { "Actions" } dd { (charter.actions.join(", ")) }
        dt { "Resources" } dd { (charter.resources.join(", ")) }
        dt { "Agents" } dd { @if charter.principals.is_empty() { "any" } @else { (charter.principals.join(", ")) } }
        dt { "When closed for" } dd { (charter.closed_s) " s" }
        dt { "A warrant" } dd { "at most " (charter.uses) " uses within " (charter.window_s) " s, signed by " (charter.threshold) " of " (charter.operators.join(", ")) }
        dt { "Until" } dd { (until(charter.not_after_ms, now)) }
        dt { "Ordered by" } dd { (charter.by.join(", ")) ", " a href=(format!("/log/{}", charter.leaf)) { "leaf " (charter.leaf) } }
    }
}
