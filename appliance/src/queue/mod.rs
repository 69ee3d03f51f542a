//! The queue: intents that wait until they can be decided.
//!
//! The one rule: what was answered with a ticket is not lost and not decided twice. An intent begins to wait in the commit
//! that records its hold, and ends in the commit that records its decision; what is kept in memory only follows those. It
//! re-enters no further right than evaluation: what waited is decided anew, in full, under what holds then.
//!
//! Memory is bounded: intents lie on disk while they wait, and of each ticket only a line is kept here. What has no room is
//! refused before anything is promised. (`appliance/DESIGN.md`, "The queue"; `proto/FORMAT.md`, section 5.)

pub(crate) mod approval;
pub mod approving;
pub mod desk;
mod draining;
mod index;
mod line;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assent_proto::number::Timestamp;
use assent_proto::refusal::Refusal;
use assent_proto::wire::Ticket;
use tokio::sync::{Notify, oneshot};

pub use self::draining::Drainer;
pub use self::index::Counts;
pub use self::line::{Approver, Line, State};

use self::index::{Crowded, Index};
use crate::log::reader::Reader;
use crate::log::store::{BatchKey, Room, StoreError};

/// How much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Intents of all agents.
    pub intents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Intents of one agent.
    pub principal_intents: u64,
    /// Their bytes.
    pub principal_bytes: u64,
}

/// What waits.
#[derive(Debug)]
pub struct Queue {
    limits: QueueLimits,
    index: Mutex<Index>,
    /// Something may be there to be decided.
    news: Notify,
}

/// Room in the queue for intents whose hold is on its way into the log. Dropped, it is given back.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    queue: Arc<Queue>,
    principal: String,
    taken: Counts,
}

/// A ticket that was taken out: nobody else decides it, ends its wait or answers it. Dropped, it is put back and waits as before,
/// unless its end is durable by then.
#[derive(Debug)]
#[must_use]
pub struct Taken {
    queue: Arc<Queue>,
    line: Line,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Queue {
    /// What the log says that waits. A ticket whose intents are not there, or that was decided, is told in a trace and does not:
    /// whoever asks finds what the log has of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(reader: &Reader, limits: QueueLimits) -> Result<Arc<Self>, StoreError> {
        let (mut lines, mut unreadable) = (Vec::new(), false);
        reader.rows(Room::Waits, |_, row| match Line::parse(row) {
            Some(line) => lines.push(line),
            None => unreadable = true,
        })?;
        if unreadable {
            // Whose it is cannot be known, so nobody could be answered.
            return Err(StoreError::Unreadable("waiting ticket"));
        }
        let mut with_intents = HashSet::new();
        reader.rows(Room::WaitingIntents, |key, _| with_intents.extend([key.to_owned()]))?;
        let mut index = Index::default();
        for line in lines {
            let (key, ticket, principal) = (line.key(), line.ticket(), &line.principal);
            if !with_intents.contains(key.as_bytes().as_slice()) {
                // It could be neither decided nor ended, and would be tried for ever.
                tracing::error!(%ticket, principal, "a ticket without its intents is left out of the queue");
            } else if reader.answer(&key)?.is_some() {
                // When the answer is no longer kept it would be decided a second time.
                tracing::error!(%ticket, principal, "a ticket that was decided is left out of the queue");
            } else {
                index.insert(line);
            }
        }
        Ok(Self::of(limits, index))
    }

    fn of(limits: QueueLimits, index: Index) -> Arc<Self> {
        Arc::new(Self { limits, index: Mutex::new(index), news: Notify::new() })
    }

    /// One without a log, for the tests of other rooms: what waits is in memory only, and may be as much as it likes.
    #[cfg(test)]
    pub(crate) fn without_log() -> Arc<Self> {
        let most = u64::MAX;
        let limits =
            QueueLimits { intents: most, bytes: most, principal_intents: most, principal_bytes: most };
        Self::of(limits, Index::default())
    }

    /// Takes room for intents of this principal.
    ///
    /// # Errors
    /// [`Full`]; then nothing was taken.
    pub fn reserve(self: &Arc<Self>, principal: &str, intents: u64, bytes: u64) -> Result<Reservation, Full> {
        let wanted = Counts { intents, bytes };
        let mut index = self.lock();
        let (all, own) = (index.counts() + wanted, index.counts_of(principal) + wanted);
        let fits = all.intents <= self.limits.intents
            && all.bytes <= self.limits.bytes
            && own.intents <= self.limits.principal_intents
            && own.bytes <= self.limits.principal_bytes;
        if !fits {
            return Err(Full);
        }
        index.take(principal, wanted);
        Ok(Reservation { queue: Arc::clone(self), principal: principal.to_owned(), taken: wanted })
    }

    /// The holds of these tickets are durable: they wait from here on, in the room that was taken for them.
    pub fn begin(&self, reservation: Reservation, lines: Vec<Line>) {
        drop(reservation);
        let mut index = self.lock();
        lines.into_iter().for_each(|line| index.insert(line));
        drop(index);
        self.news.notify_one();
    }

