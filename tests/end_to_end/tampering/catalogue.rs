//! Fifty tamperings: what each changes in a log's past, at places that a seed picks.
//!
//! Each leaves a log that is whole in itself. None touches what no checkpoint covers, for there nothing can be proved.

#![expect(clippy::wildcard_enum_match_arm, reason = "a tampering is about some kinds, and the others stay")]

use std::sync::Arc;

use appliance::log::SignedCheckpoint;
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Entry, Grounds, Hold};
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::Timestamp;
use assent_proto::refusal::Refusal;
use assent_proto::verify::TrustedKey;
use assent_proto::wire::Request;
use ed25519_dalek::{Signer as _, SigningKey};

use super::past::Past;

/// A number that only a seed decides (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).expect("below a usize")
    }
}

/// What is done to a past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tampering {
    /// An allow becomes a denial, or the reverse.
    DecisionTurned,
    /// A field of an entry says something else.
    EntryChanged,
    /// A leaf is gone.
    LeafRemoved,
    /// A leaf stands twice.
    LeafRepeated,
    /// Two neighbours changed places.
    LeavesSwapped,
    /// A round is gone.
    RoundRemoved,
    /// A checkpoint carries another checkpoint's signature.
    CheckpointReplaced,
    /// One bit of a signature is another.
    SignatureChanged,
    /// A checkpoint is gone: its round stands unsigned.
    CheckpointRemoved,
    /// A checkpoint says the root that the changed leaves lead to; its signature is the old one.
    RootMended,
    /// The outage entry counts fewer denials.
    OutageFalsified,
    /// The outage entry is gone.
    OutageRemoved,
    /// A denial in the gap is gone, and the outage entry counts one less.
    GapThinned,
    /// The last part is signed by another key, over what the other key's owner wrote.
    SignedByAnother,
    /// An older state of the log.
    OlderLog,
    /// A request says something else.
    RequestChanged,
    /// A request is gone, and no order says so.
    RequestRemoved,
    /// A recorded answer says something else.
    AnswerChanged,
    /// An archived bundle says something else.
    BundleChanged,
    /// An archived bundle is gone.
    BundleRemoved,
    /// A byte of a file of the log is another.
    FileDamaged,
}

use Tampering::{
    AnswerChanged, BundleChanged, BundleRemoved, CheckpointRemoved, CheckpointReplaced, DecisionTurned,
    EntryChanged, FileDamaged, GapThinned, LeafRemoved, LeafRepeated, LeavesSwapped, OlderLog,
    OutageFalsified, OutageRemoved, RequestChanged, RequestRemoved, RootMended, RoundRemoved,
    SignatureChanged, SignedByAnother,
};

/// All of them, each so often.
pub(crate) const ALL: [(Tampering, usize); 21] = [
    (DecisionTurned, 4),
    (EntryChanged, 4),
    (LeafRemoved, 4),
    (LeafRepeated, 2),
    (LeavesSwapped, 3),
    (RoundRemoved, 2),
    (CheckpointReplaced, 3),
    (SignatureChanged, 2),
    (CheckpointRemoved, 2),
    (RootMended, 2),
    (OutageFalsified, 2),
    (OutageRemoved, 2),
    (GapThinned, 2),
    (SignedByAnother, 3),
    (OlderLog, 3),
    (RequestChanged, 3),
    (RequestRemoved, 2),
    (AnswerChanged, 2),
    (BundleChanged, 1),
    (BundleRemoved, 1),
    (FileDamaged, 1),
];

/// Changes a past; gives where. Bundles and files are changed by whoever has them.
pub(crate) fn tamper(past: &mut Past, tampering: Tampering, dice: &mut Dice) -> String {
    match tampering {
        DecisionTurned => entry(past, dice, is_decision, turned),
        EntryChanged | RootMended => {
            let place = entry(past, dice, is_decision, changed);
            if tampering == RootMended {
                mend_roots(past);
            }
            place
        }
        LeafRemoved | LeafRepeated | LeavesSwapped => leaves(past, tampering, dice),
        RoundRemoved | CheckpointReplaced | SignatureChanged | CheckpointRemoved => {
            round(past, tampering, dice)
        }
        OutageFalsified | OutageRemoved | GapThinned => gap(past, tampering, dice),
        SignedByAnother => signed_by_another(past, dice),
        OlderLog => {
            let signed: Vec<usize> = past.signed().collect();
            let last = signed[dice.below(signed.len() - 1)];
            past.rounds.truncate(last + 1);
            format!("it ends at {}", past.first_of(last + 1))
        }
        RequestChanged | RequestRemoved => request(past, tampering, dice),
        AnswerChanged => answer(past, dice),
        BundleChanged | BundleRemoved | FileDamaged => String::new(),
    }
}

