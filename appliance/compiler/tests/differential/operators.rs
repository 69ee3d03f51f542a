//! Operators: which of them the accepted policies use, counted in Cedar's own syntax tree.
//!
//! The list of those that must occur is written out, so that a generator that forgets one fails.

use crate::oracle::variant;
use cedar_policy::pst::{Clause, Expr, Template};
use cedar_policy::{Policy, pst};
use std::collections::BTreeMap;

/// Every operator and kind of expression and scope.
const ALL: &[&str] = &[
    "Not",
    "Neg",
    "IsEmpty",
    "Datetime",
    "Decimal",
    "Duration",
    "Ip",
    "IsIPv4",
    "IsIPV6",
    "IsLoopback",
    "IsMulticast",
    "ToDate",
    "ToTime",
    "ToMilliseconds",
    "ToSeconds",
    "ToMinutes",
    "ToHours",
    "ToDays",
    "Eq",
    "NotEq",
    "Less",
    "LessEq",
    "Greater",
    "GreaterEq",
    "And",
    "Or",
    "Add",
    "Sub",
    "Mul",
    "In",
    "Contains",
    "ContainsAll",
    "ContainsAny",
    "GetTag",
    "HasTag",
    "IsInRange",
    "Offset",
    "DurationSince",
    "DecimalLessThan",
    "DecimalLessEq",
    "DecimalGreater",
    "DecimalGreaterEq",
    "attribute",
    "has",
    "has a.b",
    "like",
    "is",
    "is in",
    "if",
    "set",
    "record",
    "when",
    "unless",
    "scope Any",
    "scope Eq",
    "scope In",
    "scope Is",
    "scope IsIn",
    "action Any",
    "action Eq",
    "action In",
];

#[derive(Debug, Default)]
pub(crate) struct Operators {
    counts: BTreeMap<String, usize>,
}

impl Operators {
    pub(crate) fn count(&mut self, policy: &Policy) {
        let pst::Policy::Static(policy) = policy.to_pst().unwrap() else { panic!("not a static policy") };
        let body: &Template = policy.body();
        self.add(format!("scope {}", variant(&body.principal)));
        self.add(format!("scope {}", variant(&body.resource)));
        self.add(format!("action {}", variant(&body.action)));
        for clause in body.clauses() {
            match clause {
                Clause::When(body) => self.clause("when", body),
                Clause::Unless(body) => self.clause("unless", body),
            }
        }
    }

    fn clause(&mut self, word: &str, body: &Expr) {
        self.add(word.to_owned());
        self.walk(body);
    }

    fn add(&mut self, operator: String) {
        *self.counts.entry(operator).or_default() += 1;
    }

    fn walk(&mut self, expression: &Expr) {
        match expression {
            Expr::UnaryOp { op, expr } => {
                self.add(format!("{op:?}"));
                self.walk(expr);
            }
            Expr::BinaryOp { op, left, right } => {
                self.add(format!("{op:?}"));
                self.walk(left);
                self.walk(right);
            }
            Expr::GetAttr { expr, .. } => self.unary("attribute", expr),
            Expr::HasAttr { expr, attrs } => {
                self.unary(if attrs.len() > 1 { "has a.b" } else { "has" }, expr);
            }
            Expr::Like { expr, .. } => self.unary("like", expr),
            Expr::Is { expr, in_expr, .. } => {
                self.unary(if in_expr.is_some() { "is in" } else { "is" }, expr);
                in_expr.iter().for_each(|within| self.walk(within));
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                self.unary("if", cond);
                self.walk(then_expr);
                self.walk(else_expr);
            }
            Expr::Set(elements) => {
                self.add("set".to_owned());
                elements.iter().for_each(|element| self.walk(element));
            }
            Expr::Record(fields) => {
                self.add("record".to_owned());
                fields.values().for_each(|value| self.walk(value));
            }
            _ => {}
        }
    }

    fn unary(&mut self, operator: &str, operand: &Expr) {
        self.add(operator.to_owned());
        self.walk(operand);
    }

    /// Prints the counts; fails where an operator does not occur.
    pub(crate) fn report(&self) {
        println!("operators in accepted policies: {:?}", self.counts);
        let missing: Vec<_> = ALL.iter().filter(|operator| !self.counts.contains_key(**operator)).collect();
        assert!(missing.is_empty(), "the generator never uses {missing:?}");
    }
}
