//! What an executor holds and the token it is given: the good ones, of which each attack changes a part.

use assent_proto::entry::{Allow, Grounds, Policies, Salt};
use assent_proto::hash::Hash;
use assent_proto::note::KeyId;
use assent_proto::number::{Epoch, LeafIndex, TreeSize};
use assent_proto::token;
use ed25519_dalek::{Signer as _, SigningKey};

use super::frames::{NOW, uids};
use super::intents::{TERMS, act, context};
use super::notes::{ORIGIN, key, text, vkey};
use super::{File, encoded};
use crate::naive;

pub(super) const PRINCIPAL: &str = "spiffe://retail.example/agent/1";

/// A key that the executor trusts: its text, and from when until when.
pub(super) type Trusted = (String, u64, u64);

/// A warrant that the executor trusts.
#[derive(Clone)]
pub(super) struct TrustedWarrant {
    pub(super) leaf: u64,
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    pub(super) uses: u16,
    pub(super) origin: String,
    pub(super) vkey: String,
}

/// What an executor holds, and the token it is given.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) keys: Vec<Trusted>,
    pub(super) audience: &'static str,
    pub(super) act: Vec<u8>,
    pub(super) principal: Option<&'static str>,
    pub(super) now: u64,
    pub(super) skew_ms: u64,
    pub(super) window_cap_ms: u64,
    pub(super) lowest_epoch: u64,
    pub(super) break_glass: bool,
    pub(super) warrants: Vec<TrustedWarrant>,
    pub(super) charter: Option<Vec<u8>>,
    pub(super) token: Vec<u8>,
}

/// The allow that all tokens come from.
pub(super) fn allow() -> Allow<'static> {
    let [action, resource] = uids();
    Allow {
        salt: Salt([0x11; 16]),
        time: NOW,
        epoch: Epoch(3),
        bundle: Hash([0xb0; 32]),
        principal: PRINCIPAL,
        audience: TERMS.audience,
        action,
        resource,
        intent: assent_proto::intent::Act::parse(&act(&context())).unwrap().digest(),
        not_before: NOW,
        not_after: NOW.plus_ms(300_000),
        uses: 1,
        risk: 17,
        grounds: Grounds::Policy,
        policies: ["refunds.small"].into_iter().collect::<Policies<'static>>(),
    }
}

/// A log of eleven leaves with this leaf at index 5.
pub(super) fn log(leaf: Vec<u8>) -> Vec<Vec<u8>> {
    let mut leaves: Vec<Vec<u8>> = (0..11).map(|index| vec![index; 40]).collect();
    leaves[INDEX] = leaf;
    leaves
}

const INDEX: usize = 5;

pub(super) fn leaf(kind: u8, body: &[u8]) -> Vec<u8> {
    [b"assent/leaf/v1\0", &[kind][..], body].concat()
}

/// How a token is made; each attack changes a part.
pub(super) struct Making<'a> {
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) index: usize,
    pub(super) body: &'a [u8],
    pub(super) key: SigningKey,
    /// Name under which the key ID is.
    pub(super) name: &'a str,
    /// Origin in the text that is signed.
    pub(super) origin: &'a str,
}

impl<'a> Making<'a> {
    pub(super) fn of(body: &'a [u8]) -> Self {
        Self { leaves: log(leaf(1, body)), index: INDEX, body, key: key(1), name: ORIGIN, origin: ORIGIN }
    }

    pub(super) fn token(&self) -> Vec<u8> {
        let text = text(self.origin, self.leaves.len() as u64, naive::root(&self.leaves));
        self.token_signed_over(text.as_bytes())
    }

    pub(super) fn token_signed_over(&self, message: &[u8]) -> Vec<u8> {
        let (size, index) = (TreeSize(self.leaves.len() as u64), LeafIndex(self.index as u64));
        let id = KeyId::of(self.name, &self.key.verifying_key());
        let (path, signature) = (naive::path(self.index, &self.leaves), self.key.sign(message).to_bytes());
        let mut out = Vec::new();
        token::append(id, size, index, self.body, &path, &signature, &mut out);
        out
    }
}

/// The token of an allow, and the scene in which it would verify.
pub(super) fn scene(allow: &Allow<'_>) -> Scene {
    scene_of(Making::of(&encoded(allow)).token())
}

pub(super) fn scene_of(token: Vec<u8>) -> Scene {
    Scene {
        keys: vec![(vkey(ORIGIN, &key(1)), NOW.0 - 1_000_000, NOW.0 + 1_000_000)],
        audience: TERMS.audience,
        act: act(&context()),
        principal: None,
        now: NOW.0 + 1000,
        skew_ms: 0,
        window_cap_ms: 300_000,
        lowest_epoch: 3,
        break_glass: false,
        warrants: Vec::new(),
        charter: None,
        token,
    }
}

impl Scene {
    pub(super) fn write(&self, file: &mut File, name: &str, result: &str) {
        file.case(name);
        for (vkey, not_before, not_after) in &self.keys {
            file.field("key", format!("{not_before} {not_after} {vkey}"));
        }
        file.field("audience", self.audience).bytes("act", &self.act);
        if let Some(principal) = self.principal {
            file.field("principal", principal);
        }
        file.field("now", self.now).field("skew-ms", self.skew_ms).field("window-cap-ms", self.window_cap_ms);
        file.field("lowest-epoch", self.lowest_epoch).field("break-glass", self.break_glass);
        for TrustedWarrant { leaf, not_before, not_after, uses, origin, vkey } in &self.warrants {
            file.field("warrant", format!("{leaf} {not_before} {not_after} {uses} {origin} {vkey}"));
        }
        if let Some(charter) = &self.charter {
            file.bytes("charter", charter);
        }
        file.bytes("token", &self.token).field("result", result);
    }

    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut scene = self.clone();
        change(&mut scene);
        scene
    }
}
