//! The outbox: one alert and one end, order, the schedule, sinks that are gone, bounds, and what a reopening finds.

use std::path::PathBuf;

use assent_proto::number::LeafIndex;

use super::*;
use crate::incident::{End, Incident, IncidentKey, Kind};
use crate::limits::{MAX_INCIDENTS, MAX_KEPT_INCIDENTS, PROBE_PAUSE_MS};
use crate::message::Phase;
use crate::schedule::DELAYS_MS;

const ORIGIN: &str = "example.org/log";
const HOUR: u64 = 3_600_000;

struct Scratch {
    _folder: tempfile::TempDir,
    path: PathBuf,
    routes: Vec<Route>,
}

impl Scratch {
    fn new(sinks: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let route = |name: &&str| Route { name: (*name).to_owned(), min_severity: Severity::Info };
        let path = folder.path().join("escalations.redb");
        Self { _folder: folder, path, routes: sinks.iter().map(route).collect() }
    }

    fn open(&self) -> Outbox {
        Outbox::open(&self.path, ORIGIN, &self.routes).unwrap()
    }
}

fn incident(kind: Kind, discriminator: &str) -> Incident {
    Incident::new(kind, ORIGIN, discriminator, "something", Timestamp(1))
}

fn begin(outbox: &Outbox, kind: Kind, discriminator: &str, now: u64) -> Raised {
    outbox.raise(&Event::Begun(Box::new(incident(kind, discriminator))), Timestamp(now)).unwrap()
}

fn end(outbox: &Outbox, kind: Kind, discriminator: &str, now: u64) -> Raised {
    let key = IncidentKey::new(ORIGIN, kind, discriminator);
    outbox.raise(&Event::Ended(End::new(key, Timestamp(now))), Timestamp(now)).unwrap()
}

fn sent(outbox: &Outbox, sink: &str, now: u64) -> Option<Message> {
    match outbox.next(sink, Timestamp(now)) {
        Next::Send(message) => Some(*message),
        Next::Wait(_) => None,
    }
}

fn wait(outbox: &Outbox, sink: &str, now: u64) -> Option<u64> {
    match outbox.next(sink, Timestamp(now)) {
        Next::Send(message) => panic!("{message:?}"),
        Next::Wait(until) => until.map(|until| until.0),
    }
}

fn failed() -> Outcome {
    Outcome::Failed { reason: "down".to_owned(), retry_after_seconds: None }
}

fn settle(outbox: &Outbox, sink: &str, outcome: &Outcome, now: u64) -> Message {
    let message = sent(outbox, sink, now).unwrap();
    outbox.settle(&message, outcome, Timestamp(now), 0).unwrap();
    message
}

/// All that a sink gets when it takes everything.
fn drained(outbox: &Outbox, sink: &str, now: u64) -> Vec<(String, Phase)> {
    let mut got = Vec::new();
    while let Some(message) = sent(outbox, sink, now) {
        outbox.settle(&message, &Outcome::Delivered, Timestamp(now), 0).unwrap();
        got.push((message.incident().key().as_str().replace("example.org/log/", ""), message.phase()));
    }
    got
}

fn named(all: &[(&str, Phase)]) -> Vec<(String, Phase)> {
    all.iter().map(|(key, phase)| ((*key).to_owned(), *phase)).collect()
}

#[test]
fn attempts_are_counted_by_what_became_of_them() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    assert_eq!(outbox.attempts(), ["delivered", "failed", "refused", "gone"].map(|label| (label, 0)));
    assert_eq!(begin(&outbox, Kind::Trip, "1", 5), Raised::Added(0));
    settle(&outbox, "a", &failed(), 5);
    assert_eq!(end(&outbox, Kind::Trip, "1", 7), Raised::Added(0));
    assert_eq!(drained(&outbox, "a", 100_000_000).len(), 2);
    assert_eq!(outbox.attempts(), [("delivered", 2), ("failed", 1), ("refused", 0), ("gone", 0)]);
}

