//! Deciding: a batch's walk through the intent and the evaluation boundary, from its frame to what was written down of it.
//!
//! All that holds at that moment is an argument, and it knows no thread and no clock. So what counts its instructions and
//! its allocations counts those of what serves.

use assent_proto::codec::CodecError;
use assent_proto::entry::{Grounds, Salt};
use assent_proto::intent::Intent;
use assent_proto::wire::{Head, Request, RequestError, Ruling};

use crate::evaluation::{Asserted, evaluate, withhold};
use crate::identity::SpiffeId;
use crate::intent::Reading;
use crate::limits::{EXPECTED_INTENT_BYTES, INTENTS_PER_DEADLINE_LOOK};
use crate::log::Leaves;
use crate::log::store::StoreError;
use crate::policy::Snapshot;
use crate::policy::shadow::Account;
use crate::token::draft::number_of;
use crate::token::{DraftError, Wishes, Written};

/// Our own fault: nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// An entry is over its limit.
    #[error("an entry cannot be encoded")]
    Encoding(#[from] CodecError),
    /// The reply is over its limit.
    #[error("a draft cannot be encoded")]
    Draft(#[from] DraftError),
    /// The log's disk does not give what waits.
    #[error("what waits cannot be read")]
    Waiting(#[from] StoreError),
    /// The log does not give what was approved.
    #[error("a hold cannot be read: {0}")]
    Hold(String),
    /// There is no salt.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

/// A batch that was decided.
#[derive(Debug)]
pub struct Decided {
    /// What the sealer takes.
    pub written: Written,
    /// Intents that were not evaluated because it took too long.
    pub late: usize,
    /// What was decided, where the shadow wants to know.
    pub(super) account: Option<Account>,
}

/// What bounds the evaluation of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Limits<L> {
    /// Whether the evaluation boundary is closed.
    pub is_closed: bool,
    /// Whether the shadow wants an account of it.
    pub has_shadow: bool,
    /// On what an allow rests.
    pub grounds: Grounds,
    /// Whether the deadline has passed.
    pub is_late: L,
}

/// A frame, with its intents as they were parsed: each is parsed once, and walks from there.
#[derive(Debug)]
pub struct Asked<'f> {
    pub(super) request: Request<'f>,
    pub(super) intents: Vec<Intent<'f>>,
}

impl<'f> Asked<'f> {
    /// Parses a frame.
    ///
    /// # Errors
    /// When it is not canonical, or over a limit.
    pub fn parse(frame: &'f [u8]) -> Result<Self, RequestError> {
        let mut intents = Vec::with_capacity(1 + frame.len() / EXPECTED_INTENT_BYTES);
        let request = Request::parse_with(frame, |intent| intents.push(intent))?;
        Ok(Self { request, intents })
    }

    /// Walks every intent through the intent and the evaluation boundary.
    ///
    /// # Errors
    /// [`DecideError`]: nothing was decided.
    pub fn decide(
        &self,
        snapshot: &Snapshot,
        principal: &SpiffeId,
        asserted: Asserted,
        limits: Limits<impl Fn() -> bool>,
    ) -> Result<Decided, DecideError> {
        let intents = &self.intents;
        let mut salt = Salt::default();
        getrandom::fill(&mut salt.0)?;
        let Asserted { now: time, epoch, degraded, .. } = asserted;
        let head = Head { time, epoch, bundle: snapshot.digest(), salt, principal: principal.as_str() };
        let view = snapshot.bundle().view();
        let subject = snapshot.principal(principal.as_str());
        let mut rulings: Vec<Ruling<'_>> = Vec::new();
        let mut outcomes = Vec::with_capacity(intents.len());
        let mut reading = Reading::new(&view);
        let mut leaves = Leaves::with_capacity(intents.len(), intents.len() * 512);
        let (mut is_late, mut late, mut wishes) = (false, 0, Vec::new());
        for (position, intent) in intents.iter().enumerate() {
            is_late = is_late || (position.is_multiple_of(INTENTS_PER_DEADLINE_LOOK) && (limits.is_late)());
            let place = u32::try_from(position).unwrap_or(u32::MAX);
            let ruling = match reading.classify(subject, intent, asserted.at(position)) {
                Ok(classified) => {
                    wishes.extend(classified.granted.waiting.map(|waiting| (place, waiting)));
                    if is_late || limits.is_closed {
                        late += usize::from(!limits.is_closed);
                        withhold(classified).into_ruling()
                    } else {
                        evaluate(classified, snapshot, limits.grounds).into_ruling()
                    }
                }
                Err(unclassified) => unclassified.ruling(),
            };
            leaves.push(&ruling.clone().entry(&head, place, intent, intent.act.digest()))?;
            outcomes.push(number_of(ruling, &mut rulings));
        }
        let account = (limits.has_shadow && late == 0).then(|| Account::new(asserted, &rulings, &outcomes));
        let written = Written::new(&head, &rulings, &outcomes, leaves)?.with_degraded(degraded);
        Ok(Decided { written: written.wishing(Wishes::of(wishes)), late, account })
    }
}
