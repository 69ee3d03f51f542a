//! What comes after a warrant: each use is reviewed by somebody else, or there is no other warrant, and people are told.

use serde_json::Value;

use super::{Shop, chartered, close, covered, refusals, reopen};
use crate::support::{assent, eventually};

/// The incidents of this kind, each with whether it is over.
fn incidents(shop: &Shop, kind: &str) -> Vec<bool> {
    let (code, out, talk) = assent(Some(&shop.appliance.config()), &["escalation", "list", "-o", "json"]);
    assert_eq!(code, 0, "{talk}");
    let list: Value = serde_json::from_str(&out).expect("JSON");
    let incidents = list["outbox"]["incidents"].as_array().expect("incidents");
    let of_kind = incidents.iter().filter(|incident| incident["kind"] == kind);
    of_kind.map(|incident| !incident["ended_ms"].is_null()).collect()
}

fn told(shop: &Shop, kind: &str, expected: &[bool]) {
    let what = format!("people are told of {kind}: {expected:?}");
    eventually(&what, || (incidents(shop, kind) == expected).then_some(()));
}

#[test]
fn every_use_is_reviewed_by_somebody_else_before_there_is_another_warrant() {
    let mut shop = chartered("0s", "[break_glass]\nreview_within = \"1s\"");
    close(&shop.appliance);
    let leaf = shop.warrant("orders", 2);
    told(&shop, "warrant_activated", &[false]);
    assert!(shop.ask(&covered(2), leaf).all_allowed());
    told(&shop, "warrant_used", &[false, false]);
    told(&shop, "review_overdue", &[false, false]);
    let (_, out, _) = assent(Some(&shop.appliance.config()), &["status"]);
    assert!(out.contains("0 of 2 uses left") && out.contains("2 of 2 reviews"), "{out}");
    reopen(&shop.appliance);
    told(&shop, "warrant_activated", &[true]);
    close(&shop.appliance);
    let statement = shop.prepare("orders", 1);
    let both = ["alice", "bob"];
    let (code, _, talk) = shop.activate(&statement, &both);
    assert!(code == 1 && talk.contains("2 uses under an earlier warrant"), "{code} {talk}");

    let uses = shop.list("review", "uses");
    assert_eq!(uses.len(), 2);
    assert!(uses.iter().all(|used| used["action"] == "Retail::Action::\"cancel_pending_order\""), "{uses:?}");
    let close_review = |used: &Value, by: &[&str]| {
        let at = used["leaf"].to_string();
        let text = "the order was cancelled as the customer asked";
        let known = ["review", "close", &at, "--finding", "justified", "--text", text];
        shop.run(&[&known, by].concat())
    };
    let (alice, carol) = (shop.key("alice"), shop.key("carol"));
    let (code, _, talk) = close_review(&uses[0], &["--key", &alice]);
    assert!(code == 3 && talk.contains("alice signed the warrant"), "{code} {talk}");
    let (code, statement_of_review, talk) = close_review(&uses[0], &[]);
    assert!(code == 4 && talk.contains("to be signed by 1 of: carol\n"), "{code} {talk}");
    let signature = shop.sign("carol", "assent-review@v1", &statement_of_review);
    // It is of one use and no other.
    let (code, _, talk) = close_review(&uses[1], &["--signature", &signature]);
    assert!(code == 3 && talk.contains("over another statement"), "{code} {talk}");
    assert_eq!(close_review(&uses[0], &["--signature", &signature]).0, 0);
    let (code, _, talk) = close_review(&uses[0], &["--signature", &signature]);
    assert!(code == 3 && talk.contains("reviewed already"), "{code} {talk}");
    let (code, _, talk) = shop.activate(&statement, &both);
    assert!(code == 1 && talk.contains("1 uses under an earlier warrant"), "{code} {talk}");
    assert_eq!(close_review(&uses[1], &["--key", &carol]).0, 0);
    told(&shop, "review_overdue", &[true, true]);
    assert_eq!(shop.appliance.status().expect("it answers").break_glass.reviews_open, 0);
    let (code, _, talk) = shop.activate(&statement, &both);
    assert_eq!(code, 0, "{talk}");
    let second = shop.list("warrant", "warrants").last().expect("one")["leaf"].as_u64().expect("a leaf");
    assert_eq!(refusals(&shop.ask(&covered(1), second)), [None]);
    // What is used up is in nobody's way: only the review of its use is.
    let statement = shop.prepare("orders", 1);
    let (code, _, talk) = shop.activate(&statement, &both);
    assert!(code == 1 && talk.contains("1 uses under an earlier warrant"), "{code} {talk}");
    assert_eq!(close_review(&shop.list("review", "uses")[0], &["--key", &carol]).0, 0);
    let (code, _, talk) = shop.activate(&statement, &both);
    assert_eq!(code, 0, "{talk}");
    reopen(&shop.appliance);
    told(&shop, "warrant_activated", &[true, true, true]);
    told(&shop, "warrant_used", &[false, false, false]);
    let report = shop.appliance.stop_and_verify_log();
    let warrants = report["warrants"].as_array().expect("warrants");
    assert_eq!(warrants.len(), 3, "{report}");
    assert!(
        warrants[..2].iter().all(|warrant| {
            let uses = warrant["uses"].as_array().expect("uses");
            !uses.is_empty() && uses.iter().all(|used| used["review"]["by"] == "carol")
        }),
        "{report}"
    );
    assert_eq!(warrants[2]["uses"], serde_json::json!([]), "{report}");
    let (code, out, talk) =
        assent(Some(&shop.appliance.config()), &["log", "verify", "--replay", "-o", "json"]);
    let replayed: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{talk}"));
    assert_eq!((code, &replayed["verified"]), (0, &Value::Bool(true)), "{out}{talk}");
}
