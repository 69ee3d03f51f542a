//! Entries as rows for a spreadsheet: RFC 4180, with a header.
//!
//! Texts come from peers. One that a spreadsheet would take for a formula gets an apostrophe in front, which it shows as
//! text; so a row is to be read by people, and JSON lines by machines that need every byte.

use std::io::Write;

use assent_proto::entry::Grounds;
use assent_proto::hash::Hash;

use super::decision::Decision;
use super::entry::{about, kind_name, names, visible};
use super::selection::{Body, Selected};

const HEADER: &str = "index,time,kind,outcome,refusal,epoch,principal,audience,action,resource,risk,policies,policies_total,\
                      bundle,intent_digest,not_before,not_after,uses,grounds,grounds_leaf,grounds_number,about,leaf_hash,intent\r\n";

/// Writes the header.
pub(super) fn begin(out: &mut impl Write) -> std::io::Result<()> {
    out.write_all(HEADER.as_bytes())
}

/// Writes one entry.
pub(super) fn row(out: &mut impl Write, selected: &Selected<'_>) -> std::io::Result<()> {
    let Selected { index, leaf, entry, body } = selected;
    let mut row = Row(index.to_string());
    row.ours(&crate::cli::utc(entry.time()));
    row.ours(&kind_name(entry.kind()));
    let decision = Decision::of(entry);
    match &decision {
        Some(decision) => row.decision(decision),
        None => (0..18).for_each(|_| row.ours("")),
    }
    // What a decision is about has columns of its own.
    row.theirs(&if decision.is_some() { String::new() } else { about(entry) });
    row.ours(&Hash::of_leaf(leaf).to_string());
    row.theirs(&match body {
        Body::Unwanted => String::new(),
        Body::Erased => "erased".to_owned(),
        Body::Intent(intent) => intent.to_string(),
    });
    row.0.push_str("\r\n");
    out.write_all(row.0.as_bytes())
}

struct Row(String);

impl Row {
    fn decision(&mut self, decision: &Decision<'_>) {
        self.ours(decision.outcome.name());
        self.ours(decision.refusal.map_or("", |refusal| refusal.name()));
        self.ours(&decision.epoch.to_string());
        self.theirs(decision.principal);
        self.theirs(decision.audience);
        self.theirs(&decision.action.to_string());
        self.theirs(&decision.resource.to_string());
        self.ours(&decision.risk.to_string());
        self.theirs(&names(decision.policies).join(" "));
        self.ours(&decision.policies.total.to_string());
        self.ours(&decision.bundle.to_string());
        self.ours(&decision.intent.to_string());
        let (not_before, not_after, uses) = decision.allow.map_or_else(Default::default, |allow| {
            let time = crate::cli::utc;
            (time(allow.not_before), time(allow.not_after), allow.uses.to_string())
        });
        [not_before, not_after, uses].iter().for_each(|text| self.ours(text));
        // The approval or the warrant that an allow rests on, and which use of the warrant it is.
        let (grounds, leaf, number) = match decision.allow.map(|allow| allow.grounds) {
            None => ("", String::new(), String::new()),
            Some(Grounds::Policy) => ("policy", String::new(), String::new()),
            Some(Grounds::Approval(leaf)) => ("approval", leaf.to_string(), String::new()),
            Some(Grounds::Warrant { leaf, number }) => ("warrant", leaf.to_string(), number.to_string()),
        };
        [grounds, &leaf, &number].into_iter().for_each(|text| self.ours(text));
    }

    /// A field without anything that needs quotes.
    fn ours(&mut self, text: &str) {
        self.0.push(',');
        self.0.push_str(text);
    }

    /// A field of anything.
    fn theirs(&mut self, text: &str) {
        self.0.push(',');
        self.0.push_str(&field(text));
    }
}

/// The text as one field.
fn field(text: &str) -> String {
    let text = visible(text);
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\r', '\n']) || text.starts_with(' ') || text.ends_with(' ') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_proto::entry::{Allow, Deny, Entry, Policies, Salt, Trip};
    use assent_proto::intent::Uid;
    use assent_proto::number::{Epoch, LeafIndex, Timestamp};
    use assent_proto::refusal::Refusal;

    #[test]
    fn fields_are_quoted_as_rfc_4180_says_and_are_no_formulas() {
        for (text, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-2", "'-2"),
            ("+2,3", "\"'+2,3\""),
            ("\t=1", "\\t=1"),
            ("two\nlines", "two\\nlines"),
            (" edge", "\" edge\""),
        ] {
            assert_eq!(field(text), expected);
        }
    }

    #[test]
    fn every_row_has_as_many_fields_as_the_header() {
        let deny = Entry::Deny(Deny {
            salt: Salt([0; 16]),
            time: Timestamp(0),
            epoch: Epoch(1),
            bundle: Hash([7; 32]),
            principal: "p,q",
            audience: "=a",
            action: Uid { type_name: "A", id: "x\"y" },
            resource: Uid { type_name: "B", id: "z" },
            intent: Hash([8; 32]),
            refusal: Refusal::PolicyDenied,
            risk: -4,
            policies: ["a", "b"].into_iter().collect(),
        });
        let trip =
            Entry::Trip(Trip { salt: Salt([0; 16]), time: Timestamp(0), epoch: Epoch(1), cause: "gone" });
        for entry in [deny, trip, allow(Grounds::Policy)] {
            let text = written(entry);
            assert_eq!(fields(&text).len(), HEADER.matches(',').count() + 1, "{text}");
            assert!(text.ends_with("\r\n") && text.matches('\n').count() == 1);
        }
    }

    #[test]
    fn an_allow_tells_on_what_it_rests() {
        for (grounds, expected) in [
            (Grounds::Policy, ["policy", "", ""]),
            (Grounds::Approval(LeafIndex(7)), ["approval", "7", ""]),
            (Grounds::Warrant { leaf: LeafIndex(9), number: 2 }, ["warrant", "9", "2"]),
        ] {
            let (names, values) = (fields(HEADER), written(allow(grounds)));
            let values = fields(&values);
            let value = |name| values[names.iter().position(|known| *known == name).unwrap()];
            assert_eq!(["grounds", "grounds_leaf", "grounds_number"].map(value), expected);
            assert_eq!((value("uses"), value("leaf_hash")), ("1", &*Hash::of_leaf(b"leaf").to_string()));
        }
    }

    fn written(entry: Entry<'_>) -> String {
        let (mut text, body) = (Vec::new(), Body::Unwanted);
        row(&mut text, &Selected { index: 3, leaf: b"leaf", entry, body }).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// The fields of a row, in their quotes.
    fn fields(row: &str) -> Vec<&str> {
        let mut quoted = false;
        let parts = row.split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        parts.collect()
    }

    fn allow(grounds: Grounds) -> Entry<'static> {
        Entry::Allow(Allow {
            salt: Salt([0; 16]),
            time: Timestamp(0),
            epoch: Epoch(1),
            bundle: Hash([7; 32]),
            principal: "p",
            audience: "a",
            action: Uid { type_name: "A", id: "x" },
            resource: Uid { type_name: "B", id: "z" },
            intent: Hash([8; 32]),
            not_before: Timestamp(0),
            not_after: Timestamp(1),
            uses: 1,
            risk: 0,
            grounds,
            policies: Policies::default(),
        })
    }
}
