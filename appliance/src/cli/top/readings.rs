//! What the appliance said so far, and what follows from two readings in a row. Time is an argument.

use std::collections::VecDeque;

use assent_proto::number::Timestamp;

use crate::limits::MAX_TOP_READINGS;
use crate::serving::status::{Latency, Status};
use crate::token::Reading;

/// Between how many readings latencies are told of: a minute, asked every second. A p99 of two readings would be of a handful.
const LATENCY_READINGS: usize = 60;

/// What happened between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    /// Tokens a second.
    pub(super) tokens: u64,
    /// Entries about intents a second.
    pub(super) entries: u64,
    /// Rounds in ten seconds, so that slow ones show.
    pub(super) rounds_in_ten: u64,
    /// Signatures in ten seconds.
    pub(super) signatures_in_ten: u64,
    /// Entries a round; none without a round.
    pub(super) a_round: Option<u64>,
}

/// Everything that is drawn.
#[derive(Debug)]
pub(super) struct Readings {
    /// The newest answer.
    pub(super) latest: Option<Box<Status>>,
    /// From the oldest to the newest.
    pub(super) rates: VecDeque<Rates>,
    /// Since when there is no answer, and why.
    pub(super) silent: Option<(Timestamp, String)>,
    /// Whether the picture stands still.
    pub(super) paused: bool,
    /// Whether the keys are explained.
    pub(super) help: bool,
    /// How long everything took by each of the last readings, counted since the start of the appliance.
    latencies: VecDeque<Latency>,
    /// When the newest answer came, or the watch began.
    heard: Timestamp,
}

impl Readings {
    /// None yet.
    pub(super) const fn new(now: Timestamp) -> Self {
        let rates = VecDeque::new();
        let latencies = VecDeque::new();
        Self { latest: None, rates, silent: None, paused: false, help: false, latencies, heard: now }
    }

    /// Takes an answer, or that there is none.
    pub(super) fn take(&mut self, told: Result<Box<Status>, String>, now: Timestamp) {
        let status = match told {
            Ok(status) => status,
            Err(why) => {
                // Silence is told even while the picture stands still: it is no answer to look at.
                self.silent = Some((self.heard, why));
                return;
            }
        };
        self.silent = None;
        self.heard = now;
        if self.paused {
            return;
        }
        if let Some(before) = &self.latest {
            let ms = status.now_ms.saturating_sub(before.now_ms);
            match Rates::between(&before.counters, &status.counters, ms) {
                Some(rates) => {
                    if self.rates.len() >= MAX_TOP_READINGS {
                        self.rates.pop_front();
                    }
                    self.rates.push_back(rates);
                }
                // Another process counts from nothing.
                None => {
                    self.rates.clear();
                    self.latencies.clear();
                }
            }
        }
        if self.latencies.len() > LATENCY_READINGS {
            self.latencies.pop_front();
        }
        self.latencies.push_back(status.latency.clone());
        self.latest = Some(status);
    }

    /// How long it took of late: between the oldest and the newest of the last readings.
    pub(super) fn latency(&self) -> Option<Latency> {
        let (before, now) = (self.latencies.front()?, self.latencies.back()?);
        let (signature, answer) =
            (now.signature.since(&before.signature)?, now.answer.since(&before.answer)?);
        Some(Latency { signature, answer })
    }

    /// The newest rates.
    pub(super) fn newest(&self) -> Option<Rates> {
        self.rates.back().copied()
    }
}

impl Rates {
    /// What happened in so many milliseconds; nothing can be said where a counter fell or no time passed.
    fn between(before: &Reading, after: &Reading, ms: u64) -> Option<Self> {
        let more = |counter: fn(&Reading) -> u64| counter(after).checked_sub(counter(before));
        let tokens = more(|reading| reading.tokens_released)?;
        let entries = more(|reading| reading.entries)?;
        let rounds = more(|reading| reading.rounds)?;
        let signatures = more(|reading| reading.signatures)?;
        let rate = |count: u64, seconds: u64| count.saturating_mul(seconds * 1000).checked_div(ms);
        Some(Self {
            tokens: rate(tokens, 1)?,
            entries: rate(entries, 1)?,
            rounds_in_ten: rate(rounds, 10)?,
            signatures_in_ten: rate(signatures, 10)?,
            a_round: entries.checked_div(rounds),
        })
    }
}
