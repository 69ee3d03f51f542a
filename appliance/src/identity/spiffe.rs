//! SPIFFE IDs: the names of agents and appliances.
//!
//! Whoever holds a [`SpiffeId`] knows that its characters and its length are within the rules, so that it is safe to
//! log, to compare byte by byte and to use as a principal's id; not that anybody proved to be its owner.
//! (SPIFFE-ID sections 2.1 to 2.4.) Names are never changed to make them fit: what is not in the one form is refused.

use std::fmt;

use assent_proto::limits::MAX_PRINCIPAL_BYTES;
use serde::{Deserialize, Serialize};

const SCHEME: &str = "spiffe://";
/// Bytes of a trust domain (SPIFFE-ID section 2.3).
const MAX_TRUST_DOMAIN_BYTES: usize = 255;

/// A SPIFFE ID: `spiffe://<trust domain>/<path>`; the path may be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffeId(Box<str>);

/// The name of a trust domain, as in `spiffe://<trust domain>/agent/x`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrustDomain(Box<str>);

/// Why a text is no SPIFFE ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeError {
    /// It is too long.
    #[error("a SPIFFE ID has at most {MAX_PRINCIPAL_BYTES} bytes; this one has {0}")]
    Length(usize),
    /// It is of another scheme.
    #[error("a SPIFFE ID begins with `{SCHEME}`")]
    Scheme,
    /// Its trust domain is none.
    #[error(
        "a trust domain has 1 to {MAX_TRUST_DOMAIN_BYTES} of the characters a-z, 0-9, dot, dash and underscore"
    )]
    TrustDomain,
    /// Its path is none.
    #[error(
        "a SPIFFE path is made of segments of A-Z, a-z, 0-9, dot, dash and underscore; none is empty, `.` or `..`"
    )]
    Path,
}

impl SpiffeError {
    /// A bounded label for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Length(_) => "length",
            Self::Scheme => "scheme",
            Self::TrustDomain => "trust_domain",
            Self::Path => "path",
        }
    }
}

impl SpiffeId {
    /// Takes a text that is a SPIFFE ID already.
    ///
    /// # Errors
    /// [`SpiffeError`] for every other text; nothing is normalised.
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        if text.len() > MAX_PRINCIPAL_BYTES {
            return Err(SpiffeError::Length(text.len()));
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeError::Scheme)?;
        let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
        check_trust_domain(domain)?;
        match path {
            Some(path) if !path.split('/').all(is_segment) => Err(SpiffeError::Path),
            Some(_) | None => Ok(Self(text.into())),
        }
    }

    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part between the scheme and the path.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.parts().0
    }

    /// What follows the trust domain, without the slash between; empty where there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        // INVARIANT: `parse` saw the scheme.
        let rest = self.0.strip_prefix(SCHEME).unwrap_or_default();
        rest.split_once('/').unwrap_or((rest, ""))
    }
}

impl TrustDomain {
    /// Takes a text that is the name of a trust domain.
    ///
    /// # Errors
    /// [`SpiffeError::TrustDomain`].
    pub fn parse(text: &str) -> Result<Self, SpiffeError> {
        check_trust_domain(text).map(|()| Self(text.into()))
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of an agent: `spiffe://<trust domain>/agent/<name>`.
    ///
    /// # Errors
    /// [`SpiffeError::Path`] where `name` is not one segment.
    pub fn agent(&self, name: &str) -> Result<SpiffeId, SpiffeError> {
        self.member("agent", name)
    }

    /// The name of an appliance: `spiffe://<trust domain>/appliance/<name>`.
    ///
    /// # Errors
    /// [`SpiffeError::Path`] where `name` is not one segment.
    pub fn appliance(&self, name: &str) -> Result<SpiffeId, SpiffeError> {
        self.member("appliance", name)
    }

    fn member(&self, kind: &str, name: &str) -> Result<SpiffeId, SpiffeError> {
        if !is_segment(name) {
            return Err(SpiffeError::Path);
        }
        SpiffeId::parse(&format!("{SCHEME}{}/{kind}/{name}", self.0))
    }
}

fn check_trust_domain(name: &str) -> Result<(), SpiffeError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let right = (1..=MAX_TRUST_DOMAIN_BYTES).contains(&name.len()) && name.bytes().all(fits);
    if right { Ok(()) } else { Err(SpiffeError::TrustDomain) }
}

