//! The trust file: whose checkpoints are believed, and when. What an executor or auditor holds instead of a secret.
//!
//! TOML, schema `assent.v1.trust`: origins (an origin names its log number), each with verifier keys in C2SP vkey form and
//! their dates. The one rule: a file with anything wrong in it gives no trust at all, nor does one whose keys have all
//! expired; a key that handed over to another expires beside it, and is left out then. An origin's name lives as long as the process, once; so keys can be lent and kept without a lifetime.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use assent_proto::hash::Hash;
use assent_proto::note::{NoteError, VerifierKey};
use assent_proto::number::{Timestamp, TreeSize};
use assent_proto::verify::CheckpointCache;
pub use assent_proto::verify::TrustedKey;
use serde::Deserialize;

use crate::calendar::{parse_rfc3339, rfc3339};
use crate::limits::{MAX_TRUST_BYTES, MAX_TRUSTED_KEYS};
use crate::quote::quoted;

/// What a trust file says that it is.
pub const SCHEMA: &str = "assent.v1.trust";

/// Keys of all logs that are trusted; at least one. Clones share what was verified: agents of one process whose answers are of one
/// round verify its signature once.
#[derive(Clone, Debug)]
pub struct Trust {
    keys: Vec<TrustedKey<'static>>,
    verified: Arc<Mutex<CheckpointCache>>,
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys
    }
}

impl Eq for Trust {}

/// Why a text is no trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// Not the TOML of a trust file.
    #[error("trust file does not parse: {0}")]
    Toml(String),
    /// Of another schema.
    #[error("trust file has schema `{0}`, not `{SCHEMA}`")]
    Schema(String),
    /// It holds no key, or too many, or is too long.
    #[error(
        "trust file has {keys} keys in {bytes} bytes; 1 to {MAX_TRUSTED_KEYS} keys in at most {MAX_TRUST_BYTES} bytes are allowed"
    )]
    Size {
        /// How many keys.
        keys: usize,
        /// How many bytes.
        bytes: usize,
    },
    /// A verifier key is wrong.
    #[error("verifier key `{vkey}` is refused: {cause}")]
    Key {
        /// As it stands in the file.
        vkey: String,
        /// Why.
        cause: NoteError,
    },
    /// A verifier key is of another origin than the one it stands under.
    #[error("verifier key `{vkey}` is not of origin `{origin}`")]
    Origin {
        /// As it stands in the file.
        vkey: String,
        /// Under which it stands.
        origin: String,
    },
    /// The same key stands in the file twice.
    #[error("verifier key `{0}` is listed twice")]
    Twice(String),
    /// A date is not in RFC 3339.
    #[error("`{0}` is no date such as 2026-01-31T12:00:00Z")]
    Date(String),
    /// A key's dates end before they begin.
    #[error("verifier key `{0}` has not_after before not_before")]
    Dates(String),
    /// The dates of all keys have passed; the last one's.
    #[error(
        "verifier key `{vkey}` expired at {not_after}: fetch a new trust file with `assent trust export`"
    )]
    Expired {
        /// As it stands in the file.
        vkey: String,
        /// When it expired.
        not_after: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    #[serde(default)]
    origin: Vec<Origin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    name: String,
    #[serde(default)]
    key: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    vkey: String,
    not_before: String,
    not_after: String,
}

