//! Links and enrolment: who gets in, once.

use super::*;
use crate::limits::{CEREMONY_DEADLINE, MAX_PASSKEYS_PER_OPERATOR};

#[test]
fn a_link_enrols_one_passkey_and_is_spent() {
    let console = Console::open();
    let token = console.link("alice");
    assert_eq!(console.passkeys.invited(&token, console.now()).unwrap(), "alice");
    let mut first = Authenticator::new(ORIGIN);
    let view = console.enrol_with(&mut first, &token).unwrap();
    let expected = OperatorKey::of_passkey(first.point(), "console.example.org", "alice").unwrap();
    assert_eq!(
        (&view.line, &view.fingerprint),
        (&format!("{} alice", expected.line()), &expected.fingerprint())
    );
    let listed = OperatorKey::parse(&view.line).unwrap();
    assert_eq!(
        (listed.name(), listed.line()),
        ("alice", expected.line()),
        "a list takes it as it is printed"
    );
    let mut second = Authenticator::new(ORIGIN);
    assert_eq!(refused(console.enrol_with(&mut second, &token)), "link");
    assert_eq!(refused(console.passkeys.begin_enrolment("nonsense", console.now())), "link");
    let listed = console.passkeys.list();
    let keys: Vec<_> = listed.iter().map(|operator| (operator.name.as_str(), operator.keys.len())).collect();
    assert_eq!(keys, [("alice", 1), ("bob", 0), ("vera", 0)]);
    let by = |act, by: &str| (act, by.to_owned(), 0);
    assert_eq!(console.acts(), [by("operator-invite", "root (uid 0)"), by("operator-enrol", "alice")]);
}

