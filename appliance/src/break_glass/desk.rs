//! The desk: what `assent breakglass` asks of a running appliance.
//!
//! It verifies who signed and makes the act; the sealer asks whether it is due, writes it, and says where. Without
//! signatures it says what is to be signed, and by whom.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assent_proto::entry::break_glass::{
    CHARTER_NAMESPACE, CHARTER_REVOKE_NAMESPACE, CharterRevocation, Finding, REVIEW_NAMESPACE,
};
use assent_proto::number::{LeafIndex, Timestamp};

use super::act::{Act, Kind};
use super::charter::Draft;
use super::order::{BreakGlassAnswer, BreakGlassOrder, CharterOrder, NotAfter, UseView};
use super::review::Reviewed;
use super::signed::Signed;
use super::warrant::Signature;
use super::{BreakGlass, BreakGlassStatus, Moment, used};
use crate::clock::Clock;
use crate::limits::{MAX_LISTED_USES, MAX_PENDING_CHARTERS};
use crate::log::reader::Reader;
use crate::operators::{Quorum, SignatureFile};
use crate::policy::Policies;
use crate::shown::{self, visible};
use crate::token::SealerHandle;

/// What answers.
#[derive(Debug)]
pub struct BreakGlassDesk {
    room: Arc<BreakGlass>,
    sealer: SealerHandle,
    policies: Arc<Policies>,
    clock: Clock,
    /// Who orders charters; none where nobody is named.
    office: Option<Quorum>,
    review_within: Duration,
    /// Charters whose statement was asked for, and when they end: so that the same wish has the same statement.
    pending: Mutex<Vec<(CharterOrder, Timestamp)>>,
}

fn invalid(reason: String) -> BreakGlassAnswer {
    BreakGlassAnswer::Refused { reason, invalid: true }
}

fn refused(reason: String) -> BreakGlassAnswer {
    BreakGlassAnswer::Refused { reason, invalid: false }
}

fn to_sign(namespace: &str, statement: String, quorum: &Quorum) -> BreakGlassAnswer {
    let operators = quorum.keys().iter().map(|key| key.name().to_owned()).collect();
    let namespace = namespace.to_owned();
    BreakGlassAnswer::ToSign { namespace, statement, operators, threshold: quorum.threshold(), used: None }
}

impl BreakGlassDesk {
    /// The desk of this room. Charters are ordered by enough of `office`.
    #[must_use]
    pub fn new(
        room: Arc<BreakGlass>,
        (sealer, policies, clock): (SealerHandle, Arc<Policies>, Clock),
        office: Option<Quorum>,
        review_within: Duration,
    ) -> Self {
        Self { room, sealer, policies, clock, office, review_within, pending: Mutex::default() }
    }

    /// How break-glass stands.
    #[must_use]
    pub fn status(&self) -> BreakGlassStatus {
        self.room.status(self.clock.now(), self.review_within)
    }

    /// Carries out an order; none: the appliance is stopping.
    pub async fn carry_out(&self, order: BreakGlassOrder, by: String) -> Option<BreakGlassAnswer> {
        let now = self.clock.now();
        let act = match order {
            BreakGlassOrder::CharterCreate { charter, signatures } => self.create(*charter, &signatures),
            BreakGlassOrder::CharterRevoke { name, reason, signatures } => {
                self.revoke(&name, &reason, &signatures)
            }
            BreakGlassOrder::WarrantActivate { statement, signatures } => {
                return self.activate(&statement, &signatures).await;
            }
            BreakGlassOrder::WarrantEnd { leaf, reason } => self.end(leaf, &reason, by),
            BreakGlassOrder::ReviewClose { leaf, justified, text, signatures } => {
                self.review(leaf, justified, &text, &signatures).await?
            }
            BreakGlassOrder::WarrantPrepare { charter, reason, uses, window_s } => {
                let (plain, moment) = (shown::one_line("reason", &reason), self.moment());
                let prepared = match plain {
                    Ok(()) => {
                        let prepare = move |room: &BreakGlass, _: &Reader| {
                            room.prepare(&charter, reason, (uses, window_s), &moment)
                        };
                        self.aside(prepare).await?
                    }
                    Err(why) => Err(why),
                };
                Err(prepared.unwrap_or_else(refused))
            }
            BreakGlassOrder::CharterList => {
                let covered = self.moment().covered.0;
                Err(BreakGlassAnswer::Charters(self.room.charters(now, covered)))
            }
            BreakGlassOrder::WarrantList => Err(BreakGlassAnswer::Warrants(self.room.warrants(now))),
            BreakGlassOrder::WarrantExport => Err(self.export().await?),
            BreakGlassOrder::ReviewList => Err(self.reviews().await?),
            BreakGlassOrder::ReviewShow { leaf } => Err(self
                .whole(leaf)
                .await?
                .map_or_else(refused, |used| BreakGlassAnswer::Use(Box::new(used)))),
        };
        match act {
            Ok((act, by)) => Some(match self.sealer.act(act).await? {
                Ok(leaf) => BreakGlassAnswer::Done { leaf: leaf.0, by },
                Err(reason) => refused(reason),
            }),
            Err(answer) => Some(answer),
        }
    }

