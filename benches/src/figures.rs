//! Figures: what one run measured, what follows from it, and what is asked of that.
//!
//! A figure has a name, which is its key in the JSON. A ratio is made of figures of the same run; what is told is the median
//! over all runs.

use std::collections::BTreeMap;

use crate::measure::median;
use crate::setting::Setting;

/// What one run measured, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run(BTreeMap<String, f64>);

impl Run {
    /// Notes a figure.
    pub(crate) fn note(&mut self, name: impl Into<String>, figure: f64) {
        self.0.insert(name.into(), figure);
    }

    /// A figure, where it was measured.
    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    fn ratio(&self, above: &str, below: &str) -> Option<f64> {
        Some(self.get(above)? / self.get(below)?)
    }
}

/// What is asked of a ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// At least this much.
    Floor(f64),
    /// At most this much.
    Ceiling(f64),
}

impl Bound {
    /// Whether a figure keeps it.
    pub(crate) fn holds(self, figure: f64) -> bool {
        match self {
            Self::Floor(floor) => figure >= floor,
            Self::Ceiling(ceiling) => figure <= ceiling,
        }
    }
}

/// What is asked, and how it follows from the figures of one run.
pub(crate) struct Target {
    /// Its key in the JSON.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) what: &'static str,
    pub(crate) bound: Bound,
    of: fn(&Run) -> Option<f64>,
}

/// All that is asked.
pub(crate) const TARGETS: &[Target] = &[
    Target {
        name: "batch_1024_over_raw_sign",
        what: "tokens in batches of 1,024 / raw C_Sign on one thread",
        bound: Bound::Floor(60.0),
        of: |run| run.ratio("batch_1024_a_second", "raw_sign_a_second"),
    },
    Target {
        name: "batch_1024_over_plain_peer",
        what: "the same / approvals of a straightforward peer",
        bound: Bound::Floor(60.0),
        of: |run| run.ratio("batch_1024_a_second", "plain_peer_a_second"),
    },
    Target {
        name: "batch_1024_over_cerbos",
        what: "the same / decisions of Cerbos, unsigned and unlogged",
        bound: Bound::Floor(12.0),
        of: |run| run.ratio("batch_1024_a_second", "cerbos_a_second"),
    },
    Target {
        name: "tokens_per_second_at_114_ms",
        what: "tokens a second at 114 ms a signature",
        bound: Bound::Floor(100_000.0),
        of: |run| run.get("paced_114_ms_a_second"),
    },
    Target {
        name: "lone_p50_over_parts",
        what: "lone intent p50 / C_Sign, commit and echo p50",
        bound: Bound::Ceiling(1.5),
        of: |run| {
            let parts = run.get("raw_sign_p50_us")? + run.get("commit_p50_us")? + run.get("echo_p50_us")?;
            Some(run.get("lone_p50_us")? / parts)
        },
    },
    Target {
        name: "lone_p99_ms",
        what: "lone intent p99, ms",
        bound: Bound::Ceiling(5.0),
        of: |run| Some(run.get("lone_p99_us")? / 1000.0),
    },
    Target {
        name: "agents_64_over_echo",
        what: "64 agents, one intent in flight each / bare QUIC echo",
        bound: Bound::Floor(0.4),
        of: |run| run.ratio("agents_64_a_second", "echo_64_a_second"),
    },
    Target {
        name: "evaluator_over_cedar_1",
        what: "evaluator / cedar-policy at 1 policy",
        bound: Bound::Floor(40.0),
        of: |run| run.ratio("cedar_1_ns", "evaluator_1_ns"),
    },
    Target {
        name: "evaluator_over_cedar_10",
        what: "evaluator / cedar-policy at 10 policies",
        bound: Bound::Floor(40.0),
        of: |run| run.ratio("cedar_10_ns", "evaluator_10_ns"),
    },
    Target {
        name: "evaluator_over_cedar_100",
        what: "evaluator / cedar-policy at 100 policies",
        bound: Bound::Floor(40.0),
        of: |run| run.ratio("cedar_100_ns", "evaluator_100_ns"),
    },
    Target {
        name: "verify_cold_over_strict",
        what: "first token of a round / bare verify_strict",
        bound: Bound::Ceiling(1.15),
        of: |run| run.ratio("token_cold_ns", "verify_strict_ns"),
    },
    Target {
        name: "verify_cached_over_jwt",
        what: "further token of a round / JWT with EdDSA",
        bound: Bound::Ceiling(1.0 / 15.0),
        of: |run| run.ratio("token_cached_ns", "jwt_eddsa_ns"),
    },
    Target {
        name: "flood_p99_ratio",
        what: "p99 of 63 agents beside one that floods / without it",
        bound: Bound::Ceiling(2.0),
        of: |run| run.ratio("flood_p99_us", "calm_p99_us"),
    },
    Target {
        name: "resident_mb",
        what: "resident memory at full load, MB",
        bound: Bound::Ceiling(256.0),
        of: |run| run.get("resident_peak_mb"),
    },
];

