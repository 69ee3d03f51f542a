//! Pictures as text, against those that were looked at; and what follows from readings.

use assent_proto::number::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::picture::draw;
use super::readings::{Rates, Readings};
use super::{interval, pressed};
use crate::hsm::FaultClass;
use crate::serving::status::Status;

/// What a development appliance said of itself.
const STATUS: &str = include_str!("samples/status.json");

fn status() -> Box<Status> {
    Box::new(serde_json::from_str(STATUS).unwrap())
}

/// A minute of readings, the last of them the sample.
fn minute() -> Readings {
    let last = status();
    let mut readings = Readings::new(Timestamp(last.now_ms));
    for second in 0..60_u64 {
        let mut status = last.clone();
        let before = 59 - second;
        status.now_ms -= before * 1000;
        status.counters.tokens_released -= before * 20 + (before % 7) * 3;
        status.counters.entries -= before * 24;
        status.counters.rounds -= before * 2;
        status.counters.signatures -= before * 3;
        status.latency.signature.counts[1] -= before * 2;
        status.latency.signature.counts[3] -= before / 2;
        status.latency.answer.counts[3] -= before * 2;
        let now = Timestamp(status.now_ms);
        readings.take(Ok(status), now);
    }
    readings
}

/// The picture as text, a line a row.
fn picture(
    readings: &Readings,
    now: u64,
    (width, height): (u16, u16),
    coloured: bool,
) -> (String, Vec<Color>) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, readings, Timestamp(now), coloured)).unwrap();
    let buffer = terminal.backend().buffer();
    let colours =
        buffer.content.iter().map(|cell| cell.fg).filter(|colour| *colour != Color::Reset).collect();
    let rows = buffer.content.chunks(usize::from(width));
    let row = |cells: &[ratatui::buffer::Cell]| {
        let text: String = cells.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("{}\n", text.trim_end())
    };
    (rows.map(row).collect(), colours)
}

/// Holds a picture against the one that was looked at; where they differ, the new one is printed to be looked at.
fn looks_like(name: &str, readings: &Readings, now: u64, size: (u16, u16)) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/top/samples").join(name);
    let expected = std::fs::read_to_string(path).unwrap();
    let (drawn, _) = picture(readings, now, size, false);
    assert!(drawn == expected, "{name}: look at it, and put it into samples/ if it is right:\n{drawn}");
}

#[test]
fn a_healthy_appliance_fits_a_small_terminal() {
    let now = status().now_ms;
    looks_like("healthy.txt", &minute(), now, (80, 24));
}

#[test]
fn an_outage_is_drawn_with_its_cause_and_since_when() {
    let mut readings = minute();
    let mut status = status();
    let token = &mut status.boundaries.token;
    (token.open, token.cause, token.class) =
        (false, Some("pin_incorrect".to_owned()), Some(FaultClass::Integrity));
    token.message = Some("the HSM refused \u{202e}the PIN\n\u{1b}[2J".to_owned());
    token.since_ms = Some(status.now_ms - 125_000);
    status.counters.signer_process = 0;
    (status.counters.unsigned_entries, status.counters.refused_unlogged) = (4321, 7);
    status.queue.queued = [1, 20, 300, 4];
    status.queue.oldest_ms = Some(status.now_ms - 90_000);
    (status.queue.awaiting_approval, status.queue.oldest_hold_ms) = (5, Some(status.now_ms - 10_800_000));
    (status.break_glass.reviews_open, status.break_glass.reviews_overdue) = (3, 1);
    (status.escalations.open, status.escalations.lost) = (2, 1);
    status.now_ms += 1000;
    let now = status.now_ms;
    readings.take(Ok(status), Timestamp(now));
    looks_like("outage.txt", &readings, now, (100, 30));
    let (drawn, _) = picture(&readings, now, (100, 30), true);
    assert!(!drawn.contains(['\u{202e}', '\u{1b}']), "{drawn}");
}

#[test]
fn silence_is_said_and_what_was_known_stays() {
    let mut readings = minute();
    let now = status().now_ms;
    readings.take(Err("no appliance answers".to_owned()), Timestamp(now + 4000));
    looks_like("silent.txt", &readings, now + 5000, (80, 24));
    let (_, colours) = picture(&readings, now + 5000, (80, 24), true);
    assert!(colours.contains(&Color::Red), "in red");
    readings.take(Ok(status()), Timestamp(now + 6000));
    let (drawn, _) = picture(&readings, now + 6000, (80, 24), true);
    assert!(!drawn.contains("NO ANSWER"), "{drawn}");
}

