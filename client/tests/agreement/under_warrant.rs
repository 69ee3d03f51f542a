//! Answers that a warrant's key sealed: taken for uses of that warrant and for nothing else; and who vouches for a warrant that
//! is accepted again.

use assent_client::proto::checkpoint::Checkpoint;
use assent_client::proto::entry::{Grounds, Salt};
use assent_client::proto::hash::Hash;
use assent_client::proto::note::{KeyId, VerifierKey};
use assent_client::proto::number::{Epoch, LeafIndex};
use assent_client::proto::tree::{Frontier, Range};
use assent_client::proto::verify::TrustedKey;
use assent_client::proto::wire::{Head, Request, Ruling, Sealing, Verdict, append_sealing, begin_decided};
use assent_client::{Batch, Outcomes, Refusal, ReplyError, Timestamp, Trust, Warrant};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::appliance::{NOON, ORIGIN, batch_of, cancel};
use crate::break_glass::{Glass, PRINCIPAL, name_of};

/// What this batch is answered with these rulings, of which each intent has the one of that number; sealed by the warrant's key.
fn answer(glass: &Glass, warrant: usize, batch: &Batch, verdicts: &[Verdict], outcomes: &[u16]) -> Vec<u8> {
    let head = Head {
        time: NOON,
        epoch: Epoch(3),
        bundle: Hash([9; 32]),
        salt: Salt([5; 16]),
        principal: PRINCIPAL,
    };
    let ruling = |verdict: &Verdict| Ruling {
        verdict: *verdict,
        risk: 12,
        policies: ["permit-small"].into_iter().collect(),
    };
    let rulings: Vec<Ruling<'_>> = verdicts.iter().map(ruling).collect();
    let request = Request::parse(batch.frame()).unwrap();
    let mut nodes = Vec::new();
    for ((position, (intent, _)), number) in (0..).zip(request.intents()).zip(outcomes) {
        let mut leaf = Vec::new();
        let entry =
            rulings[usize::from(*number)].clone().entry(&head, position, &intent, intent.act.digest());
        entry.append(&mut leaf).unwrap();
        nodes.push(Hash::of_leaf(&leaf));
    }
    let mut before = Frontier::new();
    glass.leaves.iter().for_each(|leaf| before.append(Hash::of_leaf(leaf)).unwrap());
    let mut after = before.clone();
    nodes.iter().for_each(|hash| after.append(*hash).unwrap());
    let (first, count, size) = (LeafIndex(before.size().0), nodes.len(), after.size());
    nodes.resize(Range::nodes_needed(count), Hash::default());
    let range = Range::new(first, count, size, before.subtrees(), &mut nodes).unwrap();
    let text = Checkpoint { origin: ORIGIN, size, root: after.root() }.text().unwrap();
    let key_id = KeyId::of(&name_of(warrant), &glass.key.verifying_key());
    let signature = glass.key.sign(text.as_bytes()).to_bytes();
    let sealing = Sealing { first, size, key_id, signature, proof: range.proof(first, count).unwrap() };
    let mut reply = Vec::new();
    begin_decided(&head, rulings.iter(), outcomes, &mut reply).unwrap();
    append_sealing(Some(&sealing), &mut reply);
    reply
}

const DENIED: Verdict = Verdict::Deny(Refusal::PolicyDenied);

fn allowed(grounds: Grounds) -> Verdict {
    Verdict::Allow { window_s: 60, uses: 1, grounds }
}

#[test]
fn key_of_a_warrant_vouches_for_an_answer_that_holds_a_use_of_it() {
    let (glass, charter, warrant) = Glass::broken();
    let believed = glass.warrant(charter, warrant).unwrap();
    let of = |at: usize, number| allowed(Grounds::Warrant { leaf: LeafIndex(at as u64), number });
    let open = |verdicts: &[Verdict], outcomes: &[u16]| -> Result<Outcomes, ReplyError> {
        let intents: Vec<_> = (0..outcomes.len()).map(|number| cancel(&format!("#W{number}"))).collect();
        let batch = batch_of(&intents);
        let reply = answer(&glass, warrant, &batch, verdicts, outcomes);
        batch.open_under(&reply, &glass.trust(), [&believed], NOON)
    };
    let one = [of(warrant, 1), DENIED];
    assert_eq!(open(&one, &[0]).unwrap().tokens().count(), 1);
    assert_eq!(open(&one, &[1, 0]).unwrap().tokens().count(), 1);
    let refused = |verdicts: &[Verdict], outcomes: &[u16]| {
        matches!(open(verdicts, outcomes), Err(ReplyError::UntrustedKey(_)))
    };
    assert!(refused(&[DENIED], &[0]), "no allow at all");
    assert!(refused(&one, &[1, 1]), "a use in its rulings, to which no outcome refers");
    assert!(
        refused(&[of(warrant, 1), allowed(Grounds::Policy)], &[0, 1]),
        "an allow of the policies beside it"
    );
    assert!(refused(&[of(warrant, 1), of(warrant + 1, 1)], &[0, 1]), "a use of another warrant beside it");
    // What nobody is answered with spoils nothing.
    assert_eq!(open(&[of(warrant, 1), allowed(Grounds::Policy)], &[0]).unwrap().tokens().count(), 1);
}

#[test]
fn warrant_that_is_accepted_again_counts_by_whoever_signed_for_its_charter_last() {
    let (mut glass, charter, warrant) = Glass::broken();
    let next = SigningKey::from_bytes(&[70; 32]);
    let trust_of = |keys: &[&SigningKey]| {
        let trusted = |key: &&SigningKey| TrustedKey {
            key: VerifierKey::new(ORIGIN, key.verifying_key().as_bytes()).unwrap(),
            not_before: Timestamp(0),
            not_after: Timestamp(u64::MAX),
        };
        Trust::new(&keys.iter().map(trusted).collect::<Vec<_>>()).unwrap()
    };
    let (hsm, both) = (glass.hsm.clone(), [&glass.hsm.clone(), &next]);
    let vouched_by = |key: &SigningKey| {
        let file = Warrant::render(
            ORIGIN,
            &glass.proof(charter, key, ORIGIN),
            &glass.proof(warrant, &glass.key, &name_of(warrant)),
        );
        Warrant::parse(&file, &trust_of(&both), NOON).unwrap()
    };
    let guard = glass.guard();
    guard.trusting(trust_of(&both));
    guard.accept_warrant(vouched_by(&hsm), NOON).unwrap();
    guard.accept_warrant(vouched_by(&next), NOON).unwrap();
    let uses = [1, 2].map(|number| glass.decide(warrant, number, |_| ()));
    let tokens = uses.map(|at| glass.token_under(warrant, at));
    for (key, token) in [&next, &hsm].into_iter().zip(tokens) {
        guard.trusting(trust_of(&[key]));
        assert!(guard.admit(&token, &cancel("#W1"), NOON).is_ok(), "either key vouches for it");
    }
}
