//! Bundles: what a folder may hold, what rejects it, and what its annotations do.

#![expect(clippy::expect_used, reason = "what stands beside the tests may fail as loudly as a test")]

use assent_compiler::{Bundle, BundleError, Document, Rules, Sources};
use assent_evaluator::Priority;

const CATALOG: &str = r#"
type Assent = { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long };
entity Team;
entity Agent in [Team];
entity Vault;
action "vaults";
@risk("40") @window("90s") @uses("2") @priority("high") @break_glass @queue("15m")
action open in ["vaults"] appliesTo { principal: [Agent], resource: [Vault], context: { assent: Assent, force: Bool } };
"#;

const POLICIES: &str = r#"
@id("team") @reason("the team may") permit (principal in Team::"red", action, resource);
@id("force") @advice("do not") forbid (principal, action == Action::"open", resource) when { context.force };
@id("risky") @approval("2 of guards") forbid (principal, action == Action::"open", resource)
when { context.assent.risk > 50 } unless { context.assent.approvals >= 2 };
"#;

const RISK: &str = r#"
@id("night") @score("20") permit (principal, action == Action::"open", resource)
when { context.assent.now.toTime() < duration("6h") };
"#;

const ENTITIES: &str = r#"[
{"uid":{"type":"Agent","id":"a"},"attrs":{},"parents":[{"type":"Team","id":"red"}]},
{"uid":{"type":"Team","id":"red"},"attrs":{},"parents":[]},
{"uid":{"type":"Vault","id":"v"},"attrs":{},"parents":[]}]"#;

fn sources() -> Sources {
    Sources {
        catalog: Document::new("catalog.cedarschema", CATALOG),
        policies: vec![Document::new("policies/vaults.cedar", POLICIES)],
        risk: vec![Document::new("risk/time.cedar", RISK)],
        links: None,
        operators: None,
        entities: vec![Document::new("entities.json", ENTITIES)],
        tests: Vec::new(),
        rules: Rules::Bundle,
    }
}

fn rejected(change: impl FnOnce(&mut Sources)) -> BundleError {
    let mut sources = sources();
    change(&mut sources);
    Bundle::compile(sources).expect_err("it should be rejected")
}

fn request(force: bool, now: &str, approvals: u32) -> String {
    format!(
        r#"{{"principal":{{"type":"Agent","id":"a"}},"action":{{"type":"Action","id":"open"}},"resource":{{"type":"Vault","id":"v"}},
        "context":{{"force":{force},"assent":{{"now":"{now}","risk":0,"approvals":{approvals},"degraded":false,"agent_rate":1,"epoch":0}}}}}}"#
    )
}

#[test]
fn a_bundle_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Bundle>();
}

#[test]
fn annotations_become_terms_and_notes() {
    let bundle = Bundle::compile(sources()).unwrap_or_else(|error| panic!("{}", error.report()));
    let open = bundle.catalog().actions().iter().find(|action| action.id == "open").unwrap();
    assert_eq!(open.categories, ["vaults"]);
    assert_eq!((open.terms.risk, open.terms.window_ms, open.terms.uses), (40, 90_000, 2));
    assert_eq!((open.terms.priority, open.terms.queue_ms), (Priority::High, Some(900_000)));
    assert!(open.terms.break_glass);
    let ids: Vec<_> = bundle.policies().iter().map(|note| note.id.as_str()).collect();
    assert_eq!(ids, ["team", "force", "risky", "night"]);
    let approval = bundle.policies()[2].approval.as_ref().unwrap();
    assert_eq!((approval.count, approval.group.as_str()), (2, "guards"));
}

/// The digest, which operators sign, does not tell parts: so a name stands in its own part only.
#[test]
fn a_document_stands_where_its_name_says_or_the_bundle_is_rejected() {
    let changes: [fn(&mut Sources); 7] = [
        |sources| sources.tests.append(&mut sources.policies),
        |sources| sources.policies.append(&mut sources.risk),
        |sources| sources.operators = sources.risk.pop(),
        |sources| sources.policies[0].name = "policies/below/x.cedar".to_owned(),
        |sources| sources.policies[0].name = "policies/.hidden.cedar".to_owned(),
        |sources| sources.entities.push(Document::new("entities/more.json", "[]")),
        |sources| sources.policies.push(sources.policies[0].clone()),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let error = rejected(change).to_string();
        assert!(error.contains("this file"), "{number}: {error}");
    }
}

#[test]
fn the_digest_names_contents_and_not_their_order() {
    let digest = |change: fn(&mut Sources)| {
        let mut sources = sources();
        change(&mut sources);
        Bundle::compile(sources).unwrap().digest()
    };
    assert_eq!(digest(|_| {}), digest(|_| {}));
    assert_ne!(digest(|_| {}), digest(|sources| sources.entities[0].text.push(' ')));
    assert_ne!(digest(|_| {}), digest(|sources| sources.policies[0].name = "policies/v.cedar".to_owned()));
    let bundle = Bundle::compile(sources()).unwrap();
    let same = bundle.with_entities(bundle.sources().entities.clone()).unwrap();
    assert_eq!(bundle.digest(), same.digest());
}

