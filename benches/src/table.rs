//! The figures, for people on a terminal, and as one line of JSON.

use std::io::Write;

use serde_json::{Map, Value};

use crate::figures::{Bound, Report, TARGETS};
use crate::groups::{GRID, groups};
use crate::page::number;
use crate::run::{AGENTS, SIZES};
use crate::setting::Setting;

/// Prints the table: what is asked first, then every figure.
pub(crate) fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let Report { setting, is_judged: _, began, runs } = report;
    let of = match runs.len() {
        1 => "one run".to_owned(),
        runs => format!("medians of {runs} runs"),
    };
    writeln!(out, "{began}, {of}\n{}", setting.line())?;
    for warning in &setting.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out)?;
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
    for (group, names) in groups(report).into_iter().filter(|(group, _)| *group != GRID) {
        writeln!(out, "\n{group}")?;
        for name in names {
            writeln!(out, "  {name:<56} {:>11}", report.median(name).map_or_else(String::new, number))?;
        }
    }
    grid(report, out)
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
    all.insert("runs".to_owned(), report.runs.len().into());
    setting(&report.setting, &mut all);
    let targets = TARGETS.iter().filter_map(|target| Some((target.name, report.outcome(target)?.figure)));
    let figures = report.names().into_iter().filter_map(|name| Some((name, report.median(name)?)));
    for (name, figure) in targets.chain(figures) {
        all.insert(name.to_owned(), figure.into());
    }
    let outcomes = || TARGETS.iter().filter_map(|target| Some((target, report.outcome(target)?)));
    let missed = TARGETS.iter().filter(|target| report.misses(target)).map(|target| target.name.into());
    all.insert("missed".to_owned(), Value::Array(missed.collect()));
    let spread =
        outcomes().map(|(target, outcome)| (target.name.to_owned(), [outcome.least, outcome.most].into()));
    all.insert("least_to_most".to_owned(), Value::Object(spread.collect()));
    let of_runs = outcomes().map(|(target, _)| (target.name.to_owned(), report.figures(target).into()));
    all.insert("of_runs".to_owned(), Value::Object(of_runs.collect()));
    Value::Object(all)
}

/// What was measured and on what; what is not known has no key.
fn setting(setting: &Setting, all: &mut Map<String, Value>) {
    let known = [
        ("version", Some(&setting.version)),
        ("commit", setting.commit.as_ref()),
        ("hsm", Some(&setting.hsm)),
        ("hsm_version", setting.hsm_version.as_ref()),
        ("cerbos_version", setting.cerbos_version.as_ref()),
        ("processor", Some(&setting.processor)),
        ("kernel", setting.kernel.as_ref()),
        ("file_system", setting.file_system.as_ref()),
    ];
    for (key, text) in known.into_iter().filter_map(|(key, text)| Some((key, text?))) {
        all.insert(key.to_owned(), text.as_str().into());
    }
    all.insert("cores".to_owned(), setting.cores.into());
    all.insert("warnings".to_owned(), setting.warnings.as_slice().into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Run;

    #[test]
    fn missed_target_is_marked_and_one_that_was_not_measured_has_no_key() {
        let mut run = Run::default();
        run.note("paced_114_ms_a_second", 99_000.0);
        let setting = Setting {
            hsm: "x".to_owned(),
            kernel: Some("6.1".to_owned()),
            warnings: vec!["look out".to_owned()],
            ..Setting::default()
        };
        let report = Report { setting, is_judged: true, runs: vec![run], ..Report::default() };
        let mut out = Vec::new();
        print(&report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("MISSED").count(), 1, "{text}");
        assert!(text.contains("Linux 6.1") && text.contains("warning: look out"), "{text}");
        let json = json(&report);
        assert_eq!(json["tokens_per_second_at_114_ms"], 99_000.0);
        assert_eq!(json["missed"], serde_json::json!(["tokens_per_second_at_114_ms"]));
        assert_eq!(
            json["least_to_most"]["tokens_per_second_at_114_ms"],
            serde_json::json!([99_000.0, 99_000.0])
        );
        assert_eq!(json["of_runs"], serde_json::json!({ "tokens_per_second_at_114_ms": [99_000.0] }));
        assert_eq!((&json["hsm"], &json["kernel"]), (&"x".into(), &"6.1".into()));
        assert_eq!((&json["runs"], &json["warnings"]), (&1.into(), &serde_json::json!(["look out"])));
        for unknown in ["batch_1024_over_cerbos", "commit", "cerbos_version"] {
            assert!(json.get(unknown).is_none(), "{unknown}");
        }
    }
}
