//! Draining: what waits is decided when the boundaries are open, in its turn, and ended when its time is over.
//!
//! Paced: only so many intents of the queue are in the sealer's hands at once, so that a fresh intent waits for a short round
//! and not for the queue.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};

use super::Queue;
use crate::clock::Clock;
use crate::limits::{QUEUE_INTENTS_IN_FLIGHT, QUEUE_POLL, QUEUE_RETRY_PAUSE};
use crate::pipeline::{Outcome, Pipeline};
use crate::token::TokenBoundary;

/// What it takes to drain.
#[derive(Clone, Debug)]
pub struct Drainer {
    queue: Arc<Queue>,
    pipeline: Arc<Pipeline>,
    boundary: Arc<TokenBoundary>,
    clock: Clock,
}

/// What is in the sealer's hands.
#[derive(Debug, Default)]
struct Flight {
    tickets: JoinSet<(u32, Outcome)>,
    intents: u32,
}

impl Flight {
    /// Takes in a ticket that has landed, and all others that have by now. Gives whether any of them waits on: a trip brings back
    /// all that were under way, and one pause is for all.
    fn land(&mut self, first: Result<(u32, Outcome), JoinError>) -> bool {
        let (mut landed, mut waits_on) = (Some(first), false);
        while let Some(ticket) = landed {
            if let Ok((intents, outcome)) = ticket {
                self.intents = self.intents.saturating_sub(intents);
                waits_on |= matches!(outcome, Outcome::WaitsOn);
            }
            landed = self.tickets.try_join_next();
        }
        waits_on
    }
}

/// How far the queue could be taken in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filled {
    /// There is no more to take.
    Whole,
    /// As much is under way as may be.
    Up,
    /// The appliance is stopping.
    Stopping,
}

impl Drainer {
    /// Drains this queue through that pipeline.
    #[must_use]
    pub fn new(queue: Arc<Queue>, pipeline: Arc<Pipeline>, clock: Clock) -> Self {
        let boundary = Arc::clone(pipeline.boundary());
        Self { queue, pipeline, boundary, clock }
    }

    /// Drains until the task is dropped, or the appliance stops.
    pub async fn run(self) {
        let mut flight = Flight::default();
        let mut standing = self.boundary.subscribe();
        loop {
            let filled = self.fill(&mut flight).await;
            if filled == Filled::Stopping {
                return;
            }
            tokio::select! {
                Some(landed) = flight.tickets.join_next() => {
                    if flight.land(landed) {
                        // WAIT: a boundary has closed meanwhile, most likely; whoever tried at once would only spin.
                        tokio::time::sleep(QUEUE_RETRY_PAUSE).await;
                    }
                }
                () = self.queue.news(), if filled == Filled::Whole => {}
                _ = standing.changed() => {}
                // WAIT: nothing tells that a time is over but the time.
                () = tokio::time::sleep(QUEUE_POLL) => {}
            }
        }
    }

    /// Hands over what can be decided or has expired, one after the other in its turn, up to what may be under way.
    async fn fill(&self, flight: &mut Flight) -> Filled {
        while flight.intents < QUEUE_INTENTS_IN_FLIGHT {
            let (intents, pending) = if let Some((ended, refusal)) = self.queue.next_ended(self.clock.now()) {
                (ended.line().intents, self.pipeline.end_wait(ended, refusal).await)
            } else if self.pipeline.is_open()
                && let Some(next) = self.queue.next()
            {
                (next.line().intents, self.pipeline.decide_again(next).await)
            } else {
                return Filled::Whole;
            };
            let Some(pending) = pending else { return Filled::Stopping };
            let intents = intents.max(1);
            flight.intents = flight.intents.saturating_add(intents);
            flight.tickets.spawn(async move { (intents, pending.outcome().await) });
        }
        Filled::Up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_come_back_together_are_one_pause() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut flight = Flight::default();
            for _ in 0..QUEUE_INTENTS_IN_FLIGHT / 2 {
                flight.tickets.spawn(async { (2, Outcome::WaitsOn) });
                flight.intents += 2;
            }
            // Tasks of this runtime run in the order in which they began: behind this one all have landed.
            tokio::spawn(async {}).await.unwrap();
            let first = flight.tickets.join_next().await.unwrap();
            assert!(flight.land(first), "they wait on");
            assert_eq!((flight.intents, flight.tickets.len()), (0, 0), "none is left for another pause");
        });
    }
}
