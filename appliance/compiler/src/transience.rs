//! Transience: no policy asks whether an entity of a transient type is `in` something.
//!
//! The rule it keeps: a transient entity has no parents, so such a test could hold of itself only and a forbid by it would
//! never forbid. Scopes and conditions are looked at in every request environment in which Cedar finds that the policy can
//! apply; what the types of that environment rule out beforehand is not looked at.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "Cedar's enums are open; what is not named has no type that is asked for"
)]

use crate::error::BundleError;
use crate::place::Place;
use crate::policy::Accepted;
use crate::schema::{ResolvedSchema, TypeJson};
use crate::table::EntityName;
use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, PrincipalConstraint, ResourceConstraint, Var};
use cedar_policy::{PolicyId, PolicySet, RequestEnv};
use std::collections::HashSet;

/// Rejects the first policy that tests `in` on something transient.
pub(crate) fn check(
    accepted: &[Accepted],
    all: &PolicySet,
    schema: &ResolvedSchema,
) -> Result<(), BundleError> {
    if !schema.entity_types.iter().any(|kind| kind.is_transient) {
        return Ok(());
    }
    let types = |environment: RequestEnv| Types {
        schema,
        principal: environment.principal().to_string(),
        resource: environment.resource().to_string(),
        context: context(schema, &environment),
        environment: key(&environment),
    };
    let environments: Vec<_> = schema.schema.request_envs().map(types).collect();
    for policy in accepted {
        let tests = environments.iter().filter_map(|types| Some((types, types.test(policy)?)));
        let mut tests = tests.peekable();
        if tests.peek().is_none() {
            continue;
        }
        // Which environments the policy can apply in is asked only where it matters: Cedar types the policy once more.
        let written = all.policy(&PolicyId::new(&policy.note.id)).into_iter();
        let valid: HashSet<_> = written
            .flat_map(|policy| policy.get_valid_request_envs(&schema.schema))
            .map(|env| key(&env))
            .collect();
        if let Some((_, test)) = tests.find(|(types, _)| valid.contains(&types.environment)) {
            return Err(test.rejects(policy));
        }
    }
    Ok(())
}

/// What tells request environments apart: the types of principal and resource, and the action.
fn key(environment: &RequestEnv) -> [String; 3] {
    let (principal, resource) = (environment.principal(), environment.resource());
    [principal.to_string(), environment.action().to_string(), resource.to_string()]
}

/// A test of `in` on something transient.
struct Test {
    place: Place,
    tested: &'static str,
    kind: String,
}

impl Test {
    fn rejects(self, policy: &Accepted) -> BundleError {
        let Self { place, tested, kind } = self;
        BundleError::Unsupported {
            file: place.to_string(),
            what: format!("policy `{}`", policy.note.id),
            problem: format!(
                "tests `in` on {tested}, which is of the transient type {kind} and in nothing: \
                 say it in the context, or take @transient off the type"
            ),
        }
    }
}

fn context<'s>(schema: &'s ResolvedSchema, environment: &RequestEnv) -> Option<&'s TypeJson> {
    let action = EntityName::of(environment.action());
    schema.actions.iter().find(|known| known.uid == action)?.context.as_ref()
}

/// A type that is known of an expression.
#[derive(Clone)]
enum Known<'s> {
    Entity(String),
    Other(&'s TypeJson),
}

/// The types of one request environment.
struct Types<'s> {
    schema: &'s ResolvedSchema,
    principal: String,
    resource: String,
    context: Option<&'s TypeJson>,
    environment: [String; 3],
}

impl<'s> Types<'s> {
    fn is_transient(&self, name: &str) -> bool {
        self.schema.entity_types.iter().any(|kind| kind.is_transient && kind.name == name)
    }

    /// The first test of a policy, its scope first.
    fn test(&self, policy: &Accepted) -> Option<Test> {
        self.scope(policy).or_else(|| self.clauses(policy))
    }

    fn scope(&self, policy: &Accepted) -> Option<Test> {
        let test = |tested, kind: &String| {
            Some(Test { place: policy.note.place.clone(), tested, kind: kind.clone() })
        };
        match (&policy.body.principal, &policy.body.resource) {
            (PrincipalConstraint::In(_) | PrincipalConstraint::IsIn(..), _)
                if self.is_transient(&self.principal) =>
            {
                test("the principal", &self.principal)
            }
            (_, ResourceConstraint::In(_) | ResourceConstraint::IsIn(..))
                if self.is_transient(&self.resource) =>
            {
                test("the resource", &self.resource)
            }
            _ => None,
        }
    }

