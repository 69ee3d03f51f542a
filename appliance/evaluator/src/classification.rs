//! Classification: only an intent that the catalog knows goes on to evaluation.
//!
//! The rule it keeps: the action is known, principal and resource are of types that it applies to, the context fits its
//! shape, and every entity that the intent names is in the snapshot or of a transient type. It does not decide.

use crate::catalog::{ActionIndex, ActionRow, FactNames, Terms};
use crate::contents::Uid;
use crate::evaluation::{Evaluation, evaluate, outcome};
use crate::intent::{Intent, SPARE_FIELDS};
use crate::machine::Outcome;
use crate::operand::KINDS;
use crate::scope::{Position, Standing};
use crate::value::{Content, Field, Range, Source, Span, Value};
use crate::world::World;

/// What the appliance itself asserts, as `context.assent`. The score is computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// When the intent is evaluated, in milliseconds since 1970.
    pub now_ms: i64,
    /// Approvals that are in.
    pub approvals: i64,
    /// Whether the token boundary is closed.
    pub degraded: bool,
    /// This principal's intents in the last minute.
    pub agent_rate: i64,
    /// The revocation epoch.
    pub epoch: i64,
}

/// How many facts there are.
const FACTS: u32 = 6;

/// Why an intent is not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused<'a> {
    /// The catalog does not know the action, or knows it as a category only.
    Unclassified,
    /// The catalog knows the action, and the intent does not fit it.
    Invalid(Misfit<'a>),
}

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit<'a> {
    /// Values out of order: an end without a begin, a value without a key, an attribute twice.
    Malformed,
    /// More of something than the limits allow.
    TooLarge(&'static str),
    /// The action does not apply to principals of this type.
    PrincipalType,
    /// The action does not apply to resources of this type.
    ResourceType,
    /// The catalog does not declare the attribute.
    UnknownAttribute {
        /// Its name.
        attribute: &'a str,
    },
    /// The catalog requires the attribute.
    MissingAttribute {
        /// Its name.
        attribute: &'a str,
    },
    /// The attribute, or something within it, has another type than the catalog says.
    WrongType {
        /// Its name.
        attribute: &'a str,
    },
    /// The intent brings what only the appliance may assert.
    Reserved,
    /// The intent names an entity that the snapshot does not list.
    AbsentEntity(Uid<'a>),
}

impl Misfit<'_> {
    /// A bounded label for metrics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge(_) => "too_large",
            Self::PrincipalType => "principal_type",
            Self::ResourceType => "resource_type",
            Self::UnknownAttribute { .. } => "unknown_attribute",
            Self::MissingAttribute { .. } => "missing_attribute",
            Self::WrongType { .. } => "wrong_type",
            Self::Reserved => "reserved",
            Self::AbsentEntity(_) => "absent_entity",
        }
    }
}

impl core::fmt::Display for Misfit<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Malformed => f.write_str("the values of the context are out of order"),
            Self::TooLarge(what) => write!(f, "too much in the context: {what}"),
            Self::PrincipalType => f.write_str("the action does not apply to principals of this type"),
            Self::ResourceType => f.write_str("the action does not apply to resources of this type"),
            Self::UnknownAttribute { attribute } => {
                write!(f, "the catalog has no attribute `{attribute:.64}`")
            }
            Self::MissingAttribute { attribute } => write!(f, "attribute `{attribute:.64}` is missing"),
            Self::WrongType { attribute } => write!(f, "`{attribute:.64}` is of the wrong type"),
            Self::Reserved => f.write_str("`context.assent` is the appliance's to assert"),
            Self::AbsentEntity(uid) => {
                write!(f, "`{:.64}::\"{:.128}\"` is not in the snapshot", uid.type_name, uid.id)
            }
        }
    }
}

/// An intent that fits the catalog. It does not tell that the intent is allowed.
#[derive(Debug)]
#[must_use = "a classified intent has not been evaluated yet"]
pub struct Classified<'i, 'a> {
    intent: &'i mut Intent<'a>,
    action: ActionIndex,
    terms: Terms,
}

