//! People hear of a trip once and of its end once, whatever happens to their sink or to the appliance in between.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::operators::{clear, inject, staffed};
use crate::support::ports::free_port;
use crate::support::{Appliance, assent, eventually};

/// What a receiver was sent: ids of events, and what they say.
#[derive(Clone, Default)]
pub(crate) struct Inbox(Arc<Mutex<Vec<(String, Value)>>>);

impl Inbox {
    /// A receiver at this address, which takes everything.
    pub(crate) fn listen(&self, address: SocketAddr) {
        let listener = TcpListener::bind(address).expect("the address is free again");
        let inbox = self.clone();
        let run = move || listener.incoming().flatten().for_each(|stream| inbox.take(stream));
        std::thread::Builder::new().name("receiver".to_owned()).spawn(run).expect("a thread");
    }

    fn take(&self, stream: TcpStream) {
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                break;
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "webhook-id" => value.clone_into(&mut id),
                "content-length" => length = value.parse().expect("a number"),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        if id.is_empty() || reader.read_exact(&mut body).is_err() {
            return;
        }
        let event = serde_json::from_slice(&body).expect("JSON");
        self.0.lock().expect("nobody panicked").push((id, event));
        let mut stream = stream;
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }

    /// Events of trips of this phase, each once.
    fn trips(&self, phase: &str) -> Vec<Value> {
        self.events("trip", phase)
    }

    /// Events of this kind and phase, each once.
    pub(crate) fn events(&self, of: &str, phase: &str) -> Vec<Value> {
        let mut ids = BTreeSet::new();
        let seen = self.0.lock().expect("nobody panicked");
        let wanted = format!("assent.incident.{phase}");
        let events = seen.iter().filter(|(_, event)| event["type"] == wanted && kind(event) == of);
        events.filter(|(id, _)| ids.insert(id.clone())).map(|(_, event)| event.clone()).collect()
    }
}

fn kind(event: &Value) -> &str {
    event["data"]["kind"].as_str().unwrap_or_default()
}

pub(crate) fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

pub(crate) fn webhook(name: &str, address: SocketAddr) -> String {
    format!(
        "[[escalation.sink]]\nname = \"{name}\"\nkind = \"webhook\"\nurl = \"http://{address}/hook\"\n\
         secret_file = \"webhook.secret\"\ndeadline = \"2s\"\n"
    )
}

/// An appliance that opens again by itself, with these sinks.
pub(crate) fn with_sinks(sinks: &[String]) -> Appliance {
    let mut appliance = staffed("");
    add_sinks(&mut appliance, sinks);
    appliance
}

/// Starts an appliance again with these sinks.
pub(crate) fn add_sinks(appliance: &mut Appliance, sinks: &[String]) {
    assert!(appliance.stop(), "it stops");
    write_secret(&appliance.folder.path().join("webhook.secret"));
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let config = format!("{config}\n{}", sinks.concat());
    std::fs::write(appliance.config(), config).expect("a configuration");
    appliance.launch();
}

fn write_secret(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).expect("a file");
    file.write_all(b"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n").expect("a secret");
}

fn closed_epoch(appliance: &Appliance) -> u64 {
    eventually("the token boundary closes", || {
        appliance.status().filter(|status| !status.boundaries.token.open).map(|status| status.epoch)
    })
}

fn run(appliance: &Appliance, arguments: &[&str]) -> (i32, String, String) {
    assent(Some(&appliance.config()), &[&["escalation"], arguments].concat())
}

/// The incidents of trips, as the list has them.
fn listed(appliance: &Appliance) -> Vec<Value> {
    let (code, out, talk) = run(appliance, &["list", "-o", "json"]);
    assert_eq!(code, 0, "{talk}");
    let list: Value = serde_json::from_str(&out).expect("JSON");
    let incidents = list["outbox"]["incidents"].as_array().expect("incidents").clone();
    incidents.into_iter().filter(|incident| incident["kind"] == "trip").collect()
}

