//! Kills: a process that raises, sends and notes is killed at any moment, again and again, while its sink counts ids.
//!
//! The child is this test's own executable. It says aloud what the outbox has acknowledged; the parent kills it with -9, starts
//! the next one on the same file, and holds what the sink got to what was acknowledged.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use assent_escalation::{
    Clock as _, Deliverer, Event, Incident, Kind, Outbox, Retry, Severity, Sink, SinkConfig, SinkKind,
    SystemClock,
};
use assent_proto::number::Timestamp;

use crate::scene::{HMAC, ORIGIN, Scene, begun, over, until};
use crate::server::{Answer, Server};

const LIVES: u64 = 25;
const FOLDER: &str = "ASSENT_ESCALATION_FOLDER";
const URL: &str = "ASSENT_ESCALATION_URL";
const FIRST: &str = "ASSENT_ESCALATION_FIRST";
/// Incidents that a child would raise, were it let.
const PER_LIFE: u64 = 10_000;

fn config(folder: &std::path::Path, url: &str) -> SinkConfig {
    SinkConfig {
        url: Some(url.to_owned()),
        secret_file: Some(folder.join("hmac")),
        min_severity: Severity::Info,
        ..SinkConfig::new("hook", SinkKind::Webhook)
    }
}

fn open(folder: &std::path::Path, sink: &Sink) -> Arc<Outbox> {
    Arc::new(Outbox::open(&folder.join("escalations.redb"), ORIGIN, &[sink.route()]).unwrap())
}

/// The child; without its environment it is no test of anything.
#[test]
fn child() {
    let (Some(folder), Ok(url), Ok(first)) =
        (std::env::var_os(FOLDER), std::env::var(URL), std::env::var(FIRST))
    else {
        return;
    };
    let folder = std::path::PathBuf::from(folder);
    let sink = config(&folder, &url).build().unwrap();
    let outbox = open(&folder, &sink);
    let _deliverer = Deliverer::start(Arc::clone(&outbox), vec![sink], Arc::new(SystemClock)).unwrap();
    let first: u64 = first.parse().unwrap();
    for epoch in first..first + PER_LIFE {
        let now = Timestamp(epoch);
        let trip = Incident::new(Kind::Trip, ORIGIN, &epoch.to_string(), "closed", now);
        let _ = outbox.raise(&begun(trip), now).unwrap();
        eprintln!("begun {epoch}");
        let _ = outbox.raise(&Event::Ended(over(epoch, now)), now).unwrap();
        eprintln!("ended {epoch}");
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_seen_twice() {
    let server = Server::start(|n| if n % 7 == 3 { Answer::Close } else { Answer::Status(200, "", "") });
    let scene = Scene::new();
    scene.secret("hmac", HMAC);
    let folder = scene.folder.path();
    let mut acknowledged = Vec::new();
    for life in 0..LIVES {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::child", "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder)
            .env(URL, server.url("/"))
            .env(FIRST, (life * PER_LIFE).to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed behind a line that comes earlier and later, life by life; what is said until then was acknowledged.
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        acknowledged.extend(lines.by_ref().take(usize::try_from(1 + life * 7 % 19).unwrap()));
        child.kill().unwrap();
        acknowledged.extend(lines);
        child.wait().unwrap();
    }
    let sink = config(folder, &server.url("/")).build().unwrap();
    let outbox = open(folder, &sink);
    let deliverer = Deliverer::start(Arc::clone(&outbox), vec![sink], Arc::new(SystemClock)).unwrap();
    until("all to be delivered", || {
        // As operators would: the schedule is in the time of day, and this is no place to wait for it.
        outbox.retry(Retry::All, SystemClock.now()).unwrap();
        outbox.list().sinks[0].waiting == 0
    });
    deliverer.stop();
    let mut of_event: BTreeMap<String, String> = BTreeMap::new();
    let mut order = Vec::new();
    let got = server.got();
    for (_, got) in got.iter().enumerate().filter(|(n, _)| n % 7 != 3) {
        let (event, id) = (got.event(), got.header("webhook-id").to_owned());
        match of_event.get(&event) {
            Some(known) => assert_eq!(*known, id, "{event} under two ids"),
            None => {
                of_event.insert(event.clone(), id);
                order.push(event);
            }
        }
    }
    let said: Vec<String> = acknowledged
        .iter()
        .filter_map(|line| line.split_once(' '))
        .filter(|(phase, epoch)| ["begun", "ended"].contains(phase) && epoch.parse::<u64>().is_ok())
        .map(|(phase, epoch)| format!("trip/{epoch} {phase}"))
        .collect();
    println!("{LIVES} lives, {} events acknowledged, {} requests", said.len(), got.len());
    assert!(said.len() as u64 >= LIVES, "{acknowledged:?}");
    for event in &said {
        assert!(of_event.contains_key(event), "{event} was acknowledged and is lost");
    }
    let place = |event: &String| order.iter().position(|one| one == event);
    for end in order.iter().filter(|event| event.ends_with(" ended")) {
        assert!(place(&end.replace(" ended", " begun")) < place(end), "{end} before its alert");
    }
}
