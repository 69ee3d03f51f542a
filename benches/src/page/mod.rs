//! The page: a benchmark as a person looks at it. One file without anything from elsewhere: what was asked and what came of
//! it, pictures beside what people would use instead, and every figure. What was not measured is left out.

mod chart;
mod plots;
mod text;

use std::fmt::Write as _;

use crate::figures::{Bound, Outcome, Report, Standing, TARGETS, Target};
use crate::groups::groups;
pub(crate) use text::number;
use text::{STYLE, escaped, round_number};

/// The page of a report.
pub(crate) fn page(report: &Report) -> String {
    let mut page = String::with_capacity(64 * 1024);
    let measured: Vec<Measured<'_>> = TARGETS.iter().filter_map(|target| measured(report, target)).collect();
    let (told, class) = told(report, &measured);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>What Assent costs: {told}</title><style>{STYLE}</style></head><body>\n\
         <h1>What Assent costs: <span class=\"{class}\">{told}</span></h1>\n",
    );
    let runs = if report.runs.len() == 1 { "run" } else { "runs" };
    let _ = writeln!(
        page,
        "<p class=\"soft\">{} {runs} from {} on. {}. Each figure is the median of the runs.</p>",
        report.runs.len(),
        escaped(&report.began),
        escaped(&report.setting.line()),
    );
    for warning in &report.setting.warnings {
        let _ = writeln!(page, "<p class=\"missed\">Warning: {}.</p>", escaped(warning));
    }
    targets(&mut page, &measured);
    if !report.names().is_empty() {
        plots::plots(&mut page, report);
        details(&mut page, report);
    }
    page.push_str("</body></html>\n");
    page
}

/// A target that was measured, what came of it, and how it stands.
type Measured<'t> = (&'t Target, Outcome, Standing);

fn measured<'t>(report: &Report, target: &'t Target) -> Option<Measured<'t>> {
    Some((target, report.outcome(target)?, report.standing(target)?))
}

/// What came of all of it, and its class.
fn told(report: &Report, measured: &[Measured<'_>]) -> (String, &'static str) {
    if report.names().is_empty() {
        return ("nothing was measured".to_owned(), "soft");
    }
    let held = measured.iter().filter(|(.., standing)| *standing == Standing::Held).count();
    if !measured.is_empty() && !report.is_judged {
        return (format!("{} targets measured, none judged", measured.len()), "soft");
    }
    let class = match (held == measured.len(), measured.is_empty()) {
        (_, true) => "soft",
        (true, false) => class(Standing::Held),
        (false, false) => class(Standing::Missed),
    };
    (format!("{held} of {} targets held", measured.len()), class)
}

/// Of the page's style; the names of its colours, too.
const fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Held => "held",
        Standing::Missed => "missed",
        Standing::NotJudged => "soft",
    }
}

const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Held => "held",
        Standing::Missed => "missed",
        Standing::NotJudged => "not judged",
    }
}

fn targets(page: &mut String, measured: &[Measured<'_>]) {
    if measured.is_empty() {
        return;
    }
    page.push_str(
        "<table class=\"targets\"><thead><tr><th>what is asked</th><th class=\"number\">median</th>\
         <th class=\"number\">least to most</th><th class=\"number\">bound</th><th></th>\
         <th>times better than the bound</th></tr></thead><tbody>\n",
    );
    for (target, outcome, standing) in measured {
        let bound = match target.bound {
            Bound::Floor(floor) => format!("at least {}", round_number(floor)),
            Bound::Ceiling(ceiling) => format!("at most {}", round_number(ceiling)),
        };
        let (class, word) = (class(*standing), word(*standing));
        let _ = write!(
            page,
            "<tr><td>{}</td><td class=\"number\">{}</td><td class=\"number span\">{} to {}</td>\
             <td class=\"number\">{bound}</td><td class=\"{class}\">{word}</td><td class=\"bar\">",
            escaped(target.what),
            number(outcome.figure),
            number(outcome.least),
            number(outcome.most),
        );
        margin(page, target.bound, outcome.figure, class);
        page.push_str("</td></tr>\n");
    }
    page.push_str("</tbody></table>\n");
    let unmeasured: Vec<&str> = TARGETS
        .iter()
        .filter(|target| !measured.iter().any(|(one, ..)| one.name == target.name))
        .map(|target| target.what)
        .collect();
    if !unmeasured.is_empty() {
        let _ = writeln!(page, "<p class=\"soft\">Not measured: {}.</p>", escaped(&unmeasured.join("; ")));
    }
}

/// A small bar from the bound, to the right as far as the figure is better and to the left as far as it is worse, by its
/// logarithm: at its ends it is twice as good or half as good, or beyond.
fn margin(page: &mut String, bound: Bound, figure: f64, colour: &str) {
    const MIDDLE: f64 = 50.0;
    const TWICE: f64 = 46.0;
    let times = match bound {
        Bound::Floor(floor) => figure / floor,
        Bound::Ceiling(ceiling) => ceiling / figure,
    };
    let length = times.log2().clamp(-1.0, 1.0) * TWICE;
    if length.is_nan() {
        return;
    }
    let text = if times.is_finite() { number(times) } else { "-".to_owned() };
    let _ = write!(
        page,
        "<svg class=\"margin\" viewBox=\"0 0 150 16\" role=\"img\" aria-label=\"{text} times\">\
         <rect x=\"{:.1}\" y=\"3\" width=\"{:.1}\" height=\"10\" fill=\"var(--{colour})\"/>\
         <line x1=\"{MIDDLE}\" x2=\"{MIDDLE}\" y1=\"0\" y2=\"16\" stroke=\"var(--ink)\"/>\
         <text x=\"102\" y=\"12.5\">{text}x</text></svg>",
        MIDDLE + length.min(0.0),
        length.abs().max(0.5),
    );
}

fn details(page: &mut String, report: &Report) {
    page.push_str(
        "<details><summary>every figure</summary><div class=\"wide\"><table><thead><tr><th>figure</th>\
         <th class=\"number\">median</th>",
    );
    for run in 1..=report.runs.len() {
        let _ = write!(page, "<th class=\"number\">run {run}</th>");
    }
    page.push_str("</tr></thead><tbody>\n");
    for (group, names) in groups(report) {
        let columns = report.runs.len() + 2;
        let _ = writeln!(page, "<tr><th class=\"group\" colspan=\"{columns}\">{}</th></tr>", escaped(group));
        names.iter().for_each(|name| detail(page, report, name));
    }
    page.push_str("</tbody></table></div></details>\n");
}

/// A figure, with that of each run.
fn detail(page: &mut String, report: &Report, name: &str) {
    let text = |figure: Option<f64>| figure.map(number).unwrap_or_default();
    let _ =
        write!(page, "<tr><td>{}</td><td class=\"number\">{}</td>", escaped(name), text(report.median(name)));
    for run in &report.runs {
        let _ = write!(page, "<td class=\"number\">{}</td>", text(run.get(name)));
    }
    page.push_str("</tr>\n");
}

#[cfg(test)]
mod tests;