#[test]
fn one_incident_is_one_alert_and_one_end() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    assert_eq!(end(&outbox, Kind::Trip, "1", 5), Raised::NotOpen);
    assert_eq!(begin(&outbox, Kind::Trip, "1", 5), Raised::Added(0));
    assert_eq!(begin(&outbox, Kind::Trip, "1", 6), Raised::Known);
    assert_eq!(end(&outbox, Kind::Trip, "1", 7), Raised::Added(0));
    assert_eq!(end(&outbox, Kind::Trip, "1", 8), Raised::NotOpen);
    assert_eq!(begin(&outbox, Kind::Trip, "1", 9), Raised::Added(2), "it may come again");
    let (trip, begun, ended) = ("trip/1", Phase::Begun, Phase::Ended);
    assert_eq!(drained(&outbox, "a", 9), named(&[(trip, begun), (trip, ended), (trip, begun)]));
    assert_eq!(wait(&outbox, "a", 9), None);
}

#[test]
fn what_only_happens_is_told_once_and_has_no_end() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    assert_eq!(begin(&outbox, Kind::WarrantUsed, "w/1", 5), Raised::Added(0));
    assert_eq!(begin(&outbox, Kind::WarrantUsed, "w/1", 5), Raised::Known);
    assert_eq!(end(&outbox, Kind::WarrantUsed, "w/1", 5), Raised::NotOpen);
    assert_eq!(drained(&outbox, "a", 5).len(), 1);
    assert_eq!(begin(&outbox, Kind::WarrantUsed, "w/1", 6), Raised::Known, "while it is remembered");
}

#[test]
fn a_sink_is_told_of_what_is_severe_enough_and_of_the_ends_of_that() {
    let mut scratch = Scratch::new(&["a", "b"]);
    scratch.routes[1].min_severity = Severity::Critical;
    let outbox = scratch.open();
    for kind in [Kind::DiskLow, Kind::Trip] {
        let _ = begin(&outbox, kind, "1", 5);
        let _ = end(&outbox, kind, "1", 5);
    }
    assert_eq!(drained(&outbox, "a", 5).len(), 4);
    assert_eq!(drained(&outbox, "b", 5), named(&[("trip/1", Phase::Begun), ("trip/1", Phase::Ended)]));
}

#[test]
fn attempts_follow_the_schedule_and_then_the_others_hear_of_it() {
    let scratch = Scratch::new(&["a", "b"]);
    let outbox = scratch.open();
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    assert_eq!(drained(&outbox, "b", 0).len(), 1);
    let mut now = 0;
    let id = sent(&outbox, "a", 0).unwrap().id().to_owned();
    for delay in DELAYS_MS {
        now += delay;
        assert_eq!(settle(&outbox, "a", &failed(), now).id(), id);
    }
    assert_eq!(wait(&outbox, "a", now), None);
    let undeliverable = "escalation_undeliverable/a";
    assert_eq!(drained(&outbox, "b", now), named(&[(undeliverable, Phase::Begun)]));
    let view = outbox.list();
    assert_eq!((view.sinks[0].undeliverable, view.sinks[0].waiting), (1, 0));
    assert_eq!(view.incidents[0].deliveries[0].begun.reason.as_deref(), Some("down"));
    assert_eq!(view.incidents[1].cause, "attempts_exhausted");
    let _ = end(&outbox, Kind::Trip, "1", now);
    assert_eq!(drained(&outbox, "a", now), [], "nobody hears of an end alone");
    assert_eq!(outbox.retry(Retry::Incident(0), Timestamp(now)).unwrap(), 3);
    assert_eq!(drained(&outbox, "a", now), named(&[("trip/1", Phase::Begun), ("trip/1", Phase::Ended)]));
    let there = drained(&outbox, "b", now);
    assert_eq!(there, named(&[("trip/1", Phase::Ended), (undeliverable, Phase::Ended)]));
}

