//! `policy check` and `policy test`.

use std::path::Path;

use serde_json::Value;

use crate::support::assent;

/// A bundle in a folder of its own.
pub(crate) fn bundle() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "catalog.cedarschema", CATALOG);
    write(folder.path(), "policies/vaults.cedar", POLICIES);
    write(folder.path(), "links.json", LINKS);
    write(folder.path(), "entities.json", ENTITIES);
    write(folder.path(), "operators.toml", OPERATORS);
    folder
}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

pub(crate) fn text(folder: &Path) -> &str {
    folder.to_str().expect("UTF-8")
}

pub(crate) const CATALOG: &str = "entity Team;\nentity Agent in [Team];\nentity Vault { open: Bool };\n\
    @risk(\"10\") @window(\"90s\") @uses(\"2\")\naction open appliesTo { principal: [Agent], resource: [Vault], context: { amount: Long } };\n";

const POLICIES: &str = r#"@id("grant") @reason("the team was granted it")
permit (principal in ?principal, action == Action::"open", resource == ?resource)
when { context.amount < 100 }
when { resource.open };
@id("large") @approval("2 of guards") @advice("ask the guards")
forbid (principal, action == Action::"open", resource) when { context.amount * 2 > 150 };
@id("other") permit (principal == Agent::"z", action, resource);
"#;

const LINKS: &str = r#"[{"template_id": "grant", "link_id": "red-v", "args": {"?principal": "Team::\"red\"", "?resource": "Vault::\"v\""}}]"#;

