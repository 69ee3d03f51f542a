//! The page: drills as a person looks at them. One file without anything from elsewhere: a table, and for each drill its
//! timeline, on which the closed boundary is red, answers are bars, and the fault and the re-arm are marked.

use std::fmt::Write as _;

use serde_json::Value;

use super::account::{Account, Timeline};
use crate::cli::html::{STYLE, escaped};

/// Width and heights of a timeline's picture, in its own units.
const WIDTH: f64 = 960.0;
const BARS: f64 = 60.0;
const BAND: f64 = 18.0;
const LABELS: f64 = 46.0;

/// The page of these accounts.
pub(super) fn of(lines: &[Value]) -> String {
    let accounts: Vec<Account> =
        lines.iter().filter_map(|line| serde_json::from_value(line.clone()).ok()).collect();
    let held = lines.iter().filter(|line| line.get("passed") == Some(&Value::Bool(true))).count();
    let mut page = String::with_capacity(64 * 1024);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>Drills: {held} of {} held</title><style>{STYLE}</style></head><body>\n\
         <h1>Drills: <span class=\"{}\">{held} of {} held</span></h1>\n",
        lines.len(),
        class(held == lines.len()),
        lines.len(),
    );
    if let Some(account) = accounts.first() {
        let _ = writeln!(page, "<p class=\"soft\">On {}.</p>", escaped(&account.hsm));
    }
    table(&mut page, lines);
    for account in &accounts {
        section(&mut page, account);
    }
    page.push_str("</body></html>\n");
    page
}

const fn class(held: bool) -> &'static str {
    if held { "held" } else { "failed" }
}

fn table(page: &mut String, lines: &[Value]) {
    page.push_str(
        "<table><thead><tr><th>drill</th><th></th><th class=\"number\">closed after</th>\
         <th class=\"number\">open again after</th><th class=\"number\">tokens between</th></tr></thead><tbody>\n",
    );
    for line in lines {
        let text = |name: &str| escaped(line.get(name).and_then(Value::as_str).unwrap_or_default());
        let time = |name: &str| {
            let time = line.get(name).and_then(Value::as_f64);
            time.map_or_else(|| "-".to_owned(), |time| format!("{time:.2} ms"))
        };
        let held = line.get("passed") == Some(&Value::Bool(true));
        let tokens = line.get("tokens_after_fault").and_then(Value::as_u64).unwrap_or_default();
        let name = text("name");
        let _ = writeln!(
            page,
            "<tr><td><a href=\"#{name}\">{name}</a></td><td class=\"{}\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{tokens}</td></tr>",
            class(held),
            if held { "held" } else { "failed" },
            time("closed_after_ms"),
            time("rearmed_after_ms"),
        );
    }
    page.push_str("</tbody></table>\n");
}

fn section(page: &mut String, account: &Account) {
    let name = escaped(&account.name);
    let _ = writeln!(
        page,
        "<section id=\"{name}\"><h2>{name}: <span class=\"{}\">{}</span></h2><p class=\"soft\">{}</p>",
        class(account.passed),
        if account.passed { "held" } else { "failed" },
        escaped(&account.hypothesis),
    );
    picture(page, &account.timeline);
    let _ = writeln!(
        page,
        "<p class=\"soft\">{} intents: {} allowed, {} refused; the slowest answer took {:.1} ms.</p><details{}><summary>\
         what had to hold</summary><ul>",
        account.intents,
        account.allowed,
        account.refused,
        account.slowest_answer_ms,
        if account.passed { "" } else { " open" },
    );
    for check in &account.checks {
        let seen = if check.seen.is_empty() { String::new() } else { format!(": {}", escaped(&check.seen)) };
        let _ = writeln!(page, "<li class=\"{}\">{}{seen}</li>", class(check.held), escaped(&check.what));
    }
    page.push_str("</ul></details></section>\n");
}