    /// How things stand, as far as this thread can tell; what is written, the sealer asks about once more.
    fn moment(&self) -> Moment {
        let boundary = self.sealer.boundary();
        let covered = self.sealer.checkpoints().borrow().map(|signed| signed.size).unwrap_or_default();
        let closed_since = boundary.closed().map(|closed| closed.since);
        Moment { now: self.clock.now(), is_open: boundary.is_open(), closed_since, covered }
    }

    fn office(&self) -> Result<&Quorum, BreakGlassAnswer> {
        let nobody = "no operators are named who could order a charter; list their keys under `hsm.operators` and restart the appliance";
        self.office.as_ref().ok_or_else(|| refused(nobody.to_owned()))
    }

    fn create(
        &self,
        order: CharterOrder,
        signatures: &[SignatureFile],
    ) -> Result<(Act, Vec<String>), BreakGlassAnswer> {
        let office = self.office()?;
        let (now, snapshot) = (self.clock.now(), self.policies.snapshot());
        let not_after = self.end_of(&order, now);
        let draft = Draft::new(order, snapshot.bundle(), not_after, now).map_err(refused)?;
        let origin = self.room.origin();
        if signatures.is_empty() {
            return Err(to_sign(CHARTER_NAMESPACE, draft.statement(origin), office));
        }
        draft.signed(origin, office, signatures).map_err(invalid)
    }

