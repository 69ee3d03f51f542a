//! Break-glass: what was ordered in good times, what was signed in bad ones, and who looked at it afterwards.
//!
//! A charter has its authority from the HSM, as every leaf has; a warrant has its from operators that a charter names. What they
//! sign are statements that follow from the fields (`statement`), and `check` holds an entry against its own statement. The one
//! rule: a verifier makes the statement itself and never believes the one that it is given. Who signed is not asked here: the
//! signatures are OpenSSH's, for which this crate has no library. (`FORMAT.md` section 19.)

mod check;
mod list;
mod statement;

use serde::{Deserialize, Serialize};

pub use self::check::{ActError, Misfit};
pub use self::list::List;
pub use self::statement::{
    CHARTER_NAMESPACE, CHARTER_REVOKE_ACT, CHARTER_REVOKE_NAMESPACE, CharterRevocation, REVIEW_NAMESPACE,
    WARRANT_END_ACT, WARRANT_NAMESPACE,
};

use super::Salt;
use crate::codec::{self, CodecError, Cursor};
use crate::intent::Uid;
use crate::limits::{
    MAX_ACT_SIGNATURES, MAX_BODY_BYTES, MAX_CHARTER_ACTIONS, MAX_CHARTER_OPERATORS, MAX_CHARTER_PRINCIPALS,
    MAX_CHARTER_RESOURCES,
};
use crate::number::{Epoch, LeafIndex, Timestamp};

/// Which resources a charter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ResourceScope<'a> {
    /// All of this type.
    OfType(&'a str),
    /// This one.
    #[serde(borrow)]
    One(Uid<'a>),
}

impl ResourceScope<'_> {
    /// Whether this resource is among them.
    #[must_use]
    pub fn covers(&self, resource: &Uid<'_>) -> bool {
        match self {
            Self::OfType(type_name) => *type_name == resource.type_name,
            Self::One(uid) => uid == resource,
        }
    }
}

/// What a warrant under a charter can give leave for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The actions.
    pub actions: List<'a, Uid<'a>>,
    /// The resources.
    pub resources: List<'a, ResourceScope<'a>>,
    /// The agents; none: any.
    pub principals: List<'a, &'a str>,
}

impl Scope<'_> {
    /// Whether an act of this agent is within it.
    #[must_use]
    pub fn covers(&self, action: &Uid<'_>, resource: &Uid<'_>, principal: &str) -> bool {
        let Self { actions, resources, principals } = self;
        actions.iter().any(|known| known == *action)
            && resources.iter().any(|known| known.covers(resource))
            && (principals.is_empty() || principals.iter().any(|known| known == principal))
    }
}

/// A break-glass charter was made: what operators may give leave for when nothing else can.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Charter<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When it was made.
    pub time: Timestamp,
    /// The epoch at the time.
    pub epoch: Epoch,
    /// What people call it.
    pub name: &'a str,
    /// The actions that a warrant can give leave for; at least one.
    pub actions: List<'a, Uid<'a>>,
    /// The resources; at least one.
    pub resources: List<'a, ResourceScope<'a>>,
    /// The agents; none: any.
    pub principals: List<'a, &'a str>,
    /// How long, in seconds, the token boundary must have been closed before a warrant is activated.
    pub closed_s: u32,
    /// The longest window of a warrant, in seconds.
    pub window_max_s: u32,
    /// The most uses of one warrant.
    pub uses_max: u16,
    /// The operators that may sign warrants and reviews: lines as `.pub` files have them.
    pub operators: List<'a, &'a str>,
    /// How many of them must sign a warrant.
    pub threshold: u8,
    /// When no warrant under it is activated any more, and none lives.
    pub not_after: Timestamp,
    /// Who ordered it, by the names that their keys are listed under.
    pub by: heapless::Vec<&'a str, MAX_ACT_SIGNATURES>,
    /// What they signed.
    pub statement: &'a str,
    /// Their signatures over it, as OpenSSH writes them, in the order of their names.
    pub signatures: heapless::Vec<&'a str, MAX_ACT_SIGNATURES>,
}

