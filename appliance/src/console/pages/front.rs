//! Pages in front of a login.

use maud::{Markup, html};

use super::{assets, document};
use crate::shown::visible;

fn front(title: &str, body: &Markup) -> Markup {
    document(
        title,
        &html! {
            main.front {
                p.sign { img src=(assets::path(".svg")) alt="" width="40" height="40"; span { "Assent" } }
                h1 { (title) }
                (body)
                p #told role="status" hidden {}
                noscript { p.warn { "A passkey takes a script; this page cannot do without." } }
            }
        },
    )
}

/// Where operators log in.
#[must_use]
pub fn login(origin: &str) -> Markup {
    front(
        "Log in",
        &html! {
            p { "Operator console of " b { (visible(origin)) } }
            p { button type="button" #login { "Log in with your passkey" } }
            p.soft { "No passkey yet? Ask whoever runs the appliance for a link: " code { "assent operator invite NAME" } }
        },
    )
}

/// Where an operator enrols a passkey.
#[must_use]
pub fn enrol(name: &str, token: &str) -> Markup {
    front(
        "Enrol a passkey",
        &html! {
            p { "For the operator " b { (visible(name)) } ". The link serves once." }
            p { button type="button" #enrol data-token=(token) { "Make a passkey" } }
            div #enrolled hidden {
                p { "Enrolled. For your approvals to count, this line goes into the bundle's " code { "operators.toml" } ":" }
                pre { code #line {} }
                p { a href="/login" { "Log in" } }
            }
        },
    )
}

/// Something that cannot be shown.
#[must_use]
pub fn sorry(title: &str, why: &str) -> Markup {
    front(title, &html! { p { (why) } p { a href="/" { "To the console" } } })
}
