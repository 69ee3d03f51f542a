//! The demo's executor: `assent token verify` as its own process, with the trust file and nothing else.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

use super::agent::Agent;
use super::appliance::Appliance;
use super::story::Execution;
use crate::clock::Stopwatch;
use crate::sample;

/// A process that has no key, no network and no appliance.
pub(super) struct Executor {
    process: Child,
}

/// What it says of one token.
#[derive(serde::Deserialize)]
struct Verdict {
    valid: bool,
}

impl Executor {
    pub(super) fn start(scratch: &Path, appliance: &Appliance) -> anyhow::Result<Self> {
        let folder = scratch.join("executor");
        std::fs::create_dir(&folder)?;
        std::fs::copy(&appliance.trust, folder.join("trust.toml"))?;
        let process = Command::new(std::env::current_exe()?)
            .args([
                "token",
                "verify",
                "--output",
                "jsonl",
                "--trust",
                "trust.toml",
                "--audience",
                sample::AUDIENCE,
            ])
            .current_dir(&folder)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot start the executor")?;
        Ok(Self { process })
    }

    /// Hands it every token three times: for another intent, which it must refuse; for its own; and for its own once more,
    /// which it must refuse too.
    pub(super) fn verify(mut self, agent: &Agent, tokens: &[(usize, String)]) -> anyhow::Result<Execution> {
        let watch = Stopwatch::start();
        let swapped = lines(agent, tokens, another_intent)?;
        let good = lines(agent, tokens, |_, _, index| Some(index))?;
        let replayed = good.clone();
        let input = self.process.stdin.take().context("the executor has no input")?;
        let writer = std::thread::Builder::new().name("executor".to_owned()).spawn(move || {
            let mut input = std::io::BufWriter::new(input);
            swapped.iter().chain(&good).chain(&replayed).try_for_each(|line| writeln!(input, "{line}"))?;
            input.flush()
        })?;
        let output = self.process.stdout.take().context("the executor has no output")?;
        let mut verdicts = Vec::with_capacity(3 * tokens.len());
        for line in BufReader::new(output).lines() {
            verdicts.push(serde_json::from_str::<Verdict>(&line?)?.valid);
        }
        if !matches!(writer.join(), Ok(Ok(()))) || verdicts.len() != 3 * tokens.len() {
            bail!("the executor gave {} verdicts on {} tokens", verdicts.len(), 3 * tokens.len());
        }
        self.process.wait()?;
        let (other, rest) = verdicts.split_at(tokens.len());
        let (first, second) = rest.split_at(tokens.len());
        let count =
            |verdicts: &[bool], wanted: bool| verdicts.iter().filter(|valid| **valid == wanted).count();
        Ok(Execution {
            verified: count(first, true),
            replays_refused: count(second, false),
            swaps_refused: count(other, false),
            elapsed: watch.elapsed(),
        })
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Lines of `{"token", "intent"}`, the intent being the one that `choose` gives for each token's own.
fn lines(
    agent: &Agent,
    tokens: &[(usize, String)],
    choose: impl Fn(&Agent, &[(usize, String)], usize) -> Option<usize>,
) -> anyhow::Result<Vec<String>> {
    let line = |(own, token): &(usize, String)| {
        let chosen = choose(agent, tokens, *own).and_then(|index| agent.intent(index));
        let intent = chosen.context("all intents of the sample are the same")?;
        Ok(format!("{{\"token\":\"{token}\",\"intent\":{}}}", intent.to_json()?))
    };
    tokens.iter().map(line).collect()
}

/// The next allowed intent that asks for something else.
fn another_intent(agent: &Agent, tokens: &[(usize, String)], own: usize) -> Option<usize> {
    let mine = agent.intent(own)?;
    let differs = |index: &usize| {
        agent.intent(*index).is_some_and(|other| {
            (&other.action, &other.resource, &other.context) != (&mine.action, &mine.resource, &mine.context)
        })
    };
    let later = tokens.iter().map(|(index, _)| *index).filter(|index| *index > own);
    later.chain(tokens.iter().map(|(index, _)| *index)).find(differs)
}
