//! The checks: what must hold in every drill, judged from what was observed. The log, the clients and the socket are asked
//! one by one, for none of them need believe another.

use std::time::Duration;

use assent_proto::hash::Hash;

use super::account::{Account, Check, SCHEMA};
use super::catalogue::{Drill, Ends, Fault};
use super::evidence::Evidence;
use super::load::Ask;
use super::rehearsal::Observed;
use super::stage::Venue;
use super::timeline;
use crate::clock::Mark;
use crate::control::Story;
use crate::hsm::FaultClass;
use crate::token::Transition;

/// From the HSM's faulty answer, or the signer's death, to the closed boundary.
pub(super) const CLOSES_WITHIN: Duration = Duration::from_millis(1);
/// What a single one may take on a machine whose other core is busy with the load; the share of those is what `closing`
/// measures.
const ONE_CLOSES_WITHIN: Duration = Duration::from_millis(20);
/// How much later than its deadline a hang closes it at most.
const AFTER_DEADLINE: Duration = Duration::from_millis(5);
/// How long an answer that had left may be on its way to its client on this machine, and be looked at there.
const UNDER_WAY: Duration = Duration::from_millis(200);
/// From the end of the fault to the open boundary.
const REARMS_WITHIN: Duration = Duration::from_secs(1);
/// The longest that an answer may take beyond the deadline of the signature that it waits for: the round after it.
const ANSWERS_WITHIN: Duration = Duration::from_millis(500);

/// Judges a drill.
pub(super) fn judge(drill: &Drill, venue: &Venue, observed: &Observed) -> Account {
    let facts = Facts::of(drill, observed);
    let checks = checks(drill, observed, &facts);
    let asks = &observed.seen.asks;
    Account {
        schema: SCHEMA.to_owned(),
        name: drill.name(),
        hypothesis: drill.row.hypothesis.to_owned(),
        hsm: venue.label(),
        passed: checks.iter().all(|check| check.held),
        tokens_after_fault: facts.tokens_after_fault(),
        closed_after_ms: facts.closed_after.map(millis),
        rearmed_after_ms: facts.rearmed_after.map(millis),
        intents: asks.iter().map(|ask| ask.allowed + ask.unavailable + ask.wrong).sum(),
        allowed: asks.iter().map(|ask| ask.allowed).sum(),
        refused: asks.iter().map(|ask| ask.unavailable).sum(),
        slowest_answer_ms: facts.slowest as f64 / 1000.0,
        checks,
        timeline: timeline::of(observed),
    }
}

/// What is derived from what was observed.
struct Facts {
    closed: Option<Transition>,
    opened: Option<Transition>,
    /// In microseconds.
    closed_after: Option<u64>,
    rearmed_after: Option<u64>,
    by_log: u64,
    by_clients: u64,
    by_socket: u64,
    slowest: u64,
}

impl Facts {
    fn of(drill: &Drill, observed: &Observed) -> Self {
        let story = &observed.story.transitions;
        let starts_closed = matches!(drill.row.fault, Fault::AtStart(_));
        let from = if starts_closed { Mark(0) } else { observed.broken };
        let closed = story.iter().find(|transition| !transition.open && transition.mark_us >= from).cloned();
        let opened = story.iter().rev().find(|transition| transition.open).cloned();
        let opened =
            opened.filter(|opened| closed.as_ref().is_some_and(|closed| opened.mark_us > closed.mark_us));
        let since = fault_answered(drill, observed);
        let closed_after = match (&closed, since) {
            (Some(closed), Some(since)) if !starts_closed => Some(closed.mark_us.0.saturating_sub(since.0)),
            _ => None,
        };
        let free = observed.orders.and_then(|orders| orders.given).or(observed.mended);
        let free = free.into_iter().chain(closed.as_ref().map(|closed| closed.mark_us)).max();
        let rearmed_after =
            opened.as_ref().zip(free).map(|(opened, free)| opened.mark_us.0.saturating_sub(free.0));
        Self {
            by_log: observed.evidence.as_ref().map_or(0, |evidence| evidence.allows_while_closed),
            by_clients: by_clients(&observed.seen.asks, &closed_spans(&observed.story, observed.ended)),
            by_socket: by_socket(&observed.story),
            slowest: observed
                .seen
                .asks
                .iter()
                .map(|ask| ask.answered.0 - ask.sent.0)
                .max()
                .unwrap_or_default(),
            closed,
            opened,
            closed_after,
            rearmed_after,
        }
    }