impl<'a> Intent<'a> {
    /// Holds the intent against the catalog and asserts the appliance's facts.
    ///
    /// # Errors
    /// [`Refused::Unclassified`] where the action is unknown, before anything else is looked at.
    pub fn classify(&mut self, facts: Facts) -> Result<Classified<'_, 'a>, Refused<'a>> {
        let action = ActionIndex(self.contents.action);
        let row = self.view.image().actions.get(action.place());
        let row = row.filter(|row| row.principals.length > 0).ok_or(Refused::Unclassified)?;
        self.standing.environment = None;
        let environment = self.check(row, facts).map_err(Refused::Invalid)?;
        self.stand(Some(environment));
        Ok(Classified { intent: self, action, terms: row.terms })
    }

    /// The request environment of an intent that fits.
    fn check(&mut self, row: &ActionRow, facts: Facts) -> Result<usize, Misfit<'a>> {
        if let Some(misfit) = self.misfit {
            return Err(misfit);
        }
        let principal = self.place_of_type(row.principals, self.contents.principal);
        let principal = principal.ok_or(Misfit::PrincipalType)?;
        let resource = self.place_of_type(row.resources, self.contents.resource);
        let resource = resource.ok_or(Misfit::ResourceType)?;
        if let Some(names) = self.view.image().facts.filter(|_| row.is_asserted) {
            self.assert_facts(names, row.terms.risk, facts)?;
        }
        self.fit_context(row.context)?;
        match self.contents.absent {
            None => Ok(row.environment(principal, resource)),
            Some(uid) => Err(Misfit::AbsentEntity(uid)),
        }
    }

    /// Where an entity's type stands among those that an action applies to.
    fn place_of_type(&self, types: Range, entity: u32) -> Option<usize> {
        let type_number = match self.view.snapshot().entities.get(entity as usize) {
            Some(row) => row.type_number,
            None => self.contents.stranger(self.view.snapshot(), entity)?.type_number?,
        };
        types.of(self.view.image().applies_to)?.iter().position(|accepted| *accepted == type_number)
    }

    fn fit_context(&mut self, shape: u32) -> Result<(), Misfit<'a>> {
        let context = self.contents.context.ok_or(Misfit::Malformed)?;
        let world = World {
            image: self.view.image(),
            snapshot: self.view.snapshot(),
            intent: &self.contents,
            tables: [&[]; KINDS],
            scratch: &mut self.scratch,
        };
        world.fit_context(context, shape, &mut self.slots)
    }

    /// Asserts `context.assent`. The outermost record has room before its first field, and there the record belongs: the
    /// numbers of its names are the first of all.
    fn assert_facts(&mut self, names: FactNames, risk: i64, facts: Facts) -> Result<(), Misfit<'a>> {
        let Some(Content::Record(context)) = self.contents.context.map(Value::content) else {
            return Err(Misfit::Malformed);
        };
        let fields = &mut self.contents.fields;
        let brought = context.range().of(fields).and_then(|fields| fields.first());
        if brought.is_some_and(|field| field.name == names.assent) {
            return Err(Misfit::Reserved);
        }
        let start = u32::try_from(fields.len()).map_err(|_| Misfit::Malformed)?;
        let asserted = [
            (names.now, Value::datetime(facts.now_ms)),
            // Until the risk model has run; without one the base is all.
            (names.risk, Value::long(risk)),
            (names.approvals, Value::long(facts.approvals)),
            (names.degraded, Value::bool(facts.degraded)),
            (names.agent_rate, Value::long(facts.agent_rate)),
            (names.epoch, Value::long(facts.epoch)),
        ];
        for (name, value) in asserted {
            fields.push(Field { name, value }).map_err(|_| Misfit::TooLarge("attributes"))?;
        }
        let record = Span { source: Source::Intent, start, length: FACTS };
        let spare = context.start.checked_sub(SPARE_FIELDS).ok_or(Misfit::Malformed)?;
        let field = Field { name: names.assent, value: Value::record(record) };
        *fields.get_mut(spare as usize).ok_or(Misfit::Malformed)? = field;
        let length = context.length.saturating_add(1);
        self.contents.keep_context(Value::record(Span { start: spare, length, ..context }));
        Ok(())
    }

    /// Notes where the intent stands.
    #[inline(always)]
    pub(crate) fn stand(&mut self, environment: Option<usize>) {
        let position = |entity| Position::of(self.view.snapshot(), entity);
        let (principal, resource) = (self.contents.principal, self.contents.resource);
        self.standing =
            Standing { environment, principal: position(principal), resource: position(resource) };
    }

    /// What policies read, where the intent stands, and where the outcome is kept.
    #[inline(always)]
    pub(crate) fn world(&mut self) -> (World<'_, 'a>, &Standing<'a>, &mut Evaluation) {
        let Self { view, contents, slots, standing, scratch, evaluation, .. } = self;
        let (image, snapshot) = (view.image(), view.snapshot());
        let (principal, resource) = (standing.principal.attributes, standing.resource.attributes);
        // In the order of the operands' kinds.
        let tables = [&[], image.constants, principal, resource, slots, &contents.variables, &[], &[]];
        (World { image, snapshot, intent: contents, tables, scratch }, standing, evaluation)
    }

    /// Sets `context.assent.risk`, where the action declares it: of any other the last fields are the agent's own, and one of them
    /// may be called so.
    pub(crate) fn assert_risk(&mut self, risk: i64) {
        let image = self.view.image();
        let is_asserted =
            image.actions.get(ActionIndex(self.contents.action).place()).is_some_and(|row| row.is_asserted);
        let Some(names) = image.facts.filter(|_| is_asserted) else { return };
        for field in self.contents.fields.iter_mut().rev().take(FACTS as usize) {
            if field.name == names.risk {
                field.value = Value::long(risk);
                return;
            }
        }
    }

    /// Evaluates without asking the catalog: for comparison with Cedar, which answers requests that fit nothing too.
    /// The verdict is always [`Cause::Unclassified`](crate::Cause::Unclassified), so nothing can be allowed this way.
    pub fn evaluate_unclassified(&mut self) -> &Evaluation {
        self.stand(None);
        evaluate(self, None, None)
    }
}

impl<'a> Classified<'_, 'a> {
    /// The action's place in the catalog.
    pub const fn action(&self) -> ActionIndex {
        self.action
    }

    /// On which terms it may be granted.
    pub const fn terms(&self) -> Terms {
        self.terms
    }

    /// Decides.
    pub fn evaluate(&mut self) -> &Evaluation {
        evaluate(self.intent, Some(self.terms.risk), None)
    }

    /// Decides as if the score were `risk`, for policy tests that state it.
    pub fn evaluate_at_risk(&mut self, risk: i64) -> &Evaluation {
        evaluate(self.intent, Some(self.terms.risk), Some(risk))
    }

    /// What became of one policy, for explanations; ask after evaluating, so that the score is in place.
    pub fn outcome(&mut self, policy: usize) -> Outcome {
        outcome(self.intent, policy)
    }
}