#[test]
fn a_trip_is_one_alert_and_one_end_though_the_sink_was_down_and_the_appliance_killed() {
    let (address, inbox) = (free_address(), Inbox::default());
    let mut appliance = with_sinks(&[webhook("oncall", address)]);
    inject(&appliance, "remove");
    let epoch = closed_epoch(&appliance);
    let waiting = eventually("the sink is waited for", || {
        let status = appliance.status()?;
        let sink = status.escalations.sinks.into_iter().next()?;
        (sink.waiting == 1 && sink.reason.is_some()).then_some(sink)
    });
    assert!(waiting.waiting_since_ms.is_some() && waiting.undeliverable == 0, "{waiting:?}");
    let (_, out, _) = assent(Some(&appliance.config()), &["status"]);
    assert!(out.contains("escalations 1 open, 1 waiting for oncall since "), "{out}");
    assert!(inbox.trips("begun").is_empty());

    // The process that met it is killed; the next one tells.
    appliance.kill();
    inbox.listen(address);
    appliance.launch_closed();
    let begun = eventually("the alert arrives", || Some(inbox.trips("begun")).filter(|all| !all.is_empty()));
    assert_eq!(begun.len(), 1, "{begun:?}");
    assert_eq!(begun[0]["data"]["epoch"], epoch, "{begun:?}");
    let summary = begun[0]["data"]["summary"].as_str().expect("a summary");
    assert!(
        summary.contains(&format!("in epoch {epoch}")) && summary.contains("opens by itself"),
        "{summary}"
    );
    assert!(inbox.trips("ended").is_empty(), "it is closed still");

    clear(&appliance);
    appliance.wait_until_open();
    eventually("its end arrives", || Some(inbox.trips("ended")).filter(|all| !all.is_empty()));
    inject(&appliance, "remove");
    let second = closed_epoch(&appliance);
    assert!(second > epoch);
    eventually("the second alert arrives", || Some(()).filter(|()| inbox.trips("begun").len() == 2));
    clear(&appliance);
    appliance.wait_until_open();
    eventually("the second end arrives", || Some(()).filter(|()| inbox.trips("ended").len() == 2));
    let (begun, ended) = (inbox.trips("begun"), inbox.trips("ended"));
    let keys = |events: &[Value]| events.iter().map(|event| event["data"]["key"].clone()).collect::<Vec<_>>();
    assert_eq!(keys(&begun), keys(&ended), "each alert has its end");
    assert_eq!(begun[1]["data"]["epoch"], second);

    let trips = listed(&appliance);
    assert_eq!(trips.len(), 2, "{trips:?}");
    for trip in &trips {
        assert!(
            trip["ended_ms"].is_u64() && trip["deliveries"][0]["ended"]["stage"] == "delivered",
            "{trip}"
        );
    }
    let (code, out, talk) = run(&appliance, &["test"]);
    assert_eq!((code, out.trim_end()), (0, "oncall: delivered"), "{talk}");
    assert_eq!(
        inbox.0.lock().expect("nobody panicked").iter().filter(|(_, event)| kind(event) == "test").count(),
        2
    );
    appliance.stop_and_verify_log();
}

#[test]
fn a_sink_that_takes_nothing_waits_and_holds_up_no_other() {
    let (address, inbox) = (free_address(), Inbox::default());
    inbox.listen(address);
    let mut appliance = with_sinks(&[webhook("gone", free_address()), webhook("oncall", address)]);
    let (code, out, _) = run(&appliance, &["test"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("gone: FAILED: ") && out.contains("oncall: delivered"), "{out}");
    let (code, _, talk) = run(&appliance, &["test", "nobody"]);
    assert!(code == 1 && talk.contains("there is no sink `nobody`"), "{talk}");

    inject(&appliance, "remove");
    let epoch = closed_epoch(&appliance);
    eventually("the other sink hears", || Some(()).filter(|()| inbox.trips("begun").len() == 1));
    clear(&appliance);
    appliance.wait_until_open();
    eventually("and of the end", || Some(()).filter(|()| inbox.trips("ended").len() == 1));
    let (_, out, _) = assent(Some(&appliance.config()), &["status"]);
    assert!(out.contains("escalations 0 open, 2 waiting for gone since "), "{out}");
    let trips = listed(&appliance);
    assert_eq!((trips.len(), &trips[0]["epoch"]), (1, &epoch.into()), "{trips:?}");
    let id = trips[0]["id"].to_string();
    for which in [id.as_str(), "--all"] {
        let (code, out, talk) = run(&appliance, &["retry", which]);
        assert_eq!((code, out.trim_end()), (0, "2 events are tried again"), "{talk}");
    }
    let (code, _, talk) = run(&appliance, &["retry", "999"]);
    assert!(code == 1 && talk.contains("there is no incident 999"), "{talk}");
    let (_, out, _) = run(&appliance, &["list"]);
    assert!(out.contains("gone: waiting, oncall: end delivered"), "{out}");
    appliance.stop_and_verify_log();
}

#[test]
fn without_sinks_incidents_are_listed_and_a_start_or_stop_is_none() {
    let mut appliance = staffed("");
    assert_eq!(listed(&appliance), [] as [Value; 0], "to start is no incident");
    inject(&appliance, "remove");
    closed_epoch(&appliance);
    clear(&appliance);
    appliance.wait_until_open();
    let trips =
        eventually("it is over", || Some(listed(&appliance)).filter(|all| all[0]["ended_ms"].is_u64()));
    assert_eq!((trips.len(), &trips[0]["severity"]), (1, &"error".into()), "{trips:?}");
    // What operators have to answer for is graver.
    inject(&appliance, "corrupt --times 1");
    eventually("it is told", || Some(()).filter(|()| listed(&appliance).len() == 2));
    let grave = &listed(&appliance)[1];
    assert_eq!(
        (&grave["severity"], &grave["cause"]),
        (&"critical".into(), &"bad_signature".into()),
        "{grave}"
    );
    assert!(grave["summary"].as_str().is_some_and(|text| text.contains("`assent hsm rearm`")), "{grave}");
    appliance.kill();
    appliance.launch_closed();
    let after = listed(&appliance);
    assert!(after.len() == 2 && after[1]["ended_ms"].is_null(), "the next start goes on with it: {after:?}");
    let (code, out, talk) = run(&appliance, &["test"]);
    assert!(code == 1 && out.is_empty() && talk.contains("no sink is configured"), "{out}{talk}");
}
