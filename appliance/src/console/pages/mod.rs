//! The pages: each a function of what it shows, written on the server, and whole without a script.
//!
//! The rule they keep: maud escapes what stands in them, and `shown::visible` marks what does not print or turns the direction of
//! text. A page that is live has its live part in `Console::live_part`, which is what the stream of events sends anew.

mod break_glass;
mod drills;
mod entry;
mod escalations;
mod evidence;
mod front;
mod hold;
mod log;
mod overview;
mod policy;
mod queue;
mod ticket;
mod used;

use std::time::Duration;

use assent_proto::calendar::Utc;
use assent_proto::number::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;

use super::live::Moment;
use super::{Console, Visitor, assets};
use crate::shown::{lasting, visible};

pub use drills::{drill, drills};
pub use entry::{entry, no_entry};
pub use evidence::{not_begun, report};
pub use front::{enrol, login, sorry};
pub use hold::{hold, no_hold};
pub use log::log;
pub use ticket::{no_ticket, ticket};
pub use used::{no_use, used};

/// Pages whose content is told live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// How everything is.
    Overview,
    /// What waits for the boundaries.
    Queue,
    /// What waits for people.
    Holds,
    /// Charters, warrants, reviews.
    Breakglass,
    /// Who is told what.
    Escalations,
    /// What decides, and by which key it is signed.
    Policy,
    /// What auditors look for.
    Evidence,
    /// A page that shows what does not change by itself: it hears only that the appliance is there.
    Still,
}

/// Pages that are told live: where each is, and what it is called.
pub const NAVIGATION: [(Page, &str, &str); 7] = [
    (Page::Overview, "/", "Overview"),
    (Page::Holds, "/holds", "Holds"),
    (Page::Queue, "/queue", "Queue"),
    (Page::Breakglass, "/breakglass", "Break-glass"),
    (Page::Escalations, "/escalations", "Escalations"),
    (Page::Policy, "/policy", "Policy and keys"),
    (Page::Evidence, "/evidence", "Evidence"),
];

impl Page {
    /// As the stream of events is asked for it.
    const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Queue => "queue",
            Self::Holds => "holds",
            Self::Breakglass => "breakglass",
            Self::Escalations => "escalations",
            Self::Policy => "policy",
            Self::Evidence => "evidence",
            Self::Still => "still",
        }
    }
}

impl Console {
    /// The part of a page that changes by itself; empty where nothing does.
    pub async fn live_part(&self, page: Page, moment: &Moment, visitor: &Visitor) -> Markup {
        match page {
            Page::Overview => overview::live(self, moment, visitor),
            Page::Queue => queue::live(self, moment, visitor).await,
            Page::Holds => hold::list(self, moment).await,
            Page::Breakglass => break_glass::live(self, moment, visitor).await,
            Page::Escalations => escalations::live(self, moment).await,
            Page::Policy => policy::live(self, moment),
            Page::Evidence => evidence::live(self, moment).await,
            Page::Still => html! {},
        }
    }

    /// A whole page that is told live.
    pub async fn page(&self, page: Page, visitor: &Visitor) -> Markup {
        let moment = self.moment();
        let live = self.live_part(page, &moment, visitor).await;
        let title =
            NAVIGATION.iter().find(|(known, ..)| *known == page).map_or("Assent", |(_, _, title)| title);
        let body = html! {
            div #live { (live) }
            @if page == Page::Evidence { (evidence::doors(self, visitor)) }
        };
        frame(title, page, visitor, &moment, &body)
    }

    /// The newest reading; made now where nobody has looked yet.
    pub(super) fn moment(&self) -> Moment {
        match self.live().newest() {
            Some(moment) => Moment::clone(&moment),
            None => Moment { status: self.status(), samples: std::collections::VecDeque::new() },
        }
    }
}

/// The frame of every page behind a login.
fn frame(title: &str, page: Page, visitor: &Visitor, moment: &Moment, body: &Markup) -> Markup {
    let (status, session) = (&moment.status, &visitor.session);
    document(
        title,
        &html! {
            header {
                a.sign href="/" { img src=(assets::path(".svg")) alt="" width="28" height="28"; span { "Assent" } }
                nav aria-label="Pages" {
                    @for (known, path, name) in NAVIGATION {
                        a href=(path) aria-current=[(known == page).then_some("page")] { (name) }
                    }
                    a href="/log" { "Log" }
                }
                form.who method="post" action="/logout" {
                    span { (visible(&session.name)) " " span.soft { (roles(visitor)) } }
                    input type="hidden" name="csrf" value=(session.csrf());
                    button.plain { "Log out" }
                }
            }
            p #stale role="alert" hidden { "Stale since " span #since {} " UTC: " span #why { "the appliance is not heard" } ". Acting is off." }
            p #told role="status" hidden {}
            main data-page=(page.name()) data-csrf=(session.csrf()) data-now=(status.now_ms) {
                h1 { (title) }
                noscript { p.soft { "Without a script this page can be read. It does not follow the appliance: load it again; and acting takes a passkey, and so a script." } }
                (body)
            }
            footer.soft { (visible(&status.origin)) ", assent " (status.version) ", " (time(status.now_ms)) ". All times here are UTC." }
        },
    )
}

/// A document with the console's style and script.
fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - Assent" }
                link rel="icon" href=(assets::path(".svg"));
                link rel="stylesheet" href=(assets::path(".css"));
                script src=(assets::path(".js")) defer {}
            }
            body { (body) }
        }
    }
}

