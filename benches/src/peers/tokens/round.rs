//! A round in a log of a million leaves, and the tokens that follow from it.

use anyhow::Context as _;
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Allow, Entry, Grounds, Policies, Salt};
use assent_proto::hash::Hash;
use assent_proto::intent::Act;
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex};
use assent_proto::token;
use assent_proto::tree::{Frontier, Range};
use ed25519_dalek::{Signature, Signer as _, SigningKey};

use super::{AUDIENCE, NOW, ORIGIN, PRINCIPAL, ROUND};

/// Leaves in the log before the round.
const BEFORE: u64 = 1_000_000;
/// From one token to the next; odd, so that all of a round have their turn.
const STRIDE: usize = 389;
/// Of an entry, the label and kind before what a token repeats.
const LEAF_HEAD: usize = 16;

/// The tree before the round: it takes a while to make.
pub(super) fn before() -> anyhow::Result<Frontier> {
    let mut tree = Frontier::new();
    (0..BEFORE).try_for_each(|leaf| tree.append(Hash::of_leaf(&leaf.to_be_bytes())))?;
    Ok(tree)
}

/// The tokens of a round, and the checkpoint over it with its signature.
pub(super) struct Round {
    tokens: Vec<Vec<u8>>,
    pub(super) checkpoint: String,
    pub(super) signature: Signature,
}

impl Round {
    /// Makes them behind that tree, each for so many uses.
    pub(super) fn new(
        before: &Frontier,
        signing: &SigningKey,
        act: &Act<'_>,
        uses: u16,
    ) -> anyhow::Result<Self> {
        let leaves = leaves(act, uses)?;
        let mut tree = before.clone();
        let mut nodes: Vec<Hash> = leaves.iter().map(|leaf| Hash::of_leaf(leaf)).collect();
        nodes.iter().try_for_each(|hash| tree.append(*hash))?;
        nodes.resize(Range::nodes_needed(ROUND), Hash::default());
        let range = Range::new(LeafIndex(BEFORE), ROUND, tree.size(), before.subtrees(), &mut nodes)?;
        let checkpoint = Checkpoint { origin: ORIGIN, size: tree.size(), root: tree.root() };
        let checkpoint = checkpoint.text()?.as_str().to_owned();
        let signature = signing.sign(checkpoint.as_bytes());
        let key = VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes())?;
        let mut tokens = Vec::with_capacity(ROUND);
        for (index, leaf) in (BEFORE..).map(LeafIndex).zip(&leaves) {
            let body = leaf.get(LEAF_HEAD..).context("an entry has a head")?;
            let path = range.path(index).context("the leaf is in the round")?;
            let mut token = Vec::new();
            token::append(key.id(), tree.size(), index, body, &path, &signature.to_bytes(), &mut token);
            tokens.push(token);
        }
        Ok(Self { tokens, checkpoint, signature })
    }

    /// Its tokens, over and over, in an order in which no two neighbours follow each other: what one path tells of the next is what it
    /// tells of any other.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &[u8]> + Clone {
        let places = (0..ROUND).map(|step| step * STRIDE % ROUND).cycle();
        places.filter_map(|place| self.tokens.get(place)).map(Vec::as_slice)
    }
}

/// The entries of the round: an allow each, with a salt of its own.
fn leaves(act: &Act<'_>, uses: u16) -> anyhow::Result<Vec<Vec<u8>>> {
    let leaf = |number: u8, more: u8| {
        let mut leaf = Vec::new();
        let mut salt = [7; 16];
        (salt[0], salt[1]) = (number, more);
        Entry::Allow(Allow { salt: Salt(salt), ..allow(act, uses) }).append(&mut leaf)?;
        Ok(leaf)
    };
    (0..ROUND).map(|place| leaf(place.to_le_bytes()[0], place.to_le_bytes()[1])).collect()
}

fn allow<'a>(act: &Act<'a>, uses: u16) -> Allow<'a> {
    Allow {
        salt: Salt([7; 16]),
        time: NOW,
        epoch: Epoch(3),
        bundle: Hash([9; 32]),
        principal: PRINCIPAL,
        audience: AUDIENCE,
        action: act.action,
        resource: act.resource,
        intent: act.digest(),
        not_before: NOW,
        not_after: NOW.plus_ms(300_000),
        uses,
        risk: 40,
        grounds: Grounds::Policy,
        policies: ["cancel-or-redirect-own-pending-order"].into_iter().collect::<Policies<'_>>(),
    }
}
