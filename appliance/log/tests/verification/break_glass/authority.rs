//! Warrants without authority, uses that a warrant does not have, and reviews by those who must not.

use assent_proto::entry::break_glass::{CHARTER_REVOKE_ACT, CharterRevocation, Finding};
use assent_proto::entry::{Allow, Charter, Entry, Grounds, OperatorAct, Review, Salt, Warrant};
use assent_proto::intent::Uid;
use assent_proto::number::{Epoch, LeafIndex};
use ed25519_dalek::SigningKey;

use crate::synthetic::{ORIGIN, leaves};
use crate::verdict::{expect_only, found};

use super::{Glass, MINUTE_MS, broken, closed, end_of, nothing};

#[test]
fn warrant_with_its_uses_and_reviews_verifies_and_is_told() {
    let (mut glass, warrant) = broken();
    let uses = [1, 2].map(|number| glass.spend(warrant, number, |_| ()));
    let report = glass.report();
    assert!(report.verified(), "{}", found(&report));
    let open: Vec<u64> = report.open_reviews().map(|used| used.index).collect();
    assert_eq!(open, uses);
    let (mut glass, warrant) = broken();
    let uses = [1, 2].map(|number| glass.spend(warrant, number, |_| ()));
    glass.review(warrant, uses[0], "carol", |_| ());
    glass.review(warrant, uses[1], "carol", |review| review.finding = Finding::Unjustified);
    // Everything is reviewed, so another warrant may follow; then the HSM is back and covers it all.
    glass.key = SigningKey::from_bytes(&[9; 32]);
    let second = glass.give(&["bob", "carol"], |_| ());
    glass.spend(second, 1, |_| ());
    glass.end(&end_of(second));
    glass.open();
    let report = glass.report();
    assert!(report.verified(), "{}", found(&report));
    let [first, next] = report.warrants.as_slice() else { panic!("{:?}", report.warrants) };
    assert_eq!((first.index, first.charter_name.as_str(), first.uses.len()), (warrant, "cancellations", 2));
    assert_eq!(first.by, ["alice", "bob"]);
    let judged: Vec<_> = first.uses.iter().map(|used| used.review.as_ref().unwrap().justified).collect();
    assert_eq!(judged, [true, false]);
    assert_eq!((next.index, next.uses[0].number, report.open_reviews().count()), (second, 1, 1));
    assert_eq!(report.gaps[0].allows, 3);
}

#[test]
fn warrant_without_its_charter_or_its_operators_is_none_and_neither_are_its_uses() {
    for (signers, told) in [
        (&["alice"][..], "signed by 1 of the 2 operators"),
        (&["alice", "alice"], "signed by 1 of the 2 operators"),
        (&["alice", "mallory"], "signed by 1 of the 2 operators"),
        (&["alice", "bob", "mallory"], "not those of the operators who are named"),
    ] {
        let mut glass = closed();
        let warrant = glass.give(signers, |_| ());
        glass.spend(warrant, 1, |_| ());
        let report = glass.report();
        let findings = found(&report);
        assert_eq!(report.findings_total, 2, "{findings}");
        assert!(findings.contains(told), "{findings}");
        assert!(findings.contains("where the log holds none that verifies"), "{findings}");
        assert_eq!(report.warrants, []);
    }
    let refused = |change: fn(&mut Warrant<'static>)| {
        let mut glass = closed();
        glass.give(&["alice", "bob"], change);
        glass.report()
    };
    expect_only(&refused(|given| given.charter = LeafIndex(1)), "where the log holds none that verifies");
    expect_only(&refused(|given| given.uses = 3), "more than its charter allows");
    expect_only(&refused(|given| given.not_after.0 += 1), "window is longer than its charter allows");
    expect_only(&refused(|given| given.reason = ""), "reason: empty");
    let mut glass = Glass::with_charter(true, |charter| charter.not_after = charter.time.plus_ms(MINUTE_MS));
    glass.close(MINUTE_MS);
    glass.give(&["alice", "bob"], |_| ());
    expect_only(&glass.report(), "warrant lives longer than its charter");
}

