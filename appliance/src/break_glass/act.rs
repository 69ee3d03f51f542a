//! Acts: what operators did with a charter or a warrant, on its way into the log.
//!
//! An act holds the entry that it will be, checked, with all but the time at which it is written. It tells that operators
//! signed it; whether it may be written now, [`super::BreakGlass::check`] says, at the moment at which it is.

use assent_proto::entry::break_glass::{CHARTER_REVOKE_ACT, WARRANT_END_ACT};
use assent_proto::entry::{Charter, Entry, OperatorAct, Review, Salt, Status, Warrant};
use assent_proto::limits::MAX_ACT_SIGNATURES;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};

/// What was signed, or ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act(pub(super) Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A charter: the leaf, but for its time.
    Charter(Vec<u8>),
    /// A charter is revoked.
    Revoked { charter: LeafIndex, by: Vec<String>, statement: String, signatures: Vec<String> },
    /// A warrant: the leaf, but for its time; and the places of its signers in the charter's list of keys.
    Warrant(Vec<u8>, Vec<u8>),
    /// A warrant is over before its time.
    Ended { warrant: LeafIndex, by: Vec<String>, statement: String },
    /// A use was reviewed: the leaf, but for its time.
    Review(Vec<u8>),
}

/// The leaf of an entry that was checked.
pub(super) fn encoded(entry: &Entry<'_>) -> Result<Vec<u8>, String> {
    let mut leaf = Vec::with_capacity(2048);
    entry.append(&mut leaf).map_err(|_| {
        "this is more than an entry of the log holds: name fewer actions, resources or operators".to_owned()
    })?;
    // What is written is read again, so that whoever verifies the log can do so, too.
    let unreadable = |error| format!("no entry of the log can hold this: {error}");
    Entry::parse(&leaf).map(drop).map_err(unreadable)?;
    Ok(leaf)
}

impl Act {
    /// The end of a warrant.
    pub(super) fn end(origin: &str, warrant: LeafIndex, by: Vec<String>, reason: &str) -> Self {
        let statement =
            format!("assent/warrant-end/v1\norigin {origin}\nwarrant {warrant}\nreason {reason}\n");
        Self(Kind::Ended { warrant, by, statement })
    }

    /// Whether it ends a warrant before its time.
    pub(crate) const fn ends_a_warrant(&self) -> bool {
        matches!(self.0, Kind::Ended { .. })
    }

    /// Its entry, made now in this epoch.
    #[must_use]
    pub fn entry(&self, salt: Salt, time: Timestamp, epoch: Epoch) -> Entry<'_> {
        match &self.0 {
            Kind::Charter(leaf) | Kind::Warrant(leaf, _) | Kind::Review(leaf) => match Entry::parse(leaf) {
                Ok(Entry::Charter(charter)) => Entry::Charter(Charter { salt, time, epoch, ..charter }),
                Ok(Entry::Warrant(warrant)) => Entry::Warrant(Warrant { salt, time, epoch, ..warrant }),
                Ok(Entry::Review(review)) => Entry::Review(Review { salt, time, epoch, ..review }),
                // INVARIANT: `encoded` has read it; and what is no entry of ours does nothing.
                Ok(_) | Err(_) => Entry::Status(Status { salt, time, epoch }),
            },
            Kind::Revoked { by, statement, signatures, .. } => Entry::Operator(OperatorAct {
                salt,
                time,
                epoch,
                act: CHARTER_REVOKE_ACT,
                by: first(by).collect(),
                statement,
                signatures: first(signatures).collect(),
            }),
            Kind::Ended { by, statement, .. } => Entry::Operator(OperatorAct {
                salt,
                time,
                epoch,
                act: WARRANT_END_ACT,
                by: first(by).collect(),
                statement,
                signatures: first(&[]).collect(),
            }),
        }
    }
}

/// As many texts as an entry holds; whoever makes the act keeps to that.
fn first(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().take(MAX_ACT_SIGNATURES).map(String::as_str)
}
