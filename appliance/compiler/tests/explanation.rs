//! Explanations, trials and differences: what people are told of a bundle, and that it is what the evaluator does.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what stands beside the tests may fail as loudly as a test"
)]

use assent_compiler::{Bundle, Difference, Document, Explanation, Found, Rules, Sources};
use assent_evaluator::Facts;

const CATALOG: &str = r#"
type Assent = { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long };
entity Agent { spent: Long };
entity Vault { open: Bool };
@risk("40") @window("90s")
action open appliesTo { principal: [Agent], resource: [Vault], context: { assent: Assent, until: datetime, amount: Long } };
action close appliesTo { principal: [Agent], resource: [Vault], context: {} };
"#;

const POLICIES: &str = r#"// Vaults.
@id("may") @reason("agents may")
permit (principal, action == Action::"open", resource)
when { context.amount < 100 } // "unless { true }"
when { resource.open && "when {" != "}" }
unless {
  context.until < context.assent.now
};
@id("closing") permit (principal, action == Action::"close", resource);
@id("sum") forbid (principal, action == Action::"open", resource) when { principal.spent + context.amount > 1000 };
@id("risky") @approval("2 of guards") @advice("ask the guards")
forbid (principal, action == Action::"open", resource) when { context.assent.risk > 50 };
"#;

const RISK: &str = r#"@id("large") @score("20") permit (principal, action == Action::"open", resource) when { context.amount > 50 };"#;

const ENTITIES: &str = r#"[
  {"uid": {"type": "Agent", "id": "a"}, "attrs": {"spent": 9223372036854775807}, "parents": []},
  {"uid": {"type": "Agent", "id": "b"}, "attrs": {"spent": 0}, "parents": []},
  {"uid": {"type": "Vault", "id": "v"}, "attrs": {"open": true}, "parents": []},
  {"uid": {"type": "Vault", "id": "w"}, "attrs": {"open": false}, "parents": []}
]"#;

fn sources() -> Sources {
    Sources {
        catalog: Document::new("catalog.cedarschema", CATALOG),
        policies: vec![Document::new("policies/vaults.cedar", POLICIES)],
        risk: vec![Document::new("risk/amounts.cedar", RISK)],
        links: None,
        operators: None,
        entities: vec![Document::new("entities.json", ENTITIES)],
        tests: Vec::new(),
        rules: Rules::Bundle,
    }
}

fn compile(sources: Sources) -> Bundle {
    Bundle::compile(sources).unwrap_or_else(|error| panic!("{}", error.report()))
}

fn explain(agent: &str, vault: &str, amount: i64) -> Explanation {
    let json = serde_json::json!({
        "principal": format!("Agent::\"{agent}\""), "action": "Action::\"open\"",
        "resource": format!("Vault::\"{vault}\""), "context": { "until": "2030-01-01", "amount": amount },
    });
    let facts = Facts { now_ms: 1_700_000_000_000, ..Facts::default() };
    compile(sources()).explain(&json.to_string(), facts).unwrap_or_else(|error| panic!("{error}"))
}

fn outcome<'e>(explanation: &'e Explanation, id: &str) -> &'e Found {
    &explanation.policies.iter().find(|finding| finding.id == id).expect("the policy is told").outcome
}

#[test]
fn an_allow_is_explained_by_its_permits_and_its_risk() {
    let explanation = explain("b", "v", 5);
    assert_eq!(
        (explanation.decision, explanation.refusal, explanation.cedar_decision),
        ("allow", None, "allow")
    );
    assert_eq!((explanation.risk, explanation.base_risk), (40, 40));
    assert_eq!(*outcome(&explanation, "may"), Found::Decides);
    assert_eq!(*outcome(&explanation, "closing"), Found::OutOfScope);
    assert!(matches!(outcome(&explanation, "large"), Found::Unsatisfied(_)));
    let may = &explanation.policies[0];
    assert_eq!(
        (may.reason.as_deref(), may.place.to_string().as_str()),
        (Some("agents may"), "policies/vaults.cedar:2:1")
    );
}

#[test]
fn the_first_clause_that_fails_is_named_with_its_source() {
    let failed = |vault, amount| {
        let explanation = explain("b", vault, amount);
        assert_eq!(explanation.refusal, Some("POLICY_DENIED"));
        let Found::Unsatisfied(clause) = outcome(&explanation, "may") else { panic!("{explanation:?}") };
        (clause.number, clause.place.line, clause.text.clone())
    };
    assert_eq!(failed("v", 500), (1, 4, "when { context.amount < 100 }".to_owned()));
    assert_eq!(failed("w", 5), (2, 5, "when { resource.open && \"when {\" != \"}\" }".to_owned()));
}