/// Bars of answers above the band of the boundary, and the moments below it.
fn picture(page: &mut String, timeline: &Timeline) {
    if timeline.length_ms <= 0.0 {
        return;
    }
    let x = |at_ms: f64| (at_ms / timeline.length_ms * WIDTH).clamp(0.0, WIDTH);
    let _ = writeln!(
        page,
        "<figure><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"timeline of {:.0} ms\">",
        BARS + BAND + LABELS,
        timeline.length_ms,
    );
    bars(page, timeline);
    // Before its first line there was no appliance.
    let begun = timeline.closed_ms.first().map_or(0.0, |(from, _)| x(*from));
    rectangle(page, begun, WIDTH - begun, "open");
    for (from, to) in &timeline.closed_ms {
        rectangle(page, x(*from), (x(*to) - x(*from)).max(1.0), "closed");
    }
    for (number, moment) in timeline.moments.iter().enumerate() {
        let (at, row) = (x(moment.at_ms), number % 3);
        let (anchor, y) =
            (if at > WIDTH * 0.8 { "end" } else { "start" }, BARS + BAND + 12.0 + 13.0 * row as f64);
        let _ = writeln!(
            page,
            "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"0\" y2=\"{y:.0}\" stroke=\"var(--ink)\" stroke-dasharray=\"2 2\"/>\
             <text x=\"{:.1}\" y=\"{y:.0}\" text-anchor=\"{anchor}\">{}, {:.0} ms</text>",
            if anchor == "end" { at - 3.0 } else { at + 3.0 },
            escaped(&moment.what),
            moment.at_ms,
        );
    }
    page.push_str(
        "</svg><figcaption>bars: answers, green allowed, orange refused; band: the token boundary, green open, red closed\
         </figcaption></figure>\n",
    );
}

fn rectangle(page: &mut String, x: f64, width: f64, state: &str) {
    let _ = writeln!(
        page,
        "<rect x=\"{x:.1}\" y=\"{BARS}\" width=\"{width:.1}\" height=\"{BAND}\" fill=\"var(--{state})\"/>"
    );
}

/// Heights are square roots, so that a lone refusal beside a thousand allows is still seen.
fn bars(page: &mut String, timeline: &Timeline) {
    let both = timeline.allowed.iter().zip(&timeline.refused);
    let most =
        both.clone().map(|(allowed, refused)| allowed + refused).max().unwrap_or_default().max(1) as f64;
    let width = WIDTH / timeline.allowed.len().max(1) as f64;
    for (step, (allowed, refused)) in both.enumerate() {
        let mut y = BARS;
        let all = (allowed + refused) as f64;
        for (count, colour) in [(allowed, "allowed"), (refused, "refused")] {
            if *count == 0 {
                continue;
            }
            let height = (all / most).sqrt() * (BARS - 4.0) * (*count as f64 / all);
            y -= height;
            let _ = writeln!(
                page,
                "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"var(--{colour})\"/>",
                step as f64 * width,
                width - 1.0,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_drill_says_is_text_and_never_markup() {
        let why = anyhow::anyhow!("<script>alert(1)</script>");
        let account = Account::failed("a/\"b\"".to_owned(), "<b>", "an HSM", &why);
        let page = of(&[serde_json::to_value(&account).expect("an account is JSON")]);
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("0 of 1 held") && page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_closed_boundary_is_drawn_where_it_was_closed() {
        let timeline = Timeline {
            length_ms: 1000.0,
            closed_ms: vec![(250.0, 500.0)],
            step_ms: 250.0,
            allowed: vec![10, 0, 5, 5],
            refused: vec![0, 3, 0, 0],
            moments: Vec::new(),
        };
        let mut page = String::new();
        picture(&mut page, &timeline);
        assert!(
            page.contains(
                "<rect x=\"240.0\" y=\"60\" width=\"240.0\" height=\"18\" fill=\"var(--closed)\"/>"
            )
        );
        assert_eq!(page.matches("var(--refused)").count(), 1);
        assert_eq!(page.matches("var(--allowed)").count(), 3);
    }
}
