//! The agents: who they are, what they ask, and how they ask it.
//!
//! Each is the client that people use, over a socket of its own: it encodes its intents, and holds the tokens in its hands,
//! derived and verified, before an answer counts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use appliance::clock::{Clock, Stopwatch};
use appliance::config::Config;
use appliance::identity::{CertificateAuthority, Record, Registry};
use appliance::provision::AgentFiles;
use appliance::sample;
use assent_client::Client;
use assent_client::batch::Batch;
use assent_client::connection::new_batch_id;
use assent_client::intent::Intent;
use assent_client::trust::Trust;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::measure::{Times, as_f64};
use crate::parts::echo::Sizes;
use crate::parts::rows::bytes_of_lone;
use crate::sample::allowed_intents;

/// How long a certificate lives.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// After so many tasks a thread looks at the sockets.
const LOOK_EVERY: u32 = 4;
/// What one that floods has in flight: as many batches as it is granted streams beside 63 others, and intents in each.
const FLOOD_BATCHES: usize = 64;
const FLOOD_INTENTS: usize = 1024;
/// How long agents ask before it counts.
const WARM_UP: Duration = Duration::from_millis(300);

/// Writes the sample's bundle with so many agents more, which may do what the sample's may.
pub(super) fn write_bundle(folder: &Path, agents: usize) -> anyhow::Result<()> {
    sample::write_bundle(folder)?;
    let file = folder.join("entities.json");
    let mut entities: Vec<serde_json::Value> = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    let known = format!("/agent/{}", sample::AGENT);
    let is_agent = |entity: &&serde_json::Value| {
        entity.pointer("/uid/id").and_then(serde_json::Value::as_str).is_some_and(|id| id.ends_with(&known))
    };
    let agent = entities.iter().find(is_agent).context("the sample's bundle knows its agent")?.clone();
    for number in 0..agents {
        let mut another = agent.clone();
        let id = another.pointer_mut("/uid/id").context("an entity has an id")?;
        let name = id.as_str().unwrap_or_default().replace(sample::AGENT, &name(number));
        *id = name.into();
        entities.push(another);
    }
    std::fs::write(&file, serde_json::to_string(&entities)?)?;
    Ok(())
}

fn name(number: usize) -> String {
    format!("bench-{number}")
}

/// Enrols them.
pub(super) fn enroll(
    folder: &Path,
    config: &Config,
    ca: &Path,
    count: usize,
) -> anyhow::Result<Vec<AgentFiles>> {
    let now = Clock::system().now();
    let authority = CertificateAuthority::open(ca, &config.ca_key())?;
    let registry = Registry::open(&config.agents_path())?;
    let enroll = |number| {
        let name = name(number);
        let files = AgentFiles {
            ca: ca.to_owned(),
            certificate: folder.join(format!("agents/{name}.pem")),
            key: folder.join(format!("agents/{name}.key")),
        };
        let id = config.tls.trust_domain.agent(&name)?;
        let issued = authority.issue_agent(&id, LIFETIME, now)?;
        registry.add(&Record::new(&name, id, &issued, now))?;
        issued.write(&files.certificate, &files.key)?;
        Ok(files)
    };
    (0..count).map(enroll).collect()
}

/// One agent has one thread, as a program has that does nothing else; many share as many as there are processors.
pub(crate) fn runtime(agents: usize) -> anyhow::Result<Runtime> {
    let mut builder = match agents {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    // An agent that derives a thousand tokens leaves its thread for milliseconds: others look at their sockets in between.
    Ok(builder.enable_all().event_interval(LOOK_EVERY).build()?)
}

/// How long agents ask, their warm-up not counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// So long in any case.
    pub(crate) least: Duration,
    /// Then on until each agent has so many answers.
    pub(crate) answers: usize,
    /// But no longer than this.
    pub(crate) most: Duration,
}

impl Stretch {
    /// So long, whatever is answered.
    pub(crate) const fn of(span: Duration) -> Self {
        Self { least: span, answers: 0, most: span }
    }

    /// Whether it goes on, where so many agents are short of answers.
    fn goes_on(&self, elapsed: Duration, short: usize) -> bool {
        elapsed < self.least || (short > 0 && elapsed < self.most)
    }
}

