//! What tickets ask for, for the rows of lists: as the log's holds say it, for the queue keeps of a ticket no more than a line.

use std::sync::Arc;

use assent_proto::entry::Entry;

use super::Console;
use crate::log::reader::Reader;
use crate::queue::desk::TicketView;

/// What a ticket's first intent asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// To do what.
    pub(super) action: String,
    /// On what.
    pub(super) resource: String,
    /// The digest of that intent.
    pub(super) digest: String,
}

impl Console {
    /// What this ticket's first intent asks for.
    pub(super) async fn asked_of(&self, ticket: &TicketView) -> Option<Asked> {
        self.asked(vec![ticket.hold]).await.into_iter().next().flatten()
    }

    /// What is asked at these holds, each by itself; none where it cannot be read. Reads on a thread that may wait for the disk.
    pub(super) async fn asked(&self, holds: Vec<u64>) -> Vec<Option<Asked>> {
        let (desk, count) = (Arc::clone(&self.desk), holds.len());
        let reading = move || {
            let reader = desk.status.sealer.reader();
            holds.into_iter().map(|hold| asked_at(reader, hold)).collect()
        };
        tokio::task::spawn_blocking(reading).await.unwrap_or_else(|_| vec![None; count])
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "no other kind holds an intent")]
fn asked_at(reader: &Reader, hold: u64) -> Option<Asked> {
    let leaves = reader.leaves(hold..hold.saturating_add(1)).ok()?;
    match Entry::parse(leaves.get(0)?).ok()? {
        Entry::Hold(hold) => {
            let (action, resource) = (hold.denial.action.to_string(), hold.denial.resource.to_string());
            Some(Asked { action, resource, digest: hold.denial.intent.to_string() })
        }
        _ => None,
    }
}
