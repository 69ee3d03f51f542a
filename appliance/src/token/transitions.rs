//! Transitions: when the token boundary closed and opened, the last of them, to the microsecond.
//!
//! The log says what happened, and may be copied; this says how fast, to whoever rehearses it on the same machine. It is
//! forgotten when the process ends. Bounded: the oldest make room.

use std::collections::VecDeque;

use assent_proto::number::{Epoch, Timestamp};
use serde::{Deserialize, Serialize};

use super::cause::Cause;
use crate::clock::{Mark, Stamp};
use crate::hsm::FaultClass;
use crate::limits::MAX_TRANSITIONS;

/// The boundary closed, or opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The epoch that began with a closing, or that opened.
    pub epoch: u64,
    /// Whether it is open from here on.
    pub open: bool,
    /// Why it closed, as a bounded label; none where it opened.
    pub cause: Option<String>,
    /// Who may re-arm after it; none where it opened.
    pub class: Option<FaultClass>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// When, by the machine's own clock.
    pub mark_us: Mark,
}

/// The last transitions, oldest first.
#[derive(Debug, Default)]
pub(super) struct Transitions(VecDeque<Transition>);

impl Transitions {
    pub(super) fn closed(&mut self, epoch: Epoch, cause: &Cause, at: Stamp) {
        self.push(epoch, Some(cause), at);
    }

    pub(super) fn opened(&mut self, epoch: Epoch, at: Stamp) {
        self.push(epoch, None, at);
    }

    fn push(&mut self, Epoch(epoch): Epoch, cause: Option<&Cause>, at: Stamp) {
        let Stamp { time: Timestamp(at_ms), mark: mark_us } = at;
        if self.0.len() == MAX_TRANSITIONS {
            self.0.pop_front();
        }
        self.0.push_back(Transition {
            epoch,
            open: cause.is_none(),
            cause: cause.map(|cause| cause.kind.to_owned()),
            class: cause.map(|cause| cause.class),
            at_ms,
            mark_us,
        });
    }

    pub(super) fn all(&self) -> Vec<Transition> {
        self.0.iter().cloned().collect()
    }
}
