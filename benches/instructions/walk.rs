//! The hot path in pieces, each over a batch of the sample's allowed intents: what runs for every intent at the appliance
//! and at its agent, and for every token at an executor.
//!
//! A piece goes as far as the one before it and further: so each begins with bytes, as the real path does. Up to the draft it
//! is what the pipeline runs; from there the round's tree and its sealing are put together here, without the sealer, whose
//! threads would make counts that differ. The HSM and the disk are left out: they are no instructions of ours.

use std::hint::black_box;

use anyhow::{Context as _, ensure};
use appliance::evaluation::Asserted;
use appliance::identity::SpiffeId;
use appliance::log::Leaves;
use appliance::pipeline::deciding::{Asked, Decided, Limits};
use appliance::policy::Policies;
use appliance::sample;
use assent_client::batch::Batch;
use assent_client::intent::Intent;
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::Grounds;
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::tree::{Frontier, Range, Run};
use assent_proto::verify::{CheckpointCache, Expected, TrustedKey, verify};
use assent_proto::wire::{BatchId, Request, Sealing, append_sealing};
use ed25519_dalek::{Signer as _, SigningKey};

use super::sample::allowed_intents;

/// Intents of a batch: as many as make small what is once a batch, taken from all over the sample.
pub(crate) const BATCH: usize = 128;
const APART: usize = 11;
/// From one token that is verified to the next; odd, so that all have their turn.
const STRIDE: usize = 37;
/// Leaves in the log before the batch.
const BEFORE: u64 = 100_000;
const ORIGIN: &str = "localhost/instructions/log/1";
const NOW: Timestamp = Timestamp(1_795_000_000_000);

/// Everything that the pieces begin with.
pub(crate) struct Walk {
    policies: Policies,
    principal: SpiffeId,
    intents: Vec<Intent>,
    batch: Batch,
    /// The log's tree before the batch.
    tree: Frontier,
    signing: SigningKey,
    key: VerifierKey<'static>,
    /// The appliance's answer to the batch.
    reply: Vec<u8>,
    /// Of one intent, as many times as a batch has intents: a frame, the tokens, and a memory that has their checkpoint.
    one: Batch,
    tokens: Vec<Vec<u8>>,
    seen: CheckpointCache,
}

/// What a piece does once.
pub(crate) type Work = fn(&Walk) -> anyhow::Result<()>;

/// All of them by their names in the record, and in its order.
pub(crate) const PIECES: [(&str, Work); 6] = [
    ("parse", |walk| parsed(&walk.batch).map(|intents| drop(black_box(intents)))),
    ("parse_to_draft", |walk| walk.decide(&walk.batch).map(|decided| drop(black_box(decided)))),
    ("parse_to_reply", |walk| walk.answer(&walk.batch).map(|reply| drop(black_box(reply)))),
    ("encode", |walk| walk.encode().map(|batch| drop(black_box(batch)))),
    ("encode_to_tokens", Walk::derive),
    ("verify_cached", Walk::verify),
];