    fn tokens_after_fault(&self) -> u64 {
        self.by_log.max(self.by_clients).max(self.by_socket)
    }
}

/// When the HSM gave the answer that was wrong, or stopped to give any.
fn fault_answered(drill: &Drill, observed: &Observed) -> Option<Mark> {
    match drill.row.fault {
        Fault::Simulated(_) | Fault::BeforeRestart(_) | Fault::Flap(_) => {
            observed.faults.first_strike(observed.broken)
        }
        Fault::Kill | Fault::Stop | Fault::MoveTokens | Fault::WhileArming(_) => Some(observed.broken),
        Fault::AtStart(_) => None,
    }
}

/// While the boundary was closed, from when to when.
pub(super) fn closed_spans(story: &Story, ended: Mark) -> Vec<(Mark, Mark)> {
    let mut spans = Vec::new();
    let mut closed = None;
    for transition in &story.transitions {
        match (transition.open, closed) {
            (false, None) => closed = Some(transition.mark_us),
            (true, Some(since)) => {
                spans.push((since, transition.mark_us));
                closed = None;
            }
            // A graver cause while it is closed, or the first line of a process that begins closed.
            (false, Some(_)) | (true, None) => {}
        }
    }
    spans.extend(closed.map(|since| (since, ended)));
    spans
}

/// Tokens in answers that came while it was closed: to questions that were asked then, at once; to older ones, once what was on
/// its way when it closed must have come.
pub(super) fn by_clients(asks: &[Ask], closed: &[(Mark, Mark)]) -> u64 {
    let under_way = micros(UNDER_WAY);
    let within = |ask: &&Ask| {
        closed.iter().any(|(from, to)| {
            ask.answered < *to && (ask.sent > *from || ask.answered.0 > from.0.saturating_add(under_way))
        })
    };
    asks.iter().filter(within).map(|ask| ask.allowed).sum()
}

/// Intents that were asked for at this time or later, and allowed.
fn allowed_since(asks: &[Ask], since: Mark) -> u64 {
    asks.iter().filter(|ask| ask.sent >= since).map(|ask| ask.allowed).sum()
}

/// Tokens in replies that left the socket at a time at which their epoch was not open.
pub(super) fn by_socket(story: &Story) -> u64 {
    let misplaced = story.released.iter().filter(|released| {
        let opened = story.transitions.iter().find(|line| line.open && line.epoch == released.epoch);
        let closed = story.transitions.iter().find(|line| !line.open && line.epoch > released.epoch);
        opened.is_none_or(|opened| released.first_us < opened.mark_us)
            || closed.is_some_and(|closed| released.last_us > closed.mark_us)
    });
    misplaced.map(|released| released.tokens).sum()
}

fn checks(drill: &Drill, observed: &Observed, facts: &Facts) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut check = |what: &str, held: bool, seen: String| {
        checks.push(Check { what: what.to_owned(), held, seen });
    };
    let tokens = (facts.by_log, facts.by_clients, facts.by_socket);
    check(
        "no token between fault and re-arm",
        tokens == (0, 0, 0),
        format!("log {}, clients {}, socket {}", tokens.0, tokens.1, tokens.2),
    );
    if let Some(evidence) = &observed.evidence {
        logged(evidence, &observed.seen.tokens, &mut check);
    }
    let wrong: u64 = observed.seen.asks.iter().map(|ask| ask.wrong).sum();
    check(
        "every intent is allowed or hears TOKEN_UNAVAILABLE",
        wrong == 0 || is_about_the_restart(drill),
        observed.seen.wrong.first().cloned().unwrap_or_else(|| "nothing else".to_owned()),
    );
    check(
        "every intent is answered within its deadline",
        facts.slowest <= micros(observed.deadline + ANSWERS_WITHIN) || is_about_the_restart(drill),
        format!("the slowest took {:.1} ms", millis(facts.slowest)),
    );
    let (before, after) = &observed.repeated;
    check("a repeated batch gets the recorded answer", before == after, format!("{} bytes", after.len()));
    closing(drill, observed, facts, &mut check);
    check("the boundary is open at the end", observed.is_open, String::new());
    checks
}

