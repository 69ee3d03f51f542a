//! `policy explain` and `policy eval`.

use serde_json::Value;

use crate::bundles::{CATALOG, ENTITIES, bundle, text, write};
use crate::support::assent;

fn request(amount: i64, vault: &str) -> String {
    format!(
        r#"{{"principal": {{"type": "Agent", "id": "a"}}, "action": {{"type": "Action", "id": "open"}}, "resource": {{"type": "Vault", "id": "{vault}"}}, "context": {{"amount": {amount}}}}}"#
    )
}

fn explain(request: &str, more: &[&str]) -> (i32, String, String) {
    let folder = bundle();
    write(folder.path(), "request.json", request);
    let file = folder.path().join("request.json");
    let arguments = ["policy", "explain", text(folder.path()), "--request", text(&file)];
    assent(None, &arguments.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
}

#[test]
fn explain_names_the_deciding_policy_and_the_clause_that_fails() {
    let (code, out, talk) = explain(&request(5, "v"), &[]);
    assert_eq!(code, 0, "{talk}");
    for part in [
        "ALLOW\n",
        "decided by\n  permit `red-v`, linked from `grant` at policies/vaults.cedar:1:1\n    reason: the team was granted it",
        "does not hold\n  forbid `large` at policies/vaults.cedar:5:1\n",
        "clause 1 at policies/vaults.cedar:6:56:\n    | when { context.amount * 2 > 150 }",
        "out of scope: 1 policy; --all lists it",
    ] {
        assert!(out.contains(part), "`{part}` is not in\n{out}");
    }
    let (_, out, _) = explain(&request(5, "v"), &["--all"]);
    assert!(out.contains("out of scope\n  permit `other`"), "{out}");
}

#[test]
fn explain_ends_as_the_decision_does() {
    let (code, out, _) = explain(&request(80, "v"), &[]);
    assert_eq!(code, 4, "{out}");
    assert!(out.starts_with("HOLD  APPROVAL_REQUIRED\n") && out.contains("lifted by: 2 of guards"), "{out}");
    assert!(!out.contains("ours are stricter"), "to Cedar it is a denial:\n{out}");
    let (code, out, _) = explain(&request(5, "w"), &[]);
    assert_eq!(code, 2, "{out}");
    let (code, out, _) = explain(&request(i64::MAX, "v"), &[]);
    assert_eq!(code, 5);
    assert!(
        out.contains("EVALUATION_UNAVAILABLE") && out.contains("a result does not fit into 64 bits"),
        "{out}"
    );
    let (code, out, _) = explain(&request(5, "nowhere"), &[]);
    assert_eq!(code, 2);
    assert!(
        out.contains("INTENT_INVALID") && out.contains("not asked, for the intent does not fit"),
        "{out}"
    );
    assert!(!out.contains("risk"), "it was not evaluated:\n{out}");
    let (_, out, _) = explain(&request(5, "nowhere"), &["-o", "json"]);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&json["risk"], &json["base_risk"]), (&Value::Null, &Value::Null));
}

#[test]
fn explain_adds_a_risk_up_or_says_that_the_request_states_it() {
    let folder = bundle();
    let facts = "type Assent = { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long };\n";
    let catalog = CATALOG.replace("{ amount: Long }", "{ amount: Long, assent: Assent }");
    write(folder.path(), "catalog.cedarschema", &format!("{facts}{catalog}"));
    let score = "@id(\"any\") @score(\"20\") permit (principal, action == Action::\"open\", resource);";
    write(folder.path(), "risk/any.cedar", score);
    let told = |request: &str| {
        write(folder.path(), "request.json", request);
        let file = folder.path().join("request.json");
        let (code, out, talk) =
            assent(None, &["policy", "explain", text(folder.path()), "--request", text(&file)]);
        assert_eq!(code, 0, "{out}{talk}");
        out
    };
    let plain = request(5, "v");
    let out = told(&plain);
    assert!(
        out.contains("  risk 30, 10 of it the action's\n    20 by `any` at risk/any.cedar:1:1\n"),
        "{out}"
    );
    let stated = r#""amount": 5, "assent": {"now": "2026-01-01", "risk": 7, "approvals": 0, "degraded": false, "agent_rate": 0, "epoch": 0}"#;
    let out = told(&plain.replace(r#""amount": 5"#, stated));
    let expected = "  risk 7, stated by the request\n    20 would be added by `any` at risk/any.cedar:1:1\n";
    assert!(out.contains(expected), "{out}");
}

#[test]
fn explain_takes_an_intent_and_holds_it_to_the_terms() {
    let intent = r#"{"action": "Action::\"open\"", "resource": "Vault::\"v\"", "context": {"amount": 5}, "audience": "vaults", "window": "60s"}"#;
    let (code, _, talk) = explain(intent, &[]);
    assert_eq!(code, 1);
    assert!(talk.contains("--principal"), "{talk}");
    let (code, out, talk) = explain(intent, &["--principal", "a"]);
    assert_eq!(code, 0, "{out}{talk}");
    let (code, out, _) =
        explain(&intent.replace("60s", "5m"), &["--principal", "Agent::\"a\"", "-o", "json"]);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((code, &json["refusal"]), (2, &"INTENT_INVALID".into()));
    assert_eq!(json["schema"], "assent.v1.policy.explain");
    let of =
        |id: &str| json["policies"].as_array().and_then(|all| all.iter().find(|policy| policy["id"] == id));
    assert_eq!(of("red-v").map(|policy| &policy["outcome"]), Some(&"decides".into()), "{json}");
    assert_eq!((of("other"), &json["out_of_scope"]), (None, &1.into()), "out of scope: counted, not listed");
    assert!(
        json["detail"].as_str().is_some_and(|detail| detail.contains("300s") && detail.contains("90s")),
        "{json}"
    );
}

#[test]
fn eval_takes_links_and_cedar_s_json_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    write(folder.path(), "schema", CATALOG);
    write(folder.path(), "entities.json", ENTITIES);
    write(folder.path(), "requests.jsonl", &request(5, "v"));
    write(folder.path(), "p.cedar", "permit (principal in ?principal, action, resource);");
    write(
        folder.path(),
        "links.json",
        r#"[{"template_id": "policy0", "link_id": "red", "args": {"?principal": "Team::\"red\""}}]"#,
    );
    write(
        folder.path(),
        "p.json",
        r#"{"staticPolicies": {"all": {"effect": "permit", "principal": {"op": "All"}, "action": {"op": "All"}, "resource": {"op": "All"}, "conditions": []}}, "templates": {}, "templateLinks": []}"#,
    );
    let eval = |policies: &str, more: &[&str]| {
        let (policies, schema, entities, requests) =
            (path(policies), path("schema"), path("entities.json"), path("requests.jsonl"));
        let arguments = [
            "policy",
            "eval",
            "--schema",
            &schema,
            "--policies",
            &policies,
            "--entities",
            &entities,
            "--requests",
            &requests,
        ];
        assent(None, &arguments.into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
    };
    let (code, out, talk) = eval("p.cedar", &["--links", &path("links.json")]);
    assert_eq!(code, 0, "{talk}");
    assert!(out.contains(r#""reasons":["red"]"#), "{out}");
    // Without its link the template is nothing, as with Cedar.
    let (code, out, _) = eval("p.cedar", &[]);
    assert_eq!(code, 2, "{out}");
    let (code, out, talk) = eval("p.json", &[]);
    assert_eq!(code, 0, "{talk}");
    assert!(out.contains(r#""reasons":["all"]"#), "{out}");
}