    /// When a charter ends. One that is to last for so long ends then from when it was first asked for, or its statement would
    /// be another at each asking.
    fn end_of(&self, order: &CharterOrder, now: Timestamp) -> Timestamp {
        let lasting = match order.not_after {
            NotAfter::At(at) => return Timestamp(at),
            NotAfter::In(lasting) => lasting,
        };
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, not_after)) = pending.iter().find(|(known, _)| known == order) {
            return *not_after;
        }
        if pending.len() == MAX_PENDING_CHARTERS {
            pending.remove(0);
        }
        let not_after = now.plus_ms(lasting);
        pending.push((order.clone(), not_after));
        not_after
    }

    fn revoke(
        &self,
        name: &str,
        reason: &str,
        signatures: &[SignatureFile],
    ) -> Result<(Act, Vec<String>), BreakGlassAnswer> {
        let office = self.office()?;
        shown::one_line("reason", reason).map_err(refused)?;
        let (charter, hash) = self.room.standing_charter(name, self.clock.now()).ok_or_else(|| {
            refused(format!(
                "no charter `{}` is in force: see `assent breakglass charter list`",
                visible(name)
            ))
        })?;
        let revocation = CharterRevocation { origin: self.room.origin(), charter, hash, reason };
        let mut statement = String::new();
        // Writing to a string cannot fail.
        let _ = revocation.write_statement(&mut statement);
        if signatures.is_empty() {
            return Err(to_sign(CHARTER_REVOKE_NAMESPACE, statement, office));
        }
        let signed = Signed::by(office, CHARTER_REVOKE_NAMESPACE, &statement, signatures)
            .map_err(|error| invalid(error.to_string()))?;
        let Signed { names: by, texts: signatures, .. } = signed;
        let act = Act(Kind::Revoked { charter, by: by.clone(), statement, signatures });
        Ok((act, by))
    }

    /// Whether a signature under the statement of a warrant that was prepared here is one of those that activate it.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, statement: &str, signature: &SignatureFile) -> Result<(), String> {
        self.room.admits(statement, signature)
    }

    /// The warrant that lives.
    #[must_use]
    pub fn active(&self, now: Timestamp) -> Option<super::WarrantView> {
        self.room.active(now)
    }

    fn end(
        &self,
        leaf: Option<u64>,
        reason: &str,
        by: String,
    ) -> Result<(Act, Vec<String>), BreakGlassAnswer> {
        shown::one_line("reason", reason).map_err(refused)?;
        let lives = self.room.active(self.clock.now()).and_then(|active| active.leaf);
        if let Some(leaf) = leaf.filter(|leaf| lives != Some(*leaf)) {
            return Err(refused(format!("the warrant of leaf {leaf} does not live any more")));
        }
        let by = vec![by];
        let act = self.room.ending(by.clone(), reason, self.clock.now());
        act.map(|act| (act, by))
            .ok_or_else(|| refused("no warrant lives; there is nothing to end".to_owned()))
    }

    async fn activate(&self, statement: &str, signatures: &[SignatureFile]) -> Option<BreakGlassAnswer> {
        match self.room.signed_warrant(statement, signatures) {
            Ok(Signature::Known(leaf)) => {
                let active = self.room.active(self.clock.now());
                if active.is_none_or(|active| active.leaf != Some(leaf.0)) {
                    return Some(refused(format!(
                        "this warrant was activated at leaf {leaf}, and is not the one that lives now: see `assent breakglass warrant list`"
                    )));
                }
            }
            Ok(Signature::Good(act)) => {
                if let Err(reason) = self.sealer.act(act).await? {
                    return Some(refused(reason));
                }
            }
            Err(reason) => return Some(invalid(reason)),
        }
        self.export().await
    }

    /// Does what waits for the disk on a thread that may wait: agents are answered meanwhile. None: the appliance is stopping.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&BreakGlass, &Reader) -> T + Send + 'static,
    ) -> Option<T> {
        let (room, reader) = (Arc::clone(&self.room), self.sealer.reader().clone());
        tokio::task::spawn_blocking(move || work(&room, &reader)).await.ok()
    }

    /// What executors need of the warrant that lives.
    async fn export(&self) -> Option<BreakGlassAnswer> {
        let now = self.clock.now();
        let Some(warrant) = self.room.active(now) else {
            return Some(refused("no warrant lives: see `assent breakglass warrant list`".to_owned()));
        };
        Some(match self.aside(move |room, reader| room.proofs(reader, now)).await? {
            Ok(proofs) => BreakGlassAnswer::Active { warrant: Box::new(warrant), proofs },
            Err(reason) => refused(reason),
        })
    }

    async fn reviews(&self) -> Option<BreakGlassAnswer> {
        let (all, within) = (self.room.uses(), self.review_within);
        let reading = move |_: &BreakGlass, reader: &Reader| {
            let view = |line| used::listed(line, reader, within);
            let uses: Vec<_> = all.iter().take(MAX_LISTED_USES).map(view).collect();
            BreakGlassAnswer::Reviews { left_out: (all.len() - uses.len()) as u64, uses }
        };
        self.aside(reading).await
    }

    async fn whole(&self, leaf: u64) -> Option<Result<UseView, String>> {
        let (within, moment) = (self.review_within, self.moment());
        self.aside(move |room, reader| room.whole(LeafIndex(leaf), reader, within, &moment)).await
    }

    /// A review that is signed; without a signature, what is to be signed, beside the use that it is of. None: the appliance is
    /// stopping.
    async fn review(
        &self,
        leaf: u64,
        justified: bool,
        text: &str,
        signatures: &[SignatureFile],
    ) -> Option<Result<(Act, Vec<String>), BreakGlassAnswer>> {
        if signatures.is_empty()
            && let Err(why) = shown::one_line("text", text)
        {
            return Some(Err(refused(why)));
        }
        let finding = if justified { Finding::Justified } else { Finding::Unjustified };
        let (statement, operators) = match self.room.review(LeafIndex(leaf), finding, text, signatures) {
            Ok(Reviewed::Signed(act, by)) => return Some(Ok((act, vec![by]))),
            Ok(Reviewed::ToSign { statement, operators }) => (statement, operators),
            Err(why) => return Some(Err(invalid(why))),
        };
        let namespace = REVIEW_NAMESPACE.to_owned();
        Some(Err(match self.whole(leaf).await? {
            Ok(used) => {
                let used = Some(Box::new(used));
                BreakGlassAnswer::ToSign { namespace, statement, operators, threshold: 1, used }
            }
            Err(why) => refused(why),
        }))
    }
}