/// What the log must say.
fn logged(evidence: &Evidence, tokens: &[(u64, Hash)], check: &mut impl FnMut(&str, bool, String)) {
    let (report, strangers) = (&evidence.report, evidence.strangers(tokens));
    let seen = format!("{} tokens, {strangers} of them strangers", tokens.len());
    check("every token is in the log at its index, once", strangers == 0, seen);
    let finding = report.findings.first().map(|finding| finding.what.clone());
    let seen = finding.unwrap_or_else(|| format!("{} entries", report.entries));
    check("the log verifies", report.verified(), seen);
    check("the drill is marked in the log", evidence.drills() == 2, format!("{} marks", evidence.drills()));
}

/// Whoever asks while the appliance itself is dead hears nothing for a while, and asks again.
const fn is_about_the_restart(drill: &Drill) -> bool {
    matches!(drill.row.fault, Fault::BeforeRestart(_))
}

fn closing(drill: &Drill, observed: &Observed, facts: &Facts, check: &mut impl FnMut(&str, bool, String)) {
    if drill.row.ends == Ends::NeverClosed {
        let closed = facts.closed.as_ref().and_then(|closed| closed.cause.clone());
        check("the boundary stays open", closed.is_none(), closed.unwrap_or_default());
        let warned = observed.slow_signatures;
        check("operators are warned", warned > 0, format!("{warned} slow signatures"));
        let allowed = allowed_since(&observed.seen.asks, Mark(0));
        let refused: u64 = observed.seen.asks.iter().map(|ask| ask.unavailable).sum();
        let seen = format!("{allowed} allowed, {refused} refused");
        check("intents are allowed all the while, and none is refused", allowed > 0 && refused == 0, seen);
        return;
    }
    let cause = facts.closed.as_ref().and_then(|closed| closed.cause.clone()).unwrap_or_default();
    if let Some(bound) = closing_bound(drill, observed) {
        let held = facts.closed_after.is_some_and(|after| after <= micros(bound));
        let seen = match facts.closed_after {
            Some(after) => format!("{:.3} ms, for {cause}", millis(after)),
            None => "the moment of the fault is not known".to_owned(),
        };
        check(&format!("closed within {} ms", bound.as_millis()), held, seen);
    }
    let refused = observed.seen.asks.iter().any(|ask| ask.unavailable > 0);
    check("intents of the outage are refused", refused, String::new());
    rearming(drill, observed, facts, check);
}

fn rearming(drill: &Drill, observed: &Observed, facts: &Facts, check: &mut impl FnMut(&str, bool, String)) {
    let rearmed = facts.rearmed_after.filter(|_| facts.opened.is_some());
    let in_time = rearmed.is_some_and(|after| after <= micros(REARMS_WITHIN));
    let shown =
        rearmed.map_or_else(|| "it does not open".to_owned(), |after| format!("{:.1} ms", millis(after)));
    let grave =
        observed.story.transitions.iter().any(|transition| transition.class == Some(FaultClass::Integrity));
    match observed.orders {
        None => {
            check("open again by itself within 1 s of the fault's end", in_time, shown);
            check("nothing was found that is the operators'", !grave, String::new());
        }
        Some(orders) => {
            check(
                "it stays closed until operators have signed",
                orders.stayed_closed && grave,
                String::new(),
            );
            check("one operator is not two", orders.one_was_refused, String::new());
            check("open within 1 s of the order of two", orders.given.is_some() && in_time, shown);
        }
    }
    let opened = facts.opened.as_ref().map(|opened| opened.mark_us);
    let allowed = opened.map_or(0, |opened| allowed_since(&observed.seen.asks, opened));
    check("what is asked from then on is allowed", allowed > 0, format!("{allowed} allowed"));
    // A slot that says that its PIN is locked is not even asked. Of the others the next signer's login is met, after the kill: a refused
    // one is not tried again, and after one that crashed or hung the fault is over.
    if let Fault::WhileArming(line) = drill.row.fault
        && line.contains("C_Login")
    {
        let struck = observed.faults.strikes(observed.broken);
        check("it meets one login, and no more", struck == Some(1), format!("{struck:?} times `{line}`"));
    }
}

