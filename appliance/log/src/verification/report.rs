//! What a verification found, for people and machines.

use assent_proto::entry::Kind;
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, TreeSize};
use assent_proto::tree::Frontier;

use crate::SignedCheckpoint;
use crate::limits::{MAX_FINDINGS, MAX_REMARKS};
use crate::store::{StoredCheckpoint, StoredHead};
use crate::succession::KeyReport;

/// A gap that no checkpoint covered at the time: what was counted in it, whatever its outage entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// Size that the last checkpoint before it covered.
    pub from_size: u64,
    /// Entries in it.
    pub entries: u64,
    /// When the boundary had closed, as the outage entry says; until there is one, the time of the first entry. Milliseconds
    /// since 1970, like every time here.
    pub began_ms: u64,
    /// When it was over; none while it is open.
    pub until_ms: Option<u64>,
    /// Denials in it.
    pub denials: u64,
    /// Holds in it.
    pub holds: u64,
    /// Allows in it, which only a warrant may give.
    pub allows: u64,
    /// Causes of the trips in it, in order, without repetition; the first few.
    pub causes: Vec<String>,
    /// Trips in it.
    pub trips: u64,
    /// Starts of the appliance in it.
    pub starts: u64,
    /// Whether an outage entry and a signed checkpoint close it.
    pub closed: bool,
    /// Size that the checkpoint over it covers; none while it is open.
    pub covered_by: Option<u64>,
}

/// Something that must not be, or that one must know.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// At which leaf.
    pub index: u64,
    /// What is wrong, or to be known, there.
    pub what: String,
}

/// An allow that rests on approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Its leaf.
    pub index: u64,
    /// How many operators can have approved its hold, up to the approval that it names: as there are keys, and names of operators, of
    /// more than [`MAX_HOLD_APPROVERS`](crate::limits::MAX_HOLD_APPROVERS) as many. The bundle may have counted fewer. None where it is not known.
    pub approvals: Option<u64>,
}

/// A time without an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Silence {
    /// How long, in milliseconds.
    pub ms: u64,
    /// Since when.
    pub from_ms: u64,
    /// The entry that ended it.
    pub index: u64,
}

/// What was looked at beside the leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Beside {
    /// Entries whose intent lies beside them and has their digest.
    pub intents: u64,
    /// Entries about an intent whose request is not there; an operator's order must have erased it.
    pub erased: u64,
    /// Recorded answers that lead to their entries, byte for byte.
    pub answers: u64,
}

/// A review of a use of a warrant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ReviewReport {
    /// Its leaf.
    pub index: u64,
    /// When.
    pub time_ms: u64,
    /// Who, as the charter names them.
    pub by: String,
    /// Whether the use was found to be right.
    pub justified: bool,
    /// What was said.
    pub text: String,
}

/// A use of a warrant.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct UseReport {
    /// Its leaf, an allow.
    pub index: u64,
    /// Which use it is, from 1.
    pub number: u16,
    /// When.
    pub time_ms: u64,
    /// The agent.
    pub principal: String,
    /// Cedar's action.
    pub action: String,
    /// Cedar's resource.
    pub resource: String,
    /// Its review; none: it is open.
    pub review: Option<ReviewReport>,
}

/// A warrant that verified, with what was done under it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct WarrantReport {
    /// Its leaf.
    pub index: u64,
    /// The charter's leaf.
    pub charter: u64,
    /// What people call the charter.
    pub charter_name: String,
    /// When it was activated.
    pub time_ms: u64,
    /// From when it lived.
    pub not_before_ms: u64,
    /// Until when.
    pub not_after_ms: u64,
    /// Why it was ordered.
    pub reason: String,
    /// Who signed it.
    pub by: Vec<String>,
    /// How many uses it had.
    pub uses_max: u16,
    /// Its uses.
    pub uses: Vec<UseReport>,
}

