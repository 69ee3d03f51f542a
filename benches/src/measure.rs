//! Times, rates and medians.

use std::time::Duration;

use appliance::clock::Stopwatch;

/// How long each of many pieces of work took, the shortest first.
#[derive(Clone, Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    /// In any order.
    pub(crate) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Does the work so many times, and times each; a tenth more before it is not counted.
    pub(crate) fn each(count: usize, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        for _ in 0..count / 10 {
            work()?;
        }
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let watch = Stopwatch::start();
            work()?;
            times.push(watch.elapsed());
        }
        Ok(Self::of(times))
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// One after the other, so many would fit into a second.
    pub(crate) fn a_second(&self) -> f64 {
        let all: Duration = self.0.iter().sum();
        as_f64(self.count()) / all.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The time within which this share of them was done, in microseconds; 0 of none.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        let last = as_f64(self.count().saturating_sub(1));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a place in a list, rounded"
        )]
        let place = (last * share).round() as usize;
        self.0.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    }

    /// The middle one, in microseconds.
    pub(crate) fn p50_us(&self) -> f64 {
        self.quantile_us(0.5)
    }
}

/// How long one piece of work of nanoseconds takes: the best of several spans, each long enough for the clock.
///
/// The best, not the mean: whatever else the machine does only adds.
pub(crate) fn nanoseconds<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut spans = Spans::of(&mut work);
    (0..SPANS).for_each(|depth| spans.time(depth, &mut work));
    spans.nanoseconds()
}

/// The same of two works in turn, so that what the machine does meanwhile is done to both.
pub(crate) fn nanoseconds_in_turn<T, U>(
    mut one: impl FnMut() -> T,
    mut other: impl FnMut() -> U,
) -> (f64, f64) {
    let (mut spans, mut of_other) = (Spans::of(&mut one), Spans::of(&mut other));
    for depth in 0..SPANS {
        spans.time(depth, &mut one);
        of_other.time(depth, &mut other);
    }
    (spans.nanoseconds(), of_other.nanoseconds())
}

const SPAN: Duration = Duration::from_millis(20);
const SPANS: usize = 15;

/// Spans of so many repetitions each, and the best of them.
struct Spans {
    count: u64,
    best: Duration,
}

impl Spans {
    /// Finds out how many repetitions fill one.
    fn of<T>(work: &mut impl FnMut() -> T) -> Self {
        let mut spans = Self { count: 1, best: Duration::MAX };
        while spans.once(work) < SPAN {
            spans.count *= 2;
        }
        spans
    }

    fn once<T>(&self, work: &mut impl FnMut() -> T) -> Duration {
        let watch = Stopwatch::start();
        for _ in 0..self.count {
            std::hint::black_box(work());
        }
        watch.elapsed()
    }

    /// Times one at that depth of the stack. Where its frames lie, by chance, makes a signature up to an eighth slower, for as
    /// long as the process lives; at some depth they lie well.
    fn time<T>(&mut self, depth: usize, work: &mut impl FnMut() -> T) {
        let took = deeper(depth, &mut || self.once(work));
        self.best = self.best.min(took);
    }

    fn nanoseconds(&self) -> f64 {
        self.best.as_secs_f64() * 1e9 / as_f64(usize::try_from(self.count).unwrap_or(usize::MAX))
    }
}

/// Bytes of a step down the stack: with what a frame takes beside them, the steps of all spans cover a page.
const STEP_BYTES: usize = 240;

/// Does the work so many steps down the stack.
#[inline(never)]
fn deeper(steps: usize, work: &mut dyn FnMut() -> Duration) -> Duration {
    let step = std::hint::black_box([0_u8; STEP_BYTES]);
    let took = if steps == 0 { work() } else { deeper(steps - 1, work) };
    std::hint::black_box(&step);
    took
}

/// The middle one of some figures; of an even number, the mean of the two in the middle.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let upper = figures.get(figures.len() / 2)?;
    let lower = figures.get((figures.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// A count, to divide by or to divide.
#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^53")]
pub(crate) const fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let times = Times::of((1..=101).rev().map(Duration::from_micros).collect());
        assert_eq!(
            [0.0, 0.5, 0.99, 1.0].map(|share| times.quantile_us(share).round()),
            [1.0, 51.0, 100.0, 101.0]
        );
        assert_eq!(Times::of(Vec::new()).p50_us(), 0.0);
    }

    #[test]
    fn median_is_the_middle_one() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median(Vec::new()), None);
    }
}
