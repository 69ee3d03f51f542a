//! Expressions: Cedar's tree, written as a program for the machine.
//!
//! The rule it keeps: the order of evaluation and every type check that Cedar makes are in the program; a kind of node
//! that this does not know rejects the bundle and is never taken for `false`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's enums are open; what is not named is rejected, or is not the special case that is asked for"
)]

use crate::constant::Constant;
use crate::error::BundleError;
use crate::image::ImageTables;
use crate::literal::construct;
use crate::policy::{Accepted, PolicyNote};
use crate::table::{EntityName, number};
use assent_evaluator::{Instruction, Range};
use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, PatternElem, UnaryOp, Var};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl ImageTables {
    /// Compiles the clauses of a policy and returns where its program lies.
    pub(crate) fn compile_policy(&mut self, policy: &Accepted) -> Result<Range, BundleError> {
        let start = self.code.len();
        let mut program = Program { image: self, note: &policy.note, start };
        for (clause, body) in policy.body.clauses().iter().enumerate() {
            match body {
                Clause::When(body) => {
                    program.clause(body, BinaryOp::And, Instruction::EndWhen(number(clause)))?
                }
                Clause::Unless(body) => {
                    program.clause(body, BinaryOp::Or, Instruction::EndUnless(number(clause)))?
                }
            }
        }
        Ok(Range { start: number(start), length: number(self.code.len() - start) })
    }
}

/// A program under construction.
struct Program<'i> {
    image: &'i mut ImageTables,
    note: &'i PolicyNote,
    start: usize,
}

