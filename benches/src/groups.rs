//! Groups: what each figure is of, in the order of the work.

use crate::figures::Report;

/// The group of the grid's figures, which a table of their own shows best.
pub(crate) const GRID: &str = "tokens a second, agents x intents of a batch";

/// What figures are of, in the order in which it is told, and what their names begin with. The longest beginning takes a name.
const GROUPS: &[(&str, &[&str])] = &[
    ("bare parts", &["raw_", "commit_", "echo_"]),
    ("lone intents", &["lone_"]),
    ("batches of 1,024, 16 agents", &["batch_", "echo_1024_"]),
    ("peers", &["plain_", "cerbos_"]),
    ("64 agents, one intent in flight each", &["agents_", "echo_64_"]),
    ("63 agents, and the same beside one that floods", &["calm_", "flood_"]),
    (GRID, &["tokens_"]),
    ("an HSM that takes 114 ms a signature", &["paced_"]),
    ("an evaluation, by policies", &["cedar_", "evaluator_", "intent_"]),
    (
        "the verification of a token, and of others'",
        &["token_", "guard_", "verify_", "jwt_", "paseto_", "biscuit_"],
    ),
    ("of the process", &[""]),
];

/// The names of all figures, by what they are of; a group without any is left out.
pub(crate) fn groups(report: &Report) -> Vec<(&'static str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = GROUPS.iter().map(|(group, _)| (*group, Vec::new())).collect();
    for name in report.names() {
        let length = |begins: &[&str]| {
            begins.iter().filter(|begin| name.starts_with(*begin)).map(|begin| begin.len()).max()
        };
        let place = (0..).zip(GROUPS).max_by_key(|(_, (_, begins))| length(begins)).map(|(place, _)| place);
        if let Some((_, names)) = place.and_then(|place: usize| groups.get_mut(place)) {
            names.push(name);
        }
    }
    groups.retain(|(_, names)| !names.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Run;

    #[test]
    fn each_figure_is_in_one_group_and_groups_come_in_the_order_of_the_work() {
        let mut run = Run::default();
        for name in [
            "token_cold_ns",
            "echo_64_a_second",
            "agents_64_p50_us",
            "tokens_1x1_a_second",
            "echo_p50_us",
            "resident_peak_mb",
        ] {
            run.note(name, 1.0);
        }
        let report = Report { runs: vec![run], ..Report::default() };
        let told: Vec<Vec<&str>> = groups(&report).into_iter().map(|(_, names)| names).collect();
        let expected: [&[&str]; 5] = [
            &["echo_p50_us"],
            &["agents_64_p50_us", "echo_64_a_second"],
            &["tokens_1x1_a_second"],
            &["token_cold_ns"],
            &["resident_peak_mb"],
        ];
        assert_eq!(told, expected);
    }
}
