//! The HTTP door: names, statuses and headers, and peers that mean no good.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::agent::{Agent, allowed, retail};
use crate::support::{ASSENT, Appliance, Hsm, PATIENCE, SLACK, assent, eventually};
use appliance::clock::Stopwatch;
use appliance::limits::{HTTP_HEADER_DEADLINE, MAX_HTTP_CONNECTIONS};

/// Connections with half a request each: more than there are places, and no more than fill them twice.
const HALF: usize = 200;
const _: () = assert!(MAX_HTTP_CONNECTIONS < HALF && HALF < 2 * MAX_HTTP_CONNECTIONS);

/// Sends these bytes, and gives all that comes back until the other side closes, which it must.
fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    // A peer that refuses early may close before all is sent.
    let _ = stream.write_all(bytes);
    until_closed(&mut stream, PATIENCE)
}

/// All that comes back until the other side closes, within so long.
fn until_closed(stream: &mut TcpStream, patience: Duration) -> String {
    stream.set_read_timeout(Some(patience.max(Duration::from_millis(1)))).expect("a timeout");
    let mut answer = Vec::new();
    // Closed by a reset it is closed, too: not all that was sent had been read.
    if let Err(error) = stream.read_to_end(&mut answer) {
        let is_open = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!is_open, "not closed within {patience:?}, after {:?}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn ask(address: &str, method: &str, path: &str) -> (u16, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nhost: log\r\nconnection: close\r\n\r\n");
    let answer = exchange(address, request.as_bytes());
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{method} {path}: {answer}")), answer)
}

#[test]
fn tiles_have_their_names_and_headers_and_nonsense_has_none() {
    let appliance = Appliance::start(Hsm::Simulator);
    let address = appliance.status().and_then(|status| status.http).expect("it serves its log");
    let _ = Agent::connect(&appliance).preauthorize(&retail()[..300]);
    for (path, kept) in [
        ("/tile/0/000", "public, max-age=31536000, immutable"),
        ("/tile/0/001.p/40", "public, max-age=31536000, immutable"),
        ("/tile/entries/000", "private, max-age=31536000, immutable"),
    ] {
        let (status, answer) = ask(&address, "GET", path);
        assert_eq!(status, 200, "{answer}");
        assert!(answer.contains("content-type: application/octet-stream\r\n"), "{answer}");
        assert!(answer.contains(&format!("cache-control: {kept}\r\n")), "{answer}");
    }
    let (status, answer) = ask(&address, "GET", "/checkpoint");
    assert_eq!(status, 200);
    for header in
        ["content-type: text/plain; charset=utf-8\r\n", "cache-control: no-store\r\n", "nosniff\r\n"]
    {
        assert!(answer.contains(header), "{answer}");
    }
    let (status, answer) = ask(&address, "HEAD", "/tile/0/000");
    assert_eq!(status, 200);
    assert!(answer.contains("content-length: 8192\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    for (path, expected) in [
        ("/", 404),
        ("/checkpoint/", 404),
        ("/tile", 404),
        ("/tile/", 404),
        ("/tile/0/0", 400),
        ("/tile/0/000.p/0", 400),
        ("/tile/0/000.p/256", 400),
        ("/tile/00/000", 400),
        ("/tile/64/000", 400),
        ("/tile/0%2F000", 400),
        ("/tile/../checkpoint", 400),
        ("/tile/0/999", 404),
        ("/tile/3/000", 404),
        ("/tile/entries/999", 404),
        ("/tile/0/x999/x999/x999/x999/x999/999", 404),
        ("/witness/add-checkpoint", 404),
        ("/v1/", 404),
        ("/metrics/", 404),
    ] {
        assert_eq!(ask(&address, "GET", path).0, expected, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        for path in ["/checkpoint", "/livez", "/readyz", "/metrics", "/v1/status"] {
            assert_eq!(ask(&address, method, path).0, 405, "{method} {path}");
        }
    }
}

#[test]
fn a_peer_that_dribbles_or_floods_is_closed_and_costs_nobody_else() {
    let appliance = Appliance::start(Hsm::Simulator);
    let address = appliance.status().and_then(|status| status.http).expect("it serves its log");
    let agent = Agent::connect(&appliance);
    let watch = Stopwatch::start();
    let half: Vec<TcpStream> = (0..HALF)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("a connection");
            stream.write_all(b"GET /checkpoint HTT").expect("it takes it");
            stream
        })
        .collect();
    // An agent is served while all places are taken.
    assert!(agent.preauthorize(&[allowed()]).all_allowed());
    assert!(watch.elapsed() < HTTP_HEADER_DEADLINE, "they are still held: {:?}", watch.elapsed());
    assert_eq!(ask(&address, "GET", "/checkpoint").0, 200);
    assert!(
        watch.elapsed() < 2 * HTTP_HEADER_DEADLINE,
        "others wait for one deadline: {:?}",
        watch.elapsed()
    );
    // Those that found no place have had theirs since; each ends by the deadline of a head.
    for mut stream in half {
        until_closed(&mut stream, (2 * HTTP_HEADER_DEADLINE + SLACK).saturating_sub(watch.elapsed()));
    }
    let long = format!("GET /checkpoint HTTP/1.1\r\nhost: log\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let many: String = (0..1000).map(|number| format!("x{number}: y\r\n")).collect();
    let many = format!("GET /checkpoint HTTP/1.1\r\nhost: log\r\n{many}\r\n");
    for request in [long.as_bytes(), many.as_bytes(), b"\0\x01\x02\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"] {
        // It is closed in any case; that it is told why may be lost with what it sent and nobody read.
        let answer = exchange(&address, request);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(ask(&address, "GET", "/checkpoint").0, 200);
    assert!(agent.preauthorize(&[allowed()]).all_allowed());
}

#[test]
fn entries_are_served_only_where_the_configuration_says_so_and_nothing_where_it_is_off() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop());
    let config = std::fs::read_to_string(appliance.config()).expect("a configuration");
    let without = config.replace("http_entries = true\n", "");
    std::fs::write(appliance.config(), &without).expect("a configuration");
    appliance.launch();
    let address = appliance.status().and_then(|status| status.http).expect("it serves its log");
    let (status, answer) = ask(&address, "GET", "/tile/entries/000.p/1");
    assert!(status == 403 && answer.contains("listen.http_entries"), "{answer}");
    assert_eq!(ask(&address, "GET", "/tile/0/000.p/1").0, 200);
    // A proof needs no entries; it comes without its leaf.
    let url = format!("http://{address}");
    let trust = appliance.folder.path().join("trust.toml").display().to_string();
    let (code, proof, talk) = assent(None, &["log", "prove", "1", "--url", &url, "--trust", &trust]);
    assert!(code == 0 && !proof.contains("extra "), "{proof}{talk}");
    assert!(appliance.stop());

    std::fs::write(appliance.config(), without.replace("http = \"127.0.0.1:0\"", "http = \"off\""))
        .expect("a configuration");
    appliance.launch();
    assert_eq!(appliance.status().and_then(|status| status.http), None);
    let (code, _, talk) = assent(Some(&appliance.config()), &["log", "prove", "1"]);
    assert!(code == 1 && talk.contains("listen.http"), "{talk}");
    let (code, _, talk) = assent(None, &["log", "prove", "1", "--url", &url, "--trust", &trust]);
    assert!(code == 5 && talk.contains("cannot reach"), "{talk}");
}