#[test]
fn a_sink_that_does_not_answer_holds_its_own_line_up_alone() {
    let scratch = Scratch::new(&["a", "b"]);
    let outbox = scratch.open();
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    settle(&outbox, "a", &failed(), 0);
    let _ = end(&outbox, Kind::Trip, "1", 1);
    let _ = begin(&outbox, Kind::DiskLow, "", 2);
    assert_eq!(wait(&outbox, "a", 3), Some(5_000));
    assert_eq!(drained(&outbox, "b", 3).len(), 3);
    let (begun, ended) = (Phase::Begun, Phase::Ended);
    let all = named(&[("trip/1", begun), ("trip/1", ended), ("disk_low/", begun)]);
    assert_eq!(drained(&outbox, "a", 5_000), all);
}

#[test]
fn what_is_new_asks_a_sink_beside_the_schedule_which_stays() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    let mut now = 0;
    for delay in &DELAYS_MS[..5] {
        now += delay;
        settle(&outbox, "a", &failed(), now);
    }
    let due = now + 5 * HOUR;
    assert_eq!(wait(&outbox, "a", now), Some(due));
    let _ = begin(&outbox, Kind::DiskLow, "", now + 1);
    assert_eq!(wait(&outbox, "a", now + 1), Some(now + PROBE_PAUSE_MS), "not at once");
    assert_eq!(settle(&outbox, "a", &failed(), now + HOUR).failed_attempts(), 5);
    assert_eq!(wait(&outbox, "a", now + HOUR), Some(due), "the schedule is as it was");
    let _ = end(&outbox, Kind::DiskLow, "", now + 2 * HOUR);
    assert_eq!(drained(&outbox, "a", now + 2 * HOUR).len(), 3, "and hears all when it is back");
}

#[test]
fn what_a_sink_refuses_steps_aside_with_what_has_its_key() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    let refused = Outcome::Refused { reason: "malformed".to_owned() };
    settle(&outbox, "a", &refused, 0);
    let _ = end(&outbox, Kind::Trip, "1", 0);
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    let _ = begin(&outbox, Kind::DiskLow, "", 0);
    assert_eq!(drained(&outbox, "a", 1), named(&[("disk_low/", Phase::Begun)]));
    assert_eq!(wait(&outbox, "a", 1), Some(5_000));
    let (begun, ended) = (Phase::Begun, Phase::Ended);
    let all = named(&[("trip/1", begun), ("trip/1", ended), ("trip/1", begun)]);
    assert_eq!(drained(&outbox, "a", 5_000), all);
}

#[test]
fn a_sink_that_puts_us_off_is_not_asked_before_not_even_for_what_is_new() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    let put_off = |seconds| Outcome::Failed { reason: String::new(), retry_after_seconds: Some(seconds) };
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    settle(&outbox, "a", &put_off(3600), 0);
    let _ = begin(&outbox, Kind::DiskLow, "", 1);
    assert_eq!(wait(&outbox, "a", 1), Some(HOUR));
    settle(&outbox, "a", &put_off(u64::MAX), HOUR);
    assert_eq!(wait(&outbox, "a", HOUR), Some(25 * HOUR), "a day at most");
}

#[test]
fn a_sink_that_wants_nothing_more_is_left_alone_until_operators_say_so() {
    let scratch = Scratch::new(&["a", "b"]);
    let outbox = scratch.open();
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    settle(&outbox, "a", &Outcome::Gone { reason: "status 410".to_owned() }, 0);
    let _ = end(&outbox, Kind::Trip, "1", 1);
    assert_eq!(wait(&outbox, "a", 30 * 24 * HOUR), None);
    assert_eq!(drained(&outbox, "b", 1)[1].0, "escalation_undeliverable/a");
    drop(outbox);
    let outbox = scratch.open();
    assert_eq!(wait(&outbox, "a", 2), None, "a restart does not forget");
    assert_eq!(outbox.list().sinks[0].gone_reason.as_deref(), Some("status 410"));
    assert_eq!(outbox.retry(Retry::All, Timestamp(2)).unwrap(), 2);
    assert_eq!(drained(&outbox, "a", 2), named(&[("trip/1", Phase::Begun), ("trip/1", Phase::Ended)]));
    assert_eq!(drained(&outbox, "b", 2), named(&[("escalation_undeliverable/a", Phase::Ended)]));
}

