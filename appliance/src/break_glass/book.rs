//! The book: charters, warrants, uses and reviews as the last commit left them.
//!
//! It follows what is durable and never runs ahead of it. A number that is in it is used up; one that is not was never given.

use std::collections::BTreeMap;

use assent_proto::entry::{Charter, Entry, Warrant};
use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, Timestamp};

use super::act::{Act, Kind};
use super::line::{Change, CharterKept, CharterLine, Line, UseLine, WarrantKept, WarrantLine};

/// What is durably known.
#[derive(Debug, Default)]
pub(super) struct Book {
    charters: BTreeMap<u64, CharterLine>,
    warrants: BTreeMap<u64, WarrantLine>,
    uses: BTreeMap<(u64, u16), UseLine>,
}

impl CharterLine {
    /// What it says; none for bytes that are no charter, which were never taken.
    pub(super) fn charter(&self) -> Option<Charter<'_>> {
        match Entry::parse(&self.bytes) {
            Ok(Entry::Charter(charter)) => Some(charter),
            Ok(_) | Err(_) => None,
        }
    }

    pub(super) fn hash(&self) -> Hash {
        Hash::of_leaf(&self.bytes)
    }

    /// Whether no warrant may be activated under it any more.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.revoked.is_some() || self.charter().is_none_or(|charter| charter.not_after < now)
    }
}

impl WarrantLine {
    /// What it says; none for bytes that are no warrant, which were never taken.
    pub(super) fn warrant(&self) -> Option<Warrant<'_>> {
        match Entry::parse(&self.bytes) {
            Ok(Entry::Warrant(warrant)) => Some(warrant),
            Ok(_) | Err(_) => None,
        }
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.ended.is_some() || self.warrant().is_none_or(|warrant| warrant.not_after < now)
    }
}

impl Book {
    pub(super) fn take(&mut self, line: Line) {
        match line {
            Line::Charter(line) => drop(self.charters.insert(line.leaf.0, line)),
            Line::Warrant(line) => drop(self.warrants.insert(line.leaf.0, line)),
            Line::Use(line) => drop(self.uses.insert((line.warrant.0, line.number), line)),
        }
    }

