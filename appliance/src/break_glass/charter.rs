//! Charters: a wish becomes an entry.
//!
//! The rule it keeps: an action stands in a charter only where the running bundle's catalog marks it with `@break_glass`. Categories are
//! expanded here, once, for whoever verifies knows no catalog; what a later bundle adds to a category, no charter gains.

use std::collections::BTreeSet;

use assent_compiler::{Action, Bundle};
use assent_proto::entry::break_glass::{ActError, CHARTER_NAMESPACE, List, ResourceScope};
use assent_proto::entry::{Charter, Entry, Salt};
use assent_proto::intent::Uid;
use assent_proto::limits::{
    MAX_ACT_SIGNATURES, MAX_CHARTER_ACTIONS, MAX_CHARTER_OPERATORS, MAX_CHARTER_PRINCIPALS,
    MAX_CHARTER_RESOURCES,
};
use assent_proto::number::{Epoch, Timestamp};

use super::act::{Act, Kind, encoded};
use super::order::{CharterOrder, Entity, Extent};
use super::signed::Signed;
use crate::identity::SpiffeId;
use crate::operators::{Quorum, SignatureFile};
use crate::shown::visible;

/// A charter that fits the catalog and the limits, and is signed by nobody yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    order: CharterOrder,
    /// What its actions and categories come to.
    actions: Vec<Entity>,
    not_after: Timestamp,
    now: Timestamp,
}

impl Draft {
    /// What a wish comes to under this bundle.
    pub(super) fn new(
        order: CharterOrder,
        bundle: &Bundle,
        not_after: Timestamp,
        now: Timestamp,
    ) -> Result<Self, String> {
        let actions = actions(&order, bundle)?;
        within("actions", actions.len(), MAX_CHARTER_ACTIONS)?;
        within("resources", order.resources.len(), MAX_CHARTER_RESOURCES)?;
        within("principals", order.principals.len(), MAX_CHARTER_PRINCIPALS)?;
        within("operators", order.operators.len(), MAX_CHARTER_OPERATORS)?;
        order.resources.iter().try_for_each(|extent| check_resource(extent, &actions, bundle))?;
        order.principals.iter().try_for_each(|principal| check_principal(principal))?;
        let threshold = usize::from(order.threshold);
        if threshold > MAX_ACT_SIGNATURES {
            return Err(format!(
                "`threshold` is at most {MAX_ACT_SIGNATURES}: a warrant holds no more signatures"
            ));
        }
        if threshold >= order.operators.len() {
            return Err(
                "`threshold` must leave an operator who did not sign, to review: list one more key than must sign".to_owned()
            );
        }
        Quorum::of_lines(order.operators.iter().map(String::as_str), threshold)
            .map_err(|error| format!("`operators`: {error}"))?;
        let draft = Self { order, actions, not_after, now };
        draft.with(|charter| charter.check_fields().map_err(|error| named("charter", error)))?;
        Ok(draft)
    }

    /// Lends it as an entry without signatures.
    fn with<R>(&self, lent: impl FnOnce(Charter<'_>) -> R) -> R {
        let Self { order, actions, not_after, now } = self;
        let actions: Vec<Uid<'_>> = actions.iter().map(uid).collect();
        let resources: Vec<ResourceScope<'_>> = order.resources.iter().map(scope).collect();
        let principals: Vec<&str> = order.principals.iter().map(String::as_str).collect();
        let operators: Vec<&str> = order.operators.iter().map(String::as_str).collect();
        lent(Charter {
            salt: Salt::default(),
            time: *now,
            epoch: Epoch(0),
            name: &order.name,
            actions: List::from(actions.as_slice()),
            resources: List::from(resources.as_slice()),
            principals: List::from(principals.as_slice()),
            closed_s: order.closed_s,
            window_max_s: order.window_s,
            uses_max: order.uses,
            operators: List::from(operators.as_slice()),
            threshold: order.threshold,
            not_after: *not_after,
            by: std::iter::empty().collect(),
            statement: "",
            signatures: std::iter::empty().collect(),
        })
    }

    /// What operators are to sign.
    pub(super) fn statement(&self, origin: &str) -> String {
        let mut statement = String::new();
        // Writing to a string cannot fail.
        let _ = self.with(|charter| charter.write_statement(origin, &mut statement));
        statement
    }

    /// The act, where enough of these operators signed.
    pub(super) fn signed(
        &self,
        origin: &str,
        quorum: &Quorum,
        signatures: &[SignatureFile],
    ) -> Result<(Act, Vec<String>), String> {
        let statement = self.statement(origin);
        let signed = Signed::by(quorum, CHARTER_NAMESPACE, &statement, signatures)
            .map_err(|error| error.to_string())?;
        let leaf = self.with(|charter| {
            let charter = Charter {
                by: signed.names.iter().map(String::as_str).collect(),
                statement: &statement,
                signatures: signed.texts.iter().map(String::as_str).collect(),
                ..charter
            };
            charter.check(origin).map_err(|error| named("charter", error))?;
            encoded(&Entry::Charter(charter))
        })?;
        Ok((Act(Kind::Charter(leaf)), signed.names))
    }
}

/// What is wrong with an act, by the words of those who ordered it: a charter's file and the flags of a command have no word with a
/// bound in it, as fields of the format have.
pub(super) fn named(act: &str, error: ActError) -> String {
    let word = |field: &'static str| match field {
        "window_max_s" => "window",
        "uses_max" => "uses",
        "action" => "actions",
        "resource" => "resources",
        "principal" => "principals",
        "operator" => "operators",
        field => field,
    };
    let error = match error {
        ActError::Text(field) => ActError::Text(word(field)),
        ActError::Bounds(field) => ActError::Bounds(word(field)),
        ActError::Statement => ActError::Statement,
    };
    format!("{act}: {error}")
}