#[test]
fn charter_that_is_malformed_is_found() {
    let bad = |change: fn(&mut Charter<'static>)| Glass::with_charter(true, change).report();
    expect_only(&bad(|charter| charter.threshold = 3), "charter: threshold: out of its bounds");
    expect_only(&bad(|charter| charter.name = "a\nb"), "charter: name");
    expect_only(&bad(|charter| charter.operators = (&["x y", "z", "x"][..]).into()), "no key of a type");
}

#[test]
fn warrant_out_of_turn_is_found_though_it_verifies() {
    let mut glass = Glass::with_charter(true, |_| ());
    glass.give(&["alice", "bob"], |_| ());
    expect_only(&glass.report(), "warrant while the boundary was open");
    let mut glass = Glass::with_charter(true, |_| ());
    glass.close(MINUTE_MS - 1);
    glass.give(&["alice", "bob"], |_| ());
    expect_only(&glass.report(), "closed for 59999 ms, and its charter wants 60 s");
    let mut glass = Glass::with_charter(false, |_| ());
    glass.close(MINUTE_MS);
    glass.give(&["alice", "bob"], |_| ());
    expect_only(&glass.report(), "which no checkpoint covered before");
    // A second trip does not begin the time anew.
    let mut glass = Glass::with_charter(true, |_| ());
    glass.close(MINUTE_MS - 5000);
    glass.close(5000);
    glass.give(&["alice", "bob"], |_| ());
    assert!(glass.report().verified());
    let (mut glass, warrant) = broken();
    let used = glass.spend(warrant, 1, |_| ());
    glass.key = SigningKey::from_bytes(&[9; 32]);
    glass.give(&["alice", "bob"], |_| ());
    expect_only(&glass.report(), &format!("before the use at {used} was reviewed"));
    let (mut glass, warrant) = broken();
    glass.give(&["bob", "carol"], |_| ());
    expect_only(&glass.report(), &format!("warrant has the key of the warrant at {warrant}"));
}

#[test]
fn warrant_after_its_charter_was_revoked_is_found() {
    let revoked = |change: fn(&mut String)| {
        let mut glass = Glass::with_charter(true, |_| ());
        let (charter, hash) = (LeafIndex(glass.charter), *glass.hash.get().unwrap());
        let mut statement = String::new();
        let revocation = CharterRevocation { origin: ORIGIN, charter, hash, reason: "bob has left" };
        revocation.write_statement(&mut statement).unwrap();
        change(&mut statement);
        let (salt, time, epoch) = (Salt([6; 16]), glass.log.now, glass.log.epoch);
        let act = OperatorAct {
            salt,
            time,
            epoch,
            act: CHARTER_REVOKE_ACT,
            by: ["alice"].into_iter().collect(),
            statement: &statement,
            signatures: std::iter::empty().collect(),
        };
        let act = leaves(&[Entry::Operator(act)]);
        glass.log.commit(&[&act], nothing(), true);
        glass
    };
    assert!(revoked(|_| ()).report().verified());
    let mut glass = revoked(|_| ());
    glass.close(MINUTE_MS);
    glass.give(&["alice", "bob"], |_| ());
    expect_only(&glass.report(), "which was revoked before");
    expect_only(&revoked(|text| text.push('x')).report(), "not one that revokes the charter");
    let elsewhere = |text: &mut String| *text = text.replace("charter 3 ", "charter 1 ");
    expect_only(&revoked(elsewhere).report(), "a charter that the log does not hold");
}

#[test]
fn use_that_its_warrant_does_not_have_is_found() {
    let spent = |number: u16, change: fn(&mut Allow<'_>)| {
        let (mut glass, warrant) = broken();
        glass.spend(warrant, number, change);
        glass.report()
    };
    assert!(spent(1, |_| ()).verified());
    expect_only(&spent(2, |_| ()), "whose next use is number 1");
    expect_only(&spent(0, |_| ()), "whose next use is number 1");
    expect_only(&spent(1, |allow| allow.uses = 2), "whose next use is number 1");
}

#[test]
fn use_outside_window_scope_or_epoch_is_found() {
    let spent = |change: fn(&mut Allow<'_>)| {
        let (mut glass, warrant) = broken();
        glass.spend(warrant, 1, change);
        glass.report()
    };
    let scope = "that its charter does not cover";
    expect_only(&spent(|allow| allow.action = Uid { type_name: "Retail::Action", id: "refund" }), scope);
    expect_only(&spent(|allow| allow.resource = Uid { type_name: "Retail::Cart", id: "1" }), scope);
    let window = "not within that of the warrant";
    expect_only(&spent(|allow| allow.not_after = allow.time.plus_ms(60 * MINUTE_MS)), window);
    let before = |allow: &mut Allow<'_>| {
        (allow.time, allow.not_before) = (allow.time.minus_ms(2000), allow.time.minus_ms(2000));
    };
    expect_only(&spent(before), window);
    expect_only(&spent(|allow| allow.epoch = Epoch(0)), "allowed in epoch 0, and it is 1");
    let (mut glass, warrant) = broken();
    for number in [1, 2, 3] {
        glass.spend(warrant, number, |_| ());
    }
    expect_only(&glass.report(), "which has 2");
    let (mut glass, warrant) = broken();
    glass.spend(warrant, 1, |_| ());
    glass.spend(warrant, 1, |_| ());
    expect_only(&glass.report(), "use 1 of the warrant");
    // Nothing but a warrant's uses may lack a signature.
    let (mut glass, warrant) = broken();
    glass.spend(warrant, 1, |allow| allow.grounds = Grounds::Policy);
    assert!(found(&glass.report()).contains("an allow without a signed checkpoint over its round"));
}

