//! Bad bundles, pushed at a live appliance: the old one decides on, and log and status say what was refused and why.

use std::path::{Path, PathBuf};

use appliance::policy::loader::Answer;

use super::{CLOSED, Operators, ask, digest, load, offers, policy, show, source, start, variant, write};
use crate::support::agent::Agent;
use crate::support::{Appliance, eventually};

/// A bundle that is refused: its folder, the label of the reason, and what the report says.
struct Bad {
    folder: PathBuf,
    kind: &'static str,
    says: &'static str,
}

/// Loads each; then looks in the log, whose refusals by operators must be just these.
fn each_is_refused(mut appliance: Appliance, bundles: &[Bad]) {
    let agent = Agent::connect(&appliance);
    let before = digest(&appliance);
    for Bad { folder, kind, says } in bundles {
        let (code, out, talk) = load(&appliance, folder);
        assert_eq!(code, 3, "{kind}: {out}{talk}");
        assert!(talk.contains(&format!("refused ({kind})")) && talk.contains(says), "{kind}: {talk}");
        assert_eq!(digest(&appliance), before, "{kind}: the old one decides on");
        assert_eq!(ask(&agent), None, "{kind}: as before");
        let shown = show(&appliance);
        let refused = &shown["refused"];
        assert_eq!(refused["source"], folder.to_str().unwrap(), "{kind}: {shown}");
        assert!(refused["reason"].as_str().unwrap().starts_with(&format!("{kind}: ")), "{shown}");
        let (_, status, _) = crate::support::assent(Some(&appliance.config()), &["status"]);
        assert!(status.contains("REFUSED"), "{status}");
    }
    drop(agent);
    let offers = offers(&mut appliance);
    let refused: Vec<_> = offers.iter().filter(|offer| offer.by.starts_with("operator")).collect();
    assert_eq!(refused.len(), bundles.len(), "{offers:?}");
    for (offer, Bad { folder, kind, .. }) in refused.iter().zip(bundles) {
        let reason = offer.refused.as_deref().expect("it was refused");
        assert!(reason.starts_with(&format!("{kind}: ")) && !reason.contains('\n'), "{reason}");
        assert_eq!((offer.source.as_str(), offer.before), (folder.to_str().unwrap(), offer.after));
        assert_eq!(offer.after.to_string(), before);
    }
    let traces = appliance.traces();
    assert_eq!(traces.matches("bundle refused; the one before stays").count(), bundles.len(), "{traces}");
}

#[test]
fn bundles_that_do_not_compile_leave_the_old_one_deciding() {
    let appliance = start("watch = false");
    let bad = |name: &str, file: &str, text: &str, kind, says| Bad {
        folder: variant(&appliance, name, &[(file, text)]),
        kind,
        says,
    };
    let bundles = [
        bad("syntax", "policies/x.cedar", "permit (principal, action", "policies", "policies/x.cedar"),
        bad(
            "ids",
            "policies/x.cedar",
            "@id(\"read-own-order\") forbid (principal, action, resource);",
            "duplicate_id",
            "read-own-order",
        ),
        bad("entities", "entities.json", "[{}]", "entities", "entities.json"),
        bad("manifest", "bundle.toml", "version = 1\nauthor = \"x\"", "manifest", "version = N"),
        bad("nowhere", "x", "", "away", "cannot look at the bundle's folder"),
    ];
    std::fs::remove_dir_all(&bundles[4].folder).expect("it goes away");
    each_is_refused(appliance, &bundles);
}