#[test]
fn operators_do_not_bring_back_what_has_begun_anew() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    let _ = begin(&outbox, Kind::DiskLow, "", 0);
    let mut now = 0;
    for delay in DELAYS_MS {
        now += delay;
        settle(&outbox, "a", &failed(), now);
    }
    let _ = end(&outbox, Kind::DiskLow, "", now);
    let _ = begin(&outbox, Kind::DiskLow, "", now);
    assert_eq!(drained(&outbox, "a", now), named(&[("disk_low/", Phase::Begun)]));
    assert_eq!(outbox.retry(Retry::Incident(0), Timestamp(now)).unwrap(), 0, "its end would end the new one");
}

#[test]
fn a_clock_that_went_back_does_not_hold_an_attempt_for_years() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    let later = 10 * 365 * 24 * HOUR;
    let _ = begin(&outbox, Kind::Trip, "1", later);
    settle(&outbox, "a", &failed(), later);
    assert!(sent(&outbox, "a", 5).is_some());
}

#[test]
fn a_reopening_finds_all_that_was_not_delivered_under_the_same_ids() {
    let scratch = Scratch::new(&["a", "b"]);
    let outbox = scratch.open();
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    let _ = end(&outbox, Kind::Trip, "1", 1);
    let sent_unsettled = sent(&outbox, "a", 2).unwrap();
    settle(&outbox, "b", &Outcome::Delivered, 2);
    drop(outbox);
    let outbox = scratch.open();
    assert_eq!(sent(&outbox, "a", 3).unwrap().id(), sent_unsettled.id());
    assert_eq!(drained(&outbox, "a", 3).len(), 2);
    assert_eq!(drained(&outbox, "b", 3), named(&[("trip/1", Phase::Ended)]));
    assert_eq!(begin(&outbox, Kind::Trip, "2", 4), Raised::Added(2), "places are not given twice");
    drop(outbox);
    let fewer = Outbox::open(&scratch.path, ORIGIN, &scratch.routes[..1]).unwrap();
    assert_eq!(fewer.list().incidents[1].deliveries.len(), 1, "who is no sink any more is forgotten");
}

#[test]
fn a_full_outbox_drops_what_was_delivered_then_what_nobody_takes_then_refuses_and_counts() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    let many = |from: usize, to: usize| {
        let event = |n: usize| Event::Begun(Box::new(incident(Kind::WarrantUsed, &n.to_string())));
        outbox.raise_all(&(from..to).map(event).collect::<Vec<_>>(), Timestamp(0)).unwrap()
    };
    let _ = many(0, MAX_INCIDENTS);
    assert_eq!(many(MAX_INCIDENTS, MAX_INCIDENTS + 2), [Raised::Refused; 2]);
    assert_eq!(outbox.list().refused, 2);
    settle(&outbox, "a", &Outcome::Delivered, 0);
    assert!(matches!(many(MAX_INCIDENTS, MAX_INCIDENTS + 1)[..], [Raised::Added(_)]));
    assert_eq!((outbox.list().incidents.len(), outbox.list().dropped), (MAX_INCIDENTS, 0));
    settle(&outbox, "a", &Outcome::Gone { reason: String::new() }, 0);
    assert!(matches!(many(MAX_INCIDENTS + 1, MAX_INCIDENTS + 2)[..], [Raised::Added(_)]));
    let view = outbox.list();
    assert_eq!((view.incidents.len(), view.refused), (MAX_INCIDENTS, 2));
    assert!(view.dropped >= 1, "loss is counted");
}

