//! Attributes: what an object is, and what it says of itself.
//!
//! An object is typed, not a bag of bytes: each class knows its attributes, and what a class does not have it does not answer.
//! The seed of a private key leaves this type in one direction only, into the slot's file.
//! (PKCS#11 2.40, sections 4.4 to 4.9; curves, section 2.3.)

use std::sync::Arc;

use cryptoki_sys::*;
use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::hex;
use crate::limits::MAX_ATTRIBUTE_BYTES;
use crate::templates::{Entry, Template, name, text};

/// The curve as DER `PrintableString "edwards25519"`, which is what a key answers unless it was made by OID.
pub(crate) const EC_PARAMS_NAME: &[u8] = b"\x13\x0cedwards25519";
/// The curve as the OID 1.3.101.112.
pub(crate) const EC_PARAMS_OID: &[u8] = b"\x06\x03\x2b\x65\x70";

/// A stored or session object.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Object {
    pub(crate) label: String,
    pub(crate) private: bool,
    pub(crate) modifiable: bool,
    pub(crate) destroyable: bool,
    pub(crate) content: Content,
}

/// What is special to a class. `derive` is only remembered: `pkcs11-tool` asks for it, and there is no mechanism that derives.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Content {
    /// `CKO_DATA`: bytes that the slot keeps for somebody.
    Data {
        application: String,
        #[serde(with = "hex")]
        object_id: Vec<u8>,
        #[serde(with = "hex")]
        value: Vec<u8>,
    },
    /// `CKO_PUBLIC_KEY` on the curve edwards25519.
    PublicKey {
        #[serde(with = "hex")]
        id: Vec<u8>,
        verify: bool,
        derive: bool,
        curve: Curve,
        #[serde(with = "hex")]
        point: [u8; 32],
    },
    /// `CKO_PRIVATE_KEY` on the curve edwards25519.
    PrivateKey {
        #[serde(with = "hex")]
        id: Vec<u8>,
        sign: bool,
        derive: bool,
        extractable: bool,
        never_extractable: bool,
        curve: Curve,
        seed: Seed,
    },
}

/// How `CKA_EC_PARAMS` was written when the key was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Curve {
    /// By name.
    Edwards25519,
    /// By object identifier.
    Oid,
}

impl Curve {
    /// The curve that `CKA_EC_PARAMS` names.
    pub(crate) fn from_parameters(parameters: &[u8]) -> Result<Self, Failure> {
        match parameters {
            EC_PARAMS_NAME => Ok(Self::Edwards25519),
            EC_PARAMS_OID => Ok(Self::Oid),
            _ => Err(Failure::CurveNotSupported),
        }
    }

    const fn parameters(self) -> &'static [u8] {
        match self {
            Self::Edwards25519 => EC_PARAMS_NAME,
            Self::Oid => EC_PARAMS_OID,
        }
    }
}

/// A private key, expanded once and shared by the sessions that sign with it; wiped when the last one lets go.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Seed(Arc<SigningKey>);

impl Seed {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self(Arc::new(SigningKey::from_bytes(seed)))
    }

    /// The key, for signing.
    pub(crate) fn key(&self) -> &Arc<SigningKey> {
        &self.0
    }
}

impl TryFrom<String> for Seed {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, Self::Error> {
        let bytes = hex::bytes(&digits).ok_or("a seed is hexadecimal")?;
        Ok(Self::new(&bytes.try_into().map_err(|_| "a seed has 32 bytes")?))
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        hex::text(seed.0.as_bytes())
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Seed(..)")
    }
}

/// What an object answers when it is asked for one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Value(Vec<u8>),
    /// It has one, and does not tell.
    Sensitive,
    /// Its class has no such attribute.
    Absent,
}

fn flag(value: bool) -> Answer {
    Answer::Value(vec![if value { CK_TRUE } else { CK_FALSE }])
}

