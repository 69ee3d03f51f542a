//! Logins and sessions: who is let in, and for how long.

use super::*;
use crate::limits::{MAX_PENDING_LOGINS, MAX_SESSIONS_PER_OPERATOR, SESSION_IDLE, SESSION_LIFETIME};

#[test]
fn an_operator_logs_in_by_name_or_without_and_is_who_the_configuration_says() {
    let console = Console::open();
    let mut authenticator = console.enrol("vera");
    for name in [Some("vera"), None, Some("nobody")] {
        let LoggedIn { cookie, session } = console.log_in(&mut authenticator, name).unwrap();
        assert_eq!((session.name.as_str(), session.roles.as_slice()), ("vera", &[Role::Viewer][..]));
        assert_eq!(console.passkeys.session(&cookie, console.now()), Some(session.clone()));
        assert!(session.accepts(session.csrf()) && !session.accepts("") && !session.accepts(&cookie));
        assert!(session.may(Act::Look) && !session.may(Act::AnswerHold));
    }
    let logins = console.acts().into_iter().filter(|act| *act == ("operator-login", "vera".to_owned(), 0));
    assert_eq!(logins.count(), 3);
    // A key that does not know whose account it is of needs a name.
    authenticator.forget_user();
    assert!(console.log_in(&mut authenticator, Some("vera")).is_ok());
    assert_eq!(refused(console.log_in(&mut authenticator, None)), "answer");
}

#[test]
fn a_login_is_refused_for_each_thing_that_is_wrong_with_it() {
    type Lie = fn(&mut Authenticator);
    let lies: [(Lie, &str); 6] = [
        (|it| it.origin = "https://console.example.com:7745".to_owned(), "answer"),
        (|it| it.relying_party = Some("example.org".to_owned()), "answer"),
        (|it| it.flags = PRESENT, "answer"),
        (|it| it.flags = 0x04, "answer"),
        (|it| it.counter = 0, "counter"),
        (|it| it.id.push(1), "key"),
    ];
    for name in [Some("alice"), None] {
        for (number, (lie, kind)) in lies.into_iter().enumerate() {
            let console = Console::open();
            let (mut authenticator, _) = console.present("alice");
            lie(&mut authenticator);
            assert_eq!(refused(console.log_in(&mut authenticator, name)), kind, "{name:?}, lie {number}");
        }
    }
}

#[test]
fn somebody_elses_passkey_does_not_log_in_under_a_name() {
    let console = Console::open();
    let (mut bob, _) = console.present("bob");
    console.enrol("alice");
    assert_eq!(refused(console.log_in(&mut bob, Some("alice"))), "answer");
    // A stranger's key that claims the name of a credential has not its key.
    let mut stranger = Authenticator::new(ORIGIN);
    stranger.id = bob.id.clone();
    stranger.counter = 100;
    assert_eq!(refused(console.log_in(&mut stranger, Some("bob"))), "answer");
}

#[test]
fn an_answer_opens_one_session() {
    let console = Console::open();
    let mut authenticator = console.enrol("alice");
    let Options(options) = console.passkeys.begin_login(Some("alice"), HERE, console.now()).unwrap();
    let response = authenticator.get(&options).to_string();
    let _session = console.passkeys.finish_login(&response, console.now()).unwrap();
    assert_eq!(refused(console.passkeys.finish_login(&response, console.now())), "not_begun");
    let Options(options) = console.passkeys.begin_login(Some("alice"), HERE, console.now()).unwrap();
    console.pass(Duration::from_secs(5 * 60));
    let late = authenticator.get(&options).to_string();
    assert_eq!(refused(console.passkeys.finish_login(&late, console.now())), "not_begun");
    for nonsense in ["", "{}", "[]", &"x".repeat(100_000)] {
        assert_eq!(refused(console.passkeys.finish_login(nonsense, console.now())), "answer");
    }
}

#[test]
fn a_counter_that_goes_back_or_stands_is_a_copys_and_none_is_none() {
    let console = Console::open();
    let (mut authenticator, cookie) = console.present("alice");
    let statement = "assent/approval/v1\n";
    let _signed = console.sign((&mut authenticator, &cookie), Act::AnswerHold, statement).unwrap();
    // The copy was made before the signature, of which the login's library knows nothing.
    authenticator.counter -= 1;
    assert_eq!(refused(console.log_in(&mut authenticator, Some("alice"))), "counter");
    assert!(console.log_in(&mut authenticator, Some("alice")).is_ok(), "the next count is ahead again");
    let mut synchronised = Authenticator::new(ORIGIN);
    synchronised.counts = false;
    synchronised.flags |= 0x18;
    console.enrol_with(&mut synchronised, &console.link("bob")).unwrap();
    for _ in 0..2 {
        assert_eq!(console.log_in(&mut synchronised, None).unwrap().session.name, "bob");
    }
}

