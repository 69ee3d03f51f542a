//! `assent status`: how the running appliance is.

use std::io::Write as _;

use assent_proto::note::VerifierKey;
use assent_proto::number::Timestamp;

use super::{Exit, Format, Globals};
use crate::config::Config;
use crate::control;
use crate::hsm::FaultClass;
use crate::serving::status::{BoundaryStatus, KeyStatus, Status};
use crate::shown::{age, counted, visible};
use crate::token::FenceInHsm;

/// Runs the command. Ends with 5 when a boundary is closed, or nobody answers.
pub(super) fn run(globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let status = match control::ask_status(&config.appliance.data) {
        Ok(status) => status,
        Err(error) => return Err(super::unavailable(&error)),
    };
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => writeln!(out, "{}", crate::shown::json_of(&status)?)?,
        Format::Table => table(&mut out, &status)?,
    }
    let boundaries = &status.boundaries;
    let all_open = boundaries.intent.open && boundaries.evaluation.open && boundaries.token.open;
    Ok(if all_open { Exit::Done } else { Exit::Unavailable })
}

fn table(out: &mut impl std::io::Write, status: &Status) -> std::io::Result<()> {
    writeln!(out, "{} {} at {}", status.origin, status.version, status.listen)?;
    for (name, boundary) in status.boundaries.named() {
        writeln!(out, "  {name:<11} {}", describe(boundary, status.now_ms))?;
    }
    let counters = &status.counters;
    writeln!(out, "  epoch       {}", status.epoch)?;
    let entries = counted(counters.log_size, "entry", "entries");
    writeln!(out, "  log         {entries}, {} since start", counted(counters.rounds, "round", "rounds"))?;
    unsigned(out, status)?;
    writeln!(out, "  tokens      {} released since start", counters.tokens_released)?;
    writeln!(out, "  signatures  {} verified since start", counters.signatures)?;
    if counters.slow_signatures > 0 {
        writeln!(
            out,
            "  SLOW        {} of them near their deadline: look at the HSM",
            counters.slow_signatures
        )?;
    }
    if let Some(http) = &status.http {
        writeln!(out, "  http        http://{http}")?;
    }
    if let Some(console) = &status.console {
        writeln!(out, "  console     {console}")?;
    }
    witnesses(out, status)?;
    queue(out, status)?;
    break_glass(out, status)?;
    escalations(out, status)?;
    fence(out, status)?;
    key(out, "key", &status.key)?;
    status.next_key.as_ref().map_or(Ok(()), |next| key(out, "next key", next))?;
    writeln!(out, "  bundle      {}", status.bundle)?;
    policy(out, status)
}

/// What waits for a signature, and what was not even written.
fn unsigned(out: &mut impl std::io::Write, status: &Status) -> std::io::Result<()> {
    let (entries, refused) = (status.counters.unsigned_entries, status.counters.refused_unlogged);
    if entries > 0 {
        let entries = counted(entries, "entry", "entries");
        writeln!(out, "  unsigned    {entries}, of at most {}", status.unsigned_max)?;
    }
    if refused > 0 {
        let refused = counted(refused, "intent", "intents");
        writeln!(out, "  REFUSED     {refused} without an entry since start: `round.unsigned_max`")?;
    }
    Ok(())
}

/// How far those are who cosign this log, and the logs that are cosigned here.
fn witnesses(out: &mut impl std::io::Write, status: &Status) -> std::io::Result<()> {
    let at = |time_s: u64| super::utc(Timestamp(time_s.saturating_mul(1000)));
    for witness in &status.witnesses {
        let (name, size) = (visible(&witness.name), witness.size);
        match &witness.error {
            Some(error) if witness.contradicts => writeln!(out, "  CONTRADICTS {name}: {}", visible(error))?,
            Some(error) => {
                let attempts = counted(witness.failures, "attempt", "attempts");
                writeln!(out, "  UNWITNESSED {name}, {attempts}: {}", visible(error))?;
            }
            None if size == 0 => writeln!(out, "  witness     {name} was not asked yet")?,
            None => writeln!(out, "  witness     {name} cosigned {size} leaves at {}", at(witness.time_s))?,
        }
    }
    for log in &status.witnessed {
        let (origin, size) = (visible(&log.origin), log.size);
        match (log.damaged, size) {
            (true, _) => writeln!(
                out,
                "  DAMAGED     the record of {origin}, which is not cosigned: restore `data/witness`"
            )?,
            (false, 0) => writeln!(out, "  witnesses   {origin}, which did not ask yet")?,
            (false, _) => writeln!(out, "  witnesses   {origin} up to {size} leaves at {}", at(log.time_s))?,
        }
    }
    Ok(())
}