#[test]
fn a_browser_is_asked_for_es256_with_verification_and_for_no_other_key() {
    let console = Console::open();
    let Options(options) = console.passkeys.begin_enrolment(&console.link("alice"), console.now()).unwrap();
    let asked = &options["publicKey"];
    assert_eq!(asked["pubKeyCredParams"], serde_json::json!([{"type": "public-key", "alg": -7}]));
    assert_eq!(asked["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(
        (&asked["rp"]["id"], &asked["user"]["name"]),
        (&"console.example.org".into(), &"alice".into())
    );
    console.enrol("alice");
    let Options(again) = console.passkeys.begin_enrolment(&console.link("alice"), console.now()).unwrap();
    assert_eq!(again["publicKey"]["excludeCredentials"].as_array().unwrap().len(), 1);
    assert_eq!(again["publicKey"]["user"]["id"], asked["user"]["id"], "one account, whatever is enrolled");
}

#[test]
fn a_link_ends_with_its_time_with_the_next_one_and_with_the_process() {
    let console = Console::open();
    let token = console.link("alice");
    console.pass(Duration::from_secs(15 * 60));
    assert_eq!(refused(console.enrol_with(&mut Authenticator::new(ORIGIN), &token)), "link");
    let (before, token) = (console.link("alice"), console.link("alice"));
    assert_eq!(refused(console.passkeys.invited(&before, console.now())), "link");
    assert!(console.passkeys.invited(&token, console.now()).is_ok());
    let console = console.restarted(&["alice"]);
    assert_eq!(refused(console.passkeys.invited(&token, console.now())), "link");
}

#[test]
fn an_answer_serves_for_the_question_that_was_asked_last() {
    let console = Console::open();
    let token = console.link("alice");
    let mut authenticator = Authenticator::new(ORIGIN);
    let finish = |response: &str| console.passkeys.finish_enrolment(&token, response, console.now());
    assert_eq!(refused(finish("{}")), "not_begun");
    let Options(first) = console.passkeys.begin_enrolment(&token, console.now()).unwrap();
    let stale = authenticator.create(&first).to_string();
    console.passkeys.begin_enrolment(&token, console.now()).unwrap();
    assert_eq!(refused(finish(&stale)), "answer");
    assert_eq!(refused(finish(&stale)), "not_begun", "a question is answered once, however");
    let Options(slow) = console.passkeys.begin_enrolment(&token, console.now()).unwrap();
    console.pass(CEREMONY_DEADLINE);
    assert_eq!(refused(finish(&authenticator.create(&slow).to_string())), "not_begun");
    assert!(console.enrol_with(&mut authenticator, &token).is_ok(), "the link outlives a failed try");
}

#[test]
fn what_a_hostile_page_or_a_careless_key_brings_is_not_enrolled() {
    type Lie = fn(&mut Authenticator);
    let lies: [Lie; 5] = [
        |it| it.origin = "https://console.example.com:7745".to_owned(),
        |it| it.origin = "https://console.example.org".to_owned(),
        |it| it.relying_party = Some("example.org".to_owned()),
        |it| it.flags = PRESENT,
        |it| it.flags = 0x04,
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let console = Console::open();
        let mut authenticator = Authenticator::new(ORIGIN);
        lie(&mut authenticator);
        assert_eq!(
            refused(console.enrol_with(&mut authenticator, &console.link("alice"))),
            "answer",
            "{number}"
        );
        assert!(console.passkeys.list().iter().all(|operator| operator.keys.is_empty()), "{number}");
    }
    let console = Console::open();
    let token = console.link("alice");
    for nonsense in ["", "{}", "null", &"x".repeat(100_000)] {
        console.passkeys.begin_enrolment(&token, console.now()).unwrap();
        assert_eq!(refused(console.passkeys.finish_enrolment(&token, nonsense, console.now())), "answer");
    }
}

#[test]
fn nobody_is_invited_whom_the_configuration_does_not_name_and_no_key_twice() {
    let console = Console::open();
    let invite = |name: &str| console.passkeys.invite(name, Duration::from_secs(60), "root", console.now());
    assert_eq!(refused(invite("mallory")), "unknown_operator");
    assert!(invite("a\nb").unwrap_err().to_string().contains("`a\\nb`"));
    let mut authenticator = console.enrol("alice");
    assert_eq!(refused(console.enrol_with(&mut authenticator, &console.link("bob"))), "known_key");
    for _ in 1..MAX_PASSKEYS_PER_OPERATOR {
        console.enrol("alice");
    }
    assert_eq!(refused(console.enrol_with(&mut Authenticator::new(ORIGIN), &console.link("alice"))), "full");
}

#[test]
fn what_cannot_be_written_is_not_enrolled() {
    let console = Console::open();
    console.passkeys.register().lose(Path::new("/nonexistent/passkeys.redb"));
    let token = console.link("alice");
    assert_eq!(refused(console.enrol_with(&mut Authenticator::new(ORIGIN), &token)), "store");
    assert!(console.passkeys.list().iter().all(|operator| operator.keys.is_empty()));
}

#[test]
fn orders_of_the_control_socket_invite_list_and_revoke() {
    let console = Console::open();
    let order = |order| console.passkeys.carry_out(order, "root (uid 0)", console.now());
    let invited = order(OperatorOrder::Invite { name: "alice".to_owned(), valid_s: 1 });
    let OperatorAnswer::Invited { link, until_ms, .. } = invited else { panic!("{invited:?}") };
    assert!(link.starts_with(ORIGIN) && until_ms == console.now().0 + 60_000, "at least a minute: {link}");
    let refused = order(OperatorOrder::Revoke { who: "alice".to_owned() });
    assert!(matches!(refused, OperatorAnswer::Refused(_)), "{refused:?}");
    console.enrol("alice");
    let revoked = order(OperatorOrder::Revoke { who: "alice".to_owned() });
    assert!(matches!(&revoked, OperatorAnswer::Revoked { keys } if keys.len() == 1), "{revoked:?}");
    let OperatorAnswer::Listed(operators) = order(OperatorOrder::List) else { panic!("a list") };
    assert!(operators[0].keys[0].revoked_ms.is_some());
}
