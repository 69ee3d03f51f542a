//! The store as it is at one commit, whatever is appended meanwhile.

use std::ops::Range;

use assent_proto::number::LeafIndex;
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable as _};
use serde::{Deserialize, Serialize};

use super::pieces::{Key, joined, of_rounds};
use super::state::StoredHandOver;
use super::{
    HANDED_OVER, HEAD, REQUESTS, ROUNDS, STATE, Store, StoreError, StoredHead, StoredRound, StoredVolume,
    VOLUMES, access, round,
};
use crate::SignedCheckpoint;

/// One commit's view of the store. While it lives, pages of older commits are kept.
pub(crate) struct Snapshot {
    read: ReadTransaction,
}

/// The requests that a round answered.
pub(crate) struct RequestRow {
    /// Index of the round's first leaf.
    pub(crate) round: u64,
    /// Each with the index of its first entry.
    pub(crate) requests: Vec<(LeafIndex, Vec<u8>)>,
}

impl Store {
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot { read: self.database.begin_read().map_err(access("read"))? })
    }
}

impl Snapshot {
    pub(super) const fn transaction(&self) -> &ReadTransaction {
        &self.read
    }

    pub(super) fn state_if_any<T: for<'de> Deserialize<'de> + Serialize>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let table = self.read.open_table(STATE).map_err(access("read"))?;
        let Some(value) = table.get(name).map_err(access("read"))? else { return Ok(None) };
        assent_proto::codec::parse(value.value()).map(Some).map_err(|_| StoreError::Unreadable(name))
    }

    pub(crate) fn head(&self) -> Result<StoredHead, StoreError> {
        self.state_if_any(HEAD)?.ok_or(StoreError::Unreadable(HEAD))
    }

    pub(crate) fn newest(&self, head: &StoredHead) -> Result<Option<SignedCheckpoint>, StoreError> {
        Ok(head.newest(self.state_if_any::<StoredHandOver>(HANDED_OVER)?.as_ref()))
    }

    /// How many volumes there are.
    pub(crate) fn volumes(&self) -> Result<u64, StoreError> {
        let table = self.read.open_table(VOLUMES).map_err(access("read"))?;
        let last = table.last().map_err(access("read"))?;
        Ok(last.map_or(0, |(number, _)| number.value().saturating_add(1)))
    }

    pub(crate) fn volume(&self, number: u64) -> Result<StoredVolume, StoreError> {
        let table = self.read.open_table(VOLUMES).map_err(access("read"))?;
        let row = table.get(number).map_err(access("read"))?;
        let row = row.ok_or(StoreError::Unreadable("volume"))?;
        assent_proto::codec::parse(row.value()).map_err(|_| StoreError::Unreadable("volume"))
    }

    /// The round that the store holds from the leaf at this index on, or in the middle of which it stands.
    pub(crate) fn round_around(&self, index: u64) -> Result<Option<StoredRound>, StoreError> {
        let table = self.read.open_table(ROUNDS).map_err(access("read"))?;
        let Some(first) = last_round(&table, index)? else { return Ok(None) };
        let mut rounds = joined(&table, of_rounds(first, first), "round")?;
        let round =
            rounds.next().transpose()?.map(|(first, bytes)| parse_round(first, &bytes)).transpose()?;
        Ok(round.filter(|round| round.end() > index))
    }

    /// The rounds that the store holds whose first leaf has this index or a higher one.
    pub(crate) fn rounds_from(
        &self,
        first: u64,
    ) -> Result<impl Iterator<Item = Result<StoredRound, StoreError>> + use<>, StoreError> {
        let table = self.read.open_table(ROUNDS).map_err(access("read"))?;
        let rounds = joined(&table, of_rounds(first, u64::MAX), "round")?;
        Ok(rounds.map(|round| {
            let (first, bytes) = round?;
            parse_round(first, &bytes)
        }))
    }

    /// The requests of the rounds that may reach into `range`.
    pub(crate) fn request_rows(
        &self,
        range: Range<u64>,
    ) -> Result<impl Iterator<Item = Result<RequestRow, StoreError>> + use<>, StoreError> {
        let table = self.read.open_table(REQUESTS).map_err(access("read"))?;
        let around = last_round(&table, range.start)?.unwrap_or(range.start);
        let rows = joined(&table, of_rounds(around, range.end.saturating_sub(1)), "request")?;
        Ok(rows.map(|row| {
            let (round, bytes) = row?;
            let requests = round::parse_requests(&bytes).ok_or(StoreError::Unreadable("request"))?;
            Ok(RequestRow { round, requests })
        }))
    }
}

/// The last round that begins no later than at this leaf.
fn last_round(table: &ReadOnlyTable<Key, &'static [u8]>, index: u64) -> Result<Option<u64>, StoreError> {
    let row = table.range(of_rounds(0, index)).map_err(access("read"))?.next_back();
    Ok(row.transpose().map_err(access("read"))?.map(|(key, _)| key.value().0))
}

fn parse_round(first: u64, blob: &[u8]) -> Result<StoredRound, StoreError> {
    StoredRound::parse(LeafIndex(first), blob).ok_or(StoreError::Unreadable("round"))
}
