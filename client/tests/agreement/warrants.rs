//! Break-glass at an executor that is offline: what is admitted under a warrant, and the list of what is refused.

use assent_client::proto::entry::Grounds;
use assent_client::proto::entry::break_glass::{ActError, Misfit};
use assent_client::proto::intent::Uid;
use assent_client::proto::note::{NoteError, VerifierKey};
use assent_client::proto::number::{Epoch, LeafIndex};
use assent_client::proto::verify::TrustedKey;
use assent_client::warrant::Part;
use assent_client::{
    AcceptError, Acceptance, AdmitError, Guard, SpendError, Spent, Timestamp, Trust, VerifyError, Warrant,
    WarrantError,
};
use ed25519_dalek::SigningKey;

use crate::appliance::{AUDIENCE, NOON, ORIGIN, cancel};
use crate::break_glass::{Glass, HOUR_MS, lasting, name_of};

/// Why a guard that holds this warrant does not admit.
fn refusal(guard: &Guard, token: &[u8], now: Timestamp) -> VerifyError {
    match guard.admit(token, &cancel("#W1"), now).unwrap_err() {
        AdmitError::Verify(error) => error,
        other @ (AdmitError::Spend(_) | AdmitError::Intent(_)) => panic!("{other}"),
    }
}

/// Why no use is spent of a token that verifies.
fn unspent(guard: &Guard, token: &[u8]) -> SpendError {
    match guard.admit(token, &cancel("#W1"), NOON).unwrap_err() {
        AdmitError::Spend(error) => error,
        other @ (AdmitError::Verify(_) | AdmitError::Intent(_)) => panic!("{other}"),
    }
}

fn holding(glass: &Glass, charter: usize, warrant: usize) -> Guard {
    let guard = glass.guard();
    guard.accept_warrant(glass.warrant(charter, warrant).unwrap(), NOON).unwrap();
    guard
}

#[test]
fn uses_of_a_warrant_are_admitted_each_once() {
    let (mut glass, charter, warrant) = Glass::broken();
    let believed = glass.warrant(charter, warrant).unwrap();
    assert_eq!((believed.uses(), believed.reason(), believed.leaf().0), (3, "the HSM burnt", warrant as u64));
    assert_eq!(believed.signers(), ["alice", "dave"]);
    let guard = holding(&glass, charter, warrant);
    for number in 1..=3 {
        let at = glass.decide(warrant, number, |_| ());
        let token = glass.token_under(warrant, at);
        assert!(guard.admit(&token, &cancel("#W1"), NOON).is_ok(), "use {number}");
        assert!(matches!(unspent(&guard, &token), SpendError::AlreadySpent { uses: 1 }));
        // The HSM covers the same leaf later: another key, the same use.
        let covered = unspent(&guard, &glass.token(at, &glass.hsm, ORIGIN));
        assert!(matches!(covered, SpendError::AlreadySpent { uses: 1 }));
    }
}

#[test]
fn warrant_that_the_hsm_covers_is_believed_too() {
    let (mut glass, charter, warrant) = Glass::broken();
    let proofs = [charter, warrant].map(|at| glass.proof(at, &glass.hsm, ORIGIN));
    let file = Warrant::render(ORIGIN, &proofs[0], &proofs[1]);
    let guard = glass.guard();
    guard.accept_warrant(Warrant::parse(&file, &glass.trust(), NOON).unwrap(), NOON).unwrap();
    let at = glass.decide(warrant, 1, |_| ());
    assert!(guard.admit(&glass.token(at, &glass.hsm, ORIGIN), &cancel("#W1"), NOON).is_ok());
}

