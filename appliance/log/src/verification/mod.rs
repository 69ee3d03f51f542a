//! Verification of a whole log, offline, with nothing but the trusted keys: what an auditor does who trusts nobody.
//!
//! Every leaf is hashed and parsed, every checkpoint recomputed from the leaves and its signature verified under the key that
//! was in force. Since all roots come from one pass over one sequence of leaves, the checkpoints are consistent with one
//! another. Each gap is held against the outage entry that must account for it, and what lies beside the leaves against them.
//! Rounds are examined in parallel (`examined`) and taken in order (`sequence`); memory does not grow with the log. It does not
//! evaluate policies again: whoever can, does so beside ([`Verification::run_with`]).

mod absent;
mod authority;
mod batches;
mod beside;
mod boundary;
mod break_glass;
mod elsewhere;
mod examined;
mod gap;
mod in_order;
mod report;
mod sequence;
mod times;

use assent_proto::number::Timestamp;
use assent_proto::verify::TrustedKey;

pub use report::{Approved, Beside, Finding, Gap, Report, ReviewReport, Silence, UseReport, WarrantReport};

use elsewhere::Elsewhere;
use examined::Examiner;
use sequence::Sequence;

use super::reader::Reader;
use super::store::{StoreError, StoredRound};

/// A verification that is about to begin.
#[derive(Debug)]
pub struct Verification<'t> {
    origin: &'t str,
    trusted: &'t [TrustedKey<'t>],
    store: Option<&'t Reader>,
    now: Option<Timestamp>,
    threads: usize,
    elsewhere: Vec<Elsewhere>,
}

impl<'t> Verification<'t> {
    /// Of the log of this origin, from its first leaf, on the caller's thread.
    #[must_use]
    pub const fn new(origin: &'t str, trusted: &'t [TrustedKey<'t>]) -> Self {
        Self { origin, trusted, store: None, now: None, threads: 1, elsewhere: Vec::new() }
    }

    /// Holds the requests and answers beside the leaves against them, too.
    #[must_use]
    pub const fn beside(mut self, store: &'t Reader) -> Self {
        self.store = Some(store);
        self
    }

    /// Finds times that lie ahead of this one.
    #[must_use]
    pub const fn at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// On so many threads beside the caller's, which reads and takes.
    #[must_use]
    pub const fn on(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The log must lead to this checkpoint, a signed note that `keeper` kept.
    ///
    /// # Errors
    /// Why the note is none of a checkpoint of this log.
    pub fn against(mut self, keeper: String, note: String) -> Result<Self, String> {
        self.elsewhere.push(Elsewhere::read(keeper, note, self.origin)?);
        Ok(self)
    }

    /// Verifies all rounds; `progress` hears how many leaves are done.
    ///
    /// # Errors
    /// When a round, or what lies beside it, cannot be read at all.
    pub fn run(
        self,
        rounds: impl Iterator<Item = Result<StoredRound, StoreError>>,
        progress: impl FnMut(u64),
    ) -> Result<Report, StoreError> {
        self.run_with(rounds, |_| Ok(()), |(), _| (), progress)
    }

    /// Verifies all rounds, and has each looked at once more on the way: `look` on any thread, `take` in order, with the allows of
    /// the round that rest on approvals.
    ///
    /// # Errors
    /// As [`Verification::run`], and what `look` says.
    pub fn run_with<T: Send, E: From<StoreError> + Send>(
        self,
        rounds: impl Iterator<Item = Result<StoredRound, StoreError>>,
        look: impl Fn(&StoredRound) -> Result<T, E> + Sync,
        mut take: impl FnMut(T, &[Approved]),
        mut progress: impl FnMut(u64),
    ) -> Result<Report, E> {
        let ours = self.trusted.iter().map(|trusted| trusted.key).filter(|key| key.name() == self.origin);
        let examiner = Examiner::new(self.origin, ours.collect(), self.store);
        let mut sequence = Sequence::new(self.origin, self.trusted, self.now, self.elsewhere);
        let mut failed = None;
        let examine = |round: StoredRound| Ok::<_, E>((examiner.examine(&round)?, look(&round)?));
        in_order::in_order(self.threads, rounds, examine, |examined| match examined {
            Ok((examined, seen)) => {
                let done = sequence.take(examined);
                take(seen, sequence.approved());
                progress(done);
            }
            Err(error) => drop(failed.get_or_insert(error)),
        })?;
        failed.map_or_else(|| Ok(sequence.end(self.store.is_some())), Err)
    }
}
