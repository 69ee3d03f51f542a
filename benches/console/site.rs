//! The console over plain sockets: an operator who logs in, pages that are asked for, and pages that follow.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::limits::{MAX_CONSOLE_STREAMS, MAX_CONSOLE_STREAMS_PER_OPERATOR};
use serde_json::Value;

use crate::FOLLOWERS;
use crate::authenticator::Authenticator;
use crate::support::{Appliance, Hsm, assent};

/// As many as it takes for all pages that may follow.
const OPERATORS: usize = MAX_CONSOLE_STREAMS / MAX_CONSOLE_STREAMS_PER_OPERATOR;

/// An appliance with a console, and operators who are logged in.
pub(crate) struct Site {
    pub(crate) appliance: Appliance,
    host: String,
    /// Of each, the session.
    cookies: Vec<String>,
}

impl Site {
    pub(crate) fn open() -> Self {
        let mut appliance = Appliance::unfounded(Hsm::SoftHsm);
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let host = format!("localhost:{}", free.expect("a free port").port());
        let listen = host.replace("localhost", "127.0.0.1");
        let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
        let mut console = format!("[console]\nlisten = \"{listen}\"\norigin = \"http://{host}\"\n");
        for name in (0..OPERATORS).map(named) {
            console.push_str(&format!("[[console.operator]]\nname = \"{name}\"\nroles = [\"viewer\"]\n"));
        }
        let off = "[console]\nlisten = \"off\"\n";
        let config =
            if config.contains(off) { config.replace(off, &console) } else { format!("{config}\n{console}") };
        std::fs::write(appliance.config(), config).expect("a configuration");
        appliance.launch();
        let mut site = Self { appliance, host, cookies: Vec::new() };
        site.cookies = (0..OPERATORS).map(|number| site.log_in(&named(number))).collect();
        site
    }

    /// Has an operator enrol a key and log in with it; gives the session.
    fn log_in(&self, name: &str) -> String {
        let (code, out, talk) = assent(Some(&self.appliance.config()), &["operator", "invite", name]);
        assert_eq!(code, 0, "{talk}");
        let path = out.trim().split_once(&self.host).expect("a link to the site").1.to_owned();
        let mut key = Authenticator::new(&format!("http://{}", self.host));
        let options = self.post(&format!("{path}/begin"), "{}").1;
        self.post(&format!("{path}/finish"), &key.create(&options).to_string());
        let options = self.post("/login/begin", "{}").1;
        let (head, _) = self.post("/login/finish", &key.get(&options).to_string());
        let cookie = head.lines().find(|line| line.to_lowercase().starts_with("set-cookie: "));
        cookie.and_then(|line| line.get(12..)?.split(';').next()).expect("a session").to_owned()
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.host.replace("localhost", "127.0.0.1")).expect("a socket");
        stream.write_all(request.as_bytes()).expect("it is sent");
        stream
    }

    fn post(&self, path: &str, body: &str) -> (String, Value) {
        let (host, length) = (&self.host, body.len());
        let mut stream = self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        (head.to_owned(), serde_json::from_str(body).expect("JSON"))
    }

    fn asks(&self, cookie: &str, path: &str, ends: &str) -> TcpStream {
        let host = &self.host;
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: {ends}\r\n\r\n"
        ))
    }

    /// Has the page with this number follow. The appliance would leave the oldest pages of somebody who follows with more than his.
    pub(crate) fn follows(&self, number: usize, page: &str) -> TcpStream {
        let cookie = self.cookies.get(number / MAX_CONSOLE_STREAMS_PER_OPERATOR).expect("an operator");
        self.asks(cookie, &format!("/events?page={page}"), "keep-alive")
    }

    /// How long a page takes, to its last byte.
    pub(crate) fn page(&self, path: &str) -> Duration {
        let watch = Stopwatch::start();
        let mut answer = Vec::new();
        self.asks(&self.cookies[0], path, "close").read_to_end(&mut answer).expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{path}: {}", String::from_utf8_lossy(&answer));
        watch.elapsed()
    }

    pub(crate) fn resident_mb(&self) -> f64 {
        let path = format!("/proc/{}/status", self.appliance.process().as_raw_nonzero());
        let text = std::fs::read_to_string(path).expect("it runs");
        let line = text.lines().find(|line| line.starts_with("VmRSS")).expect("a field");
        let kilobytes: f64 =
            line.split_whitespace().nth(1).and_then(|count| count.parse().ok()).expect("a number");
        kilobytes / 1024.0
    }
}

fn named(number: usize) -> String {
    format!("viewer-{number:02}")
}

/// Pages that follow, while it lives.
pub(crate) struct Followers {
    threads: Vec<(TcpStream, JoinHandle<()>)>,
    /// Of each, how many beats it heard.
    beats: Vec<Arc<AtomicU64>>,
    pub(crate) bytes: Arc<AtomicU64>,
    /// The longest time between two beats of a page, in microseconds.
    pub(crate) longest_us: Arc<AtomicU64>,
}

impl Followers {
    pub(crate) fn of(site: &Site) -> Self {
        let [bytes, longest_us] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let beats: Vec<_> = (0..FOLLOWERS).map(|_| Arc::new(AtomicU64::new(0))).collect();
        let follow = |(number, beats): (usize, &Arc<AtomicU64>)| {
            let stream = site.follows(number, ["overview", "queue", "holds", "evidence"][number % 4]);
            let (beats, bytes, longest_us) = (Arc::clone(beats), Arc::clone(&bytes), Arc::clone(&longest_us));
            let reader = stream.try_clone().expect("a second handle");
            let read = move || {
                let mut last: Option<Stopwatch> = None;
                for line in BufReader::new(reader).split(b'\n') {
                    let Ok(line) = line else { return };
                    bytes.fetch_add(line.len() as u64 + 1, Ordering::Relaxed);
                    if line.starts_with(b"event: beat") {
                        beats.fetch_add(1, Ordering::Relaxed);
                        let passed =
                            last.replace(Stopwatch::start()).map_or(0, |last| last.elapsed().as_micros());
                        longest_us.fetch_max(u64::try_from(passed).unwrap_or(u64::MAX), Ordering::Relaxed);
                    }
                }
            };
            (stream, std::thread::Builder::new().spawn(read).expect("a thread"))
        };
        let threads = beats.iter().enumerate().map(follow).collect();
        Self { threads, beats, bytes, longest_us }
    }

    /// Beats that the page heard which heard fewest.
    pub(crate) fn fewest_beats(&self) -> u64 {
        self.beats.iter().map(|beats| beats.load(Ordering::Relaxed)).min().unwrap_or(0)
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        for (stream, thread) in self.threads.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
            let _ = thread.join();
        }
    }
}
