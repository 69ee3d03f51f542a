//! Deep and long text: what recurses over it has a stack for whatever the limits let through, and the rest is rejected.

#![expect(clippy::panic, reason = "what stands beside the tests may fail as loudly as a test")]

use assent_compiler::{Bundle, MAX_NESTING, MAX_OPERATORS, STACK_BYTES, Sources};

const SCHEMA: &str = "entity U = { n: Long, s: String, r: { a: Long } }; entity G;
action a appliesTo { principal: [U], resource: [U], context: { n: Long, b: Bool } };";

/// Compiles on a stack of the size that is promised to be enough.
fn compile(schema: &str, policies: &str) -> Result<(), String> {
    let (schema, policies) = (schema.to_owned(), policies.to_owned());
    let compile = move || {
        let compiled = Bundle::compile(Sources::plain(schema, policies, "[]"));
        compiled.map(drop).map_err(|error| error.report())
    };
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(compile);
    thread
        .and_then(|thread| thread.join().map_err(|_| std::io::Error::other("it panicked")))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn clause(body: &str) -> String {
    format!("permit (principal, action, resource) when {{ {body} }};")
}

/// A body that recurses: its name, how it is written with so many repetitions, and how many operators each of them has.
type Body = (&'static str, fn(usize) -> String, usize);

const BODIES: &[Body] = &[
    ("||", |times| format!("context.b{}", " || context.b".repeat(times)), 3),
    ("&&", |times| format!("context.b{}", " && context.b".repeat(times)), 3),
    ("+", |times| format!("context.n{} > 1", " + 1".repeat(times)), 1),
    ("*", |times| format!("context.n{} > 1", " * 1".repeat(times)), 1),
    ("if", |times| format!("{}true", "if context.b then false else ".repeat(times)), 2),
    ("has", |times| format!("context.b{}", " && principal has s".repeat(times)), 3),
    ("like", |times| format!("context.b{}", " || principal.s like \"a*\"".repeat(times)), 4),
];

#[test]
fn what_the_limits_let_through_compiles_or_is_rejected_and_never_overflows() {
    for (name, body, each) in BODIES {
        let compiled = compile(SCHEMA, &clause(&body(MAX_OPERATORS / each - 4)));
        // The machine may have no room for it, and Cedar's validator may know better; both say so in words.
        assert!(fits(&compiled), "{name}: {compiled:?}");
        let passed = compile(SCHEMA, &clause(&body(MAX_OPERATORS))).unwrap_err();
        assert!(passed.contains("operators in one policy"), "{name}: {passed}");
    }
    for (open, inner, close) in [("(", "context.b", ")"), ("[", "1", "]"), ("{\"a\": ", "1", "}")] {
        let nested =
            |depth: usize| clause(&format!("{}{inner}{} == 1", open.repeat(depth), close.repeat(depth)));
        let compiled = compile(SCHEMA, &nested(MAX_NESTING - 2));
        assert!(fits(&compiled), "{open}: {compiled:?}");
        for before in ["", "//\r", "// a comment\n"] {
            let passed = compile(SCHEMA, &format!("{before}{}", nested(60_000))).unwrap_err();
            assert!(passed.contains("brackets within one another"), "{open}: {passed}");
        }
    }
    let sets =
        |depth: usize| format!("entity A = {{ a: {}Long{} }};", "Set<".repeat(depth), ">".repeat(depth));
    let compiled = compile(&sets(MAX_NESTING - 2), "");
    assert!(compiled.is_ok(), "{compiled:?}");
    assert!(compile(&sets(60_000), "").unwrap_err().contains("brackets within one another"));
}

/// Whether it compiled, or was rejected in words that name a policy.
fn fits(compiled: &Result<(), String>) -> bool {
    compiled.as_ref().map_or_else(|report| report.contains("policy"), |()| true)
}
