//! How break-glass stands: what `assent status` shows and what people are told of.

use std::time::Duration;

use assent_proto::number::{LeafIndex, Timestamp};
use serde::{Deserialize, Serialize};

use super::book::Book;
use super::line::{CharterLine, UseLine, WarrantLine};
use super::order::{CharterView, WarrantView};
use super::{BreakGlass, Moment};
use crate::operators::OperatorKey;

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassStatus {
    /// Charters in force.
    pub charters: u64,
    /// The warrant that lives.
    pub warrant: Option<WarrantView>,
    /// Uses that nobody has reviewed.
    pub reviews_open: u64,
    /// Of these, those that should have been by now.
    pub reviews_overdue: u64,
}

/// What people are to know of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Every warrant that is kept.
    pub warrants: Vec<WarrantView>,
    /// The leaf of the one that lives.
    pub active: Option<u64>,
    /// Every use that is kept, oldest first.
    pub uses: Vec<UseLine>,
}

impl BreakGlass {
    /// How it stands, where a use is to be reviewed within that time.
    #[must_use]
    pub fn status(&self, now: Timestamp, within: Duration) -> BreakGlassStatus {
        let state = self.lock();
        let book = &state.book;
        let open: Vec<&UseLine> = book.uses().filter(|line| line.review.is_none()).collect();
        let overdue = open.iter().filter(|line| due(line.time, within) < now).count();
        BreakGlassStatus {
            charters: book.charters().filter(|line| !line.is_over(now)).count() as u64,
            warrant: book.active(now).and_then(|line| warrant_view(book, line, now)),
            reviews_open: open.len() as u64,
            reviews_overdue: overdue as u64,
        }
    }

    /// What people are to know of.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        let state = self.lock();
        let active = state.book.active(now).map(|line| line.leaf.0);
        let warrants =
            state.book.warrants().filter_map(|line| warrant_view(&state.book, line, now)).collect();
        let mut uses: Vec<UseLine> = state.book.uses().copied().collect();
        uses.sort_unstable_by_key(|line| line.leaf);
        Standing { warrants, active, uses }
    }

    pub(super) fn charters(&self, now: Timestamp, covered: u64) -> Vec<CharterView> {
        let state = self.lock();
        state.book.charters().filter_map(|line| charter_view(line, now, covered)).collect()
    }

    /// Warrants, with those that wait for signatures.
    pub(super) fn warrants(&self, now: Timestamp) -> Vec<WarrantView> {
        let state = self.lock();
        let book = &state.book;
        let given = book.warrants().filter_map(|line| warrant_view(book, line, now));
        let waiting = state.keys.all().filter(|prepared| book.of_key(prepared.key.public()).is_none());
        let waiting = waiting.map(|prepared| WarrantView {
            leaf: None,
            charter: charter_name(book, prepared.wanted.charter),
            state: "prepared".to_owned(),
            uses: prepared.wanted.uses,
            used: 0,
            not_before_ms: prepared.wanted.not_before.0,
            not_after_ms: prepared.wanted.not_after.0,
            reason: prepared.wanted.reason.clone(),
            by: Vec::new(),
            key: crate::log::hex::hex(prepared.key.public()),
        });
        given.chain(waiting).collect()
    }

    /// The warrant that lives.
    pub(super) fn active(&self, now: Timestamp) -> Option<WarrantView> {
        let state = self.lock();
        state.book.active(now).and_then(|line| warrant_view(&state.book, line, now))
    }

    /// The use at this leaf, with the warrant that it is under, and that one's charter.
    pub(super) fn use_under(
        &self,
        leaf: LeafIndex,
        moment: &Moment,
    ) -> Option<(UseLine, Option<WarrantView>, Option<CharterView>)> {
        let state = self.lock();
        let (book, now) = (&state.book, moment.now);
        let line = *book.use_at(leaf)?;
        let warrant = book.warrant(line.warrant);
        let charter = warrant.and_then(|warrant| book.charter(warrant.charter));
        Some((
            line,
            warrant.and_then(|warrant| warrant_view(book, warrant, now)),
            charter.and_then(|charter| charter_view(charter, now, moment.covered.0)),
        ))
    }

    /// Uses, those without a review first, each of them oldest first.
    pub(super) fn uses(&self) -> Vec<UseLine> {
        let state = self.lock();
        let mut uses: Vec<UseLine> = state.book.uses().copied().collect();
        uses.sort_unstable_by_key(|line| (line.review.is_some(), line.leaf));
        uses
    }
}

/// By when a use of that time is to be reviewed.
pub(crate) fn due(time: Timestamp, within: Duration) -> Timestamp {
    time.plus_ms(u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
}

fn charter_name(book: &Book, leaf: LeafIndex) -> String {
    let charter = book.charter(leaf).and_then(|line| line.charter());
    charter.map_or_else(|| format!("leaf {leaf}"), |charter| charter.name.to_owned())
}

fn warrant_view(book: &Book, line: &WarrantLine, now: Timestamp) -> Option<WarrantView> {
    let warrant = line.warrant()?;
    let used = book.used(line.leaf);
    let state = match line.ended {
        Some(_) => "ended",
        None if warrant.not_after < now => "over",
        None if used >= warrant.uses => "used_up",
        None => "active",
    };
    Some(WarrantView {
        leaf: Some(line.leaf.0),
        charter: charter_name(book, line.charter),
        state: state.to_owned(),
        uses: warrant.uses,
        used,
        not_before_ms: warrant.not_before.0,
        not_after_ms: warrant.not_after.0,
        reason: warrant.reason.to_owned(),
        by: warrant.by.iter().map(|name| (*name).to_owned()).collect(),
        key: crate::log::hex::hex(&warrant.key),
    })
}

fn charter_view(line: &CharterLine, now: Timestamp, covered: u64) -> Option<CharterView> {
    let charter = line.charter()?;
    let state = match line.revoked {
        Some(_) => "revoked",
        None if charter.not_after < now => "over",
        None if covered <= line.leaf.0 => "uncovered",
        None => "in_force",
    };
    let resource = |scope| match scope {
        assent_proto::entry::break_glass::ResourceScope::OfType(name) => name.to_owned(),
        assent_proto::entry::break_glass::ResourceScope::One(uid) => uid.to_string(),
    };
    let name =
        |line: &str| OperatorKey::parse(line).map_or_else(|_| line.to_owned(), |key| key.name().to_owned());
    Some(CharterView {
        name: charter.name.to_owned(),
        leaf: line.leaf.0,
        state: state.to_owned(),
        actions: charter.actions.iter().map(|action| action.to_string()).collect(),
        resources: charter.resources.iter().map(resource).collect(),
        principals: charter.principals.iter().map(str::to_owned).collect(),
        closed_s: charter.closed_s,
        window_s: charter.window_max_s,
        uses: charter.uses_max,
        operators: charter.operators.iter().map(name).collect(),
        threshold: charter.threshold,
        not_after_ms: charter.not_after.0,
        by: charter.by.iter().map(|name| (*name).to_owned()).collect(),
    })
}
