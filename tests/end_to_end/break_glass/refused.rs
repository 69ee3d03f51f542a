//! What no warrant comes of: each refusal says what is missing.

use super::{Shop, chartered, close, open_shop, reopen};
use crate::support::eventually;

#[test]
fn a_charter_takes_enough_operators_a_catalog_that_marks_its_actions_and_good_times() {
    let (appliance, agent) = open_shop("");
    let mut shop = Shop { appliance, agent };
    let file = shop.charter_file("orders", "1s", "90d");
    let (code, statement, talk) = shop.run(&["charter", "create", &file]);
    assert!(code == 4 && talk.contains("to be signed by 2 of: alice, bob"), "{code} {talk}");
    assert!(statement.starts_with("assent/charter/v1\norigin "), "{statement}");
    assert!(statement.contains("action Retail::Action::\"transfer_to_human_agents\"\n"), "{statement}");
    let namespace = "assent-charter@v1";
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| shop.sign(name, namespace, &statement));
    for (signatures, why) in [
        (vec![&alice], "signed by 1 of the 2"),
        (vec![&alice, &alice], "signed by 1 of the 2"),
        (vec![&alice, &carol], "by no listed key"),
    ] {
        let mut arguments = vec!["charter", "create", &file];
        signatures.iter().for_each(|signature| arguments.extend(["--signature", signature.as_str()]));
        let (code, _, talk) = shop.run(&arguments);
        assert!(code == 3 && talk.contains(why), "{code} {talk}");
    }
    let good = ["charter", "create", &file, "--signature", &alice, "--signature", &bob];
    let text = std::fs::read_to_string(&file).expect("the charter");
    for (from, to, why) in [
        ("cancel_pending_order", "modify_pending_order_address", "does not mark"),
        ("cancel_pending_order", "no_such_action", "knows no action"),
        ("resources = [\"Retail::Order\"]", "resources = [\"Retail::Nothing\"]", "they apply to Retail::"),
        ("closed = ", "principals = [\"orders-agent\"]\nclosed = ", "names no agent"),
        ("services.desk", "no.such", "no category `no.such`"),
        ("threshold = 2", "threshold = 3", "to review"),
        ("uses = 12", "uses = 0", "charter: uses: out of its bounds"),
        ("window = \"1h\"", "window = \"8d\"", "charter: window: out of its bounds"),
    ] {
        std::fs::write(&file, text.replacen(from, to, 1)).expect("a file");
        let (code, _, talk) = shop.run(&["charter", "create", &file]);
        assert!(code == 1 && talk.contains(why), "{to}: {code} {talk}");
    }
    std::fs::write(&file, &text).expect("a file");
    close(&shop.appliance);
    let (code, _, talk) = shop.run(&good);
    assert!(code == 1 && talk.contains("make it when that is open again"), "{code} {talk}");
    reopen(&shop.appliance);
    let (code, _, talk) = shop.run(&good);
    assert_eq!(code, 0, "what they signed holds although it was to last for so long: {talk}");
    let (code, _, talk) = shop.run(&good);
    assert!(code == 1 && talk.contains("is in force"), "{code} {talk}");
    let charters = shop.list("charter", "charters");
    assert_eq!((charters.len(), charters[0]["state"].as_str()), (1, Some("in_force")));
    let report = shop.appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["charter"], 1, "{report}");
}

#[test]
fn a_warrant_takes_a_closed_boundary_enough_signatures_and_the_charters_limits() {
    let mut shop = chartered("4s", "");
    let prepare = |uses: &str, window: &str, charter: &str| {
        shop.run(&["warrant", "prepare", charter, "--reason", "x", "--uses", uses, "--window", window])
    };
    for (uses, window, charter, why) in [
        ("13", "15m", "orders", "12 uses"),
        ("1", "61m", "orders", "3600 s at most"),
        ("0", "15m", "orders", "uses"),
        ("1", "15m", "others", "no charter `others`"),
    ] {
        let (code, _, talk) = prepare(uses, window, charter);
        assert!(code == 1 && talk.contains(why), "{code} {talk}");
    }
    let statement = shop.prepare("orders", 1);
    let both = ["alice", "bob"];
    let (code, _, talk) = shop.activate(&statement, &both);
    assert!(code == 1 && talk.contains("boundary is open"), "{code} {talk}");
    close(&shop.appliance);
    let (code, _, talk) = shop.activate(&statement, &["alice"]);
    assert!(code == 3 && talk.contains("signed by 1 of the 2"), "{code} {talk}");
    let (code, _, talk) = shop.activate(&statement.replace("uses 1", "uses 2"), &both);
    assert!(code == 3 && talk.contains("no warrant that was prepared here"), "{code} {talk}");
    let (code, _, talk) = shop.activate(&statement, &both);
    assert!(code == 1 && talk.contains("the charter wants 4 s: activate again in"), "{code} {talk}");
    eventually("the boundary was closed for long enough", || {
        (shop.activate(&statement, &both).0 == 0).then_some(())
    });
    let other = shop.prepare("orders", 1);
    let (code, _, talk) = shop.activate(&other, &both);
    assert!(code == 1 && talk.contains("there is one at a time"), "{code} {talk}");
    reopen(&shop.appliance);
    let (code, _, talk) = shop.run(&["warrant", "end"]);
    assert!(code == 1 && talk.contains("no warrant lives"), "{code} {talk}");
    let report = shop.appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["warrant"], 1, "{report}");
}

#[test]
fn no_warrant_is_had_under_a_charter_that_was_revoked_or_is_over() {
    let mut shop = chartered("0s", "");
    shop.charter("short", "0s", "5s");
    let statement = shop.prepare("orders", 1);
    let (alice, bob) = (shop.key("alice"), shop.key("bob"));
    let revoke = ["charter", "revoke", "orders", "--reason", "too wide", "--key", &alice];
    let (code, _, talk) = shop.run(&revoke);
    assert!(code == 3 && talk.contains("signed by 1 of the 2"), "{code} {talk}");
    let (code, _, talk) = shop.run(&[&revoke[..], &["--key", &bob]].concat());
    assert_eq!(code, 0, "{talk}");
    eventually("the short one is over", || {
        shop.list("charter", "charters").iter().any(|charter| charter["state"] == "over").then_some(())
    });
    close(&shop.appliance);
    let (code, _, talk) = shop.activate(&statement, &["alice", "bob"]);
    assert!(code == 1 && talk.contains("was revoked"), "{code} {talk}");
    for (charter, why) in [("orders", "was revoked"), ("short", "is over since")] {
        let (code, _, talk) =
            shop.run(&["warrant", "prepare", charter, "--reason", "x", "--uses", "1", "--window", "1s"]);
        assert!(code == 1 && talk.contains(why), "{code} {talk}");
    }
    reopen(&shop.appliance);
    shop.appliance.stop_and_verify_log();
}
