//! What waits for the boundaries, by priority.

use maud::{Markup, html};

use super::hold::asked_cells;
use super::{ROW, ROWS, Visitor, act, dialog, end_of, peers, time, until};
use crate::console::Console;
use crate::console::acts::mark_of_ticket;
use crate::console::asked::Asked;
use crate::console::live::Moment;
use crate::passkeys::Act;
use crate::queue::desk::{QueueAnswer, QueueOrder, TicketView};

pub(super) async fn live(console: &Console, moment: &Moment, visitor: &Visitor) -> Markup {
    let by = visitor.session.name.clone();
    let (tickets, left_out) = match console.desk.status.queue.carry_out(QueueOrder::List, by).await {
        Some(QueueAnswer::Listed { tickets, left_out, .. }) => (tickets, left_out),
        Some(QueueAnswer::Shown { .. } | QueueAnswer::Cancelled(_) | QueueAnswer::Refused(_)) | None => {
            (Vec::new(), 0)
        }
    };
    let more = left_out + tickets.len().saturating_sub(ROWS) as u64;
    let shown = tickets.get(..ROWS).unwrap_or(&tickets);
    let asked = console.asked(shown.iter().map(|ticket| ticket.hold).collect()).await;
    let queue = &moment.status.queue;
    let [low, normal, high, critical] = queue.queued;
    let may = visitor.session.may(Act::CancelTicket);
    html! {
        section {
            dl.figures {
                div { dt { "critical" } dd { (critical) } }
                div { dt { "high" } dd { (high) } }
                div { dt { "normal" } dd { (normal) } }
                div { dt { "low" } dd { (low) } }
                div { dt { "await approval" } dd { (queue.awaiting_approval) } }
                div { dt { "room" } dd { (queue.intents_max) } }
            }
            @if let Some(oldest) = queue.oldest_ms { p { "The oldest waits since " (time(oldest)) "." } }
            @if let Some(oldest) = queue.oldest_hold_ms { p { "The oldest hold waits since " (time(oldest)) "." } }
            @if tickets.is_empty() {
                p { "Nothing waits." }
            } @else {
                div.wide.rows role="group" tabindex="0" aria-label="Tickets" { table {
                    caption { "In the order in which they are decided" }
                    thead { tr { th { "Ticket" } th { "Action" } th { "Resource" } th { "Principal" } th { "Priority" } th { "State" } th.number { "Intents" } th { "Since" } th { "Until" } @if may { th { "" } } } }
                    tbody { @for (ticket, asked) in shown.iter().zip(asked) { (row(ticket, asked.as_ref(), moment.status.now_ms, may)) } }
                } }
                @if more > 0 { p.soft { "And " (more) " more." } }
            }
        }
        (dialog())
    }
}

/// The button that withdraws it.
pub(super) fn withdraw(ticket: &TicketView, asked: Option<&Asked>) -> Markup {
    let wish = serde_json::json!({"act": "cancel", "ticket": ticket.ticket, "reason": ""});
    act("Withdraw", "plain ask-reason", &wish, &mark_of_ticket(ticket, asked))
}

fn row(ticket: &TicketView, asked: Option<&Asked>, now_ms: u64, may: bool) -> Markup {
    html! {
        tr data-ticket=(ticket.ticket) {
            td data-what="Ticket" { a href=(format!("/queue/{}", ticket.ticket)) { (end_of(&ticket.ticket)) } }
            (asked_cells(ticket, asked))
            td data-what="Principal" { (peers(&ticket.principal, ROW)) }
            td data-what="Priority" { (ticket.priority) }
            td data-what="State" { (ticket.state.replace('_', " ")) }
            td.number data-what="Intents" { (ticket.intents) }
            td data-what="Since" { (time(ticket.since_ms)) }
            td data-what="Until" { (until(ticket.until_ms, now_ms)) }
            @if may { td data-what="" { (withdraw(ticket, asked)) } }
        }
    }
}