#[test]
fn every_bad_bundle_that_the_compiler_is_tested_with_leaves_the_old_one_deciding() {
    let mut appliance = start("watch = false");
    let agent = Agent::connect(&appliance);
    let before = digest(&appliance);
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bundles/bad");
    let folders = std::fs::read_dir(bad).expect("bad bundles").map(|entry| entry.expect("a bundle").path());
    let mut pushed = 0;
    for folder in folders {
        let expected = std::fs::read_to_string(folder.join("expected.txt")).expect("what is expected");
        if expected.contains("# budget:") {
            // This one is bad under a smaller budget only.
            continue;
        }
        pushed += 1;
        let answer = appliance::control::ask_load(&appliance.data(), Some(folder.clone()), false, Vec::new());
        let Ok(Answer::Refused { report, in_force, .. }) = answer else { panic!("{folder:?}: {answer:?}") };
        let is_text = |line: &&str| !line.starts_with('#') && *line != "no line";
        for text in expected.lines().filter(is_text) {
            assert!(report.contains(text), "{folder:?} lacks `{text}`:\n{report}");
        }
        assert_eq!((&in_force, &digest(&appliance)), (&before, &before), "{folder:?}");
    }
    assert_eq!(ask(&agent), None);
    drop(agent);
    let refused = offers(&mut appliance).into_iter().filter(|offer| offer.refused.is_some()).count();
    assert!(pushed > 30 && refused == pushed, "{refused} of {pushed}");
}

#[test]
fn a_bundle_over_the_budget_leaves_the_old_one_deciding() {
    let first = start("");
    let worst = show(&first)["worst_case_fuel"].as_u64().expect("a worst case");
    drop(first);
    let appliance = start(&format!("watch = false\nbudget = {worst}"));
    // One more comparison of sets in every action that has them: also in the one that costs most already.
    let more: String = [
        "modify_pending_order_items",
        "exchange_delivered_order_items",
        "return_delivered_order_items",
    ]
    .map(|action| {
        format!(
            "@id(\"more {action}\") forbid (principal, action == Retail::Action::\"{action}\", resource) \
                 when {{ context.item_ids.contains(\"odd\") }};\n"
        )
    })
    .concat();
    let folder = variant(&appliance, "costly", &[("policies/more.cedar", &more)]);
    each_is_refused(appliance, &[Bad { folder, kind: "over_budget", says: "over the budget of" }]);
}

#[test]
fn unversioned_unsigned_half_signed_and_foreign_signed_bundles_leave_the_old_one_deciding() {
    let operators = Operators::new(&["alice", "bob", "mallory"]);
    let listed = Operators { lines: operators.lines[..2].to_vec(), ..operators };
    let mut appliance = start("watch = false");
    write(&source(&appliance), "bundle.toml", "version = 1");
    for name in ["alice", "bob"] {
        listed.sign_into(&appliance, &source(&appliance), name);
    }
    assert!(appliance.stop());
    super::configure_more(&appliance, &listed.configured(2));
    appliance.launch();
    assert_eq!(show(&appliance)["signers"], serde_json::json!(["alice", "bob"]));

    let closed = [("policies/closed.cedar", CLOSED), ("bundle.toml", "version = 1")];
    let unversioned = variant(&appliance, "unversioned", &closed[..1]);
    for name in ["alice", "bob"] {
        listed.sign_into(&appliance, &unversioned, name);
    }
    let unsigned = variant(&appliance, "unsigned", &closed);
    let half = variant(&appliance, "half", &closed);
    listed.sign_into(&appliance, &half, "alice");
    let foreign = variant(&appliance, "foreign", &closed);
    listed.sign_into(&appliance, &foreign, "alice");
    listed.sign_into(&appliance, &foreign, "mallory");
    let altered = variant(&appliance, "altered", &closed);
    for name in ["alice", "bob"] {
        listed.sign_into(&appliance, &altered, name);
    }
    write(&altered, "bundle.toml", "version = 9");
    let kind = "signatures";
    let bundles = [
        Bad { folder: unversioned, kind: "unversioned", says: "write `version = N`" },
        Bad { folder: unsigned, kind, says: "signed by 0 of the 2" },
        Bad { folder: half, kind, says: "signed by 1 of the 2 operators that must sign (alice)" },
        Bad { folder: foreign, kind, says: "by no listed key: signatures/mallory.sig" },
        Bad {
            folder: altered,
            kind,
            says: "over another statement: signatures/alice.sig, signatures/bob.sig",
        },
    ];
    each_is_refused(appliance, &bundles);
}

