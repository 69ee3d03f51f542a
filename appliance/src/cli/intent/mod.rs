//! `assent intent preauthorize|ask`: what an agent asks, from the shell.

mod waiting;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_client::intent::Intent;
use assent_client::outcome::Outcome;
use assent_client::{Client, ClientError, Config, Outcomes, TraceContext};
use clap::Subcommand;

use super::{Exit, Format, Globals, output};

/// What to ask.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Pre-authorize the intents of a file, one JSON a line, in batches.
    Preauthorize {
        /// The file; `-` for standard input.
        file: PathBuf,
        /// Where to write the tokens, as lines of `{"token", "intent"}` that `assent token verify` reads. Nobody else may read the
        /// file; what it held is replaced by the first answer.
        #[arg(long, value_name = "FILE")]
        tokens: Option<PathBuf>,
        /// Where to write the tickets of what waits, one a line, for `assent intent collect`.
        #[arg(long, value_name = "FILE")]
        tickets: Option<PathBuf>,
        /// Intents of one batch.
        #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..=4096))]
        batch: u16,
        #[command(flatten)]
        trace: Trace,
    },
    /// Ask for one intent.
    Ask {
        /// The intent as JSON; `-` for standard input.
        intent: String,
        #[command(flatten)]
        trace: Trace,
    },
    /// Ask what became of intents that wait, and wait until it is decided.
    Collect {
        /// The tickets, one a line, as `preauthorize --tickets` writes them; `-` for standard input.
        file: PathBuf,
        /// Where to write the tokens. Nobody else may read the file; what it held is replaced by the first answer.
        #[arg(long, value_name = "FILE")]
        tokens: Option<PathBuf>,
        /// Ask once, for up to 20 s, and tell what still waits.
        #[arg(long)]
        once: bool,
    },
    /// Withdraw intents that wait.
    Cancel {
        /// The tickets, one a line; `-` for standard input.
        file: PathBuf,
    },
}

/// In which trace to ask.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Trace {
    /// The span that asks, as a W3C `traceparent`: the appliance's spans of these batches are children of it.
    #[arg(long, value_name = "00-TRACE-PARENT-FLAGS", value_parser = traceparent)]
    traceparent: Option<TraceContext>,
}

fn traceparent(text: &str) -> Result<TraceContext, &'static str> {
    text.parse().map_err(|_| {
        "it is 00, 32 digits of the trace, 16 of the span and 2 of flags, in lower-case hexadecimal with - between them, and no id of zeroes"
    })
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (intents, sinks, batch, trace) = match verb {
        Verb::Preauthorize { file, tokens, tickets, batch, trace } => {
            let sinks = Sinks::open(tokens.as_deref(), tickets.as_deref())?;
            (read_lines(&file)?, sinks, usize::from(batch), trace)
        }
        Verb::Ask { intent, trace } => {
            let json = if intent == "-" { read_all(Path::new("-"))? } else { intent };
            (vec![Intent::from_json(&json)?], Sinks::default(), 1, trace)
        }
        Verb::Collect { file, tokens, once } => {
            let sinks = Sinks::open(tokens.as_deref(), None)?;
            return runtime.block_on(waiting::collect(&waiting::read(&file)?, sinks, once, globals));
        }
        Verb::Cancel { file } => {
            return runtime.block_on(waiting::cancel(&waiting::read(&file)?, globals));
        }
    };
    runtime.block_on(preauthorize(&intents, sinks, (batch, trace), globals))
}

async fn preauthorize(
    intents: &[Intent],
    mut sinks: Sinks,
    (batch, Trace { traceparent }): (usize, Trace),
    globals: &Globals,
) -> anyhow::Result<Exit> {
    let client = connect().await?;
    let mut out = std::io::BufWriter::new(crate::cli::stdout());
    let mut worst = Exit::Done;
    for chunk in intents.chunks(batch.max(1)) {
        let outcomes = match traceparent {
            Some(trace) => client.preauthorize_traced(chunk, trace).await,
            None => client.preauthorize(chunk).await,
        };
        let outcomes = outcomes.map_err(|error| super::unavailable(&error))?;
        sinks.begin()?;
        for (intent, outcome) in chunk.iter().zip(outcomes.iter()) {
            worst = worst.max(exit_of(&outcome));
            print(intent, &outcome, globals.output, intents.len() == 1, &mut out)?;
            sinks.token(intent, &outcome)?;
        }
        sinks.tickets(&outcomes)?;
    }
    out.flush()?;
    sinks.flush()?;
    Ok(worst)
}

async fn connect() -> anyhow::Result<Client> {
    let config = Config::from_env().context("an agent is configured by ASSENT_ADDR, ASSENT_CA, ASSENT_CERT and ASSENT_KEY; `assent agent enroll` prints them")?;
    Client::connect(&config).await.map_err(|error| {
        // With such a configuration nobody was asked: the appliance may well be there.
        let is_ours = matches!(error, ClientError::Config(_));
        output::failure(&error, if is_ours { Exit::Failed } else { Exit::Unavailable })
    })
}

