//! One use of a warrant, in full: what was allowed, what decided, and under which warrant and charter; where it is reviewed.

use maud::{Markup, html};

use super::break_glass::{due, terms};
use super::hold::{changes, uid};
use super::{Visitor, WHOLE, act, dialog, document_of_peer, peers, still, time};
use crate::break_glass::{
    AllowedView, BreakGlassAnswer, BreakGlassOrder, CharterView, FoundView, UseView, WarrantView,
};
use crate::console::Console;
use crate::console::acts::mark_of_use;
use crate::passkeys::Act;

/// The use whose allow is at this leaf.
///
/// # Errors
/// Why there is none, as the desk says it.
pub async fn used(console: &Console, leaf: u64, visitor: &Visitor) -> Result<Markup, String> {
    let (order, by) = (BreakGlassOrder::ReviewShow { leaf }, visitor.session.name.clone());
    let view = match console.desk.status.break_glass.carry_out(order, by).await {
        Some(BreakGlassAnswer::Use(view)) => view,
        Some(BreakGlassAnswer::Refused { reason, .. }) => return Err(reason),
        Some(
            BreakGlassAnswer::ToSign { .. }
            | BreakGlassAnswer::Done { .. }
            | BreakGlassAnswer::Active { .. }
            | BreakGlassAnswer::Charters(_)
            | BreakGlassAnswer::Warrants(_)
            | BreakGlassAnswer::Reviews { .. },
        )
        | None => return Err("the appliance is stopping".to_owned()),
    };
    let differs = match view.allowed.as_ref().and_then(|allowed| allowed.intent.as_ref()) {
        Some(intent) => changes(console.similar(leaf, &view.used.principal, intent).await.as_ref()),
        None => html! {},
    };
    Ok(still(console, "Use of a warrant", visitor, &in_full(&view, &differs, visitor)))
}

fn in_full(view: &UseView, differs: &Markup, visitor: &Visitor) -> Markup {
    let (used, now) = (&view.used, visitor.now.0);
    html! {
        section {
            dl {
                dt { "Use" } dd { (used.number) " of the warrant at " a href=(format!("/log/{}", used.warrant)) { "leaf " (used.warrant) } }
                dt { "Allowed" } dd { (time(used.time_ms)) ", at " a href=(format!("/log/{}", used.leaf)) { "leaf " (used.leaf) } }
                dt { "Principal" } dd { (peers(&used.principal, WHOLE)) }
                dt { "Review" } dd {
                    @match used.review {
                        Some(leaf) => { "at " a href=(format!("/log/{leaf}")) { "leaf " (leaf) } }
                        None => { b { "open" } ", " (due(used, now)) }
                    }
                }
            }
        }
        section {
            h2 { "What was asked" }
            @if let Some(missing) = &view.missing { p.warn { "Missing: " (peers(missing, WHOLE)) } }
            @match view.allowed.as_ref().and_then(|allowed| allowed.intent.as_ref()) {
                Some(intent) => { (document_of_peer(intent)) }
                None => { dl { dt { "Action" } dd { (uid(&used.action, WHOLE)) } dt { "Resource" } dd { (uid(&used.resource, WHOLE)) } } }
            }
        }
        @if let Some(allowed) = &view.allowed { (decided(allowed)) }
        @if let Some(warrant) = &view.warrant { (given(warrant)) }
        @if let Some(charter) = &view.charter {
            section {
                h2 { "The charter" }
                dl { dt { "Name" } dd { (peers(&charter.name, WHOLE)) ", " (charter.state.replace('_', " ")) } (terms(charter, now)) }
            }
        }
        (differs)
        (review(view, visitor))
        (dialog())
    }
}

fn decided(allowed: &AllowedView) -> Markup {
    html! {
        section {
            h2 { "What decided" }
            dl {
                dt { "Policies" } dd { @for policy in &allowed.policies { code { (policy) } " " } }
                dt { "Risk" } dd { (allowed.risk) }
                dt { "Bundle" } dd { code { (allowed.bundle) } }
                dt { "Could be done" } dd { (time(allowed.not_before_ms)) " until " (time(allowed.not_after_ms)) ", at " (peers(&allowed.audience, WHOLE)) }
                dt { "Intent digest" } dd { code { (allowed.digest) } }
            }
        }
    }
}

fn given(warrant: &WarrantView) -> Markup {
    html! {
        section {
            h2 { "The warrant" }
            dl {
                dt { "Why" } dd { (peers(&warrant.reason, WHOLE)) }
                dt { "Signed by" } dd { (warrant.by.join(", ")) }
                dt { "Given" } dd { (time(warrant.not_before_ms)) " until " (time(warrant.not_after_ms)) }
                dt { "Uses" } dd { (warrant.used) " of " (warrant.uses) " were made; it is " (warrant.state.replace('_', " ")) }
            }
        }
    }
}

/// What its review says; where it has none, the place to give one.
fn review(view: &UseView, visitor: &Visitor) -> Markup {
    let (leaf, mark) = (view.used.leaf, mark_of_use(view));
    let wish = |justified: bool| serde_json::json!({"act": "review", "leaf": leaf, "justified": justified, "text": ""});
    html! {
        section.acts {
            h2 { "Review" }
            @match (&view.found, view.used.review) {
                (Some(found), _) => { (said(found)) }
                (None, Some(_)) => { p { "It was reviewed; what the review says cannot be read now." } }
                (None, None) => {
                    p.soft { "One operator of the charter who did not sign the warrant" (who(view)) " says in a line what they found, and signs it with their passkey." }
                    @if visitor.session.may(Act::Review) {
                        (act("Justified", "good ask-text", &wish(true), &mark)) " " (act("Not justified", "danger ask-text", &wish(false), &mark))
                    } @else {
                        p.soft { "At the console, reviews are for security." }
                    }
                }
            }
        }
    }
}

/// Those who may.
fn who(view: &UseView) -> String {
    let (Some(CharterView { operators, .. }), Some(warrant)) = (&view.charter, &view.warrant) else {
        return String::new();
    };
    let others: Vec<&str> =
        operators.iter().filter(|name| !warrant.by.contains(name)).map(String::as_str).collect();
    if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) }
}

fn said(found: &FoundView) -> Markup {
    html! {
        dl {
            dt { "Finding" } dd { b.fine[found.finding == "justified"].bad[found.finding != "justified"] { (found.finding) } }
            dt { "Why" } dd { (peers(&found.text, WHOLE)) }
            dt { "Signed by" } dd { (found.by) ", " (time(found.time_ms)) }
        }
    }
}

/// No warrant was used there.
#[must_use]
pub fn no_use(console: &Console, why: &str, visitor: &Visitor) -> Markup {
    let body =
        html! { p.warn { (peers(why, WHOLE)) } p { a href="/breakglass" { "Uses and their reviews" } } };
    still(console, "No such use", visitor, &body)
}
