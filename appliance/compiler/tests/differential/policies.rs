//! Policies: scopes of every kind over some environments, clauses, and what is annotated.
//!
//! Each is parsed and validated alone, so that one that Cedar rejects costs only itself. Policies without an id are named
//! by their position, as Cedar and the compiler do.

use crate::dice::{Dice, LONGS};
use crate::expressions::Writer;
use crate::paths::{Environment, environments};
use crate::schema::{Catalog, URL};
use assent_compiler::Rules;
use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, Validator};
use serde_json::Value;
use std::fmt::Write;

/// Deepest dereference in a bundle; plain files may go on.
const BUNDLE_LEVEL: u32 = 1;

/// A policy that Cedar takes.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    /// Its name where the bundle has it.
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) policy: Policy,
    /// The link that it is, where it is one; its text is then the template's, or empty.
    pub(crate) link: Option<Value>,
    /// What it adds to the score, in a risk model.
    pub(crate) score: Option<i64>,
    pub(crate) is_liftable: bool,
}

/// How one bundle's policies come out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mood {
    pub(crate) rules: Rules,
    /// Forbids among a hundred.
    pub(crate) forbids: usize,
    /// Forbids that approvals lift, among a hundred of them.
    pub(crate) approvals: usize,
    /// Policies that may overflow or name what is absent, among a hundred.
    pub(crate) risky: usize,
    /// Clauses of a policy, at most.
    pub(crate) clauses: usize,
}

impl Mood {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        Self {
            rules: if dice.percent(30) { Rules::Bundle } else { Rules::Plain },
            forbids: dice.pick(&[3, 10, 10, 30]),
            approvals: dice.pick(&[0, 50, 90]),
            risky: dice.pick(&[0, 20, 80]),
            clauses: dice.between(1, 3),
        }
    }
}

/// Writes policies until so many were tried, and keeps those that Cedar takes.
pub(crate) struct Author<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) validator: &'a Validator,
    pub(crate) mood: Mood,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) risk: Vec<Accepted>,
    pub(crate) tried: usize,
}

