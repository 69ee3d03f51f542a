//! A small appliance: it decides as it is told, and makes its answers from the same formats as a real one, with a real
//! tree and a real signature. It keeps no store and has no HSM.

use assent_client::proto::checkpoint::Checkpoint;
use assent_client::proto::entry::{Grounds, Salt};
use assent_client::proto::hash::Hash;
use assent_client::proto::intent::Intent as Parsed;
use assent_client::proto::note::VerifierKey;
use assent_client::proto::number::{Epoch, LeafIndex, TreeSize};
use assent_client::proto::tree::{Frontier, Range};
use assent_client::proto::verify::TrustedKey;
use assent_client::proto::wire::{Head, Request, Ruling, Sealing, Verdict, append_sealing, begin_decided};
use assent_client::{
    Batch, BatchId, Closure, Intent, Outcomes, Refusal, SignedCheckpoint, Standing, Timestamp, Trust, Uid,
};
use ed25519_dalek::{Signer as _, SigningKey};

/// When everything happens.
pub(crate) const NOON: Timestamp = Timestamp(1_795_521_600_000);
pub(crate) const WINDOW_S: u32 = 300;
pub(crate) const AUDIENCE: &str = "store-api";
pub(crate) const ORIGIN: &str = "localhost/test/log/1";

pub(crate) struct Appliance {
    pub(crate) now: Timestamp,
    pub(crate) epoch: Epoch,
    pub(crate) boundary_open: bool,
    key: SigningKey,
    /// Every leaf's hash, so that any range proof can be made.
    leaves: Vec<Hash>,
}

impl Appliance {
    /// One whose log has `before` entries already.
    pub(crate) fn with_log_of(before: usize) -> Self {
        let leaves = (0..before).map(|number| Hash::of_leaf(&number.to_be_bytes())).collect();
        Self {
            now: NOON,
            epoch: Epoch(3),
            boundary_open: true,
            key: SigningKey::from_bytes(&[7; 32]),
            leaves,
        }
    }