impl Program<'_> {
    fn unsupported(&self, problem: &str) -> BundleError {
        BundleError::Unsupported {
            file: self.note.file.clone(),
            what: format!("policy `{}`", self.note.id),
            problem: problem.to_owned(),
        }
    }

    fn emit(&mut self, instruction: Instruction) {
        self.image.code.push(instruction);
    }

    /// The place of the next instruction, as jumps count it.
    fn here(&self) -> u32 {
        number(self.image.code.len() - self.start)
    }

    /// Leaves room for a jump that is aimed later.
    fn reserve(&mut self) -> usize {
        self.emit(Instruction::Boolean);
        self.image.code.len() - 1
    }

    fn aim(&mut self, place: usize, jump: fn(u32) -> Instruction) {
        let here = self.here();
        if let Some(instruction) = self.image.code.get_mut(place) {
            *instruction = jump(here);
        }
    }

    /// A clause ends at the first part of its conjunction (for `unless`, its disjunction) that settles it.
    fn clause(&mut self, body: &Expr, splits: BinaryOp, end: Instruction) -> Result<(), BundleError> {
        if let Expr::BinaryOp { op, left, right } = body
            && *op == splits
        {
            self.clause(left, splits, end)?;
            return self.clause(right, splits, end);
        }
        self.expression(body)?;
        self.emit(end);
        Ok(())
    }

    fn expression(&mut self, expression: &Expr) -> Result<(), BundleError> {
        if let Some(constant) = fold(expression) {
            let place = self.image.constant(&constant);
            self.emit(Instruction::Constant(place));
            return Ok(());
        }
        match expression {
            Expr::Var(variable) => self.emit(match variable {
                Var::Principal => Instruction::Principal,
                Var::Action => Instruction::Action,
                Var::Resource => Instruction::Resource,
                Var::Context => Instruction::Context,
            }),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr)?,
            Expr::BinaryOp { op, left, right } => self.binary(*op, left, right)?,
            Expr::GetAttr { expr, attr } => self.attribute(expr, attr)?,
            Expr::HasAttr { expr, attrs } => {
                self.expression(expr)?;
                let mut names: Vec<_> = attrs.iter().map(|name| self.image.names.keep(name)).collect();
                let test = match names.pop() {
                    Some(only) if names.is_empty() => Instruction::Has(only),
                    last => {
                        names.extend(last);
                        Instruction::HasPath(self.image.path(names))
                    }
                };
                self.emit(test);
            }
            Expr::Like { expr, pattern } => {
                self.expression(expr)?;
                let pattern = self.pattern(pattern);
                self.emit(Instruction::Like(pattern));
            }
            Expr::Is { expr, entity_type, in_expr } => {
                self.is(expr, &entity_type.0.to_string(), in_expr.as_deref())?;
            }
            Expr::IfThenElse { cond, then_expr, else_expr } => self.choice(cond, then_expr, else_expr)?,
            Expr::Set(elements) => {
                elements.iter().try_for_each(|element| self.expression(element))?;
                self.emit(Instruction::SetOf(number(elements.len())));
            }
            Expr::Record(fields) => self.record(fields)?,
            _ => return Err(self.unsupported("an expression that the evaluator does not know")),
        }
        Ok(())
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) -> Result<(), BundleError> {
        let instruction = match op {
            UnaryOp::Not => Instruction::Not,
            UnaryOp::Neg => Instruction::Negate,
            UnaryOp::IsEmpty => Instruction::IsEmpty,
            UnaryOp::IsIPv4 => Instruction::IsIpv4,
            UnaryOp::IsIPV6 => Instruction::IsIpv6,
            UnaryOp::IsLoopback => Instruction::IsLoopback,
            UnaryOp::IsMulticast => Instruction::IsMulticast,
            UnaryOp::ToDate => Instruction::ToDate,
            UnaryOp::ToTime => Instruction::ToTime,
            UnaryOp::ToMilliseconds => Instruction::ToUnits(1),
            UnaryOp::ToSeconds => Instruction::ToUnits(1_000),
            UnaryOp::ToMinutes => Instruction::ToUnits(60_000),
            UnaryOp::ToHours => Instruction::ToUnits(3_600_000),
            UnaryOp::ToDays => Instruction::ToUnits(86_400_000),
            // Constants were folded. Strict validation takes no other argument than a literal, except where it proved that
            // the value is never asked for.
            UnaryOp::Datetime | UnaryOp::Decimal | UnaryOp::Duration | UnaryOp::Ip => {
                self.emit(Instruction::Fail);
                return Ok(());
            }
            _ => return Err(self.unsupported("an operator that the evaluator does not know")),
        };
        self.expression(operand)?;
        self.emit(instruction);
        Ok(())
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<(), BundleError> {
        let instruction = match op {
            BinaryOp::And => return self.short_circuit(left, right, Instruction::And),
            BinaryOp::Or => return self.short_circuit(left, right, Instruction::Or),
            BinaryOp::Eq => Instruction::Equal,
            BinaryOp::NotEq => Instruction::NotEqual,
            BinaryOp::Less => Instruction::Less,
            BinaryOp::LessEq => Instruction::LessEqual,
            BinaryOp::Greater => Instruction::Greater,
            BinaryOp::GreaterEq => Instruction::GreaterEqual,
            BinaryOp::Add => Instruction::Add,
            BinaryOp::Sub => Instruction::Subtract,
            BinaryOp::Mul => Instruction::Multiply,
            BinaryOp::In => Instruction::In,
            BinaryOp::Contains => Instruction::Contains,
            BinaryOp::ContainsAll => Instruction::ContainsAll,
            BinaryOp::ContainsAny => Instruction::ContainsAny,
            BinaryOp::GetTag => Instruction::GetTag,
            BinaryOp::HasTag => Instruction::HasTag,
            BinaryOp::IsInRange => Instruction::IsInRange,
            BinaryOp::Offset => Instruction::Offset,
            BinaryOp::DurationSince => Instruction::DurationSince,
            BinaryOp::DecimalLessThan => Instruction::DecimalLess,
            BinaryOp::DecimalLessEq => Instruction::DecimalLessEqual,
            BinaryOp::DecimalGreater => Instruction::DecimalGreater,
            BinaryOp::DecimalGreaterEq => Instruction::DecimalGreaterEqual,
            _ => return Err(self.unsupported("an operator that the evaluator does not know")),
        };
        self.expression(left)?;
        self.expression(right)?;
        self.emit(instruction);
        Ok(())
    }

    /// The right side must be a boolean too, but only where it is evaluated.
    fn short_circuit(
        &mut self,
        left: &Expr,
        right: &Expr,
        jump: fn(u32) -> Instruction,
    ) -> Result<(), BundleError> {
        self.expression(left)?;
        let place = self.reserve();
        self.expression(right)?;
        if !is_boolean(right) {
            self.emit(Instruction::Boolean);
        }
        self.aim(place, jump);
        Ok(())
    }

    fn choice(&mut self, condition: &Expr, then: &Expr, otherwise: &Expr) -> Result<(), BundleError> {
        self.expression(condition)?;
        let to_else = self.reserve();
        self.expression(then)?;
        let to_end = self.reserve();
        self.aim(to_else, Instruction::Unless);
        self.expression(otherwise)?;
        self.aim(to_end, Instruction::Jump);
        Ok(())
    }

    fn attribute(&mut self, of: &Expr, name: &str) -> Result<(), BundleError> {
        let name = self.image.names.keep(name);
        let direct = match of {
            Expr::Var(Var::Principal) => Some(Instruction::PrincipalAttribute(name)),
            Expr::Var(Var::Resource) => Some(Instruction::ResourceAttribute(name)),
            Expr::Var(Var::Context) => Some(Instruction::ContextAttribute(name)),
            _ => None,
        };
        if direct.is_none() {
            self.expression(of)?;
        }
        self.emit(direct.unwrap_or(Instruction::Attribute(name)));
        Ok(())
    }

    /// `is T in E` is `is T && in E`.
    fn is(&mut self, of: &Expr, type_name: &str, within: Option<&Expr>) -> Result<(), BundleError> {
        let number = self.image.types.find(type_name);
        let number =
            number.ok_or_else(|| self.unsupported("`is` asks for a type that the catalog does not have"))?;
        self.expression(of)?;
        self.emit(Instruction::Is(number));
        if let Some(within) = within {
            let place = self.reserve();
            self.binary(BinaryOp::In, of, within)?;
            self.aim(place, Instruction::And);
        }
        Ok(())
    }

    /// The machine gathers a record in the order of its names' numbers.
    fn record(&mut self, fields: &BTreeMap<String, Arc<Expr>>) -> Result<(), BundleError> {
        let mut numbered: Vec<_> =
            fields.iter().map(|(name, value)| (self.image.names.keep(name), value)).collect();
        numbered.sort_by_key(|(name, _)| *name);
        for (_, value) in &numbered {
            self.expression(value)?;
        }
        let path = self.image.path(numbered.into_iter().map(|(name, _)| name).collect());
        self.emit(Instruction::RecordOf(path));
        Ok(())
    }

    fn pattern(&mut self, pattern: &[PatternElem]) -> u32 {
        let mut parts = vec![String::new()];
        for element in pattern {
            match (element, parts.last_mut()) {
                (PatternElem::Char(character), Some(part)) => part.push(*character),
                (PatternElem::Wildcard, _) | (_, None) => parts.push(String::new()),
            }
        }
        let start = number(self.image.parts.len());
        for part in &parts {
            let range = self.image.values.text.keep(part);
            self.image.parts.push(range);
        }
        self.image.patterns.push(Range { start, length: number(parts.len()) });
        number(self.image.patterns.len() - 1)
    }
}

/// Whether an expression gives a boolean or fails.
fn is_boolean(expression: &Expr) -> bool {
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
fn fold(expression: &Expr) -> Option<Constant> {
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
