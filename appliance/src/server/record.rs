//! The socket's own record: in which epoch tokens left, and when, first and last.
//!
//! It is kept at the door, by nobody who decides anything, so that a drill can hold it against the boundary's own story.
//! The one rule: the time is taken before the boundary is looked at, and tokens leave only when it is open then. So in the
//! record no token is later than the closing of its epoch, or something is wrong. Bounded: the oldest epochs make room.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::clock::Mark;
use crate::limits::MAX_TRANSITIONS;
use crate::token::TokenBoundary;

/// Tokens that left in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// In which epoch the boundary was open.
    pub epoch: u64,
    /// How many tokens.
    pub tokens: u64,
    /// In how many replies.
    pub replies: u64,
    /// When the first reply left.
    pub first_us: Mark,
    /// When the last reply left.
    pub last_us: Mark,
}

/// What left, by epoch.
#[derive(Debug, Default)]
pub struct Record(Mutex<VecDeque<Released>>);

impl Record {
    /// Whether a reply with so many tokens may leave, which is noted.
    pub(super) fn admit(&self, tokens: u64, boundary: &TokenBoundary) -> bool {
        let mut record = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Mark::now();
        let epoch = boundary.epoch();
        if !boundary.is_open_in(epoch) {
            return false;
        }
        match record.back_mut() {
            Some(last) if last.epoch == epoch.0 => {
                last.tokens += tokens;
                last.replies += 1;
                last.last_us = now;
            }
            _ => {
                if record.len() == MAX_TRANSITIONS {
                    record.pop_front();
                }
                let (first_us, last_us) = (now, now);
                record.push_back(Released { epoch: epoch.0, tokens, replies: 1, first_us, last_us });
            }
        }
        true
    }

    /// What left, oldest epoch first.
    #[must_use]
    pub fn read(&self) -> Vec<Released> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}
