//! Log entries: what a leaf of the tree says.
//!
//! Leaf bytes: [`LEAF_LABEL`], the kind in one byte, the body in canonical postcard. Every body begins with a salt, so
//! that a leaf hash in somebody else's inclusion proof tells an outsider nothing. Kinds are never reused.
//!
//! An entry holds digests of intents, not their contexts: those lie beside it and can be erased without breaking the tree.

mod approval;
pub mod break_glass;
mod decision;
mod error;
mod operation;

use serde::{Deserialize, Serialize};

pub use self::approval::{Answer, Approval};
pub use self::break_glass::{Charter, Review, Warrant};
pub use self::decision::{Allow, Deny, Grounds, Hold, Policies, Wait};
pub use self::error::EntryError;
pub use self::operation::{
    Boot, BundleOffer, Drill, DrillStage, KeyAdded, OfferOutcome, OperatorAct, Outage, Rearm, Status, Trip,
};
use crate::codec::{self, CodecError};
use crate::hash::Hash;
use crate::limits::MAX_BODY_BYTES;
use crate::number::Timestamp;

/// What the bytes of every leaf begin with.
pub const LEAF_LABEL: &[u8; 15] = b"assent/leaf/v1\0";

/// Separates the derivation of salts from every other hash.
pub const SALT_LABEL: &[u8; 15] = b"assent/salt/v1\0";

/// Sixteen bytes that an outsider cannot guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salt(pub [u8; 16]);

/// The salt of the `position`th entry of a reply, from the one salt that was sent with it.
#[must_use]
pub fn derived_salt(seed: &Salt, position: u32) -> Salt {
    let hash = Hash::of_labelled(SALT_LABEL, [&seed.0, &position.to_be_bytes()]);
    let mut salt = Salt::default();
    for (to, from) in salt.0.iter_mut().zip(hash.0) {
        *to = from;
    }
    salt
}

/// What an entry is about: the byte behind the label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An intent was allowed; the only kind that a token can come from.
    Allow = 1,
    /// An intent was refused.
    Deny = 2,
    /// An intent waits, in the queue or for operators.
    Hold = 3,
    /// The token boundary closed.
    Trip = 4,
    /// The token boundary opened.
    Rearm = 5,
    /// The log was alive.
    Status = 6,
    /// Other policies were offered: loaded, or refused.
    Bundle = 7,
    /// A verifier key was added.
    Key = 8,
    /// The appliance started.
    Boot = 9,
    /// Entries were made that no checkpoint covered at the time.
    Outage = 10,
    /// An operator answered a hold.
    Approval = 11,
    /// A break-glass charter was made.
    Charter = 12,
    /// A warrant under a charter was activated.
    Warrant = 13,
    /// A use of a warrant was reviewed.
    Review = 14,
    /// Any other act of an operator.
    Operator = 15,
    /// A drill began or ended.
    Drill = 16,
}

impl Kind {
    /// Every kind, by ascending number.
    pub const ALL: &'static [Self] = &[
        Self::Allow,
        Self::Deny,
        Self::Hold,
        Self::Trip,
        Self::Rearm,
        Self::Status,
        Self::Bundle,
        Self::Key,
        Self::Boot,
        Self::Outage,
        Self::Approval,
        Self::Charter,
        Self::Warrant,
        Self::Review,
        Self::Operator,
        Self::Drill,
    ];

    /// The kind's byte.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this byte, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number() == number)
    }
}

