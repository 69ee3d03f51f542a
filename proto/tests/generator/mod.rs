//! Makes the test vectors: the same files on every run, from fixed keys, times and salts.
//!
//! What a case expects is written here by hand and never asked of the code under test; the tree's hashes come from the
//! recursive definitions of RFC 6962.

mod break_glass;
mod frames;
mod intents;
mod notes;
mod notices;
mod scene;
mod tickets;
mod tokens;
mod traces;
mod tree;
mod warrants;

use std::fmt::Write as _;

/// Every file: its name and its text.
pub(crate) fn all() -> Vec<(&'static str, String)> {
    vec![
        ("tree-roots.txt", tree::roots()),
        ("tree-inclusion.txt", tree::inclusion()),
        ("tree-consistency.txt", tree::consistency()),
        ("tree-ranges.txt", tree::ranges()),
        ("intents.txt", intents::intents()),
        ("requests.txt", frames::requests()),
        ("traces.txt", traces::traces()),
        ("replies.txt", frames::replies()),
        ("tickets.txt", tickets::tickets()),
        ("entries.txt", frames::entries()),
        ("statements.txt", break_glass::statements()),
        ("keys.txt", notes::keys()),
        ("notes.txt", notes::notes()),
        ("checkpoints.txt", notes::checkpoints()),
        ("tokens.txt", tokens::tokens()),
        ("warrant-tokens.txt", warrants::tokens()),
        ("token-texts.txt", tokens::texts()),
        ("notices.txt", notices::notices()),
    ]
}

/// A file in the making.
pub(crate) struct File(String);

impl File {
    fn new(kind: &str, about: &[&str]) -> Self {
        let mut text = String::new();
        for line in about {
            writeln!(text, "# {line}").unwrap();
        }
        writeln!(text, "vectors: {kind}\nversion: 1").unwrap();
        Self(text)
    }

    /// Begins a case.
    fn case(&mut self, name: &str) -> &mut Self {
        writeln!(self.0, "\ncase: {name}").unwrap();
        self
    }

    fn field(&mut self, name: &str, value: impl std::fmt::Display) -> &mut Self {
        writeln!(self.0, "{}", format!("{name}: {value}").trim_end()).unwrap();
        self
    }

    fn bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.field(name, hex(value))
    }

    /// One line for each hash, under the same name.
    fn hashes(&mut self, name: &str, hashes: &[assent_proto::hash::Hash]) -> &mut Self {
        for hash in hashes {
            self.field(name, hash);
        }
        self
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What postcard makes of it.
pub(crate) fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    assent_proto::codec::append(value, &mut out).unwrap();
    out
}
