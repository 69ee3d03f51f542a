//! What waits for the boundaries, by priority.

use maud::{Markup, html};

use super::{ROW, Visitor, act, dialog, peers, time, until};
use crate::console::Console;
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
            @if tickets.is_empty() {
                p { "Nothing waits." }
            } @else {
                div.wide.rows role="group" tabindex="0" aria-label="Tickets" { table {
                    caption { "In the order in which they are decided" }
                    thead { tr { th { "Ticket" } th { "Principal" } th { "Priority" } th { "State" } th.number { "Intents" } th { "Since" } th { "Until" } @if may { th { "" } } } }
                    tbody { @for ticket in &tickets { (row(ticket, moment.status.now_ms, may)) } }
                } }
                @if left_out > 0 { p.soft { "And " (left_out) " more." } }
            }
        }
        (dialog())
    }
}

fn row(ticket: &TicketView, now_ms: u64, may: bool) -> Markup {
    let wish = serde_json::json!({"act": "cancel", "ticket": ticket.ticket, "reason": ""});
    html! {
        tr data-ticket=(ticket.ticket) {
            td data-what="Ticket" { code title=(ticket.ticket) { (ticket.ticket.chars().take(12).collect::<String>()) } }
            td data-what="Principal" { (peers(&ticket.principal, ROW)) }
            td data-what="Priority" { (ticket.priority) }
            td data-what="State" { (ticket.state.replace('_', " ")) }
            td.number data-what="Intents" { (ticket.intents) }
            td data-what="Since" { (time(ticket.since_ms)) }
            td data-what="Until" { (until(ticket.until_ms, now_ms)) }
            @if may { td data-what="" { (act("Withdraw", "plain ask-reason", &wish, "")) } }
        }
    }
}