fn number(value: CK_ULONG) -> Answer {
    Answer::Value(value.to_ne_bytes().to_vec())
}

fn bytes(value: impl Into<Vec<u8>>) -> Answer {
    Answer::Value(value.into())
}

impl Object {
    /// What it says to `kind`; `token`: whether it lies in the slot rather than in a session.
    pub(crate) fn answer(&self, kind: CK_ATTRIBUTE_TYPE, token: bool) -> Answer {
        match kind {
            CKA_TOKEN => flag(token),
            CKA_PRIVATE => flag(self.private),
            CKA_MODIFIABLE => flag(self.modifiable),
            CKA_DESTROYABLE => flag(self.destroyable),
            CKA_COPYABLE => flag(false),
            CKA_LABEL => bytes(self.label.clone()),
            _ => self.content.answer(kind),
        }
    }

    /// Whether it has every attribute of `template` with the same value. A sensitive attribute never matches.
    pub(crate) fn matches(&self, template: &[Entry], token: bool) -> bool {
        template.iter().all(|entry| match self.answer(entry.kind, token) {
            Answer::Value(value) => value == entry.value,
            Answer::Sensitive | Answer::Absent => false,
        })
    }

    /// Changes what may be changed, all of `entries` or nothing; the caller holds a copy.
    pub(crate) fn change(&mut self, entries: Vec<Entry>, token: bool) -> Result<(), Failure> {
        if !self.modifiable {
            return Err(Failure::ActionProhibited);
        }
        entries.into_iter().try_for_each(|entry| match entry.kind {
            CKA_LABEL => text(entry.value).map(|label| self.label = label),
            kind if self.answer(kind, token) == Answer::Absent => Err(Failure::AttributeTypeInvalid),
            kind => self.content.change(kind, entry.value),
        })
    }

    /// A data object as `C_CreateObject` describes it; no other class can be brought in from outside.
    pub(crate) fn data(template: &mut Template) -> Result<Self, Failure> {
        match template.take_number(CKA_CLASS)? {
            None => return Err(Failure::TemplateIncomplete),
            Some(CKO_DATA) => {}
            Some(_) => return Err(Failure::AttributeValueInvalid),
        }
        let value = template.take(CKA_VALUE).unwrap_or_default();
        let content = Content::Data {
            application: template.take_text(CKA_APPLICATION)?,
            object_id: template.take_name(CKA_OBJECT_ID)?,
            value: bounded(value)?,
        };
        Self::new(template, content, false)
    }

    /// An object of `content`, with what every class has taken from `template`.
    pub(crate) fn new(template: &mut Template, content: Content, private: bool) -> Result<Self, Failure> {
        template.take_fixed(CKA_COPYABLE, &[CK_FALSE])?;
        Ok(Self {
            label: template.take_text(CKA_LABEL)?,
            private: template.take_flag(CKA_PRIVATE)?.unwrap_or(private),
            modifiable: template.take_flag(CKA_MODIFIABLE)?.unwrap_or(true),
            destroyable: template.take_flag(CKA_DESTROYABLE)?.unwrap_or(true),
            content,
        })
    }
}

fn bounded(value: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if value.len() > MAX_ATTRIBUTE_BYTES { Err(Failure::AttributeValueInvalid) } else { Ok(value) }
}

