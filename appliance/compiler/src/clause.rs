//! Clauses: the conditions of a policy, each ended where it is settled.
//!
//! The rule it keeps: a clause leaves nothing on the stack, and what Cedar would not evaluate is passed over. Which clause
//! does not hold is in the instruction that finds out.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's enums are open; what is not named is pushed like any other expression"
)]

use crate::constant::Constant;
use crate::error::BundleError;
use crate::expression::{Program, operator};
use crate::table::number;
use assent_evaluator::{Binary, Instruction, Operand, Then};
use cedar_policy::pst::{BinaryOp, Expr, UnaryOp};

impl Program<'_> {
    /// A clause that must come out as `wanted`: it ends at the first part of its conjunction (for `unless`, its
    /// disjunction) that settles it. Whether anything behind it can be reached.
    pub(crate) fn clause(&mut self, body: &Expr, wanted: bool, clause: u32) -> Result<bool, BundleError> {
        if let Some(Constant::Bool(value)) = self.fold(body) {
            return Ok(value == wanted);
        }
        let (all, any) = if wanted { (BinaryOp::And, BinaryOp::Or) } else { (BinaryOp::Or, BinaryOp::And) };
        match body {
            Expr::BinaryOp { op, left, right } if *op == all => {
                Ok(self.clause(left, wanted, clause)? && self.clause(right, wanted, clause)?)
            }
            Expr::BinaryOp { op, .. } if *op == any => self.alternatives(body, &any, wanted, clause),
            Expr::UnaryOp { op: UnaryOp::Not, expr } => self.clause(expr, !wanted, clause),
            _ => {
                self.end(body, wanted, clause)?;
                Ok(true)
            }
        }
    }

    /// One of several must come out as `wanted`. What follows is passed over as soon as one does, if those before the last
    /// are operators of two values: then nothing lies on the stack.
    fn alternatives(
        &mut self,
        body: &Expr,
        any: &BinaryOp,
        wanted: bool,
        clause: u32,
    ) -> Result<bool, BundleError> {
        let mut parts = Vec::new();
        flatten(body, any, &mut parts);
        // One that cannot come out so and cannot fail changes nothing.
        parts.retain(|part| self.fold(part) != Some(Constant::Bool(!wanted)));
        let Some((last, others)) = parts.split_last() else { return Ok(false) };
        let is_open = parts.iter().all(|part| self.fold(part).is_none());
        if !is_open || others.len() > MAX_ALTERNATIVES || !others.iter().all(|part| self.is_test(part)) {
            self.end(body, wanted, clause)?;
            return Ok(true);
        }
        let tests = others.iter().map(|part| self.test(part)).collect::<Result<Vec<_>, _>>()?;
        // A part of it may be plainly settled the other way: whoever comes there is not satisfied.
        if !self.clause(last, wanted, clause)? {
            self.refuse(clause);
        }
        for place in tests.into_iter().flatten() {
            let passed = number(self.code.len() - place - 1);
            let skip = Then::skip(wanted, passed);
            let skip = skip.ok_or_else(|| self.unsupported("a clause that is too long for the evaluator"))?;
            if let Some(Instruction::Binary { then, .. }) = self.code.get_mut(place) {
                *then = skip;
            }
        }
        Ok(true)
    }

    /// Ends a policy: it is not satisfied, for this clause.
    pub(crate) fn refuse(&mut self, clause: u32) {
        let push = self.constant(&Constant::Bool(false));
        self.emit(push);
        self.emit(Instruction::EndWhen(clause));
    }

    /// Whether an expression is an operator of two values, both of which are evaluated.
    fn is_test(&mut self, expression: &Expr) -> bool {
        match expression {
            Expr::BinaryOp { op, .. } => operator(*op).is_some(),
            Expr::Like { pattern, .. } => Operand::pattern(self.pattern(pattern)).is_some(),
            _ => false,
        }
    }

    /// An operator of two values whose fate is still open: the place of its instruction.
    pub(crate) fn test(&mut self, expression: &Expr) -> Result<Option<usize>, BundleError> {
        match expression {
            Expr::BinaryOp { op, left, right } => match operator(*op) {
                Some(operator) => self.apply(operator, left, right, Then::PUSH)?,
                None => return Ok(None),
            },
            Expr::Like { expr, pattern } => {
                let pattern = self.pattern(pattern);
                let Some(right) = Operand::pattern(pattern) else { return Ok(None) };
                let left = self.operand(expr)?;
                self.emit(Instruction::Binary { operator: Binary::Like, left, right, then: Then::PUSH });
            }
            _ => return Ok(None),
        }
        Ok(Some(self.code.len() - 1))
    }

    /// Ends a clause: with the operator that gives its answer, where that is one of two values.
    fn end(&mut self, body: &Expr, wanted: bool, clause: u32) -> Result<(), BundleError> {
        if let Some(end) = Then::end(wanted, clause)
            && let Some(place) = self.test(body)?
        {
            if let Some(Instruction::Binary { then, .. }) = self.code.get_mut(place) {
                *then = end;
            }
            return Ok(());
        }
        self.expression(body)?;
        self.emit(if wanted { Instruction::EndWhen(clause) } else { Instruction::EndUnless(clause) });
        Ok(())
    }
}

/// Alternatives of one clause that are passed over; each is a jump ahead, of which the machine's verifier follows so many.
const MAX_ALTERNATIVES: usize = 16;

/// The parts of a chain of one operator, in their order.
fn flatten<'e>(body: &'e Expr, chain: &BinaryOp, parts: &mut Vec<&'e Expr>) {
    match body {
        Expr::BinaryOp { op, left, right } if op == chain => {
            flatten(left, chain, parts);
            flatten(right, chain, parts);
        }
        _ => parts.push(body),
    }
}