pub(crate) const ENTITIES: &str = r#"[
  {"uid": {"type": "Team", "id": "red"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Agent", "id": "a"}, "attrs": {}, "parents": [{"type": "Team", "id": "red"}]},
  {"uid": {"type": "Vault", "id": "v"}, "attrs": {"open": true}, "parents": []},
  {"uid": {"type": "Vault", "id": "w"}, "attrs": {"open": true}, "parents": []}
]"#;

/// Two who may approve, for a bundle that demands more is none.
const OPERATORS: &str = r#"
[[operator]]
name = "ann"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"]
groups = ["guards"]
[[operator]]
name = "ben"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC"]
groups = ["guards"]
"#;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

#[test]
fn check_says_what_a_bundle_is_and_what_it_can_cost() {
    let folder = bundle();
    let (code, out, talk) = assent(None, &["policy", "check", text(folder.path())]);
    assert_eq!(code, 0, "{out}{talk}");
    for line in [
        "is valid",
        "policies    3, 1 of them linked from 1 templates",
        "stack       1 values, of ",
        "policies/vaults.cedar:5:1",
    ] {
        assert!(out.contains(line), "`{line}` is not in\n{out}");
    }
    assert!(
        out.contains("warning     policies/vaults.cedar"),
        "arithmetic under a forbid is warned of:\n{out}"
    );
    let (_, out, _) = assent(None, &["policy", "check", text(folder.path()), "-o", "json"]);
    let report = json(&out);
    assert_eq!(
        (&report["valid"], &report["links"], &report["entities"]),
        (&true.into(), &1.into(), &4.into())
    );
    assert_eq!(report["most_expensive"].as_array().map(Vec::len), Some(3));
}

#[test]
fn check_holds_a_bundle_to_a_budget() {
    let folder = bundle();
    let (code, out, talk) = assent(None, &["policy", "check", text(folder.path()), "--budget", "4"]);
    assert_eq!((code, out.as_str()), (3, ""), "{talk}");
    assert!(talk.contains("over the budget of 4") && talk.contains("policies/vaults.cedar:"), "{talk}");
    let (code, out, _) =
        assent(None, &["policy", "check", text(folder.path()), "--budget", "4", "-o", "json"]);
    assert_eq!((code, &json(&out)["kind"]), (3, &"over_budget".into()));
}

#[test]
fn check_ends_with_three_and_a_place_where_a_bundle_is_broken() {
    let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bundles/bad/policy_unknown_attribute");
    let (code, out, talk) = assent(None, &["policy", "check", text(&bad)]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(talk.contains("policies/vaults.cedar:8:3") && talk.contains("help: did you mean"), "{talk}");
    assert!(!talk.contains("next: "), "the drawing says what to do:\n{talk}");
}

#[test]
fn check_takes_the_budget_of_the_flag_before_the_configured_and_that_before_the_default() {
    let folder = bundle();
    let config = folder.path().join("assent.toml");
    let budget = |config: Option<&Path>, more: &[&str]| {
        let arguments = ["policy", "check", text(folder.path()), "-o", "json"];
        let arguments: Vec<_> = arguments.into_iter().chain(more.iter().copied()).collect();
        assent(config, &arguments)
    };
    let of = |(code, out, talk): (i32, String, String)| {
        assert_eq!(code, 0, "{talk}");
        json(&out)["budget"].as_u64().expect("a number")
    };
    let default = of(budget(None, &[]));
    let (code, out, talk) = budget(Some(&config), &[]);
    assert_eq!((code, out.as_str()), (1, ""), "a configuration that is named must be there");
    assert!(talk.contains("there is no configuration at"), "{talk}");

    let configured = default - 1;
    std::fs::write(&config, format!("[policy]\nbudget = {configured}\n")).expect("a file");
    assert_eq!(of(budget(Some(&config), &[])), configured);
    assert_eq!(of(budget(Some(&config), &["--budget", "77777"])), 77_777);
    std::fs::write(&config, "[policy]\nbudget = 4\n").expect("a file");
    let (code, out, _) = budget(Some(&config), &[]);
    assert_eq!((code, &json(&out)["kind"]), (3, &"over_budget".into()));
}

#[test]
fn check_rejects_what_the_appliance_would_refuse_for_other_reasons_than_cedar_s() {
    let two = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bundles/bad/catalog_two_principal_types");
    let (code, out, talk) = assent(None, &["policy", "check", text(&two)]);
    assert_eq!((code, out.as_str()), (3, ""), "{talk}");
    assert!(talk.contains("principals of type") && talk.contains("catalog.cedarschema:14:1"), "{talk}");

    let folder = bundle();
    let kind = || {
        let (code, out, _) = assent(None, &["policy", "check", text(folder.path()), "-o", "json"]);
        (code, json(&out)["kind"].clone())
    };
    write(folder.path(), "bundle.toml", "version = \"seven\"");
    assert_eq!(kind(), (3, "manifest".into()));
    write(folder.path(), "bundle.toml", "version = 7");
    let long = format!("@id(\"{}\") permit (principal, action, resource);", "x".repeat(300));
    write(folder.path(), "policies/long.cedar", &long);
    assert_eq!(kind(), (3, "unsupported".into()));
    std::fs::remove_file(folder.path().join("policies/long.cedar")).expect("it is there");

    let config = folder.path().join("assent.toml");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti alice";
    std::fs::write(&config, format!("[policy]\nsigners = [\"{key}\"]\nthreshold = 1\n")).expect("a file");
    let signed = || assent(Some(&config), &["policy", "check", text(folder.path()), "-o", "json"]);
    std::fs::remove_file(folder.path().join("bundle.toml")).expect("it is there");
    let (code, out, talk) = signed();
    assert_eq!((code, &json(&out)["kind"]), (3, &"unversioned".into()), "{talk}");
    write(folder.path(), "bundle.toml", "version = 7");
    assert_eq!(signed().0, 0);

    write(folder.path(), "signatures/alice.sig", "not looked into");
    let (code, out, talk) = assent(None, &["policy", "check", text(folder.path())]);
    assert_eq!(code, 0, "{talk}");
    assert!(out.contains("  version     7, 1 signature\n"), "{out}");
    let (_, out, _) = assent(None, &["policy", "check", text(folder.path()), "-o", "json"]);
    assert_eq!((&json(&out)["version"], &json(&out)["signatures"]), (&7.into(), &1.into()));
}

const TESTS: &str = r#"[
  {"name": "small is allowed", "request": {"principal": "Agent::\"a\"", "action": "Action::\"open\"", "resource": "Vault::\"v\"", "context": {"amount": 1}}, "entities": "world.json", "decision": "allow", "reason": ["red-v"], "num_errors": 0},
  {"name": "large is not", "request": {"principal": "Agent::\"a\"", "action": "Action::\"open\"", "resource": "Vault::\"v\"", "context": {"amount": 99}}, "entities": "world.json", "decision": "deny", "reason": ["large"], "num_errors": 0}
]"#;

#[test]
fn test_passes_fails_and_refuses_to_pass_without_tests() {
    let folder = bundle();
    let run = |more: &[&str]| {
        let arguments: Vec<_> =
            ["policy", "test", text(folder.path())].into_iter().chain(more.iter().copied()).collect();
        assent(None, &arguments)
    };
    let (code, out, talk) = run(&[]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(talk.contains("has no tests: write some into tests/*.json"), "{talk}");

    write(folder.path(), "tests/world.json", ENTITIES);
    write(folder.path(), "tests/vaults.json", TESTS);
    assert_eq!(run(&[]), (0, "2 passed, 0 failed\n".to_owned(), String::new()));
    let (code, out, _) = run(&["-v", "--filter", "small"]);
    assert_eq!((code, out.as_str()), (0, "pass  small is allowed\n1 passed, 0 failed\n"));
    let (code, _, talk) = run(&["--filter", "nothing"]);
    assert_eq!(code, 3);
    assert!(talk.contains("`nothing`"), "{talk}");

    write(folder.path(), "tests/vaults.json", &TESTS.replace("\"deny\"", "\"allow\""));
    let (code, out, _) = run(&[]);
    assert_eq!(code, 3);
    assert!(out.starts_with("FAIL  large is not\n      tests/vaults.json:3:3: expected allow, decided deny (APPROVAL_REQUIRED) by `large`"), "{out}");
    let (code, out, _) = run(&["-o", "json"]);
    let report = json(&out);
    assert_eq!((code, &report["passed"], &report["failed"]), (3, &1.into(), &1.into()));
    assert_eq!(report["tests"][1]["line"], 3);
    let (_, out, _) = run(&["-o", "jsonl"]);
    assert_eq!(out.lines().count(), 3, "{out}");
}
