//! Acts: an operator wishes something, is shown the statement, and signs it; the desk that it is for carries it out.
//!
//! The rules it keeps: a wish is kept here from its beginning to its end, so that what is signed is what is carried out; it begins
//! and ends only from a page that shows what is so now, and that has heard of the appliance a moment ago. Signatures of which several are
//! needed are collected here, for a while; each stands under the same statement.

mod error;
mod kept;
mod wish;

use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::error::ActError;
pub use self::kept::Collected;
pub use self::wish::Wish;

use self::error::{of_approval, of_break_glass, of_order};
pub(super) use self::kept::Acts;
use self::kept::Standing;
use self::wish::break_glass_order;
use super::asked::Asked as AskedFor;
use super::{Console, Visitor};
use crate::break_glass::{BreakGlassAnswer, BreakGlassOrder, UseView};
use crate::limits::{CONSOLE_STALE, MAX_STATED_INTENTS};
use crate::operators::SignatureFile;
use crate::passkeys::{Act, IdentityError, Options};
use crate::queue::approving::{ApprovalAnswer, ApprovalOrder, HoldView};
use crate::queue::desk::{IntentView, QueueAnswer, QueueOrder, TicketView};
use crate::shown::{Line, lines_of};
use crate::token::rearm::Ordered;

/// How a page asks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What is wished.
    pub wish: Wish,
    /// The mark of what the page shows; empty where it shows nothing that could change.
    #[serde(default)]
    pub shown: String,
    /// When the page has last heard of the appliance, in milliseconds since 1970 by the appliance's clock.
    pub heard_ms: u64,
}

/// What is to be signed.
#[derive(Clone, Debug, Serialize)]
pub struct Begun {
    /// What the answer names.
    pub mark: String,
    /// The statement, byte for byte.
    pub statement: String,
    /// What is shown of it, where no line passes for another, nor for what it is not.
    pub(crate) lines: Vec<Line>,
    /// What the browser is given.
    pub options: Options,
}

/// The browser's answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// What was begun.
    pub mark: String,
    /// The credential, as the browser writes it.
    pub response: serde_json::Value,
    /// When the page has last heard of the appliance, in milliseconds since 1970 by the appliance's clock.
    pub heard_ms: u64,
}

/// The mark of a hold as it is shown: another where anything of it is another.
#[must_use]
pub fn mark_of_hold(hold: &HoldView, intents: &[IntentView]) -> String {
    let shown = serde_json::json!({ "hold": hold, "intents": intents });
    mark_of(&["hold", &shown.to_string()])
}

/// The mark of a ticket as it is shown: another where it waits for something else, or more people have approved it, or it asks for
/// something else.
#[must_use]
pub(super) fn mark_of_ticket(ticket: &TicketView, asked: Option<&AskedFor>) -> String {
    let shown = serde_json::json!({ "ticket": ticket, "intent": asked.map(|asked| &asked.digest) });
    mark_of(&["ticket", &shown.to_string()])
}

/// The mark of a use as it is shown: another where what was allowed, why, or its review is another. The warrant's own course
/// changes nothing of what one use is.
#[must_use]
pub fn mark_of_use(view: &UseView) -> String {
    let warrant = view.warrant.as_ref().map(|warrant| (warrant.leaf, &warrant.reason, &warrant.by));
    let shown = serde_json::json!({
        "use": view.used, "allowed": view.allowed, "missing": view.missing, "warrant": warrant, "found": view.found,
    });
    mark_of(&["use", &shown.to_string()])
}

fn mark_of(parts: &[&str]) -> String {
    let text = parts.join("\n");
    Hash::of_labelled(b"assent console mark", [text.as_bytes()]).to_string()
}

impl Console {
    /// What waits for more signatures.
    #[must_use]
    pub fn collected(&self, now: Timestamp) -> Vec<Collected> {
        self.acts.collected(now)
    }

    /// Whether the token boundary is closed, and opens by operators only.
    pub(super) fn awaits_order(&self) -> bool {
        matches!(self.desk.orders.order(false, &[]), Ordered::ToSign { .. })
    }

