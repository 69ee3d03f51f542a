//! The catalog as people read it: actions with their categories and terms.
//!
//! The rule it keeps: the order is the image's, so that an [`ActionIndex`](assent_evaluator::ActionIndex) finds its
//! action here. What evaluation needs of it is in the image.

use crate::schema::ResolvedSchema;
use assent_evaluator::{ActionIndex, Terms};

/// An action.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its type: `Retail::Action`.
    pub type_name: String,
    /// Its id: `cancel_pending_order`.
    pub id: String,
    /// Ids of the groups that it is in directly: its categories.
    pub categories: Vec<String>,
    /// Types of principals; empty for a category.
    pub principals: Vec<String>,
    /// Types of resources.
    pub resources: Vec<String>,
    /// On which terms it is granted.
    pub terms: Terms,
}

impl Action {
    /// As Cedar writes it: `Retail::Action::"cancel_pending_order"`.
    pub fn uid(&self) -> String {
        format!("{}::\"{}\"", self.type_name, self.id.escape_debug())
    }

    /// Whether it groups other actions only, so that no intent can name it.
    pub const fn is_category(&self) -> bool {
        self.principals.is_empty()
    }
}

/// The actions of a bundle.
#[derive(Clone, Debug)]
pub struct Catalog {
    actions: Vec<Action>,
}

impl Catalog {
    pub(crate) fn of(schema: &ResolvedSchema) -> Self {
        let actions = schema.actions.iter().map(|action| Action {
            type_name: action.uid.type_name.clone(),
            id: action.uid.id.clone(),
            categories: action.groups.iter().map(|group| group.id.clone()).collect(),
            principals: action.principals.clone(),
            resources: action.resources.clone(),
            terms: action.terms,
        });
        Self { actions: actions.collect() }
    }

    /// All actions, categories included.
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// The action of an index.
    pub fn action(&self, index: ActionIndex) -> Option<&Action> {
        self.actions.get(index.place())
    }
}
