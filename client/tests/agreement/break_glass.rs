//! A log in bad times: a charter under the HSM's checkpoint, a warrant that operators signed, and uses under the warrant's key.
//! Each part can be made false before it is signed, or after.

use assent_client::proto::checkpoint::Checkpoint;
use assent_client::proto::entry::break_glass::{CHARTER_NAMESPACE, ResourceScope, WARRANT_NAMESPACE};
use assent_client::proto::entry::{Allow, Charter, Entry, Grounds, Salt, Warrant as Given};
use assent_client::proto::hash::Hash;
use assent_client::proto::intent::Uid;
use assent_client::proto::note::{KeyId, NoteSignature, VerifierKey};
use assent_client::proto::number::{Epoch, LeafIndex, TreeSize};
use assent_client::proto::token;
use assent_client::proto::verify::{TrustedKey, warrant_key_name};
use assent_client::{Acceptance, Guard, Intent, Spent, Timestamp, Trust, Warrant, WarrantError};
use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::appliance::{AUDIENCE, NOON, ORIGIN, cancel};
use crate::office::Office;

pub(crate) const PRINCIPAL: &str = "spiffe://test/agent/retail";
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// A log, its keys, and the operators of its charters.
pub(crate) struct Glass {
    pub(crate) office: Office,
    pub(crate) leaves: Vec<Vec<u8>>,
    pub(crate) hsm: SigningKey,
    pub(crate) key: SigningKey,
}

/// What lives for the rest of the test.
pub(crate) fn lasting(text: impl Into<String>) -> &'static str {
    String::leak(text.into())
}

fn leaf(entry: &Entry<'_>) -> Vec<u8> {
    let mut leaf = Vec::new();
    entry.append(&mut leaf).unwrap();
    leaf
}

/// RFC 6962 section 2.1, recursively.
fn root(leaves: &[Vec<u8>]) -> Hash {
    match leaves {
        [] => Hash::of_empty_tree(),
        [leaf] => Hash::of_leaf(leaf),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Hash::of_node(&root(left), &root(right))
        }
    }
}

fn siblings(index: usize, leaves: &[Vec<u8>]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, sibling) = if index < left.len() {
        (siblings(index, left), root(right))
    } else {
        (siblings(index - left.len(), right), root(left))
    };
    path.push(sibling);
    path
}

impl Glass {
    /// One whose log has some entries.
    pub(crate) fn new() -> Self {
        let leaves = (0..20_u8).map(|number| vec![number; 40]).collect();
        let [hsm, key] = [7, 8].map(|seed| SigningKey::from_bytes(&[seed; 32]));
        Self { office: Office::open(), leaves, hsm, key }
    }

    /// One with a charter and a warrant under it; gives their leaf indices.
    pub(crate) fn broken() -> (Self, usize, usize) {
        let mut glass = Self::new();
        let charter = glass.order(|_| ());
        let warrant = glass.give(charter, &["alice", "dave"], |_| ());
        (glass, charter, warrant)
    }

