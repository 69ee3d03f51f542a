//! The guard: what stands before an act. It verifies a token, spends one of its uses, and only then lets the act run.
//!
//! Offline: it holds a trust file and asks nobody. The use is spent before the act, so a crash between the two loses a use
//! and never acts twice. It does not tell that the act succeeded; an act that failed needs another use.
//!
//! Whoever hears notices may tell the guard: what was revoked it refuses from then on, and a checkpoint that it knows ahead
//! of its tokens saves them the signature check. A guard that is told nothing is as safe as it was.

mod believed;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use assent_proto::codec::{self, CodecError};
use assent_proto::entry::{Allow, Grounds};
use assent_proto::intent::Act;
use assent_proto::limits::{MAX_SKEW_MS, MAX_WINDOW_S};
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::token::UnverifiedToken;
pub use assent_proto::verify::VerifyError;
use assent_proto::verify::{CheckpointCache, Expected, TrustedWarrant, verify, verify_checkpoint};
use assent_proto::wire::{self, Notice, SignedCheckpoint};

use self::believed::Believed;
use crate::clock;
use crate::encoding;
use crate::intent::{Intent, IntentError};
use crate::notice::Standing;
use crate::spent::{SpendError, Spent, Use, WarrantUse};
use crate::trust::Trust;
#[cfg(feature = "break-glass")]
use crate::warrant::{AcceptError, Held, Warrant};

/// What an executor accepts beyond what every token must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The only agent whose tokens are accepted; none: any. Who serves several and knows which of them asks says so with
    /// [`Guard::admit_for`].
    pub principal: Option<String>,
    /// The longest window that is accepted.
    pub window_cap: Duration,
    /// The difference between clocks that is forgiven; beyond two seconds none is.
    pub skew: Duration,
    /// Whether tokens are accepted whose authority is a break-glass warrant.
    pub break_glass: bool,
}

impl Default for Acceptance {
    /// Any agent, windows of up to a day, two seconds of skew, no break-glass.
    fn default() -> Self {
        Self {
            principal: None,
            window_cap: Duration::from_secs(u64::from(MAX_WINDOW_S)),
            skew: Duration::from_millis(MAX_SKEW_MS),
            break_glass: false,
        }
    }
}

/// Why there is no leave to act.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The token does not verify for this executor, this act and this time.
    #[error(transparent)]
    Verify(VerifyError),
    /// It verifies, but no use of it could be spent.
    #[error(transparent)]
    Spend(SpendError),
    /// What is about to be done has no encoding.
    #[error(transparent)]
    Intent(IntentError),
}

impl AdmitError {
    /// A bounded label for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Verify(error) => error.kind(),
            Self::Spend(error) => error.kind(),
            Self::Intent(_) => "intent_encoding",
        }
    }
}

/// Admits acts under tokens. One guard serves all threads of an executor.
#[derive(Debug)]
pub struct Guard {
    /// Taken out for each token, so that a new trust waits for no admission.
    believed: RwLock<Arc<Believed>>,
    /// What was said of whatever log: it holds for those that are trusted later, too.
    lowest_of_all: AtomicU64,
    audience: String,
    acceptance: Acceptance,
    spent: Spent,
    #[cfg(feature = "break-glass")]
    held: Held,
    // LIMIT: verification of one token at a time; a token whose checkpoint is known costs a few microseconds.
    cache: Mutex<CheckpointCache>,
}

impl Guard {
    /// A guard that remembers spent uses in this process from now on.
    ///
    /// It refuses tokens that were decided before it started, or so shortly after that the clocks' skew leaves it open:
    /// their uses may have been spent before a restart. [`Guard::with_spent`] with a durable memory has no such gap.
    pub fn new(trust: Trust, audience: impl Into<String>) -> Self {
        let since = clock::now().plus_ms(MAX_SKEW_MS);
        Self::with_spent(trust, audience, Spent::in_memory(since))
    }