#[test]
fn break_glass_is_refused_where_it_is_not_accepted() {
    let (mut glass, charter, warrant) = Glass::broken();
    let at = glass.decide(warrant, 1, |_| ());
    let guard = Guard::with_spent(glass.trust(), AUDIENCE, Spent::in_memory(Timestamp(0)));
    let refused = guard.accept_warrant(glass.warrant(charter, warrant).unwrap(), NOON);
    assert_eq!(refused, Err(AcceptError::NotAccepted));
    assert_eq!(refusal(&guard, &glass.token_under(warrant, at), NOON), VerifyError::UntrustedKey);
    assert_eq!(refusal(&guard, &glass.token(at, &glass.hsm, ORIGIN), NOON), VerifyError::Grounds);
    // A guard that held it and accepts break-glass no more.
    let guard = holding(&glass, charter, warrant).accepting(Acceptance::default());
    assert_eq!(refusal(&guard, &glass.token_under(warrant, at), NOON), VerifyError::UntrustedKey);
}

#[test]
fn nothing_is_admitted_after_a_warrant_is_over() {
    let (mut glass, charter, warrant) = Glass::broken();
    let end = NOON.minus_ms(60_000).plus_ms(HOUR_MS);
    let last =
        glass.decide(warrant, 1, |allow| (allow.time, allow.not_before, allow.not_after) = (end, end, end));
    let late = glass.decide(warrant, 2, |allow| (allow.time, allow.not_after) = (end.plus_ms(1), end));
    let guard = holding(&glass, charter, warrant);
    let token = glass.token_under(warrant, last);
    assert_eq!(refusal(&guard, &token, end.plus_ms(2001)), VerifyError::UntrustedKey);
    assert_eq!(refusal(&guard, &glass.token_under(warrant, late), end), VerifyError::UntrustedKey);
    assert!(guard.admit(&token, &cancel("#W1"), end.plus_ms(2000)).is_ok());
    let file = glass.file(charter, warrant);
    let over = Warrant::parse(&file, &glass.trust(), end.plus_ms(1)).unwrap_err();
    assert!(matches!(over, WarrantError::Over { part: Part::Warrant, .. }), "{over}");
    let over = Warrant::parse(&file, &glass.trust(), NOON.plus_ms(101 * HOUR_MS)).unwrap_err();
    assert!(matches!(over, WarrantError::Over { part: Part::Charter, .. }), "{over}");
    let believed = glass.warrant(charter, warrant).unwrap();
    assert_eq!(glass.guard().accept_warrant(believed, end.plus_ms(2001)), Err(AcceptError::Over(end)));
}

#[test]
fn too_few_operators_or_one_twice_are_not_enough() {
    for (signers, told) in [
        (&["alice"][..], "signed by 1 of the 2 operators"),
        (&["alice", "alice"], "signed by 1 of the 2 operators"),
        (&["alice", "mallory"], "signed by 1 of the 2 operators"),
        (&[], "signed by 0 of the 2 operators"),
        (&["alice", "bob", "alice"], "not those of the operators who are named"),
        (&["alice", "bob", "mallory"], "not those of the operators who are named"),
        (&["bob", "alice"], "not those of the operators who are named"),
    ] {
        let mut glass = Glass::new();
        let charter = glass.order(|_| ());
        let warrant = glass.give(charter, signers, |_| ());
        let error = glass.warrant(charter, warrant).unwrap_err();
        let WarrantError::Signatures(cause) = &error else { panic!("{signers:?}: {error}") };
        assert!(cause.to_string().contains(told), "{signers:?}: {cause}");
    }
}

