//! Sinks that fail k times, hang, talk nonsense, flood, redirect, put off or want nothing more; and what each kind gets.

use std::time::Duration;

use assent_escalation::{Outcome, Retry, Severity, SinkConfig, SinkKind, StageView};

use crate::scene::{Scene, until};
use crate::server::{Answer, Server};

const OK: Answer = Answer::Status(200, "", "");

#[test]
fn a_sink_that_fails_twice_gets_each_event_once_more_under_the_same_id_in_order() {
    let server = Server::start(|n| if n < 2 { Answer::Status(503, "", "later") } else { OK });
    let mut scene = Scene::new();
    scene.start(vec![scene.webhook("hook", &server.url("/hook"), None)]);
    scene.begin(1);
    scene.await_reason("status 503: later");
    scene.end(1);
    scene.advance(Duration::from_secs(6));
    until("the second attempt", || server.got().len() == 2);
    scene.advance(Duration::from_secs(6 * 60));
    until("both events", || server.got().len() == 4);
    let got = server.got();
    let ids: Vec<&str> = got.iter().map(|got| got.header("webhook-id")).collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3], "{ids:?}");
    assert_eq!(got[2].event(), "trip/1 begun");
    assert_eq!(got[3].event(), "trip/1 ended");
    assert_ne!(got[0].header("webhook-timestamp"), got[2].header("webhook-timestamp"));
    assert!(got[3].header("webhook-signature").starts_with("v1,"));
    assert_eq!((got[3].path.as_str(), got[3].header("content-type")), ("/hook", "application/json"));
    until("the last to be noted", || scene.list().sinks[0].waiting == 0);
    scene.stop();
}

#[test]
fn whatever_a_sink_answers_the_reason_is_said_and_it_is_asked_again() {
    let answers = |n| match n {
        0 => Answer::Garbage,
        1 => Answer::Close,
        2 => Answer::Status(307, "location: http://127.0.0.1:1/\r\n", ""),
        3 => Answer::Huge,
        4 => Answer::Hang,
        _ => OK,
    };
    let server = Server::start(answers);
    let mut scene = Scene::new();
    scene.start(vec![scene.webhook("hook", &server.url("/hook"), None)]);
    scene.begin(1);
    let mut reasons = Vec::new();
    for failed in 1..=5 {
        until("an attempt to fail", || scene.first().is_some_and(|first| first.failed_attempts == failed));
        reasons.push(scene.first().unwrap().reason.unwrap());
        scene.advance(Duration::from_secs(6 * 3600));
    }
    assert!(!reasons[0].is_empty() && reasons[0].is_ascii(), "{reasons:?}");
    assert!(reasons[2].starts_with("status 307: redirects are not followed"), "{reasons:?}");
    assert!(reasons[3].starts_with("status 500: xxx") && reasons[3].len() < 400, "{reasons:?}");
    assert_eq!(reasons[4], "it did not answer within 2 s");
    assert!(reasons.iter().all(|reason| !reason.contains(&server.url(""))), "{reasons:?}");
    drop(server);
    scene.stop();
}

#[test]
fn a_sink_that_hangs_holds_up_nobody_else() {
    let (slow, quick) = (Server::start(|_| Answer::Hang), Server::start(|_| OK));
    let mut scene = Scene::new();
    let slow_hook = scene.webhook("slow", &slow.url("/"), None);
    scene.start(vec![slow_hook, scene.webhook("quick", &quick.url("/"), None)]);
    for epoch in 0..20 {
        scene.begin(epoch);
        scene.end(epoch);
    }
    until("the quick one to have all", || quick.got().len() == 40);
    assert!(slow.got().len() <= 1, "the slow one is still at its first");
    drop(slow);
    scene.stop();
}

#[test]
fn a_sink_that_is_gone_is_left_alone_and_the_others_hear_of_it() {
    let gone = Server::start(|n| if n == 0 { Answer::Status(410, "", "moved out") } else { OK });
    let there = Server::start(|_| OK);
    let mut scene = Scene::new();
    let hook = scene.webhook("gone", &gone.url("/"), None);
    scene.start(vec![hook, scene.webhook("there", &there.url("/"), None)]);
    scene.begin(1);
    until("the other to hear", || {
        there.got().iter().any(|got| got.event() == "escalation_undeliverable/gone begun")
    });
    scene.advance(Duration::from_secs(7 * 24 * 3600));
    scene.begin(2);
    until("the other to hear more", || there.got().len() == 3);
    assert_eq!(gone.got().len(), 1);
    assert_eq!(
        scene.list().sinks[0].gone_reason.as_deref(),
        Some("status 410, it wants nothing more: moved out")
    );
    assert_eq!(scene.deliverer().retry(Retry::All).unwrap(), 2);
    until("all to be delivered", || gone.got().len() == 3);
    until("the other to hear of that", || there.got().len() == 4);
    assert_eq!(there.got()[3].event(), "escalation_undeliverable/gone ended");
    scene.stop();
}

