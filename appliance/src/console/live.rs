//! What is told live: one reading of the appliance a second, for all who look on, and at once when the token boundary changes.
//!
//! The one rule: what happens in the appliance costs this nothing. It reads counters at its own pace, whatever their rate; who
//! looks on waits for the newest reading and is told no older one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Console;
use crate::limits::{CONSOLE_BEAT, CONSOLE_LEAST_BEAT, MAX_CONSOLE_SAMPLES};
use crate::meters::{Bound, Spread};
use crate::serving::status::Status;

/// What happened between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When the later one was made, in milliseconds since 1970.
    pub at_ms: u64,
    /// Tokens released a second.
    pub tokens: f64,
    /// Entries written a second.
    pub entries: f64,
    /// Entries in a round, on average; 0 where there was none.
    pub round: f64,
    /// Intents that wait, at the later reading.
    pub waiting: u64,
    /// Whether all boundaries were open then.
    pub open: bool,
    /// How long the HSM took for a signature.
    pub signature: Tail,
    /// How long from a batch's last byte to its answer.
    pub answer: Tail,
}

/// How long something took between two readings; none where it did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tail {
    /// For half of them.
    pub p50: Option<Bound>,
    /// For all but one of a hundred.
    pub p99: Option<Bound>,
}

impl Tail {
    fn between(before: &Spread, after: &Spread) -> Self {
        let at = |of_1000| after.since(before)?.quantile(of_1000);
        Self { p50: at(500), p99: at(990) }
    }
}

/// A reading, with what led to it.
#[derive(Clone, Debug)]
pub struct Moment {
    /// How the appliance is.
    pub status: Status,
    /// The last minutes, oldest first.
    pub samples: VecDeque<Sample>,
}

/// The newest reading, for whoever waits for it.
#[derive(Debug)]
pub struct Live(watch::Sender<Option<Arc<Moment>>>);

impl Default for Live {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Live {
    /// Hears every reading from now on.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Moment>>> {
        self.0.subscribe()
    }

    /// The newest one.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<Moment>> {
        self.0.borrow().clone()
    }
}

/// Reads on until the task is dropped.
pub async fn run(console: Arc<Console>) {
    let mut boundary = console.desk.status.sealer.boundary().subscribe();
    let mut before: Option<Arc<Moment>> = None;
    loop {
        let status = console.status();
        let mut samples = before.as_ref().map(|moment| moment.samples.clone()).unwrap_or_default();
        if let Some(before) = &before {
            samples.push_back(between(&before.status, &status));
            if samples.len() > MAX_CONSOLE_SAMPLES {
                samples.pop_front();
            }
        }
        let moment = Arc::new(Moment { status, samples });
        console.live.0.send_replace(Some(Arc::clone(&moment)));
        before = Some(moment);
        // However often the boundary changes, what is told of it is bounded.
        tokio::time::sleep(CONSOLE_LEAST_BEAT).await;
        let _ =
            tokio::time::timeout(CONSOLE_BEAT.saturating_sub(CONSOLE_LEAST_BEAT), boundary.changed()).await;
    }
}

fn between(before: &Status, after: &Status) -> Sample {
    let took = Duration::from_millis(after.now_ms.saturating_sub(before.now_ms)).as_secs_f64();
    let grown = |of: fn(&Status) -> u64| decimal(of(after).saturating_sub(of(before)));
    let a_second = |count: f64| if took > 0.0 { count / took } else { 0.0 };
    let (entries, rounds) = (grown(|status| status.counters.entries), grown(|status| status.counters.rounds));
    let boundaries = &after.boundaries;
    Sample {
        at_ms: after.now_ms,
        tokens: a_second(grown(|status| status.counters.tokens_released)),
        entries: a_second(entries),
        round: if rounds > 0.0 { entries / rounds } else { 0.0 },
        waiting: after.queue.queued.iter().sum::<u64>() + after.queue.awaiting_approval,
        open: boundaries.intent.open && boundaries.evaluation.open && boundaries.token.open,
        signature: Tail::between(&before.latency.signature, &after.latency.signature),
        answer: Tail::between(&before.latency.answer, &after.latency.answer),
    }
}

/// A count as a number that can be divided: exact up to four thousand million, which no second brings.
fn decimal(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