    fn clauses(&self, policy: &Accepted) -> Option<Test> {
        policy.body.clauses().iter().enumerate().find_map(|(number, clause)| {
            let (Clause::When(body) | Clause::Unless(body)) = clause;
            let (tested, kind) = self.find(body)?;
            let written = policy.note.clauses.get(number).map(|clause| &clause.place);
            Some(Test { place: written.unwrap_or(&policy.note.place).clone(), tested, kind })
        })
    }

    /// What is tested first, and its type.
    fn find(&self, expression: &Expr) -> Option<(&'static str, String)> {
        match expression {
            Expr::BinaryOp { op: BinaryOp::And, left, right } => {
                self.find(left).or_else(|| if self.is_false(left) { None } else { self.find(right) })
            }
            Expr::BinaryOp { op: BinaryOp::In, left, right } => {
                self.tested(left).or_else(|| self.find(left)).or_else(|| self.find(right))
            }
            Expr::BinaryOp { left, right, .. } => self.find(left).or_else(|| self.find(right)),
            Expr::UnaryOp { expr, .. }
            | Expr::GetAttr { expr, .. }
            | Expr::HasAttr { expr, .. }
            | Expr::Like { expr, .. } => self.find(expr),
            Expr::Is { expr, in_expr, .. } => match in_expr {
                Some(within) if !self.is_false(expression) => {
                    self.tested(expr).or_else(|| self.find(expr)).or_else(|| self.find(within))
                }
                _ => self.find(expr),
            },
            Expr::IfThenElse { cond, then_expr, else_expr } => {
                let then = if self.is_false(cond) { None } else { self.find(then_expr) };
                self.find(cond).or(then).or_else(|| self.find(else_expr))
            }
            Expr::Set(elements) => elements.iter().find_map(|element| self.find(element)),
            Expr::Record(fields) => fields.values().find_map(|value| self.find(value)),
            _ => None,
        }
    }

    /// Whether the types alone make it false, so that what stands behind it is not asked.
    fn is_false(&self, expression: &Expr) -> bool {
        match expression {
            Expr::Is { expr, entity_type, .. } => match self.known(expr) {
                Some(Known::Entity(kind)) => kind != entity_type.0.to_string(),
                Some(Known::Other(_)) | None => false,
            },
            Expr::BinaryOp { op: BinaryOp::And, left, right } => self.is_false(left) || self.is_false(right),
            _ => false,
        }
    }

    fn tested(&self, expression: &Expr) -> Option<(&'static str, String)> {
        match self.known(expression)? {
            Known::Entity(kind) if self.is_transient(&kind) => Some((words(expression), kind)),
            Known::Entity(_) | Known::Other(_) => None,
        }
    }

    /// The type of a variable, of an attribute, or of what they lead to.
    fn known(&self, expression: &Expr) -> Option<Known<'s>> {
        match expression {
            Expr::Var(Var::Principal) => Some(Known::Entity(self.principal.clone())),
            Expr::Var(Var::Resource) => Some(Known::Entity(self.resource.clone())),
            Expr::Var(Var::Context) => self.context.map(|context| self.settle(context)),
            Expr::Literal(Literal::EntityUID(uid)) => Some(Known::Entity(uid.ty.0.to_string())),
            Expr::GetAttr { expr, attr } => {
                let shape = match self.known(expr)? {
                    Known::Entity(kind) => self.entity_type(&kind)?.shape.as_ref()?,
                    Known::Other(shape) => shape,
                };
                let attribute = self.schema.unalias(shape).attributes.get(attr.as_str())?;
                Some(self.settle(&attribute.shape))
            }
            Expr::BinaryOp { op: BinaryOp::GetTag, left, .. } => match self.known(left)? {
                Known::Entity(kind) => Some(self.settle(self.entity_type(&kind)?.tags.as_ref()?)),
                Known::Other(_) => None,
            },
            Expr::IfThenElse { then_expr, .. } => self.known(then_expr),
            _ => None,
        }
    }

    fn entity_type(&self, name: &str) -> Option<&'s crate::schema::EntityType> {
        self.schema.entity_types.iter().find(|kind| kind.name == name)
    }

    fn settle(&self, shape: &'s TypeJson) -> Known<'s> {
        let shape = self.schema.unalias(shape);
        match (shape.kind.as_str(), &shape.name) {
            ("Entity", Some(name)) => Known::Entity(name.clone()),
            _ => Known::Other(shape),
        }
    }
}

const fn words(expression: &Expr) -> &'static str {
    match expression {
        Expr::Var(Var::Principal) => "the principal",
        Expr::Var(Var::Resource) => "the resource",
        Expr::Literal(_) => "an entity",
        _ => "an attribute",
    }
}