/// An entry, parsed. One of a kind that is not here is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// See [`Kind::Allow`].
    Allow(Allow<'a>),
    /// See [`Kind::Deny`].
    Deny(Deny<'a>),
    /// See [`Kind::Hold`].
    Hold(Hold<'a>),
    /// See [`Kind::Trip`].
    Trip(Trip<'a>),
    /// See [`Kind::Rearm`].
    Rearm(Rearm),
    /// See [`Kind::Status`].
    Status(Status),
    /// See [`Kind::Bundle`].
    Bundle(BundleOffer<'a>),
    /// See [`Kind::Key`].
    Key(KeyAdded<'a>),
    /// See [`Kind::Boot`].
    Boot(Boot<'a>),
    /// See [`Kind::Outage`].
    Outage(Outage),
    /// See [`Kind::Approval`].
    Approval(Approval<'a>),
    /// See [`Kind::Charter`].
    Charter(Charter<'a>),
    /// See [`Kind::Warrant`].
    Warrant(Warrant<'a>),
    /// See [`Kind::Review`].
    Review(Review<'a>),
    /// See [`Kind::Operator`].
    Operator(OperatorAct<'a>),
    /// See [`Kind::Drill`].
    Drill(Drill<'a>),
}

impl<'a> Entry<'a> {
    /// Parses the bytes of a leaf.
    ///
    /// # Errors
    /// [`EntryError`].
    pub fn parse(leaf: &'a [u8]) -> Result<Self, EntryError> {
        let rest = leaf.strip_prefix(LEAF_LABEL.as_slice()).ok_or(EntryError::Label)?;
        let (number, body) = rest.split_first().ok_or(EntryError::Label)?;
        if body.len() > MAX_BODY_BYTES {
            return Err(EntryError::Body(CodecError::TooLong));
        }
        let kind = Kind::from_number(*number).ok_or(EntryError::Kind(*number))?;
        Self::parse_body(kind, body)
    }

    fn parse_body(kind: Kind, body: &'a [u8]) -> Result<Self, EntryError> {
        match kind {
            Kind::Allow => codec::parse(body).map(Self::Allow),
            Kind::Deny => codec::parse(body).map(Self::Deny),
            Kind::Hold => codec::parse(body).map(Self::Hold),
            Kind::Trip => codec::parse(body).map(Self::Trip),
            Kind::Rearm => codec::parse(body).map(Self::Rearm),
            Kind::Status => codec::parse(body).map(Self::Status),
            Kind::Bundle => codec::parse(body).map(Self::Bundle),
            Kind::Key => codec::parse(body).map(Self::Key),
            Kind::Boot => codec::parse(body).map(Self::Boot),
            Kind::Outage => codec::parse(body).map(Self::Outage),
            Kind::Approval => codec::parse(body).map(Self::Approval),
            Kind::Charter => Charter::parse(body).map(Self::Charter),
            Kind::Warrant => codec::parse(body).map(Self::Warrant),
            Kind::Review => codec::parse(body).map(Self::Review),
            Kind::Operator => codec::parse(body).map(Self::Operator),
            Kind::Drill => codec::parse(body).map(Self::Drill),
        }
        .map_err(EntryError::Body)
    }

    /// What the entry is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Allow(_) => Kind::Allow,
            Self::Deny(_) => Kind::Deny,
            Self::Hold(_) => Kind::Hold,
            Self::Trip(_) => Kind::Trip,
            Self::Rearm(_) => Kind::Rearm,
            Self::Status(_) => Kind::Status,
            Self::Bundle(_) => Kind::Bundle,
            Self::Key(_) => Kind::Key,
            Self::Boot(_) => Kind::Boot,
            Self::Outage(_) => Kind::Outage,
            Self::Approval(_) => Kind::Approval,
            Self::Charter(_) => Kind::Charter,
            Self::Warrant(_) => Kind::Warrant,
            Self::Review(_) => Kind::Review,
            Self::Operator(_) => Kind::Operator,
            Self::Drill(_) => Kind::Drill,
        }
    }

    /// When it was made.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::Allow(body) => body.time,
            Self::Deny(body) => body.time,
            Self::Hold(body) => body.denial.time,
            Self::Trip(body) => body.time,
            Self::Rearm(body) => body.time,
            Self::Status(body) => body.time,
            Self::Bundle(body) => body.time,
            Self::Key(body) => body.time,
            Self::Boot(body) => body.time,
            Self::Outage(body) => body.time,
            Self::Approval(body) => body.time,
            Self::Charter(body) => body.time,
            Self::Warrant(body) => body.time,
            Self::Review(body) => body.time,
            Self::Operator(body) => body.time,
            Self::Drill(body) => body.time,
        }
    }

    /// Appends the bytes of the leaf. Whoever fills an entry keeps its body within [`MAX_BODY_BYTES`], beyond which
    /// [`Entry::parse`] refuses it; for an allow or a denial within the other limits that is so (asserted in limits.rs).
    ///
    /// # Errors
    /// None for any value of this type; the signature is that of the codec.
    pub fn append(&self, out: &mut impl Extend<u8>) -> Result<(), CodecError> {
        out.extend(LEAF_LABEL.iter().copied());
        out.extend([self.kind().number()]);
        match self {
            Self::Allow(body) => body.append(out),
            Self::Deny(body) => codec::append(body, out),
            Self::Hold(body) => codec::append(body, out),
            Self::Trip(body) => codec::append(body, out),
            Self::Rearm(body) => codec::append(body, out),
            Self::Status(body) => codec::append(body, out),
            Self::Bundle(body) => codec::append(body, out),
            Self::Key(body) => codec::append(body, out),
            Self::Boot(body) => codec::append(body, out),
            Self::Outage(body) => codec::append(body, out),
            Self::Approval(body) => codec::append(body, out),
            Self::Charter(body) => codec::append(body, out),
            Self::Warrant(body) => codec::append(body, out),
            Self::Review(body) => codec::append(body, out),
            Self::Operator(body) => codec::append(body, out),
            Self::Drill(body) => codec::append(body, out),
        }
    }
}

/// Hash of the leaf whose kind is Allow and whose body is `body`. A verifier that uses this cannot take a denial for a
/// token, whatever bytes it is given.
#[must_use]
pub fn allow_leaf_hash(body: &[u8]) -> Hash {
    Hash::of_leaf_parts([LEAF_LABEL.as_slice(), &[Kind::Allow.number()], body])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_lead_back_from_their_numbers() {
        for (position, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(usize::from(kind.number()), position + 1);
            assert_eq!(Kind::from_number(kind.number()), Some(*kind));
        }
    }
}