#[test]
fn of_what_is_over_and_delivered_the_newest_are_kept() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    let event = |n: usize| Event::Begun(Box::new(incident(Kind::WarrantUsed, &n.to_string())));
    let _ =
        outbox.raise_all(&(0..MAX_KEPT_INCIDENTS + 9).map(event).collect::<Vec<_>>(), Timestamp(0)).unwrap();
    assert_eq!(drained(&outbox, "a", 0).len(), MAX_KEPT_INCIDENTS + 9);
    let view = outbox.list();
    assert_eq!((view.incidents.len(), view.incidents[0].id, view.dropped), (MAX_KEPT_INCIDENTS, 9, 0));
}

#[test]
fn how_far_leaves_were_told_outlives_the_incidents_and_is_of_one_log() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    assert_eq!(outbox.told(Kind::WarrantUsed), None);
    let used = |n: usize| incident(Kind::WarrantUsed, &n.to_string()).at_leaf(LeafIndex(n as u64));
    let event = |n: usize| Event::Begun(Box::new(used(n)));
    let last = MAX_KEPT_INCIDENTS + 8;
    let _ = outbox.raise_all(&(0..=last).map(event).collect::<Vec<_>>(), Timestamp(0)).unwrap();
    assert_eq!(drained(&outbox, "a", 0).len(), last + 1);
    assert_eq!(outbox.list().incidents[0].id, 9, "the first are forgotten");
    drop(outbox);
    let outbox = scratch.open();
    let (told, last) = (outbox.told(Kind::WarrantUsed).unwrap(), last as u64);
    assert!(told.covers(LeafIndex(0), Timestamp(1)) && told.covers(LeafIndex(last), Timestamp(1)));
    assert!(!told.covers(LeafIndex(last + 1), Timestamp(1)));
    assert!(!told.covers(LeafIndex(0), Timestamp(2)), "an older log has given its leaf again");
    assert_eq!(outbox.told(Kind::WarrantActivated), None);
    drop(outbox);
    let next_log = Outbox::open(&scratch.path, "example.org/log/2", &scratch.routes).unwrap();
    assert_eq!(next_log.told(Kind::WarrantUsed), None);
}

#[test]
fn what_is_no_outbox_is_refused_with_what_to_do() {
    let scratch = Scratch::new(&["a"]);
    std::fs::write(&scratch.path, "not a database").unwrap();
    let error = Outbox::open(&scratch.path, ORIGIN, &scratch.routes).unwrap_err();
    assert!(error.to_string().contains("move it away"), "{error}");
    std::fs::remove_file(&scratch.path).unwrap();
    std::fs::write(scratch.path.with_extension("unfinished"), "half").unwrap();
    let open = scratch.open();
    assert!(open.list().incidents.is_empty(), "what a killed maker left is cleared");
    let twice = Outbox::open(&scratch.path, ORIGIN, &scratch.routes).unwrap_err();
    assert_eq!(twice.to_string(), "another process has the outbox open; stop it");
}

#[test]
fn what_cannot_be_written_goes_out_all_the_same_and_is_written_later() {
    let scratch = Scratch::new(&["a"]);
    let outbox = scratch.open();
    let _ = begin(&outbox, Kind::Trip, "1", 0);
    outbox.lock().store.lose(Path::new("/nonexistent/outbox.redb"));
    let disk_low = Event::Begun(Box::new(incident(Kind::DiskLow, "")));
    let error = outbox.raise(&disk_low, Timestamp(1)).unwrap_err();
    assert!(error.to_string().starts_with("cannot open the outbox /nonexistent"), "{error}");
    assert!(outbox.list().not_durable.is_some());
    assert_eq!(sent(&outbox, "a", 1).unwrap().incident().kind(), Kind::Trip);
    outbox.lock().store.lose(&scratch.path);
    settle(&outbox, "a", &Outcome::Delivered, 2);
    assert_eq!(outbox.list().not_durable, None);
    drop(outbox);
    assert_eq!(drained(&scratch.open(), "a", 3), named(&[("disk_low/", Phase::Begun)]));
}
