//! Operators: people whose SSH keys are known here, and what enough of them have signed.
//!
//! The one rule: M of N distinct keys over exactly these bytes, in exactly this namespace, or nothing. Two signatures by one
//! key count once; a key that is not listed does not count, nor does a signature over other bytes; what is malformed or
//! was made for something else spoils the whole set, and is named. It does not know what the statement means: bundles, approvals and warrants
//! each have a namespace of their own. Signatures are OpenSSH's (`ssh-keygen -Y sign`, PROTOCOL.sshsig), and one that a browser's passkey
//! made is one of them ([`OperatorKey::asserted`]).

#![forbid(unsafe_code)]

mod frame;
mod key;
pub mod limits;
mod passkey;
mod signature;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use key::{KeyError, OperatorKey};
pub use passkey::{Asserted, Assertion, AssertionError, challenge};

use crate::limits::{MAX_OPERATORS, MAX_OPERATORS_BYTES, MAX_SIGNATURES};
use signature::Signature;

/// A signature as it was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SignatureFile {
    /// Where it was found, for messages.
    pub name: String,
    /// What `ssh-keygen -Y sign` wrote.
    pub text: String,
}

/// The keys that may sign, and how many of them must.
#[derive(Clone, Debug)]
pub struct Quorum {
    keys: Vec<OperatorKey>,
    threshold: usize,
}

/// Who signed: at least as many distinct operators as the threshold asks for. Only a [`Quorum`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Signers {
    names: Vec<String>,
    positions: Vec<usize>,
}

impl Signers {
    /// Their names, in the order of the list of keys.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Their places in the list of keys, ascending. Whether two signers are one, a place tells and a name does not.
    #[must_use]
    pub fn positions(&self) -> &[usize] {
        &self.positions
    }
}

/// Why a list of keys is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file cannot be read.
    #[error("cannot read the operators' keys {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is too long.
    #[error("the operators' keys {} are longer than {MAX_OPERATORS_BYTES} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A line is no key.
    #[error("{place}: {error}")]
    Key {
        /// File and line.
        place: String,
        /// What is wrong with it.
        error: KeyError,
    },
    /// One key stands there twice, and would look like two people.
    #[error("{place}: this key is listed twice; list each key once")]
    Twice {
        /// File and line.
        place: String,
    },
    /// Fewer keys than must sign, none of them, or too many.
    #[error(
        "{threshold} of {keys} operators cannot sign; list 1 to {MAX_OPERATORS} keys, and ask for 1 to all of them"
    )]
    Threshold {
        /// How many must sign.
        threshold: usize,
        /// How many are listed.
        keys: usize,
    },
}

/// Why a set of signatures is not enough.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QuorumError {
    /// More signatures than we look at.
    #[error("there are {0} signatures; at most {MAX_SIGNATURES} are looked at")]
    TooMany(usize),
    /// One is no signature.
    #[error("{file}: no SSH signature; make one with `ssh-keygen -Y sign -n {namespace} -f KEY FILE`")]
    Malformed {
        /// Which.
        file: String,
        /// The namespace that is wanted.
        namespace: String,
    },
    /// One was made for something else.
    #[error(
        "{file}: signed in the namespace `{found}`; sign with `ssh-keygen -Y sign -n {namespace} -f KEY FILE`"
    )]
    Namespace {
        /// Which.
        file: String,
        /// Its namespace, cut where it is long.
        found: String,
        /// The one that is wanted.
        namespace: String,
    },
    /// Those who are named are not those who signed, or there are other signatures beside theirs.
    #[error("the signatures are not those of the operators who are named")]
    Named,
    /// It is by a key that is not listed.
    #[error("the key of this signature is not listed for this; the keys of {} are", .operators.join(", "))]
    Unlisted {
        /// Whose are.
        operators: Vec<String>,
    },
    /// Too few operators signed.
    #[error("signed by {} of the {threshold} operators that must sign{}", .signers.len(), told(.signers, .stale, .unknown))]
    TooFew {
        /// Who signed.
        signers: Vec<String>,
        /// Signatures by listed keys over something else.
        stale: Vec<String>,
        /// Signatures by keys that are not listed.
        unknown: Vec<String>,
        /// How many must sign.
        threshold: usize,
    },
}

fn told(signers: &[String], stale: &[String], unknown: &[String]) -> String {
    let mut told = if signers.is_empty() { String::new() } else { format!(" ({})", signers.join(", ")) };
    for (files, what) in [(stale, "over another statement"), (unknown, "by no listed key")] {
        if !files.is_empty() {
            told.push_str(&format!("; {what}: {}", files.join(", ")));
        }
    }
    told
}

impl SignatureFile {
    /// The signatures of an entry, each under its number.
    #[must_use]
    pub fn of_texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Vec<Self> {
        let numbered = (1..).zip(texts);
        numbered
            .map(|(number, text)| Self { name: format!("signature {number}"), text: text.to_owned() })
            .collect()
    }
}

impl Quorum {
    /// Takes a list of keys, a line each, each with the name of its place for messages.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn new<'l>(
        lines: impl IntoIterator<Item = (String, &'l str)>,
        threshold: usize,
    ) -> Result<Self, ListError> {
        let mut keys: Vec<OperatorKey> = Vec::new();
        for (place, line) in lines {
            match OperatorKey::parse(line) {
                Ok(key) if keys.iter().any(|known| known.is_same(&key)) => {
                    return Err(ListError::Twice { place });
                }
                Ok(key) => keys.push(key),
                Err(error) => return Err(ListError::Key { place, error }),
            }
        }
        let fits = (1..=MAX_OPERATORS).contains(&keys.len()) && (1..=keys.len()).contains(&threshold);
        if fits {
            Ok(Self { keys, threshold })
        } else {
            Err(ListError::Threshold { threshold, keys: keys.len() })
        }
    }