#[test]
fn charter_that_is_not_in_the_log_gives_nothing() {
    let (mut glass, charter, warrant) = Glass::broken();
    let (hsm, key, name) = (glass.hsm.clone(), glass.key.clone(), name_of(warrant));
    let given = glass.proof(warrant, &key, &name);
    let refused = |charter: &str| {
        Warrant::parse(&Warrant::render(ORIGIN, charter, &given), &glass.trust(), NOON).unwrap_err()
    };
    let unsigned =
        |error| matches!(error, WarrantError::Note { part: Part::Charter, cause: NoteError::Unsigned });
    assert!(unsigned(refused(&glass.proof(charter, &key, &name))), "under the warrant's own key");
    assert!(unsigned(refused(&glass.proof(charter, &key, ORIGIN))), "under another key of the log's name");
    let elsewhere = glass.proof_of_log("localhost/test/log/2", charter, &hsm, ORIGIN);
    assert!(matches!(refused(&elsewhere), WarrantError::Unproven { part: Part::Charter }), "of another log");
    // The charter's proof with another leaf; the path is right for the one that was there.
    let honest = glass.proof(charter, &hsm, ORIGIN);
    let before = std::mem::take(&mut glass.leaves[charter]);
    let wider = String::from_utf8_lossy(&before).contains("cancellations");
    assert!(wider);
    let altered: Vec<u8> = before.iter().map(|byte| if *byte == b'W' { b'V' } else { *byte }).collect();
    let [one, other] = [before, altered].map(|leaf| {
        use base64ct::Encoding as _;
        base64ct::Base64::encode_string(&leaf)
    });
    let forged = honest.replace(&one, &other);
    assert_ne!(forged, honest);
    let error = Warrant::parse(&Warrant::render(ORIGIN, &forged, &given), &glass.trust(), NOON).unwrap_err();
    assert!(matches!(error, WarrantError::Unproven { part: Part::Charter }), "{error}");
}

#[test]
fn what_was_signed_for_another_key_charter_origin_or_reason_gives_nothing() {
    let statement = |error: &WarrantError| {
        matches!(error, WarrantError::Act { part: Part::Warrant, cause: ActError::Statement })
    };
    let (mut glass, charter, warrant) = Glass::broken();
    let good = glass.leaves[warrant].clone();
    // Another key, which then also signs the checkpoint.
    let other = SigningKey::from_bytes(&[9; 32]);
    glass.alter(warrant, |given| given.key = other.verifying_key().to_bytes());
    let proofs = (glass.proof(charter, &glass.hsm, ORIGIN), glass.proof(warrant, &other, &name_of(warrant)));
    let error = Warrant::parse(&Warrant::render(ORIGIN, &proofs.0, &proofs.1), &glass.trust(), NOON);
    assert!(statement(&error.unwrap_err()), "another key");
    for (what, change) in [
        ("reason", (|given| given.reason = "a test") as fn(&mut assent_client::proto::entry::Warrant<'_>)),
        ("uses", |given| given.uses = 2),
        ("window", |given| given.not_after.0 -= 1),
    ] {
        glass.leaves[warrant].clone_from(&good);
        glass.alter(warrant, change);
        assert!(statement(&glass.warrant(charter, warrant).unwrap_err()), "{what} altered");
        // The statement altered with it: nobody signed that.
        glass.alter(warrant, |given| {
            let hash = assent_client::proto::hash::Hash::of_leaf(&good);
            let mut text = String::new();
            given.write_statement(ORIGIN, hash, &mut text).unwrap();
            given.statement = lasting(text);
        });
        assert!(glass.warrant(charter, warrant).is_err(), "{what} and statement altered");
    }
    // A second charter of the same operators, to which the signatures do not belong.
    glass.leaves[warrant].clone_from(&good);
    let wider = glass.order(|charter| charter.uses_max = 1000);
    assert!(matches!(glass.warrant(wider, warrant), Err(WarrantError::Order)));
    glass.alter(warrant, |given| given.charter = LeafIndex(wider as u64));
    glass.leaves.swap(warrant, wider);
    assert!(matches!(glass.warrant(warrant, wider), Err(WarrantError::Order)), "charter of another index");
    // Another log: everything is signed again for it but what the operators signed.
    let (glass, charter, warrant) = Glass::broken();
    let elsewhere = "localhost/test/log/2";
    let key = VerifierKey::new(elsewhere, glass.hsm.verifying_key().as_bytes()).unwrap();
    let trust =
        Trust::new(&[TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) }]).unwrap();
    let proofs = [charter, warrant].map(|at| glass.proof_of_log(elsewhere, at, &glass.hsm, elsewhere));
    let error =
        Warrant::parse(&Warrant::render(elsewhere, &proofs[0], &proofs[1]), &trust, NOON).unwrap_err();
    assert!(matches!(error, WarrantError::Act { cause: ActError::Statement, .. }), "{error}");
    let error = Warrant::parse(&glass.file(charter, warrant), &trust, NOON).unwrap_err();
    assert!(matches!(&error, WarrantError::Origin(origin) if origin == ORIGIN), "{error}");
}