impl Author<'_> {
    /// Policies of a bundle, mostly few and sometimes very many, and often a risk model.
    pub(crate) fn write_all(&mut self, dice: &mut Dice) {
        let policies = match dice.below(10) {
            0..=3 => dice.between(1, 8),
            4..=7 => dice.between(8, 40),
            8 => dice.between(40, 120),
            _ => dice.between(120, 200),
        };
        // Some are rejected; the bundle is to have its policies all the same.
        while self.accepted.len() < policies && self.tried < policies * 3 + 20 {
            match dice.percent(10) {
                true => self.write_template(dice),
                false => self.write(dice),
            }
        }
        if dice.percent(60) {
            let scores = dice.between(1, 6);
            (0..scores).for_each(|_| self.write_risk(dice));
        }
    }

    fn write(&mut self, dice: &mut Dice) {
        self.tried += 1;
        let is_forbid = dice.percent(self.mood.forbids);
        let is_liftable = is_forbid && dice.percent(self.mood.approvals);
        let position = self.statements();
        let (id, mut text) = self.name(dice, position);
        if is_liftable {
            text.push_str("@approval(\"2 of desk\") ");
        }
        text.push_str(&self.body(dice, if is_forbid { "forbid" } else { "permit" }));
        if let Some(policy) = self.check(&id, &text) {
            self.accepted.push(Accepted { id, text, policy, link: None, score: None, is_liftable });
        }
    }

    /// A policy of the risk model; they are counted on after all others.
    fn write_risk(&mut self, dice: &mut Dice) {
        self.tried += 1;
        let position = self.statements() + self.risk.len();
        let (id, mut text) = self.name(dice, position);
        let score = dice.pick(&[1, 5, 25, 60, 100, 60, i64::MAX]);
        write!(text, "@score(\"{score}\") {}", self.body(dice, "permit")).unwrap();
        if let Some(policy) = self.check(&id, &text) {
            self.risk.push(Accepted { id, text, policy, link: None, score: Some(score), is_liftable: false });
        }
    }

    fn name(&self, dice: &mut Dice, position: usize) -> (String, String) {
        match dice.percent(50) {
            true => (format!("p {position}"), format!("@id(\"p {position}\") ")),
            false => (format!("policy{position}"), String::new()),
        }
    }

    fn check(&self, id: &str, text: &str) -> Option<Policy> {
        let policy = Policy::parse(Some(PolicyId::new(id)), text)
            .unwrap_or_else(|error| panic!("the generator wrote nonsense: {error:?}\n{text}"));
        let alone = PolicySet::from_policies([policy.clone()]).unwrap();
        self.validates(&alone).then_some(policy)
    }

    /// Whether Cedar takes the policies under the bundle's rules.
    pub(crate) fn validates(&self, policies: &PolicySet) -> bool {
        let strict = ValidationMode::Strict;
        match self.mood.rules {
            Rules::Plain => self.validator.validate(policies, strict).validation_passed(),
            Rules::Bundle => {
                let result = self.validator.validate_with_level(policies, strict, BUNDLE_LEVEL);
                result.validation_passed_without_warnings()
            }
        }
    }

    /// Statements so far, without the risk model: a template is one, whatever links it has.
    pub(crate) fn statements(&self) -> usize {
        self.accepted.iter().filter(|accepted| !accepted.text.is_empty()).count()
    }

    pub(crate) fn environments(&self) -> Vec<Environment> {
        environments(self.catalog)
    }

    fn body(&self, dice: &mut Dice, effect: &str) -> String {
        let anchor = dice.pick(&self.environments());
        let (principal, principals) = self.entity_scope(dice, "principal", anchor.principal);
        let (resource, resources) = self.entity_scope(dice, "resource", anchor.resource);
        self.body_of(dice, effect, anchor, (principal, resource), (principals, resources))
    }

    /// A policy with these scopes of principal and resource, which accept these types.
    pub(crate) fn body_of(
        &self,
        dice: &mut Dice,
        effect: &str,
        anchor: Environment,
        (principal, resource): (String, String),
        (principals, resources): (Vec<usize>, Vec<usize>),
    ) -> String {
        let all = self.environments();
        let (action, actions) = self.action_scope(dice, anchor);
        let is_in = |environment: &Environment| {
            actions.contains(&environment.action)
                && principals.contains(&environment.principal)
                && resources.contains(&environment.resource)
        };
        let environments = all.into_iter().filter(is_in).collect();
        let steps = if self.mood.rules == Rules::Bundle { 1 } else { 2 };
        let mut text = format!("{effect} ({principal}, {action}, {resource})");
        let mut writer = Writer::new(self.catalog, dice, environments, steps, self.mood.risky);
        let clauses = writer.dice.between(usize::from(effect == "forbid"), self.mood.clauses);
        for _ in 0..clauses {
            let (word, depth) = (writer.dice.pick(&["when", "when", "unless"]), writer.dice.below(4));
            let condition = match writer.dice.below(10) {
                0 => risk_test(&mut writer),
                1..=4 if writer.is_risky => writer.overflow(),
                _ => writer.test(depth),
            };
            write!(text, " {word} {{ {condition} }}").unwrap();
        }
        text + ";\n"
    }

    /// A scope, and the actions that it accepts.
    fn action_scope(&self, dice: &mut Dice, anchor: Environment) -> (String, Vec<usize>) {
        let every: Vec<_> = (0..self.catalog.actions.len()).collect();
        let groups: Vec<_> =
            every.iter().copied().filter(|group| self.catalog.is_within(anchor.action, *group)).collect();
        let wanted = match dice.below(5) {
            0 | 1 => return ("action".to_owned(), every),
            2 => return (format!("action == {}", self.catalog.action(anchor.action)), vec![anchor.action]),
            3 => vec![dice.pick(&groups)],
            _ => vec![dice.pick(&groups), dice.pick(&every)],
        };
        let accepts = |action: &usize| wanted.iter().any(|group| self.catalog.is_within(*action, *group));
        let accepted = every.iter().copied().filter(accepts).collect();
        let named: Vec<_> = wanted.iter().map(|action| self.catalog.action(*action)).collect();
        let text = match named.as_slice() {
            [only] if dice.percent(50) => format!("action in {only}"),
            several => format!("action in [{}]", several.join(", ")),
        };
        (text, accepted)
    }

    /// A scope, and the types that it accepts.
    fn entity_scope(&self, dice: &mut Dice, side: &str, place: usize) -> (String, Vec<usize>) {
        let every: Vec<_> = (0..self.catalog.types.len()).collect();
        let kind = self.catalog.name(place);
        if place == URL || dice.percent(40) {
            return match dice.percent(50) {
                true => (side.to_owned(), every),
                false => (format!("{side} is {kind}"), vec![place]),
            };
        }
        let mut writer = Writer::new(self.catalog, dice, Vec::new(), 0, self.mood.risky);
        match writer.dice.below(4) {
            0 => (format!("{side} == {}", writer.entity(place)), vec![place]),
            1 => {
                let can = |above: &usize| self.catalog.can_be_in(place, *above);
                let above = writer.dice.pick(&every.iter().copied().filter(can).collect::<Vec<_>>());
                let below = every.into_iter().filter(|below| self.catalog.can_be_in(*below, above)).collect();
                (format!("{side} in {}", writer.entity(above)), below)
            }
            2 => (format!("{side} is {kind} in {}", writer.above(place)), vec![place]),
            _ => (format!("{side} is {kind}"), vec![place]),
        }
    }
}

/// A test of the score, near to what scores add up to.
fn risk_test(writer: &mut Writer<'_, '_>) -> String {
    let Some(path) = writer.path(|path| path.guard.is_none() && path.text == "context.assent.risk") else {
        return writer.test(1);
    };
    let sums = [0, 1, 5, 10, 25, 35, 40, 60, 70, 100, 160, i64::MAX];
    let (sum, operator) = (writer.dice.pick(&sums), writer.dice.pick(&["==", "<", ">=", ">", "!="]));
    match writer.dice.percent(20) {
        true => format!("{} == {sum} + {}", path.text, writer.dice.pick(&LONGS[..2])),
        false => format!("{} {operator} {sum}", path.text),
    }
}
