//! Monitoring: what probes, Prometheus and an SRE see of a running appliance, and whether what ships for them speaks of it.

mod endpoints;
mod rules;

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Appliance, PATIENCE};

/// An answer over HTTP.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Asks for a path, as a reader that takes this kind of answer.
pub(crate) fn get(appliance: &Appliance, path: &str, accept: &str) -> Answer {
    let address = appliance.status().and_then(|status| status.http).expect("it listens for HTTP");
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: assent\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("a text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// All metrics, in Prometheus' older text, in which each name stands as it is queried.
pub(crate) fn scrape(appliance: &Appliance) -> String {
    let answer = get(appliance, "/metrics", "text/plain");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// The value of each series, by name and labels as they are written.
pub(crate) fn series(scrape: &str) -> BTreeMap<String, f64> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    let split = lines.map(|line| line.rsplit_once(' ').expect("a name and a value"));
    split.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}
