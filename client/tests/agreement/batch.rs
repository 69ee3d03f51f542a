//! Answers: outcomes in order, tokens that verify, and no outcome at all from an answer that was altered.

use assent_client::proto::entry::Grounds;
use assent_client::proto::limits::MAX_TICKET_INTENTS;
use assent_client::proto::refusal::Retry;
use assent_client::proto::wire::{Verdict, Waiting, append_refused};
use assent_client::{
    Batch, BatchError, BatchId, Guard, Intent, Outcome, Priority, Refusal, ReplyError, Spent, TicketId,
    Timestamp, token,
};

use crate::appliance::{AUDIENCE, Appliance, NOON, WINDOW_S, allow_once, batch_of, cancel, deny};

const WAITING: Waiting = Waiting { wait_s: 900, priority: Priority::High };

fn orders(count: usize) -> Vec<Intent> {
    (0..count).map(|number| cancel(&format!("#W{number}"))).collect()
}

#[test]
fn every_token_of_a_batch_verifies_wherever_it_lies_in_the_log() {
    for (before, count) in [(0, 1), (1, 1), (7, 13), (1000, 64), (1023, 257), (4096, 1024)] {
        let mut appliance = Appliance::with_log_of(before);
        let intents = orders(count);
        let outcomes = appliance.ask(&intents, allow_once);
        assert_eq!((outcomes.len(), outcomes.tokens().count()), (count, count));
        let guard = Guard::with_spent(appliance.trust(), AUDIENCE, Spent::in_memory(Timestamp(0)));
        for (position, token) in outcomes.tokens() {
            let admitted = guard.admit(token.bytes(), &intents[position], NOON).unwrap();
            assert_eq!(admitted.index().0, (before + position) as u64);
            assert_eq!(admitted.index(), token.index());
            assert_eq!(admitted.claims().not_after, token.not_after());
        }
    }
}

#[test]
fn outcomes_keep_their_order_and_their_kind() {
    let kinds = [
        ("#allow", Verdict::Allow { window_s: WINDOW_S, uses: 2, grounds: Grounds::Policy }, "allowed"),
        ("#deny", Verdict::Deny(Refusal::PolicyDenied), "denied"),
        (
            "#hold",
            Verdict::Hold { refusal: Refusal::AwaitingApproval, waiting: Some(WAITING) },
            "awaiting_approval",
        ),
        ("#queue", Verdict::Hold { refusal: Refusal::Queued, waiting: Some(WAITING) }, "queued"),
        ("#ask", Verdict::Hold { refusal: Refusal::ApprovalRequired, waiting: None }, "held"),
        ("#late", Verdict::Deny(Refusal::Expired), "expired"),
        ("#gone", Verdict::Deny(Refusal::Cancelled), "cancelled"),
        ("#down", Verdict::Deny(Refusal::EvaluationUnavailable), "unavailable"),
        ("#wrong", Verdict::Deny(Refusal::IntentInvalid), "invalid"),
        ("#allow2", Verdict::Allow { window_s: 60, uses: 1, grounds: Grounds::Policy }, "allowed"),
    ];
    let intents: Vec<_> = kinds.iter().map(|(order, ..)| cancel(order)).collect();
    let mut appliance = Appliance::with_log_of(5);
    let outcomes = appliance
        .ask(&intents, |intent| kinds.iter().find(|(order, ..)| *order == intent.act.resource.id).unwrap().1);
    let found: Vec<_> = outcomes.iter().map(|outcome| outcome.kind()).collect();
    assert_eq!(found, kinds.map(|(_, _, kind)| kind));
    let denied = outcomes.at(1).unwrap();
    assert_eq!(denied.to_string(), "denied: POLICY_DENIED by `forbid-large`");
    assert_eq!(denied.reason().map(|reason| reason.risk), Some(12));
    assert_eq!(outcomes.at(9).unwrap().token().map(|token| token.not_after()), Some(NOON.plus_ms(60_000)));
    assert_eq!(outcomes.at(10), None);
}

#[test]
fn what_waits_together_has_one_ticket_up_to_its_limit_and_a_hold_has_its_own() {
    let intents = orders(MAX_TICKET_INTENTS + 44);
    let mut appliance = Appliance::with_log_of(5);
    let outcomes = appliance.ask(&intents, |intent| match intent.act.resource.id {
        "#W3" | "#W7" => Verdict::Hold { refusal: Refusal::AwaitingApproval, waiting: Some(WAITING) },
        "#W5" => Verdict::Deny(Refusal::PolicyDenied),
        _ => Verdict::Hold { refusal: Refusal::Queued, waiting: Some(WAITING) },
    });
    let tickets = outcomes.tickets();
    let lengths: Vec<_> = tickets.iter().map(|ticket| ticket.positions().len()).collect();
    assert_eq!(lengths, [MAX_TICKET_INTENTS, 1, 1, 41]);
    let (until, id) = (NOON.plus_ms(900_000), batch_of(&intents).id());
    for ticket in &tickets {
        let first = u32::try_from(ticket.positions()[0]).unwrap();
        assert_eq!(ticket.id(), TicketId::new(id, first, until));
        assert_eq!((ticket.until(), ticket.batch().len()), (until, ticket.positions().len()));
        for position in ticket.positions() {
            assert_eq!(outcomes.at(*position).unwrap().waits().map(|waits| waits.ticket), Some(ticket.id()));
        }
    }
    assert_eq!(outcomes.at(5).unwrap().waits(), None);
    // What is decided in the end is a batch of its own, whose tokens the ticket's batch opens.
    let last = tickets[3].batch().clone();
    let reply = appliance.answer(last.frame(), allow_once);
    let decided = last.open(&reply, Some(&appliance.trust()), NOON).unwrap();
    assert!(decided.all_allowed());
    assert_eq!(decided.digest(0), outcomes.digest(tickets[3].positions()[0]));
}