/// What came of a target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) figure: f64,
    /// The least and the most of the runs.
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) holds: bool,
}

/// How a target stands that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Held,
    Missed,
    /// It is of another HSM: its figure is told, and nothing follows from it.
    NotJudged,
}

/// All runs, where and on what.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// What was measured, and on what.
    pub(crate) setting: Setting,
    /// Whether the targets are of that HSM; else figures are told and nothing is missed.
    pub(crate) is_judged: bool,
    /// When it began, as RFC 3339 writes it.
    pub(crate) began: String,
    pub(crate) runs: Vec<Run>,
}

impl Report {
    /// The median of a figure over the runs that measured it.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        median(self.runs.iter().filter_map(|run| run.get(name)).collect())
    }

    /// What came of a target; none where it was not measured.
    pub(crate) fn outcome(&self, target: &Target) -> Option<Outcome> {
        let figures = self.figures(target);
        let figure = median(figures.clone())?;
        let (least, most) = figures
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), one| (least.min(*one), most.max(*one)));
        Some(Outcome { figure, least, most, holds: target.bound.holds(figure) })
    }

    /// A target's figures, of each run that measured it.
    pub(crate) fn figures(&self, target: &Target) -> Vec<f64> {
        self.runs.iter().filter_map(target.of).collect()
    }

    /// How a target stands; none where it was not measured.
    pub(crate) fn standing(&self, target: &Target) -> Option<Standing> {
        let outcome = self.outcome(target)?;
        Some(match (self.is_judged, outcome.holds) {
            (false, _) => Standing::NotJudged,
            (true, true) => Standing::Held,
            (true, false) => Standing::Missed,
        })
    }

    /// Whether it was measured, and is not what was asked for.
    pub(crate) fn misses(&self, target: &Target) -> bool {
        self.standing(target) == Some(Standing::Missed)
    }

    /// The names of all figures that any run measured.
    pub(crate) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.runs.iter().flat_map(|run| run.0.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(figures: &[(&str, f64)]) -> Run {
        let mut run = Run::default();
        figures.iter().for_each(|(name, figure)| run.note(*name, *figure));
        run
    }

    fn report(runs: Vec<Run>) -> Report {
        Report { is_judged: true, runs, ..Report::default() }
    }

    #[test]
    fn a_target_is_of_one_hsm() {
        let slow = run(&[("paced_114_ms_a_second", 1.0)]);
        let target = TARGETS.iter().find(|target| target.name == "tokens_per_second_at_114_ms").unwrap();
        let judged = report(vec![slow]);
        assert!(judged.misses(target));
        assert!(!Report { is_judged: false, ..judged }.misses(target));
        assert!(!report(Vec::new()).misses(target), "it was not measured");
    }

    #[test]
    fn ratio_is_made_in_each_run_and_told_as_the_median() {
        let one = |tokens, signs| run(&[("batch_1024_a_second", tokens), ("raw_sign_a_second", signs)]);
        let runs = vec![one(300.0, 5.0), one(200.0, 2.0), one(100.0, 2.0)];
        let report = report(runs);
        let outcome = report.outcome(&TARGETS[0]).unwrap();
        assert_eq!((outcome.figure, outcome.least, outcome.most, outcome.holds), (60.0, 50.0, 100.0, true));
        assert_eq!(report.median("batch_1024_a_second"), Some(200.0));
    }

    #[test]
    fn what_was_not_measured_is_not_told() {
        let report = report(vec![run(&[("cedar_1_ns", 1.0)])]);
        assert!(TARGETS.iter().all(|target| report.outcome(target).is_none()));
        assert_eq!(report.names(), ["cedar_1_ns"]);
    }

    #[test]
    fn bounds_hold_on_their_side() {
        assert!(Bound::Floor(2.0).holds(2.0) && !Bound::Floor(2.0).holds(1.9));
        assert!(Bound::Ceiling(2.0).holds(2.0) && !Bound::Ceiling(2.0).holds(2.1));
    }
}
