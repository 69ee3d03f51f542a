//! Answers of a round without a checkpoint, sealed by a warrant's key, or falsely.

use assent_log::store::BatchKey;
use assent_log::{Recorded, request_digest};
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Grounds, Salt};
use assent_proto::hash::Hash;
use assent_proto::note::KeyId;
use assent_proto::number::LeafIndex;
use assent_proto::refusal::Refusal;
use assent_proto::tree::Range;
use assent_proto::verify::warrant_key_name;
use assent_proto::wire::{Head, Request, Ruling, Sealing, Verdict, append_sealing, begin_decided};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::synthetic::{BUNDLE, Beside, ORIGIN, PRINCIPAL, Synthetic, leaves};
use crate::verdict::{expect_only, found, verify};

use super::broken;

#[test]
fn answer_that_a_warrants_key_sealed_is_held_against_the_warrant() {
    let reported = |seed: u8, is_a_use: bool, alter: fn(&mut Sealing)| {
        let (mut glass, warrant) = broken();
        let key = SigningKey::from_bytes(&[seed; 32]);
        seal_under(&mut glass.log, LeafIndex(warrant), is_a_use, &key, alter);
        verify(&mut glass.log)
    };
    let report = reported(8, true, |_| ());
    assert!(report.verified(), "{}", found(&report));
    assert_eq!(report.beside.map(|beside| beside.answers), Some(1));
    let by_none = "sealed by no key of a warrant that it holds a use of";
    expect_only(&reported(9, true, |_| ()), by_none);
    expect_only(&reported(8, false, |_| ()), by_none);
    expect_only(&reported(8, true, |sealing| sealing.signature[3] ^= 1), by_none);
    let another = |sealing: &mut Sealing| *sealing.proof.first_mut().unwrap() = Hash([1; 32]);
    expect_only(&reported(8, true, another), "by a checkpoint that is not its round's");
}

/// An unsigned round of a batch of one intent, allowed under the warrant or denied, whose answer this key seals.
fn seal_under(
    log: &mut Synthetic,
    warrant: LeafIndex,
    is_a_use: bool,
    key: &SigningKey,
    alter: fn(&mut Sealing),
) {
    let batch = log.decide(1, 0);
    let request = Request::parse(&batch.frame).unwrap();
    let (intent, _) = request.intents().next().unwrap();
    let (time, epoch, bundle) = (log.now, log.epoch, BUNDLE);
    let head = Head { time, epoch, bundle, salt: Salt([9; 16]), principal: PRINCIPAL };
    let grounds = Grounds::Warrant { leaf: warrant, number: 1 };
    let verdict = if is_a_use {
        Verdict::Allow { window_s: 60, uses: 1, grounds }
    } else {
        Verdict::Deny(Refusal::PolicyDenied)
    };
    let ruling = Ruling { verdict, risk: 0, policies: ["open"].into_iter().collect() };
    let made = leaves(&[ruling.clone().entry(&head, 0, &intent, intent.act.digest())]);
    let mut reply = Vec::new();
    begin_decided(&head, [&ruling].into_iter(), &[0], &mut reply).unwrap();
    let before = log.log().frontier().clone();
    let mut after = before.clone();
    made.hashes().iter().for_each(|hash| after.append(*hash).unwrap());
    let (first, size, root) = (LeafIndex(before.size().0), after.size(), after.root());
    let mut nodes = made.hashes().to_vec();
    nodes.resize(Range::nodes_needed(1), Hash::default());
    let proof = Range::new(first, 1, size, before.subtrees(), &mut nodes).unwrap().proof(first, 1).unwrap();
    let name = warrant_key_name(ORIGIN, warrant).unwrap();
    let signed = key.sign(Checkpoint { origin: ORIGIN, size, root }.text().unwrap().as_bytes());
    let key_id = KeyId::of(&name, &key.verifying_key());
    let mut sealing = Sealing { first, size, key_id, signature: signed.to_bytes(), proof };
    alter(&mut sealing);
    append_sealing(Some(&sealing), &mut reply);
    let answer = Recorded {
        key: BatchKey::new(batch.id, PRINCIPAL),
        request: request_digest(&batch.frame),
        reply: &reply,
        allows: is_a_use,
    };
    log.unsigned.denials += u64::from(!is_a_use);
    log.commit(&[&made], Beside { requests: vec![(first, &batch.frame)], answers: vec![answer] }, false);
}
