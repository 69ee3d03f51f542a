//! A synthetic log: rounds as an appliance would commit them, with a software key, as many and as false as a test wants.
//!
//! Whatever it makes goes through the log's own door and has right checksums and, where it says so, right signatures; so what
//! is wrong in it, only a verification can find. Benches make large logs with it.

#![allow(dead_code, clippy::allow_attributes, reason = "tests and benches each use a part of it")]

use std::path::PathBuf;

use assent_log::keyring::Keyring;
use assent_log::store::{BatchKey, Identity, Store};
use assent_log::{Commit, Leaves, Log, Recorded, SignedCheckpoint, Unsigned, request_digest};
use assent_proto::checkpoint::Checkpoint;
use assent_proto::codec;
use assent_proto::entry::{
    Boot, BundleOffer, Entry, Grounds, KeyAdded, OfferOutcome, Outage, Rearm, Salt, Trip,
};
use assent_proto::hash::Hash;
use assent_proto::intent::{OnUnavailable, Terms, Uid};
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use assent_proto::refusal::Refusal;
use assent_proto::tree::{Frontier, Range};
use assent_proto::verify::TrustedKey;
use assent_proto::wire::{BatchId, Head, Request, Ruling, Sealing, Verdict, append_sealing, begin_decided};
use ed25519_dalek::{Signer as _, SigningKey};
use tempfile::TempDir;

pub(crate) const ORIGIN: &str = "localhost/test/log/1";
pub(crate) const PRINCIPAL: &str = "spiffe://shop.example/agent/retail-support";
/// The bundle that decides.
pub(crate) const BUNDLE: Hash = Hash([7; 32]);
/// Where its clock begins.
pub(crate) const START: u64 = 1_790_000_000_000;

/// A log and what its appliance would hold.
pub(crate) struct Synthetic {
    pub(crate) folder: TempDir,
    pub(crate) signing: SigningKey,
    log: Option<Log>,
    pub(crate) now: Timestamp,
    pub(crate) epoch: Epoch,
    pub(crate) unsigned: Unsigned,
    batches: u64,
}

/// A batch as it is decided.
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    pub(crate) frame: Vec<u8>,
    pub(crate) leaves: Leaves,
    begun: Vec<u8>,
    allows: bool,
}

/// What stands beside a round's leaves.
pub(crate) struct Beside<'b> {
    pub(crate) requests: Vec<(LeafIndex, &'b [u8])>,
    pub(crate) answers: Vec<Recorded<'b>>,
}

impl Synthetic {
    /// An empty log.
    pub(crate) fn empty() -> Self {
        Self::of(SigningKey::from_bytes(&[1; 32]))
    }

    /// An empty log of this key.
    pub(crate) fn of(signing: SigningKey) -> Self {
        let mut made = Self {
            folder: tempfile::tempdir().expect("a folder"),
            signing,
            log: None,
            now: Timestamp(START),
            epoch: Epoch(0),
            unsigned: Unsigned::default(),
            batches: 0,
        };
        let identity = Identity::new(ORIGIN, &made.key().to_string());
        Store::create(&made.path(), &identity).expect("a log");
        let ring = Keyring::found(&made.folder.path().join("keys.toml"), &made.key(), &[1], made.now);
        let fence = made.folder.path().join("fence");
        made.log = Some(Log::open(&made.path(), &fence, ring.expect("a ring")).expect("the log opens"));
        made
    }

    /// A log whose appliance has started and armed.
    pub(crate) fn started() -> Self {
        let mut made = Self::empty();
        made.operate(|salt, now, epoch| {
            vec![bundle(salt, now), boot(salt, now, epoch), Entry::Rearm(Rearm { salt, time: now, epoch })]
        });
        made
    }

