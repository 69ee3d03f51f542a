//! The picture: one reading and the rates before it, on as much terminal as there is.
//!
//! Without colours it says the same: what is wrong is in capitals. Texts of peers, of modules and of people are made visible
//! before they are drawn.

use assent_proto::number::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Sparkline};

use super::readings::{Rates, Readings};
use crate::cli::utc;
use crate::hsm::FaultClass;
use crate::meters::Spread;
use crate::serving::status::{BoundaryStatus, Latency, Status};
use crate::shown::{age, counted, visible};
use crate::token::FenceInHsm;

/// Less than this cannot be read.
const LEAST: (u16, u16) = (60, 16);

/// Rows below which there are no bars, and below which they are low: words go before bars.
const ROWS_FOR_BARS: u16 = 20;
const ROWS_FOR_HIGH_BARS: u16 = 25;

/// What words look like.
#[derive(Clone, Copy)]
struct Palette {
    coloured: bool,
}

impl Palette {
    fn of(self, colour: Color) -> Style {
        if self.coloured { Style::new().fg(colour) } else { Style::new() }
    }

    fn good(self) -> Style {
        self.of(Color::Green)
    }

    fn bad(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn wary(self) -> Style {
        self.of(Color::Yellow)
    }
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, readings: &Readings, now: Timestamp, coloured: bool) {
    let (palette, area) = (Palette { coloured }, frame.area());
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let words = format!("at least {} by {} characters are needed; q quits", LEAST.0, LEAST.1);
        return frame.render_widget(Paragraph::new(words), area);
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(heading(readings, now, palette), head);
    // What is not known to be so is in no colour that says that it is well.
    let is_silent = readings.silent.is_some();
    match &readings.latest {
        Some(status) if is_silent => {
            draw_status(frame, body, status, readings, Palette { coloured: false });
            frame.buffer_mut().set_style(body, Style::new().add_modifier(Modifier::DIM));
        }
        Some(status) => draw_status(frame, body, status, readings, palette),
        None if is_silent => {}
        None => frame.render_widget(Paragraph::new("waiting for the first answer"), body),
    }
    frame.render_widget(Paragraph::new("q quit   p pause   ? help"), foot);
    if readings.help {
        help(frame, area);
    }
}

/// Who it is, and whether what is drawn is of now.
fn heading(readings: &Readings, now: Timestamp, palette: Palette) -> Line<'static> {
    if let Some((since, why)) = &readings.silent {
        let words = format!("NO ANSWER since {} ({}): {}", utc(*since), age(since.0, now.0), visible(why));
        return Line::styled(words, palette.bad().add_modifier(Modifier::REVERSED));
    }
    let Some(status) = &readings.latest else { return Line::raw("assent top") };
    let who = format!("{} {} at {}  ", visible(&status.origin), status.version, status.listen);
    let mut spans = vec![Span::styled(who, Style::new().add_modifier(Modifier::BOLD))];
    if readings.paused {
        spans.push(Span::styled(format!("PAUSED at {}", utc(Timestamp(status.now_ms))), palette.wary()));
    } else {
        spans.push(Span::raw(utc(Timestamp(status.now_ms))));
    }
    Line::from(spans)
}

fn draw_status(frame: &mut Frame<'_>, area: Rect, status: &Status, readings: &Readings, palette: Palette) {
    let bars = match area.height {
        ..ROWS_FOR_BARS => 0,
        ROWS_FOR_BARS..ROWS_FOR_HIGH_BARS => 3,
        ROWS_FOR_HIGH_BARS.. => 4,
    };
    let [boundaries, middle, lines, rest] = Layout::vertical([
        Constraint::Length(6),
        Constraint::Length(8),
        Constraint::Length(bars),
        Constraint::Fill(1),
    ])
    .areas(area);
    panel(frame, boundaries, "boundaries", boundary_lines(status, palette));
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(45), Constraint::Percentage(55)]).areas(middle);
    let mut rates = rate_lines(status, readings.newest());
    rates.extend(latency_lines(readings.latency().as_ref()));
    panel(frame, left, "rates", rates);
    panel(frame, right, "people", people_lines(status, palette));
    let [tokens, rounds] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(lines);
    spark(frame, tokens, "tokens a second", readings, |rates| rates.tokens, palette);
    spark(frame, rounds, "entries a round", readings, |rates| rates.a_round.unwrap_or(0), palette);
    panel(frame, rest, "log", log_lines(status, palette));
}

fn panel(frame: &mut Frame<'_>, area: Rect, title: &'static str, lines: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), area);
}

/// As many of the newest as there are columns, the newest at the right.
fn spark(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    readings: &Readings,
    of: impl Fn(&Rates) -> u64,
    palette: Palette,
) {
    let columns = usize::from(area.width.saturating_sub(2));
    let behind = readings.rates.len().saturating_sub(columns);
    let bars: Vec<u64> = readings.rates.iter().skip(behind).map(of).collect();
    let most = bars.iter().max().copied().unwrap_or(0);
    let block = Block::bordered().title(format!("{title}, at most {}", grouped(most)));
    frame.render_widget(Sparkline::default().data(&bars).style(palette.of(Color::Cyan)).block(block), area);
}