/// What waits.
fn queue(out: &mut impl std::io::Write, status: &Status) -> std::io::Result<()> {
    let queue = &status.queue;
    let [low, normal, high, critical] = queue.queued;
    let queued: u64 = queue.queued.iter().sum();
    if queued + queue.awaiting_approval == 0 {
        return writeln!(out, "  queue       empty, of at most {} intents", queue.intents_max);
    }
    writeln!(
        out,
        "  queue       {} ({critical} critical, {high} high, {normal} normal, {low} low), {} approval, of at most {}",
        counted(queued, "intent", "intents"),
        counted(queue.awaiting_approval, "awaits", "await"),
        queue.intents_max
    )?;
    let oldest = [("oldest     ", queue.oldest_ms), ("oldest hold", queue.oldest_hold_ms)];
    oldest.into_iter().try_for_each(|(what, since)| match since {
        Some(since) => writeln!(out, "  {what} waits since {}", super::utc(Timestamp(since))),
        None => Ok(()),
    })
}

/// The warrant that lives, and what is to be reviewed.
fn break_glass(out: &mut impl std::io::Write, status: &Status) -> std::io::Result<()> {
    let stands = &status.break_glass;
    if let Some(warrant) = &stands.warrant {
        let (left, until) =
            (warrant.uses.saturating_sub(warrant.used), super::utc(Timestamp(warrant.not_after_ms)));
        let (leaf, charter) = (warrant.leaf.unwrap_or_default(), visible(&warrant.charter));
        writeln!(
            out,
            "  WARRANT     at leaf {leaf} under `{charter}`: {left} of {} uses left, until {until}",
            warrant.uses
        )?;
    }
    let (open, overdue, charters) = (stands.reviews_open, stands.reviews_overdue, stands.charters);
    match (open, overdue) {
        (0, _) if charters == 0 => Ok(()),
        (0, _) => {
            let charters = counted(charters, "charter", "charters");
            writeln!(out, "  breakglass  {charters} in force, nothing to review")
        }
        (_, 0) => writeln!(
            out,
            "  reviews     {} to be reviewed: `assent breakglass review list`",
            counted(open, "use of a warrant is", "uses of warrants are")
        ),
        (_, _) => writeln!(
            out,
            "  OVERDUE     {overdue} of {}: `assent breakglass review list`",
            counted(open, "review of a use of a warrant", "reviews of uses of warrants")
        ),
    }
}

/// What people are to know, and whether they do.
fn escalations(out: &mut impl std::io::Write, status: &Status) -> std::io::Result<()> {
    let escalations = &status.escalations;
    let mut words = vec![format!("{} open", escalations.open)];
    for sink in &escalations.sinks {
        if let Some(since) = sink.waiting_since_ms {
            let (name, waiting) = (&sink.name, sink.waiting);
            words.push(format!("{waiting} waiting for {name} since {}", super::utc(Timestamp(since))));
        }
    }
    let undeliverable: u64 = escalations.sinks.iter().map(|sink| sink.undeliverable).sum();
    if escalations.sinks.is_empty() {
        writeln!(out, "  escalations {}; nobody is told: no `[[escalation.sink]]`", words.join(", "))?;
    } else {
        writeln!(out, "  escalations {}; {undeliverable} undeliverable", words.join(", "))?;
    }
    for sink in &escalations.sinks {
        match (&sink.gone, &sink.reason) {
            (Some(gone), _) => writeln!(
                out,
                "  GONE        sink {} wants nothing more: {}; mend it, then `assent escalation retry --all`",
                sink.name,
                visible(gone)
            )?,
            (None, Some(reason)) => writeln!(out, "  UNTOLD      sink {}: {}", sink.name, visible(reason))?,
            (None, None) => {}
        }
    }
    if escalations.lost > 0 {
        let lost = counted(escalations.lost, "event", "events");
        writeln!(out, "  LOST        {lost} that nobody will be told of")?;
    }
    match &escalations.not_durable {
        Some(why) => {
            writeln!(out, "  NOT KEPT    the last events, should the appliance end: {}", visible(why))
        }
        None => Ok(()),
    }
}