#[test]
fn a_hold_names_who_can_lift_it_and_what_added_to_the_risk() {
    let explanation = explain("b", "v", 60);
    assert_eq!((explanation.decision, explanation.refusal), ("hold", Some("APPROVAL_REQUIRED")));
    assert_eq!(explanation.risk, 60);
    assert_eq!(*outcome(&explanation, "large"), Found::Adds(20));
    assert_eq!(*outcome(&explanation, "risky"), Found::Decides);
    assert_eq!(*outcome(&explanation, "may"), Found::Overruled);
    let risky = explanation.policies.iter().find(|finding| finding.id == "risky").unwrap();
    assert_eq!(risky.approval.as_deref(), Some("2 of guards"));
}

#[test]
fn a_policy_that_fails_says_why_and_where_cedar_would_have_allowed() {
    let explanation = explain("a", "v", 90);
    // At risk 60 the forbid with approval holds in Cedar's eyes, too.
    assert_eq!((explanation.decision, explanation.refusal), ("deny", Some("EVALUATION_UNAVAILABLE")));
    assert_eq!(*outcome(&explanation, "sum"), Found::Failed("a result does not fit into 64 bits"));
    // Small enough not to be risky: Cedar skips the forbid that fails, and allows.
    let explanation = explain("a", "v", 7);
    assert_eq!((explanation.cedar_decision, explanation.refusal), ("allow", Some("EVALUATION_UNAVAILABLE")));
}

#[test]
fn what_does_not_fit_the_catalog_is_explained_without_asking_a_policy() {
    let explanation = explain("nobody", "v", 5);
    assert_eq!(explanation.refusal, Some("INTENT_INVALID"));
    assert!(explanation.detail.as_deref().is_some_and(|detail| detail.contains("nobody")));
    assert!(explanation.policies.iter().all(|finding| finding.outcome == Found::NotAsked));
}

fn with_tests(tests: &str, more: Vec<Document>) -> Bundle {
    let tests = Document::new("tests/vaults.json", tests);
    compile(Sources { tests: std::iter::once(tests).chain(more).collect(), ..sources() })
}

const CLOSING: &str = r#""request": {"principal": "Agent::\"b\"", "action": "Action::\"close\"", "resource": "Vault::\"v\"", "context": {}}"#;

