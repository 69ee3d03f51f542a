//! Batches: no id of a principal is decided twice, and each answer is kept for as long as its id could be asked again.
//!
//! An id is a time: one that is older than ids may be cannot come back, and is forgotten here as the appliance forgets it. What is
//! allowed under one all the same is found: an agent's id was too old, and what waited under a ticket, whose id is the end of its
//! wait, should have expired. Denials may come as late as they like. So memory is bounded by what is decided in that time, and by a
//! limit; beyond it a repetition could go unseen, which is told. So could one whose entries lie about their time: where that goes
//! back, `times` remarks on it.

use std::collections::BTreeMap;

use assent_proto::limits::MAX_BATCH_AGE_MS;
use assent_proto::number::Timestamp;

use super::beside::{Batch, id_time};
use super::report::Report;
use crate::limits::{MAX_DECIDED_BEHIND_MS, MAX_REMEMBERED_BATCHES};

/// The batches of the last time, in order of their ids.
#[derive(Debug, Default)]
pub(super) struct Batches {
    seen: BTreeMap<[u8; 24], u64>,
    /// The youngest without an answer: when its id was made, and its first entry.
    unanswered: Option<(Timestamp, u64)>,
    forgotten: u64,
}

impl Batches {
    /// A batch was decided, at about this time.
    pub(super) fn take(&mut self, batch: &Batch, now: Timestamp, report: &mut Report) {
        if let Some(before) = self.seen.insert(batch.key, batch.first) {
            report.find(batch.first, format!("this batch was decided before, at {before}"));
        }
        if batch.allows && batch.time().plus_ms(MAX_DECIDED_BEHIND_MS) < batch.decided {
            let behind_s = batch.decided.0.saturating_sub(batch.time().0) / 1000;
            let what =
                format!("allowed {behind_s} s behind the time of the batch's id, which was over by then");
            report.find(batch.first, what);
        }
        if !batch.is_answered {
            self.unanswered = self.unanswered.max(Some((batch.time(), batch.first)));
        }
        let oldest = now.minus_ms(MAX_DECIDED_BEHIND_MS);
        while let Some(first) = self.seen.first_entry() {
            let is_outdated = id_time(first.key()) < oldest;
            if !is_outdated && self.seen.len() <= MAX_REMEMBERED_BATCHES {
                break;
            }
            self.forgotten += u64::from(!is_outdated);
            self.seen.pop_first();
        }
    }

    /// The log is over, and had entries up to this time.
    pub(super) fn end(self, latest: Timestamp, report: &mut Report) {
        if let Some((time, first)) = self.unanswered
            && time.plus_ms(MAX_BATCH_AGE_MS) >= latest
        {
            report.find(
                first,
                "the answer to this batch is missing, though its id could be asked again".to_owned(),
            );
        }
        if self.forgotten > 0 {
            let what = format!("{} batches were too many to be held against repetition", self.forgotten);
            report.remark(report.entries, what);
        }
    }
}
