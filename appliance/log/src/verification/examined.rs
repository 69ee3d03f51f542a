//! What one round is, by itself: the work that needs no other round, and that any thread can do.
//!
//! Every leaf is hashed and parsed, what lies beside it is held against it, and the checkpoint's signature is verified under
//! whichever key it names. What the round means in its place (the tree, the keys in force, epochs, gaps) is for whoever
//! takes the rounds in order. Runs of decisions that are alike there become one event.

use std::sync::{PoisonError, RwLock};

use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Allow, Deny, Entry, Grounds, Hold};
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_WINDOW_S;
use assent_proto::note::{KeyId, VerifierKey};
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use assent_proto::refusal::Refusal;

use super::authority::subject;
use super::beside::{self, Batch};
use super::report::{Beside, Finding};
use crate::limits::MAX_RING_KEYS;
use crate::reader::Reader;
use crate::store::{StoreError, StoredRound};
use crate::{KeySignature, SignedCheckpoint};

/// How an intent was decided.
#[derive(Clone, Copy)]
enum Outcome {
    Allow,
    Deny,
    Hold,
}

/// Decisions that follow one another and are alike for whoever takes them in order.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) epoch: Epoch,
    pub(super) bundle: Hash,
    pub(super) allows: u64,
    pub(super) denials: u64,
    pub(super) holds: u64,
    /// Allows that rest on the policies alone.
    pub(super) by_policy: u64,
    /// The first of these.
    pub(super) first_allow: Option<u64>,
    pub(super) earliest: Timestamp,
    pub(super) latest: Timestamp,
}

/// What the taker hears of a leaf, or of a run of leaves.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Decisions.
    Decisions(Run),
    /// An allow that rests on an approval: its leaf.
    Approved(u64, Vec<u8>),
    /// An allow under a warrant: its leaf.
    Use(u64, Vec<u8>),
    /// An entry about the appliance itself: its leaf.
    Own(u64, Vec<u8>),
}

/// A recorded answer in a round without a checkpoint that is sealed all the same: by a warrant's key, or falsely.
#[derive(Clone, Debug)]
pub(super) struct SealedAnswer {
    /// Its first entry.
    pub(super) first: u64,
    /// How many entries.
    pub(super) intents: u64,
    pub(super) size: TreeSize,
    /// Where its range proof leads.
    pub(super) root: Hash,
    pub(super) key_id: KeyId,
    pub(super) signature: [u8; 64],
}

/// A round, examined.
#[derive(Debug)]
pub(super) struct Examined<'t> {
    pub(super) first: LeafIndex,
    pub(super) leaves: u64,
    /// The perfect subtrees that the leaves make, each with its level.
    pub(super) subtrees: Vec<(u32, Hash)>,
    pub(super) checkpoint: Option<SignedCheckpoint>,
    /// Keys whose signature over the checkpoint's text is in it.
    pub(super) signers: Vec<VerifierKey<'t>>,
    pub(super) events: Vec<Event>,
    /// Holds that await approval: their leaves, and what they are about.
    pub(super) holds: Vec<(u64, Hash)>,
    pub(super) beside: Option<Beside>,
    pub(super) batches: Vec<Batch>,
    pub(super) sealed: Vec<SealedAnswer>,
    /// Principals whose requests are not beside their entries, each with the last such entry.
    pub(super) absent: Vec<(String, u64)>,
    /// What lies beside it and cannot be read: the volume's, so many rounds say the same.
    pub(super) damaged: Option<String>,
    pub(super) findings: Vec<Finding>,
}

/// Examines rounds, on any thread.
#[derive(Debug)]
pub(super) struct Examiner<'t> {
    origin: &'t str,
    /// Keys that may have signed: trusted ones, and those that were named so far. That one is here gives it no trust.
    candidates: RwLock<Vec<VerifierKey<'t>>>,
    /// Where requests and answers lie; none where they are not to be looked at.
    store: Option<&'t Reader>,
}

impl<'t> Examiner<'t> {
    pub(super) fn new(origin: &'t str, candidates: Vec<VerifierKey<'t>>, store: Option<&'t Reader>) -> Self {
        Self { origin, candidates: RwLock::new(candidates), store }
    }

    /// Examines one.
    ///
    /// # Errors
    /// When what lies beside it cannot be read at all.
    pub(super) fn examine(&self, round: &StoredRound) -> Result<Examined<'t>, StoreError> {
        let mut examined = Examined {
            first: round.first,
            leaves: round.leaves.len() as u64,
            subtrees: Vec::with_capacity(16),
            checkpoint: round.checkpoint,
            signers: Vec::new(),
            events: Vec::new(),
            holds: Vec::new(),
            beside: None,
            batches: Vec::new(),
            sealed: Vec::new(),
            absent: Vec::new(),
            damaged: None,
            findings: Vec::new(),
        };
        let mut entries = Vec::with_capacity(if self.store.is_some() { round.leaves.len() } else { 0 });
        for (index, leaf) in (round.first.0..).zip(round.leaves.iter()) {
            examined.append(index, Hash::of_leaf(leaf));
            let entry = Entry::parse(leaf);
            match &entry {
                Ok(entry) => self.note(&mut examined, index, leaf, entry),
                Err(error) => examined.find(index, error.to_string()),
            }
            if self.store.is_some() {
                entries.push(entry.ok());
            }
        }
        if let Some(signed) = &round.checkpoint {
            examined.signers = self.signers(signed);
        }
        if let Some(store) = self.store {
            beside::examine(store, round, &entries, &mut examined)?;
        }
        Ok(examined)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are about the appliance itself")]
    fn note(&self, examined: &mut Examined<'t>, index: u64, leaf: &[u8], entry: &Entry<'_>) {
        match entry {
            Entry::Allow(allow) => examined.allow(index, allow, leaf),
            Entry::Deny(deny) => examined.decision(index, deny, Outcome::Deny),
            Entry::Hold(hold) => {
                let Hold { denial, wait } = hold;
                examined.decision(index, denial, Outcome::Hold);
                if denial.refusal == Refusal::AwaitingApproval && wait.is_some() {
                    examined.holds.push((index, subject(&denial.intent, denial.principal)));
                }
            }
            Entry::Key(key) => {
                self.learn(key.vkey);
                examined.events.push(Event::Own(index, leaf.to_vec()));
            }
            _ => examined.events.push(Event::Own(index, leaf.to_vec())),
        }
    }