#[test]
fn retry_after_is_heeded() {
    let server =
        Server::start(|n| if n == 0 { Answer::Status(429, "retry-after: 7200\r\n", "") } else { OK });
    let mut scene = Scene::new();
    scene.start(vec![scene.webhook("hook", &server.url("/"), None)]);
    scene.begin(1);
    scene.await_reason("status 429");
    let put_off = scene.clock_ms() + 7_200_000;
    assert_eq!(scene.first().unwrap().next_attempt_ms.unwrap().0, put_off);
    scene.advance(Duration::from_secs(7200));
    until("it to be asked again", || server.got().len() == 2);
    scene.stop();
}

#[test]
fn every_kind_gets_what_its_interface_takes() {
    let server = Server::start(|_| OK);
    let mut scene = Scene::new();
    let taken = scene.folder.path().join("taken");
    let url = |path: &str| Some(server.url(path));
    let of = |name: &str, kind| SinkConfig { min_severity: Severity::Info, ..SinkConfig::new(name, kind) };
    let script = format!("cat >> {0}; echo >> {0}", taken.display());
    let sinks = vec![
        SinkConfig {
            url: url(""),
            secret_file: Some(scene.secret("routing", "samplekeyhere")),
            ..of("pager", SinkKind::PagerDuty)
        },
        SinkConfig {
            secret_file: Some(scene.secret("slack", &server.url("/services/T/B/X"))),
            ..of("chat", SinkKind::Slack)
        },
        SinkConfig { url: url("/am"), ..of("alerts", SinkKind::Alertmanager) },
        SinkConfig {
            command: ["/bin/sh", "-c", &script].map(str::to_owned).to_vec(),
            ..of("script", SinkKind::Command)
        },
    ];
    scene.start(sinks);
    scene.begin(1);
    scene.end(1);
    until("all to be delivered", || {
        let view = scene.list();
        let incident = view.incidents.first();
        incident.is_some_and(|incident| {
            incident.deliveries.iter().all(|delivery| {
                delivery.ended.as_ref().is_some_and(|ended| ended.stage == StageView::Delivered)
            })
        })
    });
    let got = server.got();
    let at = |path: &str| got.iter().filter(|got| got.path == path).map(|got| got.json()).collect::<Vec<_>>();
    let pager = at("/v2/enqueue");
    assert_eq!(
        (&pager[0]["event_action"], &pager[1]["event_action"]),
        (&"trigger".into(), &"resolve".into())
    );
    assert_eq!(pager[0]["dedup_key"], pager[1]["dedup_key"]);
    let chat = at("/services/T/B/X");
    assert_eq!(chat[0]["text"], "CRITICAL: token boundary closed");
    assert_eq!(chat[1]["text"], "ENDED: ended: token boundary closed");
    let alerts = at("/am/api/v2/alerts");
    assert_eq!(alerts[0][0]["labels"], alerts[1][0]["labels"]);
    assert_eq!(std::fs::read_to_string(&taken).unwrap().lines().count(), 2);
    scene.stop();
}

#[test]
fn a_test_says_what_became_of_it_and_leaves_nothing_in_the_outbox() {
    let server = Server::start(|n| if n < 2 { OK } else { Answer::Status(403, "", "no") });
    let mut scene = Scene::new();
    scene.start(vec![scene.webhook("hook", &server.url("/"), None)]);
    assert_eq!(scene.deliverer().test("hook").unwrap(), Outcome::Delivered);
    assert!(server.got()[0].event().starts_with("test/hook-") && server.got()[1].event().ends_with(" ended"));
    let refused = Outcome::Failed { reason: "status 403: no".to_owned(), retry_after_seconds: None };
    assert_eq!(scene.deliverer().test("hook").unwrap(), refused);
    let unknown = scene.deliverer().test("hock").unwrap_err().to_string();
    assert_eq!(unknown, "there is no sink `hock`; see `assent escalation list`");
    assert!(scene.list().incidents.is_empty());
    scene.stop();
}

#[test]
fn a_sink_that_repeats_our_secret_does_not_bring_it_into_a_list() {
    let server = Server::start(|_| Answer::Status(400, "", "no such key samplekeyhere"));
    let mut scene = Scene::new();
    scene.start(vec![SinkConfig {
        url: Some(server.url("")),
        secret_file: Some(scene.secret("routing", "samplekeyhere")),
        ..SinkConfig::new("pager", SinkKind::PagerDuty)
    }]);
    scene.begin(1);
    assert_eq!(scene.await_reason("status 400"), "status 400: no such key its secret");
    scene.stop();
}
