//! Acts: a person signs, with their passkey, the statement that they are shown.
//!
//! The rule it keeps: one showing, one assertion. The challenge *is* the statement in the namespace of the act, so what comes back is of
//! use for nothing else, and a session gives no act: whoever stole one has no key. What is made is an SSH signature, which goes where
//! every other goes; whether it counts, the room that is asked decides.

use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;

use super::role::{Act, may};
use super::site::Credential;
use super::{IdentityError, NAMESPACE, Options, Passkeys, answer, secret};
use crate::operators::{SignatureFile, challenge};
use crate::shown;
use crate::token::Operation;

/// A person's signature over what they were shown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Assented {
    /// Who, by the name in the configuration.
    pub by: String,
    /// With which key: type and key.
    pub key: String,
    /// The signature, as every list of operators takes it.
    pub signature: SignatureFile,
}

impl Passkeys {
    /// The statement of an act whose own room has none: the log, the act, what it is about (a word and one line for each), and a
    /// number that no other statement has.
    ///
    /// # Errors
    /// [`IdentityError::Text`] where a line would not be one; [`IdentityError::Unsigned`] where the act has a statement of its own.
    pub fn statement(&self, act: Act, about: &[(&str, &str)]) -> Result<String, IdentityError> {
        if act.namespace() != Some(NAMESPACE) {
            return Err(IdentityError::Unsigned(act));
        }
        let mut statement = format!("assent/console/v1\norigin {}\nact {}\n", self.log_origin, act.label());
        for (word, text) in about {
            shown::one_line(word, text).map_err(IdentityError::Text)?;
            statement.push_str(&format!("{word} {text}\n"));
        }
        Ok(format!("{statement}nonce {}\n", secret::fresh()?))
    }

    /// Begins an act: options for `navigator.credentials.get`, whose challenge is this statement. The caller keeps the statement, and
    /// shows it.
    ///
    /// # Errors
    /// [`IdentityError`]: no session, a role that may not, too many that were begun.
    pub fn begin_act(
        &self,
        cookie: &str,
        act: Act,
        statement: &str,
        now: Timestamp,
    ) -> Result<Options, IdentityError> {
        let (name, namespace) = self.admitted(cookie, act, now)?;
        let signed = challenge(namespace, statement.as_bytes()).ok_or(IdentityError::Unsigned(act))?;
        let options = {
            let register = self.register();
            let known: Vec<&Credential> = register.of(&name).map(|key| &key.credential).collect();
            self.site.assertion_options(&signed, &known)
        };
        let mut live = self.live();
        let session = live.session(cookie, now).ok_or(IdentityError::NoSession)?;
        session.begin_act(shown_as(namespace, statement), now)?;
        Ok(Options(options))
    }

    /// Takes the browser's answer: the operator's signature over that statement. It waits for the disk.
    ///
    /// # Errors
    /// [`IdentityError`]; then nothing was signed, and it must be begun again.
    pub fn finish_act(
        &self,
        cookie: &str,
        act: Act,
        statement: &str,
        response: &str,
        now: Timestamp,
    ) -> Result<Assented, IdentityError> {
        let (name, namespace) = self.admitted(cookie, act, now)?;
        {
            let mut live = self.live();
            let session = live.session(cookie, now).ok_or(IdentityError::NoSession)?;
            session.take_act(shown_as(namespace, statement), now)?;
        }
        let answer = answer::decode(response)?;
        let mut register = self.register();
        let found = register.find(&answer.credential).filter(|key| key.name == name);
        let mut enrolled = found.ok_or(IdentityError::Key)?.clone();
        let key = enrolled.key().ok_or(IdentityError::Key)?;
        let asserted = key
            .asserted(self.site.origin(), namespace, statement.as_bytes(), &answer.assertion)
            .map_err(|error| IdentityError::Answer(error.to_string()))?;
        enrolled.count(asserted.counter, now)?;
        register.replace(enrolled)?;
        drop(register);
        let signature = asserted.signature;
        if namespace == NAMESPACE {
            // The room that carries it out keeps no signature: this leaf does.
            let (by, signatures) = (vec![name.clone()], vec![signature.text.clone()]);
            let statement = statement.to_owned();
            (self.record)(Operation::Operators { act: act.label(), by, statement, signatures });
        }
        Ok(Assented { by: name, key: key.line(), signature })
    }

    /// Who asks in this session, and the namespace of what they sign, where they may.
    fn admitted(
        &self,
        cookie: &str,
        act: Act,
        now: Timestamp,
    ) -> Result<(String, &'static str), IdentityError> {
        let session = self.session(cookie, now).ok_or(IdentityError::NoSession)?;
        if !may(&session.roles, act) {
            return Err(IdentityError::Role(act));
        }
        Ok((session.name, act.namespace().ok_or(IdentityError::Unsigned(act))?))
    }
}

/// What tells one showing from another.
fn shown_as(namespace: &str, statement: &str) -> Hash {
    secret::hash(&[namespace.as_bytes(), statement.as_bytes()])
}
