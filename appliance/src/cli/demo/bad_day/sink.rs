//! Somebody who is told: a receiver of webhooks on this machine, which is down until it is told to listen.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// Bytes of one event.
const MAX_EVENT_BYTES: usize = 256 * 1024;
/// How long a sender may take for one.
const DEADLINE: Duration = Duration::from_secs(5);

/// What it was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Sink {
    /// Events by their id, each with how often it came.
    events: Arc<Mutex<BTreeMap<String, (Value, u64)>>>,
}

impl Sink {
    /// An address that nobody listens at yet.
    pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
        Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
    }

    /// Takes what is sent there from here on.
    pub(super) fn listen(&self, address: SocketAddr) -> anyhow::Result<()> {
        let listener = TcpListener::bind(address)?;
        let sink = self.clone();
        let run = move || {
            for stream in listener.incoming().flatten() {
                // What does not come in order comes again.
                let _ = sink.take(stream);
            }
        };
        std::thread::Builder::new().name("sink".to_owned()).spawn(run)?;
        Ok(())
    }

    fn take(&self, mut stream: TcpStream) -> anyhow::Result<()> {
        stream.set_read_timeout(Some(DEADLINE))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let (mut id, mut length) = (String::new(), 0_usize);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "webhook-id" => value.clone_into(&mut id),
                "content-length" => length = value.parse()?,
                _ => {}
            }
        }
        let mut body = vec![0; length.min(MAX_EVENT_BYTES)];
        reader.read_exact(&mut body)?;
        let event = serde_json::from_slice(&body)?;
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.entry(id).or_insert((event, 0)).1 += 1;
        drop(events);
        Ok(stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?)
    }

    /// How many different events of a kind came, such as `trip`, in a phase, such as `begun`.
    pub(super) fn count(&self, kind: &str, phase: &str) -> usize {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = format!("assent.incident.{phase}");
        let is_one = |event: &Value| {
            let (of, kind_of) = (event.get("type"), event.get("data").and_then(|data| data.get("kind")));
            of.and_then(Value::as_str) == Some(&wanted) && kind_of.and_then(Value::as_str) == Some(kind)
        };
        events.values().filter(|(event, _)| is_one(event)).count()
    }
}
