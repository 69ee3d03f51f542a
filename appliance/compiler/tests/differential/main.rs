//! Differential: random bundles, snapshots and requests, answered by Cedar and by us.
//!
//! Reasons, errors and Cedar's decision are always the same, and so is ours where Cedar reports no error; if it reports
//! one, or an entity is absent, or the request fits nothing, ours is not an allow. Which refusal it is, is held against
//! its definition. A generator that only ever denies would prove nothing: the shares are asserted.
//!
//! The seed is printed. `ASSENT_REQUESTS` and `ASSENT_SEED` make another run, `ASSENT_BUNDLE` repeats one bundle of it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "what stands beside the tests may fail as loudly as a test"
)]

mod conditions;
mod dice;
mod expressions;
mod operators;
#[path = "../oracle/mod.rs"]
mod oracle;
mod paths;
mod policies;
mod referee;
mod requests;
mod round;
mod schema;
mod shrinking;
mod templates;
mod values;

use operators::Operators;
use round::Round;

/// Requests where nobody asks for more: about a minute.
const REQUESTS: u64 = 60_000;
const SEED: u64 = 20_261_127;

/// What a run saw.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) bundles: usize,
    pub(crate) policies_tried: usize,
    pub(crate) policies_accepted: usize,
    pub(crate) largest_bundle: usize,
    pub(crate) links: usize,
    pub(crate) requests: u64,
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    pub(crate) held: u64,
    pub(crate) unavailable: u64,
    /// Cedar reports errors, whatever else is the matter.
    pub(crate) with_errors: u64,
    pub(crate) invalid: u64,
    pub(crate) unclassified: u64,
    pub(crate) absent: u64,
    /// Cedar allows, and we do not.
    pub(crate) stricter: u64,
}

impl Tally {
    /// So many in a hundred requests, at least.
    fn assert_share(&self, name: &str, count: u64, percent: u64) {
        let share = count as f64 * 100.0 / self.requests as f64;
        println!("  {name}: {count} ({share:.1} %)");
        assert!(count * 100 >= self.requests * percent, "too few are {name}: {self:?}");
    }

    fn report(&self) {
        let Self { bundles, policies_tried, policies_accepted, largest_bundle, links, requests, .. } = self;
        println!(
            "{requests} requests to {bundles} bundles; {policies_accepted} of {policies_tried} generated policies pass \
             Cedar's validation, {links} of them by a link; the largest bundle has {largest_bundle}"
        );
        assert!(*links > 0, "{self:?}");
        assert!(policies_accepted * 2 > *policies_tried, "{self:?}");
        self.assert_share("allowed", self.allowed, 15);
        self.assert_share("denied by policy", self.denied, 15);
        self.assert_share("held for approval", self.held, 1);
        self.assert_share("unavailable", self.unavailable, 3);
        self.assert_share("with errors", self.with_errors, 5);
        self.assert_share("invalid", self.invalid, 5);
        self.assert_share("unclassified", self.unclassified, 1);
        self.assert_share("naming what is absent", self.absent, 1);
        self.assert_share("allowed by Cedar and refused by us", self.stricter, 2);
    }
}

/// Runs on a stack that is large enough: Cedar's evaluator gives up on a small one.
fn on_large_stack<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    std::thread::Builder::new().stack_size(256 << 20).spawn(run).unwrap().join().unwrap()
}

#[test]
fn random_bundles_are_answered_as_cedar_answers() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("ASSENT_SEED").unwrap_or(SEED);
    let only = number("ASSENT_BUNDLE");
    let requests = number("ASSENT_REQUESTS").unwrap_or(REQUESTS);
    println!("ASSENT_SEED={seed} ASSENT_REQUESTS={requests}");
    let (tally, operators) = on_large_stack(move || {
        let (mut tally, mut operators) = (Tally::default(), Operators::default());
        let mut bundle = only.unwrap_or(0);
        while tally.requests < requests && only.is_none_or(|only| only == bundle) {
            if let Some(difference) = Round::write(seed, bundle).ask(&mut tally, &mut operators) {
                panic!("ASSENT_SEED={seed} ASSENT_BUNDLE={bundle}: {difference}");
            }
            bundle += 1;
        }
        (tally, operators)
    });
    if only.is_none() {
        tally.report();
        operators.report();
    }
}

#[test]
fn a_policy_that_ours_lacks_is_noticed() {
    let noticed = on_large_stack(|| {
        let differs = |bundle: &u64| {
            let mut round = Round::write(SEED, *bundle);
            round.is_incomplete = true;
            round.ask(&mut Tally::default(), &mut Operators::default()).is_some()
        };
        (0..20).filter(differs).count()
    });
    println!("{noticed} of 20 bundles without their first policy answer otherwise");
    assert!(noticed >= 10);
}