impl Past {
    fn signed(&self) -> impl Iterator<Item = usize> {
        self.rounds
            .iter()
            .enumerate()
            .filter(|(_, round)| round.checkpoint.is_some())
            .map(|(number, _)| number)
    }

    /// Places of the entries that are wanted: round and place in it.
    fn places(&self, wanted: impl Fn(&Entry<'_>) -> bool) -> Vec<(usize, usize)> {
        let covered = self.covered();
        let mut places = Vec::new();
        for (number, round) in self.rounds.iter().enumerate().take(covered) {
            let is_wanted = |leaf: &Arc<[u8]>| wanted(&Entry::parse(leaf).expect("an entry"));
            let here = round.leaves.iter().enumerate().filter(|(_, leaf)| is_wanted(leaf));
            places.extend(here.map(|(place, _)| (number, place)));
        }
        places
    }
}

fn is_decision(entry: &Entry<'_>) -> bool {
    matches!(entry, Entry::Allow(_) | Entry::Deny(_) | Entry::Hold(_))
}

/// The leaf of an entry.
fn leaf_of(entry: &Entry<'_>) -> Arc<[u8]> {
    let mut leaf = Vec::new();
    entry.append(&mut leaf).expect("an entry");
    Arc::from(leaf)
}

/// Changes one of the entries that are wanted.
fn entry(
    past: &mut Past,
    dice: &mut Dice,
    wanted: impl Fn(&Entry<'_>) -> bool,
    change: impl Fn(Entry<'_>, &mut Dice) -> Arc<[u8]>,
) -> String {
    let places = past.places(wanted);
    let (number, place) = places[dice.below(places.len())];
    let leaf = Arc::clone(&past.rounds[number].leaves[place]);
    past.rounds[number].leaves[place] = change(Entry::parse(&leaf).expect("an entry"), dice);
    assert_ne!(past.rounds[number].leaves[place], leaf);
    format!("leaf {}", past.first_of(number) + place as u64)
}

fn turned(entry: Entry<'_>, _: &mut Dice) -> Arc<[u8]> {
    use assent_proto::entry::{Allow, Deny};
    match entry {
        Entry::Allow(allow) => {
            let Allow {
                salt,
                time,
                epoch,
                bundle,
                principal,
                audience,
                action,
                resource,
                intent,
                risk,
                policies,
                ..
            } = allow;
            let refusal = Refusal::PolicyDenied;
            let deny = Deny {
                salt,
                time,
                epoch,
                bundle,
                principal,
                audience,
                action,
                resource,
                intent,
                refusal,
                risk,
                policies,
            };
            leaf_of(&Entry::Deny(deny))
        }
        Entry::Deny(deny) | Entry::Hold(Hold { denial: deny, .. }) => {
            let Deny {
                salt,
                time,
                epoch,
                bundle,
                principal,
                audience,
                action,
                resource,
                intent,
                risk,
                policies,
                ..
            } = deny;
            let (not_before, not_after, uses, grounds) = (time, time.plus_ms(60_000), 1, Grounds::Policy);
            leaf_of(&Entry::Allow(Allow {
                salt,
                time,
                epoch,
                bundle,
                principal,
                audience,
                action,
                resource,
                intent,
                not_before,
                not_after,
                uses,
                risk,
                grounds,
                policies,
            }))
        }
        other => panic!("{other:?} is no decision"),
    }
}

fn changed(entry: Entry<'_>, dice: &mut Dice) -> Arc<[u8]> {
    match entry {
        Entry::Allow(mut allow) => {
            match dice.below(4) {
                0 => allow.uses += 1,
                1 => allow.principal = "spiffe://assent.test/agent/somebody-else",
                2 => allow.intent = Hash([1; 32]),
                _ => allow.salt.0[0] ^= 1,
            }
            leaf_of(&Entry::Allow(allow))
        }
        Entry::Deny(mut deny) => {
            match dice.below(3) {
                0 => deny.time = Timestamp(deny.time.0 + 1),
                1 => deny.resource.id = "#W0",
                _ => deny.risk += 1,
            }
            leaf_of(&Entry::Deny(deny))
        }
        other => panic!("{other:?} is no decision that is changed here"),
    }
}

fn leaves(past: &mut Past, tampering: Tampering, dice: &mut Dice) -> String {
    let places = past.places(is_decision);
    // A leaf that has a neighbour behind it in its round, and another one at that.
    let has_neighbour = |(number, place): &&(usize, usize)| {
        let leaves = &past.rounds[*number].leaves;
        leaves.get(place + 1).is_some_and(|next| *next != leaves[*place])
    };
    let places: Vec<_> = places.iter().filter(has_neighbour).copied().collect();
    let (number, place) = places[dice.below(places.len())];
    let at = past.first_of(number) + place as u64;
    let leaves = &mut past.rounds[number].leaves;
    match tampering {
        LeafRemoved => drop(leaves.remove(place)),
        LeafRepeated => leaves.insert(place, Arc::clone(&leaves[place])),
        _ => leaves.swap(place, place + 1),
    }
    format!("leaf {at}")
}

fn round(past: &mut Past, tampering: Tampering, dice: &mut Dice) -> String {
    // Not the last: what ends at the one before is an older log.
    let signed: Vec<usize> = past.signed().collect();
    let number = signed[1 + dice.below(signed.len() - 2)];
    let other = past.rounds[signed[0]].checkpoint.expect("signed");
    let round = &mut past.rounds[number];
    match tampering {
        RoundRemoved => drop(past.rounds.remove(number)),
        CheckpointReplaced => {
            if let Some(checkpoint) = &mut round.checkpoint {
                checkpoint.signature = other.signature;
            }
        }
        SignatureChanged => {
            if let Some(checkpoint) = &mut round.checkpoint {
                checkpoint.signature[dice.below(64)] ^= 1 << dice.below(8);
            }
        }
        _ => round.checkpoint = None,
    }
    format!("the round at {}", past.first_of(number))
}

/// Every checkpoint says size and root of the leaves before it, under the signature that it had.
fn mend_roots(past: &mut Past) {
    for (round, tree) in
        past.trees().into_iter().zip(0..).map(|(tree, number)| (number, tree)).collect::<Vec<_>>()
    {
        if let Some(checkpoint) = &mut past.rounds[round].checkpoint {
            (checkpoint.size, checkpoint.root) = (tree.size(), tree.root());
        }
    }
}

fn gap(past: &mut Past, tampering: Tampering, dice: &mut Dice) -> String {
    let outages = past.places(|entry| matches!(entry, Entry::Outage(outage) if outage.denials > 0));
    let (number, place) = outages[dice.below(outages.len())];
    let at = past.first_of(number) + place as u64;
    let leaf = Arc::clone(&past.rounds[number].leaves[place]);
    let Ok(Entry::Outage(mut outage)) = Entry::parse(&leaf) else { panic!("an outage") };
    if tampering == OutageRemoved {
        past.rounds[number].leaves.remove(place);
        return format!("outage at {at}");
    }
    outage.denials -= 1;
    if tampering == GapThinned {
        outage.reached.0 -= 1;
    }
    past.rounds[number].leaves[place] = leaf_of(&Entry::Outage(outage.clone()));
    if tampering == GapThinned {
        let in_gap = past.places(|entry| matches!(entry, Entry::Deny(_)));
        let (number, place) = in_gap
            .into_iter()
            .find(|(round, place)| past.first_of(*round) + *place as u64 >= outage.covered.0)
            .expect("a denial in the gap");
        past.rounds[number].leaves.remove(place);
    }
    format!("outage at {at}")
}

/// From a round on everything is signed anew, by a key of the attacker's own, over entries that he changed.
fn signed_by_another(past: &mut Past, dice: &mut Dice) -> String {
    let attacker = SigningKey::from_bytes(&[66; 32]);
    let signed: Vec<usize> = past.signed().collect();
    let from = signed[1 + dice.below(signed.len() - 1)];
    let place =
        past.rounds[from].leaves.iter().rposition(|leaf| is_decision(&Entry::parse(leaf).expect("an entry")));
    if let Some(place) = place {
        let leaf = Arc::clone(&past.rounds[from].leaves[place]);
        past.rounds[from].leaves[place] = turned(Entry::parse(&leaf).expect("an entry"), dice);
    }
    sign_from(past, from, &attacker);
    format!("from the round at {}", past.first_of(from))
}

/// Signs every checkpoint from this round on anew, over the leaves as they are.
fn sign_from(past: &mut Past, from: usize, signer: &SigningKey) {
    let origin = past.origin().to_owned();
    let key = VerifierKey::new(&origin, signer.verifying_key().as_bytes()).expect("a key").id();
    for (number, tree) in past.trees().into_iter().enumerate().skip(from) {
        if let Some(checkpoint) = &mut past.rounds[number].checkpoint {
            let (size, root) = (tree.size(), tree.root());
            let text = Checkpoint { origin: &origin, size, root }.text().expect("a text");
            let signature = signer.sign(text.as_bytes()).to_bytes();
            *checkpoint = SignedCheckpoint { size, root, key_id: key, signature, successor: None };
        }
    }
}

/// An appliance that lies: what its policies denied it allowed, in a log that its own key signed from the beginning. Gives the
/// key that an auditor would trust.
pub(crate) fn lie(past: &mut Past, dice: &mut Dice) -> (String, TrustedKey<'static>) {
    let signer = SigningKey::from_bytes(&[67; 32]);
    let origin: &'static str = String::leak(past.origin().to_owned());
    let key = VerifierKey::new(origin, signer.verifying_key().as_bytes()).expect("a key");
    let vkey = key.to_string();
    for (number, place) in past.places(|entry| matches!(entry, Entry::Key(_))) {
        let leaf = Arc::clone(&past.rounds[number].leaves[place]);
        let Ok(Entry::Key(mut named)) = Entry::parse(&leaf) else { panic!("a key") };
        named.vkey = &vkey;
        past.rounds[number].leaves[place] = leaf_of(&Entry::Key(named));
    }
    let denied =
        |entry: &Entry<'_>| matches!(entry, Entry::Deny(deny) if deny.refusal == Refusal::PolicyDenied);
    // In a round that was signed: an allow in a gap is found without the policies.
    let places =
        past.places(denied).into_iter().filter(|(round, _)| past.rounds[*round].checkpoint.is_some());
    let places: Vec<_> = places.collect();
    let (number, place) = places[dice.below(places.len())];
    let leaf = Arc::clone(&past.rounds[number].leaves[place]);
    past.rounds[number].leaves[place] = turned(Entry::parse(&leaf).expect("an entry"), dice);
    let place = format!("leaf {}", past.first_of(number) + place as u64);
    // Its answers would contradict it; a liar has none.
    past.rounds.iter_mut().for_each(|round| round.answers.clear());
    sign_from(past, 0, &signer);
    (place, TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX / 2) })
}

fn request(past: &mut Past, tampering: Tampering, dice: &mut Dice) -> String {
    let with: Vec<usize> =
        (0..past.covered()).filter(|number| !past.rounds[*number].requests.is_empty()).collect();
    let number = with[dice.below(with.len())];
    let requests = &mut past.rounds[number].requests;
    let chosen = dice.below(requests.len());
    let (place, frame) = requests[chosen].clone();
    if tampering == RequestRemoved {
        requests.remove(chosen);
        return format!("the request at {}", past.first_of(number) + place);
    }
    // A byte somewhere that leaves a request, of the same batch, that asks for something else.
    let mut at = dice.below(frame.len());
    let altered = loop {
        let mut altered = frame.to_vec();
        altered[at] ^= 1;
        let digests = |frame: &[u8]| {
            Request::parse(frame)
                .ok()
                .map(|request| request.intents().map(|(intent, _)| intent.act.digest()).collect::<Vec<_>>())
        };
        if digests(&altered).is_some_and(|asked| Some(asked) != digests(&frame)) {
            break altered;
        }
        at = (at + 1) % frame.len();
    };
    requests[chosen].1 = Arc::from(altered);
    format!("the request at {}", past.first_of(number) + place)
}

fn answer(past: &mut Past, dice: &mut Dice) -> String {
    let with: Vec<usize> =
        (0..past.covered()).filter(|number| !past.rounds[*number].answers.is_empty()).collect();
    let number = with[dice.below(with.len())];
    let (_, answer) = &mut past.rounds[number].answers[0];
    let at = dice.below(answer.reply.len());
    answer.reply[at] ^= 1;
    format!("byte {at} of an answer in the round at {}", past.first_of(number))
}
