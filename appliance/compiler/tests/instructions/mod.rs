//! A bundle that has every instruction of the machine, and the list that proves it.
//!
//! The list is a `match` without a wildcard: a new instruction does not build until it is named here, and the bundle does
//! not pass until it is used. Every policy holds for the intent of the test; the last overflows where the test wants it.

use assent_compiler::{Bundle, Sources};
use assent_evaluator::{Binary, Instruction, Operand, Unary};
use std::collections::BTreeSet;

const SCHEMA: &str = r#"
entity Team;
entity Agent in [Team] = { level: Long, born: datetime, boss?: Agent, pay: decimal, meta: { kind: String, inner?: { deep: Long } } } tags Long;
entity Order = { owner: Agent, path: String, size: Long, readers: Set<Agent> };
action money;
action use in [money] appliesTo { principal: [Agent], resource: [Order], context: {
  scale: Long, text: String, flag: Bool, from: ipaddr, when: datetime, wait: duration, list: Set<Long>, more?: Long } };
"#;

/// A condition a line; each is the `when` of a policy.
const CONDITIONS: &str = r#"
principal == Agent::"a" && resource != Order::"p" && context.flag
action in Action::"money" && action == Action::"use"
principal in Team::"t" && principal in [Team::"u", Team::"t"] && resource.owner in Team::"t"
principal is Agent && resource is Order && principal is Agent in Team::"t"
principal has boss && principal.boss == Agent::"b" && !(context has more)
principal has meta.inner.deep && principal.meta.inner.deep == 4 && context.from.isIpv4()
resource.owner.level == 3 && resource.owner.meta.kind == "k"
context == context && principal.meta == principal.meta && {kind: context.text, n: context.scale}.kind == context.text
context.scale < 3 || context.scale > 3
context.scale <= 2 || context.scale >= 3
context.flag || context.scale == 9
(!context.flag) == (context.scale == 9)
if context.scale == 2 then context.flag else context.flag
context.text like "*because*" && resource.path like "log/*"
resource.size + 1 == 11 && resource.size - 1 == 9 && resource.size * 2 == 20 && -(resource.size) == -10
context.list.contains(1) && context.list.containsAll([2]) && context.list.containsAny([2, 7]) && !context.list.isEmpty()
[resource.size, principal.level].contains(3) && [resource.size, 10] == [10]
resource.readers.contains(principal) && resource.readers == [Agent::"b", Agent::"a"]
principal.hasTag("one") && principal.getTag("one") == 1 && !principal.hasTag(context.text)
context.from.isInRange(ip("127.0.0.0/8")) && !context.from.isIpv6() && context.from.isLoopback() && !context.from.isMulticast()
context.when.toDate() <= context.when && context.when.toTime() < duration("1d") && context.when.offset(duration("1h")) > context.when
context.when.durationSince(principal.born) > duration("0ms") && principal.born < context.when
context.wait.toMilliseconds() == 90000000 && context.wait.toSeconds() == 90000 && context.wait.toMinutes() == 1500
context.wait.toHours() == 25 && context.wait.toDays() == 1
principal.pay.lessThan(decimal("2.0")) && principal.pay.lessThanOrEqual(decimal("1.5"))
principal.pay.greaterThan(decimal("1.0")) && principal.pay.greaterThanOrEqual(decimal("1.5"))
context.flag || (false && ip(context.text).isLoopback())
"#;

/// What is asked when constants and patterns no longer have numbers that fit an operand.
const BEYOND: &str = "context.scale != 77 && context.text like \"*it broke\"";

const LAST: &str =
    "permit (principal, action, resource) when { context.scale * 2 > 0 } unless { context.text == \"\" };";

const ENTITIES: &str = r#"[
{"uid":{"type":"Team","id":"t"},"attrs":{},"parents":[]},
{"uid":{"type":"Agent","id":"a"},"attrs":{"level":3,"born":"1999-01-01","boss":{"type":"Agent","id":"b"},"pay":"1.5",
 "meta":{"kind":"k","inner":{"deep":4}}},"parents":[{"type":"Team","id":"t"}],"tags":{"one":1,"two":2}},
{"uid":{"type":"Agent","id":"b"},"attrs":{"level":1,"born":"1989-01-01","pay":"9.5","meta":{"kind":"k"}},"parents":[],"tags":{}},
{"uid":{"type":"Order","id":"o"},"attrs":{"owner":{"type":"Agent","id":"a"},"path":"log/x","size":10,
 "readers":[{"type":"Agent","id":"a"},{"type":"Agent","id":"b"}]},"parents":[]}]"#;

/// Policies for nobody, with more constants and patterns than operands can number.
fn filling() -> impl Iterator<Item = String> {
    let numbers: Vec<usize> = (0..=usize::from(Operand::MAX)).collect();
    let clause = |number: &usize| {
        format!(" when {{ context.scale == {} }} when {{ context.text like \"{number}*\" }}", 1000 + number)
    };
    let policies: Vec<_> = numbers
        .chunks(400)
        .map(|chunk| {
            let clauses: String = chunk.iter().map(clause).collect();
            format!("permit (principal == Agent::\"nobody\", action, resource){clauses};\n")
        })
        .collect();
    policies.into_iter()
}

