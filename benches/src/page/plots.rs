//! The pictures: what was measured beside what it is compared with.

use std::fmt::Write as _;

use super::chart::{Bar, Bars, Lines, Piece, Point, Series};
use super::text::{escaped, number, round_number};
use crate::evaluators::POLICIES;
use crate::figures::{Bound, Report, TARGETS};
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
        "64 agents, one intent in flight each",
        "Answers a second, each durable, signed for and verified by its agent; beside bare exchanges over QUIC of the same shape \
         and bytes.",
        fleet,
    ),
    (
        "63 agents beside one that floods",
        "How long their lone intents take, without it and while it has 64 batches of 1,024 in flight.",
        flood,
    ),
    (
        "Tokens a second at 114 ms a signature",
        "Behind a device that signs one at a time, at this pace.",
        paced,
    ),
    (
        "Resident memory",
        "The most that the appliance and its signer held together: over all loads, and behind the slow device alone.",
        memory,
    ),
    (
        "To verify one token, offline",
        "First: a token under a checkpoint not seen before. Further: another one of that round; from its text, too; and through the \
         guard, which spends a use of it.",
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
    let mut middle = measured(report, 1.0, &[("lone intent, p50", "lone_p50_us", "one")]);
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
    bars(page, "the median of a lone intent beside its parts", "us", middle);
    if !legend.is_empty() {
        let _ = writeln!(page, "<figcaption>{legend}</figcaption>");
    }
    let kinds =
        [("p50", "lone_p50_us", "one"), ("p99", "lone_p99_us", "one"), ("p99.9", "lone_p999_us", "one")];
    let slow = measured(report, 1.0, &kinds);
    // The median alone was drawn above.
    if slow.len() > 1 {
        bars(page, "how long lone intents take", "us", slow);
    }
}

/// Bars of those figures that were measured, divided by this: what each says, its name, and its colour.
fn measured(report: &Report, by: f64, kinds: &[(&str, &str, &'static str)]) -> Vec<Bar> {
    let bar = |(what, name, colour): &(&str, &str, &'static str)| {
        Some(Bar::plain(what, report.median(name)? / by, colour))
    };
    kinds.iter().filter_map(bar).collect()
}

fn bars(page: &mut String, label: &str, unit: &str, bars: Vec<Bar>) {
    Bars { label, unit, bars, bound: None }.draw(page);
}

/// The same beside what is asked of a target.
fn bars_beside(page: &mut String, (label, unit): (&str, &str), bars: Vec<Bar>, target: &str) {
    let asked = TARGETS.iter().find(|known| known.name == target).map(|known| match known.bound {
        Bound::Floor(floor) => (format!("at least {}", round_number(floor)), floor),
        Bound::Ceiling(ceiling) => (format!("at most {}", round_number(ceiling)), ceiling),
    });
    Bars { label, unit, bars, bound: asked }.draw(page);
}

fn fleet(page: &mut String, report: &Report) {
    let kinds = [("64 agents", "agents_64_a_second", "one"), ("bare exchanges", "echo_64_a_second", "peer")];
    bars(page, "answers a second to 64 agents", "/s", measured(report, 1.0, &kinds));
}

fn flood(page: &mut String, report: &Report) {
    let kinds = [
        ("p50 without it", "calm_p50_us", "peer"),
        ("p50 beside it", "flood_p50_us", "one"),
        ("p99 without it", "calm_p99_us", "peer"),
        ("p99 beside it", "flood_p99_us", "one"),
    ];
    bars(page, "how long lone intents of 63 agents take", "ms", measured(report, 1000.0, &kinds));
}

fn paced(page: &mut String, report: &Report) {
    let kinds = [("batches of 1,024", "paced_114_ms_a_second", "one")];
    let label = ("tokens a second at 114 ms a signature", "/s");
    bars_beside(page, label, measured(report, 1.0, &kinds), "tokens_per_second_at_114_ms");
}

fn memory(page: &mut String, report: &Report) {
    let kinds = [("at full load", "resident_peak_mb", "one"), ("at 114 ms", "paced_resident_peak_mb", "two")];
    bars_beside(page, ("resident memory", "MB"), measured(report, 1.0, &kinds), "resident_mb");
}

fn verification(page: &mut String, report: &Report) {
    let kinds = [
        ("first of a round", "token_cold_ns", "one"),
        ("further of a round", "token_cached_ns", "one"),
        ("further, from text", "token_cached_text_ns", "one"),
        ("further, by the guard", "guard_admit_ns", "one"),
        ("bare verify_strict", "verify_strict_ns", "peer"),
        ("JWT, EdDSA", "jwt_eddsa_ns", "peer"),
        ("PASETO v4.public", "paseto_v4_ns", "peer"),
        ("Biscuit", "biscuit_ns", "peer"),
    ];
    bars(page, "how long one verification takes", "us", measured(report, 1000.0, &kinds));
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
