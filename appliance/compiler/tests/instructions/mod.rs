//! A bundle that has every instruction of the machine, and the list that proves it.
//!
//! The list is a `match` without a wildcard: a new instruction does not build until it is named here, and the bundle does
//! not pass until it is used. Every policy holds for the intent of the test; the last overflows where the test wants it.

use assent_compiler::{Bundle, Sources};
use assent_evaluator::Instruction;
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

const LAST: &str =
    "permit (principal, action, resource) when { context.scale * 2 > 0 } unless { context.text == \"\" };";

const ENTITIES: &str = r#"[
{"uid":{"type":"Team","id":"t"},"attrs":{},"parents":[]},
{"uid":{"type":"Agent","id":"a"},"attrs":{"level":3,"born":"1999-01-01","boss":{"type":"Agent","id":"b"},"pay":"1.5",
 "meta":{"kind":"k","inner":{"deep":4}}},"parents":[{"type":"Team","id":"t"}],"tags":{"one":1,"two":2}},
{"uid":{"type":"Agent","id":"b"},"attrs":{"level":1,"born":"1989-01-01","pay":"9.5","meta":{"kind":"k"}},"parents":[],"tags":{}},
{"uid":{"type":"Order","id":"o"},"attrs":{"owner":{"type":"Agent","id":"a"},"path":"log/x","size":10,
 "readers":[{"type":"Agent","id":"a"},{"type":"Agent","id":"b"}]},"parents":[]}]"#;

/// The bundle, after a look at its instructions.
pub(crate) fn bundle() -> Bundle {
    let policies: Vec<_> = CONDITIONS
        .lines()
        .filter(|line| !line.is_empty())
        .map(|condition| format!("permit (principal, action, resource) when {{ {condition} }};\n"))
        .chain([LAST.to_owned()])
        .collect();
    let bundle = Bundle::compile(Sources::plain(SCHEMA, policies.concat(), ENTITIES))
        .unwrap_or_else(|error| panic!("{}", error.report()));
    let used: BTreeSet<_> =
        bundle.view().image().code.iter().map(|instruction| number(*instruction)).collect();
    let missing: Vec<_> = (0..INSTRUCTIONS).filter(|number| !used.contains(number)).collect();
    assert!(missing.is_empty(), "no policy has the instructions of these numbers: {missing:?}");
    bundle
}

/// How many instructions there are.
const INSTRUCTIONS: usize = 55;

/// Each has a number of its own, below [`INSTRUCTIONS`].
const fn number(instruction: Instruction) -> usize {
    match instruction {
        Instruction::Constant(_) => 0,
        Instruction::Principal => 1,
        Instruction::Action => 2,
        Instruction::Resource => 3,
        Instruction::Context => 4,
        Instruction::PrincipalAttribute(_) => 5,
        Instruction::ResourceAttribute(_) => 6,
        Instruction::ContextAttribute(_) => 7,
        Instruction::Attribute(_) => 8,
        Instruction::Has(_) => 9,
        Instruction::HasPath(_) => 10,
        Instruction::Not => 11,
        Instruction::Negate => 12,
        Instruction::IsEmpty => 13,
        Instruction::IsIpv4 => 14,
        Instruction::IsIpv6 => 15,
        Instruction::IsLoopback => 16,
        Instruction::IsMulticast => 17,
        Instruction::ToDate => 18,
        Instruction::ToTime => 19,
        Instruction::ToUnits(_) => 20,
        Instruction::Is(_) => 21,
        Instruction::Like(_) => 22,
        Instruction::Equal => 23,
        Instruction::NotEqual => 24,
        Instruction::Less => 25,
        Instruction::LessEqual => 26,
        Instruction::Greater => 27,
        Instruction::GreaterEqual => 28,
        Instruction::Add => 29,
        Instruction::Subtract => 30,
        Instruction::Multiply => 31,
        Instruction::In => 32,
        Instruction::Contains => 33,
        Instruction::ContainsAll => 34,
        Instruction::ContainsAny => 35,
        Instruction::HasTag => 36,
        Instruction::GetTag => 37,
        Instruction::IsInRange => 38,
        Instruction::Offset => 39,
        Instruction::DurationSince => 40,
        Instruction::DecimalLess => 41,
        Instruction::DecimalLessEqual => 42,
        Instruction::DecimalGreater => 43,
        Instruction::DecimalGreaterEqual => 44,
        Instruction::SetOf(_) => 45,
        Instruction::RecordOf(_) => 46,
        Instruction::And(_) => 47,
        Instruction::Or(_) => 48,
        Instruction::Boolean => 49,
        Instruction::Unless(_) => 50,
        Instruction::Jump(_) => 51,
        Instruction::Fail => 52,
        Instruction::EndWhen(_) => 53,
        Instruction::EndUnless(_) => 54,
    }
}