/// A page that is no live one, in the frame.
fn still(console: &Console, title: &str, visitor: &Visitor, body: &Markup) -> Markup {
    frame(title, Page::Still, visitor, &console.moment(), body)
}

fn roles(visitor: &Visitor) -> String {
    visitor.session.roles.iter().map(|role| role.label()).collect::<Vec<_>>().join(", ")
}

/// A time, for people and for the script.
fn time(ms: u64) -> Markup {
    let text = Utc(Timestamp(ms)).to_string();
    html! { time datetime=(text) { (text.replace('T', " ").replace('Z', "")) } }
}

/// A time that is waited for; the script counts down.
fn until(ms: u64, now_ms: u64) -> Markup {
    html! { (time(ms)) " " span.soft data-until=(ms) { "(" (left(ms, now_ms)) ")" } }
}

fn left(ms: u64, now_ms: u64) -> String {
    match ms.checked_sub(now_ms) {
        None | Some(0) => "over".to_owned(),
        Some(left) => format!("{} left", lasting(Duration::from_millis(left))),
    }
}

/// A text of a peer: escaped, marked, and cut where it is long, with how long it was.
fn peers(text: &str, most: usize) -> Markup {
    let shown = visible(text);
    let is_marked = shown != text;
    let cut: String = shown.chars().take(most).collect();
    let is_cut = cut.len() < shown.len();
    html! {
        bdi.marked[is_marked] title=[is_marked.then_some("holds characters that do not print; they are written out")] { (cut) }
        @if is_cut { span.soft { " ... (" (text.len()) " bytes)" } }
    }
}

/// Enough of a ticket to tell it from others: it begins with the time, which those of one moment share.
fn end_of(ticket: &str) -> Markup {
    let before = ticket.len().saturating_sub(8);
    html! { code title=(ticket) { ".." (ticket.get(before..).unwrap_or(ticket)) } }
}

/// Characters of a peer's text that a row of a table shows.
const ROW: usize = 96;
/// And a line of a document, before it is folded.
const LINE: usize = 2048;
/// Rows of a table that is told live.
const ROWS: usize = 200;
/// And a page about one thing.
const WHOLE: usize = 16 * 1024;

/// A document of a peer, indented, with what does not print written out, and marked where there is such.
fn document_of_peer(value: &serde_json::Value) -> Markup {
    html! { (marks(value)) (in_lines(value)) }
}

/// What whoever reads it is to be told first.
fn marks(value: &serde_json::Value) -> Markup {
    html! { @for mark in crate::shown::marks(value) { p.warn { b.marked { (mark) } } } }
}

/// All of it, indented, with what does not print written out. Long lines are folded, so that they push nothing out of sight.
fn in_lines(value: &serde_json::Value) -> Markup {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    html! { pre tabindex="0" { code { @for line in text.lines() { (folded(&visible(line))) "\n" } } } }
}

fn folded(line: &str) -> Markup {
    let cut = line.char_indices().nth(LINE).map_or(line.len(), |(at, _)| at);
    let (head, rest) = line.split_at_checked(cut).unwrap_or((line, ""));
    html! {
        (head)
        @if !rest.is_empty() { details { summary { (rest.chars().count()) " more characters" } (rest) } }
    }
}

/// A statement as it is signed, line by line: the lines are its own, and what a line holds makes no other.
fn statement(text: &str) -> Markup {
    html! {
        @for line in crate::shown::lines_of(text) { bdi.marked[line.is_marked] { (line.text) } "\n" }
    }
}

/// A button that begins an act; the script does the rest. What it wishes is for the server to read again.
fn act(label: &str, class: &str, wish: &serde_json::Value, shown: &str) -> Markup {
    html! { button type="button" class=(format!("act {class}")) data-wish=(wish) data-shown=(shown) { (label) } }
}

/// Where that is done for which the console has no page.
fn elsewhere(what: &str, commands: &[&str]) -> Markup {
    html! {
        p.soft {
            (what) " at the appliance's own machine: "
            @for (at, command) in commands.iter().enumerate() { @if at > 0 { ", " } code { (command) } }
            "."
        }
    }
}

/// Where the script asks for a reason, and shows what is to be signed.
fn dialog() -> Markup {
    html! {
        dialog #reason aria-labelledby="reason-title" {
            form method="dialog" {
                h2 #reason-title { "Why?" }
                p { label { "One line, for the log" br; input #reason-text maxlength="512" required; } }
                p { button value="yes" #reason-go { "Go on" } " " button.plain value="" formnovalidate { "Do nothing" } }
            }
        }
        dialog #statement aria-labelledby="statement-title" {
            h2 #statement-title { "You sign this" }
            p #statement-marked.warn hidden { "What is marked holds characters that do not print, or turn the direction of text; they are written out." }
            pre { code #statement-text {} }
            p { button type="button" #sign { "Sign with your passkey" } " " button.plain type="button" #leave { "Do nothing" } }
        }
    }
}

fn raw(text: String) -> PreEscaped<String> {
    PreEscaped(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_its_own_lines_and_no_text_in_one_makes_another() {
        let signed = "assent/warrant/v1\nreason HSM down\\nuses 1\u{2028}uses 2\nuses 3\n";
        let shown = statement(signed).into_string();
        assert_eq!(
            shown.lines().collect::<Vec<_>>(),
            [
                "<bdi class=\"\">assent/warrant/v1</bdi>",
                "<bdi class=\"marked\">reason HSM down\\nuses 1\\u{2028}uses 2</bdi>",
                "<bdi class=\"\">uses 3</bdi>",
            ],
            "{shown}"
        );
    }
}