#[test]
fn a_session_ends_when_nothing_is_asked_and_at_the_latest_after_its_lifetime() {
    let console = Console::open();
    let (mut authenticator, cookie) = console.present("alice");
    let asked = |cookie: &str| console.passkeys.session(cookie, console.now()).is_some();
    console.pass(SESSION_IDLE);
    assert!(!asked(&cookie));
    let LoggedIn { cookie, session } = console.log_in(&mut authenticator, None).unwrap();
    let began = console.now();
    assert_eq!(session.until, later(began, SESSION_IDLE));
    while console.now() < later(began, SESSION_LIFETIME) {
        assert!(asked(&cookie));
        console.pass(SESSION_IDLE / 2);
    }
    assert!(!asked(&cookie));
    let cookie = console.log_in(&mut authenticator, None).unwrap().cookie;
    console.passkeys.logout(&cookie);
    assert!(!asked(&cookie) && !asked("nonsense"));
}

#[test]
fn an_operator_has_few_sessions_and_the_oldest_makes_room() {
    let console = Console::open();
    let mut authenticator = console.enrol("alice");
    let mut cookies = Vec::new();
    for _ in 0..=MAX_SESSIONS_PER_OPERATOR {
        console.pass(Duration::from_secs(1));
        cookies.push(console.log_in(&mut authenticator, None).unwrap().cookie);
    }
    let open: Vec<bool> =
        cookies.iter().map(|cookie| console.passkeys.session(cookie, console.now()).is_some()).collect();
    assert_eq!(open, [false, true, true, true, true]);
}

#[test]
fn a_flood_of_logins_that_nobody_finishes_is_bounded_and_keeps_nobody_out() {
    const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    let console = Console::open();
    let mut authenticator = console.enrol("alice");
    let Options(begun) = console.passkeys.begin_login(None, HERE, console.now()).unwrap();
    for _ in 0..2 * MAX_PENDING_LOGINS {
        console.passkeys.begin_login(None, ELSEWHERE, console.now()).unwrap();
    }
    assert_eq!(console.passkeys.live().logins(), MAX_PENDING_LOGINS);
    assert!(console.log_in(&mut authenticator, None).is_ok(), "the next one");
    let response = authenticator.get(&begun).to_string();
    assert!(
        console.passkeys.finish_login(&response, console.now()).is_ok(),
        "the one before, from another network"
    );
    let Options(begun) = console.passkeys.begin_login(None, ELSEWHERE, console.now()).unwrap();
    let response = authenticator.get(&begun).to_string();
    assert!(console.passkeys.finish_login(&response, console.now()).is_ok(), "the next one from there");
    console.pass(Duration::from_secs(5 * 60));
    let _begun = console.passkeys.begin_login(None, HERE, console.now()).unwrap();
    assert_eq!(console.passkeys.live().logins(), 1, "the others are forgotten");
}

#[test]
fn a_revoked_passkey_logs_nobody_in_and_its_sessions_are_over() {
    let console = Console::open();
    let (mut first, cookie) = console.present("alice");
    let (mut second, other) = console.present("alice");
    let fingerprint = console.passkeys.list()[0].keys[0].fingerprint.clone();
    let Options(begun) = console.passkeys.begin_login(Some("alice"), HERE, console.now()).unwrap();
    let revoked = console.passkeys.revoke(&fingerprint, "root (uid 0)", console.now()).unwrap();
    assert_eq!(revoked.len(), 1);
    assert!(console.passkeys.session(&cookie, console.now()).is_none());
    assert!(console.passkeys.session(&other, console.now()).is_some());
    let response = first.get(&begun).to_string();
    assert_eq!(refused(console.passkeys.finish_login(&response, console.now())), "key");
    assert_eq!(refused(console.log_in(&mut first, None)), "key");
    assert!(console.log_in(&mut second, Some("alice")).is_ok());
    assert_eq!(refused(console.passkeys.revoke(&fingerprint, "root", console.now())), "unknown_key");
    let link = console.link("alice");
    assert_eq!(console.passkeys.revoke("alice", "root", console.now()).unwrap().len(), 1);
    assert_eq!(refused(console.passkeys.invited(&link, console.now())), "link");
    assert_eq!(refused(console.log_in(&mut second, None)), "key");
    let console = console.restarted(&["alice"]);
    assert_eq!(refused(console.log_in(&mut second, None)), "key");
}

#[test]
fn a_restart_keeps_passkeys_and_ends_sessions_and_who_is_not_named_is_out() {
    let console = Console::open();
    let (mut alice, cookie) = console.present("alice");
    let (mut bob, _) = console.present("bob");
    let console = console.restarted(&["alice"]);
    assert!(console.passkeys.session(&cookie, console.now()).is_none());
    assert!(console.log_in(&mut alice, None).is_ok());
    assert_eq!(refused(console.log_in(&mut bob, Some("bob"))), "key");
    let listed = console.passkeys.list();
    assert_eq!((listed[1].name.as_str(), listed[1].roles.len(), listed[1].keys.len()), ("bob", 0, 1));
    alice.counter -= 1;
    assert_eq!(refused(console.log_in(&mut alice, None)), "counter", "the count is kept");
}

#[test]
fn what_cannot_be_written_opens_no_session() {
    let console = Console::open();
    let mut authenticator = console.enrol("alice");
    console.passkeys.register().lose(Path::new("/nonexistent/passkeys.redb"));
    assert_eq!(refused(console.log_in(&mut authenticator, None)), "store");
    assert!(!console.acts().iter().any(|(act, ..)| *act == "operator-login"));
}
