//! `assent intent collect|cancel`: what became of intents that wait, from the shell.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use assent_client::batch::Ticket;
use assent_client::connection::Collected;
use assent_client::{Client, ClientError, Intent, Outcome, Outcomes, Refusal, ReplyError};
use assent_proto::wire::Request;
use tokio::task::JoinSet;

use super::{Sinks, connect, exit_of, print, read_all};
use crate::cli::{Exit, Failure, Format, Globals};
use crate::shown;

/// The tickets of a file.
pub(super) fn read(file: &Path) -> anyhow::Result<Vec<Ticket>> {
    let text = read_all(file)?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let parse = |(number, line): (usize, &str)| {
        line.parse().with_context(|| format!("cannot use line {number} of {}", file.display()))
    };
    lines.map(parse).collect()
}

/// How many tickets are asked about at the same time: half of the streams that a connection may have.
const MAX_ASKED_AT_ONCE: usize = 64;

/// Collects them side by side, and prints each as soon as it is known: what is decided late holds up nothing else. Ends with 4
/// where something still waits.
pub(super) async fn collect(
    tickets: &[Ticket],
    mut sinks: Sinks,
    once: bool,
    globals: &Globals,
) -> anyhow::Result<Exit> {
    let client = Arc::new(connect().await?);
    let mut out = std::io::BufWriter::new(crate::cli::stdout());
    let (mut worst, mut asked) = (Exit::Done, JoinSet::new());
    let mut rest = tickets.iter();
    loop {
        while asked.len() < MAX_ASKED_AT_ONCE
            && let Some(ticket) = rest.next()
        {
            let (client, ticket) = (Arc::clone(&client), ticket.clone());
            asked.spawn(async move { (ask(&client, &ticket, once).await, ticket) });
        }
        let Some(answered) = asked.join_next().await else { break };
        let (collected, ticket) = answered?;
        let collected = match collected {
            Ok(collected) => collected,
            Err(error) => {
                let error = told(&ticket, &error);
                let failure = error.downcast_ref::<Failure>();
                let Some(unknown) = failure.filter(|failure| failure.exit == Exit::Failed) else {
                    return Err(error);
                };
                // The answers of the others are theirs all the same.
                talk!("assent: {}", unknown.message);
                worst = worst.max(unknown.exit);
                continue;
            }
        };
        let exit = match collected {
            Collected::Decided(outcomes) => show(&ticket, &outcomes, &mut sinks, globals, &mut out)?,
            Collected::Waiting(refusal) => still_waits(&ticket, refusal, globals.output, &mut out)?,
        };
        // Whoever stops the command has what was known by then.
        out.flush()?;
        sinks.flush()?;
        worst = worst.max(exit);
    }
    Ok(worst)
}

async fn ask(client: &Client, ticket: &Ticket, once: bool) -> Result<Collected, ClientError> {
    if once {
        return client.collect(ticket).await;
    }
    client.wait(ticket).await.map(Collected::Decided)
}

/// Withdraws each in turn.
pub(super) async fn cancel(tickets: &[Ticket], globals: &Globals) -> anyhow::Result<Exit> {
    let client = connect().await?;
    let mut out = std::io::BufWriter::new(crate::cli::stdout());
    let (mut worst, mut sinks) = (Exit::Done, Sinks::default());
    for ticket in tickets {
        let exit = match client.cancel(ticket).await.map_err(|error| told(ticket, &error))? {
            Collected::Decided(outcomes) => {
                let withdrawn = outcomes.iter().all(|outcome| matches!(outcome, Outcome::Cancelled(_)));
                let exit = show(ticket, &outcomes, &mut sinks, globals, &mut out)?;
                if withdrawn { Exit::Done } else { exit }
            }
            Collected::Waiting(refusal) => still_waits(ticket, refusal, globals.output, &mut out)?,
        };
        worst = worst.max(exit);
    }
    out.flush()?;
    Ok(worst)
}

fn show(
    ticket: &Ticket,
    outcomes: &Outcomes,
    sinks: &mut Sinks,
    globals: &Globals,
    out: &mut impl std::io::Write,
) -> anyhow::Result<Exit> {
    let mut worst = Exit::Done;
    sinks.begin()?;
    for (intent, outcome) in intents(ticket)?.iter().zip(outcomes.iter()) {
        worst = worst.max(exit_of(&outcome));
        print(intent, &outcome, globals.output, outcomes.len() == 1, out)?;
        sinks.token(intent, &outcome)?;
    }
    sinks.tickets(outcomes)?;
    Ok(worst)
}

/// The ticket's intents, as they were asked.
fn intents(ticket: &Ticket) -> anyhow::Result<Vec<Intent>> {
    let request = Request::parse(ticket.batch().frame())?;
    let read = |(intent, _): (assent_proto::intent::Intent<'_>, &[u8])| {
        anyhow::Ok(Intent::from_json(&shown::intent(&intent)?.to_string())?)
    };
    request.intents().map(read).collect()
}

fn still_waits(
    ticket: &Ticket,
    refusal: Refusal,
    format: Format,
    out: &mut impl std::io::Write,
) -> std::io::Result<Exit> {
    let (id, until) = (ticket.id(), ticket.until());
    match format {
        Format::Json | Format::Jsonl => {
            let json = serde_json::json!({
                "schema": "assent.v1.intent.waiting", "ticket": id.to_string(), "refusal": refusal.name(),
                "until_ms": until.0,
            });
            writeln!(out, "{}", shown::json(&json))?;
        }
        Format::Table => {
            writeln!(out, "ticket {id} still waits, until {}: {refusal}", crate::cli::utc(until))?
        }
    }
    Ok(Exit::Pending)
}

fn told(ticket: &Ticket, error: &ClientError) -> anyhow::Error {
    if matches!(error, ClientError::Reply(ReplyError::Refused(Refusal::TicketUnknown))) {
        let message = format!(
            "nothing of this agent waits under ticket {}, and no answer is kept for it: it is another agent's, or its answer was kept for its time",
            ticket.id()
        );
        return Failure { message, exit: Exit::Failed }.into();
    }
    crate::cli::unavailable(error)
}
