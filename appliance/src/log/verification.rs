//! Verification of a whole log, offline, with nothing but the trusted keys: what an auditor does who trusts nobody.
//!
//! Every leaf is hashed and parsed, every checkpoint recomputed from the leaves and its signature verified under the key that
//! was in force. Since all
//! roots come from one pass over one sequence of leaves, the checkpoints are consistent with one another. It does not
//! evaluate policies again.

use std::path::Path;

use assent_proto::entry::{Entry, Grounds, Kind};
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, LeafIndex, TreeSize};
use assent_proto::tree::Frontier;
use assent_proto::verify::TrustedKey;

use super::SignedCheckpoint;
use super::fence::Fence;
use super::keyring::Keyring;
use super::store::{StoreError, StoredHead, StoredRound};
use super::succession::{KeyReport, Succession};

/// Findings that are kept; more are only counted.
const MAX_FINDINGS: usize = 100;

/// A gap that no checkpoint covered at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// Size that the last checkpoint before it covered.
    pub from_size: u64,
    /// Entries in it.
    pub entries: u64,
    /// Time of its first entry, in milliseconds since 1970.
    pub began_ms: u64,
    /// Whether an outage entry and a signed checkpoint close it.
    pub closed: bool,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// At which leaf.
    pub index: u64,
    /// What is wrong there.
    pub what: String,
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
    /// Gaps, each with how it ended.
    pub gaps: Vec<Gap>,
    /// What must not be; empty for a log that verifies.
    pub findings: Vec<Finding>,
    /// How many findings there were, the ones beyond the first included.
    pub findings_total: u64,
}

impl Report {
    /// Whether everything held.
    #[must_use]
    pub const fn verified(&self) -> bool {
        self.findings_total == 0
    }

    /// The store's own head must be the tree that the leaves lead to.
    pub fn compare_with_head(&mut self, head: &StoredHead) {
        let rebuilt = Frontier::restore(TreeSize(head.size), &head.frontier).map(|tree| tree.root());
        if head.size != self.entries || rebuilt != Ok(self.root) {
            self.find(head.size, "the log's head is not the tree of its leaves".to_owned());
        }
    }

    /// A log that is behind its fence was rolled back, and one that contradicts it was forked.
    pub fn compare_with_fence(&mut self, fence: &Path, keys: &Keyring) {
        let size = self.head.map_or(0, |head| head.size.0);
        match Fence::open(fence, keys) {
            Err(error) => self.find(size, error.to_string()),
            Ok((_, Some(held))) if held.size.0 > size => {
                self.find(size, format!("the log ends here, but its fence has seen {} leaves", held.size));
            }
            Ok((_, Some(held)))
                if self.head.is_some_and(|head| head.size == held.size && head.root != held.root) =>
            {
                self.find(size, "the log and its fence have different roots here".to_owned());
            }
            Ok(_) => {}
        }
    }

    fn find(&mut self, index: u64, what: String) {
        self.findings_total += 1;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { index, what });
        }
    }

    /// Leaves of one kind.
    #[must_use]
    pub fn of_kind(&self, kind: Kind) -> u64 {
        self.kinds.iter().find(|(of, _)| *of == kind).map_or(0, |(_, count)| *count)
    }
}

/// Takes a log's rounds one by one.
#[derive(Debug)]
pub struct Verification<'t> {
    succession: Succession<'t>,
    tree: Frontier,
    epoch: Epoch,
    open_gap: Option<Gap>,
    outage_told: bool,
    report: Report,
}