    pub(crate) fn trust(&self) -> Trust {
        let key = VerifierKey::new(ORIGIN, self.hsm.verifying_key().as_bytes()).unwrap();
        Trust::new(&[TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) }]).unwrap()
    }

    /// A guard that accepts break-glass and remembers from the beginning.
    pub(crate) fn guard(&self) -> Guard {
        self.guard_with(Spent::in_memory(Timestamp(0)))
    }

    pub(crate) fn guard_with(&self, spent: Spent) -> Guard {
        let acceptance = Acceptance { break_glass: true, ..Acceptance::default() };
        Guard::with_spent(self.trust(), AUDIENCE, spent).accepting(acceptance)
    }

    fn push(&mut self, entry: &Entry<'_>) -> usize {
        self.leaves.push(leaf(entry));
        self.leaves.len() - 1
    }

    /// A charter for two of three operators, changed before it is signed.
    pub(crate) fn order(&mut self, change: impl FnOnce(&mut Charter<'static>)) -> usize {
        let actions: &[Uid<'static>] = &[Uid { type_name: "Retail::Action", id: "cancel_pending_order" }];
        let resources: &[ResourceScope<'static>] = &[
            ResourceScope::One(Uid { type_name: "Retail::Order", id: "#W1" }),
            ResourceScope::OfType("Retail::Cart"),
        ];
        let operators: &[&str] =
            Vec::leak(["alice", "bob", "dave"].map(|name| lasting(self.office.line(name))).to_vec());
        let mut charter = Charter {
            salt: Salt([1; 16]),
            time: NOON.minus_ms(100 * HOUR_MS),
            epoch: Epoch(3),
            name: "cancellations",
            actions: actions.into(),
            resources: resources.into(),
            principals: (&[PRINCIPAL][..]).into(),
            closed_s: 60,
            window_max_s: 3600,
            uses_max: 3,
            operators: operators.into(),
            threshold: 2,
            not_after: NOON.plus_ms(100 * HOUR_MS),
            by: ["mallory"].into_iter().collect(),
            statement: "",
            signatures: heapless_of(&[]),
        };
        change(&mut charter);
        let mut statement = String::new();
        charter.write_statement(ORIGIN, &mut statement).unwrap();
        charter.statement = lasting(statement);
        charter.signatures =
            heapless_of(&[lasting(self.office.sign("mallory", CHARTER_NAMESPACE, charter.statement))]);
        self.push(&Entry::Charter(charter))
    }

    /// A warrant as it would be signed.
    pub(crate) fn draft(&self, charter: usize) -> Given<'static> {
        Given {
            salt: Salt([2; 16]),
            time: NOON.minus_ms(60_000),
            epoch: Epoch(4),
            charter: LeafIndex(charter as u64),
            key: self.key.verifying_key().to_bytes(),
            uses: 3,
            not_before: NOON.minus_ms(60_000),
            not_after: NOON.minus_ms(60_000).plus_ms(HOUR_MS),
            reason: "the HSM burnt",
            by: heapless_of(&[]),
            statement: "",
            signatures: heapless_of(&[]),
        }
    }

    /// A warrant, changed before these operators sign it.
    pub(crate) fn give(
        &mut self,
        charter: usize,
        signers: &[&str],
        change: impl FnOnce(&mut Given<'static>),
    ) -> usize {
        let hash = Hash::of_leaf(&self.leaves[charter]);
        let mut given = self.draft(charter);
        change(&mut given);
        let mut statement = String::new();
        given.write_statement(ORIGIN, hash, &mut statement).unwrap();
        given.statement = lasting(statement);
        self.sign(&mut given, signers);
        self.push(&Entry::Warrant(given))
    }

    fn sign(&self, given: &mut Given<'static>, signers: &[&str]) {
        let sign = |name: &&str| lasting(self.office.sign(name, WARRANT_NAMESPACE, given.statement));
        let signatures: Vec<&'static str> = signers.iter().map(sign).collect();
        given.by = signers.iter().map(|name| lasting(*name)).collect();
        given.signatures = heapless_of(&signatures);
    }

    /// The same warrant, changed after it was signed.
    pub(crate) fn alter(&mut self, warrant: usize, change: impl FnOnce(&mut Given<'_>)) {
        let bytes = self.leaves[warrant].clone();
        let Ok(Entry::Warrant(mut given)) = Entry::parse(&bytes) else { panic!("no warrant") };
        change(&mut given);
        self.leaves[warrant] = leaf(&Entry::Warrant(given));
    }

    /// A use of the warrant at that leaf, changed; gives its leaf index.
    pub(crate) fn decide(
        &mut self,
        warrant: usize,
        number: u16,
        change: impl FnOnce(&mut Allow<'_>),
    ) -> usize {
        let intent = cancel("#W1");
        let (action, resource) = (intent.action.clone(), intent.resource.clone());
        let mut allow = Allow {
            salt: Salt([3; 16]),
            time: NOON,
            epoch: Epoch(4),
            bundle: Hash([9; 32]),
            principal: PRINCIPAL,
            audience: AUDIENCE,
            action: action.borrowed(),
            resource: resource.borrowed(),
            intent: digest_of(&intent),
            not_before: NOON,
            not_after: NOON.plus_ms(300_000),
            uses: 1,
            risk: 0,
            grounds: Grounds::Warrant { leaf: LeafIndex(warrant as u64), number },
            policies: std::iter::empty().collect(),
        };
        change(&mut allow);
        self.push(&Entry::Allow(allow))
    }

    /// The token of the allow at that leaf, under this key and its name.
    pub(crate) fn token(&self, at: usize, key: &SigningKey, name: &str) -> Vec<u8> {
        let signature = key.sign(self.checkpoint(ORIGIN).as_bytes()).to_bytes();
        let (id, size) = (KeyId::of(name, &key.verifying_key()), TreeSize(self.leaves.len() as u64));
        let mut out = Vec::new();
        let (index, path) = (LeafIndex(at as u64), siblings(at, &self.leaves));
        token::append(id, size, index, &self.leaves[at][16..], &path, &signature, &mut out);
        out
    }

    /// The token under the key of the warrant at that leaf.
    pub(crate) fn token_under(&self, warrant: usize, at: usize) -> Vec<u8> {
        self.token(at, &self.key, &name_of(warrant))
    }

    fn checkpoint(&self, origin: &str) -> String {
        let checkpoint =
            Checkpoint { origin, size: TreeSize(self.leaves.len() as u64), root: root(&self.leaves) };
        checkpoint.text().unwrap().to_string()
    }

    /// The proof of a leaf, under a checkpoint that this key signed under this name.
    pub(crate) fn proof(&self, at: usize, key: &SigningKey, name: &str) -> String {
        self.proof_of_log(ORIGIN, at, key, name)
    }

    pub(crate) fn proof_of_log(&self, origin: &str, at: usize, key: &SigningKey, name: &str) -> String {
        let text = self.checkpoint(origin);
        let id = KeyId::of(name, &key.verifying_key());
        let line = NoteSignature { name, id, signature: key.sign(text.as_bytes()).to_bytes() };
        let hashes: String = siblings(at, &self.leaves)
            .iter()
            .map(|hash| format!("{}\n", Base64::encode_string(&hash.0)))
            .collect();
        let extra = Base64::encode_string(&self.leaves[at]);
        format!("c2sp.org/tlog-proof@v1\nextra {extra}\nindex {at}\n{hashes}\n{text}\n{line}")
    }

    /// The file of a warrant, as an appliance would write it.
    pub(crate) fn file(&self, charter: usize, warrant: usize) -> String {
        let charter = self.proof(charter, &self.hsm, ORIGIN);
        Warrant::render(ORIGIN, &charter, &self.proof(warrant, &self.key, &name_of(warrant)))
    }

    pub(crate) fn warrant(&self, charter: usize, warrant: usize) -> Result<Warrant, WarrantError> {
        Warrant::parse(&self.file(charter, warrant), &self.trust(), NOON)
    }
}

pub(crate) fn name_of(warrant: usize) -> String {
    warrant_key_name(ORIGIN, LeafIndex(warrant as u64)).unwrap().as_str().to_owned()
}

fn heapless_of<C: FromIterator<&'static str>>(texts: &[&'static str]) -> C {
    texts.iter().copied().collect()
}

fn digest_of(intent: &Intent) -> Hash {
    let batch = crate::appliance::batch_of(std::slice::from_ref(intent));
    let request = assent_client::proto::wire::Request::parse(batch.frame()).unwrap();
    request.intents().next().unwrap().0.act.digest()
}
