//! The pictures: what was measured beside what it is compared with.

use std::fmt::Write as _;

use super::chart::{Bar, Lines, Piece, Point, Series, draw_bars};
use super::text::{escaped, number, round_number};
use crate::evaluators::POLICIES;
use crate::figures::Report;
use crate::measure::as_f64;
use crate::run::{AGENTS, SIZES};

/// By how many agents ask.
const COLOURS: [&str; AGENTS.len()] = ["one", "two", "three"];

/// All pictures of what was measured.
pub(super) fn plots(page: &mut String, report: &Report) {
    page.push_str("<div class=\"plots\">\n");
    for (title, caption, draw) in PLOTS {
        let mut picture = String::new();
        draw(&mut picture, report);
        if !picture.is_empty() {
            let _ = writeln!(
                page,
                "<figure><h2>{title}</h2>\n{picture}<figcaption>{caption}</figcaption></figure>"
            );
        }
    }
    page.push_str("</div>\n");
}

type Plot = (&'static str, &'static str, fn(&mut String, &Report));

const PLOTS: &[Plot] = &[
    (
        "Tokens a second by size of the batch",
        "Every token is durable, signed for and verified by its agent. Across: one raw C_Sign for each, approvals of a \
         straightforward peer, and decisions of Cerbos, unsigned and unlogged.",
        tokens,
    ),
    (
        "A lone intent",
        "One agent, one intent after the other. The median beside the medians of what it stands on; then the slow ones.",
        lone,
    ),
    (
        "To verify one token, offline",
        "First: a token under a checkpoint not seen before. Further: another one of that round.",
        verification,
    ),
    (
        "To decide one intent, by number of policies",
        "Cedar and the evaluator have their request ready; an intent is read, classified and evaluated.",
        evaluators,
    ),
];

fn tokens(page: &mut String, report: &Report) {
    let figure = |agents: usize, batch: usize| report.median(&format!("tokens_{agents}x{batch}_a_second"));
    let mut series = Vec::new();
    let mut rows = String::new();
    for (agents, colour) in AGENTS.into_iter().zip(COLOURS) {
        let name = if agents == 1 { "1 agent".to_owned() } else { format!("{agents} agents") };
        let point = |batch: usize| {
            let y = figure(agents, batch)?;
            let title = format!("{name}, batches of {batch}: {} tokens a second", number(y));
            Some(Point { x: as_f64(batch), y, title })
        };
        let points: Vec<Point> = SIZES.into_iter().filter_map(point).collect();
        if points.is_empty() {
            continue;
        }
        let _ = write!(rows, "<tr><td style=\"color: var(--{colour})\">{name}</td>");
        for batch in SIZES {
            let text = figure(agents, batch).map(number).unwrap_or_default();
            let _ = write!(rows, "<td class=\"number\">{text}</td>");
        }
        rows.push_str("</tr>\n");
        series.push(Series { name, colour, points });
    }
    if series.is_empty() {
        return;
    }
    let compared = [
        ("raw C_Sign", "raw_sign_a_second"),
        ("plain peer", "plain_peer_a_second"),
        ("Cerbos", "cerbos_a_second"),
    ];
    let references =
        compared.into_iter().filter_map(|(what, name)| Some((what.to_owned(), report.median(name)?)));
    let lines = Lines {
        label: "tokens a second by size of the batch",
        x_axis: "intents a batch",
        y_axis: "tokens a second",
        marks: &SIZES.map(as_f64),
        series,
        references: references.collect(),
    };
    lines.draw(page);
    page.push_str("<div class=\"wide\"><table><thead><tr><th>batch</th>");
    for batch in SIZES {
        let _ = write!(page, "<th class=\"number\">{}</th>", round_number(as_f64(batch)));
    }
    let _ = writeln!(page, "</tr></thead><tbody>\n{rows}</tbody></table></div>");
}

fn lone(page: &mut String, report: &Report) {
    let parts = [
        ("C_Sign", "raw_sign_p50_us", "two"),
        ("commit", "commit_p50_us", "three"),
        ("echo", "echo_p50_us", "peer"),
    ];
    let pieces: Vec<Piece> = parts
        .into_iter()
        .filter_map(|(part, name, colour)| {
            Some(Piece { name: format!("{part}, p50"), length: report.median(name)?, colour })
        })
        .collect();
    let of = |names: &[(&str, &str)]| -> Vec<Bar> {
        let bar = |(what, name): &(&str, &str)| Some(Bar::plain(what, report.median(name)?, "one"));
        names.iter().filter_map(bar).collect()
    };
    let mut middle = of(&[("lone intent, p50", "lone_p50_us")]);
    let mut legend = String::new();
    if !pieces.is_empty() {
        for Piece { name, length, colour } in &pieces {
            let _ = write!(
                legend,
                " <span><b style=\"color: var(--{colour})\">&#9632;</b> {}: {} us</span>",
                escaped(name),
                number(*length)
            );
        }
        middle.insert(0, Bar { name: "what it stands on".to_owned(), pieces });
    }
    draw_bars(page, "the median of a lone intent beside its parts", "us", &middle);
    if !legend.is_empty() {
        let _ = writeln!(page, "<figcaption>{legend}</figcaption>");
    }
    let slow = of(&[("p50", "lone_p50_us"), ("p99", "lone_p99_us"), ("p99.9", "lone_p999_us")]);
    // The median alone was drawn above.
    if slow.len() > 1 {
        draw_bars(page, "how long lone intents take", "us", &slow);
    }
}

fn verification(page: &mut String, report: &Report) {
    let kinds = [
        ("first of a round", "token_cold_ns", "one"),
        ("further of a round", "token_cached_ns", "one"),
        ("bare verify_strict", "verify_strict_ns", "peer"),
        ("JWT, EdDSA", "jwt_eddsa_ns", "peer"),
        ("PASETO v4.public", "paseto_v4_ns", "peer"),
        ("Biscuit", "biscuit_ns", "peer"),
    ];
    let bar = |(what, name, colour)| Some(Bar::plain(what, report.median(name)? / 1000.0, colour));
    let bars: Vec<Bar> = kinds.into_iter().filter_map(bar).collect();
    draw_bars(page, "how long one verification takes", "us", &bars);
}

fn evaluators(page: &mut String, report: &Report) {
    let kinds = [("Cedar", "cedar", "peer"), ("intent", "intent", "two"), ("evaluator", "evaluator", "one")];
    let series = kinds.into_iter().map(|(what, name, colour)| {
        let point = |count: usize| {
            let y = report.median(&format!("{name}_{count}_ns"))?;
            let policies = if count == 1 { "policy" } else { "policies" };
            Some(Point {
                x: as_f64(count),
                y,
                title: format!("{what}, {count} {policies}: {} ns", number(y)),
            })
        };
        Series { name: what.to_owned(), colour, points: POLICIES.into_iter().filter_map(point).collect() }
    });
    let lines = Lines {
        label: "time of one decision by number of policies",
        x_axis: "policies",
        y_axis: "ns a decision",
        marks: &POLICIES.map(as_f64),
        series: series.collect(),
        references: Vec::new(),
    };
    lines.draw(page);
}