    /// A guard with that memory of spent uses.
    pub fn with_spent(trust: Trust, audience: impl Into<String>, spent: Spent) -> Self {
        Self {
            believed: RwLock::new(Arc::new(Believed::new(trust))),
            lowest_of_all: AtomicU64::new(0),
            audience: audience.into(),
            acceptance: Acceptance::default(),
            spent,
            #[cfg(feature = "break-glass")]
            held: Held::default(),
            cache: Mutex::new(CheckpointCache::new()),
        }
    }

    /// The same guard with another acceptance.
    #[must_use]
    pub fn accepting(self, acceptance: Acceptance) -> Self {
        Self { acceptance, ..self }
    }

    /// From here on believes this trust in place of the one before, as when its file was written anew. What is spent stays so,
    /// no lowest epoch is lowered, and a warrant counts on while a key that is trusted signed for its charter.
    ///
    /// Threads that are admitting meanwhile go by the one or the other.
    pub fn trusting(&self, trust: Trust) {
        let mut believed = self.believed.write().unwrap_or_else(PoisonError::into_inner);
        let lowest = Epoch(self.lowest_of_all.load(Ordering::SeqCst));
        *believed = Arc::new(believed.trusting(trust, lowest));
    }

    /// What is believed now. A thread that panicked has left it whole.
    fn believed(&self) -> Arc<Believed> {
        Arc::clone(&self.believed.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From here on refuses tokens of lower epochs, of whatever log: what was decided before a trip. It is never lowered.
    pub fn raise_epoch(&self, lowest: Epoch) {
        // Before the logs are looked up: one that comes to be trusted meanwhile begins with it.
        self.lowest_of_all.fetch_max(lowest.0, Ordering::SeqCst);
        self.believed().raise(|_| true, lowest);
    }

    /// From here on refuses the tokens of that log that were revoked. What a log says that is not trusted changes nothing.
    ///
    /// That the boundary is closed changes nothing either: a token that verifies was in the log before it closed.
    pub fn heed(&self, standing: &Standing) {
        let believed = self.believed();
        if believed.holds(&standing.origin) {
            believed.raise(|origin| origin == standing.origin, standing.lowest_epoch);
        }
    }

    /// Verifies a checkpoint ahead of its tokens, which then cost no signature check.
    ///
    /// # Errors
    /// [`VerifyError::UntrustedKey`], [`VerifyError::Signature`]: then nothing has changed.
    pub fn remember(&self, checkpoint: &SignedCheckpoint, now: Timestamp) -> Result<(), VerifyError> {
        verify_checkpoint(checkpoint, self.believed().trust.keys(), now, &mut self.cache()).map(drop)
    }

    /// Heeds and remembers what stands in a file of notices, such as [`to_bytes`](crate::notice::to_bytes) makes. Checkpoints
    /// that do not verify are passed over.
    ///
    /// # Errors
    /// [`CodecError`]: the file is damaged; what came before the damage counts.
    pub fn heed_all(&self, notices: &[u8], now: Timestamp) -> Result<(), CodecError> {
        for notice in wire::notices(notices) {
            match notice? {
                Notice::Standing(standing) => self.heed(&standing.into()),
                Notice::Checkpoint(checkpoint) => drop(self.remember(&checkpoint, now)),
                // A key is trusted for the trust file's sake only.
                Notice::Key(_) => {}
            }
        }
        Ok(())
    }

    /// From here on admits tokens under this warrant, too. Of one that is known already it learns who else signed for its charter.
    ///
    /// Uses of a warrant that began before this guard's memory of spent uses did stay refused: keep that memory on disk.
    ///
    /// # Errors
    /// [`AcceptError`]: then nothing has changed.
    #[cfg(feature = "break-glass")]
    pub fn accept_warrant(&self, warrant: Warrant, now: Timestamp) -> Result<(), AcceptError> {
        if !self.acceptance.break_glass {
            return Err(AcceptError::NotAccepted);
        }
        if !warrant.is_vouched_for_by(self.believed().trust.keys()) {
            return Err(AcceptError::Untrusted);
        }
        self.held.accept(warrant, now)
    }

    /// Lends the warrants that may count: those that this trust vouches for.
    #[cfg(feature = "break-glass")]
    fn with_warrants<R>(&self, trust: &Trust, lent: impl FnOnce(&[TrustedWarrant<'_>]) -> R) -> R {
        let held = if self.acceptance.break_glass { self.held.all() } else { Vec::new() };
        let vouched = held.iter().filter(|warrant| warrant.is_vouched_for_by(trust.keys()));
        let trusted: Vec<_> = vouched.filter_map(|warrant| warrant.trusted()).collect();
        lent(&trusted)
    }

    /// Without the feature there are none.
    #[cfg(not(feature = "break-glass"))]
    #[expect(clippy::unused_self, reason = "with the feature it holds some")]
    fn with_warrants<R>(&self, _: &Trust, lent: impl FnOnce(&[TrustedWarrant<'_>]) -> R) -> R {
        lent(&[])
    }

    /// A cache that a panicking thread left behind holds verified checkpoints only.
    fn cache(&self) -> MutexGuard<'_, CheckpointCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Verifies a token for what is about to be done, and spends one use of it.
    ///
    /// # Errors
    /// [`AdmitError`]: then there must be no act.
    pub fn admit<'t>(
        &self,
        token: &'t [u8],
        intent: &Intent,
        now: Timestamp,
    ) -> Result<Admitted<'t>, AdmitError> {
        with_act(intent, |act| self.admit_act(token, act, now))
    }

    /// As [`Guard::admit`], where it is known who asks: this principal, a SPIFFE ID such as a client certificate names. A token
    /// of another is refused with [`VerifyError::Principal`], and so is everybody but the one that the acceptance names, where it does.
    ///
    /// # Errors
    /// [`AdmitError`]: then there must be no act.
    pub fn admit_for<'t>(
        &self,
        token: &'t [u8],
        intent: &Intent,
        principal: &str,
        now: Timestamp,
    ) -> Result<Admitted<'t>, AdmitError> {
        with_act(intent, |act| self.admit_known(token, act, Some(principal), now))
    }

    /// As [`Guard::admit`], for an act that is encoded already.
    ///
    /// # Errors
    /// [`AdmitError`]: then there must be no act.
    pub fn admit_act<'t>(
        &self,
        token: &'t [u8],
        act: &Act<'_>,
        now: Timestamp,
    ) -> Result<Admitted<'t>, AdmitError> {
        self.admit_known(token, act, None, now)
    }

