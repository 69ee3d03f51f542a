//! What waits for people: the list of holds, and one in full, where it is approved or rejected.

use maud::{Markup, html};

use super::{ROW, ROWS, Visitor, WHOLE, act, dialog, document_of_peer, end_of, peers, still, time, until};
use crate::console::Console;
use crate::console::acts::mark_of_hold;
use crate::console::asked::Asked;
use crate::console::live::Moment;
use crate::console::similar::{Change, Similar, Told};
use crate::passkeys::Act;
use crate::queue::approving::{ApprovalAnswer, ApprovalOrder, HoldView};
use crate::queue::desk::{IntentView, TicketView};
use crate::shown::{hides, uid_hides};

pub(super) async fn list(console: &Console, moment: &Moment) -> Markup {
    let (holds, left_out) = match console.desk.approvals.carry_out(ApprovalOrder::List).await {
        Some(ApprovalAnswer::Listed { holds, left_out }) => (holds, left_out),
        Some(
            ApprovalAnswer::Shown { .. }
            | ApprovalAnswer::ToSign { .. }
            | ApprovalAnswer::Recorded { .. }
            | ApprovalAnswer::Refused(_)
            | ApprovalAnswer::Invalid(_),
        )
        | None => (Vec::new(), 0),
    };
    let more = left_out + holds.len().saturating_sub(ROWS) as u64;
    let shown = holds.get(..ROWS).unwrap_or(&holds);
    let asked = console.asked(shown.iter().map(|hold| hold.ticket.hold).collect()).await;
    html! {
        section {
            @if holds.is_empty() {
                p { "Nothing awaits approval." }
            } @else {
                div.wide.rows role="group" tabindex="0" aria-label="Holds" { table {
                    caption { "In the order in which they would be decided" }
                    thead { tr { th { "Ticket" } th { "Action" } th { "Resource" } th { "Principal" } th { "Priority" } th.number { "Risk" } th { "Policies" } th { "Approved by" } th { "Until" } } }
                    tbody { @for (hold, asked) in shown.iter().zip(asked) { (row(hold, asked.as_ref(), moment.status.now_ms)) } }
                } }
                @if more > 0 { p.soft { "And " (more) " more." } }
            }
        }
    }
}

fn row(hold: &HoldView, asked: Option<&Asked>, now_ms: u64) -> Markup {
    let ticket = &hold.ticket;
    html! {
        tr {
            td data-what="Ticket" { a href=(format!("/holds/{}", ticket.ticket)) { (end_of(&ticket.ticket)) } }
            (asked_cells(ticket, asked))
            td data-what="Principal" { (peers(&ticket.principal, ROW)) }
            td data-what="Priority" { (ticket.priority) }
            td.number data-what="Risk" { (hold.risk) }
            td data-what="Policies" { (hold.policies.join(", ")) }
            td data-what="Approved by" { (ticket.approved_by.join(", ")) }
            td data-what="Until" { (until(ticket.until_ms, now_ms)) }
        }
    }
}

/// What a ticket asks for, in the two cells of a row: of its first intent, with how many more there are.
pub(super) fn asked_cells(ticket: &TicketView, asked: Option<&Asked>) -> Markup {
    let more = ticket.intents.saturating_sub(1);
    html! {
        td data-what="Action" {
            @if let Some(asked) = asked { (uid(&asked.action, ROW)) } @else { span.soft { "not readable now" } }
            @if more > 0 { " " span.soft { "and " (more) " more" } }
        }
        td data-what="Resource" { @if let Some(asked) = asked { (uid(&asked.resource, ROW)) } }
    }
}

/// An entity as Cedar writes it: what does not print stands escaped in it already, so that the mark is decided on what was written.
pub(super) fn uid(written: &str, most: usize) -> Markup {
    written_out(&peers(written, most), !hides(written) && uid_hides(written))
}

/// What was written out before, and so is marked here where it was.
fn written_out(shown: &Markup, is_marked: bool) -> Markup {
    const HIDES: &str = "holds characters that do not print; they are written out";
    html! { @if is_marked { bdi.marked title=(HIDES) { (shown) } } @else { (shown) } }
}

fn value(told: &Told) -> Markup {
    written_out(&peers(&told.text, ROW * 4), told.hides)
}

/// The intents of a ticket, in full.
pub(super) fn what_is_asked(intents: &[IntentView], left_out: u64) -> Markup {
    html! {
        section {
            h2 { "What is asked" }
            @for shown in intents { (document_of_peer(&shown.intent)) }
            @if left_out > 0 { p.warn { "And " (left_out) " more, for which a page has no room: see " code { "assent queue show" } "." } }
        }
    }
}