#[test]
fn other_entities_need_no_other_image() {
    let bundle = Bundle::compile(sources()).unwrap();
    let without_team = ENTITIES.replace(r#"[{"type":"Team","id":"red"}]"#, "[]");
    let other = bundle.with_entities(vec![Document::new("entities.json", without_team)]).unwrap();
    let noon = request(false, "2024-05-01T12:00:00Z", 0);
    assert_eq!(bundle.answer(&noon).unwrap().cedar_decision, "allow");
    assert_eq!(other.answer(&noon).unwrap().cedar_decision, "deny");
}

#[test]
fn a_forbid_with_approval_holds_where_it_alone_decides() {
    let bundle = Bundle::compile(sources()).unwrap();
    let at_risk = |risk: u32, force, approvals| {
        let json = request(force, "2024-05-01T12:00:00Z", approvals)
            .replace("\"risk\":0", &format!("\"risk\":{risk}"));
        bundle.answer(&json).unwrap().refusal
    };
    assert_eq!(at_risk(40, false, 0), None);
    assert_eq!(at_risk(60, false, 1), Some("APPROVAL_REQUIRED"));
    assert_eq!(at_risk(60, false, 2), None);
    assert_eq!(at_risk(60, true, 0), Some("POLICY_DENIED"));
}

#[test]
fn the_risk_model_adds_to_the_base_before_policies_see_it() {
    use assent_evaluator::{Facts, Intent, Uid, Verdict};
    let bundle = Bundle::compile(sources()).unwrap();
    let view = bundle.view();
    let verdict = |now_ms| {
        let uid = |type_name, id| Uid { type_name, id };
        let mut intent = Intent::new(&view);
        intent.ask(uid("Agent", "a"), uid("Action", "open"), uid("Vault", "v"));
        intent.begin_record(1).unwrap();
        intent.key("force").unwrap();
        intent.bool(false).unwrap();
        intent.end().unwrap();
        let mut classified = intent.classify(Facts { now_ms, ..Facts::default() }).unwrap();
        let evaluation = classified.evaluate();
        (evaluation.verdict(), evaluation.risk(), evaluation.scores().iter().collect::<Vec<_>>())
    };
    assert_eq!(verdict(0), (Verdict::Hold, 60, vec![3]));
    assert_eq!(verdict(12 * 3_600_000), (Verdict::Allow, 40, vec![]));
}

#[test]
fn the_appliance_alone_asserts_facts() {
    use assent_evaluator::{Facts, Intent, Misfit, Refused, Uid};
    let bundle = Bundle::compile(sources()).unwrap();
    let uid = |type_name, id| Uid { type_name, id };
    let view = bundle.view();
    let mut intent = Intent::new(&view);
    intent.ask(uid("Agent", "a"), uid("Action", "open"), uid("Vault", "v"));
    intent.begin_record(2).unwrap();
    intent.key("assent").unwrap();
    intent.begin_record(0).unwrap();
    intent.end().unwrap();
    intent.key("force").unwrap();
    intent.bool(false).unwrap();
    intent.end().unwrap();
    let refused = intent.classify(Facts::default()).unwrap_err();
    assert_eq!(refused, Refused::Invalid(Misfit::Reserved));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let syntax = rejected(|sources| sources.policies[0].text.push_str("permit (principal, action"));
    assert!(syntax.report().contains("policies/vaults.cedar"), "{}", syntax.report());
    let unknown = rejected(|sources| {
        sources.policies[0]
            .text
            .push_str("permit (principal, action, resource) when { resource.colour == 1 };");
    });
    assert_eq!(unknown.kind(), "policies");
    assert!(unknown.report().contains("colour"), "{}", unknown.report());
    let deep = rejected(|sources| {
        sources.entities[0].text = r#"[{"uid":{"type":"Nobody","id":"x"},"attrs":{},"parents":[]}]"#.into()
    });
    assert_eq!(deep.kind(), "entities");
}

#[test]
fn what_would_loosen_silently_rejects() {
    let catalog = |from: &'static str, to: &'static str| {
        rejected(move |sources| sources.catalog.text = sources.catalog.text.replace(from, to)).kind()
    };
    assert_eq!(catalog("@risk(\"40\")", "@rsik(\"40\")"), "annotation");
    assert_eq!(catalog("@window(\"90s\")", "@window(\"90\")"), "annotation");
    assert_eq!(catalog("epoch: Long }", "epoch?: Long }"), "unsupported");
    assert_eq!(catalog("entity Vault;", "@transient entity Vault in [Team];"), "unsupported");
    let policy = |from: &'static str, to: &'static str| {
        rejected(move |sources| sources.policies[0].text = sources.policies[0].text.replace(from, to)).kind()
    };
    assert_eq!(policy("@id(\"force\")", "@id(\"team\")"), "duplicate_id");
    assert_eq!(policy("@approval(\"2 of guards\")", "@approval(\"some\")"), "annotation");
    assert_eq!(policy("@reason(\"the team may\")", "@approval(\"2 of guards\")"), "annotation");
    // A policy that can never apply is a warning in Cedar.
    let never = rejected(|sources| {
        sources.policies[0].text.push_str("permit (principal is Vault, action, resource);")
    });
    assert_eq!(never.kind(), "policies");
    let score = rejected(|sources| sources.risk[0].text = sources.risk[0].text.replace("@score(\"20\")", ""));
    assert_eq!(score.kind(), "unsupported");
}

#[test]
fn arithmetic_under_a_forbid_is_warned_of() {
    let mut sources = sources();
    sources.policies[0].text =
        sources.policies[0].text.replace("context.assent.risk > 50", "context.assent.risk * 2 > 100");
    let bundle = Bundle::compile(sources).unwrap();
    assert_eq!(bundle.warnings().len(), 1, "{:?}", bundle.warnings());
}

#[test]
fn a_folder_is_read_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("catalog.cedarschema", CATALOG);
    write("policies/b.cedar", POLICIES);
    write("policies/a.cedar", "@id(\"first\") permit (principal, action, resource is Vault);");
    write("policies/notes.txt", "not a policy");
    write("risk/time.cedar", RISK);
    write("entities/one.json", ENTITIES);
    let bundle = Bundle::from_folder(folder.path()).unwrap_or_else(|error| panic!("{}", error.report()));
    assert_eq!(bundle.policy_id(0), "first");
    assert_eq!(bundle.sources().entities[0].name, "entities/one.json");
    assert!(matches!(
        Bundle::from_folder(&folder.path().join("nowhere")),
        Err(BundleError::Unreadable { .. })
    ));
}