    pub(crate) fn key(&self) -> VerifierKey<'static> {
        VerifierKey::new(ORIGIN, self.signing.verifying_key().as_bytes()).expect("a key")
    }

    pub(crate) fn trusted(&self) -> TrustedKey<'static> {
        TrustedKey { key: self.key(), not_before: Timestamp(0), not_after: Timestamp(u64::MAX) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("log.redb")
    }

    pub(crate) fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("it is open")
    }

    pub(crate) fn size(&mut self) -> u64 {
        self.log().frontier().size().0
    }

    /// Closes the log, for whoever opens its store.
    pub(crate) fn close(&mut self) {
        self.log = None;
    }

    /// A signed round of entries of the appliance's own.
    pub(crate) fn operate<'e>(&mut self, entries: impl Fn(Salt, Timestamp, Epoch) -> Vec<Entry<'e>>) {
        let leaves = leaves(&entries(Salt([1; 16]), self.now, self.epoch));
        self.commit(&[&leaves], Beside { requests: Vec::new(), answers: Vec::new() }, true);
    }

    /// A batch of so many intents, of which every so many is denied; 0: none is.
    pub(crate) fn decide(&mut self, intents: usize, deny_every: usize) -> Batch {
        self.batches += 1;
        let random: [u8; 10] =
            std::array::from_fn(|at| if at < 8 { self.batches.to_be_bytes()[at] } else { 0 });
        self.decide_as(BatchId::new(self.now, random), intents, deny_every)
    }

    pub(crate) fn decide_as(&self, id: BatchId, intents: usize, deny_every: usize) -> Batch {
        let frame = frame(id, intents);
        let request = Request::parse(&frame).expect("a request");
        let (time, epoch) = (self.now, self.epoch);
        let head = Head { time, epoch, bundle: BUNDLE, salt: Salt([9; 16]), principal: PRINCIPAL };
        let closed = self.unsigned.since.is_some();
        let (refusal, by) =
            if closed { (Refusal::TokenUnavailable, "open") } else { (Refusal::PolicyDenied, "closed") };
        let allow = Verdict::Allow { window_s: 300, uses: 1, grounds: Grounds::Policy };
        let ruling = |verdict, by| Ruling { verdict, risk: 10, policies: [by].into_iter().collect() };
        let rulings = [
            ruling(if closed { Verdict::Deny(refusal) } else { allow }, "open"),
            ruling(Verdict::Deny(refusal), by),
        ];
        let mut leaves = Leaves::with_capacity(intents, intents * 400);
        let mut outcomes = Vec::with_capacity(intents);
        for (position, (intent, _)) in (0_u32..).zip(request.intents()) {
            let denied = deny_every > 0 && (position as usize).is_multiple_of(deny_every);
            let entry =
                rulings[usize::from(denied)].clone().entry(&head, position, &intent, intent.act.digest());
            leaves.push(&entry).expect("an entry");
            outcomes.push(u16::from(denied));
        }
        let mut begun = Vec::new();
        begin_decided(&head, rulings.iter(), &outcomes, &mut begun).expect("a reply");
        Batch { id, frame, leaves, begun, allows: !closed }
    }

    /// Commits a round of batches, as the sealer does: signed, or in an outage.
    pub(crate) fn seal(&mut self, batches: &[Batch], is_signed: bool) {
        let (replies, first) = (self.replies(batches, is_signed), self.size());
        let (mut requests, mut answers, mut next) = (Vec::new(), Vec::new(), first);
        for (batch, reply) in batches.iter().zip(&replies) {
            requests.push((LeafIndex(next), batch.frame.as_slice()));
            let request = request_digest(&batch.frame);
            answers.push(Recorded {
                key: BatchKey::new(batch.id, PRINCIPAL),
                request,
                reply,
                allows: batch.allows,
            });
            next += batch.leaves.len() as u64;
        }
        if !is_signed {
            self.unsigned.denials += next - first;
        }
        let runs: Vec<&Leaves> = batches.iter().map(|batch| &batch.leaves).collect();
        self.commit(&runs, Beside { requests, answers }, is_signed);
    }

    /// The boundary trips: an unsigned round that tells of it.
    pub(crate) fn trip(&mut self, cause: &str) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.unsigned.since.get_or_insert(self.now);
        let leaves =
            leaves(&[Entry::Trip(Trip { salt: Salt([2; 16]), time: self.now, epoch: self.epoch, cause })]);
        self.commit(&[&leaves], Beside { requests: Vec::new(), answers: Vec::new() }, false);
    }

    /// What an honest outage entry would say now.
    pub(crate) fn outage(&mut self) -> Outage {
        let (covered, reached) =
            (self.log().signed().map(|signed| signed.size).unwrap_or_default(), self.size());
        let Unsigned { since, denials, holds, refused } = self.unsigned;
        let (salt, time) = (Salt([3; 16]), self.now);
        Outage {
            salt,
            time,
            from: since.unwrap_or(time),
            covered,
            reached: TreeSize(reached),
            denials,
            holds,
            refused,
        }
    }

    /// The boundary opens again: a signed round with this account of the gap.
    pub(crate) fn rearm(&mut self, outage: Option<Outage>) {
        self.unsigned = Unsigned::default();
        self.operate(|salt, time, epoch| {
            let rearm = Entry::Rearm(Rearm { salt, time, epoch });
            outage.clone().map(Entry::Outage).into_iter().chain([rearm]).collect()
        });
    }

    /// Commits anything.
    pub(crate) fn commit(&mut self, runs: &[&Leaves], beside: Beside<'_>, is_signed: bool) {
        let mut frontier = self.log().frontier().clone();
        runs.iter().flat_map(|run| run.hashes()).for_each(|hash| frontier.append(*hash).expect("room"));
        let commit = Commit {
            first: LeafIndex(self.size()),
            leaves: runs.to_vec(),
            requests: beside.requests,
            answers: beside.answers,
            rows: Vec::new(),
            frontier: &frontier,
            checkpoint: is_signed.then(|| self.sign(&frontier)),
            epoch: self.epoch,
            lowest_epoch: Epoch(0),
            unsigned: if is_signed { Unsigned::default() } else { self.unsigned },
            time: self.now,
        };
        let receipt = self.log.as_mut().expect("it is open").commit(&commit).expect("a commit");
        assert_eq!(receipt.size(), frontier.size());
        self.now = self.now.plus_ms(1000);
    }

    pub(crate) fn sign(&self, frontier: &Frontier) -> SignedCheckpoint {
        let (size, root) = (frontier.size(), frontier.root());
        let text = Checkpoint { origin: ORIGIN, size, root }.text().expect("a text");
        let signature = self.signing.sign(text.as_bytes()).to_bytes();
        SignedCheckpoint { size, root, key_id: self.key().id(), signature, successor: None }
    }

    fn replies(&mut self, batches: &[Batch], is_signed: bool) -> Vec<Vec<u8>> {
        let before = self.log().frontier().clone();
        let mut after = before.clone();
        let mut nodes: Vec<Hash> =
            batches.iter().flat_map(|batch| batch.leaves.hashes().iter().copied()).collect();
        let count = nodes.len();
        nodes.iter().for_each(|hash| after.append(*hash).expect("room"));
        nodes.resize(Range::nodes_needed(count), Hash::default());
        let first = LeafIndex(before.size().0);
        let range = Range::new(first, count, after.size(), before.subtrees(), &mut nodes).expect("a range");
        let signed = self.sign(&after);
        let mut next = first.0;
        let finish = |batch: &Batch| {
            let (mut reply, first) = (batch.begun.clone(), LeafIndex(next));
            next += batch.leaves.len() as u64;
            let proof = range.proof(first, batch.leaves.len()).expect("a proof");
            let SignedCheckpoint { size, key_id, signature, .. } = signed;
            let sealing = Sealing { first, size, key_id, signature, proof };
            append_sealing(is_signed.then_some(&sealing), &mut reply);
            reply
        };
        batches.iter().map(finish).collect()
    }
}

