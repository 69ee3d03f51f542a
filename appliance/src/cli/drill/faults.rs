//! Faults, as firmware-sim tells of them: those that are set, and those that are over.

use serde::Deserialize;

use crate::clock::Mark;

/// What `firmware-sim status --json` tells.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Faults {
    faults: Vec<Strikes>,
    history: Vec<Strikes>,
}

/// One fault.
#[derive(Debug, Default, Deserialize)]
struct Strikes {
    struck: Option<u64>,
    first_struck_us: Option<Mark>,
}

impl Faults {
    fn all(&self) -> impl Iterator<Item = &Strikes> {
        self.faults.iter().chain(&self.history)
    }

    /// The first time that a fault struck which was set at or after `from`.
    pub(super) fn first_strike(&self, from: Mark) -> Option<Mark> {
        self.all().filter_map(|fault| fault.first_struck_us).filter(|struck| *struck >= from).min()
    }

    /// When the newest fault struck first.
    pub(super) fn newest_strike(&self) -> Option<Mark> {
        self.all().filter_map(|fault| fault.first_struck_us).max()
    }

    /// How often the fault struck that did so most, of those that struck first at or after `from`.
    pub(super) fn strikes(&self, from: Mark) -> Option<u64> {
        let since = |fault: &&Strikes| fault.first_struck_us.is_some_and(|struck| struck >= from);
        self.all().filter(since).filter_map(|fault| fault.struck).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strike_that_counts_is_the_first_after_the_fault_was_set() {
        let told = r#"{"process": null, "pace": "none", "faults": [{"id": 3, "struck": 2, "first_struck_us": 50},
            {"id": 4, "struck": null, "first_struck_us": null}],
            "history": [{"id": 1, "struck": 1, "first_struck_us": 7}, {"id": 2, "first_struck_us": 40}]}"#;
        let faults: Faults = serde_json::from_str(told).unwrap();
        assert_eq!(faults.first_strike(Mark(10)), Some(Mark(40)));
        assert_eq!(faults.first_strike(Mark(60)), None);
        assert_eq!((faults.newest_strike(), faults.strikes(Mark(45))), (Some(Mark(50)), Some(2)));
        assert_eq!((faults.strikes(Mark(7)), faults.strikes(Mark(51))), (Some(2), None));
        assert!(
            serde_json::from_str::<Faults>("{}").is_err(),
            "what it does not tell is not taken for nothing"
        );
    }
}
