//! `assent intent preauthorize|ask`: what an agent asks, from the shell.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_client::intent::Intent;
use assent_client::outcome::Outcome;
use assent_client::{Client, Config};
use clap::Subcommand;

use super::{Exit, Format, Globals};

/// What to ask.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Pre-authorize the intents of a file, one JSON a line, in batches.
    Preauthorize {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Where to write the tokens, as lines of `{"token", "intent"}` that `assent token verify` reads.
        #[arg(long, value_name = "FILE")]
        tokens: Option<PathBuf>,
        /// Intents of one batch.
        #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..=4096))]
        batch: u16,
    },
    /// Ask for one intent.
    Ask {
        /// The intent as JSON; `-` for standard input.
        intent: String,
    },
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let (intents, tokens, batch) = match verb {
        Verb::Preauthorize { file, tokens, batch } => (read_lines(&file)?, tokens, usize::from(batch)),
        Verb::Ask { intent } => {
            let json = if intent == "-" { read_all(Path::new("-"))? } else { intent };
            (vec![Intent::from_json(&json)?], None, 1)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(preauthorize(&intents, tokens.as_deref(), batch, globals))
}

async fn preauthorize(
    intents: &[Intent],
    tokens: Option<&Path>,
    batch: usize,
    globals: &Globals,
) -> anyhow::Result<Exit> {
    let config = Config::from_env().context("an agent is configured by ASSENT_ADDR, ASSENT_CA, ASSENT_CERT and ASSENT_KEY; `assent agent enroll` prints them")?;
    let client = Client::connect(&config).await.map_err(|error| super::unavailable(&error))?;
    let mut sink = match tokens {
        Some(path) => {
            let file =
                std::fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Some(std::io::BufWriter::new(file))
        }
        None => None,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut worst = Exit::Done;
    for chunk in intents.chunks(batch.max(1)) {
        let outcomes = client.preauthorize(chunk).await.map_err(|error| super::unavailable(&error))?;
        for (intent, outcome) in chunk.iter().zip(outcomes.iter()) {
            worst = worst.max(exit_of(&outcome));
            print(intent, &outcome, globals.output, intents.len() == 1, &mut out)?;
            if let (Outcome::Allowed(token), Some(sink)) = (&outcome, &mut sink) {
                writeln!(sink, "{{\"token\":\"{token}\",\"intent\":{}}}", intent.to_json()?)?;
            }
        }
    }
    out.flush()?;
    sink.map_or(Ok(()), |mut sink| sink.flush())?;
    Ok(worst)
}

fn exit_of(outcome: &Outcome<'_>) -> Exit {
    match outcome {
        Outcome::Allowed(_) => Exit::Done,
        Outcome::Denied(_) | Outcome::Invalid(_) => Exit::Denied,
        Outcome::Held(_) => Exit::Pending,
        Outcome::Unavailable(_) => Exit::Unavailable,
    }
}

fn print(
    intent: &Intent,
    outcome: &Outcome<'_>,
    format: Format,
    alone: bool,
    out: &mut impl std::io::Write,
) -> std::io::Result<()> {
    let (decision, token, reason) = match outcome {
        Outcome::Allowed(token) => ("allow", Some(token.to_string()), None),
        Outcome::Held(reason) => ("hold", None, Some(reason)),
        Outcome::Denied(reason) | Outcome::Invalid(reason) | Outcome::Unavailable(reason) => {
            ("deny", None, Some(reason))
        }
    };
    let refusal = reason.map(|reason| reason.refusal.name());
    let policies = reason.map(|reason| reason.policies).unwrap_or_default();
    match format {
        Format::Json | Format::Jsonl => {
            let json = serde_json::json!({
                "schema": "assent.v1.intent.outcome", "action": intent.action.to_string(),
                "resource": intent.resource.to_string(), "decision": decision, "refusal": refusal,
                "policies": policies, "token": token,
            });
            writeln!(out, "{json}")
        }
        Format::Table => {
            let why =
                refusal.map(|refusal| format!("  {refusal} {}", policies.join(", "))).unwrap_or_default();
            writeln!(out, "{decision:<5}  {} on {}{why}", intent.action, intent.resource)?;
            token.filter(|_| alone).map_or(Ok(()), |token| writeln!(out, "{token}"))
        }
    }
}

fn read_lines(file: &Path) -> anyhow::Result<Vec<Intent>> {
    let text = read_all(file)?;
    let intents = assent_client::json::parse_lines(&text).collect::<Result<Vec<_>, _>>();
    intents.with_context(|| format!("cannot use {}", file.display()))
}

fn read_all(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
