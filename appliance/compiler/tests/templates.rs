//! Templates: linked ones become policies, and what does not link rejects.
//!
//! What a linked template decides is compared with Cedar's own linking of the same file.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what stands beside the tests may fail as loudly as a test"
)]

use assent_compiler::{Bundle, Document, Rules, Sources};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicyId, PolicySet, Request, Schema, SlotId,
};

const SCHEMA: &str = "entity Team;\nentity Agent in [Team];\nentity Vault in [Vault];\n\
    action open appliesTo { principal: [Agent], resource: [Vault], context: { force: Bool } };";

const POLICIES: &str = "@id(\"plain\") permit (principal, action, resource == Vault::\"lobby\");\n\
    @id(\"grant\") @reason(\"granted\") permit (principal in ?principal, action, resource in ?resource) unless { context.force };\n\
    @id(\"ban\") forbid (principal == ?principal, action == Action::\"open\", resource);\n";

const LINKS: &str = r#"[
  {"template_id": "grant", "link_id": "red-east", "args": {"?principal": "Team::\"red\"", "?resource": "Vault::\"east\""}},
  {"template_id": "grant", "link_id": "a-west", "args": {"?principal": "Agent::\"a\"", "?resource": "Vault::\"west\""}},
  {"template_id": "ban", "link_id": "no-b", "args": {"?principal": "Agent::\"b\""}}
]"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "Team", "id": "red"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Agent", "id": "a"}, "attrs": {}, "parents": [{"type": "Team", "id": "red"}]},
  {"uid": {"type": "Agent", "id": "b"}, "attrs": {}, "parents": [{"type": "Team", "id": "red"}]},
  {"uid": {"type": "Agent", "id": "c"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Vault", "id": "lobby"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Vault", "id": "east"}, "attrs": {}, "parents": []},
  {"uid": {"type": "Vault", "id": "cell"}, "attrs": {}, "parents": [{"type": "Vault", "id": "east"}]},
  {"uid": {"type": "Vault", "id": "west"}, "attrs": {}, "parents": []}
]"#;

fn sources(rules: Rules) -> Sources {
    Sources {
        catalog: Document::new("catalog.cedarschema", SCHEMA),
        policies: vec![Document::new("policies/vaults.cedar", POLICIES)],
        risk: Vec::new(),
        links: Some(Document::new("links.json", LINKS)),
        operators: None,
        entities: vec![Document::new("entities.json", ENTITIES)],
        tests: Vec::new(),
        rules,
    }
}

fn compile(sources: Sources) -> Bundle {
    Bundle::compile(sources).unwrap_or_else(|error| panic!("{}", error.report()))
}

/// Cedar's own set of the same files.
fn linked() -> PolicySet {
    let parsed: PolicySet = POLICIES.parse().unwrap();
    let mut set = PolicySet::new();
    for policy in parsed.policies() {
        set.add(policy.new_id(PolicyId::new(policy.annotation("id").unwrap()))).unwrap();
    }
    for template in parsed.templates() {
        set.add_template(template.new_id(PolicyId::new(template.annotation("id").unwrap()))).unwrap();
    }
    let links: Vec<serde_json::Value> = serde_json::from_str(LINKS).unwrap();
    for link in links {
        let id = |key: &str| PolicyId::new(link[key].as_str().unwrap());
        let slot = |name: &str| match name {
            "?principal" => SlotId::principal(),
            _ => SlotId::resource(),
        };
        let args = link["args"].as_object().unwrap().iter();
        let slots = args.map(|(name, uid)| (slot(name), uid.as_str().unwrap().parse().unwrap())).collect();
        set.link(id("template_id"), id("link_id"), slots).unwrap();
    }
    set
}

#[test]
fn linked_templates_decide_as_cedar_decides() {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).unwrap();
    let entities = Entities::from_json_str(ENTITIES, Some(&schema)).unwrap();
    let set = linked();
    for rules in [Rules::Bundle, Rules::Plain] {
        let bundle = compile(sources(rules));
        let mut allowed = 0;
        for (agent, vault, force) in ["a", "b", "c"].iter().flat_map(|agent| {
            ["lobby", "east", "cell", "west"]
                .iter()
                .flat_map(move |vault| [true, false].map(|force| (agent, vault, force)))
        }) {
            let uid = |kind: &str, id: &str| -> EntityUid { format!("{kind}::\"{id}\"").parse().unwrap() };
            let context = Context::from_json_value(serde_json::json!({ "force": force }), None).unwrap();
            let request =
                Request::new(uid("Agent", agent), uid("Action", "open"), uid("Vault", vault), context, None);
            let cedar = Authorizer::new().is_authorized(&request.unwrap(), &set, &entities);
            let mut reasons: Vec<_> = cedar.diagnostics().reason().map(ToString::to_string).collect();
            reasons.sort();
            let json = serde_json::json!({
                "principal": format!("Agent::\"{agent}\""), "action": "Action::\"open\"",
                "resource": format!("Vault::\"{vault}\""), "context": { "force": force },
            });
            let answer = bundle.answer(&json.to_string()).unwrap();
            let decision = if cedar.decision() == Decision::Allow { "allow" } else { "deny" };
            assert_eq!((answer.cedar_decision, &answer.reasons), (decision, &reasons), "{json}");
            allowed += usize::from(decision == "allow");
        }
        assert!(allowed > 4, "{allowed} allowed: the links do nothing");
    }
}