impl Trust {
    /// Parses a trust file. Keys that have expired are left out; when no other is left, the file is refused.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, TrustError> {
        let Self { keys, verified } = Self::parse_for_audit(text)?;
        let (keys, expired): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|trusted| now <= trusted.not_after);
        match expired.iter().max_by_key(|trusted| trusted.not_after) {
            Some(last) if keys.is_empty() => {
                Err(TrustError::Expired { vkey: last.key.to_string(), not_after: rfc3339(last.not_after) })
            }
            Some(_) | None => Ok(Self { keys, verified }),
        }
    }

    /// Parses a trust file for the study of old logs: keys may have expired. Not for executors.
    ///
    /// # Errors
    /// [`TrustError`], except [`TrustError::Expired`].
    pub fn parse_for_audit(text: &str) -> Result<Self, TrustError> {
        if text.len() > MAX_TRUST_BYTES {
            return Err(TrustError::Size { keys: 0, bytes: text.len() });
        }
        let file: File = toml::from_str(text).map_err(|error| TrustError::Toml(error.to_string()))?;
        if file.schema != SCHEMA {
            return Err(TrustError::Schema(quoted(&file.schema)));
        }
        let keys =
            file.origin.iter().flat_map(|origin| origin.key.iter().map(|key| trusted(&origin.name, key)));
        let trust = Self::checked(keys.collect::<Result<_, _>>()?, text.len())?;
        Ok(trust)
    }

    /// Trust in these keys.
    ///
    /// # Errors
    /// [`TrustError::Size`], [`TrustError::Twice`], [`TrustError::Dates`].
    pub fn new(keys: &[TrustedKey<'_>]) -> Result<Self, TrustError> {
        let kept = keys.iter().map(|key| kept(key.key, key.not_before, key.not_after));
        Self::checked(kept.collect::<Result<_, _>>()?, 0)
    }

    fn checked(keys: Vec<TrustedKey<'static>>, bytes: usize) -> Result<Self, TrustError> {
        if !(1..=MAX_TRUSTED_KEYS).contains(&keys.len()) {
            return Err(TrustError::Size { keys: keys.len(), bytes });
        }
        let mut seen = BTreeSet::new();
        for trusted in &keys {
            let vkey = trusted.key.to_string();
            if trusted.not_after < trusted.not_before {
                return Err(TrustError::Dates(vkey));
            }
            if let Some(vkey) = seen.replace(vkey) {
                return Err(TrustError::Twice(vkey));
            }
        }
        Ok(Self { keys, verified: Arc::default() })
    }

    /// The keys, in the file's order.
    #[must_use]
    pub fn keys(&self) -> &[TrustedKey<'static>] {
        &self.keys
    }

    /// Whether the signature is this key's over the checkpoint of its log: verified now, or by a clone of this trust.
    pub(crate) fn has_signed(
        &self,
        key: &VerifierKey<'_>,
        size: TreeSize,
        root: Hash,
        signature: &[u8; 64],
    ) -> bool {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        verified.verify(key, key.name(), size, root, signature)
    }

    /// Writes the trust file.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "# Whose checkpoints are believed, and when. Executors and auditors hold this; it is no secret, but whoever\n\
             # can change it decides what they believe.\nschema = \"{SCHEMA}\"\n"
        );
        let origins: BTreeSet<&str> = self.keys.iter().map(|trusted| trusted.key.name()).collect();
        for origin in origins {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n[[origin]]\nname = {}\n", toml::Value::from(origin));
            for TrustedKey { key, not_before, not_after } in
                self.keys.iter().filter(|key| key.key.name() == origin)
            {
                let _ = write!(
                    text,
                    "\n[[origin.key]]\nvkey = {}\nnot_before = \"{}\"\nnot_after = \"{}\"\n",
                    toml::Value::from(key.to_string()),
                    rfc3339(*not_before),
                    rfc3339(*not_after),
                );
            }
        }
        text
    }
}

fn trusted(origin: &str, key: &Key) -> Result<TrustedKey<'static>, TrustError> {
    let parsed =
        VerifierKey::parse(&key.vkey).map_err(|cause| TrustError::Key { vkey: quoted(&key.vkey), cause })?;
    if parsed.name() != origin {
        return Err(TrustError::Origin { vkey: quoted(&key.vkey), origin: quoted(origin) });
    }
    kept(parsed, date(&key.not_before)?, date(&key.not_after)?)
}

fn date(text: &str) -> Result<Timestamp, TrustError> {
    let ms = parse_rfc3339(text).and_then(|ms| u64::try_from(ms).ok());
    ms.map(Timestamp).ok_or_else(|| TrustError::Date(quoted(text)))
}

/// The same key, under a name that stays.
fn kept(
    key: VerifierKey<'_>,
    not_before: Timestamp,
    not_after: Timestamp,
) -> Result<TrustedKey<'static>, TrustError> {
    let key = VerifierKey::new(lasting(key.name()), key.key().as_bytes())
        .map_err(|cause| TrustError::Key { vkey: key.to_string(), cause })?;
    Ok(TrustedKey { key, not_before, not_after })
}