fn boundary_lines(status: &Status, palette: Palette) -> Vec<Line<'static>> {
    let boundaries = &status.boundaries;
    let each = [
        ("intent", &boundaries.intent),
        ("evaluation", &boundaries.evaluation),
        ("token", &boundaries.token),
    ];
    let mut lines: Vec<_> = each
        .into_iter()
        .map(|(name, boundary)| boundary_line(name, boundary, status.now_ms, palette))
        .collect();
    let trips = counted(status.counters.trips, "trip", "trips");
    let stands = format!("; epoch {}, lowest {}; {trips} since start", status.epoch, status.lowest_epoch);
    lines.push(Line::from(vec![Span::raw("signer      "), signer(status, palette), Span::raw(stands)]));
    lines
}

fn signer(status: &Status, palette: Palette) -> Span<'static> {
    match (status.counters.signer_process, status.counters.slow_signatures) {
        (0, _) => Span::styled("NONE RUNS", palette.bad()),
        (process, 0) => Span::raw(format!("process {process}")),
        (process, slow) => {
            Span::styled(format!("process {process}, {} signatures SLOW", grouped(slow)), palette.wary())
        }
    }
}

fn boundary_line(name: &str, boundary: &BoundaryStatus, now_ms: u64, palette: Palette) -> Line<'static> {
    let name = Span::raw(format!("{name:<12}"));
    if boundary.open {
        let since = boundary.since_ms.map(|since| since_when(since, now_ms)).unwrap_or_default();
        return Line::from(vec![name, Span::styled("open", palette.good()), Span::raw(since)]);
    }
    let since = since_when(boundary.since_ms.unwrap_or(now_ms), now_ms);
    let who = match boundary.class {
        Some(FaultClass::Integrity) => " [operators re-arm]",
        Some(FaultClass::Availability) | None => "",
    };
    let (cause, message) =
        (boundary.cause.as_deref().unwrap_or("?"), boundary.message.as_deref().unwrap_or(""));
    // What comes last is what a narrow terminal cuts.
    let words = format!("CLOSED {}{since}", visible(cause));
    let why = format!("{who}: {}", visible(message));
    Line::from(vec![name, Span::styled(words, palette.bad()), Span::raw(why)])
}

/// How long it is so, and since when.
fn since_when(since_ms: u64, now_ms: u64) -> String {
    format!(" {} since {}", age(since_ms, now_ms), utc(Timestamp(since_ms)))
}

fn rate_lines(status: &Status, rates: Option<Rates>) -> Vec<Line<'static>> {
    let counters = &status.counters;
    let told = |rate: Option<u64>, total: u64| match rate {
        Some(rate) => format!("{:>9} /s  {:>12}", grouped(rate), grouped(total)),
        None => format!("{:>9} /s  {:>12}", "-", grouped(total)),
    };
    let tenths = |rate: Option<u64>, total: u64| match rate {
        Some(rate) => format!("{:>7}.{} /s  {:>12}", grouped(rate / 10), rate % 10, grouped(total)),
        None => format!("{:>9} /s  {:>12}", "-", grouped(total)),
    };
    vec![
        Line::raw(format!("tokens {}", told(rates.map(|rates| rates.tokens), counters.tokens_released))),
        Line::raw(format!("entries{}", told(rates.map(|rates| rates.entries), counters.entries))),
        Line::raw(format!("rounds {}", tenths(rates.map(|rates| rates.rounds_in_ten), counters.rounds))),
        Line::raw(format!(
            "signed {}",
            tenths(rates.map(|rates| rates.signatures_in_ten), counters.signatures)
        )),
    ]
}

/// Of the last readings; what was not measured in them is not told.
fn latency_lines(latency: Option<&Latency>) -> [Line<'static>; 2] {
    let told = |name: &str, of: fn(&Latency) -> &Spread| {
        let at = |of_1000| {
            let bound = latency.and_then(|latency| of(latency).quantile(of_1000));
            bound.map_or_else(|| "-".to_owned(), |bound| bound.to_string())
        };
        Line::raw(format!("{name} p50 {:<7} p99 {}", at(500), at(990)))
    };
    [told("signing", |latency| &latency.signature), told("answers", |latency| &latency.answer)]
}

