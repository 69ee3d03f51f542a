//! One ticket of the queue, in full: what waits, and where it is withdrawn.

use maud::{Markup, html};

use super::hold::what_is_asked;
use super::queue::withdraw;
use super::{Visitor, WHOLE, dialog, peers, still, time, until};
use crate::console::Console;
use crate::passkeys::Act;
use crate::queue::desk::{IntentView, QueueAnswer, QueueOrder, TicketView};

/// The ticket.
///
/// # Errors
/// Why nothing waits under it, as the desk says it.
pub async fn ticket(console: &Console, ticket: &str, visitor: &Visitor) -> Result<Markup, String> {
    let (order, by) = (QueueOrder::Show { ticket: ticket.to_owned() }, visitor.session.name.clone());
    let (ticket, intents, left_out) = match console.desk.status.queue.carry_out(order, by).await {
        Some(QueueAnswer::Shown { ticket, intents, left_out }) => (ticket, intents, left_out),
        Some(QueueAnswer::Refused(why)) => return Err(why),
        Some(QueueAnswer::Listed { .. } | QueueAnswer::Cancelled(_)) | None => {
            return Err("the appliance is stopping".to_owned());
        }
    };
    let asked = console.asked_of(&ticket).await;
    let withdrawn = withdraw(&ticket, asked.as_ref());
    Ok(still(console, "Ticket", visitor, &in_full(&ticket, (&intents, left_out), &withdrawn, visitor)))
}

fn in_full(
    ticket: &TicketView,
    (intents, left_out): (&[IntentView], u64),
    withdrawn: &Markup,
    visitor: &Visitor,
) -> Markup {
    html! {
        section {
            dl {
                dt { "Ticket" } dd { code { (ticket.ticket) } }
                dt { "Principal" } dd { (peers(&ticket.principal, WHOLE)) }
                dt { "Priority" } dd { (ticket.priority) }
                dt { "State" } dd {
                    (ticket.state.replace('_', " "))
                    @if ticket.state == "awaiting_approval" { ": " a href=(format!("/holds/{}", ticket.ticket)) { "answer it" } }
                }
                dt { "Intents" } dd { (ticket.intents) ", " (ticket.bytes) " bytes" }
                dt { "Waits since" } dd { (time(ticket.since_ms)) }
                dt { "Decided or expired" } dd { (until(ticket.until_ms, visitor.now.0)) }
                dt { "Hold" } dd { a href=(format!("/log/{}", ticket.hold)) { "leaf " (ticket.hold) } }
                dt { "Approved so far by" } dd { @if ticket.approved_by.is_empty() { "nobody" } @else { (ticket.approved_by.join(", ")) } }
            }
        }
        (what_is_asked(intents, left_out))
        @if visitor.session.may(Act::CancelTicket) {
            section.acts {
                h2 { "Withdraw it" }
                p.soft { "It waits no longer, and its agent hears so. You give a reason, and sign it with your passkey." }
                (withdrawn)
            }
        }
        (dialog())
    }
}

/// Nothing waits under that ticket.
#[must_use]
pub fn no_ticket(console: &Console, why: &str, visitor: &Visitor) -> Markup {
    let body = html! { p.warn { (peers(why, WHOLE)) } p { a href="/queue" { "What waits" } } };
    still(console, "No such ticket", visitor, &body)
}