/// Where tokens and tickets go, where they are wanted.
#[derive(Default)]
struct Sinks {
    tokens: Option<Sink>,
    tickets: Option<Sink>,
}

/// A file that nobody else reads. It is opened before anything is asked, and holds what it held until the first answer.
struct Sink {
    lines: std::io::BufWriter<std::fs::File>,
    is_begun: bool,
}

impl Sink {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let open = || -> std::io::Result<std::fs::File> {
            let mut options = std::fs::OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
            // It may have been there; a pipe or a terminal stays what it is.
            if file.metadata()?.is_file() {
                file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            }
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { lines: std::io::BufWriter::new(file), is_begun: false })
    }

    fn begin(&mut self) -> std::io::Result<()> {
        let file = self.lines.get_ref();
        if !self.is_begun && file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        self.is_begun = true;
        Ok(())
    }
}

impl Sinks {
    fn open(tokens: Option<&Path>, tickets: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self {
            tokens: tokens.map(Sink::open).transpose()?,
            tickets: tickets.map(Sink::open).transpose()?,
        })
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Sink> {
        [&mut self.tokens, &mut self.tickets].into_iter().flatten()
    }

    /// There is an answer: what the files held from before gives way.
    fn begin(&mut self) -> std::io::Result<()> {
        self.all().try_for_each(Sink::begin)
    }

    fn token(&mut self, intent: &Intent, outcome: &Outcome<'_>) -> anyhow::Result<()> {
        if let (Outcome::Allowed(token), Some(sink)) = (outcome, &mut self.tokens) {
            writeln!(sink.lines, "{{\"token\":\"{token}\",\"intent\":{}}}", intent.to_json()?)?;
        }
        Ok(())
    }

    fn tickets(&mut self, outcomes: &Outcomes) -> anyhow::Result<()> {
        let tickets = outcomes.tickets();
        match &mut self.tickets {
            Some(sink) => tickets.iter().try_for_each(|ticket| writeln!(sink.lines, "{ticket}"))?,
            None if tickets.is_empty() => {}
            None => talk!(
                "what waits is decided all the same; with `--tickets FILE` you could collect it: `assent intent collect FILE`"
            ),
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.all().try_for_each(|sink| sink.lines.flush())
    }
}

fn exit_of(outcome: &Outcome<'_>) -> Exit {
    match outcome {
        Outcome::Allowed(_) => Exit::Done,
        Outcome::Denied(_) | Outcome::Invalid(_) | Outcome::Expired(_) | Outcome::Cancelled(_) => {
            Exit::Denied
        }
        Outcome::Queued(_) | Outcome::AwaitingApproval(_) | Outcome::Held(_) => Exit::Pending,
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
        Outcome::Queued(_) | Outcome::AwaitingApproval(_) | Outcome::Held(_) => {
            ("hold", None, outcome.reason())
        }
        Outcome::Denied(_)
        | Outcome::Invalid(_)
        | Outcome::Expired(_)
        | Outcome::Cancelled(_)
        | Outcome::Unavailable(_) => ("deny", None, outcome.reason()),
    };
    let waits = outcome.waits();
    let refusal = reason.map(|reason| reason.refusal.name());
    let policies = reason.map(|reason| reason.policies).unwrap_or_default();
    match format {
        Format::Json | Format::Jsonl => {
            let json = serde_json::json!({
                "schema": "assent.v1.intent.outcome", "action": intent.action.to_string(),
                "resource": intent.resource.to_string(), "decision": decision, "refusal": refusal,
                "policies": policies, "token": token, "outcome": outcome.kind(),
                "ticket": waits.map(|waits| waits.ticket.to_string()),
                "until_ms": waits.map(|waits| waits.until().0),
            });
            writeln!(out, "{}", crate::shown::json(&json))
        }
        Format::Table => {
            let why =
                refusal.map(|refusal| format!("  {refusal} {}", policies.join(", "))).unwrap_or_default();
            let until = waits
                .map(|waits| format!("  until {} under ticket {}", super::utc(waits.until()), waits.ticket));
            let until = until.unwrap_or_default();
            let act = crate::shown::visible(&format!("{} on {}", intent.action, intent.resource));
            writeln!(out, "{decision:<5}  {act}{}{until}", crate::shown::visible(&why))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_what_it_held_until_there_is_an_answer_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        std::fs::write(&old, "good tokens\n").unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o644)).unwrap();
        let mut sinks = Sinks::open(Some(&old), Some(&new)).unwrap();
        for path in [&old, &new] {
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "good tokens\n");
        sinks.begin().unwrap();
        writeln!(sinks.tokens.as_mut().unwrap().lines, "one").unwrap();
        sinks.begin().unwrap();
        sinks.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "one\n");
        assert!(
            Sinks::open(Some(&folder.path().join("no/file")), None).is_err(),
            "said before anything is asked"
        );
    }
}
