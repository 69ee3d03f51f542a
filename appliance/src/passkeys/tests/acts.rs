//! Acts: a fresh assertion over what is shown, and for nothing else.

use super::*;
use crate::limits::{CEREMONY_DEADLINE, MAX_PENDING_ACTS};
use crate::operators::Quorum;

const STATEMENT: &str = "assent/approval/v1\norigin localhost/test/log/1\nhold 7\nanswer approve\n";
const OTHER: &str = "assent/approval/v1\norigin localhost/test/log/1\nhold 8\nanswer approve\n";

#[test]
fn what_an_operator_signs_is_an_ssh_signature_of_their_key_over_that_statement() {
    let console = Console::open();
    let (mut authenticator, cookie) = console.present("alice");
    let Options(options) =
        console.passkeys.begin_act(&cookie, Act::AnswerHold, STATEMENT, console.now()).unwrap();
    assert_eq!(options["publicKey"]["userVerification"], "required");
    assert_eq!(options["publicKey"]["allowCredentials"].as_array().unwrap().len(), 1);
    let leaves = console.acts().len();
    let Assented { by, key, signature } =
        console.sign((&mut authenticator, &cookie), Act::AnswerHold, STATEMENT).unwrap();
    let line = console.passkeys.list()[0].keys[0].line.clone();
    assert_eq!((by.as_str(), format!("{key} alice")), ("alice", line.clone()));
    let quorum = Quorum::of_lines([line.as_str()], 1).unwrap();
    assert_eq!(quorum.verify_one("assent-approval@v1", STATEMENT.as_bytes(), &signature), Ok(0));
    assert!(quorum.verify_one("assent-approval@v1", OTHER.as_bytes(), &signature).is_err());
    // The approval's own entry holds the signature, so there is no second leaf of it.
    assert_eq!(console.acts().len(), leaves);
}

#[test]
fn an_act_without_an_entry_of_its_own_is_a_leaf_with_its_signature() {
    let console = Console::open();
    let (mut authenticator, cookie) = console.present("alice");
    let about = [("ticket", "00ff"), ("reason", "not needed any more")];
    let statement = console.passkeys.statement(Act::CancelTicket, &about).unwrap();
    let head = "assent/console/v1\norigin localhost/test/log/1\nact cancel-ticket\nticket 00ff\nreason not needed any more\nnonce ";
    assert!(statement.starts_with(head), "{statement}");
    assert_ne!(statement, console.passkeys.statement(Act::CancelTicket, &about).unwrap());
    let signed = console.sign((&mut authenticator, &cookie), Act::CancelTicket, &statement).unwrap();
    assert_eq!(console.acts().last(), Some(&("cancel-ticket", "alice".to_owned(), 1)));
    let line = format!("{} alice", signed.key);
    let quorum = Quorum::of_lines([line.as_str()], 1).unwrap();
    assert!(quorum.verify_one(NAMESPACE, statement.as_bytes(), &signed.signature).is_ok());
    for (act, text) in [(Act::AnswerHold, "fine"), (Act::Look, "fine"), (Act::Drill, "two\nlines")] {
        assert!(console.passkeys.statement(act, &[("about", text)]).is_err(), "{act:?} {text}");
    }
}

#[test]
fn one_showing_gives_one_signature_over_the_statement_that_was_shown() {
    let console = Console::open();
    let (mut authenticator, cookie) = console.present("alice");
    let begin = |statement| console.passkeys.begin_act(&cookie, Act::AnswerHold, statement, console.now());
    let finish = |statement: &str, response: &str| {
        console.passkeys.finish_act(&cookie, Act::AnswerHold, statement, response, console.now())
    };
    let Options(options) = begin(STATEMENT).unwrap();
    let response = authenticator.get(&options).to_string();
    assert_eq!(refused(finish(OTHER, &response)), "not_begun");
    begin(OTHER).unwrap();
    assert_eq!(refused(finish(OTHER, &response)), "answer", "another statement is another challenge");
    assert!(finish(STATEMENT, &response).is_ok());
    assert_eq!(refused(finish(STATEMENT, &response)), "not_begun");
    // Shown again, an old answer is one of an authenticator that counts less than it did.
    begin(STATEMENT).unwrap();
    assert_eq!(refused(finish(STATEMENT, &response)), "counter");
    let Options(options) = begin(STATEMENT).unwrap();
    console.pass(CEREMONY_DEADLINE);
    assert_eq!(refused(finish(STATEMENT, &authenticator.get(&options).to_string())), "not_begun");
    begin(STATEMENT).unwrap();
    assert_eq!(refused(finish(STATEMENT, "{}")), "answer");
}

