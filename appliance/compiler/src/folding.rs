//! Folding: expressions whose value is known without an intent.
//!
//! The rule it keeps: only what cannot fail is folded, and to the value that Cedar gives. What an environment adds to this is
//! in `environment.rs`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's enums are open; what is not named is not folded, or may be no boolean"
)]

use crate::constant::Constant;
use crate::literal::construct;
use crate::table::EntityName;
use cedar_policy::pst::{BinaryOp, Expr, Literal, UnaryOp};
use std::collections::{BTreeMap, BTreeSet};

/// Whether an expression gives a boolean or fails.
pub(crate) fn is_boolean(expression: &Expr) -> bool {
    match expression {
        Expr::Literal(Literal::Bool(_)) | Expr::HasAttr { .. } | Expr::Like { .. } | Expr::Is { .. } => true,
        Expr::UnaryOp { op, .. } => *op == UnaryOp::Not || *op == UnaryOp::IsEmpty,
        Expr::BinaryOp { op, .. } => matches!(
            op,
            BinaryOp::Eq
                | BinaryOp::NotEq
                | BinaryOp::Less
                | BinaryOp::LessEq
                | BinaryOp::Greater
                | BinaryOp::GreaterEq
                | BinaryOp::And
                | BinaryOp::Or
                | BinaryOp::In
                | BinaryOp::Contains
                | BinaryOp::ContainsAll
                | BinaryOp::ContainsAny
                | BinaryOp::HasTag
        ),
        _ => false,
    }
}

/// The value of an expression that needs nothing but itself and cannot fail.
pub(crate) fn fold(expression: &Expr) -> Option<Constant> {
    match expression {
        Expr::Literal(Literal::Bool(value)) => Some(Constant::Bool(*value)),
        Expr::Literal(Literal::Long(value)) => Some(Constant::Long(*value)),
        Expr::Literal(Literal::String(value)) => Some(Constant::String(value.to_string())),
        Expr::Literal(Literal::EntityUID(uid)) => Some(Constant::Entity(EntityName::of_pst(uid))),
        Expr::UnaryOp { op, expr } => {
            let constructor = match op {
                UnaryOp::Datetime => "datetime",
                UnaryOp::Decimal => "decimal",
                UnaryOp::Duration => "duration",
                UnaryOp::Ip => "ip",
                _ => return None,
            };
            match expr.as_ref() {
                Expr::Literal(Literal::String(text)) => construct(constructor, text),
                _ => None,
            }
        }
        Expr::Set(elements) => {
            elements.iter().map(|element| fold(element)).collect::<Option<BTreeSet<_>>>().map(Constant::Set)
        }
        Expr::Record(fields) => {
            let folded = fields.iter().map(|(name, value)| Some((name.clone(), fold(value)?)));
            folded.collect::<Option<BTreeMap<_, _>>>().map(Constant::Record)
        }
        _ => None,
    }
}
