//! The demo's agent: a retail support agent that asks leave for all it did.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, bail};
use assent_client::intent::Intent;
use assent_client::outcome::{Outcome, Waits};
use assent_client::{Client, Config};
use assent_proto::refusal::Refusal;

use super::PATIENCE;
use super::appliance::Appliance;
use super::story::{Batch, Outage};
use crate::clock::Stopwatch;
use crate::sample;

/// How often the signer is killed at most, until an intent falls into the moment while the boundary is closed.
const MAX_KILLS: u64 = 20;

/// What the store's rules say of an intent.
#[derive(serde::Deserialize)]
struct Expected {
    decision: String,
    refusal: Option<String>,
}

/// A connected agent with its intents, and what should come of each.
pub(super) struct Agent {
    client: Client,
    intents: Vec<Intent>,
    expected: Vec<Expected>,
}

impl Agent {
    pub(super) async fn connect(appliance: &Appliance) -> anyhow::Result<Self> {
        let files = &appliance.agent;
        let mut config = Config::new(&appliance.address, &files.ca, &files.certificate, &files.key)?;
        config.server_name = "localhost".to_owned();
        let client = Client::connect(&config).await.context("the agent cannot connect")?;
        // Some of the store's actions may be done more than once under one token; here each is to be done once.
        let once = |intent: Result<Intent, _>| intent.map(|intent| Intent { uses: Some(1), ..intent });
        let intents =
            assent_client::json::parse_lines(sample::INTENTS).map(once).collect::<Result<Vec<_>, _>>()?;
        let expected =
            sample::EXPECTED.lines().map(serde_json::from_str).collect::<Result<Vec<Expected>, _>>()?;
        if intents.len() != expected.len() {
            bail!("the sample has {} intents and {} labels", intents.len(), expected.len());
        }
        Ok(Self { client, intents, expected })
    }

    pub(super) fn intents(&self) -> usize {
        self.intents.len()
    }

    pub(super) fn intent(&self, index: usize) -> Option<&Intent> {
        self.intents.get(index)
    }

    /// Pre-authorizes a run of the intents, and compares every outcome with its label.
    pub(super) async fn preauthorize(&self, run: Range<usize>, batch: usize) -> anyhow::Result<Batch> {
        let mut total = Batch::default();
        let indices: Vec<usize> = run.collect();
        for indices in indices.chunks(batch) {
            let intents: Vec<Intent> =
                indices.iter().filter_map(|index| self.intents.get(*index).cloned()).collect();
            let watch = Stopwatch::start();
            let outcomes = self.client.preauthorize(&intents).await?;
            total.elapsed += watch.elapsed();
            total.batches += 1;
            for (index, outcome) in indices.iter().zip(outcomes.iter()) {
                self.take(*index, &outcome, &mut total);
            }
        }
        Ok(total)
    }

    fn take(&self, index: usize, outcome: &Outcome<'_>, total: &mut Batch) {
        total.intents += 1;
        let (decision, refusal) = match outcome {
            Outcome::Allowed(token) => {
                total.tokens.push((index, token.to_string()));
                ("allow", None)
            }
            Outcome::Queued(Waits { reason, .. })
            | Outcome::AwaitingApproval(Waits { reason, .. })
            | Outcome::Denied(reason)
            | Outcome::Invalid(reason)
            | Outcome::Held(reason)
            | Outcome::Expired(reason)
            | Outcome::Cancelled(reason)
            | Outcome::Unavailable(reason) => {
                *total.refusals.entry(reason.refusal.name()).or_default() += 1;
                ("deny", Some(reason.refusal.name()))
            }
        };
        let expected = self.expected.get(index);
        let as_expected = expected
            .is_some_and(|expected| expected.decision == decision && expected.refusal.as_deref() == refusal);
        if !as_expected {
            total.mismatches += 1;
        }
    }

    /// Asks on while the signer is dead: every answer must be a refusal until the boundary has opened again.
    pub(super) async fn through_an_outage(&self, appliance: &Appliance) -> anyhow::Result<Outage> {
        let allowed = self.expected.iter().position(|expected| expected.decision == "allow");
        let intent =
            allowed.and_then(|index| self.intents.get(index)).context("the sample allows nothing")?;
        let epoch = || appliance.status().map(|status| status.epoch).context("the appliance does not answer");
        let before = epoch()?;
        let mut outage = Outage { kills: 1, ..Outage::default() };
        appliance.kill_signer()?;
        let mut watch = Stopwatch::start();
        loop {
            let outcomes = self.client.preauthorize(std::slice::from_ref(intent)).await?;
            match outcomes.iter().next() {
                Some(Outcome::Unavailable(reason)) if reason.refusal == Refusal::TokenUnavailable => {
                    outage.closed_after.get_or_insert(watch.elapsed());
                    outage.refused += 1;
                }
                Some(Outcome::Allowed(_)) if outage.refused > 0 => {
                    outage.rearmed_after = Some(watch.elapsed());
                    outage.epochs = epoch()?.saturating_sub(before);
                    return Ok(outage);
                }
                Some(Outcome::Allowed(_)) => {
                    outage.before += 1;
                    // Either the kernel had not ended the process yet, or a new signer was armed before we could ask.
                    if epoch()? == before + outage.kills && outage.kills < MAX_KILLS {
                        outage.kills += 1;
                        appliance.kill_signer()?;
                        watch = Stopwatch::start();
                    }
                }
                _ => bail!("an intent that the store allows was denied during the outage"),
            }
            if watch.elapsed() > PATIENCE {
                return Ok(outage);
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}