#[test]
fn a_signature_for_one_act_is_of_no_use_for_another() {
    let console = Console::open();
    let (mut authenticator, cookie) = console.present("alice");
    let begin = |act| console.passkeys.begin_act(&cookie, act, STATEMENT, console.now()).unwrap();
    let Options(options) = begin(Act::Review);
    let response = authenticator.get(&options).to_string();
    let finish = |act| console.passkeys.finish_act(&cookie, act, STATEMENT, &response, console.now());
    assert_eq!(refused(finish(Act::AnswerHold)), "not_begun");
    begin(Act::AnswerHold);
    assert_eq!(refused(finish(Act::AnswerHold)), "answer");
    assert!(finish(Act::Review).is_ok());
}

#[test]
fn an_act_is_refused_for_each_thing_that_is_wrong_with_it() {
    type Lie = fn(&mut Authenticator);
    let lies: [(Lie, &str); 7] = [
        (|it| it.origin = "https://console.example.com:7745".to_owned(), "answer"),
        (|it| it.relying_party = Some("example.org".to_owned()), "answer"),
        (|it| it.flags = PRESENT, "answer"),
        (|it| it.flags |= 0x80, "answer"),
        (|it| it.client_data_rest = ",\"crossOrigin\":true}", "answer"),
        (|it| it.counter = 0, "counter"),
        (|it| it.id.push(1), "key"),
    ];
    for (number, (lie, kind)) in lies.into_iter().enumerate() {
        let console = Console::open();
        let (mut authenticator, cookie) = console.present("alice");
        lie(&mut authenticator);
        let signed = console.sign((&mut authenticator, &cookie), Act::AnswerHold, STATEMENT);
        assert_eq!(refused(signed), kind, "lie {number}");
    }
}

#[test]
fn a_session_alone_signs_nothing_and_a_role_bounds_what_is_signed() {
    let console = Console::open();
    let (mut alice, cookie) = console.present("alice");
    let (mut bob, _) = console.present("bob");
    let (mut vera, viewing) = console.present("vera");
    // Whoever stole a session has a key of their own at best.
    assert_eq!(refused(console.sign((&mut bob, &cookie), Act::AnswerHold, STATEMENT)), "key");
    for act in Act::ALL.into_iter().filter(|act| *act != Act::Look) {
        assert_eq!(refused(console.sign((&mut vera, &viewing), act, STATEMENT)), "role", "{act:?}");
        assert!(console.sign((&mut alice, &cookie), act, STATEMENT).is_ok(), "{act:?}");
    }
    assert_eq!(refused(console.sign((&mut alice, &cookie), Act::Look, STATEMENT)), "unsigned");
    assert_eq!(refused(console.sign((&mut alice, "nonsense"), Act::AnswerHold, STATEMENT)), "no_session");
    for number in 0..MAX_PENDING_ACTS {
        let statement = format!("statement {number}\n");
        console.passkeys.begin_act(&cookie, Act::AnswerHold, &statement, console.now()).unwrap();
    }
    let more = console.passkeys.begin_act(&cookie, Act::AnswerHold, STATEMENT, console.now());
    assert_eq!(refused(more), "too_many");
}

#[test]
fn a_passkey_that_is_revoked_between_showing_and_answer_signs_nothing() {
    let console = Console::open();
    let (mut first, _) = console.present("alice");
    let (_, cookie) = console.present("alice");
    let fingerprint = console.passkeys.list()[0].keys[0].fingerprint.clone();
    let Options(options) =
        console.passkeys.begin_act(&cookie, Act::AnswerHold, STATEMENT, console.now()).unwrap();
    let response = first.get(&options).to_string();
    console.passkeys.revoke(&fingerprint, "root", console.now()).unwrap();
    let signed = console.passkeys.finish_act(&cookie, Act::AnswerHold, STATEMENT, &response, console.now());
    assert_eq!(refused(signed), "key");
}

#[test]
fn what_cannot_be_written_is_not_signed() {
    let console = Console::open();
    let (mut authenticator, cookie) = console.present("alice");
    console.passkeys.register().lose(Path::new("/nonexistent/passkeys.redb"));
    assert_eq!(refused(console.sign((&mut authenticator, &cookie), Act::AnswerHold, STATEMENT)), "store");
}