/// The bundle, after a look at its instructions, and how many of its policies hold.
pub(crate) fn bundle() -> (Bundle, usize) {
    let permit = |condition: &str| format!("permit (principal, action, resource) when {{ {condition} }};\n");
    let conditions = CONDITIONS.lines().filter(|line| !line.is_empty()).map(permit);
    let mut policies: Vec<_> = conditions.collect();
    policies.extend([permit(BEYOND), LAST.to_owned()]);
    let holding = policies.len();
    let beyond = policies.split_off(holding - 2);
    policies.extend(filling().chain(beyond));
    let bundle = Bundle::compile(Sources::plain(SCHEMA, policies.concat(), ENTITIES))
        .unwrap_or_else(|error| panic!("{}", error.report()));
    let used: BTreeSet<_> = bundle.view().image().code.iter().map(|instruction| name(*instruction)).collect();
    let listed: BTreeSet<_> = ALL.iter().copied().collect();
    assert_eq!(used.difference(&listed).collect::<Vec<_>>(), [&""; 0], "name them in the list");
    assert_eq!(listed.difference(&used).collect::<Vec<_>>(), [&""; 0], "no policy has them");
    (bundle, holding)
}

/// The instructions, and below one of an operator the operator, each with a name of its own.
const ALL: &[&str] = &[
    "Load",
    "Constant",
    "Attribute",
    "Has",
    "HasPath",
    "HasSlot",
    "ToUnits",
    "Is",
    "Like",
    "SetOf",
    "RecordOf",
    "And",
    "Or",
    "Boolean",
    "Unless",
    "Jump",
    "Fail",
    "EndWhen",
    "EndUnless",
    "unary Not",
    "unary Negate",
    "unary IsEmpty",
    "unary IsIpv4",
    "unary IsIpv6",
    "unary IsLoopback",
    "unary IsMulticast",
    "unary ToDate",
    "unary ToTime",
    "binary Equal",
    "binary NotEqual",
    "binary Less",
    "binary LessEqual",
    "binary Greater",
    "binary GreaterEqual",
    "binary Add",
    "binary Subtract",
    "binary Multiply",
    "binary In",
    "binary Contains",
    "binary ContainsAll",
    "binary ContainsAny",
    "binary HasTag",
    "binary GetTag",
    "binary IsInRange",
    "binary Offset",
    "binary DurationSince",
    "binary DecimalLess",
    "binary DecimalLessEqual",
    "binary DecimalGreater",
    "binary DecimalGreaterEqual",
    "binary Like",
];

/// What is called so. A new one does not build until it is named, and listed.
const fn name(instruction: Instruction) -> &'static str {
    match instruction {
        Instruction::Load(_) => "Load",
        Instruction::Constant(_) => "Constant",
        Instruction::Attribute(_) => "Attribute",
        Instruction::Has(_) => "Has",
        Instruction::HasPath(_) => "HasPath",
        Instruction::HasSlot(_) => "HasSlot",
        Instruction::ToUnits(_) => "ToUnits",
        Instruction::Is(_) => "Is",
        Instruction::Like(_) => "Like",
        Instruction::SetOf(_) => "SetOf",
        Instruction::RecordOf(_) => "RecordOf",
        Instruction::And(_) => "And",
        Instruction::Or(_) => "Or",
        Instruction::Boolean => "Boolean",
        Instruction::Unless(_) => "Unless",
        Instruction::Jump(_) => "Jump",
        Instruction::Fail => "Fail",
        Instruction::EndWhen(_) => "EndWhen",
        Instruction::EndUnless(_) => "EndUnless",
        Instruction::Unary(operator) => unary(operator),
        Instruction::Binary { operator, .. } => binary(operator),
    }
}

const fn unary(operator: Unary) -> &'static str {
    match operator {
        Unary::Not => "unary Not",
        Unary::Negate => "unary Negate",
        Unary::IsEmpty => "unary IsEmpty",
        Unary::IsIpv4 => "unary IsIpv4",
        Unary::IsIpv6 => "unary IsIpv6",
        Unary::IsLoopback => "unary IsLoopback",
        Unary::IsMulticast => "unary IsMulticast",
        Unary::ToDate => "unary ToDate",
        Unary::ToTime => "unary ToTime",
    }
}

const fn binary(operator: Binary) -> &'static str {
    match operator {
        Binary::Equal => "binary Equal",
        Binary::NotEqual => "binary NotEqual",
        Binary::Less => "binary Less",
        Binary::LessEqual => "binary LessEqual",
        Binary::Greater => "binary Greater",
        Binary::GreaterEqual => "binary GreaterEqual",
        Binary::Add => "binary Add",
        Binary::Subtract => "binary Subtract",
        Binary::Multiply => "binary Multiply",
        Binary::In => "binary In",
        Binary::Contains => "binary Contains",
        Binary::ContainsAll => "binary ContainsAll",
        Binary::ContainsAny => "binary ContainsAny",
        Binary::HasTag => "binary HasTag",
        Binary::GetTag => "binary GetTag",
        Binary::IsInRange => "binary IsInRange",
        Binary::Offset => "binary Offset",
        Binary::DurationSince => "binary DurationSince",
        Binary::DecimalLess => "binary DecimalLess",
        Binary::DecimalLessEqual => "binary DecimalLessEqual",
        Binary::DecimalGreater => "binary DecimalGreater",
        Binary::DecimalGreaterEqual => "binary DecimalGreaterEqual",
        Binary::Like => "binary Like",
    }
}