fn uid(entity: &Entity) -> Uid<'_> {
    Uid { type_name: &entity.type_name, id: &entity.id }
}

fn scope(extent: &Extent) -> ResourceScope<'_> {
    match extent {
        Extent::OfType(name) => ResourceScope::OfType(name),
        Extent::One(one) => ResourceScope::One(uid(one)),
    }
}

fn within(what: &str, count: usize, most: usize) -> Result<(), String> {
    if count <= most {
        Ok(())
    } else {
        Err(format!("a charter has at most {most} {what}, and these are {count}: make two charters"))
    }
}

/// The actions that are named, and those of the categories, each once; all are marked with `@break_glass`.
fn actions(order: &CharterOrder, bundle: &Bundle) -> Result<Vec<Entity>, String> {
    let catalog = bundle.catalog().actions();
    let mut found: Vec<Entity> = Vec::new();
    let mut add = |entity: Entity| {
        if !found.contains(&entity) {
            found.push(entity);
        }
    };
    for named in &order.actions {
        check_action(named, catalog)?;
        add(named.clone());
    }
    for category in &order.categories {
        marked_in(category, catalog)?.into_iter().for_each(&mut add);
    }
    Ok(found)
}

fn check_action(named: &Entity, catalog: &[Action]) -> Result<(), String> {
    let shown = visible(&uid(named).to_string());
    let known = catalog.iter().find(|known| known.type_name == named.type_name && known.id == named.id);
    match known {
        None => Err(format!("the catalog knows no action {shown}")),
        Some(known) if known.is_category() => {
            Err(format!("{shown} is a category: name it under `categories`"))
        }
        Some(known) if !known.terms.break_glass => {
            Err(format!("the catalog does not mark {shown} with @break_glass: no charter may cover it"))
        }
        Some(_) => Ok(()),
    }
}

/// A type to which none of its actions applies would cover nothing, on the day on which it is needed.
fn check_resource(extent: &Extent, actions: &[Entity], bundle: &Bundle) -> Result<(), String> {
    let type_name = match extent {
        Extent::OfType(name) => name,
        Extent::One(one) => &one.type_name,
    };
    let known = bundle.catalog().actions().iter().filter(|known| {
        actions.iter().any(|action| action.type_name == known.type_name && action.id == known.id)
    });
    let types: BTreeSet<&str> = known.flat_map(|action| &action.resources).map(String::as_str).collect();
    if types.contains(type_name.as_str()) {
        return Ok(());
    }
    let types: Vec<&str> = types.into_iter().collect();
    Err(format!(
        "`resources`: no action of this charter applies to `{}`, they apply to {}",
        visible(type_name),
        types.join(", ")
    ))
}

fn check_principal(principal: &str) -> Result<(), String> {
    SpiffeId::parse(principal)
        .map(drop)
        .map_err(|error| format!("`principals`: `{}` names no agent: {error}", visible(principal)))
}

/// The actions of a category, and of those within it, that are marked; at least one.
fn marked_in(category: &str, catalog: &[Action]) -> Result<Vec<Entity>, String> {
    let is_in =
        |action: &Action, groups: &[&str]| action.categories.iter().any(|of| groups.contains(&of.as_str()));
    let mut groups = vec![category];
    loop {
        let inner = catalog.iter().filter(|known| known.is_category() && is_in(known, &groups));
        let new: Vec<&str> = inner.map(|known| known.id.as_str()).filter(|id| !groups.contains(id)).collect();
        if new.is_empty() {
            break;
        }
        groups.extend(new);
    }
    let members = catalog.iter().filter(|known| !known.is_category() && is_in(known, &groups));
    let marked = members.filter(|known| known.terms.break_glass);
    let marked: Vec<Entity> =
        marked.map(|known| Entity { type_name: known.type_name.clone(), id: known.id.clone() }).collect();
    if marked.is_empty() {
        let category = visible(category);
        return Err(format!(
            "the catalog has no category `{category}` with an action that is marked with @break_glass: no charter may cover it"
        ));
    }
    Ok(marked)
}