/// Agents that are connected.
pub(crate) struct Agents {
    runtime: Runtime,
    clients: Vec<Arc<Client>>,
    /// As whom the first is connected, for one that floods.
    first: assent_client::Config,
}

impl Agents {
    pub(super) fn connect(listen: &str, files: &[AgentFiles], trust: &Trust) -> anyhow::Result<Self> {
        let runtime = runtime(files.len())?;
        let config = |files: &AgentFiles| {
            let mut config = assent_client::Config::new(listen, &files.ca, &files.certificate, &files.key)?;
            config.server_name = "localhost".to_owned();
            anyhow::Ok(config.trusting(trust.clone()))
        };
        let connect = |files| Ok(Arc::new(runtime.block_on(Client::connect(&config(files)?))?));
        let clients = files.iter().map(connect).collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { clients, first: config(files.first().context("an agent")?)?, runtime })
    }

    /// Intents of so many agents, each with one batch in flight, for so long: tokens a second, and how long each batch took.
    pub(crate) fn ask(&self, agents: usize, batch: usize, stretch: Stretch) -> anyhow::Result<(f64, Times)> {
        let clients = self.clients.get(..agents).context("so many agents are not connected")?;
        let (rate, times) = self.ask_of(clients, batch, stretch)?;
        Ok((rate * as_f64(batch), times))
    }

    /// Bytes of a batch of so many intents, and of its answer, as the log is now: proofs grow with it.
    pub(crate) fn sizes_of(&self, batch: usize) -> anyhow::Result<Sizes> {
        let (batch, reply) = self.exchange(batch)?;
        Ok(Sizes { asked: batch.frame().len(), answered: reply.len() })
    }

    /// The same of a lone intent, and behind them the bytes that its round has in the log's store.
    pub(crate) fn lone_sizes(&self) -> anyhow::Result<(Sizes, usize)> {
        let (batch, reply) = self.exchange(1)?;
        let sizes = Sizes { asked: batch.frame().len(), answered: reply.len() };
        let outcomes = batch.clone().open(&reply, None, Clock::system().now())?;
        let (_, token) =
            outcomes.tokens().next().context("an intent was not allowed that the bundle allows")?;
        Ok((sizes, bytes_of_lone(batch.frame(), &reply, token.bytes())?))
    }

    /// A batch of so many intents, and its answer.
    fn exchange(&self, batch: usize) -> anyhow::Result<(Batch, Vec<u8>)> {
        let client = self.clients.first().context("an agent")?;
        let batch = Batch::new(new_batch_id()?, &allowed_intents(batch)?)?;
        let reply = self.runtime.block_on(client.reply(&batch))?;
        Ok((batch, reply))
    }

    /// One agent that asks one intent after the other, so many.
    pub(crate) fn lone(&self, count: usize) -> anyhow::Result<Times> {
        let intents = allowed_intents(1)?;
        let client = self.clients.first().context("an agent")?;
        Times::each(count, || self.runtime.block_on(ask_once(client, &intents)))
    }

    /// Takes the first one's connection away: what it floods over is to be its only one, for the appliance shares streams by
    /// connections.
    pub(crate) fn before_a_flood(mut self) -> Self {
        self.clients.remove(0);
        self
    }

    /// All that are connected, with one lone intent in flight each: answers a second, and how long each took.
    pub(crate) fn in_calm(&self, span: Duration) -> anyhow::Result<(f64, Times)> {
        self.ask_of(&self.clients, 1, Stretch::of(span))
    }

    /// The same while the first agent has as much in flight as it can, and behind it how many tokens a second that one gets.
    ///
    /// It floods from a thread with a runtime of its own: what it costs to make its batches and to derive its tokens is then
    /// shared by the kernel, and does not stand before the others' tasks in the same loop.
    pub(crate) fn beside_a_flood(&self, span: Duration) -> anyhow::Result<(f64, Times, f64)> {
        let intents = Arc::new(allowed_intents(FLOOD_INTENTS)?);
        let (begin, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| flood(&self.first, &intents, begin, ended));
            let watch = Stopwatch::start();
            // Where it does not begin, it says below why.
            let others = begun.blocking_recv().ok().map(|()| self.in_calm(span));
            let (_, asked_for) = (end.send(()), watch.elapsed());
            let tokens = flood.join().map_err(|_| anyhow!("the flood panicked"))??;
            let (rate, times) = others.context("the flood did not begin")??;
            ensure!(tokens > 0, "nothing of the flood was answered, so it was none");
            Ok((rate, times, as_f64(tokens) / asked_for.as_secs_f64()))
        })
    }

    fn ask_of(
        &self,
        clients: &[Arc<Client>],
        batch: usize,
        stretch: Stretch,
    ) -> anyhow::Result<(f64, Times)> {
        let intents = Arc::new(allowed_intents(batch)?);
        let short = Arc::new(AtomicUsize::new(if stretch.answers == 0 { 0 } else { clients.len() }));
        self.runtime.block_on(async {
            let mut asking = JoinSet::new();
            for client in clients {
                asking.spawn(ask(Arc::clone(client), Arc::clone(&intents), stretch, Arc::clone(&short)));
            }
            let (mut rate, mut all) = (0.0, Vec::new());
            while let Some(asked) = asking.join_next().await {
                let (took, times) = asked??;
                rate += as_f64(times.len()) / took.as_secs_f64();
                all.extend(times);
            }
            Ok((rate, Times::of(all)))
        })
    }
}

