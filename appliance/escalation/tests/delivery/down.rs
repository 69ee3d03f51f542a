//! Sinks that are down: a thousand incidents meanwhile, half of the time, and a channel that is full.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use assent_escalation::{Clock as _, End};

use crate::scene::{Scene, begun, over, until};
use crate::server::{Answer, Server};

const INCIDENTS: u64 = 1_000;
/// A raise is one commit on the local disk; this is generous for a slow and busy one.
const SLOWEST_MEDIAN: Duration = Duration::from_millis(100);

#[test]
fn a_thousand_incidents_while_a_sink_is_down_are_raised_fast_and_delivered_in_order() {
    let (down, nowhere) = (Arc::new(AtomicBool::new(true)), Answer::Close);
    let is_down = Arc::clone(&down);
    let answer = move |_| {
        if is_down.load(Ordering::SeqCst) { nowhere.clone() } else { Answer::Status(200, "", "") }
    };
    let server = Server::start(answer);
    let mut scene = Scene::new();
    scene.start(vec![scene.webhook("hook", &server.url("/"), None)]);
    let outbox = scene.deliverer().outbox();
    let mut took = Vec::new();
    for epoch in 0..INCIDENTS {
        let began = clock();
        let _ = outbox.raise(&begun(scene.trip(epoch)), scene.clock.now()).unwrap();
        took.push(began.elapsed());
    }
    took.sort();
    let median = took[took.len() / 2];
    println!(
        "raise: median {median:?}, 99th {:?}, last {:?}",
        took[took.len() * 99 / 100],
        took[took.len() - 1]
    );
    assert!(median < SLOWEST_MEDIAN, "{median:?}");
    assert_eq!(scene.list().sinks[0].waiting, 1_000);
    let before = server.got().len();
    down.store(false, Ordering::SeqCst);
    scene.advance(Duration::from_secs(3600));
    until("all to be delivered", || scene.list().sinks[0].waiting == 0);
    let got = server.got().split_off(before);
    let events: Vec<String> = got.iter().map(crate::server::Got::event).collect();
    let expected: Vec<String> = (0..INCIDENTS).map(|epoch| format!("trip/{epoch} begun")).collect();
    assert_eq!(events, expected);
    scene.stop();
}

#[test]
fn a_sink_that_is_down_half_of_the_time_sees_each_event_once_and_each_end_behind_its_alert() {
    let server = Server::start(|n| match n / 3 % 2 {
        0 => Answer::Status(200, "", ""),
        _ => Answer::Status(500, "", ""),
    });
    let mut scene = Scene::new();
    scene.start(vec![scene.webhook("hook", &server.url("/"), None)]);
    for epoch in 0..50 {
        scene.begin(epoch);
        scene.end(epoch);
    }
    until("all to be raised", || scene.list().incidents.len() == 50);
    until("all to be delivered", || {
        scene.advance(Duration::from_secs(3600));
        // What is new wakes the thread, whose clock stands still.
        let _ = scene
            .deliverer()
            .outbox()
            .raise(&assent_escalation::Event::Ended(over(999, scene.clock.now())), scene.clock.now());
        scene.list().sinks[0].waiting == 0
    });
    let (mut ids, mut open, mut done) = (BTreeSet::new(), BTreeSet::new(), 0);
    let got = server.got();
    for (_, got) in got.iter().enumerate().filter(|(n, _)| n / 3 % 2 == 0) {
        if !ids.insert(got.header("webhook-id").to_owned()) {
            continue;
        }
        let event = got.event();
        let (key, phase) = event.split_once(' ').unwrap();
        if phase == "begun" {
            assert!(open.insert(key.to_owned()), "two alerts of {key}");
        } else {
            assert!(open.remove(key), "an end of {key} without its alert");
            done += 1;
        }
    }
    assert_eq!((done, open.len()), (50, 0));
    scene.stop();
}

#[test]
fn the_front_never_blocks_and_counts_what_it_loses() {
    let mut scene = Scene::new();
    scene.start(Vec::new());
    let front = scene.deliverer().escalations();
    let (mut lost, mut slowest) = (0, Duration::ZERO);
    for epoch in 0..20_000 {
        let end = End::new(scene.trip(epoch).key().clone(), scene.clock.now());
        let began = clock();
        lost += u64::from(!front.end(end));
        slowest = slowest.max(began.elapsed());
    }
    println!("front: slowest {slowest:?}, lost {lost} of 20000");
    assert_eq!(front.lost(), lost);
    scene.stop();
    assert!(!front.end(over(1, scene.clock.now())), "nobody takes it any more");
    assert_eq!(front.lost(), lost + 1);
}

#[test]
fn what_was_raised_before_a_stop_is_in_the_outbox_behind_it() {
    let mut scene = Scene::new();
    scene.start(Vec::new());
    for epoch in 0..500 {
        scene.begin(epoch);
    }
    scene.stop();
    scene.start(Vec::new());
    assert_eq!(scene.list().incidents.len(), 500);
    scene.stop();
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn clock() -> Instant {
    Instant::now()
}