    fn admit_known<'t>(
        &self,
        token: &'t [u8],
        act: &Act<'_>,
        principal: Option<&str>,
        now: Timestamp,
    ) -> Result<Admitted<'t>, AdmitError> {
        let believed = self.believed();
        let index = self.with_warrants(&believed.trust, |warrants| {
            let expected = Expected {
                keys: believed.trust.keys(),
                audience: &self.audience,
                act,
                principal: self.principal_of(token, principal),
                now,
                skew_ms: milliseconds(self.acceptance.skew).min(MAX_SKEW_MS),
                window_cap_ms: milliseconds(self.acceptance.window_cap),
                lowest_epoch: believed.lowest_epoch(token, warrants),
                break_glass: self.acceptance.break_glass,
                warrants,
            };
            self.spend_one(token, &expected)
        })?;
        let claims = claims_of(token).map_err(|_| AdmitError::Verify(VerifyError::Body))?;
        Ok(Admitted { claims, index })
    }

    /// Whose token it must be: where two say so, the one whose it is not, if there is one.
    fn principal_of<'p>(&'p self, token: &[u8], known: Option<&'p str>) -> Option<&'p str> {
        let (Some(accepted), Some(known)) = (self.acceptance.principal.as_deref(), known) else {
            return known.or(self.acceptance.principal.as_deref());
        };
        let is_known = claims_of(token).is_ok_and(|claims| claims.principal == known);
        Some(if is_known { accepted } else { known })
    }

    /// Verifies, and spends one use: of the token at this index.
    fn spend_one(&self, token: &[u8], expected: &Expected<'_>) -> Result<LeafIndex, AdmitError> {
        let verified = verify(token, expected, &mut self.cache()).map_err(AdmitError::Verify)?;
        let (origin, index) = verified.identity();
        let claims = verified.claims();
        // With the most skew that any acceptance forgives: the next one may forgive more than this.
        let until = claims.not_after.plus_ms(MAX_SKEW_MS);
        let warrant = warrant_use(claims.grounds, origin, expected.warrants).map_err(AdmitError::Verify)?;
        let one = Use { origin, index, decided: claims.time, until, uses: claims.uses, warrant };
        self.spent.spend(&one, expected.now).map_err(AdmitError::Spend)?;
        Ok(index)
    }
}

