//! Entries about the appliance itself rather than about an intent.

use serde::{Deserialize, Serialize};

use super::Salt;
use crate::hash::Hash;
use crate::limits::MAX_ACT_SIGNATURES;
use crate::number::{Epoch, Timestamp, TreeSize};

/// The token boundary closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When it closed.
    pub time: Timestamp,
    /// The epoch that begins with it.
    pub epoch: Epoch,
    /// Why, as a bounded label.
    pub cause: &'a str,
}

/// The token boundary opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rearm {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When it opened.
    pub time: Timestamp,
    /// The epoch under which it is open.
    pub epoch: Epoch,
}

/// The log was alive although nobody asked for anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When.
    pub time: Timestamp,
    /// The epoch at the time.
    pub epoch: Epoch,
}

/// A bundle was offered: the evaluation boundary decides by it from here on, or refused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleOffer<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When.
    pub time: Timestamp,
    /// Digest of the bundle that decided before; zeroes where the appliance has just started.
    pub before: Hash,
    /// Digest of the bundle that decides from here on: the one before, where the offer was refused.
    pub after: Hash,
    /// Whence it came.
    pub source: &'a str,
    /// Who offered it: the appliance's start, its watch over the source, or an operator.
    pub by: &'a str,
    /// The version that it states, if it states one.
    pub version: Option<u64>,
    /// What became of it.
    pub outcome: OfferOutcome<'a>,
}

/// What became of a bundle that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferOutcome<'a> {
    /// It decides from here on.
    Loaded,
    /// The one before stays, for this reason: a bounded label, and one line for people.
    Refused(&'a str),
}

/// A verifier key signs checkpoints of this log from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAdded<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When.
    pub time: Timestamp,
    /// The key as C2SP signed-note writes it.
    pub vkey: &'a str,
}

/// The appliance started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When.
    pub time: Timestamp,
    /// The epoch under which it starts.
    pub epoch: Epoch,
    /// Version of the appliance.
    pub version: &'a str,
    /// What the HSM says it is: manufacturer, model, serial number.
    pub hsm: &'a str,
    /// Whether that is a simulator.
    pub simulator: bool,
}

/// Entries were made that no checkpoint covered at the time; the next checkpoint covers the whole gap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When it was over.
    pub time: Timestamp,
    /// When the boundary had closed.
    pub from: Timestamp,
    /// Size that the last checkpoint before the gap covered.
    pub covered: TreeSize,
    /// Size of the log before this entry: what lies between the two is the gap.
    pub reached: TreeSize,
    /// Denials in the gap.
    pub denials: u64,
    /// Holds in the gap.
    pub holds: u64,
    /// Intents that were refused and have no entry: the gap had grown to the appliance's bound.
    pub refused: u64,
}

/// Operators did something that only they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorAct<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When.
    pub time: Timestamp,
    /// The epoch at the time.
    pub epoch: Epoch,
    /// What they did, as a bounded label.
    pub act: &'a str,
    /// Who, by the names that their keys are listed under.
    #[serde(borrow)]
    pub by: heapless::Vec<&'a str, MAX_ACT_SIGNATURES>,
    /// What they signed; empty where the act needs no signature.
    pub statement: &'a str,
    /// Their signatures over it, as OpenSSH writes them, in the order of their names.
    #[serde(borrow)]
    pub signatures: heapless::Vec<&'a str, MAX_ACT_SIGNATURES>,
}

/// A drill began or ended: what lies between was rehearsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When.
    pub time: Timestamp,
    /// The epoch at the time.
    pub epoch: Epoch,
    /// Which drill.
    pub name: &'a str,
    /// Whether it begins here.
    pub stage: DrillStage,
}

/// Where a drill is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DrillStage {
    /// It begins.
    Begun,
    /// It is over.
    Ended,
}