    /// Takes the key lines of a charter, which have no place but their number.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn of_lines<'l>(
        lines: impl IntoIterator<Item = &'l str>,
        threshold: usize,
    ) -> Result<Self, ListError> {
        Self::new((1..).zip(lines).map(|(number, line)| (format!("key {number}"), line)), threshold)
    }

    /// Reads a list of keys, a line each; empty lines and lines that begin with `#` are left out.
    ///
    /// # Errors
    /// [`ListError`].
    pub fn from_file(path: &Path, threshold: usize) -> Result<Self, ListError> {
        let unreadable = |source| ListError::Unreadable { path: path.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_OPERATORS_BYTES + 1), &mut text)
            .map_err(unreadable)?;
        if text.len() as u64 > MAX_OPERATORS_BYTES {
            return Err(ListError::TooLong { path: path.to_owned() });
        }
        let stated = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let numbered = (1..).zip(text.lines()).filter(|(_, line)| stated(line));
        Self::new(numbered.map(|(number, line)| (format!("{}:{number}", path.display()), line)), threshold)
    }

    /// How many must sign.
    #[must_use]
    pub const fn threshold(&self) -> usize {
        self.threshold
    }

    /// The keys that may sign.
    #[must_use]
    pub fn keys(&self) -> &[OperatorKey] {
        &self.keys
    }

    /// Whether enough operators signed this statement.
    ///
    /// # Errors
    /// [`QuorumError`].
    pub fn verify(
        &self,
        namespace: &str,
        statement: &[u8],
        signatures: &[SignatureFile],
    ) -> Result<Signers, QuorumError> {
        self.signed_by(self.threshold, namespace, statement, signatures)
    }

    /// Whether those who are named signed this statement, and are enough: as many signatures as names, none of them by
    /// anybody else, over anything else or twice. An entry names its signers in the order of the list of keys.
    ///
    /// # Errors
    /// [`QuorumError`].
    pub fn verify_named(
        &self,
        namespace: &str,
        statement: &[u8],
        names: &[&str],
        signatures: &[&str],
    ) -> Result<Signers, QuorumError> {
        let files = SignatureFile::of_texts(signatures.iter().copied());
        let signers = self.verify(namespace, statement, &files)?;
        let are_named = signers.names.iter().map(String::as_str).eq(names.iter().copied());
        if are_named && signatures.len() == names.len() { Ok(signers) } else { Err(QuorumError::Named) }
    }

    /// Which one operator signed this statement, whatever the threshold: the place of the key.
    ///
    /// # Errors
    /// [`QuorumError`].
    pub fn verify_one(
        &self,
        namespace: &str,
        statement: &[u8],
        signature: &SignatureFile,
    ) -> Result<usize, QuorumError> {
        let signers = self.signed_by(1, namespace, statement, std::slice::from_ref(signature))?;
        // INVARIANT: a threshold of one that is reached leaves somebody who reached it.
        Ok(signers.positions.first().copied().unwrap_or(usize::MAX))
    }

    /// Whether a signature is one of those that are asked for, however many more must be: by a listed key, over this statement.
    ///
    /// # Errors
    /// [`QuorumError`].
    pub fn admits(
        &self,
        namespace: &str,
        statement: &[u8],
        signature: &SignatureFile,
    ) -> Result<(), QuorumError> {
        let given = parse(signature, namespace)?;
        if !self.keys.iter().any(|key| given.is_by(key)) {
            let operators = self.keys.iter().map(|key| key.name().to_owned()).collect();
            return Err(QuorumError::Unlisted { operators });
        }
        self.verify_one(namespace, statement, signature).map(drop)
    }

    fn signed_by(
        &self,
        threshold: usize,
        namespace: &str,
        statement: &[u8],
        signatures: &[SignatureFile],
    ) -> Result<Signers, QuorumError> {
        if signatures.len() > MAX_SIGNATURES {
            return Err(QuorumError::TooMany(signatures.len()));
        }
        let (mut signed, mut stale, mut unknown) = (BTreeSet::new(), Vec::new(), Vec::new());
        for file in signatures {
            let signature = parse(file, namespace)?;
            match self.keys.iter().position(|key| signature.is_by(key)) {
                Some(position) if signature.verifies(namespace, statement) => drop(signed.insert(position)),
                Some(_) => stale.push(file.name.clone()),
                None => unknown.push(file.name.clone()),
            }
        }
        let named = |position: &usize| Some(self.keys.get(*position)?.name().to_owned());
        let names: Vec<String> = signed.iter().filter_map(named).collect();
        if names.len() < threshold {
            return Err(QuorumError::TooFew { signers: names, stale, unknown, threshold });
        }
        Ok(Signers { names, positions: signed.into_iter().collect() })
    }
}

fn parse(SignatureFile { name, text }: &SignatureFile, namespace: &str) -> Result<Signature, QuorumError> {
    let (file, namespace) = (name.clone(), namespace.to_owned());
    match Signature::parse(text) {
        None => Err(QuorumError::Malformed { file, namespace }),
        Some(signature) if signature.namespace() != namespace => {
            let found = signature.namespace().chars().take(64);
            let found = found.map(|c| if c.is_control() { ' ' } else { c }).collect();
            Err(QuorumError::Namespace { file, found, namespace })
        }
        Some(signature) => Ok(signature),
    }
}

#[cfg(test)]
mod tests;
