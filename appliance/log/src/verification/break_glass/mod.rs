//! Break-glass, as the log tells it: charters, warrants, their uses and the reviews of these, each held against the other.
//!
//! The rule it keeps: a warrant that does not verify gives leave for nothing, so that each use of it is found too. Charters,
//! warrants and reviews follow from the log alone; the operators who ordered a charter are known to the auditor only, so their
//! signatures are for others to look at. A use without a review is no fault and is told; a warrant that followed it is one.
//! (`proto/FORMAT.md` section 19.)

mod warrants;

use std::collections::BTreeMap;

use assent_operators::Quorum;
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::break_glass::{CHARTER_REVOKE_ACT, CharterRevocation, WARRANT_END_ACT};
use assent_proto::entry::{Allow, Charter, Entry, OperatorAct, Review, Warrant};
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::tree::Frontier;
use assent_proto::verify::warrant_key_name;

use self::warrants::{Given, Warrants};
use super::examined::SealedAnswer;
use super::report::WarrantReport;
use crate::KeySignature;
use crate::limits::MAX_CHARTERS;

/// A charter, as it was made.
#[derive(Debug)]
struct Ordered {
    leaf: Vec<u8>,
    hash: Hash,
    quorum: Quorum,
    is_revoked: bool,
}

/// What is known after the entries so far.
#[derive(Debug)]
pub(super) struct BreakGlass<'t> {
    origin: &'t str,
    charters: BTreeMap<u64, Ordered>,
    warrants: Warrants,
    /// Since when the token boundary has been closed; none while it is open, or where nothing has told yet.
    closed_since: Option<Timestamp>,
    is_open: bool,
    /// Leaves that the newest signed checkpoint covers.
    covered: u64,
}

impl<'t> BreakGlass<'t> {
    pub(super) fn new(origin: &'t str) -> Self {
        Self {
            origin,
            charters: BTreeMap::new(),
            warrants: Warrants::default(),
            closed_since: None,
            is_open: false,
            covered: 0,
        }
    }

    /// The boundary closed, or is found closed at a start. One that was closed stays so since it was.
    pub(super) fn closed(&mut self, time: Timestamp) {
        self.closed_since = if self.is_open { Some(time) } else { self.closed_since.or(Some(time)) };
        self.is_open = false;
    }

    /// The boundary opened, which ends a warrant that gives leave for more.
    pub(super) fn opened(&mut self, time: Timestamp) -> Result<(), String> {
        (self.is_open, self.closed_since) = (true, None);
        match self.warrants.living(time) {
            Some(at) => Err(format!("the boundary opened, and no entry ended the warrant at {at}")),
            None => Ok(()),
        }
    }

    /// A signed checkpoint covers so many leaves.
    pub(super) fn covered(&mut self, size: u64) {
        self.covered = size;
    }

    /// A charter was made.
    pub(super) fn charter(&mut self, index: u64, charter: &Charter<'_>) -> Result<(), String> {
        charter.check(self.origin).map_err(|error| format!("charter: {error}"))?;
        let quorum = Quorum::of_lines(charter.operators.iter(), usize::from(charter.threshold));
        let quorum = quorum.map_err(|error| format!("charter: {error}"))?;
        // LIMIT: a forged log may hold as many as it has entries.
        if self.charters.len() >= MAX_CHARTERS {
            return Err(format!("this charter is one more than the {MAX_CHARTERS} that are kept in mind"));
        }
        let mut leaf = Vec::new();
        Entry::Charter(charter.clone()).append(&mut leaf).map_err(|error| error.to_string())?;
        let hash = Hash::of_leaf(&leaf);
        self.charters.insert(index, Ordered { leaf, hash, quorum, is_revoked: false });
        Ok(())
    }

    /// Operators did something; perhaps they revoked a charter, or a warrant was ended.
    pub(super) fn operators(&mut self, act: &OperatorAct<'_>) -> Result<(), String> {
        match act.act {
            CHARTER_REVOKE_ACT => self.revoked(act),
            WARRANT_END_ACT => self.warrants.ended(self.origin, act.statement),
            _ => Ok(()),
        }
    }