fn fence(out: &mut impl std::io::Write, status: &Status) -> std::io::Result<()> {
    match &status.fence_in_hsm {
        FenceInHsm::Off | FenceInHsm::Unknown => Ok(()),
        FenceInHsm::Kept { size, at_ms } => {
            let at = super::utc(Timestamp(*at_ms));
            writeln!(out, "  fence       in the HSM too, of {size} entries, written {at}")
        }
        FenceInHsm::Refused { why } => writeln!(out, "  fence       in its file only: {}", visible(why)),
    }
}

fn key(out: &mut impl std::io::Write, name: &str, key: &KeyStatus) -> std::io::Result<()> {
    let (since, word) = (Timestamp(key.since_ms), if name == "key" { "signs" } else { "announced" });
    let id =
        VerifierKey::parse(&key.verifier_key).map_or_else(|_| "?".to_owned(), |key| key.id().to_string());
    writeln!(out, "  {name:<11} {}, {word} since {}, key ID {id}", key.cka_id, super::utc(since))
}

/// What went wrong with policies; `assent policy show` tells the rest.
fn policy(out: &mut impl std::io::Write, status: &Status) -> std::io::Result<()> {
    let policy = &status.policy;
    if let Some(refused) = policy.standing_refusal() {
        let seconds = status.now_ms.saturating_sub(refused.at_ms) / 1000;
        writeln!(
            out,
            "  REFUSED     a bundle {seconds} s ago, from {} by {}",
            visible(&refused.source),
            visible(&refused.by)
        )?;
        writeln!(out, "              {}", visible(&refused.reason))?;
    }
    for failing in &policy.errors {
        let times = counted(failing.count, "time", "times");
        writeln!(out, "  FAILING     policy {}, {times}", visible(&failing.policy))?;
    }
    if policy.late_intents > 0 {
        let late = counted(policy.late_intents, "intent", "intents");
        writeln!(out, "  LATE        {late} behind `policy.deadline`")?;
    }
    if let Some(shadow) = &policy.shadow {
        let compared = counted(shadow.compared, "intent", "intents");
        let differ = counted(shadow.compared - shadow.agreed, "differs", "differ");
        writeln!(out, "  shadow      {compared} compared, {differ}")?;
    }
    Ok(())
}

/// Whether it is open, since when, and what closed it. Appliances of before an upgrade in place do not say since when one is open.
fn describe(boundary: &BoundaryStatus, now_ms: u64) -> String {
    let since = boundary.since_ms.map(|since| {
        let ago = age(since, now_ms);
        format!(" since {}, {ago} ago", super::utc(Timestamp(since)))
    });
    let since = since.unwrap_or_default();
    if boundary.open {
        return format!("open{since}");
    }
    let (cause, message) =
        (boundary.cause.as_deref().unwrap_or("unknown"), boundary.message.as_deref().unwrap_or(""));
    let who = match boundary.class {
        Some(FaultClass::Integrity) => "; opens by operators only: `assent hsm rearm`",
        Some(FaultClass::Availability) | None => "",
    };
    format!("CLOSED{since}, cause `{}`: {}{who}", visible(cause), visible(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: BoundaryStatus =
        BoundaryStatus { open: true, cause: None, class: None, message: None, since_ms: Some(60_000) };

    #[test]
    fn a_boundary_says_since_when_and_for_how_long_it_is_open_or_closed_and_why() {
        assert_eq!(describe(&OPEN, 90_000), "open since 1970-01-01T00:01:00.000Z, 30 s ago");
        assert_eq!(describe(&BoundaryStatus { since_ms: None, ..OPEN }, 90_000), "open");
        let closed = BoundaryStatus {
            open: false,
            cause: Some("pin_incorrect".to_owned()),
            class: Some(FaultClass::Integrity),
            message: Some("the HSM refused \u{202e}the PIN".to_owned()),
            ..OPEN
        };
        assert_eq!(
            describe(&closed, 90_000 + 3_600_000),
            "CLOSED since 1970-01-01T00:01:00.000Z, 60 min ago, cause `pin_incorrect`: the HSM refused \\u{202e}the PIN; \
             opens by operators only: `assent hsm rearm`"
        );
    }
}