#[test]
fn warrant_beyond_its_charter_gives_nothing_whoever_signed() {
    let refused = |change: fn(&mut assent_client::proto::entry::Warrant<'static>)| {
        let mut glass = Glass::new();
        let charter = glass.order(|_| ());
        let warrant = glass.give(charter, &["alice", "bob"], change);
        glass.warrant(charter, warrant).unwrap_err()
    };
    let misfit = |error| if let WarrantError::Misfit(misfit) = error { Some(misfit) } else { None };
    assert_eq!(misfit(refused(|given| given.uses = 4)), Some(Misfit::Uses));
    assert_eq!(misfit(refused(|given| given.not_after.0 += 1)), Some(Misfit::Window));
    assert_eq!(misfit(refused(|given| given.time.0 -= 1)), Some(Misfit::NotAlive));
    let late = misfit(refused(|given| {
        let end = NOON.plus_ms(100 * HOUR_MS + 1);
        (given.time, given.not_before, given.not_after) = (end.minus_ms(1000), end.minus_ms(1000), end);
    }));
    assert_eq!(late, Some(Misfit::CharterOver));
    let lines = refused(|given| given.reason = "x\nuses 9");
    assert!(matches!(lines, WarrantError::Act { cause: ActError::Text("reason"), .. }), "{lines}");
}

#[test]
fn only_uses_that_the_warrant_has_are_admitted() {
    let (mut glass, charter, warrant) = Glass::broken();
    let guard = holding(&glass, charter, warrant);
    let mut refused = |number, change: fn(&mut assent_client::proto::entry::Allow<'_>)| {
        let at = glass.decide(warrant, number, change);
        refusal(&guard, &glass.token_under(warrant, at), NOON)
    };
    assert_eq!(refused(0, |_| ()), VerifyError::WarrantUse);
    assert_eq!(refused(4, |_| ()), VerifyError::WarrantUse);
    assert_eq!(refused(1, |allow| allow.uses = 2), VerifyError::WarrantUse);
    assert_eq!(
        refused(1, |allow| allow.action = Uid { type_name: "Retail::Action", id: "refund" }),
        VerifyError::WarrantScope
    );
    assert_eq!(
        refused(1, |allow| allow.resource = Uid { type_name: "Retail::Order", id: "#W2" }),
        VerifyError::WarrantScope
    );
    assert_eq!(refused(1, |allow| allow.principal = "spiffe://test/agent/other"), VerifyError::WarrantScope);
    let stretched = refused(1, |allow| allow.not_after = NOON.minus_ms(60_000).plus_ms(HOUR_MS + 1));
    assert_eq!(stretched, VerifyError::WarrantWindow);
    assert_eq!(refused(1, |allow| allow.grounds = Grounds::Policy), VerifyError::UntrustedKey);
    // Operators had everything refused that was decided before the epoch in which the warrant was given.
    guard.raise_epoch(Epoch(4));
    assert_eq!(refused(1, |allow| allow.epoch = Epoch(3)), VerifyError::Epoch);
}

#[test]
fn number_is_spent_at_one_leaf_only() {
    let (mut glass, charter, warrant) = Glass::broken();
    let guard = holding(&glass, charter, warrant);
    let [first, second] = [1, 2].map(|_| glass.decide(warrant, 1, |_| ()));
    assert!(guard.admit(&glass.token_under(warrant, second), &cancel("#W1"), NOON).is_ok());
    let again = unspent(&guard, &glass.token_under(warrant, first));
    assert!(matches!(again, SpendError::NumberSpent { number: 1 }));
    // An executor that began its memory after the warrant may have spent it in an earlier life.
    let restarted = glass.guard_with(Spent::in_memory(NOON.minus_ms(59_999)));
    restarted.accept_warrant(glass.warrant(charter, warrant).unwrap(), NOON).unwrap();
    let unsure = unspent(&restarted, &glass.token_under(warrant, first));
    assert!(matches!(unsure, SpendError::WarrantBeforeMemory { .. }));
}