#[test]
fn a_link_is_a_policy_with_its_template_s_annotations_and_its_own_id() {
    let bundle = compile(sources(Rules::Bundle));
    let ids: Vec<_> = bundle.policies().iter().map(|note| note.id.as_str()).collect();
    assert_eq!(ids, ["plain", "red-east", "a-west", "no-b"]);
    let link = &bundle.policies()[1];
    assert_eq!(link.template.as_deref(), Some("grant"));
    assert_eq!(link.reason.as_deref(), Some("granted"));
    assert_eq!(link.place.to_string(), "policies/vaults.cedar:2:1");
    assert_eq!(link.clauses[0].text, "unless { context.force }");
}

#[test]
fn links_of_the_risk_model_add_to_the_score() {
    let mut sources = sources(Rules::Bundle);
    let text = "@id(\"watched\") @score(\"30\") permit (principal == ?principal, action, resource);";
    sources.risk = vec![Document::new("risk/agents.cedar", text)];
    let link = r#"{"template_id": "watched", "link_id": "watch-a", "args": {"?principal": "Agent::\"a\""}},"#;
    sources.links = Some(Document::new("links.json", LINKS.replacen('[', &format!("[{link}"), 1)));
    let bundle = compile(sources);
    let last = bundle.policies().last().unwrap();
    assert_eq!((last.id.as_str(), last.effect), ("watch-a", assent_evaluator::Effect::Score(30)));
}

#[test]
fn the_digest_covers_the_links() {
    let mut other = sources(Rules::Bundle);
    other.links =
        Some(Document::new("links.json", LINKS.replace("Vault::\\\"west\\\"", "Vault::\\\"lobby\\\"")));
    let (bundle, other) = (compile(sources(Rules::Bundle)), compile(other));
    assert_ne!(bundle.digest(), other.digest());
}

#[test]
fn a_template_without_links_rejects_a_bundle_and_is_nothing_in_plain_files() {
    let without = |rules| Sources { links: None, ..sources(rules) };
    let error = Bundle::compile(without(Rules::Bundle)).expect_err("two templates are not linked");
    assert!(error.report().contains("link it in links.json"), "{}", error.report());
    assert_eq!(compile(without(Rules::Plain)).policies().len(), 1);
}

#[test]
fn positions_count_templates_as_cedar_counts_them() {
    let mut sources = sources(Rules::Plain);
    sources.policies[0].text = POLICIES.replace("@id(\"plain\")", "").replace("@id(\"grant\")", "")
        + "permit (principal, action, resource == Vault::\"west\");";
    sources.links = Some(Document::new("links.json", LINKS.replace("\"grant\"", "\"policy1\"")));
    let bundle = compile(sources);
    let ids: Vec<_> = bundle.policies().iter().map(|note| note.id.as_str()).collect();
    assert_eq!(ids, ["policy0", "policy3", "red-east", "a-west", "no-b"]);
}

#[test]
fn cedar_s_json_form_is_taken_with_its_links_in_plain_files() {
    let json = linked().to_json().unwrap();
    let mut sources = sources(Rules::Plain);
    sources.policies = vec![Document::new("policies.json", json.to_string())];
    sources.links = None;
    let bundle = compile(sources);
    let mut ids: Vec<_> = bundle.policies().iter().map(|note| note.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["a-west", "no-b", "plain", "red-east"]);
    let request = r#"{"principal": "Agent::\"a\"", "action": "Action::\"open\"", "resource": "Vault::\"west\"", "context": {"force": false}}"#;
    let answer = bundle.answer(request).unwrap();
    assert_eq!((answer.decision, answer.reasons), ("allow", vec!["a-west".to_owned()]));
}

#[test]
fn one_policy_in_cedar_s_json_form_is_taken_too() {
    let mut sources = sources(Rules::Plain);
    let json = r#"{"effect": "permit", "principal": {"op": "All"}, "action": {"op": "All"}, "resource": {"op": "All"}, "conditions": []}"#;
    sources.policies = vec![Document::new("policy.json", json)];
    sources.links = None;
    assert_eq!(compile(sources.clone()).policies().len(), 1);
    sources.policies = vec![Document::new("policy.json", "{\"effect\": ")];
    let error = Bundle::compile(sources).expect_err("it is cut off");
    assert!(error.report().starts_with("policy.json:1:11: "), "{}", error.report());
}
