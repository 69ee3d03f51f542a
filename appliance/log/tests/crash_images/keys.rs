//! The keys of the log under test, and entries as an appliance would write them.

use std::sync::LazyLock;

use assent_log::{KeySignature, Leaves, SignedCheckpoint, Unsigned};
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{
    Allow, Boot, BundleOffer, Deny, Entry, Grounds, KeyAdded, OfferOutcome, Outage, Policies, Rearm, Salt,
    Trip,
};
use assent_proto::hash::Hash;
use assent_proto::intent::Uid;
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, Timestamp, TreeSize};
use assent_proto::refusal::Refusal;
use assent_proto::tree::Frontier;
use ed25519_dalek::{Signer as _, SigningKey};

pub(crate) const ORIGIN: &str = "localhost/test/log/1";
/// Who asks.
pub(crate) const PRINCIPALS: [&str; 3] =
    ["spiffe://assent.test/agent/ann", "spiffe://assent.test/agent/ben", "spiffe://assent.test/agent/cat"];

/// One of the log's keys, by number; the first one founds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(pub(crate) u8);

/// What decides.
const BUNDLE: Hash = Hash([7; 32]);
/// More keys than any log here has.
const KEYS: u8 = 64;

/// Each key with its public half, made once.
static ALL: LazyLock<Vec<(SigningKey, VerifierKey<'static>)>> = LazyLock::new(|| {
    let signing = (1..=KEYS).map(|number| SigningKey::from_bytes(&[number; 32]));
    let both = |signing: SigningKey| {
        let verifier = VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes()).expect("a key");
        (signing, verifier)
    };
    signing.map(both).collect()
});

impl Key {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..KEYS).map(Self)
    }

    fn signing(self) -> &'static SigningKey {
        &ALL[usize::from(self.0)].0
    }

    pub(crate) fn public(self) -> [u8; 32] {
        *self.signing().verifying_key().as_bytes()
    }

    pub(crate) fn verifier(self) -> VerifierKey<'static> {
        ALL[usize::from(self.0)].1
    }

    pub(crate) fn cka_id(self) -> String {
        format!("{:02x}", self.0 + 1)
    }

    fn sign(self, text: &[u8]) -> KeySignature {
        KeySignature { key_id: self.verifier().id(), signature: self.signing().sign(text).to_bytes() }
    }

    /// Signs a checkpoint over this tree; where another key takes over, both do.
    pub(crate) fn checkpoint(self, tree: &Frontier, successor: Option<Self>) -> SignedCheckpoint {
        let (size, root) = (tree.size(), tree.root());
        let text = Checkpoint { origin: ORIGIN, size, root }.text().expect("a text");
        let KeySignature { key_id, signature } = self.sign(text.as_bytes());
        let successor = successor.map(|key| key.sign(text.as_bytes()));
        SignedCheckpoint { size, root, key_id, signature, successor }
    }
}

/// When and in which epoch an entry is made, and what hides it.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) time: Timestamp,
    pub(crate) epoch: Epoch,
    pub(crate) salt: [u8; 16],
}

fn push(leaves: &mut Leaves, entry: &Entry<'_>) {
    leaves.push(entry).expect("an entry");
}

pub(crate) fn key_added(leaves: &mut Leaves, at: Stamp, key: Key) {
    let vkey = key.verifier().to_string();
    push(leaves, &Entry::Key(KeyAdded { salt: Salt(at.salt), time: at.time, vkey: &vkey }));
}

pub(crate) fn boot(leaves: &mut Leaves, at: Stamp) {
    let (salt, time, epoch) = (Salt(at.salt), at.time, at.epoch);
    push(leaves, &Entry::Boot(Boot { salt, time, epoch, version: "0", hsm: "none", simulator: true }));
}

pub(crate) fn rearm(leaves: &mut Leaves, at: Stamp) {
    push(leaves, &Entry::Rearm(Rearm { salt: Salt(at.salt), time: at.time, epoch: at.epoch }));
}

pub(crate) fn trip(leaves: &mut Leaves, at: Stamp, cause: &str) {
    push(leaves, &Entry::Trip(Trip { salt: Salt(at.salt), time: at.time, epoch: at.epoch, cause }));
}

/// The bundle that decides everything here was loaded.
pub(crate) fn loaded(leaves: &mut Leaves, at: Stamp) {
    let offer = BundleOffer {
        salt: Salt(at.salt),
        time: at.time,
        before: Hash([0; 32]),
        after: BUNDLE,
        source: "folder",
        by: "start",
        version: None,
        outcome: OfferOutcome::Loaded,
    };
    push(leaves, &Entry::Bundle(offer));
}

pub(crate) fn outage(leaves: &mut Leaves, at: Stamp, unsigned: Unsigned, (covered, reached): (u64, u64)) {
    let outage = Outage {
        salt: Salt(at.salt),
        time: at.time,
        from: unsigned.since.unwrap_or_default(),
        covered: TreeSize(covered),
        reached: TreeSize(reached),
        denials: unsigned.denials,
        holds: unsigned.holds,
        refused: 0,
    };
    push(leaves, &Entry::Outage(outage));
}

fn uid(kind: &'static str) -> Uid<'static> {
    Uid { type_name: kind, id: "one" }
}

pub(crate) fn allow(leaves: &mut Leaves, at: Stamp, principal: &str) {
    let allow = Allow {
        salt: Salt(at.salt),
        time: at.time,
        epoch: at.epoch,
        bundle: BUNDLE,
        principal,
        audience: "store",
        action: uid("Store::Action"),
        resource: uid("Store::Order"),
        intent: Hash([8; 32]),
        not_before: at.time,
        not_after: at.time,
        uses: 1,
        risk: 0,
        grounds: Grounds::Policy,
        policies: ["permit"].into_iter().collect::<Policies<'_>>(),
    };
    push(leaves, &Entry::Allow(allow));
}

pub(crate) fn deny(leaves: &mut Leaves, at: Stamp, principal: &str) {
    let deny = Deny {
        salt: Salt(at.salt),
        time: at.time,
        epoch: at.epoch,
        bundle: BUNDLE,
        principal,
        audience: "store",
        action: uid("Store::Action"),
        resource: uid("Store::Order"),
        intent: Hash([8; 32]),
        refusal: Refusal::TokenUnavailable,
        risk: 0,
        policies: ["forbid"].into_iter().collect::<Policies<'_>>(),
    };
    push(leaves, &Entry::Deny(deny));
}