impl Content {
    fn answer(&self, kind: CK_ATTRIBUTE_TYPE) -> Answer {
        match self {
            Self::Data { application, object_id, value } => match kind {
                CKA_CLASS => number(CKO_DATA),
                CKA_APPLICATION => bytes(application.clone()),
                CKA_OBJECT_ID => bytes(object_id.clone()),
                CKA_VALUE => bytes(value.clone()),
                _ => Answer::Absent,
            },
            Self::PublicKey { id, verify, derive, curve, point } => match kind {
                CKA_CLASS => number(CKO_PUBLIC_KEY),
                CKA_VERIFY => flag(*verify),
                CKA_DERIVE => flag(*derive),
                CKA_EC_POINT => bytes([b"\x04\x20", point.as_slice()].concat()),
                CKA_ENCRYPT | CKA_WRAP | CKA_VERIFY_RECOVER | CKA_TRUSTED => flag(false),
                _ => key_answer(kind, id, *curve),
            },
            Self::PrivateKey { id, sign, derive, extractable, never_extractable, curve, .. } => match kind {
                CKA_CLASS => number(CKO_PRIVATE_KEY),
                CKA_SIGN => flag(*sign),
                CKA_DERIVE => flag(*derive),
                CKA_SENSITIVE | CKA_ALWAYS_SENSITIVE => flag(true),
                CKA_EXTRACTABLE => flag(*extractable),
                CKA_NEVER_EXTRACTABLE => flag(*never_extractable),
                CKA_DECRYPT | CKA_UNWRAP | CKA_SIGN_RECOVER => flag(false),
                CKA_WRAP_WITH_TRUSTED | CKA_ALWAYS_AUTHENTICATE => flag(false),
                CKA_VALUE => Answer::Sensitive,
                _ => key_answer(kind, id, *curve),
            },
        }
    }

    fn change(&mut self, kind: CK_ATTRIBUTE_TYPE, to: Vec<u8>) -> Result<(), Failure> {
        match (self, kind) {
            (Self::PublicKey { id, .. } | Self::PrivateKey { id, .. }, CKA_ID) => *id = name(to)?,
            (Self::PrivateKey { extractable, .. }, CKA_EXTRACTABLE) if to == [CK_FALSE] => {
                *extractable = false
            }
            (Self::Data { application, .. }, CKA_APPLICATION) => *application = text(to)?,
            (Self::Data { object_id, .. }, CKA_OBJECT_ID) => *object_id = name(to)?,
            (Self::Data { value, .. }, CKA_VALUE) => *value = bounded(to)?,
            _ => return Err(Failure::AttributeReadOnly),
        }
        Ok(())
    }

    /// The key to verify with, when it is a public key that may.
    pub(crate) fn verifying_key(&self) -> Result<VerifyingKey, Failure> {
        match self {
            Self::PublicKey { verify: true, point, .. } => {
                VerifyingKey::from_bytes(point).map_err(|_| Failure::DeviceError)
            }
            Self::PublicKey { .. } => Err(Failure::KeyFunctionNotPermitted),
            Self::PrivateKey { .. } => Err(Failure::KeyTypeInconsistent),
            Self::Data { .. } => Err(Failure::KeyHandleInvalid),
        }
    }

    /// The key to sign with, when it is a private key that may.
    pub(crate) fn signing_key(&self) -> Result<&Arc<SigningKey>, Failure> {
        match self {
            Self::PrivateKey { sign: true, seed, .. } => Ok(seed.key()),
            Self::PrivateKey { .. } => Err(Failure::KeyFunctionNotPermitted),
            Self::PublicKey { .. } => Err(Failure::KeyTypeInconsistent),
            Self::Data { .. } => Err(Failure::KeyHandleInvalid),
        }
    }
}

/// What both halves of a pair answer.
fn key_answer(kind: CK_ATTRIBUTE_TYPE, id: &[u8], curve: Curve) -> Answer {
    match kind {
        CKA_KEY_TYPE => number(CKK_EC_EDWARDS),
        CKA_ID => bytes(id),
        CKA_EC_PARAMS => bytes(curve.parameters()),
        CKA_LOCAL => flag(true),
        CKA_KEY_GEN_MECHANISM => number(CKM_EC_EDWARDS_KEY_PAIR_GEN),
        CKA_ALLOWED_MECHANISMS => number(CKM_EDDSA),
        CKA_SUBJECT | CKA_START_DATE | CKA_END_DATE => bytes([]),
        _ => Answer::Absent,
    }
}