/// How long it may take until the boundary is closed, counted from [`fault_answered`].
fn closing_bound(drill: &Drill, observed: &Observed) -> Option<Duration> {
    let (deadline, heartbeat) = (observed.deadline, observed.heartbeat);
    match drill.row.fault {
        Fault::AtStart(_) => None,
        // Nobody knows that it is stopped before the next question; an idle one is asked with every heartbeat.
        Fault::Stop => Some(heartbeat + deadline + AFTER_DEADLINE),
        Fault::MoveTokens => Some(heartbeat + ONE_CLOSES_WITHIN),
        Fault::Simulated(line) if line.starts_with("hang") || line.starts_with("slow") => {
            Some(deadline + AFTER_DEADLINE)
        }
        Fault::Simulated(_)
        | Fault::BeforeRestart(_)
        | Fault::Flap(_)
        | Fault::Kill
        | Fault::WhileArming(_) => Some(ONE_CLOSES_WITHIN),
    }
}

pub(super) fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::record::Released;

    fn line(epoch: u64, open: bool, at: u64) -> Transition {
        let cause = (!open).then(|| "device_removed".to_owned());
        Transition { epoch, open, cause, class: None, at_ms: 0, mark_us: Mark(at) }
    }

    fn left(epoch: u64, first: u64, last: u64) -> Released {
        Released { epoch, tokens: 5, replies: 2, first_us: Mark(first), last_us: Mark(last) }
    }

    /// Open from 10 to 20 and from 30 on.
    fn story(released: Vec<Released>) -> Story {
        let transitions = vec![line(1, false, 0), line(1, true, 10), line(2, false, 20), line(2, true, 30)];
        Story { transitions, released }
    }

    #[test]
    fn a_token_that_left_while_the_boundary_was_closed_is_seen_in_the_sockets_record() {
        assert_eq!(by_socket(&story(vec![left(1, 10, 20), left(2, 30, 99)])), 0);
        assert_eq!(by_socket(&story(vec![left(1, 9, 20)])), 5, "before it opened");
        assert_eq!(by_socket(&story(vec![left(1, 10, 21)])), 5, "after it closed");
        assert_eq!(by_socket(&story(vec![left(2, 29, 40)])), 5, "before it opened again");
        assert_eq!(by_socket(&story(vec![left(7, 30, 40)])), 5, "in an epoch that never was");
    }

    #[test]
    fn a_token_that_was_asked_for_and_came_while_it_was_closed_is_seen_by_the_clients() {
        let closed = closed_spans(&story(Vec::new()), Mark(100));
        assert_eq!(closed, [(Mark(0), Mark(10)), (Mark(20), Mark(30))]);
        let ask = |sent, answered| Ask {
            sent: Mark(sent),
            answered: Mark(answered),
            allowed: 3,
            unavailable: 0,
            wrong: 0,
        };
        assert_eq!(by_clients(&[ask(12, 19), ask(19, 22), ask(29, 31)], &closed), 0);
        assert_eq!(by_clients(&[ask(21, 29)], &closed), 3);
        let asks = [ask(12, 19), ask(29, 31), ask(30, 33), ask(31, 34)];
        assert_eq!(allowed_since(&asks, Mark(30)), 6, "what was asked before it opened says nothing of that");
        let (late, last) = ([(Mark(20), Mark(900_000))], 20 + micros(UNDER_WAY));
        assert_eq!(by_clients(&[ask(12, last)], &late), 0, "it had left");
        assert_eq!(by_clients(&[ask(12, last + 1)], &late), 3, "too late to have been on its way");
        let mut cut = story(Vec::new());
        cut.transitions.pop();
        assert_eq!(closed_spans(&cut, Mark(100)).last(), Some(&(Mark(20), Mark(100))), "closed to the end");
    }
}
