//! Classification: only an intent that the catalog knows goes on to evaluation.
//!
//! The rule it keeps: the action is known, principal and resource are of types that it applies to, the context fits its
//! shape, and every entity that the intent names is in the snapshot or of a transient type. It does not decide.

use crate::catalog::{ActionIndex, ActionRow, FactNames, Terms};
use crate::evaluation::{Evaluation, evaluate};
use crate::intent::{Intent, Uid};
use crate::machine::{Machine, Outcome};
use crate::value::{Content, Field, Range, Source, Span, Value};
use crate::world::{Scratch, World};

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
        let row = self.view.image().actions.get(action.place()).copied();
        let row = row.filter(|row| row.principals.length > 0).ok_or(Refused::Unclassified)?;
        self.check(&row, facts).map_err(Refused::Invalid)?;
        Ok(Classified { intent: self, action, terms: row.terms })
    }

    fn check(&mut self, row: &ActionRow, facts: Facts) -> Result<(), Misfit<'a>> {
        if let Some(misfit) = self.misfit {
            return Err(misfit);
        }
        let image = *self.view.image();
        self.check_type(row.principals, self.contents.principal, Misfit::PrincipalType)?;
        self.check_type(row.resources, self.contents.resource, Misfit::ResourceType)?;
        if let Some(names) = image.facts.filter(|_| row.is_asserted) {
            self.assert_facts(names, facts)?;
        }
        let context = self.contents.context.ok_or(Misfit::Malformed)?;
        self.world(&mut Scratch::new()).fit_context(context, row.context)?;
        match self.contents.absent {
            None => Ok(()),
            Some(uid) => Err(Misfit::AbsentEntity(uid)),
        }
    }

    fn check_type(&self, types: Range, entity: u32, misfit: Misfit<'a>) -> Result<(), Misfit<'a>> {
        let type_number = match self.view.snapshot().entities.get(entity as usize) {
            Some(row) => Some(row.type_number),
            None => self.contents.stranger(self.view.snapshot(), entity).and_then(|known| known.type_number),
        };
        let accepted = types.of(self.view.image().applies_to).unwrap_or(&[]);
        type_number.filter(|number| accepted.contains(number)).map(|_| ()).ok_or(misfit)
    }

    /// Appends `context.assent`. The outermost record was given one field to spare for it.
    fn assert_facts(&mut self, names: FactNames, facts: Facts) -> Result<(), Misfit<'a>> {
        let Some(Content::Record(mut context)) = self.contents.context.map(Value::content) else {
            return Err(Misfit::Malformed);
        };
        let fields = &mut self.contents.fields;
        if context
            .range()
            .of(fields)
            .is_some_and(|fields| fields.iter().any(|field| field.name == names.assent))
        {
            return Err(Misfit::Reserved);
        }
        let start = u32::try_from(fields.len()).map_err(|_| Misfit::Malformed)?;
        let asserted = [
            (names.now, Value::datetime(facts.now_ms)),
            (names.risk, Value::long(0)),
            (names.approvals, Value::long(facts.approvals)),
            (names.degraded, Value::bool(facts.degraded)),
            (names.agent_rate, Value::long(facts.agent_rate)),
            (names.epoch, Value::long(facts.epoch)),
        ];
        for (name, value) in asserted {
            fields.push(Field { name, value }).map_err(|_| Misfit::TooLarge("attributes"))?;
        }
        let length = u32::try_from(asserted.len()).map_err(|_| Misfit::Malformed)?;
        let record = Span { source: Source::Intent, start, length };
        let spare = context.start.saturating_add(context.length) as usize;
        let field = Field { name: names.assent, value: Value::record(record) };
        *fields.get_mut(spare).ok_or(Misfit::Malformed)? = field;
        context.length = context.length.saturating_add(1);
        self.sort_record(record)?;
        self.sort_record(context)?;
        self.contents.context = Some(Value::record(context));
        Ok(())
    }

    #[inline(always)]
    pub(crate) const fn world<'m>(&'m self, scratch: &'m mut Scratch) -> World<'m, 'a> {
        World { image: self.view.image(), snapshot: self.view.snapshot(), intent: &self.contents, scratch }
    }

    /// Sets `context.assent.risk`, where it is declared.
    pub(crate) fn assert_risk(&mut self, risk: i64) {
        let Some(names) = self.view.image().facts else { return };
        for field in self.contents.fields.iter_mut().rev().take(crate::intent::FACT_FIELDS) {
            if field.name == names.risk {
                field.value = Value::long(risk);
                return;
            }
        }
    }

    /// Evaluates without asking the catalog: for comparison with Cedar, which answers requests that fit nothing too.
    /// The verdict is always [`Cause::Unclassified`](crate::Cause::Unclassified), so nothing can be allowed this way.
    pub fn evaluate_unclassified(&mut self) -> Evaluation {
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
    pub fn evaluate(&mut self) -> Evaluation {
        evaluate(self.intent, Some(self.terms.risk), None)
    }

    /// Decides as if the score were `risk`, for policy tests that state it.
    pub fn evaluate_at_risk(&mut self, risk: i64) -> Evaluation {
        evaluate(self.intent, Some(self.terms.risk), Some(risk))
    }

    /// What became of one policy, for explanations; ask after evaluating, so that the score is in place.
    pub fn outcome(&self, policy: usize) -> Outcome {
        Machine::new(self.intent.world(&mut Scratch::new())).outcome(policy)
    }
}