#[test]
fn dev_on_any_free_ports_tells_where_it_listens_and_so_does_its_status() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let port = taken.expect("a free port").port().to_string();
    let mut command = Command::new(ASSENT);
    command.arg("dev").arg("--dir").arg(folder.path());
    command.args(["--port", "0", "--http-port", "0", "--console-port", &port]);
    let talk = folder.path().join("talk");
    let to = std::fs::File::create(&talk).expect("a file");
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(to).spawn().expect("it runs");
    let said = eventually("it says what to type", || {
        std::fs::read_to_string(&talk).ok().filter(|said| said.contains("Ctrl-C"))
    });
    let (_, rest) = said.split_once("export ASSENT_ADDR=").expect("where agents connect");
    let (listen, _) = rest.split_once(' ').expect("and more");
    let config = folder.path().join("assent.toml");
    let (_, out, _) = assent(Some(&config), &["status", "-o", "json"]);
    let (_, table, _) = assent(Some(&config), &["status"]);
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is told to stop");
    assert!(process.wait().expect("it ends").success());
    let status: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!(status["listen"], listen, "{said}");
    assert!(!listen.ends_with(":0"), "{listen}");
    let http = status["http"].as_str().expect("it serves its log");
    assert!(said.contains(&format!("curl http://{http}/checkpoint")), "{said}");
    let console = format!("http://localhost:{port}");
    assert_eq!(status["console"], console.as_str());
    assert!(said.contains(&format!("operator console at {console},")), "{said}");
    assert!(table.contains(&format!("  console     {console}\n")), "{table}");
}