#[test]
fn help_lies_over_the_picture_and_goes_away() {
    let mut readings = minute();
    let press = |readings: &mut Readings, code| pressed(&KeyEvent::new(code, KeyModifiers::NONE), readings);
    assert!(press(&mut readings, KeyCode::Char('?')));
    looks_like("help.txt", &readings, status().now_ms, (80, 24));
    assert!(press(&mut readings, KeyCode::Esc) && !readings.help);
    assert!(!press(&mut readings, KeyCode::Char('q')), "q quits");
    assert!(
        !pressed(&KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL), &mut readings),
        "as Ctrl-C does"
    );
    assert!(press(&mut readings, KeyCode::Char('x')), "and nothing else");
}

#[test]
fn without_colours_nothing_is_coloured_and_with_them_something_is() {
    let (readings, now) = (minute(), status().now_ms);
    assert_eq!(picture(&readings, now, (80, 24), false).1, []);
    assert!(picture(&readings, now, (80, 24), true).1.contains(&Color::Green));
}

#[test]
fn any_size_of_terminal_is_drawn_on() {
    let (readings, now) = (minute(), status().now_ms);
    for size in [(1, 1), (20, 5), (60, 16), (80, 24), (300, 90)] {
        let (drawn, _) = picture(&readings, now, size, true);
        assert_eq!(drawn.lines().count(), usize::from(size.1), "{size:?}");
    }
    assert!(picture(&readings, now, (50, 10), true).0.contains("at least 60 by 16"));
}

#[test]
fn a_paused_picture_stands_still_and_silence_is_told_all_the_same() {
    let mut readings = minute();
    readings.paused = true;
    let (before, now) = (readings.rates.len(), status().now_ms);
    let mut later = status();
    later.counters.tokens_released += 1000;
    readings.take(Ok(later), Timestamp(now + 1000));
    assert_eq!(readings.rates.len(), before);
    assert!(picture(&readings, now + 1000, (80, 24), false).0.contains("PAUSED at"));
    readings.take(Err("gone".to_owned()), Timestamp(now + 3000));
    assert_eq!(readings.silent.as_ref().map(|(since, _)| since.0), Some(now + 1000));
}

#[test]
fn rates_are_of_two_readings_and_none_outlives_a_restart() {
    let mut readings = Readings::new(Timestamp(0));
    let (first, mut second) = (status(), status());
    second.now_ms += 500;
    second.counters.tokens_released += 600;
    second.counters.entries += 700;
    second.counters.rounds += 2;
    second.counters.signatures += 3;
    let mut restarted = status();
    restarted.now_ms += 1000;
    restarted.counters = crate::token::Reading::default();
    readings.take(Ok(first), Timestamp(0));
    assert_eq!(readings.newest(), None);
    readings.take(Ok(second), Timestamp(0));
    let rates =
        Rates { tokens: 1200, entries: 1400, rounds_in_ten: 40, signatures_in_ten: 60, a_round: Some(350) };
    assert_eq!(readings.newest(), Some(rates));
    readings.take(Ok(restarted), Timestamp(0));
    assert_eq!(readings.newest(), None);
}

#[test]
fn latencies_are_of_the_last_readings_and_none_outlives_a_restart() {
    let mut readings = minute();
    let told = |readings: &Readings| {
        let latency = readings.latency()?;
        Some(
            [(&latency.signature, 500), (&latency.signature, 990), (&latency.answer, 990)]
                .map(|(spread, of_1000)| spread.quantile(of_1000).map(|bound| bound.to_string())),
        )
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(told(&readings), Some([some("<=250us"), some("<=1ms"), some("<=1ms")]));
    // What was slow before the last readings is not of now; what is slow now is.
    let mut slow = status();
    (slow.now_ms, slow.latency.signature.counts[16]) = (slow.now_ms + 1000, 300);
    let now = Timestamp(slow.now_ms);
    readings.take(Ok(slow.clone()), now);
    assert_eq!(told(&readings).unwrap()[..2], [some(">10s"), some(">10s")]);
    for second in 1..=60 {
        slow.now_ms += second * 1000;
        readings.take(Ok(slow.clone()), now);
    }
    assert_eq!(told(&readings), Some([None, None, None]), "nothing was signed");
    let (drawn, _) = picture(&readings, slow.now_ms, (80, 24), false);
    assert!(drawn.contains("signing p50 -       p99 -"), "{drawn}");
    let mut restarted = status();
    restarted.counters = crate::token::Reading::default();
    readings.take(Ok(restarted), now);
    assert_eq!(told(&readings), Some([None, None, None]));
}

#[test]
fn an_interval_has_a_unit_and_a_least() {
    assert_eq!(interval("250ms"), Ok(std::time::Duration::from_millis(250)));
    for wrong in ["1", "10ms", "2d", "x"] {
        assert!(interval(wrong).is_err(), "{wrong}");
    }
}