    /// Takes over what a commit changed. To be called when it is durable.
    pub(super) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Charter(kept) => self.take(Line::Charter(kept.0)),
                Change::Warrant(kept) => self.take(Line::Warrant(kept.0)),
                Change::Use(line) => self.take(Line::Use(line)),
                Change::CharterForgotten(leaf) => drop(self.charters.remove(&leaf.0)),
                Change::WarrantForgotten(leaf, _) => {
                    self.warrants.remove(&leaf.0);
                    self.uses.retain(|(warrant, _), _| *warrant != leaf.0);
                }
            }
        }
    }

    pub(super) fn charters(&self) -> impl Iterator<Item = &CharterLine> {
        self.charters.values()
    }

    pub(super) fn charter(&self, leaf: LeafIndex) -> Option<&CharterLine> {
        self.charters.get(&leaf.0)
    }

    /// The charter of this name under which warrants may be activated; else the last that had it.
    pub(super) fn named(&self, name: &str, now: Timestamp) -> Option<&CharterLine> {
        let has_it = |line: &&CharterLine| line.charter().is_some_and(|charter| charter.name == name);
        let of_name: Vec<&CharterLine> = self.charters().filter(has_it).collect();
        of_name.iter().rev().find(|line| !line.is_over(now)).or(of_name.last()).copied()
    }

    pub(super) fn warrants(&self) -> impl DoubleEndedIterator<Item = &WarrantLine> {
        self.warrants.values()
    }

    pub(super) fn warrant(&self, leaf: LeafIndex) -> Option<&WarrantLine> {
        self.warrants.get(&leaf.0)
    }

    /// The warrant that lives.
    pub(super) fn active(&self, now: Timestamp) -> Option<&WarrantLine> {
        self.warrants().rev().find(|line| !line.is_over(now))
    }

    /// The warrant of this key.
    pub(super) fn of_key(&self, key: &[u8; 32]) -> Option<&WarrantLine> {
        self.warrants().find(|line| line.warrant().is_some_and(|warrant| warrant.key == *key))
    }

    /// The uses of a warrant, by their numbers.
    pub(super) fn uses_of(&self, warrant: LeafIndex) -> impl Iterator<Item = &UseLine> {
        self.uses.range((warrant.0, 0)..=(warrant.0, u16::MAX)).map(|(_, line)| line)
    }

    /// How many uses of a warrant were made; the next has the number behind.
    pub(super) fn used(&self, warrant: LeafIndex) -> u16 {
        self.uses_of(warrant).last().map_or(0, |line| line.number)
    }

    /// Whether another use may be made of it.
    pub(super) fn has_uses_left(&self, line: &WarrantLine) -> bool {
        line.warrant().is_some_and(|warrant| self.used(line.leaf) < warrant.uses)
    }

    pub(super) fn uses(&self) -> impl Iterator<Item = &UseLine> {
        self.uses.values()
    }

    /// The use that this allow is.
    pub(super) fn use_at(&self, leaf: LeafIndex) -> Option<&UseLine> {
        self.uses().find(|line| line.leaf == leaf)
    }

    /// Uses under a charter that nobody has reviewed.
    pub(super) fn unreviewed(&self, charter: LeafIndex) -> impl Iterator<Item = &UseLine> {
        let under = move |line: &&UseLine| self.warrant(line.warrant).is_some_and(|of| of.charter == charter);
        self.uses().filter(|line| line.review.is_none()).filter(under)
    }

    /// What an act changes, whose entry is this leaf at this index.
    pub(super) fn changes(&self, act: &Act, index: LeafIndex, leaf: &[u8], now: Timestamp) -> Vec<Change> {
        match &act.0 {
            Kind::Charter(_) => {
                let line = CharterLine { leaf: index, bytes: leaf.to_vec(), revoked: None };
                let mut changes = self.forgettable_charters(now);
                changes.push(Change::Charter(Box::new(CharterKept(line))));
                changes
            }
            Kind::Revoked { charter, .. } => {
                let known = self.charter(*charter).cloned();
                let revoked = known.map(|line| CharterLine { revoked: Some(index), ..line });
                revoked.map(|line| Change::Charter(Box::new(CharterKept(line)))).into_iter().collect()
            }
            Kind::Warrant(prototype, signers) => {
                let Ok(Entry::Warrant(Warrant { charter, .. })) = Entry::parse(prototype) else {
                    return Vec::new();
                };
                let (bytes, signers) = (leaf.to_vec(), signers.clone());
                let line = WarrantLine { leaf: index, charter, bytes, signers, ended: None };
                // All their uses were reviewed, or there would be no other one.
                let mut changes = self.forgotten_warrants(charter);
                changes.push(Change::Warrant(Box::new(WarrantKept(line))));
                changes
            }
            Kind::Ended { warrant, .. } => {
                let known = self.warrant(*warrant).cloned();
                let ended = known.map(|line| WarrantLine { ended: Some(index), ..line });
                ended.map(|line| Change::Warrant(Box::new(WarrantKept(line)))).into_iter().collect()
            }
            Kind::Review(prototype) => {
                let Ok(Entry::Review(review)) = Entry::parse(prototype) else { return Vec::new() };
                let used = self.use_at(review.used).map(|line| UseLine { review: Some(index), ..*line });
                used.map(Change::Use).into_iter().collect()
            }
        }
    }

    fn forgotten_warrants(&self, charter: LeafIndex) -> Vec<Change> {
        let under = self.warrants().filter(|line| line.charter == charter);
        under.map(|line| Change::WarrantForgotten(line.leaf, self.used(line.leaf))).collect()
    }

    /// Charters that are over, with nothing under them that lives or is to be reviewed.
    fn forgettable_charters(&self, now: Timestamp) -> Vec<Change> {
        let is_done = |line: &&CharterLine| {
            let lives = self.warrants().any(|of| of.charter == line.leaf && !of.is_over(now));
            line.is_over(now) && !lives && self.unreviewed(line.leaf).next().is_none()
        };
        let done = self.charters().filter(is_done);
        done.flat_map(|line| {
            let mut changes = self.forgotten_warrants(line.leaf);
            changes.push(Change::CharterForgotten(line.leaf));
            changes
        })
        .collect()
    }
}