    /// What is known of a ticket that waits, or is out, has changed.
    pub fn replace(&self, line: Line) {
        self.lock().replace(line);
        self.news.notify_one();
    }

    /// The decision on a ticket is durable: whoever asks finds it in the log.
    pub fn end(&self, key: &BatchKey) {
        // Dropping the line wakes whoever waits for it.
        drop(self.lock().remove(key));
    }

    /// Waits until nothing waits under a ticket: it was decided, or never waited. Some where it still does when the patience is
    /// over, or when too many ask about it at once: what its agent hears meanwhile.
    pub async fn ended(&self, key: &BatchKey, patience: Duration) -> Option<Refusal> {
        let patience = tokio::time::sleep(patience);
        tokio::pin!(patience);
        loop {
            let (refusal, watch) = self.watch(key)?;
            tokio::select! {
                // An error is the sign of a change: whoever would tell is gone.
                told = watch => if told == Ok(Crowded) { return Some(refusal) },
                () = &mut patience => return Some(refusal),
            }
        }
    }

    fn watch(&self, key: &BatchKey) -> Option<(Refusal, oneshot::Receiver<Crowded>)> {
        let mut index = self.lock();
        index.watch(key).map(|(line, watch)| (line.refusal(), watch))
    }

    /// Whether something waits under this id, or is being decided.
    #[must_use]
    pub fn has(&self, key: &BatchKey) -> bool {
        self.lock().line(key).is_some()
    }

    /// A ticket that waits.
    #[must_use]
    pub fn line(&self, key: &BatchKey) -> Option<Line> {
        self.lock().line(key).cloned()
    }

    /// The tickets that wait, in the order in which they are decided, at most so many; and how many there are.
    #[must_use]
    pub fn lines(&self, most: usize) -> (Vec<Line>, usize) {
        let index = self.lock();
        (index.lines().take(most).cloned().collect(), index.len())
    }

    /// The tickets that await approval, at most so many; and how many there are.
    #[must_use]
    pub fn awaiting(&self, most: usize) -> (Vec<Line>, usize) {
        let index = self.lock();
        let awaiting = index.lines_that(Line::awaits_approval);
        let all = awaiting.len();
        (awaiting.take(most).cloned().collect(), all)
    }

    /// The ticket of this name, whosever it is.
    #[must_use]
    pub fn find(&self, ticket: Ticket) -> Option<Line> {
        self.lock().find(ticket).cloned()
    }

    /// Takes a ticket out, to decide it, to end its wait or to answer it. None where it does not wait, or is out already.
    pub fn take(self: &Arc<Self>, key: &BatchKey) -> Option<Taken> {
        let line = self.lock().out(key)?;
        Some(self.taken(line))
    }

    /// Takes out the ticket whose turn it is.
    fn next(self: &Arc<Self>) -> Option<Taken> {
        let line = self.lock().next()?;
        Some(self.taken(line))
    }

    /// Takes out a ticket whose wait is over, and what its agent hears.
    fn next_ended(self: &Arc<Self>, now: Timestamp) -> Option<(Taken, Refusal)> {
        let (line, refusal) = self.lock().next_ended(now)?;
        Some((self.taken(line), refusal))
    }

    fn taken(self: &Arc<Self>, line: Line) -> Taken {
        Taken { queue: Arc::clone(self), line }
    }

    /// Waits until there may be something to decide.
    async fn news(&self) {
        self.news.notified().await;
    }

    /// How much waits, with the room that is taken already.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }

    /// Intents that wait, by priority from the lowest, and those that await approval.
    #[must_use]
    pub fn depths(&self) -> ([u64; 4], u64) {
        self.lock().depths()
    }

    /// When the oldest of those that can be decided began to wait, and of those that await approval.
    #[must_use]
    pub fn oldest(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        self.lock().oldest()
    }

    /// How much may wait.
    #[must_use]
    pub const fn limits(&self) -> QueueLimits {
        self.limits
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// How it waited when it was taken.
    #[must_use]
    pub const fn line(&self) -> &Line {
        &self.line
    }

    /// It waits on, as what is known of it says by now.
    pub(super) fn put_back(self) {
        let queue = Arc::clone(&self.queue);
        drop(self);
        queue.news.notify_one();
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.queue.lock().put_back(&self.line.key());
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.queue.lock().give_back(&self.principal, self.taken);
    }
}

/// The intents that wait under a ticket, as the request that they are decided by.
///
/// # Errors
/// [`StoreError`]; also where they are not there.
pub fn intents(reader: &Reader, line: &Line) -> Result<Vec<u8>, StoreError> {
    let frame = reader.row(Room::WaitingIntents, line.key().as_bytes())?;
    frame.ok_or(StoreError::Unreadable("waiting intents"))
}