/// One hold, in full. None where nothing waits under this ticket: why not.
///
/// # Errors
/// What the desk says.
pub async fn hold(console: &Console, ticket: &str, visitor: &Visitor) -> Result<Markup, String> {
    let order = ApprovalOrder::Show { ticket: ticket.to_owned() };
    let (hold, intents) = match console.desk.approvals.carry_out(order).await {
        Some(ApprovalAnswer::Shown { hold, intents }) => (hold, intents),
        Some(ApprovalAnswer::Refused(why) | ApprovalAnswer::Invalid(why)) => return Err(why),
        Some(
            ApprovalAnswer::Listed { .. } | ApprovalAnswer::ToSign { .. } | ApprovalAnswer::Recorded { .. },
        )
        | None => return Err("the appliance is stopping".to_owned()),
    };
    let similar = match intents.first() {
        Some(shown) => console.similar(hold.ticket.hold, &hold.ticket.principal, &shown.intent).await,
        None => None,
    };
    Ok(still(console, "Hold", visitor, &in_full(&hold, &intents, similar.as_ref(), visitor)))
}

fn in_full(hold: &HoldView, intents: &[IntentView], similar: Option<&Similar>, visitor: &Visitor) -> Markup {
    let (ticket, mark) = (&hold.ticket, mark_of_hold(hold, intents));
    let wish =
        |approve: bool| serde_json::json!({"act": "answer", "ticket": ticket.ticket, "approve": approve});
    html! {
        section {
            dl {
                dt { "Ticket" } dd { code { (ticket.ticket) } }
                dt { "Principal" } dd { (peers(&ticket.principal, WHOLE)) }
                dt { "Risk" } dd { (hold.risk) }
                dt { "Held by" } dd { @for policy in &hold.policies { code { (policy) } " " } }
                dt { "Asked since" } dd { (time(ticket.since_ms)) }
                dt { "Decided or expired" } dd { (until(ticket.until_ms, visitor.now.0)) }
                dt { "Hold" } dd { a href=(format!("/log/{}", ticket.hold)) { "leaf " (ticket.hold) } }
                dt { "Intent digest" } dd { code { (hold.digest) } }
                @for demand in &hold.demands {
                    dt { "Needs" } dd { (demand.count) " of " b { (demand.group) } ": " (demand.operators.join(", ")) }
                }
                dt { "Approved so far by" } dd { @if ticket.approved_by.is_empty() { "nobody" } @else { (ticket.approved_by.join(", ")) } }
            }
        }
        (what_is_asked(intents, 0))
        (changes(similar))
        @if visitor.session.may(Act::AnswerHold) {
            section.acts {
                h2 { "Your answer" }
                p.soft { "You sign it with your passkey. It counts where the bundle's operators.toml lists your key in a group that is needed." }
                (act("Approve", "good", &wish(true), &mark)) " " (act("Reject", "danger", &wish(false), &mark))
            }
        } @else {
            p.soft { "Answering holds is for approvers." }
        }
        (dialog())
    }
}

/// What differs from the last that the same agent asked of the kind.
pub(super) fn changes(similar: Option<&Similar>) -> Markup {
    html! {
        section {
            h2 { "What changed since the last like it" }
            @match similar {
                Some(similar) => { (differs(similar)) }
                None => { p { "This agent has not asked for this action before, as far back as was looked." } }
            }
        }
    }
}

fn differs(similar: &Similar) -> Markup {
    html! {
        p { "The last was " b { (similar.outcome) } " at " a href=(format!("/log/{}", similar.index)) { "leaf " (similar.index) } ", " (time(similar.time_ms)) "." }
        @if similar.changes.is_empty() {
            p { "Nothing differs, or what was asked then was erased." }
        } @else {
            div.wide.rows role="group" tabindex="0" aria-label="What differs" { table {
                thead { tr { th { "Where" } th { "Then" } th { "Now" } } }
                tbody { @for Change { path, then, now } in &similar.changes {
                    tr { td data-what="Where" { (peers(path, ROW)) } td.was data-what="Then" { (value(then)) } td.is data-what="Now" { (value(now)) } }
                } }
            } }
        }
    }
}

/// Nothing waits under that ticket.
#[must_use]
pub fn no_hold(console: &Console, why: &str, visitor: &Visitor) -> Markup {
    still(
        console,
        "No such hold",
        visitor,
        &html! { p.warn { (peers(why, WHOLE)) } p { a href="/holds" { "What awaits approval" } } },
    )
}