/// Whether a path may have this segment.
pub(super) fn is_segment(segment: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(fits)
}

impl TryFrom<String> for SpiffeId {
    type Error = SpiffeError;

    fn try_from(text: String) -> Result<Self, SpiffeError> {
        Self::parse(&text)
    }
}

impl From<SpiffeId> for String {
    fn from(id: SpiffeId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_gives_back_its_parts() {
        let id = SpiffeId::parse("spiffe://prod.example_1/agent/shop-7").unwrap();
        assert_eq!((id.trust_domain(), id.path()), ("prod.example_1", "agent/shop-7"));
        assert_eq!(id.to_string(), "spiffe://prod.example_1/agent/shop-7");
        assert_eq!(SpiffeId::parse("spiffe://prod").unwrap().path(), "");
    }

    #[test]
    fn what_is_not_in_the_one_form_is_refused() {
        let cases = [
            ("", SpiffeError::Scheme),
            ("https://a/b", SpiffeError::Scheme),
            ("SPIFFE://a/b", SpiffeError::Scheme),
            ("spiffe:a/b", SpiffeError::Scheme),
            ("spiffe://", SpiffeError::TrustDomain),
            ("spiffe:///b", SpiffeError::TrustDomain),
            ("spiffe://A/b", SpiffeError::TrustDomain),
            ("spiffe://user@a/b", SpiffeError::TrustDomain),
            ("spiffe://a:80/b", SpiffeError::TrustDomain),
            ("spiffe://a?x", SpiffeError::TrustDomain),
            ("spiffe://a/", SpiffeError::Path),
            ("spiffe://a//b", SpiffeError::Path),
            ("spiffe://a/b/", SpiffeError::Path),
            ("spiffe://a/./b", SpiffeError::Path),
            ("spiffe://a/../b", SpiffeError::Path),
            ("spiffe://a/b c", SpiffeError::Path),
            ("spiffe://a/b%20c", SpiffeError::Path),
            ("spiffe://a/b?q", SpiffeError::Path),
            ("spiffe://a/b#f", SpiffeError::Path),
            ("spiffe://a/b\n", SpiffeError::Path),
            ("spiffe://a/\u{e9}", SpiffeError::Path),
        ];
        for (text, expected) in cases {
            assert_eq!(SpiffeId::parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn the_limit_is_on_the_whole_id() {
        let head = "spiffe://a/";
        let longest = format!("{head}{}", "x".repeat(MAX_PRINCIPAL_BYTES - head.len()));
        assert!(SpiffeId::parse(&longest).is_ok());
        assert_eq!(
            SpiffeId::parse(&format!("{longest}x")),
            Err(SpiffeError::Length(MAX_PRINCIPAL_BYTES + 1))
        );
        assert!(TrustDomain::parse(&"d".repeat(MAX_TRUST_DOMAIN_BYTES)).is_ok());
        assert!(TrustDomain::parse(&"d".repeat(MAX_TRUST_DOMAIN_BYTES + 1)).is_err());
    }

    #[test]
    fn a_name_cannot_climb_out_of_its_kind() {
        let domain = TrustDomain::parse("assent.test").unwrap();
        assert_eq!(domain.agent("shop").unwrap().as_str(), "spiffe://assent.test/agent/shop");
        for name in ["../appliance/x", "a/b", "", "..", "a b"] {
            assert_eq!(domain.agent(name), Err(SpiffeError::Path), "{name:?}");
        }
    }
}
