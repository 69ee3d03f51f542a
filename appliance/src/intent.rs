//! The intent boundary: is this a known action, with a context that fits the catalog?
//!
//! The one rule: what the catalog does not know is refused, before any policy sees it. An action that is not in it cannot
//! be classified; a known one whose context does not fit, that names an entity which does not exist, or that asks for more
//! than the catalog grants, is invalid. Whether it is allowed is not asked here.

use assent_evaluator as evaluator;
use assent_proto::codec::CodecError;
use assent_proto::context::{Context, Event, Ip};
use assent_proto::entry::Policies;
use assent_proto::intent::{Intent, OnUnavailable, Priority, Terms};
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Ruling, Verdict, Waiting};
use evaluator::{Address, Facts, Misfit, Uid, View};

/// Tells its holder that this principal asked for exactly this intent, that the catalog knows its action, that its context
/// fits and its entities exist. It does not tell that the intent is allowed.
///
/// Only [`Reading::classify`] makes one:
///
/// ```compile_fail
/// fn skip<'w, 'a>(read: assent_evaluator::Classified<'w, 'a>) -> appliance::intent::Classified<'w, 'a> {
///     appliance::intent::Classified { read, granted: todo!() }
/// }
/// ```
#[must_use]
pub struct Classified<'w, 'a> {
    pub(crate) read: evaluator::Classified<'w, 'a>,
    pub(crate) granted: Granted,
}

impl std::fmt::Debug for Classified<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Classified({:?})", self.granted)
    }
}

/// What of its terms an intent would get, were it allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) window_s: u32,
    pub(crate) uses: u16,
    /// How it waits where it cannot be decided, as it wishes and the catalog lets it; none: it does not.
    pub(crate) waiting: Option<Waiting>,
}

/// Why an intent was not classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclassified(Refusal);

impl Unclassified {
    /// What the agent hears.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        self.0
    }

    /// The denial that is logged.
    #[must_use]
    pub fn ruling<'s>(self) -> Ruling<'s> {
        Ruling { verdict: Verdict::Deny(self.0), risk: 0, policies: Policies::default() }
    }
}

/// Where intents are laid out for the evaluator, one after the other: some 20 KiB, and no allocation. Make one for a batch
/// and leave it where it stands, for moving it would cost more than evaluating an intent.
pub struct Reading<'a>(evaluator::Intent<'a>);

impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading(..)")
    }
}

impl<'a> Reading<'a> {
    /// Room for the intents of a batch.
    #[must_use]
    pub fn new(view: &'a View<'a>) -> Self {
        Self(evaluator::Intent::new(view))
    }

    /// Reads an intent of a principal, and passes it through the boundary or not.
    ///
    /// # Errors
    /// [`Unclassified`], with what the agent hears.
    pub fn classify(
        &mut self,
        principal: Uid<'a>,
        intent: &Intent<'a>,
        facts: Facts,
    ) -> Result<Classified<'_, 'a>, Unclassified> {
        self.0.ask(principal, uid(intent.act.action), uid(intent.act.resource));
        // Classified all the same: an action that is not known is told before a context that does not fit.
        let laid_out = lay_out(&mut self.0, &intent.act.context).is_ok();
        let read = self.0.classify(facts).map_err(|refused| match refused {
            evaluator::Refused::Unclassified => Unclassified(Refusal::IntentUnclassified),
            evaluator::Refused::Invalid(misfit) => {
                tracing::debug!(%misfit, "intent does not fit the catalog");
                let too_large = matches!(misfit, Misfit::TooLarge(_));
                Unclassified(if too_large { Refusal::IntentTooLarge } else { Refusal::IntentInvalid })
            }
        })?;
        if !laid_out {
            return Err(Unclassified(Refusal::IntentInvalid));
        }
        let granted = grant(&intent.terms, read.terms()).ok_or(Unclassified(Refusal::IntentInvalid))?;
        Ok(Classified { read, granted })
    }
}

/// What the catalog grants of the terms; none where they ask for more, or for nothing.
fn grant(terms: &Terms<'_>, catalog: evaluator::Terms) -> Option<Granted> {
    let window_max_s = u32::try_from(catalog.window_ms / 1000).ok()?;
    let uses_max = u16::try_from(catalog.uses).ok()?;
    let window_s = terms.window_s.unwrap_or(window_max_s);
    let uses = terms.uses.unwrap_or(uses_max);
    let fits = (1..=window_max_s).contains(&window_s) && (1..=uses_max).contains(&uses);
    fits.then_some(Granted { window_s, uses, waiting: waiting(terms, catalog) })
}

/// How the intent waits. An agent may stand further behind than the catalog has it, not further ahead.
fn waiting(terms: &Terms<'_>, catalog: evaluator::Terms) -> Option<Waiting> {
    let wait_s = u32::try_from(catalog.queue_ms? / 1000).ok()?;
    let most = match catalog.priority {
        evaluator::Priority::Low => Priority::Low,
        evaluator::Priority::Normal => Priority::Normal,
        evaluator::Priority::High => Priority::High,
        evaluator::Priority::Critical => Priority::Critical,
    };
    let priority = terms.priority.map_or(most, |wanted| wanted.min(most));
    (terms.on_unavailable == OnUnavailable::Queue && wait_s > 0).then_some(Waiting { wait_s, priority })
}

/// The context was not laid out, and the traces say why. The walk itself cannot fail: the context was checked when the
/// frame was parsed.
struct NotLaidOut;

impl From<CodecError> for NotLaidOut {
    fn from(error: CodecError) -> Self {
        tracing::debug!(%error, "context cannot be read");
        Self
    }
}

impl From<Misfit<'_>> for NotLaidOut {
    fn from(misfit: Misfit<'_>) -> Self {
        tracing::debug!(%misfit, "context does not fit");
        Self
    }
}

fn lay_out<'a>(intent: &mut evaluator::Intent<'a>, context: &Context<'a>) -> Result<(), NotLaidOut> {
    for event in context.events() {
        match event? {
            Event::Bool(value) => intent.bool(value)?,
            Event::Long(value) => intent.long(value)?,
            Event::String(text) => intent.string(text)?,
            Event::Entity(entity) => intent.entity(uid(entity))?,
            Event::Decimal(value) => intent.decimal(value)?,
            Event::Ip(ip) => intent.ip(address(ip).ok_or(CodecError::Malformed)?)?,
            Event::Datetime(value) => intent.datetime(value)?,
            Event::Duration(value) => intent.duration(value)?,
            Event::Set(count) => intent.begin_set(count)?,
            Event::Record(count) => intent.begin_record(count)?,
            Event::Key(name) => intent.key(name)?,
            Event::End => intent.end()?,
        }
    }
    Ok(())
}

const fn uid(uid: assent_proto::intent::Uid<'_>) -> Uid<'_> {
    Uid { type_name: uid.type_name, id: uid.id }
}

fn address(ip: Ip) -> Option<Address> {
    match ip {
        Ip::V4(octets, prefix) => Address::v4(octets, prefix),
        Ip::V6(octets, prefix) => Address::v6(octets, prefix),
    }
}
