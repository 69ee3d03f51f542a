//! Outages: what the log counts in a gap is what stands in it, or it does not verify.

use assent_proto::entry::{Entry, Outage, Rearm, Status};
use assent_proto::number::TreeSize;

use crate::synthetic::Synthetic;
use crate::verdict::{expect_only, found, verify};

/// What is made of an honest account.
struct Falsified(fn(Outage) -> Outage);

/// A log with some work, an outage with seven denials in it, and its end, with what `account` makes of the honest one.
fn after_outage(account: impl FnOnce(Outage) -> Option<Outage>) -> Synthetic {
    let mut log = Synthetic::started();
    let batch = log.decide(5, 2);
    log.seal(&[batch], true);
    log.trip("signer_lost");
    let batches = [log.decide(4, 0), log.decide(3, 0)];
    log.seal(&batches, false);
    let outage = log.outage();
    log.rearm(account(outage));
    let batch = log.decide(2, 0);
    log.seal(&[batch], true);
    log
}

#[test]
fn an_outage_that_is_accounted_for_is_told_with_all_that_was_in_it() {
    let report = verify(&mut after_outage(Some));
    assert!(report.verified(), "{}", found(&report));
    let [gap] = report.gaps.as_slice() else { panic!("{:?}", report.gaps) };
    assert_eq!((gap.from_size, gap.entries, gap.denials, gap.holds, gap.allows), (8, 8, 7, 0, 0));
    assert_eq!(
        (gap.closed, gap.covered_by, gap.causes.as_slice()),
        (true, Some(18), &["signer_lost".to_owned()][..])
    );
    assert!(gap.until_ms.is_some_and(|until| gap.began_ms < until));
}

#[test]
fn a_gap_without_an_account_or_with_a_false_one_does_not_verify() {
    expect_only(&verify(&mut after_outage(|_| None)), "8 unsigned entries from 8 have no outage entry");
    let false_ones: [(&str, Falsified); 5] = [
        (
            "says 6 for the denials in the gap, and it was 7",
            Falsified(|outage| Outage { denials: 6, ..outage }),
        ),
        ("says 1 for the holds in the gap", Falsified(|outage| Outage { holds: 1, ..outage })),
        (
            "says 7 for what the last checkpoint covered",
            Falsified(|outage| Outage { covered: TreeSize(7), ..outage }),
        ),
        ("says 15 for where the log stood", Falsified(|outage| Outage { reached: TreeSize(15), ..outage })),
        (
            "began after what stands in it",
            Falsified(|outage| Outage { from: outage.from.plus_ms(60_000), ..outage }),
        ),
    ];
    for (told, Falsified(falsify)) in false_ones {
        expect_only(&verify(&mut after_outage(|outage| Some(falsify(outage)))), told);
    }
}

#[test]
fn an_outage_entry_where_there_was_no_outage_does_not_verify() {
    let mut log = Synthetic::started();
    let outage = log.outage();
    log.rearm(Some(outage));
    expect_only(&verify(&mut log), "an outage entry where there is no gap");
}

#[test]
fn an_open_gap_at_the_end_is_no_fault_and_is_told() {
    let mut log = Synthetic::started();
    log.trip("device_removed");
    let batch = log.decide(3, 0);
    log.seal(&[batch], false);
    let report = verify(&mut log);
    assert!(report.verified(), "{}", found(&report));
    let [gap] = report.gaps.as_slice() else { panic!("{:?}", report.gaps) };
    assert_eq!(
        (gap.closed, gap.entries, gap.denials, gap.until_ms, gap.covered_by),
        (false, 4, 3, None, None)
    );
}

#[test]
fn silence_while_it_ran_is_told_apart_from_silence_while_it_was_stopped() {
    let mut log = Synthetic::started();
    log.now = log.now.plus_ms(90_000);
    log.operate(|salt, time, epoch| vec![Entry::Status(Status { salt, time, epoch })]);
    log.now = log.now.plus_ms(3_600_000);
    log.operate(|salt, time, epoch| {
        vec![crate::synthetic::boot(salt, time, epoch), Entry::Rearm(Rearm { salt, time, epoch })]
    });
    let report = verify(&mut log);
    assert!(report.verified(), "{}", found(&report));
    let lasted = |silence: Option<assent_log::verification::Silence>| {
        silence.map(|silence| (silence.ms, silence.index))
    };
    assert_eq!(lasted(report.silence), Some((91_000, 3)));
    assert_eq!(lasted(report.stopped), Some((3_601_000, 4)));
}
