//! A sink on a socket of its own, which answers as a test has it, and remembers what it got.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A webhook's event: the key's end and which of its events.
    pub(crate) fn event(&self) -> String {
        let json = self.json();
        let phase = json["type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        format!("{}/{} {phase}", json["data"]["kind"].as_str().unwrap(), {
            json["data"]["key"].as_str().unwrap().rsplit('/').next().unwrap()
        })
    }
}

/// How it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// With a status, and these lines of head and bytes of body.
    Status(u16, &'static str, &'static str),
    /// With what is no HTTP.
    Garbage,
    /// With a refusal whose body does not end.
    Huge,
    /// Not at all, until the sink is dropped.
    Hang,
    /// By closing.
    Close,
}

type Answering = dyn Fn(usize) -> Answer + Send + Sync;

/// A sink; dropped, it is gone.
pub(crate) struct Server {
    pub(crate) port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    stop: Arc<AtomicBool>,
}

/// Any stream that an exchange may go over.
pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Server {
    /// It answers the n-th request, from 0, as said.
    pub(crate) fn start(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_over(answer, |stream| Some(Box::new(stream)))
    }

    /// The same, over what `accept` makes of a connection.
    pub(crate) fn start_over(
        answer: impl Fn(usize) -> Answer + Send + Sync + 'static,
        accept: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (got, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (kept, stopped) = (Arc::clone(&got), Arc::clone(&stop));
        let serve = move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
                if let Some(stream) = accept(stream) {
                    exchange(stream, &kept, &answer, &stopped);
                }
            }
        };
        std::thread::Builder::new().name("fake sink".to_owned()).spawn(serve).unwrap();
        Self { port, got, stop }
    }

    /// All that it has taken or refused, in order.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn exchange(mut stream: Box<dyn Stream>, got: &Mutex<Vec<Got>>, answer: &Answering, stop: &AtomicBool) {
    let Some(request) = read(&mut *stream) else { return };
    let number = {
        let mut got = got.lock().unwrap();
        got.push(request);
        got.len() - 1
    };
    // Whoever hung up meanwhile does not hear it.
    let _ = match answer(number) {
        Answer::Status(status, head, body) => write!(
            stream,
            "HTTP/1.1 {status} X\r\n{head}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ),
        Answer::Garbage => stream.write_all(b"\0\xff\r\n\r\n\x1b[2J nonsense\r\n\r\n"),
        Answer::Huge => {
            let head = stream.write_all(b"HTTP/1.1 500 X\r\ncontent-length: 99999999999\r\n\r\n");
            head.and_then(|()| {
                loop {
                    stream.write_all(&[b'x'; 65_536])?;
                }
            })
        }
        Answer::Hang => {
            while !stop.load(Ordering::SeqCst) {
                // WAIT: for the test to drop the sink; its own waits have deadlines.
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        }
        Answer::Close => Ok(()),
    };
    let _ = stream.flush();
}

fn read(stream: &mut dyn Stream) -> Option<Got> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Got { path, headers, body })
}