#[cfg(feature = "durable")]
#[test]
fn number_is_remembered_over_a_restart() {
    let (mut glass, charter, warrant) = Glass::broken();
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|_| glass.decide(warrant, 1, |_| ()));
    let admit = |at: usize| {
        let spent = Spent::durable(folder.path().join("spent.redb"), Timestamp(0)).unwrap();
        let guard = glass.guard_with(spent);
        guard.accept_warrant(glass.warrant(charter, warrant).unwrap(), NOON).unwrap();
        guard.admit(&glass.token_under(warrant, at), &cancel("#W1"), NOON).map(drop)
    };
    assert!(admit(first).is_ok());
    assert!(matches!(admit(second), Err(AdmitError::Spend(SpendError::NumberSpent { number: 1 }))));
    assert!(matches!(admit(first), Err(AdmitError::Spend(SpendError::AlreadySpent { .. }))));
}

#[test]
fn key_of_one_kind_never_vouches_for_another() {
    let (mut glass, charter, warrant) = Glass::broken();
    let used = glass.decide(warrant, 1, |_| ());
    let policy = glass.decide(warrant, 1, |allow| allow.grounds = Grounds::Policy);
    let other = glass.decide(warrant + 1, 1, |_| ());
    // A log is trusted whose name is that of the warrant's key, and whose key is the same.
    let name = name_of(warrant);
    let shadow = VerifierKey::new(&name, glass.key.verifying_key().as_bytes()).unwrap();
    let shadow = TrustedKey { key: shadow, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) };
    let trust = Trust::new(&[glass.trust().keys(), &[shadow]].concat()).unwrap();
    let acceptance = Acceptance { break_glass: true, ..Acceptance::default() };
    let guard = Guard::with_spent(trust, AUDIENCE, Spent::in_memory(Timestamp(0))).accepting(acceptance);
    guard.accept_warrant(glass.warrant(charter, warrant).unwrap(), NOON).unwrap();
    // The checkpoint is remembered under the warrant's key from here on: one signature covers all three leaves.
    assert!(guard.admit(&glass.token_under(warrant, used), &cancel("#W1"), NOON).is_ok());
    assert_eq!(refusal(&guard, &glass.token_under(warrant, policy), NOON), VerifyError::Signature);
    assert_eq!(refusal(&guard, &glass.token_under(warrant, other), NOON), VerifyError::Signature);
    let misnamed = glass.token(used, &glass.key, &name_of(warrant + 1));
    assert_eq!(refusal(&guard, &misnamed, NOON), VerifyError::UntrustedKey);
    let as_the_log = glass.token(used, &glass.key, ORIGIN);
    assert_eq!(refusal(&guard, &as_the_log, NOON), VerifyError::UntrustedKey);
}

