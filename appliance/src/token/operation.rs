//! Entries that the appliance makes about itself, on their way into the next round.

use std::sync::Arc;

use assent_proto::entry::{
    Answer, Approval, Boot, BundleOffer, Drill, DrillStage, Entry, KeyAdded, OfferOutcome, OperatorAct,
    Outage, Rearm, Salt, Status, Trip,
};
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_ACT_SIGNATURES;
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};

use crate::break_glass::Act;
use crate::log::store::Row;

/// Something that the appliance did or saw.
#[derive(Clone, Debug)]
pub enum Operation {
    /// It started, with this HSM.
    Booted {
        /// What the HSM says it is.
        hsm: String,
        /// Whether that is a simulator.
        simulator: bool,
    },
    /// The log takes the signatures of this key.
    KeyAdded {
        /// In C2SP form.
        verifier_key: String,
    },
    /// It was offered a bundle, and decides by it from here on or refused it.
    BundleOffered {
        /// Digest of the one before.
        before: Hash,
        /// Digest of the one from here on.
        after: Hash,
        /// Whence it came.
        source: String,
        /// Who offered it.
        by: String,
        /// The version that it states.
        version: Option<u64>,
        /// Why it was refused; none where it was loaded.
        refused: Option<String>,
    },
    /// The token boundary closed.
    Tripped {
        /// The epoch that began with it.
        epoch: Epoch,
        /// A bounded label.
        cause: &'static str,
        /// When.
        at: Timestamp,
    },
    /// The gap that the next checkpoint covers.
    Outage {
        /// Since when the boundary was closed.
        from: Timestamp,
        /// What the last checkpoint covered.
        covered: TreeSize,
        /// Where the log stands.
        reached: TreeSize,
        /// Denials in the gap.
        denials: u64,
        /// Holds in the gap.
        holds: u64,
        /// Intents that were refused meanwhile without an entry.
        refused: u64,
    },
    /// The token boundary opens with this round.
    Rearmed,
    /// Nobody asked for anything, and the log is alive.
    Alive,
    /// Operators did something that only they may do.
    Operators {
        /// What, as a bounded label.
        act: &'static str,
        /// Who.
        by: Vec<String>,
        /// What they signed.
        statement: String,
        /// Their signatures over it.
        signatures: Vec<String>,
    },
    /// An operator answered a hold.
    Answered(Box<Answered>),
    /// It started and could not arm: the log is to know that the boundary is closed.
    StartedClosed,
    /// Operators did something about break-glass.
    BreakGlass(Box<Act>),
    /// A drill began or ended.
    Drill {
        /// Which.
        name: String,
        /// Whether it begins here.
        stage: DrillStage,
    },
}

/// What a room keeps of an act: its rows, as soon as it is known where the entry lies. They go into the commit of the entry.
#[derive(Clone)]
pub struct Keeps(Arc<dyn Fn(LeafIndex) -> Vec<Row> + Send + Sync>);

impl Keeps {
    pub(crate) fn new(rows: impl Fn(LeafIndex) -> Vec<Row> + Send + Sync + 'static) -> Self {
        Self(Arc::new(rows))
    }

    pub(super) fn rows(&self, index: LeafIndex) -> Vec<Row> {
        (self.0)(index)
    }
}

impl std::fmt::Debug for Keeps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeps(..)")
    }
}

/// An operator's answer to a hold.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The hold's leaf.
    pub hold: LeafIndex,
    /// The intent digest.
    pub intent: Hash,
    /// Whose intent it is.
    pub principal: String,
    /// What the operator said.
    pub answer: Answer,
    /// Who.
    pub by: String,
    /// With which key.
    pub key: String,
    /// Digest of the bundle that lists it.
    pub bundle: Hash,
    /// The signature.
    pub signature: String,
    /// What the queue keeps of it.
    pub keeps: Keeps,
}

impl Answered {
    fn entry(&self, salt: Salt, time: Timestamp, epoch: Epoch) -> Approval<'_> {
        let Self { hold, intent, principal, answer, by, key, bundle, signature, keeps: _ } = self;
        Approval {
            salt,
            time,
            epoch,
            hold: *hold,
            intent: *intent,
            principal,
            answer: *answer,
            by,
            key,
            bundle: *bundle,
            signature,
        }
    }
}

impl Operation {
    /// Whether it is to be in the log at once, although nothing has been signed yet.
    pub(in crate::token) const fn cannot_wait(&self) -> bool {
        matches!(
            self,
            Self::Tripped { .. }
                | Self::Operators { .. }
                | Self::Answered(_)
                | Self::Alive
                | Self::StartedClosed
                | Self::BreakGlass(_)
        )
    }

    /// Its entry, made now in this epoch.
    #[must_use]
    pub fn entry(&self, salt: Salt, now: Timestamp, now_epoch: Epoch) -> Entry<'_> {
        match self {
            Self::Booted { hsm, simulator } => Entry::Boot(Boot {
                salt,
                time: now,
                epoch: now_epoch,
                version: env!("CARGO_PKG_VERSION"),
                hsm,
                simulator: *simulator,
            }),
            Self::StartedClosed => Entry::Boot(Boot {
                salt,
                time: now,
                epoch: now_epoch,
                version: env!("CARGO_PKG_VERSION"),
                hsm: "none yet",
                simulator: false,
            }),
            Self::BreakGlass(act) => act.entry(salt, now, now_epoch),
            Self::KeyAdded { verifier_key } => Entry::Key(KeyAdded { salt, time: now, vkey: verifier_key }),
            Self::BundleOffered { before, after, source, by, version, refused } => {
                Entry::Bundle(BundleOffer {
                    salt,
                    time: now,
                    before: *before,
                    after: *after,
                    source,
                    by,
                    version: *version,
                    outcome: refused.as_deref().map_or(OfferOutcome::Loaded, OfferOutcome::Refused),
                })
            }
            Self::Tripped { epoch, cause, at } => Entry::Trip(Trip { salt, time: *at, epoch: *epoch, cause }),
            Self::Outage { from, covered, reached, denials, holds, refused } => Entry::Outage(Outage {
                salt,
                time: now,
                from: *from,
                covered: *covered,
                reached: *reached,
                denials: *denials,
                holds: *holds,
                refused: *refused,
            }),
            Self::Rearmed => Entry::Rearm(Rearm { salt, time: now, epoch: now_epoch }),
            Self::Alive => Entry::Status(Status { salt, time: now, epoch: now_epoch }),
            Self::Operators { act, by, statement, signatures } => Entry::Operator(OperatorAct {
                salt,
                time: now,
                epoch: now_epoch,
                act,
                by: first(by).collect(),
                statement,
                signatures: first(signatures).collect(),
            }),
            Self::Answered(answered) => Entry::Approval(answered.entry(salt, now, now_epoch)),
            Self::Drill { name, stage } => {
                Entry::Drill(Drill { salt, time: now, epoch: now_epoch, name, stage: *stage })
            }
        }
    }
}

/// As many texts as an entry holds; whoever makes the operation keeps to that.
fn first(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().take(MAX_ACT_SIGNATURES).map(String::as_str)
}
