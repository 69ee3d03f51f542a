//! Approvals: who signed what, and what may rest on it.

use assent_log::verification::Report;
use assent_proto::entry::{Allow, Answer, Approval, Entry, Grounds, Salt};
use assent_proto::hash::Hash;
use assent_proto::intent::Uid;
use assent_proto::number::LeafIndex;

use crate::break_glass::{lasting, nothing};
use crate::office::Office;
use crate::synthetic::{BUNDLE, ORIGIN, PRINCIPAL, Synthetic, leaves};
use crate::verdict::{expect_only, found, verify_leaves};

const INTENT: Hash = Hash([4; 32]);

/// An answer to the hold at leaf 1, signed by alice, then changed.
fn answer(log: &mut Synthetic, answer: Answer, change: impl FnOnce(&mut Approval<'static>)) -> u64 {
    let office = Office::open();
    let (hold, mut statement) = (LeafIndex(1), String::new());
    Approval::write_statement(ORIGIN, hold, &INTENT, PRINCIPAL, answer, &mut statement).unwrap();
    let line = lasting(office.line("alice"));
    let key = lasting(line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    let signature = lasting(office.sign("alice", Approval::NAMESPACE, &statement));
    let (salt, time, epoch) = (Salt([5; 16]), log.now, log.epoch);
    let mut approval = Approval {
        salt,
        time,
        epoch,
        hold,
        intent: INTENT,
        principal: PRINCIPAL,
        answer,
        by: "alice",
        key,
        bundle: BUNDLE,
        signature,
    };
    change(&mut approval);
    let at = log.size();
    log.commit(&[&leaves(&[Entry::Approval(approval)])], nothing(), true);
    at
}

/// An allow that rests on the entry at this leaf, changed.
fn rest(log: &mut Synthetic, leaf: u64, change: impl FnOnce(&mut Allow<'_>)) -> Report {
    let time = log.now;
    let mut allow = Allow {
        salt: Salt([3; 16]),
        time,
        epoch: log.epoch,
        bundle: BUNDLE,
        principal: PRINCIPAL,
        audience: "store-api",
        action: Uid { type_name: "Retail::Action", id: "cancel_pending_order" },
        resource: Uid { type_name: "Retail::Order", id: "#W1" },
        intent: INTENT,
        not_before: time,
        not_after: time.plus_ms(60_000),
        uses: 1,
        risk: 0,
        grounds: Grounds::Approval(LeafIndex(leaf)),
        policies: std::iter::empty().collect(),
    };
    change(&mut allow);
    log.commit(&[&leaves(&[Entry::Allow(allow)])], nothing(), true);
    verify_leaves(log)
}

#[test]
fn what_rests_on_an_approval_of_the_same_intent_verifies() {
    let mut log = Synthetic::started();
    let leaf = answer(&mut log, Answer::Approved, |_| ());
    let report = rest(&mut log, leaf, |_| ());
    assert!(report.verified(), "{}", found(&report));
}

#[test]
fn a_rejection_or_an_approval_of_something_else_carries_nothing() {
    let changes: [fn(&mut Allow<'_>); 2] = [
        |allow| allow.intent = Hash([9; 32]),
        |allow| allow.principal = "spiffe://retail.example/agent/other",
    ];
    for change in changes {
        let mut log = Synthetic::started();
        let leaf = answer(&mut log, Answer::Approved, |_| ());
        expect_only(&rest(&mut log, leaf, change), "which is not of this intent");
    }
    let mut log = Synthetic::started();
    let leaf = answer(&mut log, Answer::Rejected, |_| ());
    expect_only(&rest(&mut log, leaf, |_| ()), "which is not of this intent");
}

#[test]
fn an_answer_that_its_key_did_not_sign_is_found() {
    let changes: [fn(&mut Approval<'static>); 4] = [
        |approval| approval.intent = Hash([9; 32]),
        |approval| approval.principal = "spiffe://retail.example/agent/other",
        |approval| approval.answer = Answer::Rejected,
        |approval| approval.signature = "-----BEGIN SSH SIGNATURE-----",
    ];
    for change in changes {
        let mut log = Synthetic::started();
        answer(&mut log, Answer::Approved, change);
        expect_only(&verify_leaves(&mut log), "the answer of alice to a hold is not signed");
    }
    let mut log = Synthetic::started();
    answer(&mut log, Answer::Approved, |approval| approval.hold = LeafIndex(100));
    expect_only(&verify_leaves(&mut log), "an answer to the hold at 100, which comes behind it");
}
