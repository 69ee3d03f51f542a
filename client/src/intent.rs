//! Intents, owned: what an agent asks leave to do, and the same thing encoded.
//!
//! Two agents that mean the same act encode the same bytes: keys and sets are sorted, repeated elements dropped. So an
//! executor that builds the intent anew from what it is about to do computes the digest that the token carries.

use std::collections::BTreeMap;
use std::time::Duration;

use assent_proto::codec::CodecError;
use assent_proto::hash::Hash;
use assent_proto::intent::{Act, Intent as Parsed};
pub use assent_proto::intent::{OnUnavailable, Priority};

use crate::encoding;
use crate::uid::Uid;
use crate::value::Value;

/// What an agent asks leave to do.
///
/// ```
/// use std::time::Duration;
/// use assent_client::{Decimal, Intent, Uid};
///
/// let refund = Intent::new(
///     r#"Retail::Action::"refund_order""#.parse()?,
///     Uid::new("Retail::Order", "#W1"),
///     "store-api",
/// )
/// .with("amount", "49.90".parse::<Decimal>()?)
/// .with("reason", "arrived broken");
/// let refund = Intent { window: Some(Duration::from_secs(300)), uses: Some(1), ..refund };
/// # assert!(refund.encode().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What is to be done.
    pub action: Uid,
    /// To what.
    pub resource: Uid,
    /// With which particulars.
    pub context: BTreeMap<String, Value>,
    /// Who is to act on the token.
    pub audience: String,
    /// How long the token is to be good, in whole seconds; none: as long as the catalog grants.
    pub window: Option<Duration>,
    /// How often the token may be used; none: as often as the catalog grants.
    pub uses: Option<u16>,
    /// Place in a queue; none: the catalog's.
    pub priority: Option<Priority>,
    /// What to do when it cannot be decided now.
    pub on_unavailable: OnUnavailable,
}

/// Why an intent cannot be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    /// A name, an id, a text or the whole is longer than the formats allow.
    #[error("{what} has {bytes} bytes, at most {limit} are allowed")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// Its limit.
        limit: usize,
    },
    /// The context has more values than the formats allow, nested ones included.
    #[error("context has more than {limit} values")]
    TooManyValues {
        /// The limit.
        limit: usize,
    },
    /// Sets and records lie deeper within one another than the formats allow.
    #[error("context is nested deeper than {limit} sets and records")]
    TooDeep {
        /// The limit, the context itself included.
        limit: usize,
    },
    /// A window that is not whole seconds, or that no catalog can grant.
    #[error("window of {0:?} is not whole seconds, or is longer than a day")]
    Window(Duration),
    /// The encoding did not parse back: a defect of this crate, not of the intent.
    #[error("encoded intent is not canonical: {0}")]
    Encoding(CodecError),
}

impl Intent {
    /// An intent without context, on the catalog's terms.
    pub fn new(action: Uid, resource: Uid, audience: impl Into<String>) -> Self {
        Self {
            action,
            resource,
            context: BTreeMap::new(),
            audience: audience.into(),
            window: None,
            uses: None,
            priority: None,
            on_unavailable: OnUnavailable::Fail,
        }
    }

    /// With a value in its context; one of the same key is replaced.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.insert(key.into(), value.into());
        self
    }

    /// Encodes it. An executor that admits several tokens for one intent encodes it once.
    ///
    /// # Errors
    /// [`IntentError`] for what no appliance would take.
    pub fn encode(&self) -> Result<EncodedIntent, IntentError> {
        let mut bytes = Vec::with_capacity(256);
        let act_bytes = encoding::append_intent(self, &mut bytes)?;
        EncodedIntent::new(bytes, act_bytes)
    }
}

/// An intent in the canonical bytes that appliances and executors agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedIntent {
    bytes: Vec<u8>,
    act_bytes: usize,
    digest: Hash,
}

impl EncodedIntent {
    fn new(bytes: Vec<u8>, act_bytes: usize) -> Result<Self, IntentError> {
        let parsed = Parsed::parse(&bytes).map_err(|error| {
            IntentError::Encoding(match error {
                assent_proto::intent::IntentError::TooLarge => CodecError::TooLong,
                assent_proto::intent::IntentError::Malformed(error) => error,
            })
        })?;
        let digest = parsed.act.digest();
        Ok(Self { bytes, act_bytes, digest })
    }

    /// The canonical bytes: act, then terms.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a token is bound to.
    #[must_use]
    pub const fn digest(&self) -> Hash {
        self.digest
    }

    /// What is to happen, without the terms.
    ///
    /// # Errors
    /// None in practice: the bytes parsed when they were encoded.
    pub fn act(&self) -> Result<Act<'_>, CodecError> {
        Act::parse(self.bytes.get(..self.act_bytes).ok_or(CodecError::Truncated)?)
    }
}
