//! Deep and long text: what recurses over it has a stack for whatever the limits let through, and the rest is rejected.

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

/// Bodies that recurse, by how often something is repeated in them, with how many operators each repetition has.
fn bodies() -> Vec<(&'static str, fn(usize) -> String, usize)> {
    vec![
        ("||", |times| format!("context.b{}", " || context.b".repeat(times)), 3),
        ("&&", |times| format!("context.b{}", " && context.b".repeat(times)), 3),
        ("+", |times| format!("context.n{} > 1", " + 1".repeat(times)), 1),
        ("*", |times| format!("context.n{} > 1", " * 1".repeat(times)), 1),
        ("if", |times| format!("{}true", "if context.b then false else ".repeat(times)), 2),
        ("has", |times| format!("context.b{}", " && principal has s".repeat(times)), 3),
        ("like", |times| format!("context.b{}", " || principal.s like \"a*\"".repeat(times)), 4),
    ]
}

#[test]
fn what_the_limits_let_through_compiles_or_is_rejected_and_never_overflows() {
    for (name, body, each) in bodies() {
        let fits = compile(SCHEMA, &clause(&body(MAX_OPERATORS / each - 4)));
        // The machine may have no room for it, and Cedar's validator may know better; both say so in words.
        assert!(fits.as_ref().is_ok_or_says("policy"), "{name}: {fits:?}");
        let passed = compile(SCHEMA, &clause(&body(MAX_OPERATORS))).unwrap_err();
        assert!(passed.contains("operators in one policy"), "{name}: {passed}");
    }
    for (open, inner, close) in [("(", "context.b", ")"), ("[", "1", "]"), ("{\"a\": ", "1", "}")] {
        let nested =
            |depth: usize| clause(&format!("{}{inner}{} == 1", open.repeat(depth), close.repeat(depth)));
        let fits = compile(SCHEMA, &nested(MAX_NESTING - 2));
        assert!(fits.as_ref().is_ok_or_says("policy"), "{open}: {fits:?}");
        let passed = compile(SCHEMA, &nested(60_000)).unwrap_err();
        assert!(passed.contains("brackets within one another"), "{open}: {passed}");
    }
    let sets =
        |depth: usize| format!("entity A = {{ a: {}Long{} }};", "Set<".repeat(depth), ">".repeat(depth));
    let fits = compile(&sets(MAX_NESTING - 2), "");
    assert!(fits.is_ok(), "{fits:?}");
    assert!(compile(&sets(60_000), "").unwrap_err().contains("brackets within one another"));
}

trait OkOrSays {
    /// Whether it went well, or was rejected in words that contain this.
    fn is_ok_or_says(self, word: &str) -> bool;
}

impl OkOrSays for Result<&(), &String> {
    fn is_ok_or_says(self, word: &str) -> bool {
        self.map_or_else(|report| report.contains(word), |()| true)
    }
}
