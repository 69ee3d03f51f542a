//! `assent token verify|export|inspect`: tokens, offline, with nothing but the trust file.

use std::io::{BufRead as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_client::guard::{Acceptance, AdmitError, Guard};
use assent_client::intent::Intent;
use assent_client::spent::Spent;
use assent_client::trust::Trust;
use assent_proto::codec;
use assent_proto::entry::Allow;
use assent_proto::number::Timestamp;
use assent_proto::token::UnverifiedToken;
use clap::Subcommand;

use super::{Exit, Format, Globals};
use crate::clock::Clock;

/// What to do with a token.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Verify tokens against what is about to be done. Within one run each use counts, and a second one is refused. Ends with 3
    /// where one is refused, or where there was none.
    Verify {
        /// The trust file.
        #[arg(long, value_name = "FILE")]
        trust: PathBuf,
        /// Who is about to act.
        #[arg(long, value_name = "NAME")]
        audience: String,
        /// A warrant file of break-glass; may be given several times. Then tokens under these warrants are accepted, too.
        #[arg(long = "warrant", value_name = "FILE")]
        warrants: Vec<PathBuf>,
        /// The intent as JSON, or a file of it. Without it, standard input gives lines of `{"token", "intent"}`.
        #[arg(long, value_name = "FILE", requires = "token")]
        intent: Option<PathBuf>,
        /// The token's text.
        #[arg(requires = "intent")]
        token: Option<String>,
    },
    /// Write a token as a C2SP tlog-proof, which tools that know nothing of tokens verify.
    Export(super::prove::ExportOptions),
    /// Show what a token states. It proves nothing.
    Inspect {
        /// The token's text; by default from standard input.
        token: Option<String>,
    },
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Verify { trust, audience, warrants, intent, token } => {
            let guard = guard(&trust, &audience, &warrants)?;
            match (intent, token) {
                (Some(intent), Some(token)) => verify_one(&guard, &intent, &token, globals),
                _ => verify_lines(&guard, globals),
            }
        }
        Verb::Export(options) => super::prove::export(&options, globals),
        Verb::Inspect { token } => inspect(token, globals),
    }
}

fn guard(trust: &Path, audience: &str, warrants: &[PathBuf]) -> anyhow::Result<Guard> {
    let text = std::fs::read_to_string(trust).with_context(|| format!("cannot read {}", trust.display()))?;
    let now = Clock::system().now();
    let trust =
        Trust::parse(&text, now).with_context(|| format!("cannot use the trust file {}", trust.display()))?;
    let warrants = super::break_glass::warrants(warrants, &trust, now)?;
    let acceptance = Acceptance { break_glass: !warrants.is_empty(), ..Acceptance::default() };
    // This process remembers uses only as long as it lives; it is asked about tokens, it does not act on them.
    let guard = Guard::with_spent(trust, audience, Spent::in_memory(Timestamp(0))).accepting(acceptance);
    warrants.into_iter().try_for_each(|warrant| guard.accept_warrant(warrant, now))?;
    Ok(guard)
}

fn verify_one(guard: &Guard, intent: &Path, token: &str, globals: &Globals) -> anyhow::Result<Exit> {
    let json =
        std::fs::read_to_string(intent).with_context(|| format!("cannot read {}", intent.display()))?;
    let intent = Intent::from_json(&json).with_context(|| "the intent is malformed".to_owned())?;
    let verdict = admit(guard, token.trim(), &intent);
    print_verdict(&verdict, globals.output, &mut crate::cli::stdout())?;
    Ok(if verdict.is_ok() { Exit::Done } else { Exit::Invalid })
}

/// One line of standard input.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    token: String,
    intent: serde_json::Value,
}

fn verify_lines(guard: &Guard, globals: &Globals) -> anyhow::Result<Exit> {
    let mut out = std::io::BufWriter::new(crate::cli::stdout());
    // None as long as nothing was verified, which is no good end either.
    let mut worst: Option<Exit> = None;
    for (number, line) in (1_u64..).zip(std::io::stdin().lock().lines()) {
        let verdict = admit_line(guard, &line?).map_err(|why| format!("line {number}: {why}"));
        let exit = if verdict.is_ok() { Exit::Done } else { Exit::Invalid };
        worst = worst.max(Some(exit));
        print_verdict(&verdict, globals.output, &mut out)?;
    }
    out.flush()?;
    Ok(worst.unwrap_or_else(|| {
        talk!("nothing was verified: standard input gave no token");
        Exit::Invalid
    }))
}

fn admit_line(guard: &Guard, line: &str) -> Result<(), String> {
    let Line { token, intent } = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let intent = Intent::from_json(&intent.to_string()).map_err(|error| error.to_string())?;
    admit(guard, &token, &intent)
}

fn admit(guard: &Guard, token: &str, intent: &Intent) -> Result<(), String> {
    let bytes = assent_client::token::parse_text(token).map_err(|error| error.to_string())?;
    let permit =
        guard.admit(&bytes, intent, Clock::system().now()).map_err(|error: AdmitError| error.to_string())?;
    permit.run(|| ());
    Ok(())
}

fn print_verdict(
    verdict: &Result<(), String>,
    format: Format,
    out: &mut impl std::io::Write,
) -> std::io::Result<()> {
    match (format, verdict) {
        (Format::Table, Ok(())) => writeln!(out, "valid"),
        (Format::Table, Err(why)) => writeln!(out, "refused: {why}"),
        (Format::Json | Format::Jsonl, verdict) => {
            let json = serde_json::json!({
                "schema": "assent.v1.token.verify", "valid": verdict.is_ok(), "why": verdict.as_ref().err(),
            });
            writeln!(out, "{}", crate::shown::json(&json))
        }
    }
}

fn inspect(token: Option<String>, globals: &Globals) -> anyhow::Result<Exit> {
    let text = match token {
        Some(text) => text,
        None => {
            let mut text = String::new();
            std::io::stdin().lock().take(crate::limits::MAX_CONTROL_BYTES).read_to_string(&mut text)?;
            text
        }
    };
    let bytes = assent_client::token::parse_text(text.trim())?;
    let token = UnverifiedToken::parse(&bytes)?;
    let claims: Allow<'_> = codec::parse(token.body)?;
    let json = serde_json::json!({
        "schema": "assent.v1.token.inspect", "verified": false,
        "key_id": token.key_id.to_string(), "tree_size": token.size.0, "leaf_index": token.index.0,
        "principal": claims.principal, "audience": claims.audience,
        "action": claims.action.to_string(), "resource": claims.resource.to_string(),
        "intent": claims.intent.to_string(), "epoch": claims.epoch.0, "bundle": claims.bundle.to_string(),
        "not_before_ms": claims.not_before.0, "not_after_ms": claims.not_after.0,
        "grounds": super::log::entry::grounds(claims.grounds), "uses": claims.uses, "risk": claims.risk, "policies": claims.policies.named.iter().collect::<Vec<_>>(),
    });
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => writeln!(out, "{}", crate::shown::json(&json))?,
        Format::Table => {
            for (name, value) in json.as_object().into_iter().flatten() {
                writeln!(
                    out,
                    "{name:<15} {}",
                    value.as_str().map_or_else(|| crate::shown::json(value), crate::shown::visible)
                )?;
            }
            writeln!(
                out,
                "{} bytes; nothing of this is verified, `assent token verify` does that",
                bytes.len()
            )?;
        }
    }
    Ok(Exit::Done)
}
