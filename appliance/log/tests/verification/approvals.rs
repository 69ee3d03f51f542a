//! Approvals: who signed what, of which hold, and what may rest on it.

use assent_log::reader::Reader;
use assent_log::verification::{Report, Verification};
use assent_proto::entry::{Allow, Answer, Approval, Deny, Entry, Grounds, Hold, Salt, Wait};
use assent_proto::hash::Hash;
use assent_proto::intent::{Priority, Uid};
use assent_proto::number::LeafIndex;
use assent_proto::refusal::Refusal;

use crate::break_glass::{lasting, nothing};
use crate::office::Office;
use crate::synthetic::{BUNDLE, ORIGIN, PRINCIPAL, Synthetic, leaves};
use crate::verdict::{expect_only, found, verify_leaves};

const INTENT: Hash = Hash([4; 32]);
const OTHER: &str = "spiffe://retail.example/agent/other";
const ACTION: Uid<'_> = Uid { type_name: "Retail::Action", id: "cancel_pending_order" };
const RESOURCE: Uid<'_> = Uid { type_name: "Retail::Order", id: "#W1" };

/// A log whose operators answer holds.
struct Desk {
    log: Synthetic,
    office: Office,
    /// The hold that is answered.
    hold: u64,
}

impl Desk {
    /// One with a hold of the synthetic agent's, changed.
    fn with(change: impl FnOnce(&mut Hold<'_>)) -> Self {
        let mut desk = Self { log: Synthetic::started(), office: Office::open(), hold: 0 };
        desk.hold(change);
        desk
    }

    fn open() -> Self {
        Self::with(|_| ())
    }

    fn hold(&mut self, change: impl FnOnce(&mut Hold<'_>)) {
        let (time, epoch) = (self.log.now, self.log.epoch);
        let denial = Deny {
            salt: Salt([2; 16]),
            time,
            epoch,
            bundle: BUNDLE,
            principal: PRINCIPAL,
            audience: "store-api",
            action: ACTION,
            resource: RESOURCE,
            intent: INTENT,
            refusal: Refusal::AwaitingApproval,
            risk: 0,
            policies: std::iter::empty().collect(),
        };
        let wait = Some(Wait { until: time.plus_ms(900_000), priority: Priority::Normal });
        let mut hold = Hold { denial, wait };
        change(&mut hold);
        self.hold = self.put(&Entry::Hold(hold));
    }

    /// A signed round of this entry; gives its leaf.
    fn put(&mut self, entry: &Entry<'_>) -> u64 {
        let at = self.log.size();
        self.log.commit(&[&leaves(std::slice::from_ref(entry))], nothing(), true);
        at
    }

    /// An operator's answer to the hold, signed, then changed.
    fn answer_by(&mut self, by: &str, answer: Answer, change: impl FnOnce(&mut Approval<'static>)) -> u64 {
        let (hold, mut statement) = (LeafIndex(self.hold), String::new());
        Approval::write_statement(ORIGIN, hold, &INTENT, PRINCIPAL, answer, &mut statement).unwrap();
        let line = lasting(self.office.line(by));
        let key = lasting(line.split(' ').take(2).collect::<Vec<_>>().join(" "));
        let signature = lasting(self.office.sign(by, Approval::NAMESPACE, &statement));
        let (salt, time, epoch) = (Salt([5; 16]), self.log.now, self.log.epoch);
        let mut approval = Approval {
            salt,
            time,
            epoch,
            hold,
            intent: INTENT,
            principal: PRINCIPAL,
            answer,
            by: lasting(by),
            key,
            bundle: BUNDLE,
            signature,
        };
        change(&mut approval);
        self.put(&Entry::Approval(approval))
    }

    fn approve(&mut self) -> u64 {
        self.answer_by("alice", Answer::Approved, |_| ())
    }

    /// An allow that rests on the entry at this leaf, changed; gives its leaf.
    fn rest(&mut self, leaf: u64, change: impl FnOnce(&mut Allow<'_>)) -> u64 {
        let time = self.log.now;
        let mut allow = Allow {
            salt: Salt([3; 16]),
            time,
            epoch: self.log.epoch,
            bundle: BUNDLE,
            principal: PRINCIPAL,
            audience: "store-api",
            action: ACTION,
            resource: RESOURCE,
            intent: INTENT,
            not_before: time,
            not_after: time.plus_ms(60_000),
            uses: 1,
            risk: 0,
            grounds: Grounds::Approval(LeafIndex(leaf)),
            policies: std::iter::empty().collect(),
        };
        change(&mut allow);
        self.put(&Entry::Allow(allow))
    }

    fn report(&mut self) -> Report {
        verify_leaves(&mut self.log)
    }

    /// How many approvals each allow is told to rest on.
    fn counted(&mut self) -> Vec<(u64, Option<u64>)> {
        self.log.close();
        let (store, trusted) = (Reader::open(&self.log.path()).unwrap(), [self.log.trusted()]);
        let mut counted = Vec::new();
        let rounds = store.rounds(LeafIndex(0)).unwrap();
        let take = |(), approved: &[assent_log::verification::Approved]| {
            counted.extend(approved.iter().map(|approved| (approved.index, approved.approvals)));
        };
        let look = |_: &assent_log::store::StoredRound| Ok::<_, assent_log::store::StoreError>(());
        Verification::new(ORIGIN, &trusted).run_with(rounds, look, take, |_| ()).unwrap();
        counted
    }
}

#[test]
fn what_rests_on_an_approval_of_the_same_intent_verifies() {
    let mut desk = Desk::open();
    let leaf = desk.approve();
    desk.rest(leaf, |_| ());
    // The same is asked again, held again, and answered anew.
    desk.hold(|_| ());
    let leaf = desk.approve();
    desk.rest(leaf, |_| ());
    let report = desk.report();
    assert!(report.verified() && report.remarks.is_empty(), "{}", found(&report));
}

#[test]
fn a_rejection_or_an_approval_of_something_else_carries_nothing() {
    let changes: [fn(&mut Allow<'_>); 2] =
        [|allow| allow.intent = Hash([9; 32]), |allow| allow.principal = OTHER];
    for change in changes {
        let mut desk = Desk::open();
        let leaf = desk.approve();
        desk.rest(leaf, change);
        expect_only(&desk.report(), "which is not of this intent");
    }
    let mut desk = Desk::open();
    let leaf = desk.answer_by("alice", Answer::Rejected, |_| ());
    desk.rest(leaf, |_| ());
    expect_only(&desk.report(), &format!("allowed on the approval at {leaf}, where there is none before it"));
    // What others approved does not outweigh it.
    let mut desk = Desk::open();
    let leaf = desk.approve();
    let rejected = desk.answer_by("bob", Answer::Rejected, |_| ());
    desk.rest(leaf, |_| ());
    expect_only(&desk.report(), &format!("which was rejected at {rejected}"));
}

#[test]
fn an_answer_to_what_awaits_none_or_to_another_hold_carries_nothing() {
    let holds: [fn(&mut Hold<'_>); 2] =
        [|hold| hold.denial.refusal = Refusal::Queued, |hold| hold.wait = None];
    for change in holds {
        let mut desk = Desk::with(change);
        let leaf = desk.approve();
        desk.rest(leaf, |_| ());
        let report = desk.report();
        let findings = found(&report);
        assert_eq!(report.findings_total, 2, "{findings}");
        let told = format!("{leaf}: an answer to the hold at {}, where none awaits approval", desk.hold);
        assert!(findings.contains(&told), "{findings}");
        assert!(findings.contains("where there is none before it"), "{findings}");
    }
    // A start is no hold.
    let mut desk = Desk::open();
    desk.hold = 1;
    desk.approve();
    expect_only(&desk.report(), "an answer to the hold at 1, where none awaits approval");
    let others: [fn(&mut Hold<'_>); 2] =
        [|hold| hold.denial.intent = Hash([9; 32]), |hold| hold.denial.principal = OTHER];
    for change in others {
        let mut desk = Desk::with(change);
        desk.approve();
        expect_only(&desk.report(), "which is of another intent");
    }
}

#[test]
fn a_hold_gives_leave_once() {
    let mut desk = Desk::open();
    let first = desk.approve();
    let second = desk.answer_by("bob", Answer::Approved, |_| ());
    let allowed = desk.rest(second, |_| ());
    for leaf in [first, second] {
        let mut desk = Desk::open();
        assert_eq!((desk.approve(), desk.answer_by("bob", Answer::Approved, |_| ())), (first, second));
        desk.rest(second, |_| ());
        desk.rest(leaf, |_| ());
        let told = format!("allowed on the hold at {}, on which the allow at {allowed} rests", desk.hold);
        expect_only(&desk.report(), &told);
    }
}

#[test]
fn approvals_are_counted_by_keys_and_names_up_to_the_one_that_is_named() {
    let mut desk = Desk::open();
    desk.approve();
    // The same key, whatever name and number it is given.
    let again = desk.answer_by("alice", Answer::Approved, |approval| approval.by = "bob");
    let at = desk.rest(again, |_| ());
    desk.hold(|_| ());
    let first = desk.approve();
    desk.answer_by("bob", Answer::Approved, |_| ());
    let named_too_early = desk.rest(first, |_| ());
    desk.hold(|_| ());
    desk.answer_by("carol", Answer::Approved, |_| ());
    let last = desk.answer_by("dave", Answer::Approved, |_| ());
    let both = desk.rest(last, |_| ());
    desk.hold(|_| ());
    desk.approve();
    let second_key = desk.answer_by("bob", Answer::Approved, |approval| approval.by = "alice");
    let alone = desk.rest(second_key, |_| ());
    let expected = [(at, Some(1)), (named_too_early, Some(1)), (both, Some(2)), (alone, Some(1))];
    assert_eq!(desk.counted(), expected);
}

#[test]
fn an_answer_that_its_key_did_not_sign_is_found() {
    let changes: [fn(&mut Approval<'static>); 4] = [
        |approval| approval.intent = Hash([9; 32]),
        |approval| approval.principal = OTHER,
        |approval| approval.answer = Answer::Rejected,
        |approval| approval.signature = "-----BEGIN SSH SIGNATURE-----",
    ];
    for change in changes {
        let mut desk = Desk::open();
        desk.answer_by("alice", Answer::Approved, change);
        expect_only(&desk.report(), "the answer of alice to a hold is not signed");
    }
    let mut desk = Desk::open();
    desk.answer_by("alice", Answer::Approved, |approval| approval.hold = LeafIndex(100));
    expect_only(&desk.report(), "an answer to the hold at 100, which comes behind it");
}
