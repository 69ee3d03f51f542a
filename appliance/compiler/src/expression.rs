//! Expressions: Cedar's tree, written as a program for the machine.
//!
//! The rule it keeps: whatever Cedar evaluates and every type check that it makes is in the program; which of two values that
//! both fail is looked at first is not, for an error is an error. A kind of node
//! that this does not know rejects the bundle and is never taken for `false`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's enums are open; what is not named is rejected, or is not the special case that is asked for"
)]

use crate::constant::Constant;
use crate::environment::{Environment, Side};
use crate::error::BundleError;
use crate::folding::{fold, is_boolean};
use crate::image::ImageTables;
use crate::policy::{Accepted, PolicyNote};
use crate::table::number;
use assent_evaluator::{Binary, Instruction, Operand, Then, Unary, Variable};
use cedar_policy::pst::{BinaryOp, Clause, Expr, PatternElem, UnaryOp, Var};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is left of a policy's clauses.
#[derive(Debug)]
pub(crate) enum Compiled {
    /// Instructions; none where the scope is all.
    Code(Vec<Instruction>),
    /// It can neither be satisfied nor fail: the clause of this number is plainly false, and all before it plainly true.
    Never(u32),
}

/// Compiles the clauses of a policy: for an environment, or for requests that fit none.
pub(crate) fn compile(
    image: &mut ImageTables,
    policy: &Accepted,
    environment: Option<&Environment>,
) -> Result<Compiled, BundleError> {
    let mut program = Program { image, note: &policy.note, environment, code: Vec::new() };
    for (place, clause) in policy.body.clauses().iter().enumerate() {
        let goes_on = match clause {
            Clause::When(body) => program.clause(body, true, number(place))?,
            Clause::Unless(body) => program.clause(body, false, number(place))?,
        };
        if !goes_on && program.code.is_empty() {
            return Ok(Compiled::Never(number(place)));
        }
        if !goes_on {
            // What comes behind it is never reached.
            program.refuse(number(place));
            break;
        }
    }
    Ok(Compiled::Code(program.code))
}

/// A program under construction.
pub(crate) struct Program<'i> {
    pub(crate) image: &'i mut ImageTables,
    note: &'i PolicyNote,
    environment: Option<&'i Environment>,
    pub(crate) code: Vec<Instruction>,
}

