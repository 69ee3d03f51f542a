//! Warrants: prepared for a charter, and activated when enough of its operators signed.
//!
//! The rule it keeps: the appliance makes the statement again from what it keeps of the key, and takes signatures over nothing else.

use assent_proto::entry::break_glass::WARRANT_NAMESPACE;
use assent_proto::entry::{Charter, Entry, Salt, Warrant};
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, LeafIndex};

use super::act::{Act, Kind, encoded};
use super::charter::named;
use super::check::{Moment, is_in_force};
use super::key::{Prepared, Wanted};
use super::line::CharterLine;
use super::order::BreakGlassAnswer;
use super::signed::Signed;
use super::{BreakGlass, State};
use crate::operators::{Quorum, SignatureFile};
use crate::shown::{counted, visible};

/// What can be asked of a warrant that was signed.
#[derive(Debug)]
pub(super) enum Signature {
    /// It can be activated.
    Good(Act),
    /// It was activated already, at this leaf.
    Known(LeafIndex),
}

/// Lends what is wanted as an entry without signatures.
fn unsigned<'p>(wanted: &'p Wanted, key: &[u8; 32], statement: &'p str) -> Warrant<'p> {
    Warrant {
        salt: Salt::default(),
        time: wanted.not_before,
        epoch: Epoch(0),
        charter: wanted.charter,
        key: *key,
        uses: wanted.uses,
        not_before: wanted.not_before,
        not_after: wanted.not_after,
        reason: &wanted.reason,
        by: std::iter::empty().collect(),
        statement,
        signatures: std::iter::empty().collect(),
    }
}

fn statement(prepared: &Prepared, origin: &str, charter: Hash) -> String {
    let mut statement = String::new();
    // Writing to a string cannot fail.
    let _ = unsigned(&prepared.wanted, prepared.key.public(), "").write_statement(
        origin,
        charter,
        &mut statement,
    );
    statement
}

impl BreakGlass {
    /// Makes a key for a warrant under a charter, and tells what its operators are to sign. Waits for the disk.
    pub(super) fn prepare(
        &self,
        name: &str,
        reason: String,
        (uses, window_s): (u16, u32),
        moment: &Moment,
    ) -> Result<BreakGlassAnswer, String> {
        let (wanted, hash, quorum, folder) = {
            let state = self.lock();
            let line = state.book.named(name, moment.now);
            let line = line.ok_or_else(|| {
                format!("there is no charter `{}`: see `assent breakglass charter list`", visible(name))
            })?;
            let charter = line.charter().ok_or("the charter cannot be read")?;
            is_in_force(line, &charter, moment)?;
            let not_before = moment.now;
            let not_after = not_before.plus_ms(u64::from(window_s).saturating_mul(1000));
            let wanted = Wanted { charter: line.leaf, uses, not_before, not_after, reason };
            fits(&wanted, &charter)?;
            (wanted, line.hash(), quorum(&charter)?, state.keys.place()?)
        };
        // Nothing is held while the disk may be slow: the sealer needs the room at every pass.
        let made = Prepared::make(&folder, wanted)?;
        let public = *made.key.public();
        let taken = self.lock().keys.take(made);
        let prepared = taken.inspect_err(|_| Prepared::discard(&folder, &public))?;
        Ok(BreakGlassAnswer::ToSign {
            namespace: WARRANT_NAMESPACE.to_owned(),
            statement: statement(&prepared, &self.origin, hash),
            operators: quorum.keys().iter().map(|key| key.name().to_owned()).collect(),
            threshold: quorum.threshold(),
            used: None,
        })
    }

    /// What was prepared here under this statement, and its charter.
    fn prepared<'s>(
        &self,
        state: &'s State,
        signed_statement: &str,
    ) -> Result<(&'s Prepared, &'s CharterLine, String), String> {
        let unknown =
            "no warrant that was prepared here has this statement, or it is over: prepare another one";
        let found = state.keys.all().find_map(|prepared| {
            let line = state.book.charter(prepared.wanted.charter)?;
            let text = statement(prepared, &self.origin, line.hash());
            (text == signed_statement).then_some((&**prepared, line, text))
        });
        found.ok_or_else(|| unknown.to_owned())
    }

    /// Whether a signature under a warrant that was prepared here is one of those that activate it, however many more must.
    pub(super) fn admits(&self, statement: &str, signature: &SignatureFile) -> Result<(), String> {
        let state = self.lock();
        let (_, line, text) = self.prepared(&state, statement)?;
        let quorum = quorum(&line.charter().ok_or("the charter cannot be read")?)?;
        quorum.admits(WARRANT_NAMESPACE, text.as_bytes(), signature).map_err(|error| error.to_string())
    }

    /// Whether operators of its charter signed a warrant that was prepared here.
    pub(super) fn signed_warrant(
        &self,
        signed_statement: &str,
        signatures: &[SignatureFile],
    ) -> Result<Signature, String> {
        let state = self.lock();
        let (prepared, line, text) = self.prepared(&state, signed_statement)?;
        if let Some(known) = state.book.of_key(prepared.key.public()) {
            return Ok(Signature::Known(known.leaf));
        }
        let charter = line.charter().ok_or("the charter cannot be read")?;
        let quorum = quorum(&charter)?;
        let signed =
            Signed::by(&quorum, WARRANT_NAMESPACE, &text, signatures).map_err(|error| error.to_string())?;
        let warrant = Warrant {
            by: signed.names.iter().map(String::as_str).collect(),
            signatures: signed.texts.iter().map(String::as_str).collect(),
            ..unsigned(&prepared.wanted, prepared.key.public(), &text)
        };
        warrant.check(&self.origin, line.hash()).map_err(|error| named("warrant", error))?;
        let leaf = encoded(&Entry::Warrant(warrant))?;
        Ok(Signature::Good(Act(Kind::Warrant(leaf, signed.places))))
    }
}

/// Whether a warrant that is wanted could be had under this charter.
fn fits(wanted: &Wanted, charter: &Charter<'_>) -> Result<(), String> {
    let warrant = unsigned(wanted, &[0; 32], "");
    warrant.check_fields().map_err(|error| named("warrant", error))?;
    warrant.fits(charter).map_err(|misfit| {
        let uses = counted(charter.uses_max.into(), "use", "uses");
        format!("{misfit}: the charter gives {uses} and {} s at most", charter.window_max_s)
    })
}

/// The operators of a charter.
pub(super) fn quorum(charter: &Charter<'_>) -> Result<Quorum, String> {
    let quorum = Quorum::of_lines(charter.operators.iter(), usize::from(charter.threshold));
    quorum.map_err(|error| format!("operators of the charter: {error}"))
}
