//! Pictures of a report: decisions over time with the outages in them, and a bar for each name. SVG within the page.

use std::fmt::Write as _;

use assent_proto::number::Timestamp;

use super::histogram::{Histogram, Tally};
use crate::cli::utc;
use crate::log::verification::Gap;

/// Width and heights of the picture, in its own units.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 14.0;
const BARS: f64 = 150.0;
const BAND: f64 = 10.0;
const LABELS: f64 = 20.0;
/// Bars of the picture at most.
const MOST_BARS: u64 = 120;
/// Labels below it.
const TICKS: u64 = 4;

/// Decisions over time, stacked, and below them a band that is red where no checkpoint was signed, and grey
/// where the appliance did not run.
pub(super) fn over_time(
    page: &mut String,
    histogram: &Histogram,
    (gaps, stops): (&[Gap], &[(u64, u64)]),
    from_ms: u64,
    to_ms: u64,
) {
    let bars = histogram.bars(from_ms, to_ms, MOST_BARS);
    let most = bars.iter().map(Tally::all).max().unwrap_or_default().max(1);
    let span = to_ms.saturating_sub(from_ms).max(1) as f64;
    let x = |at_ms: u64| LEFT + at_ms.saturating_sub(from_ms) as f64 / span * (WIDTH - LEFT);
    let _ = writeln!(
        page,
        "<figure><svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"decisions over time\">",
        TOP + BARS + BAND + LABELS + 8.0,
    );
    for (share, label) in [(1.0, most), (0.5, most / 2)] {
        let y = TOP + BARS * (1.0 - share);
        if label > 0 {
            let _ = writeln!(
                page,
                "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"var(--line)\" stroke-dasharray=\"3 3\"/>\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 6.0,
                y + 4.0,
            );
        }
    }
    stacks(page, &bars, most);
    rectangle(page, (LEFT, TOP + BARS + 4.0, WIDTH - LEFT, BAND), "open");
    for gap in gaps {
        let (from, to) =
            (x(gap.began_ms.clamp(from_ms, to_ms)), x(gap.until_ms.unwrap_or(to_ms).clamp(from_ms, to_ms)));
        rectangle(page, (from, TOP + BARS + 4.0, (to - from).max(2.0), BAND), "closed");
    }
    for (stopped, started) in stops {
        let (from, to) = (x((*stopped).clamp(from_ms, to_ms)), x((*started).clamp(from_ms, to_ms)));
        if to > from {
            rectangle(page, (from, TOP + BARS + 4.0, (to - from).max(2.0), BAND), "soft");
        }
    }
    // Where there is nothing between them, one label says it.
    let ticks = if to_ms > from_ms + TICKS { TICKS } else { 0 };
    for tick in 0..=ticks {
        let at = from_ms + to_ms.saturating_sub(from_ms) / TICKS * tick;
        let anchor = match tick {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        let label = if span < 4.0 * 86_400_000.0 { clock(at, span < 20_000.0) } else { day(at) };
        let _ = writeln!(
            page,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>",
            x(at),
            TOP + BARS + BAND + LABELS,
        );
    }
    page.push_str("</svg><figcaption>");
    for (colour, what) in [
        ("allowed", "allowed"),
        ("refused", "denied"),
        ("held", "held"),
        ("closed", "unavailable; in the band: no checkpoint was signed"),
        ("soft", "it did not run"),
    ] {
        let _ = write!(page, "<i class=\"key {colour}\"></i>{what} ");
    }
    page.push_str("</figcaption></figure>\n");
}

fn stacks(page: &mut String, bars: &[Tally], most: u64) {
    let width = (WIDTH - LEFT) / bars.len().max(1) as f64;
    for (number, bar) in bars.iter().enumerate() {
        let (x, mut y) = (LEFT + number as f64 * width, TOP + BARS);
        for (count, colour) in parts(bar) {
            let height = count as f64 / most as f64 * BARS;
            y -= height;
            // However few they are among how many, they are seen.
            let seen = height.max(if count > 0 { 1.0 } else { 0.0 });
            if count > 0 {
                rectangle(page, (x, y - (seen - height), (width - 1.0).max(0.8), seen), colour);
            }
        }
    }
}

const fn parts(tally: &Tally) -> [(u64, &'static str); 4] {
    let Tally { allowed, denied, held, unavailable } = *tally;
    [(allowed, "allowed"), (denied, "refused"), (held, "held"), (unavailable, "closed")]
}

fn rectangle(page: &mut String, (x, y, width, height): (f64, f64, f64, f64), colour: &str) {
    let _ = writeln!(
        page,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"var(--{colour})\"/>"
    );
}

/// One bar: how a name's intents were decided, as long as its share of the longest.
pub(super) fn share(tally: &Tally, most: u64) -> String {
    let (mut bar, mut x) = (
        String::from(
            "<svg class=\"share\" viewBox=\"0 0 200 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        ),
        0.0,
    );
    for (count, colour) in parts(tally) {
        let width = count as f64 / most.max(1) as f64 * 200.0;
        if count > 0 {
            let seen = width.max(1.0);
            let _ = write!(
                bar,
                "<rect x=\"{x:.1}\" y=\"0\" width=\"{seen:.1}\" height=\"10\" fill=\"var(--{colour})\"/>"
            );
            x += width;
        }
    }
    bar.push_str("</svg>");
    bar
}

/// Date and second, or the time of day with its milliseconds.
fn clock(ms: u64, is_short: bool) -> String {
    let text = utc(Timestamp(ms)).replace('T', " ");
    let (skip, take) = if is_short { (11, 12) } else { (0, 19) };
    text.chars().skip(skip).take(take).collect()
}

fn day(ms: u64) -> String {
    utc(Timestamp(ms)).chars().take(10).collect()
}