impl<'a> Charter<'a> {
    /// What a warrant under it can give leave for.
    #[must_use]
    pub const fn scope(&self) -> Scope<'a> {
        Scope { actions: self.actions, resources: self.resources, principals: self.principals }
    }

    /// Parses a body.
    ///
    /// # Errors
    /// [`CodecError`]: not canonical, or over a limit.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, CodecError> {
        let mut cursor = Cursor::new(body);
        let charter = Self::read(&mut cursor)?;
        cursor.end()?;
        if codec::is_canonical(&charter, body) { Ok(charter) } else { Err(CodecError::NotCanonical) }
    }

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, CodecError> {
        Ok(Self {
            salt: Salt(cursor.array()?),
            time: Timestamp(cursor.varint()?),
            epoch: Epoch(cursor.varint()?),
            name: cursor.string(MAX_BODY_BYTES)?,
            actions: List::read(cursor, MAX_CHARTER_ACTIONS)?,
            resources: List::read(cursor, MAX_CHARTER_RESOURCES)?,
            principals: List::read(cursor, MAX_CHARTER_PRINCIPALS)?,
            closed_s: narrow(cursor.varint()?)?,
            window_max_s: narrow(cursor.varint()?)?,
            uses_max: narrow(cursor.varint()?)?,
            operators: List::read(cursor, MAX_CHARTER_OPERATORS)?,
            threshold: cursor.byte()?,
            not_after: Timestamp(cursor.varint()?),
            by: read_texts(cursor)?,
            statement: cursor.string(MAX_BODY_BYTES)?,
            signatures: read_texts(cursor)?,
        })
    }
}

fn narrow<T: TryFrom<u64>>(number: u64) -> Result<T, CodecError> {
    T::try_from(number).map_err(|_| CodecError::Malformed)
}

fn read_texts<'a>(cursor: &mut Cursor<'a>) -> Result<heapless::Vec<&'a str, MAX_ACT_SIGNATURES>, CodecError> {
    let mut texts = heapless::Vec::new();
    for _ in 0..cursor.count(MAX_ACT_SIGNATURES)? {
        texts.push(cursor.string(MAX_BODY_BYTES)?).map_err(|_| CodecError::TooLong)?;
    }
    Ok(texts)
}

/// A warrant under a charter was activated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warrant<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When it was activated.
    pub time: Timestamp,
    /// The epoch at the time.
    pub epoch: Epoch,
    /// The charter that it is under.
    pub charter: LeafIndex,
    /// The Ed25519 key that signs checkpoints under it: made for it alone.
    pub key: [u8; 32],
    /// How many acts it gives leave for.
    pub uses: u16,
    /// From when it lives.
    pub not_before: Timestamp,
    /// Until when it lives.
    pub not_after: Timestamp,
    /// Why, in one line.
    pub reason: &'a str,
    /// Who ordered it, by the names that the charter's key lines have, in the order of these lines.
    #[serde(borrow)]
    pub by: heapless::Vec<&'a str, MAX_ACT_SIGNATURES>,
    /// What they signed.
    pub statement: &'a str,
    /// Their signatures over it, as OpenSSH writes them.
    #[serde(borrow)]
    pub signatures: heapless::Vec<&'a str, MAX_ACT_SIGNATURES>,
}

/// What a reviewer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Finding {
    /// The use was right.
    Justified,
    /// It was not.
    Unjustified,
}

impl Finding {
    /// As a statement says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Justified => "justified",
            Self::Unjustified => "unjustified",
        }
    }
}

/// A use of a warrant was reviewed, by an operator of the charter who had not signed the warrant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When.
    pub time: Timestamp,
    /// The epoch at the time.
    pub epoch: Epoch,
    /// The warrant.
    pub warrant: LeafIndex,
    /// The allow under it that was reviewed.
    pub used: LeafIndex,
    /// What the reviewer found.
    pub finding: Finding,
    /// Why, in one line.
    pub text: &'a str,
    /// Who, by the name that the charter's key line has.
    pub by: &'a str,
    /// What the reviewer signed.
    pub statement: &'a str,
    /// The signature over it, as OpenSSH writes it.
    pub signature: &'a str,
}