    /// Begins an act: what is to be signed, for the page to show and the browser to sign.
    ///
    /// # Errors
    /// [`ActError`]: then nothing was begun.
    pub async fn begin(&self, cookie: &str, visitor: &Visitor, asked: Asked) -> Result<Begun, ActError> {
        has_heard(visitor, asked.heard_ms)?;
        let act = self.act_of(&asked.wish, visitor)?;
        // Asked first: whoever may not is told no more than that.
        if !visitor.session.may(act) {
            return Err(IdentityError::Role(act).into());
        }
        let statement = self.statement(&asked.wish, &asked.shown, act, visitor).await?;
        let options = self.passkeys.begin_act(cookie, act, &statement, visitor.now)?;
        let mark = mark_of(&["act", act.label(), &statement]);
        let by = visitor.session.name.clone();
        let standing = Standing {
            mark: mark.clone(),
            by,
            act,
            wish: asked.wish,
            shown: asked.shown,
            statement: statement.clone(),
            at: visitor.now,
        };
        self.acts.begin(standing);
        Ok(Begun { mark, lines: lines_of(&statement), statement, options })
    }

    fn act_of(&self, wish: &Wish, visitor: &Visitor) -> Result<Act, ActError> {
        Ok(match wish {
            Wish::Answer { .. } => Act::AnswerHold,
            Wish::Cancel { .. } => Act::CancelTicket,
            Wish::Rearm { .. } => Act::Rearm,
            Wish::Review { .. } => Act::Review,
            Wish::Warrant { .. } => Act::Warrant,
            Wish::EndWarrant { .. } => Act::EndWarrant,
            Wish::Join { mark } => self.joined(mark, visitor)?.act,
        })
    }

    fn joined(&self, mark: &str, visitor: &Visitor) -> Result<Collected, ActError> {
        self.collected(visitor.now)
            .into_iter()
            .find(|collected| collected.mark == mark)
            .ok_or(ActError::Changed)
    }