/// The names of all origins that were ever trusted by this process.
static ORIGINS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The same name for the rest of the process. Memory grows with distinct origins only, not with reloads.
fn lasting(name: &str) -> &'static str {
    let mut origins = ORIGINS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = origins.get(name) {
        return known;
    }
    let name: &'static str = String::leak(name.to_owned());
    origins.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "2026-11-24T00:00:00Z";

    fn key(name: &str, number: u8) -> VerifierKey<'_> {
        let seed = ed25519_dalek::SigningKey::from_bytes(&[number; 32]);
        VerifierKey::new(name, seed.verifying_key().as_bytes()).unwrap()
    }

    fn file(origin: &str, vkey: &str, not_before: &str, not_after: &str) -> String {
        format!(
            "schema = \"{SCHEMA}\"\n[[origin]]\nname = \"{origin}\"\n[[origin.key]]\nvkey = \"{vkey}\"\n\
             not_before = \"{not_before}\"\nnot_after = \"{not_after}\"\n"
        )
    }

    fn noon() -> Timestamp {
        date("2026-11-24T12:00:00Z").unwrap()
    }

    #[test]
    fn what_is_rendered_parses_back() {
        let keys = [("host/b/log/1", 1), ("host/a/log/1", 2), ("host/b/log/1", 3)].map(|(name, number)| {
            TrustedKey { key: key(name, number), not_before: noon(), not_after: noon().plus_ms(1001) }
        });
        let trust = Trust::new(&keys).unwrap();
        let parsed = Trust::parse(&trust.render(), noon()).unwrap();
        let mut sorted = keys.to_vec();
        sorted.sort_by_key(|trusted| trusted.key.name());
        assert_eq!(parsed.keys(), sorted);
    }

    #[test]
    fn expired_key_refuses_the_file_except_for_auditors() {
        let text = file("o", &key("o", 1).to_string(), DAY, "2026-11-24T11:59:59.999Z");
        assert!(matches!(Trust::parse(&text, noon()), Err(TrustError::Expired { .. })));
        assert_eq!(Trust::parse_for_audit(&text).map(|trust| trust.keys().len()), Ok(1));
    }

    #[test]
    fn key_that_expired_beside_another_is_left_out() {
        let ended = |number, ms| TrustedKey {
            key: key("o", number),
            not_before: Timestamp(0),
            not_after: noon().plus_ms(ms),
        };
        let text = Trust::new(&[ended(1, 0), ended(2, 1)]).unwrap().render();
        let numbers = |now| Trust::parse(&text, now).map(|trust| trust.keys().len());
        assert_eq!(numbers(noon()), Ok(2));
        assert_eq!(numbers(noon().plus_ms(1)), Ok(1));
        let kept = Trust::parse(&text, noon().plus_ms(1)).unwrap();
        assert_eq!(kept.keys().first().map(|trusted| trusted.key.id()), Some(key("o", 2).id()));
        let told = Trust::parse(&text, noon().plus_ms(2)).unwrap_err();
        assert!(matches!(told, TrustError::Expired { vkey, .. } if vkey == key("o", 2).to_string()));
    }

    #[test]
    fn wrong_keys_and_dates_are_refused() {
        let vkey = key("o", 1).to_string();
        let refusal = |text: String| Trust::parse(&text, noon()).unwrap_err();
        assert!(matches!(
            refusal(file("other", &vkey, DAY, "2027-01-01T00:00:00Z")),
            TrustError::Origin { .. }
        ));
        assert!(matches!(refusal(file("o", "o+0+AQ", DAY, DAY)), TrustError::Key { .. }));
        assert!(matches!(refusal(file("o", &vkey, DAY, "2027-01-01")), TrustError::Date(_)));
        assert!(matches!(
            refusal(file("o", &vkey, "2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z")),
            TrustError::Dates(_)
        ));
        let twice = file("o", &vkey, DAY, "2027-01-01T00:00:00Z");
        let (head, rest) = twice.split_once("[[origin]]").unwrap();
        assert!(matches!(refusal(format!("{head}[[origin]]{rest}[[origin]]{rest}")), TrustError::Twice(_)));
    }

    #[test]
    fn unknown_fields_schemas_and_empty_files_are_refused() {
        let good = file("o", &key("o", 1).to_string(), DAY, "2027-01-01T00:00:00Z");
        assert!(Trust::parse(&good, noon()).is_ok());
        assert!(matches!(Trust::parse(&format!("{good}colour = 1\n"), noon()), Err(TrustError::Toml(_))));
        assert!(matches!(Trust::parse(&good.replace(".v1.", ".v2."), noon()), Err(TrustError::Schema(_))));
        let empty = format!("schema = \"{SCHEMA}\"\n");
        assert!(matches!(Trust::parse(&empty, noon()), Err(TrustError::Size { keys: 0, .. })));
    }
}