#[test]
fn other_entities_are_held_to_the_budget_too() {
    let mut sources = sources();
    sources.catalog.text = CATALOG.replace("entity Vault;", "entity Vault { codes: Set<Long> };");
    let vault = |codes: usize| {
        let codes = (0..codes).map(|code| code.to_string()).collect::<Vec<_>>().join(", ");
        let attributes = format!("\"id\":\"v\"}},\"attrs\":{{\"codes\":[{codes}]}}");
        Document::new("entities.json", ENTITIES.replace("\"id\":\"v\"},\"attrs\":{}", &attributes))
    };
    let policy = "@id(\"codes\") permit (principal, action == Action::\"open\", resource)\n\
        when { resource.codes.containsAll(resource.codes) };";
    sources.policies.push(Document::new("policies/codes.cedar", policy));
    sources.entities = vec![vault(2)];
    let small = Bundle::compile(sources.clone()).unwrap_or_else(|error| panic!("{}", error.report()));
    let bundle = Bundle::compile_within(sources, small.worst_case() * 2).unwrap();
    assert!(bundle.with_entities(vec![vault(3)]).is_ok());
    let error = bundle.with_entities(vec![vault(1000)]).expect_err("a thousand codes against a thousand");
    assert!(error.report().starts_with("policies/codes.cedar:1:1: policy `codes`"), "{}", error.report());
}

#[test]
fn the_worst_case_is_known_and_grows_with_what_is_compared() {
    let bundle = Bundle::compile(sources()).unwrap();
    let longer = |clause: &str| {
        let mut sources = sources();
        let policy = format!(
            "@id(\"more\") permit (principal, action == Action::\"open\", resource) when {{ {clause} }};"
        );
        sources.policies[0].text.push_str(&policy);
        Bundle::compile(sources).unwrap_or_else(|error| panic!("{}", error.report())).worst_case()
    };
    assert!(longer("context.force") > bundle.worst_case());
    assert!(longer("[1, 2, 3].containsAll([context.assent.risk, 5])") > longer("context.force"));
}

#[test]
fn a_budget_that_can_be_passed_rejects_and_one_that_is_passed_makes_evaluation_unavailable() {
    let over = Bundle::compile_within(sources(), 3).expect_err("its worst case is known to be more");
    assert_eq!(over.kind(), "over_budget");
    // Anybody's Cedar files are taken none the less; then the budget holds while they run.
    let bundle = Bundle::compile_within(Sources { rules: Rules::Plain, ..sources() }, 3).unwrap();
    let answer = bundle.answer(&request(false, "2024-05-01T12:00:00Z", 0)).unwrap();
    assert_eq!((answer.decision, answer.refusal), ("deny", Some("EVALUATION_UNAVAILABLE")));
}

#[test]
fn a_policy_that_passes_the_machine_s_limits_is_rejected_by_name() {
    let error = rejected(|sources| {
        let risk = "context.assent.risk";
        let sum = (0..40).fold(risk.to_owned(), |sum, _| format!("{risk} + ({sum})"));
        let policy = format!(
            "@id(\"deep\") permit (principal, action == Action::\"open\", resource) when {{ {sum} > 1 }};"
        );
        sources.policies[0].text.push_str(&policy);
    });
    assert_eq!(error.kind(), "unsupported");
    assert!(error.report().contains("`deep`"), "{}", error.report());
}
