//! An operator's public key: a line as `ssh-keygen` writes it, with a name.
//!
//! The rule it keeps: a line is taken whole or refused. Options of `authorized_keys` and `allowed_signers` would restrict a
//! key, and we would not keep them, so a line that has any is refused rather than half obeyed.

use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{HashAlg, PublicKey};

/// The types of keys that may sign.
const TYPES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Why a line is no operator's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no type of key that we know.
    #[error("no key of a type that is known here: {}", TYPES.join(", "))]
    Type,
    /// There is something before the type that is no name.
    #[error("options before a key are not obeyed here; write the type, the key and a name")]
    Options,
    /// The key itself does not parse.
    #[error("the key does not parse; copy the whole line of the .pub file")]
    Malformed,
    /// It has no name.
    #[error("the key has no name; write the operator's name behind it")]
    Nameless,
}

/// A public key, and whose it is.
#[derive(Clone, Debug)]
pub struct OperatorKey {
    key: KeyData,
    name: String,
}

impl OperatorKey {
    /// Takes `TYPE KEY NAME`, as in a `.pub` file, or `NAME TYPE KEY`, as in a file of allowed signers.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| TYPES.contains(word)).ok_or(KeyError::Type)?;
        let (before, rest) = words.split_at(at);
        let (name_before, is_plain) = match before {
            [] => (None, true),
            [name] => (Some(*name), !name.contains(['=', '"', ',']) && *name != "cert-authority"),
            _ => (None, false),
        };
        if !is_plain {
            return Err(KeyError::Options);
        }
        let [key_type, encoded, comment @ ..] = rest else {
            return Err(KeyError::Malformed);
        };
        let parsed = PublicKey::from_openssh(&format!("{key_type} {encoded}"));
        let key = parsed.map_err(|_| KeyError::Malformed)?.key_data().clone();
        if !is_supported(&key) {
            return Err(KeyError::Type);
        }
        let comment = (!comment.is_empty()).then(|| comment.join(" "));
        let name = name_before.map(str::to_owned).or(comment).ok_or(KeyError::Nameless)?;
        Ok(Self { key, name })
    }

    /// Whose it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its fingerprint, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Its type and itself, as OpenSSH writes them, without a name.
    #[must_use]
    pub fn line(&self) -> String {
        PublicKey::from(self.key.clone()).to_openssh().unwrap_or_default()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.key == other.key
    }

    pub(super) const fn data(&self) -> &KeyData {
        &self.key
    }
}

/// The type that a line states is not what its bytes are bound to: they say it again.
#[expect(clippy::wildcard_enum_match_arm, reason = "a key of any other type is not taken")]
const fn is_supported(key: &KeyData) -> bool {
    match key {
        KeyData::Ed25519(_) | KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => true,
        KeyData::Ecdsa(key) => matches!(key, EcdsaPublicKey::NistP256(_)),
        _ => false,
    }
}
