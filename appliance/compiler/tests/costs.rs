//! Costs: no evaluation uses more fuel than the worst case that was told, also where an environment's program is longer than
//! the general one, and where a value went through a record that the policy made.

#![expect(clippy::unwrap_used, reason = "what stands beside the tests may fail as loudly as a test")]

use assent_compiler::{Bundle, Sources};
use assent_evaluator::{Facts, Intent, Uid, Verdict};

const SCHEMA: &str = "entity U = { name: String, tags: Set<String> };
action x, y appliesTo { principal: [U], resource: [U], context: { files: Set<String>, others: Set<String>, n: Long, text: String } };";
const ENTITIES: &str =
    r#"[{"uid":{"type":"U","id":"u"},"attrs":{"name":"n","tags":["a","b","c"]},"parents":[]}]"#;

const CONDITIONS: &[&str] = &[
    "action == Action::\"y\" || principal == U::\"p\"",
    "(principal == U::\"p\") && action == Action::\"y\"",
    "{zz: context.files}.zz.containsAll({yy: context.others}.yy)",
    "{n: context.files}.n.containsAny(context.others)",
    "{a: {b: context.files}}.a == {b: context.others}",
    "[context.text, principal.name].contains(context.text) || [context.n, 3].containsAll([context.n])",
    "context.text like \"*a*a*a*\" && context.files.contains(context.text)",
    "principal.tags.containsAll(context.files) || principal.tags == context.others",
    "if context.n > 3 then context.files == context.others else context.others.containsAny(principal.tags)",
];

fn set<'a>(intent: &mut Intent<'a>, name: &'a str, values: &'a [String]) {
    intent.key(name).unwrap();
    intent.begin_set(values.len()).unwrap();
    values.iter().for_each(|value| intent.string(value).unwrap());
    intent.end().unwrap();
}

/// Fuel that an intent uses, with as large a context as there is room for.
fn used(bundle: &Bundle, action: &str, n: i64) -> (u64, Verdict) {
    let (view, uid) = (bundle.view(), |type_name, id| Uid { type_name, id });
    let values = |from: usize| (from..from + 100).map(|number| format!("{number:0>200}")).collect::<Vec<_>>();
    let (files, others, text) = (values(0), values(50), "ab".repeat(5_000));
    let mut intent = Intent::new(&view);
    intent.ask(uid("U", "u"), uid("Action", action), uid("U", "u"));
    intent.begin_record(4).unwrap();
    set(&mut intent, "files", &files);
    set(&mut intent, "others", &others);
    intent.key("n").unwrap();
    intent.long(n).unwrap();
    intent.key("text").unwrap();
    intent.string(&text).unwrap();
    intent.end().unwrap();
    let mut classified = intent.classify(Facts::default()).unwrap();
    let evaluation = classified.evaluate();
    (evaluation.fuel_used(), evaluation.verdict())
}

#[test]
fn no_evaluation_uses_more_than_the_worst_case() {
    let mut largest = 0;
    for condition in CONDITIONS {
        let policies = format!(
            "permit (principal, action, resource) when {{ {condition} }};
             forbid (principal, action, resource) unless {{ {condition} }};
             permit (principal, action, resource) when {{ principal == resource }} when {{ {condition} }};"
        );
        let bundle = Bundle::compile_within(Sources::plain(SCHEMA, &policies, ENTITIES), u64::MAX).unwrap();
        let worst = bundle.worst_case();
        let sources = Sources::plain(SCHEMA, &policies, ENTITIES);
        let within = Bundle::compile_within(sources, worst).unwrap();
        for (action, n) in [("x", 1), ("y", 1), ("x", 7), ("y", 7)] {
            let (fuel, verdict) = used(&within, action, n);
            assert!(fuel <= worst, "{condition}: {fuel} of {worst}");
            assert!(!matches!(verdict, Verdict::Unavailable(_)), "{condition}: {verdict:?}");
            largest = largest.max(fuel);
        }
    }
    assert!(largest > 100_000, "{largest} is hardly a cost");
}
