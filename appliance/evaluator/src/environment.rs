//! Request environments: an action with a type of principal and a type of resource, and what is left of policies there.
//!
//! The rule it keeps: a program that reads slots runs only in environments whose principal, resource and context have
//! them, and a policy has a program wherever it has a bit. It does not tell that a specialised program means what the
//! policy means; the compiler's tests do, and whoever signs a bundle.

use crate::catalog::{ActionRow, Shape};
use crate::image::{Image, ProgramRow};
use crate::limits::MAX_CONTEXT_SLOTS;
use crate::names::EMPTY_SLOT;
use crate::program::{self, Slots};
use crate::scope::word_of;
use crate::value::Range;
use crate::verification::{Flaw, ensure, flaw};

/// The table that a [`Flaw`] names where an environment is not as it must be.
const ENVIRONMENTS: &str = "environments";

/// Verifies the programs of all environments, and that every environment of the catalog is there.
pub(crate) fn verify(image: &Image<'_>) -> Result<(), Flaw> {
    for (place, row) in image.programs.iter().enumerate() {
        let slots = Slots {
            principal: row.principal_slots,
            resource: row.resource_slots,
            context: row.context_slots,
        };
        program::verify(image, row.code, slots, flaw("specialised programs", place))?;
    }
    let environments = image.environments();
    let has_rows = environments.checked_mul(image.words()) == Some(image.environment_scopes.len())
        && environments.checked_mul(image.policies.len()) == Some(image.environment_programs.len());
    ensure(has_rows, ENVIRONMENTS, environments)?;
    // Without policies there are no rows, and nothing is looked up in them.
    if image.policies.is_empty() {
        return Ok(());
    }
    let mut next = 0_usize;
    for (place, action) in image.actions.iter().enumerate() {
        ensure(action.environments as usize == next, ENVIRONMENTS, place)?;
        next = verify_action(image, action, next)?;
    }
    ensure(next == environments, ENVIRONMENTS, next)
}

/// Verifies the environments of an action, and gives the number of the next one's first.
fn verify_action(image: &Image<'_>, action: &ActionRow, first: usize) -> Result<usize, Flaw> {
    let types = |range: Range| range.of(image.applies_to).unwrap_or(&[]);
    let context = match image.shapes.get(action.context as usize) {
        Some(Shape::Record(attributes)) => (attributes.length as usize).min(MAX_CONTEXT_SLOTS),
        Some(_) | None => 0,
    };
    let mut environment = first;
    for principal in types(action.principals) {
        for resource in types(action.resources) {
            let has = Slots {
                principal: attributes(image, *principal),
                resource: attributes(image, *resource),
                context: u32::try_from(context).unwrap_or(0),
            };
            verify_environment(image, environment, has)?;
            environment = environment.saturating_add(1);
        }
    }
    Ok(environment)
}

/// How many attributes a type declares.
fn attributes(image: &Image<'_>, type_number: u32) -> u32 {
    image.type_rows.get(type_number as usize).map_or(0, |row| row.attributes.length)
}

fn verify_environment(image: &Image<'_>, environment: usize, has: Slots) -> Result<(), Flaw> {
    let policies = image.policies.len();
    let beyond = match u32::try_from(policies % 64) {
        Ok(used @ 1..) => u64::MAX.checked_shl(used).unwrap_or(0),
        Ok(0) | Err(_) => 0,
    };
    let last = word_of(image.environment_scopes, image.words(), environment, image.words().saturating_sub(1));
    ensure(last & beyond == 0, ENVIRONMENTS, environment)?;
    for policy in 0..policies {
        let word = word_of(image.environment_scopes, image.words(), environment, policy / 64);
        let place = environment.saturating_mul(policies).saturating_add(policy);
        let number = image.environment_programs.get(place).copied().unwrap_or(EMPTY_SLOT);
        let program = image.programs.get(number as usize);
        let holds = match word & 1 << (policy % 64) {
            0 => number == EMPTY_SLOT,
            _ => program.is_some_and(|program| program.fits(has)),
        };
        ensure(holds, ENVIRONMENTS, environment)?;
    }
    Ok(())
}

impl ProgramRow {
    /// Whether all slots that the program may read are there.
    fn fits(&self, has: Slots) -> bool {
        self.principal_slots <= has.principal
            && self.resource_slots <= has.resource
            && self.context_slots <= has.context
    }
}
