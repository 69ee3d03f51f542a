//! The image: a bundle's policies and catalog, compiled to tables.
//!
//! The rule it keeps: it borrows and owns nothing, and it has no authority by itself: only [`crate::Verified`] gives a
//! view that decides. Entity numbers in constants are places in `literals`, and every snapshot begins with them.

use crate::catalog::{ActionRow, Attribute, FactNames, Shape, TypeRow};
use crate::instruction::Instruction;
use crate::names::Names;
use crate::scope::ScopeIndex;
use crate::value::{Address, Field, Range, Value};

/// The tables of an image.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// All text of the image: names, strings of constants, parts of patterns.
    pub text: &'a str,
    /// Elements of constant sets.
    pub elements: &'a [Value],
    /// Fields of constant records.
    pub fields: &'a [Field],
    /// Constant addresses.
    pub addresses: &'a [Address],
    /// Operands of [`Instruction::Constant`].
    pub constants: &'a [Value],
    /// Programs, one after the other.
    pub code: &'a [Instruction],
    /// Patterns of `like`: each a range of `parts`, the text between its wildcards.
    pub patterns: &'a [Range],
    /// Parts of patterns, as ranges of text.
    pub parts: &'a [Range],
    /// Paths of `has` and names of gathered records: each a range of `path_names`.
    pub paths: &'a [Range],
    /// Attribute names of paths.
    pub path_names: &'a [u32],
    /// The policies; the risk model's come last.
    pub policies: &'a [PolicyRow],
    /// Policies that forbid, as bits.
    pub forbids: &'a [u64],
    /// Forbids that approvals can lift, as bits.
    pub approvals: &'a [u64],
    /// Policies of the risk model, as bits.
    pub scores: &'a [u64],
    /// Whether there are any.
    pub has_scores: bool,
    /// Attribute names, of catalog and policies.
    pub names: Names<'a>,
    /// Entity type names.
    pub types: Names<'a>,
    /// What is known of each type.
    pub type_rows: &'a [TypeRow],
    /// Shapes of contexts and their parts.
    pub shapes: &'a [Shape],
    /// Attributes of record shapes, sorted by name within each.
    pub attributes: &'a [Attribute],
    /// The catalog's actions: the first entities of every snapshot.
    pub actions: &'a [ActionRow],
    /// Types that actions apply to.
    pub applies_to: &'a [u32],
    /// Entities that image and catalog name: number in every snapshot.
    pub literals: &'a [Literal],
    /// Literals that scopes name.
    pub anchors: &'a [u32],
    /// Which policies' action scopes accept an action: a row of words for each, and one for actions that are unknown.
    pub action_scopes: &'a [u64],
    /// Which policies can be satisfied or fail in a request environment, as far as its action and types tell: a row of
    /// words for each. Which environment is which, [`ActionRow::environments`] tells.
    pub environment_scopes: &'a [u64],
    /// The program of each policy in each environment: a row of places in `programs` for each environment. Where a policy
    /// has no bit in the environment it has no program there, and the place is [`EMPTY_SLOT`](crate::EMPTY_SLOT).
    pub environment_programs: &'a [u32],
    /// Programs that were specialised for environments.
    pub programs: &'a [ProgramRow],
    /// Which policies' principal scopes accept a principal.
    pub principals: ScopeIndex<'a>,
    /// Which policies' resource scopes accept a resource.
    pub resources: ScopeIndex<'a>,
    /// Names of the record that the appliance asserts, where the catalog declares it.
    pub facts: Option<FactNames>,
    /// Fuel that one evaluation may use.
    pub budget: u64,
}

impl<'a> Image<'a> {
    /// Words of a row of bits over the policies.
    #[inline]
    pub const fn words(&self) -> usize {
        self.policies.len().div_ceil(64)
    }

    /// The program of a policy: in an environment, or for requests that fit none.
    #[inline(always)]
    pub(crate) fn program(&self, environment: Option<usize>, policy: usize) -> Option<Range> {
        let Some(environment) = environment else { return self.policies.get(policy).map(|row| row.code) };
        let place = environment.wrapping_mul(self.policies.len()).wrapping_add(policy);
        let program = *self.environment_programs.get(place)?;
        self.programs.get(program as usize).map(|row| row.code)
    }

    /// How many request environments there are.
    pub const fn environments(&self) -> usize {
        match self.environment_scopes.len().checked_div(self.words()) {
            Some(environments) => environments,
            None => 0,
        }
    }
}

/// What a policy does when it is satisfied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Permits.
    Permit,
    /// Forbids.
    Forbid,
    /// Adds to the intent's score.
    Score(i64),
}

/// One policy.
#[derive(Clone, Copy, Debug)]
pub struct PolicyRow {
    /// What it does.
    pub effect: Effect,
    /// Its program for requests that fit no environment, and for explanations; empty where its scope is all it says.
    pub code: Range,
}

/// A program that was specialised: it reads attributes by their slots.
#[derive(Clone, Copy, Debug)]
pub struct ProgramRow {
    /// Its instructions; none where the scope is all that is left.
    pub code: Range,
    /// How many slots a principal must have.
    pub principal_slots: u32,
    /// How many slots a resource must have.
    pub resource_slots: u32,
    /// How many slots a context must have.
    pub context_slots: u32,
}

/// An entity that the image names.
#[derive(Clone, Copy, Debug)]
pub struct Literal {
    /// Number of its type.
    pub type_number: u32,
    /// Its id, in the image's text.
    pub id: Range,
}
