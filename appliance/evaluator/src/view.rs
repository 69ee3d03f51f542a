//! The view: an image and a snapshot that were verified, ready to read.
//!
//! Holding one tells that every number in both leads somewhere. It does not tell that they belong together with what
//! the caller thinks is loaded; the bundle's digest does.

use crate::catalog::{ActionIndex, Terms};
use crate::contents::Uid;
use crate::image::Image;
use crate::snapshot::Snapshot;

/// Image and snapshot, borrowed. Made by [`crate::Verified::view`].
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    image: Image<'a>,
    snapshot: Snapshot<'a>,
}

impl<'a> View<'a> {
    /// Only for what was verified.
    pub(crate) const fn new(image: Image<'a>, snapshot: Snapshot<'a>) -> Self {
        Self { image, snapshot }
    }

    /// The image.
    pub const fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// The snapshot.
    pub const fn snapshot(&self) -> &Snapshot<'a> {
        &self.snapshot
    }

    /// The place of an action in the catalog.
    pub fn action(&self, uid: Uid<'_>) -> Option<ActionIndex> {
        let type_number = self.image.types.find(self.image.text, uid.type_name)?;
        let number = self.snapshot.find(type_number, uid.id)?;
        self.image.actions.get(number as usize).map(|_| ActionIndex(number))
    }

    /// The terms of an action.
    pub fn terms(&self, action: ActionIndex) -> Option<Terms> {
        self.image.actions.get(action.place()).map(|row| row.terms)
    }

    /// Policies, the risk model included.
    pub const fn policy_count(&self) -> usize {
        self.image.policies.len()
    }
}