    fn revoked(&mut self, act: &OperatorAct<'_>) -> Result<(), String> {
        let said = |name: &str| act.statement.lines().find_map(|line| line.strip_prefix(name));
        let named = said("charter ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        let known = named.and_then(|index| Some((index, self.charters.get_mut(&index)?)));
        let (index, ordered) = known.ok_or("operators revoked a charter that the log does not hold")?;
        let revocation = CharterRevocation {
            origin: self.origin,
            charter: LeafIndex(index),
            hash: ordered.hash,
            reason: said("reason ").unwrap_or_default(),
        };
        let mut statement = String::new();
        let written = revocation.write_statement(&mut statement);
        // Whatever they said of it: no warrant follows one that was named here.
        ordered.is_revoked = true;
        if written.is_ok() && statement == act.statement {
            Ok(())
        } else {
            Err(format!("operators' statement is not one that revokes the charter at {index}"))
        }
    }

    /// A warrant was activated. One that does not verify is not kept.
    pub(super) fn warrant(&mut self, index: u64, warrant: &Warrant<'_>) -> Result<(), String> {
        let charter = warrant.charter.0;
        let ordered = self.charters.get(&charter).ok_or_else(|| {
            format!("warrant under a charter at {charter}, where the log holds none that verifies")
        })?;
        let Ok(Entry::Charter(parsed)) = Entry::parse(&ordered.leaf) else {
            return Err(format!("the charter at {charter} does not parse"));
        };
        let given = Given::verified(self.origin, index, warrant, &parsed, ordered)?;
        let wrong = self.out_of_turn(warrant, &parsed, ordered);
        let twice = self.warrants.keep(index, given);
        wrong.map_or(twice, Err)
    }

    /// Why this warrant should not have been activated here and now, whoever signed it.
    fn out_of_turn(&self, warrant: &Warrant<'_>, charter: &Charter<'_>, ordered: &Ordered) -> Option<String> {
        let at = warrant.charter.0;
        if self.covered <= at {
            return Some(format!("warrant under the charter at {at}, which no checkpoint covered before"));
        }
        if ordered.is_revoked {
            return Some(format!("warrant under the charter at {at}, which was revoked before"));
        }
        if let Some(open) = self.warrants.without_review(at) {
            return Some(format!("warrant under the charter at {at} before the use at {open} was reviewed"));
        }
        let closed_ms = self.closed_since.filter(|_| !self.is_open);
        let closed_ms = closed_ms.map(|since| warrant.time.0.saturating_sub(since.0));
        let wanted_s = charter.closed_s;
        match closed_ms {
            Some(closed_ms) if closed_ms >= u64::from(wanted_s).saturating_mul(1000) => None,
            Some(closed_ms) => Some(format!(
                "warrant after the boundary was closed for {closed_ms} ms, and its charter wants {wanted_s} s"
            )),
            None => Some("warrant while the boundary was open".to_owned()),
        }
    }

    /// Something was allowed under a warrant, in this epoch.
    pub(super) fn used(&mut self, index: u64, allow: &Allow<'_>, epoch: Epoch) -> Result<(), String> {
        if allow.epoch != epoch {
            return Err(format!("allowed in epoch {}, and it is {epoch}", allow.epoch));
        }
        let charters = |charter| self.charters.get(&charter).map(|ordered| &*ordered.leaf);
        self.warrants.used(index, allow, charters)?;
        if self.is_open { Err("a use of a warrant while the boundary was open".to_owned()) } else { Ok(()) }
    }

    /// A use of a warrant was reviewed.
    pub(super) fn review(&mut self, index: u64, review: &Review<'_>) -> Result<(), String> {
        review.check(self.origin).map_err(|error| format!("review: {error}"))?;
        let quorums = |charter| self.charters.get(&charter).map(|ordered| &ordered.quorum);
        self.warrants.reviewed(index, review, quorums)
    }

    /// An answer of an unsigned round is sealed: by the key of the warrant that it holds a use of, over the tree as it is.
    pub(super) fn sealed(&self, answer: &SealedAnswer, tree: &Frontier) -> Result<(), String> {
        let SealedAnswer { first, intents, size, root, key_id, signature } = answer;
        if (*size, *root) != (tree.size(), tree.root()) {
            return Err("the recorded answer is sealed by a checkpoint that is not its round's".to_owned());
        }
        let used = self.warrants.used_in(*first..first.saturating_add(*intents));
        let text = Checkpoint { origin: self.origin, size: *size, root: *root }.text();
        let text = text.map_err(|error| error.to_string())?;
        let signature = KeySignature { key_id: *key_id, signature: *signature };
        let is_by = |(warrant, key): (u64, [u8; 32])| {
            let name = warrant_key_name(self.origin, LeafIndex(warrant)).ok()?;
            let key = VerifierKey::new(&name, &key).ok()?;
            signature.verifies(&key, text.as_bytes()).then_some(())
        };
        // An answer has one sealing, so it holds uses of one warrant.
        let is_sealed = matches!(used.as_slice(), [only] if is_by(*only).is_some());
        let what = "the recorded answer is sealed by no key of a warrant that it holds a use of";
        if is_sealed { Ok(()) } else { Err(what.to_owned()) }
    }

    /// The log is over: the warrants, each with its uses and their reviews.
    pub(super) fn end(self) -> Vec<WarrantReport> {
        self.warrants.end()
    }
}
