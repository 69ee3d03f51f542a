//! What decides and who loaded it, and the keys that sign.

use maud::{Markup, html};

use super::{ROW, elsewhere, peers, time};
use crate::console::Console;
use crate::console::live::Moment;
use crate::serving::status::KeyStatus;

pub(super) fn live(console: &Console, moment: &Moment) -> Markup {
    let policy = &moment.status.policy;
    html! {
        section {
            h2 { "The bundle that decides" }
            dl {
                dt { "Digest" } dd { code { (policy.digest) } }
                dt { "Version" } dd { @match policy.version { Some(version) => (version), None => "not numbered" } }
                dt { "Loaded" } dd { (time(policy.loaded_ms)) " by " (peers(&policy.loaded_by, ROW)) }
                dt { "From" } dd { (peers(&policy.source, ROW * 2)) }
                dt { "Signed by" } dd { @if policy.signers.is_empty() { "nobody: none is demanded" } @else { (policy.signers.join(", ")) } }
                dt { "Confirmed" } dd { (time(policy.confirmed_ms)) }
                dt { "Holds" } dd { (policy.policies) " policies over " (policy.actions) " actions" }
                dt { "Worst case" } dd { (policy.worst_case_fuel) " of " (policy.budget) " fuel" }
            }
            @if let Some(refused) = &policy.refused {
                p.warn[policy.standing_refusal().is_some()] {
                    "Refused " (time(refused.at_ms)) ", from " (peers(&refused.source, ROW)) " by " (peers(&refused.by, ROW)) ": " (peers(&refused.reason, ROW * 8))
                    @if policy.standing_refusal().is_none() { " It was made good since." }
                }
            }
            @for failing in &policy.errors { p.warn { "Policy " code { (failing.policy) } " failed " (failing.count) " times." } }
            p { a href="/log?kind=bundle" { "Every bundle that was offered" } }
            (elsewhere("Another bundle is put in force", &["assent policy diff", "assent policy load"]))
        }
        section {
            h2 { "Keys" }
            div.wide role="group" tabindex="0" aria-label="Keys" { table {
                thead { tr { th { "" } th { "CKA_ID" } th { "Since" } th { "Verifier key" } } }
                tbody {
                    (key("signs", &moment.status.key))
                    @if let Some(next) = &moment.status.next_key { (key("announced", next)) }
                }
            } }
            p { a href="/log?kind=key" { "Every key of this log" } }
            (elsewhere("Keys are changed", &["assent keys announce", "assent keys rotate", "assent keys retire"]))
        }
        section {
            h2 { "Operators of the console" }
            div.wide role="group" tabindex="0" aria-label="Operators of the console" { table {
                thead { tr { th { "Name" } th { "Roles" } th { "Passkeys" } } }
                tbody { @for operator in console.passkeys().list() {
                    tr {
                        td { (operator.name) }
                        td { (operator.roles.iter().map(|role| role.label()).collect::<Vec<_>>().join(", ")) }
                        td { @for key in &operator.keys {
                            p { code { (key.fingerprint) } ", since " (time(key.since_ms))
                                @if let Some(revoked) = key.revoked_ms { ", " b.bad { "revoked " (time(revoked)) } }
                                @else { details { summary { "for operators.toml" } code { (key.line) } } }
                            }
                        } }
                    }
                } }
            } }
            (elsewhere("Operators come and go", &["assent operator invite NAME", "assent operator revoke NAME"]))
        }
    }
}

fn key(what: &str, key: &KeyStatus) -> Markup {
    html! { tr { td { (what) } td { code { (key.cka_id) } } td { (time(key.since_ms)) } td { code { (key.verifier_key) } } } }
}