fn people_lines(status: &Status, palette: Palette) -> Vec<Line<'static>> {
    let queue = &status.queue;
    let [low, normal, high, critical] = queue.queued;
    let oldest = |since: Option<u64>| {
        since.map(|oldest| format!(", oldest {}", age(oldest, status.now_ms))).unwrap_or_default()
    };
    let stands = &status.break_glass;
    let reviews = format!("reviews     {} open, {} OVERDUE", stands.reviews_open, stands.reviews_overdue);
    let warrant = match &stands.warrant {
        Some(warrant) => {
            let left = warrant.uses.saturating_sub(warrant.used);
            let words =
                format!("WARRANT     {left} of {} uses under {}", warrant.uses, visible(&warrant.charter));
            Line::styled(words, palette.wary())
        }
        None => Line::raw(format!("warrant     none; {}", counted(stands.charters, "charter", "charters"))),
    };
    vec![
        Line::raw(format!(
            "queue       {critical} crit {high} high {normal} norm {low} low{}",
            oldest(queue.oldest_ms)
        )),
        Line::raw(format!(
            "holds       {}{} of at most {}",
            queue.awaiting_approval,
            oldest(queue.oldest_hold_ms),
            grouped(queue.intents_max)
        )),
        if stands.reviews_overdue > 0 {
            Line::styled(reviews, palette.bad())
        } else {
            Line::raw(format!("reviews     {} open", stands.reviews_open))
        },
        warrant,
        escalation_line(status, palette),
    ]
}

fn escalation_line(status: &Status, palette: Palette) -> Line<'static> {
    let escalations = &status.escalations;
    let waiting: u64 = escalations.sinks.iter().map(|sink| sink.waiting).sum();
    let undeliverable: u64 = escalations.sinks.iter().map(|sink| sink.undeliverable).sum();
    let mut words = format!("escalations {} open, {waiting} waiting", escalations.open);
    if undeliverable + escalations.lost > 0 {
        words.push_str(&format!(", {undeliverable} UNTOLD, {} LOST", escalations.lost));
        return Line::styled(words, palette.bad());
    }
    if escalations.sinks.is_empty() { Line::raw(format!("{words}; no sink")) } else { Line::raw(words) }
}

fn log_lines(status: &Status, palette: Palette) -> Vec<Line<'static>> {
    let counters = &status.counters;
    let checkpoint = match counters.last_checkpoint_ms {
        0 => "no checkpoint yet".to_owned(),
        at => format!("checkpoint {} old", age(at, status.now_ms)),
    };
    let size = format!("size        {}, {checkpoint}", counted(counters.log_size, "entry", "entries"));
    let mut lines = vec![Line::raw(size)];
    if counters.unsigned_entries > 0 || counters.refused_unlogged > 0 {
        let (unsigned, refused) = (grouped(counters.unsigned_entries), grouped(counters.refused_unlogged));
        let words = format!(
            "UNSIGNED    {unsigned} of {}, {refused} refused without an entry",
            grouped(status.unsigned_max)
        );
        lines.push(Line::styled(words, palette.wary()));
    }
    lines.extend(witness_line(status, palette));
    let policy = &status.policy;
    let bundle = status.bundle.get(..16).unwrap_or(&status.bundle);
    let version =
        policy.version.map_or_else(|| "no version".to_owned(), |version| format!("version {version}"));
    let confirmed = age(policy.confirmed_ms, status.now_ms);
    lines.push(Line::raw(format!("bundle      {bundle}.. {version}, confirmed {confirmed} ago")));
    if let Some(refused) = policy.standing_refusal() {
        let words = format!(
            "REFUSED     a bundle {} ago: {}",
            age(refused.at_ms, status.now_ms),
            visible(&refused.reason)
        );
        lines.push(Line::styled(words, palette.wary()));
    }
    if let FenceInHsm::Refused { why } = &status.fence_in_hsm {
        lines.push(Line::raw(format!("fence       in its file only: {}", visible(why))));
    }
    lines
}

fn witness_line(status: &Status, palette: Palette) -> Option<Line<'static>> {
    let all = &status.witnesses;
    if all.is_empty() {
        return None;
    }
    if let Some(liar) = all.iter().find(|witness| witness.contradicts) {
        return Some(Line::styled(format!("CONTRADICTS {}", visible(&liar.name)), palette.bad()));
    }
    let failing = all.iter().filter(|witness| witness.error.is_some()).count();
    let least = all.iter().map(|witness| witness.size).min().unwrap_or(0);
    let words = format!("witnesses   {}, at {} leaves or beyond", all.len(), grouped(least));
    Some(match failing {
        0 => Line::raw(words),
        failing => Line::styled(format!("{words}; {failing} FAILING"), palette.wary()),
    })
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines = [
        "q, Ctrl-C   quit",
        "p, space    hold the picture still; the appliance goes on",
        "?, h        this; Esc closes it",
        "",
        "Rates are of the last two readings, latencies of the last",
        "60: the bounds that p50 and p99 do not pass. Totals are",
        "since the start. `assent status` tells the rest.",
    ];
    let (width, height) = (62.min(area.width), 9.min(area.height));
    let [row] =
        Layout::vertical([Constraint::Length(height)]).flex(ratatui::layout::Flex::Center).areas(area);
    let [middle] =
        Layout::horizontal([Constraint::Length(width)]).flex(ratatui::layout::Flex::Center).areas(row);
    frame.render_widget(Clear, middle);
    panel(frame, middle, "keys", lines.into_iter().map(Line::raw).collect());
}

/// A number with a comma between each three of its digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
