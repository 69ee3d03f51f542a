//! Order: epochs, bundles, times and authority must follow from one entry to the next.

use assent_proto::entry::{
    Allow, Boot, BundleOffer, Entry, Grounds, OfferOutcome, OperatorAct, Rearm, Salt, Status, Trip,
};
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};

use crate::synthetic::{Beside, START, Synthetic, leaves};
use crate::verdict::{expect_only, found, verify, verify_at, verify_leaves};

/// Commits these entries, as one round.
fn entries<'e>(
    log: &mut Synthetic,
    is_signed: bool,
    make: impl Fn(Salt, Timestamp, Epoch) -> Vec<Entry<'e>>,
) {
    let leaves = leaves(&make(Salt([5; 16]), log.now, log.epoch));
    log.commit(&[&leaves], Beside { requests: Vec::new(), answers: Vec::new() }, is_signed);
}

/// An allow of the synthetic agent, changed.
fn allow(log: &mut Synthetic, is_signed: bool, change: impl Fn(&mut Allow<'_>)) {
    let batch = log.decide(1, 0);
    let leaf = batch.leaves.iter().next().expect("a leaf").to_vec();
    let Ok(Entry::Allow(mut allow)) = Entry::parse(&leaf) else { panic!("an allow") };
    change(&mut allow);
    let leaves = leaves(&[Entry::Allow(allow)]);
    log.commit(&[&leaves], Beside { requests: Vec::new(), answers: Vec::new() }, is_signed);
}

#[test]
fn a_log_without_fault_verifies_and_is_counted() {
    let mut log = Synthetic::started();
    for _ in 0..20 {
        let batches = [log.decide(7, 3), log.decide(1, 0)];
        log.seal(&batches, true);
    }
    let report = verify(&mut log);
    assert!(report.verified(), "{}", found(&report));
    assert_eq!((report.entries, report.checkpoints, report.remarks_total), (163, 21, 0));
    let beside = report.beside.expect("it was looked at");
    assert_eq!((beside.intents, beside.erased, beside.answers), (160, 0, 40));
    assert_eq!(report.times_ms, Some((START, START + 20_000)));
}

#[test]
fn an_allow_without_a_signature_over_it_does_not_verify() {
    let mut log = Synthetic::started();
    allow(&mut log, false, |_| ());
    expect_only(&verify_leaves(&mut log), "3: an allow without a signed checkpoint over its round");
}

#[test]
fn an_allow_while_the_boundary_is_closed_or_in_another_epoch_does_not_verify() {
    let mut log = Synthetic::started();
    log.trip("signer_lost");
    log.epoch = Epoch(0);
    let outage = log.outage();
    log.unsigned = assent_log::Unsigned::default();
    log.operate(|_, _, _| vec![Entry::Outage(outage.clone())]);
    allow(&mut log, true, |allow| allow.epoch = Epoch(1));
    allow(&mut log, true, |_| ());
    let told = found(&verify(&mut log));
    assert!(told.contains("5: allowed in epoch 1 while the boundary was closed"), "{told}");
    assert!(told.contains("6: allowed in epoch 0, which was not open"), "{told}");
}

#[test]
fn an_allow_on_an_approval_that_is_none_does_not_verify() {
    let mut log = Synthetic::started();
    allow(&mut log, true, |allow| allow.grounds = Grounds::Approval(LeafIndex(1)));
    expect_only(&verify_leaves(&mut log), "3: allowed on the approval at 1, where there is none before it");
}

#[test]
fn a_window_that_no_catalog_could_grant_does_not_verify() {
    let lies: [fn(&mut Allow<'_>); 4] = [
        |allow| allow.not_after = allow.time.plus_ms(86_400_001),
        |allow| allow.not_before = allow.time.minus_ms(1),
        |allow| allow.not_after = allow.time.minus_ms(1),
        |allow| allow.uses = 0,
    ];
    for lie in lies {
        let mut log = Synthetic::started();
        allow(&mut log, true, lie);
        expect_only(&verify_leaves(&mut log), "whose window or uses no catalog could grant");
    }
}

#[test]
fn epochs_do_not_fall_and_every_trip_begins_one() {
    let told = |make: fn(Salt, Timestamp, Epoch) -> Entry<'static>| {
        let mut log = Synthetic::started();
        log.epoch = Epoch(4);
        entries(&mut log, true, |salt, time, epoch| vec![Entry::Rearm(Rearm { salt, time, epoch })]);
        entries(&mut log, true, |salt, time, epoch| vec![make(salt, time, epoch)]);
        verify(&mut log)
    };
    let trip = |salt, time, epoch| Entry::Trip(Trip { salt, time, epoch, cause: "x" });
    assert!(told(|salt, time, _| Entry::Trip(Trip { salt, time, epoch: Epoch(9), cause: "x" })).verified());
    expect_only(&told(trip), "a trip that begins no epoch: 4 stands already");
    expect_only(
        &told(|salt, time, _| Entry::Rearm(Rearm { salt, time, epoch: Epoch(3) })),
        "epoch fell from 4 to 3",
    );
    expect_only(
        &told(|salt, time, _| Entry::Status(Status { salt, time, epoch: Epoch(5) })),
        "a sign of life of epoch 5",
    );
    let boot = |salt, time, _| {
        let epoch = Epoch(2);
        Entry::Boot(Boot { salt, time, epoch, version: "0", hsm: "x", simulator: true })
    };
    expect_only(&told(boot), "epoch fell from 4 to 2");
}

#[test]
fn every_decision_is_by_a_bundle_that_an_entry_before_it_names() {
    let mut log = Synthetic::started();
    allow(&mut log, true, |allow| allow.bundle = Hash([8; 32]));
    expect_only(&verify_leaves(&mut log), "of which no entry said that it was loaded");
    let offered = |before, after, refused: bool| {
        let mut log = Synthetic::started();
        entries(&mut log, true, |salt, time, _| {
            let outcome = if refused { OfferOutcome::Refused("why") } else { OfferOutcome::Loaded };
            let (source, by, version) = ("x", "watch", None);
            vec![Entry::Bundle(BundleOffer { salt, time, before, after, source, by, version, outcome })]
        });
        verify(&mut log)
    };
    let (in_force, other) = (crate::synthetic::BUNDLE, Hash([8; 32]));
    assert!(offered(in_force, other, false).verified() && offered(in_force, in_force, true).verified());
    expect_only(&offered(other, in_force, false), "is said to be in force");
    expect_only(&offered(in_force, other, true), "refused, and another one in force");
}

#[test]
fn clocks_that_go_back_are_remarked_on_and_times_that_no_clock_had_are_found() {
    let mut log = Synthetic::started();
    log.now = Timestamp(START - 20_000);
    entries(&mut log, true, |salt, time, epoch| vec![Entry::Status(Status { salt, time, epoch })]);
    let report = verify_at(&mut log, Some(Timestamp(START)));
    assert!(report.verified(), "{}", found(&report));
    assert!(report.remarks[0].what.contains("went back by 20000 ms"), "{:?}", report.remarks);
    let report = verify_at(&mut log, Some(Timestamp(START - 86_400_001)));
    expect_only(&report, "more than a day ahead");
}

#[test]
fn a_log_is_opened_in_place_of_another_by_its_first_leaf_or_not_at_all() {
    let opened = |log: &mut Synthetic| {
        entries(log, true, |salt, time, epoch| {
            let (by, signatures) = (["alice"].into_iter().collect(), std::iter::empty().collect());
            let act = assent_log::predecessor::ACT;
            vec![Entry::Operator(OperatorAct { salt, time, epoch, act, by, statement: "", signatures })]
        });
        verify(log)
    };
    expect_only(&opened(&mut Synthetic::started()), "3: operators opened the log here");
    expect_only(&opened(&mut Synthetic::empty()), "0: operators opened the log in place of another");
}

#[test]
fn a_log_of_another_key_or_of_none_does_not_verify() {
    let mut log = Synthetic::started();
    let batch = log.decide(3, 0);
    log.seal(&[batch], true);
    log.close();
    let store = assent_log::reader::Reader::open(&log.path()).expect("the store opens");
    let stranger = Synthetic::of(ed25519_dalek::SigningKey::from_bytes(&[2; 32])).trusted();
    for trusted in [&[][..], &[stranger]] {
        let rounds = store.rounds(LeafIndex(0)).expect("rounds");
        let verification = assent_log::verification::Verification::new(crate::synthetic::ORIGIN, trusted);
        let report = verification.run(rounds, |_| ()).expect("it can be read");
        assert!(found(&report).contains("no trusted key"), "{}", found(&report));
        assert_eq!(report.checkpoints, 0);
    }
}