#[test]
fn use_of_a_warrant_that_was_ended_or_while_the_boundary_is_open_is_found() {
    let (mut glass, warrant) = broken();
    glass.spend(warrant, 1, |_| ());
    glass.end(&end_of(warrant));
    assert!(glass.report().verified());
    let (mut glass, warrant) = broken();
    glass.end(&end_of(warrant));
    let used = glass.spend(warrant, 1, |_| ());
    let told = format!("{used}: a use of the warrant at {warrant} after it was ended");
    expect_only(&glass.report(), &told);
    // Another that follows has nothing to do with it.
    let (mut glass, warrant) = broken();
    glass.end(&end_of(warrant));
    glass.key = SigningKey::from_bytes(&[9; 32]);
    let second = glass.give(&["bob", "carol"], |_| ());
    glass.spend(second, 1, |_| ());
    assert!(glass.report().verified());
    // It was over when the boundary opened, and the clock goes back.
    let (mut glass, warrant) = broken();
    glass.log.now = glass.log.now.plus_ms(60 * MINUTE_MS);
    glass.open();
    glass.log.now = glass.log.now.minus_ms(60 * MINUTE_MS);
    let used = glass.spend(warrant, 1, |_| ());
    expect_only(&glass.report(), &format!("{used}: a use of a warrant while the boundary was open"));
}

#[test]
fn boundary_that_opens_ends_the_warrant_that_lives() {
    let (mut glass, warrant) = broken();
    glass.open();
    expect_only(&glass.report(), &format!("no entry ended the warrant at {warrant}"));
    // One that is used up, or over, gives leave for nothing.
    let (mut glass, warrant) = broken();
    for number in [1, 2] {
        glass.spend(warrant, number, |_| ());
    }
    glass.open();
    assert!(glass.report().verified());
    let (mut glass, _) = broken();
    glass.log.now = glass.log.now.plus_ms(60 * MINUTE_MS);
    glass.open();
    assert!(glass.report().verified());
    let ended = |statement: fn(u64) -> String| {
        let (mut glass, warrant) = broken();
        glass.end(&statement(warrant));
        glass.report()
    };
    let none = "the end of a warrant that the log does not hold";
    expect_only(&ended(|warrant| end_of(warrant + 1)), none);
    let elsewhere = |warrant| end_of(warrant).replace(ORIGIN, "localhost/other/log/1");
    expect_only(&ended(elsewhere), "the end of a warrant of another log");
}

#[test]
fn review_by_a_signer_a_stranger_or_of_nothing_is_found() {
    let reviewed = |by: &str, change: fn(&mut Review<'static>)| {
        let (mut glass, warrant) = broken();
        let used = glass.spend(warrant, 1, |_| ());
        glass.review(warrant, used, by, change);
        glass.report()
    };
    assert!(reviewed("carol", |_| ()).verified());
    expect_only(&reviewed("alice", |_| ()), "review by alice, who signed the warrant");
    expect_only(&reviewed("mallory", |_| ()), "review: signed by 0 of the 1 operators");
    expect_only(&reviewed("carol", |review| review.by = "bob"), "another operator than it names");
    expect_only(&reviewed("carol", |review| review.used.0 += 1), "which the log does not hold");
    expect_only(&reviewed("carol", |review| review.warrant.0 -= 1), "which the log does not hold");
    expect_only(&reviewed("carol", |review| review.text = "a\nb"), "review: text");
    let (mut glass, warrant) = broken();
    let used = glass.spend(warrant, 1, |_| ());
    glass.review(warrant, used, "carol", |_| ());
    glass.review(warrant, used, "carol", |_| ());
    expect_only(&glass.report(), "a second review of the use");
}
