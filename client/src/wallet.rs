//! The wallet: tokens that wait to be used, found by what they are for.
//!
//! It hands out the token of that act and audience whose window ends first, and none whose window is not open. It does
//! not count uses: that is the executor's, who believes nobody. What ends soon it can ask for again ahead of time.
//!
//! A wallet that is told how its appliance's token boundary stands drops what was revoked, and asks for nothing while the
//! boundary is closed. What it holds stays good meanwhile: it is in the log, and executors verify it offline.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use assent_proto::hash::Hash;
use assent_proto::limits::{MAX_BATCH_INTENTS, MAX_SKEW_MS};
use assent_proto::number::{Epoch, Timestamp};

use crate::batch::{Batch, BatchError, BatchId, Outcomes};
use crate::intent::Intent;
use crate::notice::Standing;
use crate::token::Token;

/// Where a token lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    batch: u64,
    position: usize,
}

/// Tokens for one act and audience of which each was asked for to take the place of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Succession(u64);

/// A token that is held.
#[derive(Clone, Copy, Debug)]
struct Held {
    place: Place,
    succession: Succession,
}

/// When the tokens of a succession end, and where the last of them lies.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: Timestamp,
    last: (Timestamp, Place),
}

/// An answer with the number of its tokens that are still held.
#[derive(Debug)]
struct Answer {
    outcomes: Outcomes,
    held: usize,
}

/// Tokens by intent.
#[derive(Debug, Default)]
pub struct Wallet {
    /// Answers by the order in which they came; dropped whole with their last token.
    answers: BTreeMap<u64, Answer>,
    by_digest: HashMap<Hash, Vec<Held>>,
    next: u64,
    /// Successions that have begun.
    begun: u64,
    standing: Option<Standing>,
}

impl From<Outcomes> for Wallet {
    fn from(outcomes: Outcomes) -> Self {
        let mut wallet = Self::new();
        wallet.add(outcomes);
        wallet
    }
}

impl Wallet {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up the tokens of an answer, but for those that were revoked. The answer to a batch of [`Wallet::refresh`] succeeds
    /// the tokens that it was asked for.
    pub fn add(&mut self, outcomes: Outcomes) {
        if self.standing.as_ref().is_some_and(|standing| is_revoked(&outcomes, standing)) {
            return;
        }
        let batch = self.next;
        self.next += 1;
        let mut held = 0;
        for (position, _) in outcomes.tokens() {
            if let Some(digest) = outcomes.digest(position) {
                let succession = outcomes.batch().succession(position).unwrap_or_else(|| {
                    self.begun += 1;
                    Succession(self.begun)
                });
                let place = Place { batch, position };
                self.by_digest.entry(digest).or_default().push(Held { place, succession });
                held += 1;
            }
        }
        if held > 0 {
            self.answers.insert(batch, Answer { outcomes, held });
        }
    }

    /// Acts on how the boundary of its appliance stands: forgets the tokens that were revoked, and asks for none while it is
    /// closed. One wallet is for the tokens of one appliance; tokens that are known to be of another log stay.
    pub fn heed(&mut self, standing: &Standing) {
        let revoked = |answer: &Answer| is_revoked(&answer.outcomes, standing);
        let before = self.answers.len();
        self.answers.retain(|_, answer| !revoked(answer));
        if self.answers.len() < before {
            self.by_digest.retain(|_, tokens| {
                tokens.retain(|held| self.answers.contains_key(&held.place.batch));
                !tokens.is_empty()
            });
        }
        self.standing = Some(standing.clone());
    }