    /// What is to be signed for it.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "any other answer is no answer to this, and one function says what it is"
    )]
    async fn statement(
        &self,
        wish: &Wish,
        shown: &str,
        act: Act,
        visitor: &Visitor,
    ) -> Result<String, ActError> {
        match wish {
            Wish::Answer { ticket, approve } => {
                let order =
                    ApprovalOrder::Answer { ticket: ticket.clone(), approve: *approve, signature: None };
                match self.desk.approvals.carry_out(order).await.ok_or(ActError::Stopping)? {
                    ApprovalAnswer::ToSign { statement, hold, intents, .. } => {
                        if mark_of_hold(&hold, &intents) == shown {
                            Ok(statement)
                        } else {
                            Err(ActError::Changed)
                        }
                    }
                    other => Err(of_approval(other)),
                }
            }
            Wish::Cancel { ticket, reason } => self.withdrawal(ticket, reason, shown, visitor).await,
            Wish::EndWarrant { leaf, reason } => {
                let lives = self.desk.status.break_glass.active(visitor.now).and_then(|lives| lives.leaf);
                if lives != Some(*leaf) {
                    return Err(ActError::Changed);
                }
                Ok(self.passkeys.statement(act, &[("warrant", &leaf.to_string()), ("reason", reason)])?)
            }
            Wish::Rearm { revoke } => match self.desk.orders.order(*revoke, &[]) {
                Ordered::ToSign { statement, .. } => Ok(statement),
                other => Err(of_order(other)),
            },
            Wish::Review { .. } | Wish::Warrant { .. } => {
                let by = visitor.session.name.clone();
                let order = break_glass_order(wish, None).ok_or(ActError::NotBegun)?;
                match self.desk.status.break_glass.carry_out(order, by).await.ok_or(ActError::Stopping)? {
                    // A review is signed by who has seen the whole use.
                    BreakGlassAnswer::ToSign { used: Some(used), .. } if mark_of_use(&used) != shown => {
                        Err(ActError::Changed)
                    }
                    BreakGlassAnswer::ToSign { statement, .. } => Ok(statement),
                    other => Err(of_break_glass(other)),
                }
            }
            Wish::Join { mark } => Ok(self.joined(mark, visitor)?.statement),
        }
    }

    /// What is to be signed to withdraw a ticket: with the intents, for their ticket says nothing to a person.
    async fn withdrawal(
        &self,
        ticket: &str,
        reason: &str,
        shown: &str,
        visitor: &Visitor,
    ) -> Result<String, ActError> {
        let order = QueueOrder::Show { ticket: ticket.to_owned() };
        let by = visitor.session.name.clone();
        match self.desk.status.queue.carry_out(order, by).await.ok_or(ActError::Stopping)? {
            QueueAnswer::Shown { ticket, intents, .. } => {
                let asked = self.asked_of(&ticket).await;
                if mark_of_ticket(&ticket, asked.as_ref()) != shown {
                    return Err(ActError::Changed);
                }
                let digests = intents.iter().map(|intent| intent.digest.as_str()).collect::<Vec<_>>();
                let count = ticket.intents.to_string();
                let mut about =
                    vec![("ticket", &*ticket.ticket), ("agent", &ticket.principal), ("intents", &count)];
                about.extend(digests.into_iter().take(MAX_STATED_INTENTS).map(|digest| ("intent", digest)));
                about.push(("reason", reason));
                Ok(self.passkeys.statement(Act::CancelTicket, &about)?)
            }
            QueueAnswer::Refused(why) => Err(ActError::Refused(why)),
            QueueAnswer::Listed { .. } | QueueAnswer::Cancelled(_) => Err(ActError::NotBegun),
        }
    }

    /// Refuses where what was shown and signed is not so any more: it may have changed while the statement stood there.
    async fn still_so(&self, standing: &Standing, visitor: &Visitor) -> Result<(), ActError> {
        match &standing.wish {
            // Whoever signs as well is held to the statement of those before them.
            Wish::Join { mark } => self.joined(mark, visitor).map(drop),
            // Its statement is new each time, and is good as long as the charter is: which the desk sees to.
            Wish::Warrant { .. } => Ok(()),
            wish @ (Wish::Answer { .. }
            | Wish::Cancel { .. }
            | Wish::Rearm { .. }
            | Wish::Review { .. }
            | Wish::EndWarrant { .. }) => {
                self.statement(wish, &standing.shown, standing.act, visitor).await.map(drop)
            }
        }
    }

    /// Takes the browser's answer, and has the act carried out: what became of it, in a line.
    ///
    /// # Errors
    /// [`ActError`].
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "any other answer is no answer to this, and one function says what it is"
    )]
    pub async fn finish(&self, cookie: &str, visitor: &Visitor, signed: Signed) -> Result<String, ActError> {
        has_heard(visitor, signed.heard_ms)?;
        let by = visitor.session.name.clone();
        let standing = self.acts.take(&signed.mark, &by, visitor.now).ok_or(ActError::NotBegun)?;
        // Before the signature is taken: what is refused leaves no leaf that reads as if it had been done.
        self.still_so(&standing, visitor).await?;
        let response = signed.response.to_string();
        let (act, statement) = (standing.act, standing.statement.clone());
        let (passkeys, cookie, now) = (self.passkeys.clone(), cookie.to_owned(), visitor.now);
        let finishing = move || passkeys.finish_act(&cookie, act, &statement, &response, now);
        // The register of passkeys is written.
        let assented = tokio::task::spawn_blocking(finishing).await.map_err(|_| ActError::Stopping)??;
        let wish = match &standing.wish {
            Wish::Join { mark } => self.joined(mark, visitor)?.wish,
            wish => wish.clone(),
        };
        self.carry_out(wish, standing, assented.signature, now).await
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "any other answer is no answer to this, and one function says what it is"
    )]
    async fn carry_out(
        &self,
        wish: Wish,
        standing: Standing,
        signature: SignatureFile,
        now: Timestamp,
    ) -> Result<String, ActError> {
        let by = standing.by.clone();
        match wish {
            Wish::Answer { ticket, approve } => {
                let order = ApprovalOrder::Answer { ticket, approve, signature: Some(signature) };
                match self.desk.approvals.carry_out(order).await.ok_or(ActError::Stopping)? {
                    ApprovalAnswer::Recorded { leaf, complete, .. } => Ok(answered(approve, leaf, complete)),
                    other => Err(of_approval(other)),
                }
            }
            Wish::Cancel { ticket, reason } => {
                let order = QueueOrder::Cancel { ticket, reason };
                match self.desk.status.queue.carry_out(order, by).await.ok_or(ActError::Stopping)? {
                    QueueAnswer::Cancelled(ticket) => Ok(format!("ticket {} is withdrawn", ticket.ticket)),
                    QueueAnswer::Refused(why) => Err(ActError::Refused(why)),
                    QueueAnswer::Listed { .. } | QueueAnswer::Shown { .. } => Err(ActError::NotBegun),
                }
            }
            Wish::Rearm { revoke } => {
                self.desk.orders.admits(revoke, &signature).map_err(of_order)?;
                let all = self.acts.collect(&standing, signature, now);
                match self.desk.orders.order(revoke, &all) {
                    Ordered::Trying { by, .. } => {
                        self.acts.forget(&standing.statement);
                        Ok(format!("re-arm is being tried, ordered by {}", by.join(", ")))
                    }
                    Ordered::Refused { reason } => Ok(waits_for_more(&reason)),
                    other => Err(of_order(other)),
                }
            }
            Wish::Review { .. } => {
                let order = break_glass_order(&wish, Some(signature)).ok_or(ActError::NotBegun)?;
                match self.desk.status.break_glass.carry_out(order, by).await.ok_or(ActError::Stopping)? {
                    BreakGlassAnswer::Done { leaf, .. } => Ok(format!("it is in the log, at leaf {leaf}")),
                    other => Err(of_break_glass(other)),
                }
            }
            Wish::Warrant { .. } => {
                let admitted = self.desk.status.break_glass.admits(&standing.statement, &signature);
                admitted.map_err(ActError::Refused)?;
                let signatures = self.acts.collect(&standing, signature, now);
                let order =
                    BreakGlassOrder::WarrantActivate { statement: standing.statement.clone(), signatures };
                match self.desk.status.break_glass.carry_out(order, by).await.ok_or(ActError::Stopping)? {
                    BreakGlassAnswer::Active { warrant, .. } => {
                        self.acts.forget(&standing.statement);
                        Ok(format!("the warrant lives, at leaf {}", warrant.leaf.unwrap_or_default()))
                    }
                    BreakGlassAnswer::Refused { reason, invalid: true } => Ok(waits_for_more(&reason)),
                    other => Err(of_break_glass(other)),
                }
            }
            Wish::EndWarrant { leaf, reason } => {
                let order = BreakGlassOrder::WarrantEnd { leaf: Some(leaf), reason };
                match self.desk.status.break_glass.carry_out(order, by).await.ok_or(ActError::Stopping)? {
                    BreakGlassAnswer::Done { leaf, .. } => {
                        Ok(format!("the warrant has ended, at leaf {leaf}"))
                    }
                    other => Err(of_break_glass(other)),
                }
            }
            Wish::Join { .. } => Err(ActError::NotBegun),
        }
    }
}

/// Refuses a page that has not heard of the appliance for too long.
fn has_heard(visitor: &Visitor, heard_ms: u64) -> Result<(), ActError> {
    let silent = u128::from(visitor.now.0.saturating_sub(heard_ms));
    if silent > CONSOLE_STALE.as_millis() { Err(ActError::Stale) } else { Ok(()) }
}

fn answered(approve: bool, leaf: u64, complete: bool) -> String {
    match (approve, complete) {
        (true, true) => format!("approved, at leaf {leaf}: it is evaluated anew"),
        (true, false) => format!("approved, at leaf {leaf}: others must approve it, too"),
        (false, _) => format!("rejected, at leaf {leaf}"),
    }
}

fn waits_for_more(reason: &str) -> String {
    format!("your signature is kept beside the statement: {reason}")
}