    /// One whose key is made from that seed; the others' is from 7.
    pub(crate) fn with_key(seed: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[seed; 32]), ..Self::with_log_of(0) }
    }

    pub(crate) fn trust(&self) -> Trust {
        self.trust_between(Timestamp(0), Timestamp(u64::MAX))
    }

    pub(crate) fn trust_between(&self, not_before: Timestamp, not_after: Timestamp) -> Trust {
        let key = VerifierKey::new(ORIGIN, self.key.verifying_key().as_bytes()).unwrap();
        Trust::new(&[TrustedKey { key, not_before, not_after }]).unwrap()
    }

    /// Answers a frame: what is decided on each intent, `decide` says.
    pub(crate) fn answer(&mut self, frame: &[u8], decide: impl Fn(&Parsed<'_>) -> Verdict) -> Vec<u8> {
        let request = Request::parse(frame).unwrap();
        let head = Head {
            time: self.now,
            epoch: self.epoch,
            bundle: Hash([9; 32]),
            salt: Salt([5; 16]),
            principal: "spiffe://test/agent/retail",
        };
        let mut rulings: Vec<Ruling<'_>> = Vec::new();
        let mut outcomes = Vec::new();
        let first = self.leaves.len();
        for (position, (intent, _)) in request.intents().enumerate() {
            let ruling = ruling(decide(&intent));
            let number = rulings.iter().position(|known| *known == ruling).unwrap_or_else(|| {
                rulings.push(ruling.clone());
                rulings.len() - 1
            });
            outcomes.push(u16::try_from(number).unwrap());
            let entry = ruling.entry(&head, u32::try_from(position).unwrap(), &intent, intent.act.digest());
            let mut leaf = Vec::new();
            entry.append(&mut leaf).unwrap();
            self.leaves.push(Hash::of_leaf(&leaf));
        }
        let mut reply = Vec::new();
        begin_decided(&head, rulings.iter(), &outcomes, &mut reply).unwrap();
        let sealing = self.boundary_open.then(|| self.seal(first));
        append_sealing(sealing.as_ref(), &mut reply);
        reply
    }

    /// Signs the tree and proves the leaves from `first` on.
    fn seal(&self, first: usize) -> Sealing {
        let mut frontier = Frontier::new();
        self.leaves.iter().for_each(|leaf| frontier.append(*leaf).unwrap());
        let (size, root) = (frontier.size(), frontier.root());
        let mut buffer = vec![Hash::default(); Range::nodes_needed(self.leaves.len())];
        buffer[..self.leaves.len()].copy_from_slice(&self.leaves);
        let range = Range::new(LeafIndex(0), self.leaves.len(), size, &[], &mut buffer).unwrap();
        let first_index = LeafIndex(first as u64);
        let proof = range.proof(first_index, self.leaves.len() - first).unwrap();
        let SignedCheckpoint { key_id, signature, .. } = self.signed(size.0, root);
        Sealing { first: first_index, size, key_id, signature, proof }
    }

    /// The checkpoint of its log as it is.
    pub(crate) fn checkpoint(&self) -> SignedCheckpoint {
        let mut frontier = Frontier::new();
        self.leaves.iter().for_each(|leaf| frontier.append(*leaf).unwrap());
        self.signed(frontier.size().0, frontier.root())
    }

    /// Any checkpoint that its key can sign, whether its log ever was so or not.
    pub(crate) fn signed(&self, size: u64, root: Hash) -> SignedCheckpoint {
        let size = TreeSize(size);
        let text = Checkpoint { origin: ORIGIN, size, root }.text().unwrap();
        let key = VerifierKey::new(ORIGIN, self.key.verifying_key().as_bytes()).unwrap();
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        SignedCheckpoint { time: self.now, size, root, key_id: key.id(), signature }
    }

    /// How its boundary stands.
    pub(crate) fn standing(&self, lowest_epoch: u64) -> Standing {
        Standing {
            time: self.now,
            origin: ORIGIN.to_owned(),
            epoch: self.epoch,
            closed: (!self.boundary_open).then_some(Closure::Availability),
            lowest_epoch: Epoch(lowest_epoch),
        }
    }

    /// Asks and opens in one, against this appliance's own trust.
    pub(crate) fn ask(&mut self, intents: &[Intent], decide: impl Fn(&Parsed<'_>) -> Verdict) -> Outcomes {
        let batch = batch_of(intents);
        let reply = self.answer(batch.frame(), decide);
        batch.open(&reply, Some(&self.trust()), self.now).unwrap()
    }
}

/// One policy for each kind of verdict, so that verdicts of a kind share a ruling.
fn ruling(verdict: Verdict) -> Ruling<'static> {
    let policy = match verdict {
        Verdict::Allow { .. } => "permit-small",
        Verdict::Deny(_) => "forbid-large",
        Verdict::Hold { .. } => "approve-large",
    };
    Ruling { verdict, risk: 12, policies: [policy].into_iter().collect() }
}

pub(crate) fn batch_of(intents: &[Intent]) -> Batch {
    Batch::new(BatchId::new(NOON, [1; 10]), intents).unwrap()
}

pub(crate) fn allow_once(_: &Parsed<'_>) -> Verdict {
    Verdict::Allow { window_s: WINDOW_S, uses: 1, grounds: Grounds::Policy }
}

pub(crate) fn deny(_: &Parsed<'_>) -> Verdict {
    Verdict::Deny(Refusal::PolicyDenied)
}

/// An intent to cancel that order.
pub(crate) fn cancel(order: &str) -> Intent {
    Intent::new(
        Uid::new("Retail::Action", "cancel_pending_order"),
        Uid::new("Retail::Order", order),
        AUDIENCE,
    )
    .with("reason", "no longer needed")
    .with("amount", 1250)
}
