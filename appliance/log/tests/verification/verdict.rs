//! What a verification says of a synthetic log.

use assent_log::reader::Reader;
use assent_log::verification::{Report, Verification};
use assent_proto::number::{LeafIndex, Timestamp};

use crate::synthetic::{ORIGIN, Synthetic};

/// Verifies it, on one thread and on three: both must find the same.
pub(crate) fn verify(log: &mut Synthetic) -> Report {
    verify_at(log, None)
}

pub(crate) fn verify_at(log: &mut Synthetic, now: Option<Timestamp>) -> Report {
    verify_with(log, now, true)
}

/// Verifies the leaves of one whose requests were never written.
pub(crate) fn verify_leaves(log: &mut Synthetic) -> Report {
    verify_with(log, None, false)
}

fn verify_with(log: &mut Synthetic, now: Option<Timestamp>, looks_beside: bool) -> Report {
    log.close();
    let (store, trusted) = (Reader::open(&log.path()).expect("the store opens"), [log.trusted()]);
    let [report, other] = [1, 3].map(|threads| {
        let verification = Verification::new(ORIGIN, &trusted).on(threads);
        let verification = if looks_beside { verification.beside(&store) } else { verification };
        let verification = if let Some(now) = now { verification.at(now) } else { verification };
        let rounds = store.rounds(LeafIndex(0)).expect("rounds");
        let mut report = verification.run(rounds, |_| ()).expect("it can be read");
        report.compare_with_head(&store.head().expect("a head"));
        report
    });
    assert_eq!(format!("{report:?}"), format!("{other:?}"), "threads change nothing");
    report
}

/// What was found, in a line each.
pub(crate) fn found(report: &Report) -> String {
    let lines = report.findings.iter().map(|finding| format!("{}: {}", finding.index, finding.what));
    lines.collect::<Vec<_>>().join("\n")
}

/// Asserts that this, and nothing else, is wrong.
pub(crate) fn expect_only(report: &Report, what: &str) {
    assert_eq!(report.findings_total, 1, "{}", found(report));
    assert!(found(report).contains(what), "{}", found(report));
}
