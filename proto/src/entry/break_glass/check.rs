//! Checks: an entry of break-glass against its limits, its own statement, and a warrant against its charter.
//!
//! The appliance checks what it makes and every verifier what it reads, by the same functions. They tell nothing of signatures,
//! of whether a charter is in the log, or of the time now.

use super::statement::Same;
use super::{Charter, ResourceScope, Review, Warrant};
use crate::hash::Hash;
use crate::intent::Uid;
use crate::limits::{
    MAX_ID_BYTES, MAX_NAME_BYTES, MAX_OPERATOR_LINE_BYTES, MAX_ORIGIN_BYTES, MAX_PRINCIPAL_BYTES,
    MAX_REASON_BYTES, MAX_WARRANT_NAME_BYTES, MAX_WARRANT_WINDOW_S,
};

/// Why an entry of break-glass is not taken, by the field that is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActError {
    /// It is empty or too long, or holds what could make another line of it.
    Text(&'static str),
    /// It is out of its bounds.
    Bounds(&'static str),
    /// The statement is not the one that the fields make.
    Statement,
}

impl core::fmt::Display for ActError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Text(field) => write!(f, "{field}: empty, too long, or not one plain line"),
            Self::Bounds(field) => write!(f, "{field}: out of its bounds"),
            Self::Statement => f.write_str("statement is not the one that the fields make"),
        }
    }
}

impl core::error::Error for ActError {}

/// Why a warrant does not fit its charter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It has no uses, or more than the charter allows.
    Uses,
    /// Its window is longer than the charter allows, or ends before it begins.
    Window,
    /// It lives longer than the charter.
    CharterOver,
    /// It was activated at a time at which it did not live.
    NotAlive,
}

impl core::fmt::Display for Misfit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Uses => "warrant has no uses, or more than its charter allows",
            Self::Window => "warrant's window is longer than its charter allows, or ends before it begins",
            Self::CharterOver => "warrant lives longer than its charter",
            Self::NotAlive => "warrant was activated outside its own window",
        })
    }
}

impl core::error::Error for Misfit {}

/// A text that stays one line, whatever shows it: no control characters, no separators of lines, nothing that turns the
/// direction of what follows.
fn is_plain(text: &str) -> bool {
    let bends = |c: char| matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.chars().any(|c| c.is_control() || bends(c))
}

/// One plain line of 1 to `max` bytes.
fn line(field: &'static str, text: &str, max: usize) -> Result<(), ActError> {
    let fits = !text.is_empty() && text.len() <= max && is_plain(text);
    if fits { Ok(()) } else { Err(ActError::Text(field)) }
}

/// Cedar's names are identifiers joined by colons. An id is written with escapes, so any will do.
fn type_name(field: &'static str, name: &str) -> Result<(), ActError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    if name.bytes().all(is_name) { line(field, name, MAX_NAME_BYTES) } else { Err(ActError::Text(field)) }
}

fn uid(field: &'static str, uid: &Uid<'_>) -> Result<(), ActError> {
    if uid.id.len() > MAX_ID_BYTES { Err(ActError::Text(field)) } else { type_name(field, uid.type_name) }
}

fn bounds(field: &'static str, holds: bool) -> Result<(), ActError> {
    if holds { Ok(()) } else { Err(ActError::Bounds(field)) }
}

impl Charter<'_> {
    /// Checks it against the limits, and its statement against the fields, in the log of this origin.
    ///
    /// # Errors
    /// [`ActError`]: the first field that is wrong.
    pub fn check(&self, origin: &str) -> Result<(), ActError> {
        self.check_fields()?;
        // The keys of its warrants have names of their own, which begin with the origin.
        bounds("origin", origin.len().saturating_add(MAX_WARRANT_NAME_BYTES) <= MAX_ORIGIN_BYTES)?;
        let same = Same::is(self.statement, |out| self.write_statement(origin, out));
        if same { Ok(()) } else { Err(ActError::Statement) }
    }

    /// Checks it against the limits alone, before there is a statement that is signed.
    ///
    /// # Errors
    /// [`ActError`]: the first field that is wrong.
    pub fn check_fields(&self) -> Result<(), ActError> {
        line("name", self.name, MAX_NAME_BYTES)?;
        bounds("actions", !self.actions.is_empty())?;
        self.actions.iter().try_for_each(|action| uid("action", &action))?;
        bounds("resources", !self.resources.is_empty())?;
        self.resources.iter().try_for_each(|resource| match resource {
            ResourceScope::OfType(name) => type_name("resource", name),
            ResourceScope::One(one) => uid("resource", &one),
        })?;
        self.principals.iter().try_for_each(|principal| line("principal", principal, MAX_PRINCIPAL_BYTES))?;
        bounds("window_max_s", (1..=MAX_WARRANT_WINDOW_S).contains(&self.window_max_s))?;
        bounds("uses_max", self.uses_max > 0)?;
        self.operators.iter().try_for_each(|operator| line("operator", operator, MAX_OPERATOR_LINE_BYTES))?;
        // One more than must sign, or nobody is left to review.
        bounds("threshold", (1..self.operators.len()).contains(&usize::from(self.threshold)))?;
        bounds("not_after", self.time < self.not_after)
    }
}

impl Warrant<'_> {
    /// Checks it against the limits, and its statement against the fields, in the log of this origin. The hash is that of the
    /// charter's leaf.
    ///
    /// # Errors
    /// [`ActError`]: the first field that is wrong.
    pub fn check(&self, origin: &str, charter: Hash) -> Result<(), ActError> {
        self.check_fields()?;
        let same = Same::is(self.statement, |out| self.write_statement(origin, charter, out));
        if same { Ok(()) } else { Err(ActError::Statement) }
    }

    /// Checks it against the limits alone, before there is a statement that is signed.
    ///
    /// # Errors
    /// [`ActError`]: the first field that is wrong.
    pub fn check_fields(&self) -> Result<(), ActError> {
        line("reason", self.reason, MAX_REASON_BYTES)?;
        bounds("uses", self.uses > 0)?;
        bounds("not_after", self.not_before <= self.not_after)
    }

    /// Holds it against its charter.
    ///
    /// # Errors
    /// [`Misfit`].
    pub fn fits(&self, charter: &Charter<'_>) -> Result<(), Misfit> {
        let window_ms = self.not_after.0.checked_sub(self.not_before.0);
        let max_ms = u64::from(charter.window_max_s).saturating_mul(1000);
        if self.uses == 0 || self.uses > charter.uses_max {
            return Err(Misfit::Uses);
        }
        if window_ms.is_none_or(|window_ms| window_ms > max_ms) {
            return Err(Misfit::Window);
        }
        if self.not_after > charter.not_after {
            return Err(Misfit::CharterOver);
        }
        let alive = self.not_before <= self.time && self.time <= self.not_after;
        if alive { Ok(()) } else { Err(Misfit::NotAlive) }
    }
}

impl Review<'_> {
    /// Checks it against the limits, and its statement against the fields, in the log of this origin.
    ///
    /// # Errors
    /// [`ActError`]: the first field that is wrong.
    pub fn check(&self, origin: &str) -> Result<(), ActError> {
        line("text", self.text, MAX_REASON_BYTES)?;
        let same = Same::is(self.statement, |out| self.write_statement(origin, out));
        if same { Ok(()) } else { Err(ActError::Statement) }
    }
}