    /// A key that is named may have signed.
    fn learn(&self, vkey: &str) {
        let named = VerifierKey::parse(vkey).ok().filter(|key| key.name() == self.origin);
        let Some(key) = named.and_then(|key| VerifierKey::new(self.origin, key.key().as_bytes()).ok()) else {
            return;
        };
        let mut candidates = self.candidates.write().unwrap_or_else(PoisonError::into_inner);
        // LIMIT: what is not learnt here, the taker verifies.
        if candidates.len() < 2 * MAX_RING_KEYS && !candidates.contains(&key) {
            candidates.push(key);
        }
    }

    /// Whose signatures the checkpoint carries, as far as we know their keys.
    fn signers(&self, signed: &SignedCheckpoint) -> Vec<VerifierKey<'t>> {
        let checkpoint = Checkpoint { origin: self.origin, size: signed.size, root: signed.root };
        let Ok(text) = checkpoint.text() else { return Vec::new() };
        let signatures: Vec<KeySignature> =
            std::iter::once(signed.signature()).chain(signed.successor).collect();
        let named = |key: &&VerifierKey<'t>| signatures.iter().any(|signature| signature.key_id == key.id());
        let candidates: Vec<VerifierKey<'t>> = self
            .candidates
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(named)
            .copied()
            .collect();
        let signs = |key: &VerifierKey<'t>| {
            signatures.iter().any(|signature| signature.verifies(key, text.as_bytes()))
        };
        candidates.into_iter().filter(signs).collect()
    }
}

impl Examined<'_> {
    pub(super) fn find(&mut self, index: u64, what: String) {
        self.findings.push(Finding { index, what });
    }

    /// The request of this principal's entry is not here.
    pub(super) fn miss(&mut self, principal: &str, index: u64) {
        match self.absent.iter_mut().find(|(known, _)| known == principal) {
            Some((_, last)) => *last = index,
            None => self.absent.push((principal.to_owned(), index)),
        }
    }

    /// Appends a leaf, and joins the subtrees that it completes as far as they lie within the round.
    fn append(&mut self, index: u64, leaf_hash: Hash) {
        let (mut level, mut hash, mut number) = (0, leaf_hash, index);
        while number % 2 == 1 && self.subtrees.last().is_some_and(|(of, _)| *of == level) {
            let Some((_, left)) = self.subtrees.pop() else { break };
            (level, hash, number) = (level + 1, Hash::of_node(&left, &hash), number / 2);
        }
        self.subtrees.push((level, hash));
    }

    fn allow(&mut self, index: u64, allow: &Allow<'_>, leaf: &[u8]) {
        let window_ms = allow.not_after.0.saturating_sub(allow.not_before.0);
        let fits = allow.not_before == allow.time
            && window_ms <= u64::from(MAX_WINDOW_S) * 1000
            && allow.not_after >= allow.not_before
            && allow.uses > 0;
        if !fits {
            self.find(index, "an allow whose window or uses no catalog could grant".to_owned());
        }
        self.run(index, allow.epoch, allow.bundle, allow.time, Outcome::Allow);
        if let Grounds::Warrant { .. } = allow.grounds {
            self.events.push(Event::Use(index, leaf.to_vec()));
        } else if allow.grounds != Grounds::Policy {
            self.events.push(Event::Approved(index, leaf.to_vec()));
        } else if let Some(Event::Decisions(run)) = self.events.last_mut() {
            run.by_policy += 1;
            run.first_allow.get_or_insert(index);
        }
    }

    fn decision(&mut self, index: u64, deny: &Deny<'_>, outcome: Outcome) {
        self.run(index, deny.epoch, deny.bundle, deny.time, outcome);
    }

    fn run(&mut self, index: u64, epoch: Epoch, bundle: Hash, time: Timestamp, outcome: Outcome) {
        let is_like = |run: &Run| run.epoch == epoch && run.bundle == bundle;
        if !matches!(self.events.last(), Some(Event::Decisions(run)) if is_like(run)) {
            self.events.push(Event::Decisions(Run {
                first: index,
                epoch,
                bundle,
                allows: 0,
                denials: 0,
                holds: 0,
                by_policy: 0,
                first_allow: None,
                earliest: time,
                latest: time,
            }));
        }
        let Some(Event::Decisions(run)) = self.events.last_mut() else { return };
        run.earliest = run.earliest.min(time);
        run.latest = run.latest.max(time);
        let count = match outcome {
            Outcome::Allow => &mut run.allows,
            Outcome::Deny => &mut run.denials,
            Outcome::Hold => &mut run.holds,
        };
        *count += 1;
    }
}