/// Asks as much as it can over one connection until it is told to end, and counts the tokens.
fn flood(
    config: &assent_client::Config,
    intents: &Arc<Vec<Intent>>,
    begin: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
) -> anyhow::Result<usize> {
    let tokens = Arc::new(AtomicUsize::new(0));
    runtime(1)?.block_on(async {
        let client = Arc::new(Client::connect(config).await?);
        let mut flooding = JoinSet::new();
        for _ in 0..FLOOD_BATCHES {
            let (client, intents, tokens) = (Arc::clone(&client), Arc::clone(intents), Arc::clone(&tokens));
            flooding.spawn(async move {
                loop {
                    // It may be refused: that it floods is its own affair.
                    if ask_once(&client, &intents).await.is_ok() {
                        tokens.fetch_add(intents.len(), Ordering::Relaxed);
                    }
                }
            });
        }
        let _ = begin.send(());
        let _ = ended.await;
        flooding.shutdown().await;
        anyhow::Ok(())
    })?;
    Ok(tokens.load(Ordering::Relaxed))
}

/// Asks without pause until the first answer behind the stretch: when that came, and how long each answer took. `short`: how many
/// agents have not as many answers as the stretch asks for. Until then all go on, so that each has the others beside it.
///
/// A rate is made of whole answers by the time that they took, and not by the span: else what was in flight at its end would
/// be lost, which of large batches is a tenth.
async fn ask(
    client: Arc<Client>,
    intents: Arc<Vec<Intent>>,
    stretch: Stretch,
    short: Arc<AtomicUsize>,
) -> anyhow::Result<(Duration, Vec<Duration>)> {
    let mut times = Vec::new();
    let since = Stopwatch::start();
    while since.elapsed() < WARM_UP {
        ask_once(&client, &intents).await?;
    }
    let since = Stopwatch::start();
    while stretch.goes_on(since.elapsed(), short.load(Ordering::Relaxed)) {
        let watch = Stopwatch::start();
        ask_once(&client, &intents).await?;
        times.push(watch.elapsed());
        if times.len() == stretch.answers {
            short.fetch_sub(1, Ordering::Relaxed);
        }
    }
    Ok((since.elapsed(), times))
}

async fn ask_once(client: &Client, intents: &[Intent]) -> anyhow::Result<()> {
    let outcomes = client.preauthorize(intents).await?;
    if !outcomes.all_allowed() {
        bail!("an intent was not allowed that the bundle allows");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_goes_on_for_those_who_are_short_but_not_for_ever() {
        let [one, two, three] = [1, 2, 3].map(Duration::from_secs);
        let stretch = Stretch { least: one, answers: 4, most: three };
        assert!(stretch.goes_on(Duration::ZERO, 0) && stretch.goes_on(two, 1));
        assert!(!stretch.goes_on(one, 0) && !stretch.goes_on(three, 1));
        assert!(!Stretch::of(one).goes_on(one, 1));
    }
}