#[test]
fn tests_pass_as_cedar_s_run_tests_lets_them_and_failures_say_what_differs() {
    let entities = r#""entities": [{"uid": {"type": "Agent", "id": "b"}, "attrs": {"spent": 0}, "parents": []}, {"uid": {"type": "Vault", "id": "v"}, "attrs": {"open": true}, "parents": []}]"#;
    let test = |name: &str, rest: &str| format!("{{\"name\": \"{name}\", {CLOSING}, {entities}, {rest}}}");
    let tests = [
        test("allowed", r#""decision": "allow", "reason": ["closing"], "num_errors": 0"#),
        test("allowed, by whom is not said", r#""decision": "allow", "reason": [], "num_errors": 0"#),
        test("wrong decision", r#""decision": "deny", "reason": [], "num_errors": 0"#),
        test("wrong reason", r#""decision": "allow", "reason": ["may"], "num_errors": 0"#),
        test("wrong errors", r#""decision": "allow", "reason": [], "num_errors": 1"#),
        format!("{{{CLOSING}, \"entities\": \"people.json\", \"decision\": \"allow\"}}"),
        format!(
            "{{\"name\": \"no file\", {CLOSING}, \"entities\": \"nobody.json\", \"decision\": \"allow\"}}"
        ),
        format!("{{\"name\": \"absent\", {CLOSING}, \"entities\": [], \"decision\": \"allow\"}}"),
    ];
    let people = Document::new("tests/people.json", ENTITIES);
    let bundle = with_tests(&format!("[\n{}\n]", tests.join(",\n")), vec![people]);
    let trials = bundle.run_tests("").unwrap();
    let told: Vec<_> = trials.iter().map(|trial| trial.difference.as_deref().unwrap_or("pass")).collect();
    let expected = [
        "pass",
        "pass",
        "expected deny, decided allow by `closing`",
        "expected `may` to decide, decided by `closing`",
        "expected 1 policies to fail, no policy failed",
        "pass",
        "there is no tests/nobody.json: put the entities there, or into the test",
    ];
    assert_eq!(told[..7], expected);
    assert!(told[7].starts_with("expected allow, decided deny (INTENT_INVALID)"), "{}", told[7]);
    assert_eq!((trials[2].place.line, trials[5].name.as_str()), (4, "(unnamed)"));
    assert_eq!(bundle.run_tests("wrong").unwrap().len(), 3);
    assert_eq!(bundle.run_tests("nothing of that name").unwrap().len(), 0);
}

#[test]
fn a_test_file_that_cannot_be_read_is_told_with_its_line() {
    let bundle = with_tests("[\n{\"name\": \"x\",\n \"decision\": \"perhaps\"}]", Vec::new());
    let error = bundle.run_tests("").expect_err("there is no such decision");
    assert!(error.report().starts_with("tests/vaults.json:3:"), "{}", error.report());
}

#[test]
fn a_difference_tells_files_policies_terms_and_entities() {
    let mut other = sources();
    other.catalog.text =
        CATALOG.replace("@risk(\"40\")", "@risk(\"60\")").replace("amount: Long", "amount?: Long");
    other.policies[0].text = POLICIES
        .replace("context.amount < 100", "context has amount && context.amount < 10")
        .replace("@id(\"closing\")", "@id(\"closing-time\")")
        .replace("when { principal.spent + context.amount > 1000 }", "when { principal.spent > 1000 }");
    other.risk.clear();
    other.entities[0].text =
        ENTITIES.replace("\"id\": \"w\"", "\"id\": \"x\"").replace("\"spent\": 0", "\"spent\": 1");
    let (before, after) = (compile(sources()), compile(other));
    let difference = Difference::between(&before, &after);
    assert_eq!(difference.files.changed, ["catalog.cedarschema", "entities.json", "policies/vaults.cedar"]);
    assert_eq!(difference.files.removed, ["risk/amounts.cedar"]);
    assert_eq!(difference.policies.added, ["closing-time"]);
    assert_eq!(difference.policies.removed, ["closing", "large"]);
    assert_eq!(difference.policies.changed, ["may", "sum"]);
    assert_eq!(difference.action_changes.len(), 1);
    let change = &difference.action_changes[0];
    assert_eq!((change.action.as_str(), change.what[0].as_str()), ("Action::\"open\"", "risk 40 -> 60"));
    assert!(
        change.what[1].contains("amount: Long") && change.what[1].contains("amount?: Long"),
        "{:?}",
        change.what
    );
    assert_eq!((difference.entities, difference.entities_total), ([1, 1, 1], [4, 4]));
    let same = Difference::between(&before, &before);
    assert!(same.files.is_empty() && same.policies.is_empty() && same.action_changes.is_empty());
}

#[test]
fn stack_and_fuel_are_known_for_each_policy() {
    let bundle = compile(sources());
    let (stack, fuel) = (bundle.stack_heights(), bundle.worst_cases());
    assert_eq!((stack.len(), fuel.len()), (5, 5));
    assert_eq!((stack[1], fuel[1]), (0, 0), "a policy without clauses does nothing");
    let (most, all) = (fuel.iter().max().expect("there are five"), fuel.iter().sum::<u64>());
    assert!((*most..=all).contains(&bundle.worst_case()), "{fuel:?}");
    assert!(stack.iter().all(|height| *height <= assent_evaluator::MAX_STACK), "{stack:?}");
}

#[test]
fn the_stack_is_as_high_as_the_deepest_operand_on_either_way() {
    let height = |clause: &str| {
        let mut sources = sources();
        let policy = format!(
            "@id(\"x\") permit (principal, action == Action::\"open\", resource) when {{ {clause} }};"
        );
        sources.policies = vec![Document::new("policies/x.cedar", policy)];
        sources.risk.clear();
        compile(sources).stack_heights()[0]
    };
    let sum = |terms: usize| {
        (1..terms).fold("context.amount".to_owned(), |sum, _| format!("(context.amount + {sum})"))
    };
    let deep = height(&format!("{} > 1", sum(8)));
    assert!(deep > height(&format!("{} > 1", sum(4))) && deep >= 7, "{deep}");
    let (short, long) = (sum(2), sum(8));
    let either =
        |then: &str, otherwise: &str| height(&format!("(if resource.open then {then} else {otherwise}) > 1"));
    assert_eq!(either(&short, &long), either(&long, &short));
    assert_eq!(either(&short, &long), deep);
    assert_eq!(
        height(&format!("resource.open && {long} > 1")),
        deep,
        "what a short circuit drops is not counted twice"
    );
}