impl<'t> Verification<'t> {
    /// Begins at the first leaf of the log of this origin.
    #[must_use]
    pub fn new(origin: &'t str, trusted: &'t [TrustedKey<'t>]) -> Self {
        Self {
            succession: Succession::new(origin, trusted),
            tree: Frontier::new(),
            epoch: Epoch(0),
            open_gap: None,
            outage_told: false,
            report: Report::default(),
        }
    }

    /// Verifies all rounds; `progress` hears how many leaves are done.
    ///
    /// # Errors
    /// When a round cannot be read at all.
    pub fn run(
        mut self,
        rounds: impl Iterator<Item = Result<StoredRound, StoreError>>,
        mut progress: impl FnMut(u64),
    ) -> Result<Report, StoreError> {
        for round in rounds {
            self.round(&round?);
            progress(self.tree.size().0);
        }
        self.report.entries = self.tree.size().0;
        self.report.root = self.tree.root();
        self.report.gaps.extend(self.open_gap.take());
        let (keys, trusted) = self.succession.end();
        self.report.keys = keys;
        if let Err(why) = trusted {
            self.report.find(self.report.entries.saturating_sub(1), why);
        }
        Ok(self.report)
    }

    fn round(&mut self, round: &StoredRound) {
        if round.first.0 != self.tree.size().0 {
            self.find(
                round.first,
                format!("round begins here, but the one before ended at {}", self.tree.size()),
            );
        }
        if round.checkpoint.is_none() && self.open_gap.is_none() {
            let began_ms =
                round.leaves.first().and_then(|leaf| Entry::parse(leaf).ok()).map_or(0, |e| e.time().0);
            self.open_gap = Some(Gap { from_size: self.tree.size().0, entries: 0, began_ms, closed: false });
        }
        for leaf in &round.leaves {
            self.leaf(leaf, round.checkpoint.is_some());
        }
        match &round.checkpoint {
            Some(checkpoint) => self.checkpoint(checkpoint),
            None => {
                if let Some(gap) = &mut self.open_gap {
                    gap.entries += round.leaves.len() as u64;
                }
                if let Err(why) = self.succession.unsigned() {
                    self.find(round.first, why);
                }
            }
        }
    }

    fn leaf(&mut self, leaf: &[u8], signed: bool) {
        let index = LeafIndex(self.tree.size().0);
        if self.tree.append(Hash::of_leaf(leaf)).is_err() {
            self.find(index, "the tree is full".to_owned());
        }
        match Entry::parse(leaf) {
            Ok(entry) => self.entry(index, &entry, signed),
            Err(error) => self.find(index, error.to_string()),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds have no rule of their own")]
    fn entry(&mut self, index: LeafIndex, entry: &Entry<'_>, signed: bool) {
        let kind = entry.kind();
        match self.report.kinds.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, count)) => *count += 1,
            None => self.report.kinds.push((kind, 1)),
        }
        match entry {
            Entry::Allow(allow) => {
                if !signed && !matches!(allow.grounds, Grounds::Warrant(_)) {
                    self.find(index, "an allow without a signed checkpoint over its round".to_owned());
                }
                if allow.epoch != self.epoch {
                    self.find(index, format!("allowed in epoch {}, which was not open", allow.epoch));
                }
            }
            Entry::Trip(trip) => self.enter(index, trip.epoch),
            Entry::Rearm(rearm) => self.enter(index, rearm.epoch),
            Entry::Outage(outage) => self.outage(index, outage.covered, outage.reached),
            Entry::Key(key) => {
                if let Err(why) = self.succession.name(key.vkey) {
                    self.find(index, why);
                }
            }
            _ => {}
        }
    }

    /// Epochs never fall. A trip that was seen while starting may skip one whose entry a kill prevented.
    fn enter(&mut self, index: LeafIndex, epoch: Epoch) {
        if epoch < self.epoch {
            self.find(index, format!("epoch fell from {} to {epoch}", self.epoch));
        }
        self.epoch = epoch;
    }

    fn outage(&mut self, index: LeafIndex, covered: TreeSize, reached: TreeSize) {
        self.outage_told = true;
        let gap = self.open_gap.map(|gap| gap.from_size);
        if gap != Some(covered.0) || reached.0 > index.0 {
            self.find(index, format!("outage entry from {covered} to {reached} does not fit the gap"));
        }
    }

    fn checkpoint(&mut self, signed: &SignedCheckpoint) {
        let last = LeafIndex(self.tree.size().0.saturating_sub(1));
        let covers = signed.size == self.tree.size() && signed.root == self.tree.root();
        if !covers {
            self.find(last, "checkpoint does not cover the leaves before it".to_owned());
        }
        match self.succession.checkpoint(signed) {
            Ok(()) if !covers => {}
            Ok(()) => {
                self.report.checkpoints += 1;
                self.report.head = Some(*signed);
            }
            Err(why) => self.find(last, why),
        }
        if let Some(gap) = self.open_gap.take() {
            if !self.outage_told {
                self.find(
                    last,
                    format!("{} unsigned entries from {} have no outage entry", gap.entries, gap.from_size),
                );
            }
            self.report.gaps.push(Gap { closed: self.outage_told, ..gap });
        }
        self.outage_told = false;
    }

    fn find(&mut self, index: LeafIndex, what: String) {
        self.report.find(index.0, what);
    }
}
