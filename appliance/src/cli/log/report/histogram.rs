//! Counts over time, in steps that grow with the period: memory is bounded whatever the log is.

use std::collections::BTreeMap;

/// Steps that are kept; with more, two become one.
const MAX_STEPS: usize = 4096;
/// The shortest step.
const FIRST_STEP_MS: u64 = 10;

/// What became of intents in a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) allowed: u64,
    pub(super) denied: u64,
    pub(super) held: u64,
    /// Refused because it could not be evaluated, or nothing could be signed.
    pub(super) unavailable: u64,
}

impl Tally {
    pub(super) const fn all(&self) -> u64 {
        self.allowed + self.denied + self.held + self.unavailable
    }

    pub(super) fn add(&mut self, other: &Self) {
        let Self { allowed, denied, held, unavailable } = other;
        self.allowed += allowed;
        self.denied += denied;
        self.held += held;
        self.unavailable += unavailable;
    }
}

/// Tallies by time.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    step_ms: u64,
    /// By the number of the step.
    steps: BTreeMap<u64, Tally>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { step_ms: FIRST_STEP_MS, steps: BTreeMap::new() }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, time_ms: u64, tally: &Tally) {
        self.steps.entry(time_ms / self.step_ms).or_default().add(tally);
        while self.steps.len() > MAX_STEPS {
            self.widen();
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        while self.step_ms < other.step_ms {
            self.widen();
        }
        for (number, tally) in &other.steps {
            self.add(number * other.step_ms, tally);
        }
    }

    fn widen(&mut self) {
        let steps = std::mem::take(&mut self.steps);
        self.step_ms *= 2;
        for (number, tally) in steps {
            self.steps.entry(number / 2).or_default().add(&tally);
        }
    }

    /// At most so many bars from one time to another: what is in each.
    pub(super) fn bars(&self, from_ms: u64, to_ms: u64, most: u64) -> Vec<Tally> {
        let span = to_ms.saturating_sub(from_ms).max(1);
        let count = span.div_ceil(self.step_ms).clamp(1, most);
        let mut bars = vec![Tally::default(); usize::try_from(count).unwrap_or(1)];
        for (number, tally) in &self.steps {
            let at = (number * self.step_ms).saturating_sub(from_ms).min(span - 1);
            let bar = u128::from(at) * u128::from(count) / u128::from(span);
            if let Some(bar) = usize::try_from(bar).ok().and_then(|bar| bars.get_mut(bar)) {
                bar.add(tally);
            }
        }
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_long_the_period_every_intent_is_in_one_bar() {
        let one = Tally { allowed: 1, ..Tally::default() };
        let (mut all, mut other) = (Histogram::default(), Histogram::default());
        for minute in 0..20_000 {
            let half = if minute % 2 == 0 { &mut all } else { &mut other };
            half.add(minute * 60_000, &one);
        }
        all.merge(&other);
        assert!(all.steps.len() <= MAX_STEPS && all.step_ms > 60_000);
        let bars = all.bars(0, 20_000 * 60_000, 100);
        assert_eq!((bars.len(), bars.iter().map(Tally::all).sum::<u64>()), (100, 20_000));
        assert!(bars.iter().all(|bar| bar.all() > 150), "{bars:?}");
    }
}