impl Walk {
    /// Loads the sample and makes one answer.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        sample::write_bundle(folder.path())?;
        let intents = allowed_intents(BATCH * APART)?.into_iter().step_by(APART).collect::<Vec<_>>();
        let mut tree = Frontier::new();
        (0..BEFORE).try_for_each(|leaf| tree.append(Hash::of_leaf(&leaf.to_be_bytes())))?;
        let signing = SigningKey::from_bytes(&[42; 32]);
        let mut walk = Self {
            policies: Policies::load_unrecorded(folder.path())?,
            principal: SpiffeId::parse(&format!("spiffe://assent.test/agent/{}", sample::AGENT))?,
            batch: Batch::new(id(), &intents)?,
            one: Batch::new(id(), &vec![intents.last().context("an intent")?.clone(); BATCH])?,
            intents,
            tree,
            key: VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes())?,
            signing,
            reply: Vec::new(),
            tokens: Vec::new(),
            seen: CheckpointCache::new(),
        };
        let of_one = walk.one.clone().open(&walk.answer(&walk.one)?, None, NOW)?;
        walk.tokens = of_one.tokens().map(|(_, token)| token.bytes().to_vec()).collect();
        ensure!(walk.tokens.len() == BATCH, "the sample allows it");
        let mut seen = CheckpointCache::new();
        walk.verify_with(&mut seen)?;
        walk.seen = seen;
        walk.reply = walk.answer(&walk.batch)?;
        let outcomes = walk.batch.clone().open(&walk.reply, None, NOW)?;
        ensure!(outcomes.all_allowed(), "the sample allows them");
        Ok(walk)
    }

    /// From the frame's bytes to the draft.
    fn decide(&self, batch: &Batch) -> anyhow::Result<Decided> {
        let asserted = Asserted { now: NOW, epoch: Epoch(1), degraded: false, approvals: 0, rate_before: 0 };
        let limits =
            Limits { is_closed: false, has_shadow: false, grounds: Grounds::Policy, is_late: || false };
        Ok(parsed(batch)?.decide(&self.policies.snapshot(), &self.principal, asserted, limits)?)
    }

    /// From the frame's bytes to the reply.
    fn answer(&self, batch: &Batch) -> anyhow::Result<Vec<u8>> {
        let written = self.decide(batch)?.written;
        let mut reply = written.begun().to_vec();
        append_sealing(Some(&self.seal(written.leaves())?), &mut reply);
        Ok(reply)
    }

    /// The sealing of a round of this one batch. The signature is made once, as the HSM's is none of the instructions.
    fn seal(&self, leaves: &Leaves) -> anyhow::Result<Sealing> {
        let mut tree = self.tree.clone();
        let first = LeafIndex(BEFORE);
        let mut nodes = leaves.hashes().to_vec();
        nodes.resize(Range::nodes_needed(leaves.len()), Hash::default());
        let run = Run::new(first, leaves.len(), nodes)?;
        tree.append_run(&run)?;
        let range = run.range(tree.size(), self.tree.subtrees())?;
        let proof = range.proof(first, leaves.len()).context("the batch is the round")?;
        let checkpoint = Checkpoint { origin: ORIGIN, size: tree.size(), root: tree.root() };
        let signature = if self.reply.is_empty() {
            self.signing.sign(checkpoint.text()?.as_bytes()).to_bytes()
        } else {
            [0; 64]
        };
        Ok(Sealing { first, size: tree.size(), key_id: self.key.id(), signature, proof })
    }

    fn encode(&self) -> anyhow::Result<Batch> {
        Ok(Batch::new(id(), black_box(&self.intents))?)
    }

    /// From intents and the appliance's answer to the tokens.
    fn derive(&self) -> anyhow::Result<()> {
        let outcomes = self.encode()?.open(black_box(&self.reply), None, NOW)?;
        ensure!(black_box(outcomes).all_allowed(), "all are allowed");
        Ok(())
    }

    /// As many verifications as there are intents, of tokens whose checkpoint was verified before.
    fn verify(&self) -> anyhow::Result<()> {
        self.verify_with(&mut self.seen.clone())
    }

    fn verify_with(&self, seen: &mut CheckpointCache) -> anyhow::Result<()> {
        let (not_before, not_after) = (Timestamp(0), Timestamp(u64::MAX));
        let keys = [TrustedKey { key: self.key, not_before, not_after }];
        let request = Request::parse(self.one.frame())?;
        let (intent, _) = request.intents().next().context("an intent")?;
        let expected = Expected {
            keys: &keys,
            audience: intent.terms.audience,
            act: &intent.act,
            principal: None,
            now: NOW,
            skew_ms: 1000,
            window_cap_ms: u64::from(u32::MAX),
            lowest_epoch: Epoch(0),
            break_glass: false,
            warrants: &[],
        };
        // No two neighbours of the round follow each other.
        for step in 0..BATCH {
            let token = self.tokens.get(step * STRIDE % BATCH).context("a token")?;
            black_box(verify(black_box(token), &expected, seen)?.identity());
        }
        Ok(())
    }
}

fn parsed(batch: &Batch) -> anyhow::Result<Asked<'_>> {
    Ok(Asked::parse(black_box(batch.frame()))?)
}

fn id() -> BatchId {
    BatchId::new(NOW, [0; 10])
}