/// These entries as leaves.
pub(crate) fn leaves(entries: &[Entry<'_>]) -> Leaves {
    let mut leaves = Leaves::default();
    for entry in entries {
        leaves.push(entry).expect("an entry");
    }
    leaves
}

pub(crate) fn bundle(salt: Salt, time: Timestamp) -> Entry<'static> {
    let (before, outcome) = (Hash::default(), OfferOutcome::Loaded);
    Entry::Bundle(BundleOffer {
        salt,
        time,
        before,
        after: BUNDLE,
        source: "a folder",
        by: "start",
        version: None,
        outcome,
    })
}

pub(crate) fn boot(salt: Salt, time: Timestamp, epoch: Epoch) -> Entry<'static> {
    Entry::Boot(Boot { salt, time, epoch, version: "0", hsm: "software", simulator: true })
}

pub(crate) fn key_added(salt: Salt, time: Timestamp, vkey: &str) -> Entry<'_> {
    Entry::Key(KeyAdded { salt, time, vkey })
}

/// A request of so many intents, each another, of about the size of the retail sample's.
fn frame(id: BatchId, intents: usize) -> Vec<u8> {
    let mut frame = vec![1];
    frame.extend(id.0);
    codec::append_varint(intents as u64, &mut frame);
    for number in 0..intents {
        let mut intent = Vec::new();
        Uid { type_name: "Retail::Action", id: "cancel_pending_order" }.append(&mut intent);
        let order = format!("#W{number:07}");
        Uid { type_name: "Retail::Order", id: &order }.append(&mut intent);
        // A context of one attribute, a string.
        intent.push(1);
        codec::append_bytes(b"reason", &mut intent);
        intent.push(2);
        codec::append_bytes(b"no longer needed", &mut intent);
        let on_unavailable = OnUnavailable::Fail;
        let terms =
            Terms { audience: "store-api", window_s: None, uses: Some(1), priority: None, on_unavailable };
        codec::append(&terms, &mut intent).expect("terms");
        codec::append_bytes(&intent, &mut frame);
    }
    frame
}
