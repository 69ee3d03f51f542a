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

/// Has the use found justified, signed so: the command's end.
fn close_review(shop: &Shop, used: &Value, by: &[&str]) -> (i32, String, String) {
    let at = used["leaf"].to_string();
    let text = "the order was cancelled as the customer asked";
    let known = ["review", "close", &at, "--finding", "justified", "--text", text];
    shop.run(&[&known, by].concat())
}

/// What is to be signed, beside which whoever is to sign sees the use.
fn to_review(shop: &Shop, used: &Value) -> String {
    let (code, statement, talk) = close_review(shop, used, &[]);
    assert!(code == 4 && talk.contains("to be signed by 1 of: carol\n"), "{code} {talk}");
    assert!(talk.contains("the HSM is gone and customers wait"), "{talk}");
    let (_, asked, _) = close_review(shop, used, &["-o", "json"]);
    let asked: Value = serde_json::from_str(&asked).expect("JSON");
    assert_eq!((&asked["reviewed"]["use"], asked["statement"].as_str()), (used, Some(statement.as_str())));
    statement
}

/// The log verifies, its decisions are the policies', and each use of the three warrants has its review.
fn told_by_verification(shop: &Shop, report: &Value) {
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

/// An auditor's page and rows tell on which warrant a use rests, and what its review says.
fn told_to_auditors(shop: &Shop, uses: &[Value]) {
    let config = shop.appliance.config();
    let (code, page, talk) = assent(Some(&config), &["log", "report"]);
    assert_eq!(code, 0, "{talk}");
    assert!(page.contains("<h2 id=\"warrants\">Warrants: 3</h2>"), "{page}");
    assert_eq!(page.matches("justified, says carol at leaf").count(), 3, "{page}");
    assert_eq!(
        page.matches(": use 1 of the warrant at").count(),
        2,
        "each use is listed with its proof: {page}"
    );
    assert_eq!(page.matches(": use 2 of the warrant at").count(), 1, "{page}");
    let index = uses[1]["leaf"].to_string();
    let (_, csv, _) = assent(Some(&config), &["log", "export", "--index", &index, "-o", "csv"]);
    let row = format!(",warrant,{},{},", uses[1]["warrant"], uses[1]["number"]);
    assert!(csv.contains(",grounds,grounds_leaf,grounds_number,") && csv.contains(&row), "{csv}");
    let (_, ocsf, _) = assent(Some(&config), &["log", "export", "--index", &index, "-o", "ocsf"]);
    let event: Value = serde_json::from_str(&ocsf).expect("an event");
    let grounds =
        serde_json::json!({"kind": "warrant", "leaf": uses[1]["warrant"], "number": uses[1]["number"]});
    assert_eq!(event["unmapped"]["assent"]["entry"]["grounds"], grounds, "{event}");
}

#[test]
fn who_reviews_a_use_sees_all_of_it_while_the_appliance_runs() {
    let mut shop = chartered("0s", "");
    close(&shop.appliance);
    let (warrant, mut intents) = (shop.warrant("orders", 3), covered(2));
    let spoofed = "fine\n\u{202e}evil\u{1b}[2J";
    intents[1].context.insert("reason".to_owned(), spoofed.into());
    let outcomes = shop.ask(&intents, warrant);
    assert_eq!(outcomes.tokens().count(), 2, "{outcomes:?}");
    let leaf = shop.list("review", "uses")[1]["leaf"].to_string();
    let show = ["review", "show", &leaf];
    let (code, out, talk) = shop.run(&show);
    assert!(code == 0 && talk.contains(&format!("review close {leaf}")), "{talk}");
    let intent: Value = serde_json::to_value(&intents[1]).expect("JSON");
    for told in [
        "use        2 of the warrant at leaf",
        "action     Retail::Action::\"cancel_pending_order\"",
        intents[1].resource.id.as_str(),
        intents[1].audience.as_str(),
        "signed by alice, bob",
        "reason     the HSM is gone and customers wait",
        "uses       2 of 3 were made; it is active",
        "review     OPEN, due 20",
        "evil",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
    assert!(!out.contains('\u{202e}') && !out.contains('\u{1b}') && !out.contains("MISSING"), "{out:?}");
    let (code, out, talk) = shop.run(&[&show[..], &["-o", "json"]].concat());
    assert!(code == 0 && !out.contains('\u{202e}') && !out.contains('\u{1b}'), "{out:?}{talk}");
    let told: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(told["schema"], "assent.v1.breakglass.review.show");
    assert_eq!((&told["allowed"]["intent"]["context"], &told["missing"]), (&intent["context"], &Value::Null));
    assert_eq!((&told["use"]["number"], &told["warrant"]["by"][1]), (&2.into(), &"bob".into()), "{told}");
    let carol = shop.key("carol");
    let close =
        ["review", "close", &leaf, "--finding", "unjustified", "--text", "nobody asked", "--key", &carol];
    let (code, _, talk) = shop.run(&close);
    assert!(code == 0 && talk.contains("evil") && !talk.contains('\u{1b}'), "{talk:?}");
    let (_, out, _) = shop.run(&show);
    assert!(out.contains("unjustified, says carol: nobody asked"), "{out}");
    let (code, _, talk) = shop.run(&["review", "show", &warrant.to_string()]);
    assert!(code == 1 && talk.contains("is no use of a warrant"), "{code} {talk}");
    // What is erased cannot be shown, and can be reviewed all the same.
    reopen(&shop.appliance);
    let agent = told["use"]["principal"].as_str().expect("an agent");
    let erase = ["log", "erase", "--principal", agent, "--reason", "asked to"];
    let (code, _, talk) = assent(Some(&shop.appliance.config()), &erase);
    assert_eq!(code, 0, "{talk}");
    let first = shop.list("review", "uses")[0]["leaf"].to_string();
    let (code, out, _) = shop.run(&["review", "show", &first]);
    assert!(code == 0 && out.contains("MISSING    no intent of this digest"), "{out}");
    let close = ["review", "close", &first, "--finding", "justified", "--text", "as asked", "--key", &carol];
    assert_eq!(shop.run(&close).0, 0);
    shop.appliance.stop_and_verify_log();
}

#[test]
fn a_warrant_that_is_activated_again_tells_what_is_left_of_it() {
    let mut shop = chartered("0s", "");
    close(&shop.appliance);
    let (statement, both) = (shop.prepare("orders", 2), ["alice", "bob"]);
    let file = shop.appliance.folder.path().join("warrant.statement").display().to_string();
    let leaf = eventually("the warrant lives", || {
        let (code, out, _) = shop.activate(&statement, &both);
        let active: Value = serde_json::from_str(&out).ok().filter(|_| code == 0)?;
        active["warrant"]["leaf"].as_u64()
    });
    let again = || {
        let signatures = both.map(|name| format!("{file}.{name}.sig"));
        let [alice, bob] = &signatures;
        shop.run(&["warrant", "activate", &file, "--signature", alice, "--signature", bob])
    };
    for left in ["2 of 2", "1 of 2", "0 of 2"] {
        let (code, out, talk) = again();
        let told = format!("warrant at leaf {leaf}: {left} uses left, until ");
        assert!(code == 0 && out.starts_with(&told), "{code} {out}{talk}");
        assert_eq!(shop.ask(&covered(1), leaf).all_allowed(), left != "0 of 2");
    }
    reopen(&shop.appliance);
    shop.appliance.stop_and_verify_log();
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
    assert!(
        code == 1 && talk.contains("2 uses under an earlier warrant of this charter have"),
        "{code} {talk}"
    );

    let uses = shop.list("review", "uses");
    assert_eq!(uses.len(), 2);
    let (_, rows, _) = shop.run(&["review", "list", "-o", "jsonl"]);
    assert_eq!(rows.matches("\"schema\":\"assent.v1.breakglass.use\"").count(), 2, "{rows}");
    assert!(uses.iter().all(|used| used["action"] == "Retail::Action::\"cancel_pending_order\""), "{uses:?}");
    let close_review = |used: &Value, by: &[&str]| close_review(&shop, used, by);
    let (alice, carol) = (shop.key("alice"), shop.key("carol"));
    let (code, _, talk) = close_review(&uses[0], &["--key", &alice]);
    assert!(code == 3 && talk.contains("alice signed the warrant"), "{code} {talk}");
    let signature = shop.sign("carol", "assent-review@v1", &to_review(&shop, &uses[0]));
    // It is of one use and no other.
    let (code, _, talk) = close_review(&uses[1], &["--signature", &signature]);
    assert!(code == 3 && talk.contains("over another statement"), "{code} {talk}");
    assert_eq!(close_review(&uses[0], &["--signature", &signature]).0, 0);
    let (code, _, talk) = close_review(&uses[0], &["--signature", &signature]);
    assert!(code == 3 && talk.contains("reviewed already"), "{code} {talk}");
    let (code, _, talk) = shop.activate(&statement, &both);
    assert!(
        code == 1 && talk.contains("1 use under an earlier warrant of this charter has"),
        "{code} {talk}"
    );
    let (code, _, talk) = close_review(&uses[1], &["--key", &carol]);
    let (seen, signed) = talk.split_once("signing with").expect("it says what is signed");
    assert!(code == 0 && seen.contains("customers wait") && signed.contains("finding justified"), "{talk}");
    told(&shop, "review_overdue", &[true, true]);
    assert_eq!(shop.appliance.status().expect("it answers").break_glass.reviews_open, 0);
    let (code, _, talk) = shop.activate(&statement, &both);
    assert_eq!(code, 0, "{talk}");
    let second = shop.list("warrant", "warrants").last().expect("one")["leaf"].as_u64().expect("a leaf");
    assert_eq!(refusals(&shop.ask(&covered(1), second)), [None]);
    // What is used up is in nobody's way: only the review of its use is.
    let statement = shop.prepare("orders", 1);
    let (code, _, talk) = shop.activate(&statement, &both);
    assert!(
        code == 1 && talk.contains("1 use under an earlier warrant of this charter has"),
        "{code} {talk}"
    );
    assert_eq!(close_review(&shop.list("review", "uses")[0], &["--key", &carol]).0, 0);
    let (code, _, talk) = shop.activate(&statement, &both);
    assert_eq!(code, 0, "{talk}");
    reopen(&shop.appliance);
    told(&shop, "warrant_activated", &[true, true, true]);
    told(&shop, "warrant_used", &[false, false, false]);
    let report = shop.appliance.stop_and_verify_log();
    told_to_auditors(&shop, &uses);
    told_by_verification(&shop, &report);
}
