//! Keeps the house's style: reads every source, manifest and document, and fails on what breaks a rule.
//!
//! One test a rule; a failure names file and line and says what to do. The rules stand in the modules: who may name whom
//! ([`fences`]), how files look ([`shape`]), which words are used ([`words`]), what documents promise, and comments say of
//! them ([`documents`]).
//! It does not measure functions: clippy does (`too_many_lines`), and a rule here sees to it that every crate asks.

#![expect(clippy::panic, reason = "the functions beside the tests may fail as loudly as the tests")]

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/fences.rs"]
mod fences;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

/// Fails with all breaches of a rule, each on a line of its own.
fn hold(what_to_do: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{what_to_do}:\n  {}\n", breaches.join("\n  "));
}