#[test]
fn guard_holds_few_warrants_and_no_key_twice() {
    let (mut glass, charter, warrant) = Glass::broken();
    let guard = holding(&glass, charter, warrant);
    assert_eq!(guard.accept_warrant(glass.warrant(charter, warrant).unwrap(), NOON), Ok(()), "known already");
    // The same signatures, logged at another leaf.
    let copy = glass.leaves[warrant].clone();
    glass.leaves.push(copy);
    let twin = glass.leaves.len() - 1;
    let refused = guard.accept_warrant(glass.warrant(charter, twin).unwrap(), NOON);
    assert_eq!(refused, Err(AcceptError::KeyTwice(LeafIndex(warrant as u64))));
    for seed in 100..115 {
        glass.key = SigningKey::from_bytes(&[seed; 32]);
        let another = glass.give(charter, &["alice", "bob"], |_| ());
        assert_eq!(guard.accept_warrant(glass.warrant(charter, another).unwrap(), NOON), Ok(()));
    }
    glass.key = SigningKey::from_bytes(&[99; 32]);
    let one_more = glass.give(charter, &["alice", "bob"], |given| {
        (given.not_before, given.not_after) = (NOON.minus_ms(60_000), NOON.plus_ms(HOUR_MS - 60_000));
    });
    let believed = || glass.warrant(charter, one_more).unwrap();
    assert_eq!(guard.accept_warrant(believed(), NOON), Err(AcceptError::TooMany));
    let untrusting = Guard::with_spent(
        Trust::new(&[TrustedKey {
            key: VerifierKey::new("localhost/other/log/1", glass.hsm.verifying_key().as_bytes()).unwrap(),
            not_before: Timestamp(0),
            not_after: Timestamp(u64::MAX),
        }])
        .unwrap(),
        AUDIENCE,
        Spent::in_memory(Timestamp(0)),
    )
    .accepting(Acceptance { break_glass: true, ..Acceptance::default() });
    assert_eq!(untrusting.accept_warrant(believed(), NOON), Err(AcceptError::Untrusted));
}

#[test]
fn anything_odd_in_a_warrant_file_refuses_it() {
    let (glass, charter, warrant) = Glass::broken();
    let good = glass.file(charter, warrant);
    let parse = |text: &str| Warrant::parse(text, &glass.trust(), NOON);
    assert!(parse(&good).is_ok());
    let refused = |text: &str| parse(text).unwrap_err();
    assert!(matches!(refused(&format!("{good}colour = 1\n")), WarrantError::Toml(_)));
    assert!(matches!(refused(&good.replace(".v1.warrant", ".v2.warrant")), WarrantError::Schema(_)));
    assert!(matches!(refused(&"#".repeat(200_000)), WarrantError::TooLong { .. }));
    assert!(matches!(refused(&good.replace("tlog-proof@v1", "tlog-proof@v2")), WarrantError::Proof { .. }));
    let bare: String = good.lines().filter(|line| !line.starts_with("extra ")).collect::<Vec<_>>().join("\n");
    assert!(matches!(refused(&bare), WarrantError::Leaf { part: Part::Charter }));
    let twice = glass.proof(charter, &glass.hsm, ORIGIN);
    assert!(matches!(refused(&Warrant::render(ORIGIN, &twice, &twice)), WarrantError::Kinds));
    let moved = good.replacen(&format!("index {warrant}"), &format!("index {}", warrant - 1), 1);
    assert!(parse(&moved).is_err(), "at another index, under another name");
    // A key line that is no key, and one key under two names.
    for lines in [["ssh-rsa AAAA x"; 3], [lasting(glass.office.line("alice")); 3]] {
        let mut glass = Glass::new();
        let charter = glass.order(|charter| charter.operators = Vec::leak(lines.to_vec())[..].into());
        let warrant = glass.give(charter, &["alice", "bob"], |_| ());
        let error = glass.warrant(charter, warrant).unwrap_err();
        assert!(matches!(error, WarrantError::Operators(_)), "{error}");
    }
}

#[test]
fn no_byte_of_a_warrant_file_can_be_altered_to_another_warrant() {
    let (glass, charter, warrant) = Glass::broken();
    let good = glass.file(charter, warrant);
    let honest = Warrant::parse(&good, &glass.trust(), NOON).unwrap();
    let told = |warrant: &Warrant| {
        (
            warrant.leaf(),
            warrant.uses(),
            warrant.not_after(),
            warrant.reason().to_owned(),
            warrant.signers().to_vec(),
        )
    };
    for at in (0..good.len()).step_by(7).filter(|at| good.as_bytes()[*at].is_ascii_alphanumeric()) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        if let Ok(altered) = Warrant::parse(&text, &glass.trust(), NOON) {
            assert_eq!(told(&altered), told(&honest), "byte {at}");
        }
    }
}
