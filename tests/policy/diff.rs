//! `policy diff`, between folders and over the log that a real appliance left behind.

use std::path::Path;

use serde_json::Value;

use crate::bundles::{bundle, text, write};
use crate::support::agent::{Agent, retail};
use crate::support::{Appliance, Hsm, assent};

#[test]
fn diff_lists_what_changed_between_two_folders() {
    let (before, after) = (bundle(), bundle());
    let run = || assent(None, &["policy", "diff", text(before.path()), text(after.path())]);
    let (code, out, talk) = run();
    assert_eq!(code, 0, "{talk}");
    assert!(out.contains("nothing differs"), "{out}");
    let catalog = crate::bundles::CATALOG.replace("@risk(\"10\")", "@risk(\"20\")");
    write(after.path(), "catalog.cedarschema", &catalog);
    write(
        after.path(),
        "policies/more.cedar",
        "@id(\"more\") permit (principal, action, resource == Vault::\"w\");",
    );
    let (code, out, _) = run();
    assert_eq!(code, 0, "{out}");
    for line in [
        "added   file policies/more.cedar",
        "changed file catalog.cedarschema",
        "added   policy more",
        "changed action Action::\"open\": risk 10 -> 20",
    ] {
        assert!(out.contains(line), "`{line}` is not in\n{out}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the bundle is there") {
        let entry = entry.expect("an entry");
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a file")),
        }
    }
}

#[test]
fn a_replay_lists_the_recorded_decisions_that_would_change() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let intents: Vec<_> = retail().into_iter().step_by(6).collect();
    let outcomes = agent.preauthorize(&intents);
    assert_eq!(outcomes.iter().count(), intents.len());
    drop(agent);
    assert!(appliance.stop());

    let folder = tempfile::tempdir().expect("a folder");
    let (before, after) = (folder.path().join("before"), folder.path().join("after"));
    for to in [&before, &after] {
        copy(&appliance.folder.path().join("bundle"), to);
    }
    let log = appliance.log();
    let run = |more: &[&str]| {
        let arguments = ["policy", "diff", text(&before), text(&after), "--replay", text(&log)];
        assent(None, &arguments.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let (code, out, talk) = run(&["-o", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{talk}"));
    assert_eq!(
        (code, &report["replay"]["replayed"], &report["replay"]["changed"]),
        (0, &304.into(), &0.into()),
        "{out}"
    );
    assert_eq!(
        (&report["replay"]["not_reproduced"], &report["replay"]["without_request"]),
        (&0.into(), &0.into())
    );

    let services = std::fs::read_to_string(after.join("policies/services.cedar")).expect("a policy");
    write(&after, "policies/services.cedar", &services.replace("permit (", "forbid ("));
    let (code, out, talk) = run(&["-o", "jsonl"]);
    assert_eq!(code, 2, "{talk}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (summary, changes) = lines.split_last().expect("a summary");
    assert!(!changes.is_empty());
    assert_eq!(summary["replay"]["decisions_changed"], changes.len());
    let services = |change: &Value| {
        change["before"]
            == serde_json::json!({"decision": "allow", "refusal": null, "policies": ["open-services"]})
            && change["after"]
                == serde_json::json!({"decision": "deny", "refusal": "POLICY_DENIED", "policies": ["open-services"]})
            && change["principal"].as_str().is_some_and(|principal| principal.ends_with("retail-support"))
    };
    assert!(changes.iter().all(services), "{out}");
    let (code, table, _) = run(&[]);
    assert_eq!(code, 2);
    assert!(table.contains(&format!("{}  allow -> deny POLICY_DENIED", changes.len())), "{table}");

    // The other way round, the log was not recorded under the first of them.
    let (code, out, _) =
        assent(None, &["policy", "diff", text(&after), text(&before), "--replay", text(&log)]);
    assert_eq!(code, 2);
    assert!(out.contains("304 were recorded under another bundle than the first"), "{out}");

    // Without FILE it is the configured appliance's log.
    let arguments = ["policy", "diff", text(&before), text(&after), "--replay"];
    let (code, configured, talk) = assent(Some(&appliance.config()), &arguments);
    assert_eq!((code, configured), (2, table), "{talk}");
}

#[test]
fn a_replay_of_a_log_that_is_not_there_says_so() {
    let folder = bundle();
    let missing = folder.path().join("log.redb");
    let (code, out, talk) = assent(
        None,
        &["policy", "diff", text(folder.path()), text(folder.path()), "--replay", text(&missing)],
    );
    assert_eq!((code, out.as_str()), (1, ""), "{talk}");
    assert!(talk.contains("there is no log at"), "{talk}");
}
