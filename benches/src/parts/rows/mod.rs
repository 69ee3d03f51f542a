//! Rows: how many bytes a lone intent's round has in the log's store, keys and all. A bare commit is to write as many.
//!
//! They are counted from what was asked and answered, encoded as the store encodes it: the round's leaf and checkpoint, the request's
//! frame, the recorded answer, and the log's head. A test holds them against the rows of a store. redb's own pages are not in
//! them: a bare commit writes those too.

#[cfg(test)]
mod stored;

use appliance::log::store::{StoredCheckpoint, StoredHead};
use appliance::log::{SignedCheckpoint, Unsigned};
use assent_proto::codec;
use assent_proto::entry::{Allow, Entry};
use assent_proto::hash::Hash;
use assent_proto::number::Epoch;
use assent_proto::token::UnverifiedToken;

/// A round's first leaf index and a piece's number, the key of a batch, and the name of the head.
const PIECE_KEY_BYTES: usize = 8 + 4;
const BATCH_KEY_BYTES: usize = 24;
const HEAD_KEY: &str = "head";
/// What stands before a recorded answer: the request's digest, and whether it allows.
const ANSWER_HEAD_BYTES: usize = 32 + 1;

/// Bytes of all rows that a round has of which this is the only request, with its answer and the one token that follows from it.
pub(crate) fn bytes_of_lone(frame: &[u8], reply: &[u8], token: &[u8]) -> anyhow::Result<usize> {
    let token = UnverifiedToken::parse(token)?;
    let allow: Allow<'_> = codec::parse(token.body)?;
    let head = PIECE_KEY_BYTES * 2 + BATCH_KEY_BYTES + HEAD_KEY.len() + head(&token, allow.epoch)?;
    let mut rows = Vec::new();
    append_round(&token, allow, &mut rows)?;
    // One request: the index of its first leaf, and its bytes.
    codec::append_varint(1, &mut rows);
    codec::append_varint(token.index.0, &mut rows);
    codec::append_bytes(frame, &mut rows);
    Ok(head + rows.len() + ANSWER_HEAD_BYTES + reply.len())
}

/// One leaf, and the one signature over the checkpoint.
fn append_round(token: &UnverifiedToken<'_>, allow: Allow<'_>, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut leaf = Vec::new();
    Entry::Allow(allow).append(&mut leaf)?;
    codec::append_varint(1, out);
    codec::append_bytes(&leaf, out);
    out.push(1);
    codec::append_varint(token.size.0, out);
    out.extend(Hash::default().0);
    out.extend(token.key_id.0);
    out.extend(token.signature);
    Ok(())
}

/// Bytes of the log's head behind this token's round.
fn head(token: &UnverifiedToken<'_>, epoch: Epoch) -> anyhow::Result<usize> {
    let UnverifiedToken { size, key_id, signature, .. } = *token;
    let signed = SignedCheckpoint { size, root: Hash::default(), key_id, signature, successor: None };
    let head = StoredHead {
        size: size.0,
        // A perfect subtree for each bit of the size.
        frontier: vec![Hash::default(); usize::try_from(size.0.count_ones())?],
        signed: Some(StoredCheckpoint::from(&signed)),
        epoch,
        lowest_epoch: Epoch(0),
        unsigned: Unsigned::default(),
    };
    let mut bytes = Vec::new();
    codec::append(&head, &mut bytes)?;
    Ok(bytes.len())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use appliance::log::keyring::Keyring;
    use appliance::log::store::{BatchKey, Identity, Store};
    use appliance::log::{Commit, Leaves, Log, Recorded, request_digest};
    use assent_proto::checkpoint::Checkpoint;
    use assent_proto::entry::{Grounds, Policies, Salt};
    use assent_proto::intent::Uid;
    use assent_proto::note::VerifierKey;
    use assent_proto::number::{LeafIndex, Timestamp};
    use assent_proto::token;
    use assent_proto::tree::Range;
    use assent_proto::wire::BatchId;
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    const ORIGIN: &str = "localhost/test/log/1";
    const NOW: Timestamp = Timestamp(1_790_000_000_000);
    const ROUNDS: u64 = 300;
    const FRAME: [u8; 201] = [3; 201];
    const REPLY: [u8; 477] = [4; 477];

    /// Commits so many rounds of one leaf each, as the sealer does; gives the last one's token.
    fn fill(folder: &Path) -> Vec<u8> {
        let signing = SigningKey::from_bytes(&[1; 32]);
        let key = VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes()).unwrap();
        let store = folder.join("log.redb");
        Store::create(&store, &Identity::new(ORIGIN, &key.to_string())).unwrap();
        let ring = Keyring::found(&folder.join("keys.toml"), &key, &[1], NOW).unwrap();
        let mut log = Log::open(&store, &folder.join("fence"), ring).unwrap();
        let mut last = Vec::new();
        for first in (0..ROUNDS).map(LeafIndex) {
            let mut leaves = Leaves::default();
            leaves.push(&Entry::Allow(allow())).unwrap();
            let before = log.frontier().clone();
            let mut frontier = before.clone();
            frontier.append(leaves.hashes()[0]).unwrap();
            let (size, root) = (frontier.size(), frontier.root());
            let text = Checkpoint { origin: ORIGIN, size, root }.text().unwrap();
            let signature = signing.sign(text.as_bytes()).to_bytes();
            let key_of_batch = BatchKey::new(BatchId::new(NOW, [0; 10]), "spiffe://a/agent/b");
            let answer =
                Recorded { key: key_of_batch, request: request_digest(&FRAME), reply: &REPLY, allows: true };
            let commit = Commit {
                first,
                leaves: vec![&leaves],
                requests: vec![(first, &FRAME)],
                answers: vec![answer],
                rows: Vec::new(),
                frontier: &frontier,
                checkpoint: Some(SignedCheckpoint {
                    size,
                    root,
                    key_id: key.id(),
                    signature,
                    successor: None,
                }),
                epoch: allow().epoch,
                lowest_epoch: Epoch(0),
                unsigned: Unsigned::default(),
                time: NOW,
            };
            assert_eq!(log.commit(&commit).unwrap().size(), size);
            let mut nodes = leaves.hashes().to_vec();
            nodes.resize(Range::nodes_needed(1), Hash::default());
            let range = Range::new(first, 1, size, before.subtrees(), &mut nodes).unwrap();
            let mut body = Vec::new();
            codec::append(&allow(), &mut body).unwrap();
            last.clear();
            token::append(key.id(), size, first, &body, &range.path(first).unwrap(), &signature, &mut last);
        }
        last
    }

    fn allow() -> Allow<'static> {
        Allow {
            salt: Salt([7; 16]),
            time: NOW,
            epoch: Epoch(3),
            bundle: Hash([9; 32]),
            principal: "spiffe://a/agent/b",
            audience: "store-api",
            action: Uid { type_name: "A", id: "b" },
            resource: Uid { type_name: "C", id: "d" },
            intent: Hash([5; 32]),
            not_before: NOW,
            not_after: NOW,
            uses: 1,
            risk: 40,
            grounds: Grounds::Policy,
            policies: ["one"].into_iter().collect::<Policies<'_>>(),
        }
    }

    #[test]
    fn a_lone_round_is_counted_as_the_store_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let token = fill(folder.path());
        let stored = stored::bytes_of(&folder.path().join("log.redb"), ROUNDS - 1).unwrap();
        assert_eq!(bytes_of_lone(&FRAME, &REPLY, &token).unwrap(), stored);
    }
}
