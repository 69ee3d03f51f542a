//! Statements: the text that operators sign, made from what an entry states. (`FORMAT.md` section 19.)
//!
//! One statement, one text: each line is a word and what it says, and nothing that is put into a line can end it (`check` sees to
//! that). Whoever verifies makes the text again, from the fields, the origin of the log that the leaf is in, and the leaves
//! that it names; so a signature for another log, another charter or another key is over another text.

use core::fmt::{self, Write};

use super::{Charter, ResourceScope, Review, Warrant};
use crate::hash::Hash;
use crate::number::LeafIndex;

/// The namespace of signatures that order a charter.
pub const CHARTER_NAMESPACE: &str = "assent-charter@v1";
/// The namespace of signatures that order a warrant.
pub const WARRANT_NAMESPACE: &str = "assent-warrant@v1";
/// The namespace of signatures under a review.
pub const REVIEW_NAMESPACE: &str = "assent-review@v1";
/// The namespace of signatures that revoke a charter.
pub const CHARTER_REVOKE_NAMESPACE: &str = "assent-charter-revoke@v1";
/// The act of operators that revokes a charter.
pub const CHARTER_REVOKE_ACT: &str = "charter-revoke";
/// The act that ends a warrant before its time.
pub const WARRANT_END_ACT: &str = "warrant-end";

impl Charter<'_> {
    /// Writes what its makers sign.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_statement(&self, origin: &str, out: &mut impl Write) -> fmt::Result {
        write!(out, "assent/charter/v1\norigin {origin}\nname {}\n", self.name)?;
        self.actions.iter().try_for_each(|action| writeln!(out, "action {action}"))?;
        for resource in self.resources.iter() {
            match resource {
                ResourceScope::OfType(type_name) => writeln!(out, "resource {type_name}")?,
                ResourceScope::One(uid) => writeln!(out, "resource {uid}")?,
            }
        }
        self.principals.iter().try_for_each(|principal| writeln!(out, "principal {principal}"))?;
        let Self { closed_s, window_max_s, uses_max, .. } = self;
        write!(out, "closed {closed_s}\nwindow {window_max_s}\nuses {uses_max}\n")?;
        self.operators.iter().try_for_each(|line| writeln!(out, "operator {line}"))?;
        write!(out, "threshold {}\nnot-after {}\n", self.threshold, self.not_after)
    }
}

impl Warrant<'_> {
    /// Writes what operators of its charter sign. The hash is that of the charter's leaf.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_statement(&self, origin: &str, charter: Hash, out: &mut impl Write) -> fmt::Result {
        write!(out, "assent/warrant/v1\norigin {origin}\ncharter {} {charter}\nkey ", self.charter)?;
        self.key.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        let Self { uses, not_before, not_after, reason, .. } = self;
        write!(out, "\nuses {uses}\nnot-before {not_before}\nnot-after {not_after}\nreason {reason}\n")
    }
}

impl Review<'_> {
    /// Writes what the reviewer signs.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_statement(&self, origin: &str, out: &mut impl Write) -> fmt::Result {
        let Self { warrant, used, finding, text, .. } = self;
        write!(out, "assent/review/v1\norigin {origin}\nwarrant {warrant}\nuse {used}\n")?;
        write!(out, "finding {}\ntext {text}\n", finding.name())
    }
}

/// What operators sign to revoke a charter; it stands in an Operator entry and has no kind of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharterRevocation<'a> {
    /// Origin of the log that the charter is in.
    pub origin: &'a str,
    /// The charter.
    pub charter: LeafIndex,
    /// Hash of the charter's leaf.
    pub hash: Hash,
    /// Why, in one line.
    pub reason: &'a str,
}

impl CharterRevocation<'_> {
    /// Writes what operators sign.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_statement(&self, out: &mut impl Write) -> fmt::Result {
        let Self { origin, charter, hash, reason } = self;
        write!(out, "assent/charter-revoke/v1\norigin {origin}\ncharter {charter} {hash}\nreason {reason}\n")
    }
}

/// Writes nothing; compares what would be written with what is there.
pub(super) struct Same<'s> {
    rest: &'s str,
}

impl<'s> Same<'s> {
    /// Whether `write` writes exactly this.
    pub(super) fn is(statement: &'s str, write: impl FnOnce(&mut Self) -> fmt::Result) -> bool {
        let mut same = Self { rest: statement };
        write(&mut same).is_ok() && same.rest.is_empty()
    }
}

impl Write for Same<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let same = self.rest.as_bytes().starts_with(text.as_bytes());
        self.rest = self.rest.get(text.len()..).filter(|_| same).ok_or(fmt::Error)?;
        Ok(())
    }
}
