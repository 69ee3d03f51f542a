//! The answers that were recorded, to be given again to whoever asks again.

use assent_proto::hash::Hash;
use redb::{ReadOnlyTable, ReadableDatabase as _};

use super::{ANSWERS, BatchKey, Store, StoreError, access};

/// A recorded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Digest of the request that it answers.
    pub request: Hash,
    /// Whether it carries tokens.
    pub allows: bool,
    /// The reply frame.
    pub reply: Vec<u8>,
}

/// All answers as they were at one commit. While it lives, pages of older commits are kept.
///
/// To open the table costs as much as to look for several batches in it, so whoever looks for many opens it once.
pub struct Answers(ReadOnlyTable<[u8; 24], &'static [u8]>);

impl std::fmt::Debug for Answers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answers(..)")
    }
}

impl Answers {
    /// The answer to a batch, where one was recorded.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, key: &BatchKey) -> Result<Option<Answer>, StoreError> {
        let Some(value) = self.0.get(&key.0).map_err(access("read"))? else {
            return Ok(None);
        };
        let (request, rest) =
            value.value().split_first_chunk::<32>().ok_or(StoreError::Unreadable("answer"))?;
        let (allows, reply) = rest.split_first().ok_or(StoreError::Unreadable("answer"))?;
        Ok(Some(Answer { request: Hash(*request), allows: *allows != 0, reply: reply.to_vec() }))
    }
}

impl Store {
    /// The answers that are recorded by now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn answers(&self) -> Result<Answers, StoreError> {
        let read = self.database.begin_read().map_err(access("read"))?;
        Ok(Answers(read.open_table(ANSWERS).map_err(access("read"))?))
    }

    /// The recorded answer of a batch.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn answer(&self, key: &BatchKey) -> Result<Option<Answer>, StoreError> {
        self.answers()?.get(key)
    }
}
