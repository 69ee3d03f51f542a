//! Checks: whether an act may be written now, by what is durable and how the token boundary stands at this moment.
//!
//! The thread that writes asks, so nothing changes between the answer and the entry. Each refusal says what is missing and
//! what to do. That operators signed it, whoever made the act has verified.

use assent_proto::calendar::Utc;
use assent_proto::entry::{Charter, Entry, Review, Warrant};
use assent_proto::number::{LeafIndex, Timestamp, TreeSize};

use super::BreakGlass;
use super::act::{Act, Kind};
use super::book::Book;
use super::line::CharterLine;
use crate::log::limits::MAX_CHARTERS;
use crate::shown::{counted, visible};

/// How things stand for the log at the moment at which it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    /// Whether the token boundary is open.
    pub(crate) is_open: bool,
    /// Since when it is closed, as the log tells it; none where it does not.
    pub(crate) closed_since: Option<Timestamp>,
    /// What the newest signed checkpoint covers.
    pub(crate) covered: TreeSize,
}

impl BreakGlass {
    /// Whether this may be written now.
    ///
    /// # Errors
    /// What is missing, and what to do.
    pub(crate) fn check(&self, act: &Act, moment: &Moment) -> Result<(), String> {
        let state = self.lock();
        let book = &state.book;
        let spoilt = || "this is no entry of break-glass".to_owned();
        match &act.0 {
            Kind::Charter(leaf) => match Entry::parse(leaf) {
                Ok(Entry::Charter(charter)) => may_be_made(book, &charter, moment),
                Ok(_) | Err(_) => Err(spoilt()),
            },
            Kind::Warrant(leaf, _) => match Entry::parse(leaf) {
                Ok(Entry::Warrant(warrant)) => {
                    if state.keys.get(&warrant.key).is_none() {
                        return Err(
                            "no key of this warrant lies here any more: prepare another one".to_owned()
                        );
                    }
                    may_be_activated(book, &warrant, moment)
                }
                Ok(_) | Err(_) => Err(spoilt()),
            },
            Kind::Review(leaf) => match Entry::parse(leaf) {
                Ok(Entry::Review(review)) => may_be_reviewed(book, &review),
                Ok(_) | Err(_) => Err(spoilt()),
            },
            Kind::Revoked { charter, .. } => match book.charter(*charter) {
                Some(CharterLine { revoked: None, .. }) => Ok(()),
                Some(_) => Err("the charter is revoked already".to_owned()),
                None => Err(format!("there is no charter at leaf {charter}")),
            },
            Kind::Ended { warrant, .. } => match book.active(moment.now) {
                Some(active) if active.leaf == *warrant => Ok(()),
                Some(_) | None => Err("no warrant lives; there is nothing to end".to_owned()),
            },
        }
    }
}

/// A charter, as people name it.
fn name_of(line: &CharterLine) -> String {
    line.charter().map_or_else(String::new, |charter| visible(charter.name))
}

fn may_be_made(book: &Book, charter: &Charter<'_>, moment: &Moment) -> Result<(), String> {
    if !moment.is_open {
        return Err(
            "a charter has its authority from the HSM, and the token boundary is closed: make it when that is open again"
                .to_owned(),
        );
    }
    if charter.not_after <= moment.now {
        return Err("the charter would be over already: write a later `not_after`".to_owned());
    }
    let name = visible(charter.name);
    if book.named(charter.name, moment.now).is_some_and(|line| !line.is_over(moment.now)) {
        return Err(format!(
            "a charter `{name}` is in force: revoke it with `assent breakglass charter revoke`, or choose another name"
        ));
    }
    let standing = book.charters().filter(|line| !line.is_over(moment.now)).count();
    if standing >= MAX_CHARTERS / 4 {
        return Err(format!("{standing} charters are in force, which is as many as may be: revoke one"));
    }
    Ok(())
}

fn may_be_activated(book: &Book, warrant: &Warrant<'_>, moment: &Moment) -> Result<(), String> {
    let line = book.charter(warrant.charter);
    let line = line.ok_or_else(|| format!("there is no charter at leaf {}", warrant.charter))?;
    let charter = line.charter().ok_or("the charter cannot be read")?;
    is_in_force(line, &charter, moment)?;
    if let Some(active) = book.active(moment.now).filter(|active| book.has_uses_left(active)) {
        return Err(format!(
            "the warrant at leaf {} lives, and there is one at a time: use it up, or end it with `assent breakglass warrant end`",
            active.leaf
        ));
    }
    let closed_ms = moment.closed_since.filter(|_| !moment.is_open);
    let closed_ms = closed_ms.map(|since| moment.now.0.saturating_sub(since.0));
    let wanted_ms = u64::from(charter.closed_s).saturating_mul(1000);
    match closed_ms {
        _ if moment.is_open => {
            return Err("the token boundary is open: agents get tokens, and need no warrant".to_owned());
        }
        None => {
            return Err(
                "the log does not say yet that the token boundary is closed: activate again in a moment"
                    .to_owned(),
            );
        }
        Some(closed_ms) if closed_ms < wanted_ms => {
            return Err(format!(
                "the token boundary is closed for {} s, and the charter wants {} s: activate again in {} s, with the same signatures",
                closed_ms / 1000,
                charter.closed_s,
                (wanted_ms - closed_ms).div_ceil(1000)
            ));
        }
        Some(_) => {}
    }
    if warrant.not_after < moment.now {
        return Err("the warrant would be over already: prepare another one".to_owned());
    }
    let at_this_time = Warrant { time: moment.now, ..warrant.clone() };
    at_this_time.fits(&charter).map_err(|misfit| format!("{misfit}: prepare another one"))?;
    let open: Vec<LeafIndex> = book.unreviewed(line.leaf).map(|used| used.leaf).collect();
    if let Some(first) = open.first() {
        let under = "under an earlier warrant of this charter";
        let (one, several) = (format!("use {under} has no review"), format!("uses {under} have no review"));
        return Err(format!(
            "{}, the first at leaf {first}: an operator of the charter who did not sign that warrant reviews each with \
             `assent breakglass review close`",
            counted(open.len() as u64, &one, &several)
        ));
    }
    Ok(())
}

/// Whether warrants may be asked for under it.
pub(super) fn is_in_force(line: &CharterLine, charter: &Charter<'_>, moment: &Moment) -> Result<(), String> {
    let name = name_of(line);
    if line.revoked.is_some() {
        return Err(format!("the charter `{name}` was revoked: no warrant can be had under it"));
    }
    if charter.not_after < moment.now {
        return Err(format!(
            "the charter `{name}` is over since {}: no warrant can be had under it",
            Utc(charter.not_after)
        ));
    }
    if moment.covered.0 <= line.leaf.0 {
        return Err(format!(
            "no checkpoint that the HSM signed covers the charter `{name}` yet: nobody would believe a warrant under it"
        ));
    }
    Ok(())
}

fn may_be_reviewed(book: &Book, review: &Review<'_>) -> Result<(), String> {
    match book.use_at(review.used) {
        Some(used) if used.warrant != review.warrant => {
            Err(format!("the use at leaf {} is of another warrant", review.used))
        }
        Some(used) => match used.review {
            None => Ok(()),
            Some(at) => Err(format!("the use at leaf {} is reviewed already, at leaf {at}", review.used)),
        },
        None => Err(no_use_at(review.used)),
    }
}

pub(super) fn no_use_at(leaf: LeafIndex) -> String {
    format!("leaf {leaf} is no use of a warrant that is kept here: see `assent breakglass review list`")
}
