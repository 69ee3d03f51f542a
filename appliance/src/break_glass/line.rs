//! Lines: what the log keeps beside the entries of break-glass, in the commit that writes these or not at all.
//!
//! A charter and a warrant are kept as the leaves that they are, so that what is asked of them is asked of what the log vouches for.
//! Of a use there is a row of its own, under the warrant and the use's number: so no number can be kept twice.

use assent_proto::codec::{self, CodecError};
use assent_proto::number::{LeafIndex, Timestamp};
use serde::{Deserialize, Serialize};

use crate::log::store::{Room, Row};

const CHARTER: u8 = 1;
const WARRANT: u8 = 2;
const USE: u8 = 3;

/// A charter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CharterLine {
    /// Where it is in the log.
    pub(super) leaf: LeafIndex,
    /// Its leaf.
    pub(super) bytes: Vec<u8>,
    /// Where operators revoked it.
    pub(super) revoked: Option<LeafIndex>,
}

/// A warrant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WarrantLine {
    /// Where it is in the log.
    pub(super) leaf: LeafIndex,
    /// The charter that it is under.
    pub(super) charter: LeafIndex,
    /// Its leaf.
    pub(super) bytes: Vec<u8>,
    /// Places of those who signed it among the charter's keys.
    pub(super) signers: Vec<u8>,
    /// Where it was ended before its time.
    pub(super) ended: Option<LeafIndex>,
}

/// A use of a warrant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseLine {
    /// The warrant.
    pub warrant: LeafIndex,
    /// Its number under that.
    pub number: u16,
    /// The allow.
    pub leaf: LeafIndex,
    /// When.
    pub time: Timestamp,
    /// Where its review is in the log; none: nobody has reviewed it.
    pub review: Option<LeafIndex>,
}

/// What is kept otherwise once a commit is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A charter was made or revoked.
    Charter(Box<CharterKept>),
    /// A warrant was activated or ended.
    Warrant(Box<WarrantKept>),
    /// A use was made or reviewed.
    Use(UseLine),
    /// A charter is kept in mind no longer: it is over, and everything under it was reviewed.
    CharterForgotten(LeafIndex),
    /// So is a warrant, with so many uses.
    WarrantForgotten(LeafIndex, u16),
}

/// A charter, for nobody but this room to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CharterKept(pub(super) CharterLine);

/// A warrant, for nobody but this room to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WarrantKept(pub(super) WarrantLine);

/// A row as it was read.
#[derive(Debug)]
pub(super) enum Line {
    Charter(CharterLine),
    Warrant(WarrantLine),
    Use(UseLine),
}

fn key(kind: u8, leaf: LeafIndex) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(&leaf.0.to_be_bytes());
    key
}

fn use_key(warrant: LeafIndex, number: u16) -> Vec<u8> {
    let mut key = key(USE, warrant);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn put(key: &[u8], line: &impl Serialize) -> Result<Row, CodecError> {
    let mut value = Vec::with_capacity(128);
    codec::append(line, &mut value)?;
    Ok(Row::put(Room::BreakGlass, key, value))
}

impl Change {
    /// The rows that make it durable.
    ///
    /// # Errors
    /// None for any value of this type; the signature is that of the codec.
    pub(crate) fn rows(&self) -> Result<Vec<Row>, CodecError> {
        let removed = |key: &[u8]| Row::removed(Room::BreakGlass, key);
        Ok(match self {
            Self::Charter(kept) => vec![put(&key(CHARTER, kept.0.leaf), &kept.0)?],
            Self::Warrant(kept) => vec![put(&key(WARRANT, kept.0.leaf), &kept.0)?],
            Self::Use(line) => vec![put(&use_key(line.warrant, line.number), line)?],
            Self::CharterForgotten(leaf) => vec![removed(&key(CHARTER, *leaf))],
            Self::WarrantForgotten(leaf, uses) => {
                let uses = (1..=*uses).map(|number| removed(&use_key(*leaf, number)));
                std::iter::once(removed(&key(WARRANT, *leaf))).chain(uses).collect()
            }
        })
    }
}

impl Line {
    /// What a row holds; none where it is not one of this room's.
    pub(super) fn parse(key: &[u8], row: &[u8]) -> Option<Self> {
        match *key.first()? {
            CHARTER => codec::parse(row).ok().map(Self::Charter),
            WARRANT => codec::parse(row).ok().map(Self::Warrant),
            USE => codec::parse(row).ok().map(Self::Use),
            _ => None,
        }
    }
}
