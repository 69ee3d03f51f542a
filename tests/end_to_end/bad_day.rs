//! The bad day, whole: load, an HSM that goes, a queue at three priorities, a warrant and its reviews, the drain, holds, people
//! who are told, and a log that verifies. The product's own demo plays it, and this holds it to what it says.

use crate::support::assent;

/// What of the day must have been looked at, whatever else was.
const MUST: &[&str] = &[
    "wait in the queue, durably, at three priorities",
    "incidents allowed under the warrant",
    "the use beyond its count is refused",
    "tokens taken offline, with the warrant's file",
    "decided of those that waited",
    "  in the log by priority, the highest first",
    "reviews refused from a signer of the warrant",
    "reviews taken from another operator",
    "approved, rejected, unanswered",
    "told of the trip, though the line was down: once",
    "  decisions that come out otherwise when made again",
    "  outages that it lists",
    "  with a review",
];

#[test]
fn everything_holds_on_a_bad_day() {
    let (code, out, talk) = assent(None, &["demo", "--bad-day", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{talk}"));
    assert_eq!((code, &told["held"]), (0, &true.into()), "{told:#}{talk}");
    let lines = told["lines"].as_array().expect("lines");
    for must in MUST {
        let line = lines.iter().find(|line| line["what"] == *must);
        assert_eq!(line.map(|line| &line["held"]), Some(&true.into()), "{must}: {told:#}");
    }
}