impl Program<'_> {
    pub(crate) fn unsupported(&self, problem: &str) -> BundleError {
        BundleError::Unsupported {
            file: self.note.file.clone(),
            what: format!("policy `{}`", self.note.id),
            problem: problem.to_owned(),
        }
    }

    pub(crate) fn emit(&mut self, instruction: Instruction) {
        self.code.push(instruction);
    }

    /// The place of the next instruction, as jumps count it.
    fn here(&self) -> u32 {
        number(self.code.len())
    }

    /// Leaves room for a jump that is aimed later.
    pub(crate) fn reserve(&mut self) -> usize {
        self.emit(Instruction::Boolean);
        self.code.len() - 1
    }

    pub(crate) fn aim(&mut self, place: usize, jump: fn(u32) -> Instruction) {
        let here = self.here();
        if let Some(instruction) = self.code.get_mut(place) {
            *instruction = jump(here);
        }
    }

    /// Pushes a constant.
    pub(crate) fn constant(&mut self, constant: &Constant) -> Instruction {
        let place = self.image.constant(constant);
        Operand::constant(place).map_or(Instruction::Constant(place), Instruction::Load)
    }

    /// The value of an expression that needs nothing but itself and the environment, and cannot fail.
    pub(crate) fn fold(&self, expression: &Expr) -> Option<Constant> {
        let known =
            self.environment.and_then(|environment| environment.decide(expression, &self.image.names));
        known.map(Constant::Bool).or_else(|| fold(expression))
    }

    /// Pushes the value of an expression.
    pub(crate) fn expression(&mut self, expression: &Expr) -> Result<(), BundleError> {
        if let Some(constant) = self.fold(expression) {
            let push = self.constant(&constant);
            self.emit(push);
            return Ok(());
        }
        match expression {
            Expr::Var(variable) => self.emit(Instruction::Load(Operand::variable(variable_of(variable)))),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr)?,
            Expr::BinaryOp { op, left, right } => self.binary(*op, left, right)?,
            Expr::GetAttr { expr, attr } => self.attribute(expr, attr)?,
            Expr::HasAttr { expr, attrs } => self.has(expr, attrs)?,
            Expr::Like { expr, pattern } => {
                if self.test(expression)?.is_none() {
                    let pattern = self.pattern(pattern);
                    self.expression(expr)?;
                    self.emit(Instruction::Like(pattern));
                }
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

    /// Where the value of an expression lies: in place if it can be, else on the stack.
    pub(crate) fn operand(&mut self, expression: &Expr) -> Result<Operand, BundleError> {
        if let Some(constant) = self.fold(expression) {
            let place = self.image.constant(&constant);
            if let Some(operand) = Operand::constant(place) {
                return Ok(operand);
            }
        }
        match expression {
            Expr::Var(variable) => return Ok(Operand::variable(variable_of(variable))),
            Expr::GetAttr { expr, attr } => {
                if let Some(slot) = self.slot(expr, attr) {
                    return Ok(slot);
                }
            }
            _ => {}
        }
        self.expression(expression)?;
        Ok(Operand::STACK)
    }

    /// The slot of an attribute of the principal, the resource or the context, where the environment has it.
    fn slot(&mut self, of: &Expr, name: &str) -> Option<Operand> {
        let side = match of {
            Expr::Var(Var::Principal) => Side::Principal,
            Expr::Var(Var::Resource) => Side::Resource,
            Expr::Var(Var::Context) => Side::Context,
            _ => return None,
        };
        self.environment?.slot(side, self.image.names.find(name)?)
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) -> Result<(), BundleError> {
        let instruction = match op {
            UnaryOp::Not => Instruction::Unary(Unary::Not),
            UnaryOp::Neg => Instruction::Unary(Unary::Negate),
            UnaryOp::IsEmpty => Instruction::Unary(Unary::IsEmpty),
            UnaryOp::IsIPv4 => Instruction::Unary(Unary::IsIpv4),
            UnaryOp::IsIPV6 => Instruction::Unary(Unary::IsIpv6),
            UnaryOp::IsLoopback => Instruction::Unary(Unary::IsLoopback),
            UnaryOp::IsMulticast => Instruction::Unary(Unary::IsMulticast),
            UnaryOp::ToDate => Instruction::Unary(Unary::ToDate),
            UnaryOp::ToTime => Instruction::Unary(Unary::ToTime),
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
        match op {
            BinaryOp::And => self.short_circuit(left, right, true, Instruction::And),
            BinaryOp::Or => self.short_circuit(left, right, false, Instruction::Or),
            _ => match operator(op) {
                Some(operator) => self.apply(operator, left, right, Then::PUSH),
                None => Err(self.unsupported("an operator that the evaluator does not know")),
            },
        }
    }

    /// Both sides are evaluated, whatever the first one gives.
    pub(crate) fn apply(
        &mut self,
        operator: Binary,
        left: &Expr,
        right: &Expr,
        then: Then,
    ) -> Result<(), BundleError> {
        let left = self.operand(left)?;
        let right = self.operand(right)?;
        self.emit(Instruction::Binary { operator, left, right, then });
        Ok(())
    }

    /// The right side must be a boolean too, but only where it is evaluated: a left side that is not `neutral` is the answer.
    fn short_circuit(
        &mut self,
        left: &Expr,
        right: &Expr,
        neutral: bool,
        jump: fn(u32) -> Instruction,
    ) -> Result<(), BundleError> {
        // A left side that is plainly the answer was folded, together with the whole.
        if self.fold(left) == Some(Constant::Bool(neutral)) {
            return self.boolean(right);
        }
        self.expression(left)?;
        let place = self.reserve();
        self.boolean(right)?;
        self.aim(place, jump);
        Ok(())
    }

    /// Pushes a value that must be a boolean.
    pub(crate) fn boolean(&mut self, expression: &Expr) -> Result<(), BundleError> {
        self.expression(expression)?;
        if !is_boolean(expression) {
            self.emit(Instruction::Boolean);
        }
        Ok(())
    }

    fn choice(&mut self, condition: &Expr, then: &Expr, otherwise: &Expr) -> Result<(), BundleError> {
        if let Some(Constant::Bool(holds)) = self.fold(condition) {
            return self.expression(if holds { then } else { otherwise });
        }
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
        if let Some(slot) = self.slot(of, name) {
            self.emit(Instruction::Load(slot));
            return Ok(());
        }
        let name = self.image.names.keep(name);
        self.expression(of)?;
        self.emit(Instruction::Attribute(name));
        Ok(())
    }

    /// `has a.b.c` walks while each is there.
    fn has<'n>(
        &mut self,
        of: &Expr,
        path: impl IntoIterator<Item = &'n (impl AsRef<str> + 'n)>,
    ) -> Result<(), BundleError> {
        let path: Vec<_> = path.into_iter().map(AsRef::as_ref).collect();
        if let [only] = path.as_slice()
            && let Some(slot) = self.slot(of, only)
        {
            self.emit(Instruction::HasSlot(slot));
            return Ok(());
        }
        self.expression(of)?;
        let names: Vec<_> = path.iter().map(|name| self.image.names.keep(name)).collect();
        let test = match names.as_slice() {
            [only] => Instruction::Has(*only),
            _ => Instruction::HasPath(self.image.path(names)),
        };
        self.emit(test);
        Ok(())
    }

    /// `is T in E` is `is T && in E`.
    fn is(&mut self, of: &Expr, type_name: &str, within: Option<&Expr>) -> Result<(), BundleError> {
        let number = self.image.types.find(type_name);
        let number =
            number.ok_or_else(|| self.unsupported("`is` asks for a type that the catalog does not have"))?;
        let known = self.environment.and_then(|environment| environment.is_of(of, type_name));
        match (known, within) {
            // Another type was folded; of this type, `in` is all that is left.
            (Some(true), Some(within)) => return self.binary(BinaryOp::In, of, within),
            (_, _) => self.expression(of)?,
        }
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

    pub(crate) fn pattern(&mut self, pattern: &[PatternElem]) -> u32 {
        let mut parts = vec![String::new()];
        for element in pattern {
            match (element, parts.last_mut()) {
                (PatternElem::Char(character), Some(part)) => part.push(*character),
                (PatternElem::Wildcard, _) | (_, None) => parts.push(String::new()),
            }
        }
        self.image.pattern(parts)
    }
}

const fn variable_of(variable: &Var) -> Variable {
    match variable {
        Var::Principal => Variable::Principal,
        Var::Action => Variable::Action,
        Var::Resource => Variable::Resource,
        Var::Context => Variable::Context,
    }
}

/// The machine's operator of two values, where Cedar's is one that evaluates both.
pub(crate) fn operator(op: BinaryOp) -> Option<Binary> {
    Some(match op {
        BinaryOp::Eq => Binary::Equal,
        BinaryOp::NotEq => Binary::NotEqual,
        BinaryOp::Less => Binary::Less,
        BinaryOp::LessEq => Binary::LessEqual,
        BinaryOp::Greater => Binary::Greater,
        BinaryOp::GreaterEq => Binary::GreaterEqual,
        BinaryOp::Add => Binary::Add,
        BinaryOp::Sub => Binary::Subtract,
        BinaryOp::Mul => Binary::Multiply,
        BinaryOp::In => Binary::In,
        BinaryOp::Contains => Binary::Contains,
        BinaryOp::ContainsAll => Binary::ContainsAll,
        BinaryOp::ContainsAny => Binary::ContainsAny,
        BinaryOp::GetTag => Binary::GetTag,
        BinaryOp::HasTag => Binary::HasTag,
        BinaryOp::IsInRange => Binary::IsInRange,
        BinaryOp::Offset => Binary::Offset,
        BinaryOp::DurationSince => Binary::DurationSince,
        BinaryOp::DecimalLessThan => Binary::DecimalLess,
        BinaryOp::DecimalLessEq => Binary::DecimalLessEqual,
        BinaryOp::DecimalGreater => Binary::DecimalGreater,
        BinaryOp::DecimalGreaterEq => Binary::DecimalGreaterEqual,
        _ => return None,
    })
}