/// Lends what is about to be done as it is encoded.
fn with_act<R>(
    intent: &Intent,
    lent: impl FnOnce(&Act<'_>) -> Result<R, AdmitError>,
) -> Result<R, AdmitError> {
    let mut bytes = Vec::with_capacity(256);
    let end = encoding::append_intent(intent, &mut bytes).map_err(AdmitError::Intent)?;
    let act = bytes.get(..end).ok_or(CodecError::Truncated).and_then(Act::parse);
    let act = act.map_err(|error| AdmitError::Intent(IntentError::Encoding(error)))?;
    lent(&act)
}

/// Which use of a warrant a verified token is.
fn warrant_use(
    grounds: Grounds,
    origin: &str,
    warrants: &[TrustedWarrant<'_>],
) -> Result<Option<WarrantUse>, VerifyError> {
    let Grounds::Warrant { leaf, number } = grounds else {
        return Ok(None);
    };
    let known = warrants.iter().find(|warrant| warrant.origin == origin && warrant.leaf == leaf);
    let TrustedWarrant { key, not_before, not_after, .. } = known.ok_or(VerifyError::Warrant)?;
    let (began, until) = (*not_before, not_after.plus_ms(MAX_SKEW_MS));
    Ok(Some(WarrantUse { key: *key.key().as_bytes(), number, began, until }))
}

/// The claims of a verified token once more, as long as the token itself lives and no longer tied to the act.
fn claims_of(token: &[u8]) -> Result<Allow<'_>, CodecError> {
    let token = UnverifiedToken::parse(token).map_err(|_| CodecError::Malformed)?;
    codec::parse(token.body)
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Tells its holder that a token verified for this act, and that one use of it was spent. Good for one run.
///
/// Only a [`Guard`] makes one, and it cannot be copied:
///
/// ```compile_fail,E0451
/// fn forge(claims: assent_client::proto::entry::Allow<'_>) -> assent_client::Admitted<'_> {
///     assent_client::Admitted { claims, index: Default::default() }
/// }
/// ```
/// ```compile_fail,E0382
/// fn act_twice(admitted: assent_client::Admitted<'_>) {
///     admitted.run(|| ());
///     admitted.run(|| ());
/// }
/// ```
#[must_use = "the use is spent; dropped, it is lost"]
#[derive(Debug)]
pub struct Admitted<'t> {
    claims: Allow<'t>,
    index: LeafIndex,
}

impl<'t> Admitted<'t> {
    /// What the token states: who may do it, under which policies, until when.
    #[must_use]
    pub const fn claims(&self) -> &Allow<'t> {
        &self.claims
    }

    /// Where its entry is in the audit log.
    #[must_use]
    pub const fn index(&self) -> LeafIndex {
        self.index
    }

    /// Acts.
    pub fn run<R>(self, act: impl FnOnce() -> R) -> R {
        act()
    }
}