    /// The epoch of the boundary, as it was last told.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.standing.as_ref().map(|standing| standing.epoch)
    }

    /// How many tokens there are, stale ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_digest.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    /// A token for this act and audience whose window is open; of several the one that ends first.
    ///
    /// Other terms of the intent (window, uses, ...) are wishes, and do not tell tokens apart. A window counts as open a
    /// little early, since our clock may be behind the appliance's: the executor is the judge of that. A closed boundary
    /// changes nothing here.
    #[must_use]
    pub fn find(&self, intent: &Intent, now: Timestamp) -> Option<Token<'_>> {
        self.first_to_end(intent, now).map(|(_, _, token)| token)
    }

    /// As [`Wallet::find`], and the wallet forgets the token: for tokens that are good for one use.
    pub fn take(&mut self, intent: &Intent, now: Timestamp) -> Option<Vec<u8>> {
        let (digest, place, token) = self.first_to_end(intent, now)?;
        let bytes = token.bytes().to_vec();
        self.forget(digest, place);
        Some(bytes)
    }

    fn first_to_end(&self, intent: &Intent, now: Timestamp) -> Option<(Hash, Place, Token<'_>)> {
        let digest = intent.encode().ok()?.digest();
        let held = self.by_digest.get(&digest)?.iter();
        let open = held.filter_map(|Held { place, .. }| {
            let token = self.token(*place)?;
            let open = token.not_before() <= now.plus_ms(MAX_SKEW_MS) && now <= token.not_after();
            (open && self.audience(*place)? == intent.audience).then_some((digest, *place, token))
        });
        open.min_by_key(|(_, _, token)| token.not_after())
    }

    /// Drops the tokens whose window has passed.
    pub fn drop_stale(&mut self, now: Timestamp) {
        let held = self
            .by_digest
            .iter()
            .flat_map(|(digest, tokens)| tokens.iter().map(|held| (*digest, held.place)));
        let stale: Vec<(Hash, Place)> = held
            .filter(|(_, place)| self.token(*place).is_none_or(|token| token.not_after() < now))
            .collect();
        for (digest, place) in stale {
            self.forget(digest, place);
        }
    }

    /// A batch that asks again for every token that ends within `ahead` and has no successor yet; none when there is
    /// nothing to ask, or the boundary is closed: then nobody is given a token. The old tokens stay until they are stale, so
    /// nothing is missing while the answer is under way; those that are stale are dropped, and not asked for.
    ///
    /// A token is succeeded by what the answer to such a batch gives in its place, once that is [added](Wallet::add), and by a
    /// token for the same act and audience that lasts longer. Let `ahead` be shorter than the windows that are granted: no
    /// token lasts so long otherwise, and each call asks for one again.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] when the intents exceed a frame. Of more intents than a batch may have it asks for the
    /// first; the next call asks for the others.
    pub fn refresh(
        &mut self,
        id: BatchId,
        now: Timestamp,
        ahead: Duration,
    ) -> Result<Option<Batch>, BatchError> {
        self.drop_stale(now);
        if self.standing.as_ref().is_some_and(|standing| !standing.is_open()) {
            return Ok(None);
        }
        let horizon = now.plus_ms(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX));
        let mut ending: Vec<Held> =
            self.by_digest.values().flat_map(|tokens| self.without_successor(tokens, horizon)).collect();
        ending.sort_unstable_by_key(|held| held.place);
        ending.truncate(MAX_BATCH_INTENTS);
        let parts: Vec<_> = ending
            .iter()
            .filter_map(|Held { place, succession }| {
                Some(((self.answers.get(&place.batch)?.outcomes.batch(), place.position), *succession))
            })
            .collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let (parts, successions): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Batch::of_parts(id, parts.into_iter()).map(|batch| Some(batch.succeeding(successions)))
    }

    /// Of each succession for one act that ends before `horizon` its last token, less as many as there are successions
    /// of which no token does, audience by audience.
    fn without_successor(&self, tokens: &[Held], horizon: Timestamp) -> Vec<Held> {
        let mut by_audience: BTreeMap<&str, BTreeMap<Succession, Ends>> = BTreeMap::new();
        for Held { place, succession } in tokens {
            let Some((audience, token)) = self.audience(*place).zip(self.token(*place)) else {
                continue;
            };
            let end = token.not_after();
            let successions = by_audience.entry(audience).or_default();
            let ends = successions.entry(*succession).or_insert(Ends { first: end, last: (end, *place) });
            ends.first = ends.first.min(end);
            ends.last = ends.last.max((end, *place));
        }
        let ending = |successions: BTreeMap<Succession, Ends>| {
            // One of which a token ends before, too, lasts for that one's sake, and succeeds no other.
            let lasting = successions.values().filter(|ends| ends.first >= horizon).count();
            let last = successions.into_iter().filter_map(|(succession, Ends { last: (end, place), .. })| {
                (end < horizon).then_some(Held { place, succession })
            });
            last.skip(lasting)
        };
        by_audience.into_values().flat_map(ending).collect()
    }

    fn token(&self, place: Place) -> Option<Token<'_>> {
        self.answers.get(&place.batch)?.outcomes.at(place.position)?.token()
    }

    fn audience(&self, place: Place) -> Option<&str> {
        self.answers.get(&place.batch)?.outcomes.audience(place.position)
    }

    fn forget(&mut self, digest: Hash, place: Place) {
        if let Entry::Occupied(mut tokens) = self.by_digest.entry(digest) {
            tokens.get_mut().retain(|held| held.place != place);
            if tokens.get().is_empty() {
                tokens.remove();
            }
        }
        if let Some(answer) = self.answers.get_mut(&place.batch) {
            answer.held = answer.held.saturating_sub(1);
            if answer.held == 0 {
                self.answers.remove(&place.batch);
            }
        }
    }
}

/// Whether what was decided then is revoked. An answer whose log is not known is taken for one of this log.
fn is_revoked(outcomes: &Outcomes, standing: &Standing) -> bool {
    outcomes.epoch() < standing.lowest_epoch
        && outcomes.origin().is_none_or(|origin| origin == standing.origin)
}
