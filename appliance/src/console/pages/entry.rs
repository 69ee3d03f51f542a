//! One entry, with the proof that it is in the log, which the page verifies itself.

use assent_proto::checkpoint::Checkpoint;
use base64ct::{Base64, Encoding as _};
use maud::{Markup, html};
use serde_json::Value;

use super::{Visitor, in_lines, marks, still, time};
use crate::console::Console;
use crate::console::search::Proved;

/// The entry.
#[must_use]
pub fn entry(console: &Console, proved: &Proved, visitor: &Visitor) -> Markup {
    let index = proved.hit.index;
    let title = format!("Leaf {index}");
    still(
        console,
        &title,
        visitor,
        &html! {
            p {
                @if let Some(before) = index.checked_sub(1) { a href=(format!("/log/{before}")) { "leaf " (before) } " " }
                b { (proved.hit.kind) } ", " (time(proved.hit.time_ms)) " "
                a href=(format!("/log/{}", index + 1)) { "leaf " (index + 1) }
            }
            section { h2 { "Entry" } (marks(&unfolded(&proved.hit.shown))) (in_lines(&proved.hit.shown)) }
            (proof(console, proved))
        },
    )
}

/// The entry with statements and signatures in one line: that these have several is no disguise, and whatever else hides in them is one.
fn unfolded(entry: &Value) -> Value {
    let mut unfolded = entry.clone();
    for of_lines in ["statement", "signature", "signatures"] {
        match unfolded.get_mut(of_lines) {
            Some(Value::String(text)) => *text = text.replace('\n', " "),
            Some(Value::Array(texts)) => {
                for text in texts {
                    if let Value::String(text) = text {
                        *text = text.replace('\n', " ");
                    }
                }
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => {}
        }
    }
    unfolded
}

fn proof(console: &Console, proved: &Proved) -> Markup {
    let (Some(proof), Some(signed)) = (&proved.proof, &proved.checkpoint) else {
        return html! { section { h2 { "Proof" } p.warn { "No signed checkpoint covers this entry yet." } } };
    };
    let path: Vec<String> = proof.path.iter().map(|hash| Base64::encode_string(&hash.0)).collect();
    let status = &console.moment().status;
    let text = Checkpoint { origin: &status.origin, size: signed.size, root: signed.root };
    let text = text.text().map(|text| text.to_string()).unwrap_or_default();
    html! {
        section #proof data-leaf=(Base64::encode_string(&proved.leaf)) data-index=(proved.hit.index) data-size=(signed.size.0)
            data-root=(Base64::encode_string(&signed.root.0)) data-path=(path.join(" ")) data-text=(text)
            data-signature=(Base64::encode_string(&signed.signature)) data-key=(status.key.verifier_key) {
            h2 { "Proof" }
            p #verdict role="status" { "Not verified by this page yet." }
            ol #steps {}
            dl {
                dt { "Checkpoint" } dd { (signed.size.0) " leaves, root " code { (Base64::encode_string(&signed.root.0)) } }
                dt { "Path" } dd { (path.len()) " hashes" }
            }
            p {
                a href=(format!("/log/{}/proof", proved.hit.index)) download=(format!("leaf-{}.tlog-proof", proved.hit.index)) { "Download the proof" }
                ": it verifies offline, with " code { "assent log check-proof FILE --trust TRUST" } " or any tool for C2SP tlog-proof."
            }
            details { summary { "The signed checkpoint" } pre { code { (proof.note) } } }
        }
    }
}

/// There is no such entry.
#[must_use]
pub fn no_entry(console: &Console, why: &str, visitor: &Visitor) -> Markup {
    still(console, "No such entry", visitor, &html! { p.warn { (why) } p { a href="/log" { "The log" } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_signature_are_no_disguise_and_whatever_else_hides_is() {
        let told = |entry: Value| marks(&unfolded(&entry)).into_string();
        let armour = "-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n";
        let honest = serde_json::json!({"statement": "act\nreason why\n", "signature": armour, "signatures": [armour]});
        assert_eq!(told(honest), "");
        for hiding in [
            serde_json::json!({"statement": "act\nreason \u{202e}why\n"}),
            serde_json::json!({"signatures": [armour, "\u{1b}[2J"]}),
            serde_json::json!({"reason": "two\nlines"}),
        ] {
            assert!(told(hiding.clone()).contains("ESCAPED"), "{hiding}");
        }
    }
}