#[test]
fn going_back_needs_the_word_of_an_operator_and_the_signatures_of_two() {
    let operators = Operators::new(&["alice", "bob"]);
    let mut appliance = start("watch = false");
    let bundle = source(&appliance);
    write(&bundle, "bundle.toml", "version = 7");
    for name in ["alice", "bob"] {
        operators.sign_into(&appliance, &bundle, name);
    }
    assert!(appliance.stop());
    super::configure_more(&appliance, &operators.configured(2));
    appliance.launch();
    assert_eq!(show(&appliance)["version"], 7);

    let old = variant(&appliance, "old", &[("bundle.toml", "version = 6")]);
    for name in ["alice", "bob"] {
        operators.sign_into(&appliance, &old, name);
    }
    let (code, _, talk) = load(&appliance, &old);
    assert!(code == 3 && talk.contains("version 6 would replace version 7"), "{talk}");
    let folder = old.to_str().unwrap();
    let (code, _, talk) = policy(&appliance, &["load", folder, "--downgrade"]);
    assert!(
        code == 3 && talk.contains("over another statement"),
        "what they signed once is not enough: {talk}"
    );
    let down: Vec<String> = ["alice", "bob"]
        .iter()
        .map(|name| operators.sign(&appliance, &old, name, &["--downgrade-from", "7"]).display().to_string())
        .collect();
    let arguments = ["load", folder, "--downgrade", "--signature", &down[0], "--signature", &down[1]];
    let (code, _, talk) = policy(&appliance, &arguments);
    assert_eq!(code, 0, "{talk}");
    assert_eq!(show(&appliance)["version"], 6);
    // An answer comes after its round is durable, and with it every line before.
    let agent = Agent::connect(&appliance);
    assert_eq!(ask(&agent), None);
    drop(agent);

    // The source still has version 7, which is no way back.
    std::fs::rename(&bundle, appliance.folder.path().join("elsewhere")).unwrap();
    appliance.kill();
    appliance.launch();
    let shown = show(&appliance);
    assert_eq!((&shown["version"], &shown["signers"]), (&6.into(), &serde_json::json!(["alice", "bob"])));
    let versions: Vec<_> = offers(&mut appliance)
        .into_iter()
        .filter(|offer| offer.refused.is_none())
        .map(|offer| offer.version)
        .collect();
    assert_eq!(versions, [None, None, Some(7), Some(6), Some(6)]);
}

#[test]
fn a_bad_bundle_at_the_source_is_logged_once_while_it_stays() {
    let mut appliance = start("poll = \"20ms\"");
    let agent = Agent::connect(&appliance);
    write(&source(&appliance), "policies/bad.cedar", "nonsense");
    let refused = eventually("it is refused", || appliance.status()?.policy.refused);
    assert!(
        refused.by == "watch" && refused.reason.starts_with("policies: policies/bad.cedar"),
        "{refused:?}"
    );
    // Other content, refused as well: the looks in between found the first, and said nothing more.
    write(&source(&appliance), "policies/bad.cedar", "more nonsense");
    eventually("the other is refused", || {
        appliance.status()?.policy.refused.filter(|other| other.at_ms != refused.at_ms)
    });
    assert_eq!(ask(&agent), None);
    let shown = || crate::support::assent(Some(&appliance.config()), &["status"]).1;
    assert!(shown().contains("REFUSED"), "{}", shown());
    // Made good it needs nobody any more; what was refused last is still told where bundles are.
    std::fs::remove_file(source(&appliance).join("policies/bad.cedar")).expect("it goes away");
    eventually("it is made good", || (!shown().contains("REFUSED")).then_some(()));
    assert!(show(&appliance)["refused"]["reason"].is_string());
    drop(agent);
    let offers = offers(&mut appliance);
    assert_eq!(offers.iter().filter(|offer| offer.refused.is_some()).count(), 2, "{offers:?}");
}

#[test]
fn nobody_to_ask_is_another_end_than_refused() {
    let mut appliance = start("watch = false");
    assert!(appliance.stop());
    let (code, _, talk) = load(&appliance, &source(&appliance));
    assert!(code == 5 && talk.contains("assent serve"), "{talk}");
    let (code, _, _) = policy(&appliance, &["show"]);
    assert_eq!(code, 5);
}
