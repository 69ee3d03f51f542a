//! What a commit writes, in one two-phase transaction.

use redb::{Durability, ReadableTable as _, Table};
use serde::Serialize;

use super::pieces::{Cutter, Key, of_rounds};
use super::state::StoredHandOver;
use super::{
    ANSWERS, BatchKey, CLOSED, HANDED_OVER, HEAD, REQUESTS, ROUNDS, RequestRow, STATE, Store, StoreError,
    StoredHead, StoredVolume, VOLUMES, access, round, rows,
};
use crate::limits::{MAX_DROPPED_ROUNDS, SPARE_DROPPED_LEAVES};
use crate::{Commit, SignedCheckpoint};

/// Answers dropped by one commit beyond as many as it adds, so that a burst of old ones drains without a pause.
const SPARE_DROPS: usize = 16;

impl Store {
    /// Writes a round, and the volume that was bound since: durable when this returns without an error, unknown otherwise.
    pub(crate) fn commit(
        &self,
        commit: &Commit<'_>,
        newest: Option<&SignedCheckpoint>,
        bound: Option<(u64, &StoredVolume)>,
    ) -> Result<(), StoreError> {
        let head = StoredHead::after(commit, newest);
        self.write("append to", |write| {
            let mut rounds = write.open_table(ROUNDS)?;
            let mut requests = write.open_table(REQUESTS)?;
            let first = commit.first.0;
            round::write(self.cutter(&mut rounds, first), &commit.leaves, commit.checkpoint.as_ref())?;
            if !commit.requests.is_empty() {
                round::write_requests(self.cutter(&mut requests, first), commit.requests.iter().copied())?;
            }
            record_answers(&mut write.open_table(ANSWERS)?, commit)?;
            rows::change(write, &commit.rows)?;
            let mut volumes = write.open_table(VOLUMES)?;
            if let Some((number, volume)) = bound {
                put_volume(&mut volumes, number, volume)?;
            }
            let ends = volumes.last()?.map_or(0, |(last, _)| (last.value() + 1) << self.height());
            drop_bound(&mut rounds, &mut requests, ends, commit.entries())?;
            let mut state = write.open_table(STATE)?;
            if let Some(handed_over) = StoredHandOver::of(commit) {
                put(&mut state, HANDED_OVER, &handed_over)?;
            }
            put(&mut state, HEAD, &head)
        })
    }

    /// Says that the log was closed in order at this size.
    pub(crate) fn close(&self, size: u64) -> Result<(), StoreError> {
        self.write("close", |write| put(&mut write.open_table(STATE)?, CLOSED, &size))
    }

    /// Says other things of volumes, and replaces rows of requests; the next start checks all of it.
    pub(crate) fn amend(
        &self,
        volumes: &[(u64, StoredVolume)],
        requests: &[RequestRow],
    ) -> Result<(), StoreError> {
        self.write("amend", |write| {
            let mut table = write.open_table(VOLUMES)?;
            for (number, volume) in volumes {
                put_volume(&mut table, *number, volume)?;
            }
            let mut table = write.open_table(REQUESTS)?;
            for RequestRow { round, requests } in requests {
                table.retain_in(of_rounds(*round, *round), |_, _| false)?;
                let frames = requests.iter().map(|(first, frame)| (*first, frame.as_slice()));
                round::write_requests(self.cutter(&mut table, *round), frames)?;
            }
            write.open_table(STATE)?.remove(CLOSED)?;
            Ok(())
        })
    }

    fn cutter<'t, 'w>(&self, table: &'t mut Table<'w, Key, &'static [u8]>, round: u64) -> Cutter<'t, 'w> {
        Cutter::new(table, self.piece_bytes, round)
    }

    pub(super) fn write(
        &self,
        doing: &'static str,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), StoreError> {
        let mut write = self.database.begin_write().map_err(access(doing))?;
        write.set_durability(Durability::Immediate).map_err(access(doing))?;
        write.set_two_phase_commit(true);
        change(&write).map_err(access(doing))?;
        write.commit().map_err(access(doing))
    }
}

/// Takes out rounds all of whose leaves stand in volumes: somewhat more leaves than this commit adds, so that the store does not
/// grow, and no more, for what is taken out is read once more, and no commit is to pay for a whole volume.
fn drop_bound(
    rounds: &mut Table<'_, Key, &'static [u8]>,
    requests: &mut Table<'_, Key, &'static [u8]>,
    bound: u64,
    added: u64,
) -> Result<(), redb::Error> {
    let most = added.saturating_mul(2).saturating_add(SPARE_DROPPED_LEAVES);
    let Some(begin) = first_round(rounds, (0, 0), bound)? else { return Ok(()) };
    let mut end = begin;
    for _ in 0..MAX_DROPPED_ROUNDS {
        // The next one's first leaf is where this one ends.
        let Some(next) = first_round(rounds, (end, u32::MAX), bound)? else { break };
        if end > begin && next - begin > most {
            break;
        }
        end = next;
    }
    if end > begin {
        rounds.retain_in(..(end, 0), |_, _| false)?;
        requests.retain_in(..(end, 0), |_, _| false)?;
    }
    Ok(())
}

/// The first round behind a key that begins no later than at this leaf.
fn first_round(
    rounds: &Table<'_, Key, &'static [u8]>,
    behind: Key,
    last: u64,
) -> Result<Option<u64>, redb::Error> {
    let row = rounds.range(behind..=(last, u32::MAX))?.next().transpose()?;
    Ok(row.map(|(key, _)| key.value().0))
}

fn record_answers(
    table: &mut Table<'_, [u8; 24], &'static [u8]>,
    commit: &Commit<'_>,
) -> Result<(), redb::Error> {
    let mut value = Vec::new();
    for answer in &commit.answers {
        value.clear();
        value.extend_from_slice(&answer.request.0);
        value.push(u8::from(answer.allows));
        value.extend_from_slice(answer.reply);
        table.insert(&answer.key.0, value.as_slice())?;
    }
    let oldest = BatchKey::oldest_current(commit.time);
    for _ in 0..commit.answers.len().saturating_add(SPARE_DROPS) {
        let outdated = table.first()?.is_some_and(|(key, _)| key.value() < oldest.0);
        if !outdated {
            break;
        }
        table.pop_first()?;
    }
    Ok(())
}

fn put_volume(
    table: &mut Table<'_, u64, &'static [u8]>,
    number: u64,
    volume: &StoredVolume,
) -> Result<(), redb::Error> {
    table.insert(number, encoded("volume", volume)?.as_slice())?;
    Ok(())
}

pub(super) fn put<T: Serialize>(
    state: &mut Table<'_, &'static str, &'static [u8]>,
    name: &str,
    value: &T,
) -> Result<(), redb::Error> {
    state.insert(name, encoded(name, value)?.as_slice())?;
    Ok(())
}

fn encoded<T: Serialize>(name: &str, value: &T) -> Result<Vec<u8>, redb::Error> {
    let mut bytes = Vec::new();
    assent_proto::codec::append(value, &mut bytes)
        .map_err(|error| redb::Error::Corrupted(format!("`{name}`: {error}")))?;
    Ok(bytes)
}
