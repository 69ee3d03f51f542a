//! Erasure of what one principal asked, as an operator orders it: written down first, then done, between two rounds.

use std::sync::Arc;

use assent_proto::limits::MAX_PRINCIPAL_BYTES;
use assent_proto::note::VerifierKey;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::{Message, Sealer, SealerError, SealerHandle};
use crate::disk::Room;
use crate::identity::SpiffeId;
use crate::limits::MAX_REASON_BYTES;
use crate::log::store::StoreError;
use crate::log::{ERASURE_ACT, Erasure};

/// What an operator orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureOrder {
    /// Whose requests are to go: a SPIFFE ID.
    pub principal: String,
    /// Why, for the log.
    pub reason: String,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ErasureAnswer {
    /// They are gone, but for pages of the store that it has not used again yet.
    Erased {
        /// How many.
        requests: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Nothing was erased.
    Refused {
        /// Why.
        reason: String,
    },
}

/// A prepared order on its way to the sealer.
#[derive(Debug)]
pub(in crate::token) struct Request {
    order: ErasureOrder,
    by: String,
    erasure: Erasure,
    answer: oneshot::Sender<ErasureAnswer>,
    /// Nothing else changes volumes until this is dropped, though nobody should wait for the answer any more.
    _alone: OwnedMutexGuard<()>,
}

impl ErasureOrder {
    /// Whether it can stand in an entry, one line for each of its parts.
    fn check(&self) -> Result<(), String> {
        let Self { principal, reason } = self;
        if principal.len() > MAX_PRINCIPAL_BYTES || reason.len() > MAX_REASON_BYTES {
            return Err(format!(
                "the reason may have {MAX_REASON_BYTES} bytes, a principal {MAX_PRINCIPAL_BYTES}"
            ));
        }
        SpiffeId::parse(principal).map_err(|error| {
            format!(
                "the principal is no SPIFFE ID, such as spiffe://shop.example/agent/retail-support: {error}"
            )
        })?;
        if reason.trim().is_empty() || reason.chars().any(char::is_control) {
            return Err("the reason is to be one line of text, for whoever reads the log".to_owned());
        }
        Ok(())
    }
}

/// What an order hears that found no room for its entry.
const NO_ROOM: &str = "nothing was erased, and no entry written: the disk has no room for it; make room (`assent status` says how much is free), and order it again";

fn nothing_of(principal: &str) -> String {
    format!(
        "no request of `{principal}` lies here: nothing was erased, and no entry written; `assent log show` tells the principals as they are written"
    )
}

fn why(error: &StoreError) -> String {
    if let StoreError::Archived { first, end } = error {
        return format!(
            "the leaves from {first} to {end} lie in an archive, and only they tell whose the requests beside them are: stop the appliance, bring them back with `assent log restore`, start it, and erase then"
        );
    }
    if let StoreError::File { source, .. } = error
        && source.kind() == std::io::ErrorKind::StorageFull
    {
        return NO_ROOM.to_owned();
    }
    error.to_string()
}

impl SealerHandle {
    /// Erases what a principal asked; the long part of it beside the sealer. Waits while another erasure is under way. None
    /// when the sealer has ended.
    pub async fn erase(&self, order: ErasureOrder, by: String) -> Option<ErasureAnswer> {
        if let Err(reason) = order.check() {
            return Some(ErasureAnswer::Refused { reason });
        }
        let alone = Arc::clone(&self.volumes).lock_owned().await;
        let (reader, principal, space) = (self.reader.clone(), order.principal.clone(), self.space.clone());
        // The guard goes along: the thread goes on where whoever asked has left.
        let prepare = move || (reader.prepare_erasure(&principal, |bytes| space.leaves_enough(bytes)), alone);
        let (prepared, alone) = tokio::task::spawn_blocking(prepare).await.ok()?;
        let erasure = match prepared {
            Ok(erasure) if erasure.finds_any() => erasure,
            Ok(_) => return Some(ErasureAnswer::Refused { reason: nothing_of(&order.principal) }),
            Err(error) => return Some(ErasureAnswer::Refused { reason: why(&error) }),
        };
        let (answer, answered) = oneshot::channel();
        let request = Box::new(Request { order, by, erasure, answer, _alone: alone });
        self.outbox.try_send(Message::Erase(request)).ok()?;
        answered.await.ok()
    }
}

impl Sealer {
    /// The entry first: what is gone without a word would be missed by nobody.
    pub(super) fn erase(&mut self, request: Request, key: &VerifierKey<'_>) -> Result<(), SealerError> {
        let Request { order: ErasureOrder { principal, reason }, by, erasure, answer, _alone } = request;
        let statement = format!("principal {principal}\nreason {reason}\n");
        if self.look_for_room() < Room::Low || !self.write_down((ERASURE_ACT, by, statement), key)? {
            self.log.reader().give_up(erasure);
            let _ = answer.send(ErasureAnswer::Refused { reason: NO_ROOM.to_owned() });
            return Ok(());
        }
        let erased = self.disk.over(|| self.log.erase(erasure))?;
        tracing::warn!(principal, requests = erased.requests, "an operator had requests erased");
        let _ = answer.send(ErasureAnswer::Erased { requests: erased.requests, bytes: erased.bytes });
        Ok(())
    }
}