#[test]
fn only_a_denial_by_policy_is_a_denial() {
    for refusal in Refusal::ALL {
        let outcomes = Appliance::with_log_of(0).ask(&orders(1), |_| Verdict::Deny(*refusal));
        let outcome = outcomes.at(0).unwrap();
        let expected = match refusal.retry() {
            Retry::Later => matches!(outcome, Outcome::Unavailable(_)),
            Retry::AfterOthers => matches!(outcome, Outcome::Held(_)),
            Retry::Never if matches!(refusal, Refusal::PolicyDenied | Refusal::ApprovalRejected) => {
                matches!(outcome, Outcome::Denied(_))
            }
            Retry::Never if *refusal == Refusal::Expired => matches!(outcome, Outcome::Expired(_)),
            Retry::Never if *refusal == Refusal::Cancelled => matches!(outcome, Outcome::Cancelled(_)),
            Retry::Never => matches!(outcome, Outcome::Invalid(_)),
        };
        assert!(expected, "{outcome}");
    }
}

#[test]
fn every_altered_byte_of_a_reply_spoils_it() {
    let mut appliance = Appliance::with_log_of(77);
    let batch = batch_of(&orders(3));
    let reply = appliance.answer(batch.frame(), allow_once);
    let trust = appliance.trust();
    assert!(batch.clone().open(&reply, Some(&trust), NOON).is_ok());
    for position in 0..reply.len() {
        for bit in [0x01, 0x80] {
            let mut altered = reply.clone();
            altered[position] ^= bit;
            let opened = batch.clone().open(&altered, Some(&trust), NOON);
            assert!(opened.is_err(), "byte {position} ^ {bit:#x}: {opened:?}");
        }
    }
    for length in 0..reply.len() {
        assert!(batch.clone().open(&reply[..length], Some(&trust), NOON).is_err());
    }
}

#[test]
fn answer_to_other_intents_is_refused() {
    let mut appliance = Appliance::with_log_of(9);
    let reply = appliance.answer(batch_of(&orders(2)).frame(), allow_once);
    let trust = appliance.trust();
    let others = [cancel("#W0"), cancel("#W1").with("amount", 999_999)];
    assert_eq!(batch_of(&others).open(&reply, Some(&trust), NOON).unwrap_err(), ReplyError::Signature);
    let more = batch_of(&orders(3)).open(&reply, Some(&trust), NOON).unwrap_err();
    assert_eq!(more, ReplyError::Count { asked: 3, answered: 2 });
}

#[test]
fn key_outside_its_dates_or_of_nobody_is_refused() {
    let mut appliance = Appliance::with_log_of(9);
    let batch = batch_of(&orders(2));
    let reply = appliance.answer(batch.frame(), allow_once);
    for trust in [
        appliance.trust_between(Timestamp(0), NOON.minus_ms(1)),
        appliance.trust_between(NOON.plus_ms(1), Timestamp(u64::MAX)),
    ] {
        let refused = batch.clone().open(&reply, Some(&trust), NOON).unwrap_err();
        assert!(matches!(refused, ReplyError::UntrustedKey(_)));
    }
}

#[test]
fn closed_boundary_gives_denials_but_no_leave() {
    let mut appliance = Appliance::with_log_of(9);
    appliance.boundary_open = false;
    let outcomes = appliance.ask(&orders(2), deny);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Denied(_))));

    let batch = batch_of(&orders(2));
    let reply = appliance.answer(batch.frame(), allow_once);
    assert_eq!(batch.open(&reply, None, NOON).unwrap_err(), ReplyError::Unsealed);
}

#[test]
fn refused_frame_is_told_as_such() {
    let mut reply = Vec::new();
    append_refused(Refusal::ShuttingDown, &mut reply);
    let refused = batch_of(&orders(1)).open(&reply, None, NOON).unwrap_err();
    assert_eq!(refused, ReplyError::Refused(Refusal::ShuttingDown));
}

#[test]
fn batch_has_one_intent_at_least_and_says_which_is_wrong() {
    let id = BatchId::new(NOON, [0; 10]);
    assert_eq!(Batch::new(id, &[]).unwrap_err(), BatchError::Count { intents: 0 });
    let wrong = [cancel("#W1"), cancel(&"x".repeat(2000))];
    assert!(matches!(Batch::new(id, &wrong), Err(BatchError::Intent { position: 1, .. })));
    let large = vec![cancel("#W1").with("text", "x".repeat(60_000)); 150];
    assert!(matches!(Batch::new(id, &large), Err(BatchError::TooLarge { .. })));
}

#[test]
fn text_form_of_a_token_reads_back() {
    let outcomes = Appliance::with_log_of(3).ask(&orders(1), allow_once);
    let token = outcomes.at(0).unwrap().token().unwrap();
    assert!(token.to_string().starts_with("assent1."));
    assert_eq!(token::parse_text(&token.to_string()).as_deref(), Ok(token.bytes()));
    assert!(token::parse_text("assent2.AA").is_err());
}