/// What the log turned out to be.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Leaves.
    pub entries: u64,
    /// Their root hash.
    pub root: Hash,
    /// Leaves by kind.
    pub kinds: Vec<(Kind, u64)>,
    /// Checkpoints whose signature verified; at a boundary between two keys, both.
    pub checkpoints: u64,
    /// The keys that signed them, the oldest first.
    pub keys: Vec<KeyReport>,
    /// The newest of them.
    pub head: Option<SignedCheckpoint>,
    /// The epoch below which executors were told to refuse tokens, by the operators' orders in it.
    pub lowest_epoch: Epoch,
    /// Checkpoints from elsewhere that the log was found to be consistent with.
    pub agreed: Vec<String>,
    /// Gaps, each with how it ended.
    pub gaps: Vec<Gap>,
    /// Break-glass warrants, each with its uses and their reviews.
    pub warrants: Vec<WarrantReport>,
    /// Requests and answers beside the leaves; none where they were not looked at.
    pub beside: Option<Beside>,
    /// The longest time without an entry while the appliance ran.
    pub silence: Option<Silence>,
    /// The longest time without an entry that a start of the appliance ended.
    pub stopped: Option<Silence>,
    /// Times of the first and the last entry.
    pub times_ms: Option<(u64, u64)>,
    /// What must not be; empty for a log that verifies.
    pub findings: Vec<Finding>,
    /// How many findings there were, the ones beyond the first included.
    pub findings_total: u64,
    /// What is no fault and should be known; the first of them.
    pub remarks: Vec<Finding>,
    /// How many remarks there were.
    pub remarks_total: u64,
}

impl Report {
    /// Whether everything held.
    #[must_use]
    pub const fn verified(&self) -> bool {
        self.findings_total == 0
    }

    /// Uses of warrants that nobody has reviewed.
    pub fn open_reviews(&self) -> impl Iterator<Item = &UseReport> {
        let uses = self.warrants.iter().flat_map(|warrant| &warrant.uses);
        uses.filter(|used| used.review.is_none())
    }

    /// The store's own head must be the tree that the leaves lead to, and name its newest checkpoint.
    pub fn compare_with_head(&mut self, head: &StoredHead) {
        let rebuilt = Frontier::restore(TreeSize(head.size), &head.frontier).map(|tree| tree.root());
        if head.size != self.entries || rebuilt != Ok(self.root) {
            self.find(head.size, "the log's head is not the tree of its leaves".to_owned());
        }
        if head.signed != self.head.as_ref().map(StoredCheckpoint::from) {
            self.find(head.size, "the log's head names another checkpoint than its newest".to_owned());
        }
        if head.lowest_epoch != self.lowest_epoch {
            let what = "the log's head has executors accept older epochs than the operators ordered";
            self.find(head.size, what.to_owned());
        }
        let open = self.gaps.last().filter(|gap| gap.covered_by.is_none());
        let counted = open.map_or((0, 0), |gap| (gap.denials, gap.holds));
        if (head.unsigned.denials, head.unsigned.holds) != counted {
            self.find(head.size, "the log's head does not count what its open gap holds".to_owned());
        }
    }

    /// Notes something that must not be.
    pub fn find(&mut self, index: u64, what: String) {
        self.findings_total += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { index, what });
        }
    }

    /// Notes something that is no fault and should be known.
    pub fn remark(&mut self, index: u64, what: String) {
        self.remarks_total += 1;
        if self.remarks.len() < MAX_REMARKS {
            self.remarks.push(Finding { index, what });
        }
    }

    /// Leaves of one kind.
    #[must_use]
    pub fn of_kind(&self, kind: Kind) -> u64 {
        self.kinds.iter().find(|(of, _)| *of == kind).map_or(0, |(_, count)| *count)
    }

    pub(super) fn count(&mut self, kind: Kind, leaves: u64) {
        match self.kinds.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, count)) => *count += leaves,
            None => self.kinds.push((kind, leaves)),
        }
    }
}
