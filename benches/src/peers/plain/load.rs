//! The load generator of peers that speak HTTP: clients in threads of their own, each with one connection that is kept.
//!
//! It reads of a reply only what it counts, for it shares the cores with the peer that it asks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use appliance::clock::Stopwatch;

use crate::measure::as_f64;

/// How long a client waits for one reply; a peer that takes longer does not answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// One client.
///
/// No proxy: what the environment says of proxies is not meant for this machine's own peers.
pub(crate) fn client() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).timeout_global(Some(DEADLINE)).build().into()
}

/// Posts the bodies over and over from this many clients, and gives what was counted in the replies, a second.
///
/// A tenth of the span more goes before it and is not counted: connections open and caches fill. A reply that is not 2xx,
/// and a count of nothing, is an error: else a peer that refuses would look like one that is slow.
pub(crate) fn counted_a_second(
    url: &str,
    clients: usize,
    bodies: &[impl AsRef<str> + Sync],
    span: Duration,
    count: impl Fn(&str) -> anyhow::Result<usize> + Sync,
) -> anyhow::Result<f64> {
    let warm_up = span / 10;
    let watch = Stopwatch::start();
    let failed = AtomicBool::new(false);
    let run = |offset: usize| {
        let agent = client();
        let (mut counted, mut since) = (0, None);
        for body in bodies.iter().map(AsRef::as_ref).cycle().skip(offset) {
            if watch.elapsed() >= warm_up + span || failed.load(Ordering::Relaxed) {
                break;
            }
            if since.is_none() && watch.elapsed() >= warm_up {
                since = Some(Stopwatch::start());
            }
            let mut reply =
                agent.post(url).content_type("application/json").send(body).context("a peer answers")?;
            let found = count(&reply.body_mut().read_to_string()?)?;
            anyhow::ensure!(found > 0, "a peer refuses what it should allow: {body:.300}");
            counted += if since.is_some() { found } else { 0 };
        }
        // Its own time, from its first request that counts to its last answer: of large batches what is in flight when the
        // warm-up ends, or the span, is some hundredths.
        let took = since.map_or(f64::INFINITY, |since| since.elapsed().as_secs_f64());
        anyhow::Ok(as_f64(counted) / took.max(f64::MIN_POSITIVE))
    };
    std::thread::scope(|scope| {
        let (run, failed) = (&run, &failed);
        let start = |client: usize| {
            // So that no two ask for the same at the same time.
            let offset = bodies.len() * client / clients.max(1);
            scope.spawn(move || run(offset).inspect_err(|_| failed.store(true, Ordering::Relaxed)))
        };
        let threads: Vec<_> = (0..clients).map(start).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a client panicked"))?).sum()
    })
}
