//! The figures, for people on a terminal, and as one line of JSON.

use std::io::Write;

use serde_json::{Map, Value};

use crate::figures::{Bound, Report, TARGETS};
use crate::page::number;

/// Prints the table: what is asked first, then every figure.
pub(crate) fn print(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let Report { hsm, cores, began, runs } = report;
    writeln!(
        out,
        "{began}, {hsm}, {cores} processors shared with the load generator; medians of {} runs\n",
        runs.len()
    )?;
    writeln!(out, "{:<58} {:>11} {:>23}   asked", "what is asked", "median", "least to most")?;
    for target in TARGETS {
        let (bound, word) = match target.bound {
            Bound::Floor(bound) => (bound, "at least"),
            Bound::Ceiling(bound) => (bound, "at most"),
        };
        let Some(outcome) = report.outcome(target) else {
            writeln!(out, "{:<58} {:>11}", target.what, "-")?;
            continue;
        };
        let span = format!("{} to {}", number(outcome.least), number(outcome.most));
        let missed = if outcome.holds { "" } else { "   MISSED" };
        writeln!(
            out,
            "{:<58} {:>11} {span:>23}   {word} {}{missed}",
            target.what,
            number(outcome.figure),
            number(bound)
        )?;
    }
    writeln!(out)?;
    for name in report.names() {
        writeln!(out, "{name:<58} {:>11}", report.median(name).map_or_else(String::new, number))?;
    }
    Ok(())
}

/// The same as JSON: medians of the figures, and of what is asked where it was measured.
pub(crate) fn json(report: &Report) -> Value {
    let mut all = Map::new();
    all.insert("schema".to_owned(), "assent.v1.bench".into());
    all.insert("began".to_owned(), report.began.as_str().into());
    all.insert("hsm".to_owned(), report.hsm.as_str().into());
    all.insert("cores".to_owned(), report.cores.into());
    all.insert("runs".to_owned(), report.runs.len().into());
    let targets = TARGETS.iter().filter_map(|target| Some((target.name, report.outcome(target)?.figure)));
    let figures = report.names().into_iter().filter_map(|name| Some((name, report.median(name)?)));
    for (name, figure) in targets.chain(figures) {
        all.insert(name.to_owned(), figure.into());
    }
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
        let report = Report { hsm: "x".to_owned(), cores: 2, began: String::new(), runs: vec![run] };
        let mut out = Vec::new();
        print(&report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("MISSED").count(), 1, "{text}");
        let json = json(&report);
        assert_eq!(json["tokens_per_second_at_114_ms"], 99_000.0);
        assert!(json.get("batch_1024_over_cerbos").is_none());
    }
}
