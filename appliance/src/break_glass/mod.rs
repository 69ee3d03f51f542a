//! Break-glass: leave for a few things, when operators have signed for it and nothing else can be signed.
//!
//! In good times operators order a charter; in bad ones enough of its own operators sign a warrant, for a key that is made then. While it
//! lives, the sealer allows under it what it would otherwise deny as TOKEN_UNAVAILABLE: what the policies allow, no more.
//!
//! The one rule: a use is used up in the commit that writes its allow. What is kept of charters, warrants and uses changes in the
//! commits that write their entries (`line`), memory follows (`book`), and the one thread that makes those commits asks whether an act is due (`check`).
//! So a kill at any point loses no use and gives none twice. (`proto/FORMAT.md` section 19; `appliance/DESIGN.md`, "Break-glass".)

mod act;
mod book;
mod charter;
mod check;
pub mod desk;
mod key;
mod lent;
mod line;
mod order;
mod proof;
mod review;
mod signed;
mod status;
#[cfg(test)]
mod tests;
mod used;
mod warrant;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, Timestamp};
use tokio::sync::Notify;

pub use self::act::Act;
pub(crate) use self::check::Moment;
pub(crate) use self::lent::{LentWarrant, UnderWarrant};
pub(crate) use self::line::Change;
pub use self::line::UseLine;
pub use self::order::{
    AllowedView, BreakGlassAnswer, BreakGlassOrder, CharterOrder, CharterView, Entity, Extent, FoundView,
    NotAfter, ReviewView, UseView, WarrantProofs, WarrantView,
};
pub(crate) use self::status::due;
pub use self::status::{BreakGlassStatus, Standing};

use self::book::Book;
use self::key::{Keys, Prepared};
use self::line::Line;
use crate::log::reader::Reader;
use crate::log::store::{Room, StoreError};

/// The folder of the warrants' keys in the data folder.
pub const FOLDER: &str = "break-glass";

/// Charters, warrants and their uses, as they are durable, and the keys of what lives.
#[derive(Debug)]
pub struct BreakGlass {
    origin: String,
    state: Mutex<State>,
    /// Something has changed that people are to know.
    news: Notify,
}

#[derive(Debug)]
struct State {
    book: Book,
    keys: Keys,
}

impl BreakGlass {
    /// What the log says, with the keys in that folder.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(reader: &Reader, origin: String, folder: PathBuf) -> Result<Arc<Self>, StoreError> {
        let (mut book, mut unreadable) = (Book::default(), false);
        reader.rows(Room::BreakGlass, |key, row| match Line::parse(key, row) {
            Some(line) => book.take(line),
            None => unreadable = true,
        })?;
        if unreadable {
            // How many uses are left cannot be known, so there would be none.
            return Err(StoreError::Unreadable("charter, warrant or use"));
        }
        let state = Mutex::new(State { book, keys: Keys::open(folder) });
        Ok(Arc::new(Self { origin, state, news: Notify::new() }))
    }

    /// What is left of the warrant that lives, for one round.
    pub(crate) fn lend(&self, now: Timestamp) -> Option<LentWarrant> {
        let state = self.lock();
        let line = state.book.active(now)?;
        let warrant = line.warrant()?;
        // Without its key, which somebody removed, it gives leave for nothing.
        let prepared = Arc::clone(state.keys.get(&warrant.key)?);
        let used = state.book.used(line.leaf);
        Some(LentWarrant {
            warrant: line.leaf,
            prepared,
            charter: state.book.charter(line.charter)?.bytes.clone(),
            not_before: warrant.not_before.max(warrant.time),
            not_after: warrant.not_after,
            uses: warrant.uses,
            used,
            is_used: false,
        })
    }

    /// What an act changes, whose entry is this leaf at this index.
    pub(crate) fn changes(&self, act: &Act, index: LeafIndex, leaf: &[u8], now: Timestamp) -> Vec<Change> {
        self.lock().book.changes(act, index, leaf, now)
    }

    /// Takes over what a commit changed. To be called when it is durable, and before anybody is answered.
    pub(crate) fn apply(&self, changes: Vec<Change>, now: Timestamp) {
        if changes.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.book.apply(changes);
        state.tidy(now);
        drop(state);
        self.news.notify_one();
    }

    /// Waits until something has changed.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Removes the keys of what is over.
    pub(crate) fn tidy(&self, now: Timestamp) {
        self.lock().tidy(now);
    }

    /// Whether operators may ask for a warrant some day.
    pub(crate) fn has_charters(&self, now: Timestamp) -> bool {
        self.lock().book.charters().any(|line| !line.is_over(now))
    }

    /// The end of the warrant that lives.
    pub(crate) fn ending(&self, by: Vec<String>, reason: &str, now: Timestamp) -> Option<Act> {
        let warrant = self.lock().book.active(now)?.leaf;
        Some(Act::end(&self.origin, warrant, by, reason))
    }

    /// The log's origin.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The charter of this name that is in force, with the hash of its leaf.
    fn standing_charter(&self, name: &str, now: Timestamp) -> Option<(LeafIndex, Hash)> {
        let state = self.lock();
        let line = state.book.named(name, now).filter(|line| !line.is_over(now))?;
        Some((line.leaf, line.hash()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tidy(&mut self, now: Timestamp) {
        let Self { book, keys } = self;
        let is_over =
            |prepared: &Prepared| book.of_key(prepared.key.public()).is_some_and(|line| line.is_over(now));
        keys.keep(|prepared| now <= prepared.wanted.not_after && !is_over(prepared));
    }
}
