//! The figures, for people on a terminal, and as one line of JSON.

use std::io::Write;

use serde_json::{Map, Value};

use crate::figures::{Bound, Report, TARGETS};
use crate::page::number;
use crate::run::{AGENTS, SIZES};

/// Prints the table: what is asked first, then every figure.
pub(crate) fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let Report { hsm, is_judged: _, processor, cores, began, runs } = report;
    writeln!(
        out,
        "{began}, {hsm}, {cores} processors ({processor}) shared with the load generator; {}\n",
        match runs.len() {
            1 => "one run".to_owned(),
            runs => format!("medians of {runs} runs"),
        }
    )?;
    writeln!(out, "{:<58} {:>11} {:>23}   asked", "what is asked", "median", "least to most")?;
    for target in TARGETS {
        let (bound, word) = match target.bound {
            Bound::Floor(bound) => (bound, "at least"),
            Bound::Ceiling(bound) => (bound, "at most"),
        };
        let Some(outcome) = report.outcome(target) else {
            writeln!(out, "{:<58} {:>11} {:>23}   {word} {}", target.what, "-", "", number(bound))?;
            continue;
        };
        let span = format!("{} to {}", number(outcome.least), number(outcome.most));
        let missed = if report.misses(target) { "   MISSED" } else { "" };
        writeln!(
            out,
            "{:<58} {:>11} {span:>23}   {word} {}{missed}",
            target.what,
            number(outcome.figure),
            number(bound)
        )?;
    }
    for (group, names) in groups(report) {
        writeln!(out, "\n{group}")?;
        for name in names {
            writeln!(out, "  {name:<56} {:>11}", report.median(name).map_or_else(String::new, number))?;
        }
    }
    grid(report, out)
}

/// What figures' names begin with, and what they are of; what is named first takes a name.
const GROUPS: &[(&str, &str)] = &[
    ("tokens_", ""),
    ("paced_", "an HSM that takes 114 ms a signature"),
    ("raw_", "bare parts"),
    ("commit_", "bare parts"),
    ("echo_", "bare parts"),
    ("lone_", "lone intents"),
    ("batch_", "batches of 1,024, 16 agents"),
    ("agents_", "64 agents, one intent in flight each"),
    ("calm_", "63 agents, and the same beside one that floods"),
    ("flood_", "63 agents, and the same beside one that floods"),
    ("cedar_", "an evaluation, by policies"),
    ("evaluator_", "an evaluation, by policies"),
    ("intent_", "an evaluation, by policies"),
    ("token_", "the verification of a token, and of others'"),
    ("verify_", "the verification of a token, and of others'"),
    ("jwt_", "the verification of a token, and of others'"),
    ("paseto_", "the verification of a token, and of others'"),
    ("biscuit_", "the verification of a token, and of others'"),
    ("plain_", "peers"),
    ("cerbos_", "peers"),
    ("", "of the process"),
];

/// The names of all figures but the grid's, by what they are of, in the order of the work.
fn groups(report: &Report) -> Vec<(&'static str, Vec<&str>)> {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (_, group) in GROUPS.iter().filter(|(_, group)| !group.is_empty()) {
        if groups.iter().all(|(known, _)| known != group) {
            groups.push((group, Vec::new()));
        }
    }
    for name in report.names() {
        let of = GROUPS.iter().find(|(begin, _)| name.starts_with(begin)).map(|(_, group)| *group);
        if let Some((_, names)) = groups.iter_mut().find(|(group, _)| Some(*group) == of) {
            names.push(name);
        }
    }
    groups.retain(|(_, names)| !names.is_empty());
    groups
}

/// Tokens a second by size of batch, and by agents.
fn grid(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let rate = |agents: &usize, size: &usize| report.median(&format!("tokens_{agents}x{size}_a_second"));
    if rate(&AGENTS[0], &SIZES[0]).is_none() {
        return Ok(());
    }
    write!(out, "\n{:<24}", "tokens a second, batches of")?;
    for size in SIZES {
        write!(out, " {size:>9}")?;
    }
    for agents in AGENTS {
        write!(out, "\n{:<27}", format!("  {agents} agent{}", if agents == 1 { "" } else { "s" }))?;
        for size in SIZES {
            write!(out, " {:>9}", rate(&agents, &size).map_or_else(String::new, number))?;
        }
    }
    writeln!(out)
}

/// The same as JSON: medians of the figures, and of what is asked where it was measured.
pub(crate) fn json(report: &Report) -> Value {
    let mut all = Map::new();
    all.insert("schema".to_owned(), "assent.v1.bench".into());
    all.insert("began".to_owned(), report.began.as_str().into());
    all.insert("hsm".to_owned(), report.hsm.as_str().into());
    all.insert("processor".to_owned(), report.processor.as_str().into());
    all.insert("cores".to_owned(), report.cores.into());
    all.insert("runs".to_owned(), report.runs.len().into());
    let targets = TARGETS.iter().filter_map(|target| Some((target.name, report.outcome(target)?.figure)));
    let figures = report.names().into_iter().filter_map(|name| Some((name, report.median(name)?)));
    for (name, figure) in targets.chain(figures) {
        all.insert(name.to_owned(), figure.into());
    }
    let outcomes = || TARGETS.iter().filter_map(|target| Some((target.name, report.outcome(target)?)));
    let missed = TARGETS.iter().filter(|target| report.misses(target)).map(|target| target.name.into());
    all.insert("missed".to_owned(), Value::Array(missed.collect()));
    let spread = outcomes().map(|(name, outcome)| (name.to_owned(), [outcome.least, outcome.most].into()));
    all.insert("least_to_most".to_owned(), Value::Object(spread.collect()));
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Run;

    #[test]
    fn missed_target_is_marked_and_one_that_was_not_measured_has_no_key() {
        let mut run = Run::default();
        run.note("paced_114_ms_a_second", 99_000.0);
        let report = Report {
            hsm: "x".to_owned(),
            is_judged: true,
            processor: "y".to_owned(),
            cores: 2,
            began: String::new(),
            runs: vec![run],
        };
        let mut out = Vec::new();
        print(&report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("MISSED").count(), 1, "{text}");
        let json = json(&report);
        assert_eq!(json["tokens_per_second_at_114_ms"], 99_000.0);
        assert_eq!(json["missed"], serde_json::json!(["tokens_per_second_at_114_ms"]));
        assert_eq!(
            json["least_to_most"]["tokens_per_second_at_114_ms"],
            serde_json::json!([99_000.0, 99_000.0])
        );
        assert!(json.get("batch_1024_over_cerbos").is_none());
    }
}
