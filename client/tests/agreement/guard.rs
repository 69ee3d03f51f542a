//! The executor's side: what a guard admits, once, and what it refuses.

use std::time::Duration;

use assent_client::notice::to_bytes;
use assent_client::proto::entry::Grounds;
use assent_client::proto::intent::Intent as Parsed;
use assent_client::proto::note::{KeyId, VerifierKey};
use assent_client::proto::number::{Epoch, LeafIndex};
use assent_client::proto::verify::TrustedKey;
use assent_client::proto::wire::Verdict;
use assent_client::{
    Acceptance, AdmitError, Guard, Intent, Outcomes, SignedCheckpoint, SpendError, Spent, Standing,
    Timestamp, Trust, VerifyError,
};
use ed25519_dalek::SigningKey;

use crate::appliance::{AUDIENCE, Appliance, NOON, WINDOW_S, allow_once, cancel};

fn guard(appliance: &Appliance) -> Guard {
    Guard::with_spent(appliance.trust(), AUDIENCE, Spent::in_memory(Timestamp(0)))
}

fn token(outcomes: &Outcomes) -> &[u8] {
    outcomes.at(0).unwrap().token().unwrap().bytes()
}

/// Why the guard does not admit.
fn refusal(guard: &Guard, token: &[u8], intent: &Intent, now: Timestamp) -> VerifyError {
    match guard.admit(token, intent, now).unwrap_err() {
        AdmitError::Verify(error) => error,
        other @ (AdmitError::Spend(_) | AdmitError::Intent(_)) => panic!("{other}"),
    }
}

#[test]
fn admitted_act_runs_once_and_the_second_use_is_refused() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let guard = guard(&appliance);
    let done = guard.admit(token(&outcomes), &cancel("#W1"), NOON).unwrap().run(|| "done");
    assert_eq!(done, "done");
    let again = guard.admit(token(&outcomes), &cancel("#W1"), NOON.plus_ms(1));
    assert!(matches!(again, Err(AdmitError::Spend(SpendError::AlreadySpent { uses: 1 }))));
}

#[test]
fn token_of_several_uses_is_admitted_so_often() {
    let mut appliance = Appliance::with_log_of(20);
    let thrice = |_: &Parsed<'_>| Verdict::Allow { window_s: WINDOW_S, uses: 3, grounds: Grounds::Policy };
    let outcomes = appliance.ask(&[cancel("#W1")], thrice);
    let guard = guard(&appliance);
    let admitted = (0..5).filter(|_| guard.admit(token(&outcomes), &cancel("#W1"), NOON).is_ok()).count();
    assert_eq!(admitted, 3);
}

#[test]
fn refused_admission_spends_nothing() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let guard = guard(&appliance);
    assert_eq!(refusal(&guard, token(&outcomes), &cancel("#W2"), NOON), VerifyError::Intent);
    assert!(guard.admit(token(&outcomes), &cancel("#W1"), NOON).is_ok());
}

#[test]
fn another_intent_audience_or_principal_is_refused() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let here = guard(&appliance);
    let altered = cancel("#W1").with("amount", 1251);
    assert_eq!(refusal(&here, token(&outcomes), &altered, NOON), VerifyError::Intent);
    let elsewhere = Guard::with_spent(appliance.trust(), "billing-api", Spent::in_memory(Timestamp(0)));
    assert_eq!(refusal(&elsewhere, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Audience);
    let for_one = guard(&appliance).accepting(Acceptance {
        principal: Some("spiffe://test/agent/other".to_owned()),
        ..Acceptance::default()
    });
    assert_eq!(refusal(&for_one, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Principal);
}

#[test]
fn token_of_another_than_who_asks_is_refused() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let (retail, other) = ("spiffe://test/agent/retail", "spiffe://test/agent/other");
    let admit = |guard: &Guard, principal: &str, now| {
        guard.admit_for(token(&outcomes), &cancel("#W1"), principal, now).map(drop)
    };
    let here = guard(&appliance);
    let is = |admitted: Result<(), AdmitError>, error| matches!(admitted, Err(AdmitError::Verify(told)) if told == error);
    assert!(is(admit(&here, other, NOON), VerifyError::Principal));
    assert!(admit(&here, retail, NOON).is_ok(), "nothing was spent for another");
    for (accepted, asks) in [(other, other), (other, retail), (retail, other)] {
        let principal = Some(accepted.to_owned());
        let one = guard(&appliance).accepting(Acceptance { principal, ..Acceptance::default() });
        // The principal is looked at before the window is.
        assert!(is(admit(&one, asks, NOON.minus_ms(9000)), VerifyError::Principal), "{accepted} {asks}");
    }
    let principal = Some(retail.to_owned());
    let one = guard(&appliance).accepting(Acceptance { principal, ..Acceptance::default() });
    assert!(admit(&one, retail, NOON).is_ok());
}

#[test]
fn new_trust_takes_the_place_of_the_old_and_nothing_else_is_forgotten() {
    let mut first = Appliance::with_log_of(20);
    let mut second = Appliance::with_key(8);
    let (old, new) = (first.ask(&[cancel("#W1")], allow_once), second.ask(&[cancel("#W1")], allow_once));
    let guard = guard(&first);
    assert!(guard.admit(token(&old), &cancel("#W1"), NOON).is_ok());
    assert_eq!(refusal(&guard, token(&new), &cancel("#W1"), NOON), VerifyError::UntrustedKey);
    guard.heed(&first.standing(3));
    guard.trusting(second.trust());
    assert_eq!(refusal(&guard, token(&old), &cancel("#W1"), NOON), VerifyError::UntrustedKey);
    assert!(guard.admit(token(&new), &cancel("#W1"), NOON).is_ok());
    guard.trusting(first.trust());
    let again = guard.admit(token(&old), &cancel("#W1"), NOON);
    assert!(matches!(again, Err(AdmitError::Spend(SpendError::AlreadySpent { .. }))), "{again:?}");
    first.epoch = Epoch(2);
    let before = first.ask(&[cancel("#W2")], allow_once);
    assert_eq!(refusal(&guard, token(&before), &cancel("#W2"), NOON), VerifyError::Epoch);
}

#[test]
fn epoch_that_was_raised_holds_for_logs_that_are_trusted_later() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let other = SigningKey::from_bytes(&[8; 32]);
    let other = VerifierKey::new("localhost/other/log/1", other.verifying_key().as_bytes()).unwrap();
    let (not_before, not_after) = (Timestamp(0), Timestamp(u64::MAX));
    let other = Trust::new(&[TrustedKey { key: other, not_before, not_after }]).unwrap();
    for trusted_first in [other.clone(), appliance.trust()] {
        let guard = Guard::with_spent(trusted_first, AUDIENCE, Spent::in_memory(Timestamp(0)));
        guard.trusting(other.clone());
        guard.heed(&appliance.standing(4));
        guard.trusting(appliance.trust());
        assert!(
            guard.admit(token(&outcomes), &cancel("#W1"), NOON).is_ok(),
            "it was not trusted when it said so"
        );
        guard.trusting(other.clone());
        guard.raise_epoch(Epoch(4));
        guard.trusting(appliance.trust());
        assert_eq!(refusal(&guard, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Epoch);
    }
}

#[test]
fn use_that_was_spent_without_skew_stays_spent_for_a_guard_with_some() {
    let mut appliance = Appliance::with_log_of(20);
    let first = appliance.ask(&[cancel("#W1")], allow_once);
    appliance.now = NOON.plus_ms(1);
    let second = appliance.ask(&[cancel("#W2")], allow_once);
    let end = NOON.plus_ms(u64::from(WINDOW_S) * 1000);
    let strict = guard(&appliance).accepting(Acceptance { skew: Duration::ZERO, ..Acceptance::default() });
    assert!(strict.admit(token(&first), &cancel("#W1"), end).is_ok());
    assert!(strict.admit(token(&second), &cancel("#W2"), end.plus_ms(1)).is_ok());
    let lenient = strict.accepting(Acceptance::default());
    let again = lenient.admit(token(&first), &cancel("#W1"), end.plus_ms(1));
    assert!(matches!(again, Err(AdmitError::Spend(SpendError::AlreadySpent { uses: 1 }))), "{again:?}");
}

#[test]
fn window_and_skew_bound_the_time() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let end = NOON.plus_ms(u64::from(WINDOW_S) * 1000);
    let refused = |now| refusal(&guard(&appliance), token(&outcomes), &cancel("#W1"), now);
    assert_eq!(refused(end.plus_ms(2001)), VerifyError::Expired);
    assert_eq!(refused(NOON.minus_ms(2001)), VerifyError::TooEarly);
    for now in [NOON.minus_ms(2000), end.plus_ms(2000)] {
        assert!(guard(&appliance).admit(token(&outcomes), &cancel("#W1"), now).is_ok());
    }
}

#[test]
fn window_over_the_cap_is_refused() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let short = guard(&appliance)
        .accepting(Acceptance { window_cap: Duration::from_secs(299), ..Acceptance::default() });
    assert_eq!(refusal(&short, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Window);
}

#[test]
fn break_glass_is_refused_unless_accepted() {
    let mut appliance = Appliance::with_log_of(20);
    let warrant = |_: &Parsed<'_>| Verdict::Allow {
        window_s: WINDOW_S,
        uses: 1,
        grounds: Grounds::Warrant { leaf: LeafIndex(3), number: 1 },
    };
    let outcomes = appliance.ask(&[cancel("#W1")], warrant);
    assert_eq!(refusal(&guard(&appliance), token(&outcomes), &cancel("#W1"), NOON), VerifyError::Grounds);
    let accepting = guard(&appliance).accepting(Acceptance { break_glass: true, ..Acceptance::default() });
    assert_eq!(refusal(&accepting, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Warrant);
}

#[test]
fn epoch_before_a_trip_is_refused_and_stays_so() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let guard = guard(&appliance);
    guard.raise_epoch(Epoch(4));
    guard.raise_epoch(Epoch(1));
    assert_eq!(refusal(&guard, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Epoch);
}

#[test]
fn revoked_token_is_refused_whatever_is_said_later() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let guard = guard(&appliance);
    appliance.boundary_open = false;
    appliance.epoch.0 += 1;
    guard.heed(&appliance.standing(3));
    let elsewhere = Standing { origin: "localhost/test/log/2".to_owned(), ..appliance.standing(4) };
    guard.heed(&elsewhere);
    let early = guard.admit(token(&outcomes), &cancel("#W1"), NOON.minus_ms(2001));
    assert!(
        matches!(early, Err(AdmitError::Verify(VerifyError::TooEarly))),
        "the epoch is not what it lacks"
    );
    guard.heed(&appliance.standing(4));
    guard.heed(&appliance.standing(0));
    assert_eq!(refusal(&guard, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Epoch);
    appliance.boundary_open = true;
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    assert!(guard.admit(token(&outcomes), &cancel("#W1"), NOON).is_ok());
}

#[test]
fn one_log_is_not_held_to_the_epochs_of_another() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let other = SigningKey::from_bytes(&[8; 32]);
    let other = VerifierKey::new("localhost/other/log/1", other.verifying_key().as_bytes()).unwrap();
    let (not_before, not_after) = (Timestamp(0), Timestamp(u64::MAX));
    let both = [appliance.trust().keys(), &[TrustedKey { key: other, not_before, not_after }]].concat();
    let guard = Guard::with_spent(Trust::new(&both).unwrap(), AUDIENCE, Spent::in_memory(Timestamp(0)));
    let theirs = Standing { origin: other.name().to_owned(), epoch: Epoch(900), ..appliance.standing(900) };
    guard.heed(&theirs);
    assert!(guard.admit(token(&outcomes), &cancel("#W1"), NOON).is_ok());
    guard.raise_epoch(Epoch(4));
    assert_eq!(refusal(&guard, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Epoch);
}

#[test]
fn pushed_checkpoint_is_believed_for_its_signature_only() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let (guard, checkpoint) = (guard(&appliance), appliance.checkpoint());
    let altered = SignedCheckpoint { signature: [1; 64], ..checkpoint };
    assert_eq!(guard.remember(&altered, NOON), Err(VerifyError::Signature));
    let unknown = SignedCheckpoint { key_id: KeyId([0; 4]), ..checkpoint };
    assert_eq!(guard.remember(&unknown, NOON), Err(VerifyError::UntrustedKey));
    assert_eq!(guard.remember(&checkpoint, NOON), Ok(()));
    let mut forged = token(&outcomes).to_vec();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(&guard, &forged, &cancel("#W1"), NOON), VerifyError::Signature);
    assert!(guard.admit(token(&outcomes), &cancel("#W1"), NOON).is_ok());
}

#[test]
fn file_of_notices_tells_a_guard_without_a_network() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    appliance.epoch.0 += 1;
    let file = to_bytes(Some(&appliance.standing(4)), Some(&appliance.checkpoint()));
    for length in 0..file.len() - 109 {
        let guard = guard(&appliance);
        assert_eq!(guard.heed_all(&file[..length], NOON).is_ok(), length == 1, "{length} bytes");
        assert!(
            guard.admit(token(&outcomes), &cancel("#W1"), NOON).is_ok(),
            "{length} bytes say nothing yet"
        );
    }
    let guard = guard(&appliance);
    assert!(guard.heed_all(&file, NOON).is_ok());
    assert_eq!(refusal(&guard, token(&outcomes), &cancel("#W1"), NOON), VerifyError::Epoch);
}

#[test]
fn every_altered_byte_of_a_token_spoils_it() {
    let mut appliance = Appliance::with_log_of(1000);
    let outcomes = appliance.ask(&[cancel("#W1"), cancel("#W2")], allow_once);
    let guard = guard(&appliance);
    for position in 0..token(&outcomes).len() {
        let mut altered = token(&outcomes).to_vec();
        altered[position] ^= 1;
        assert!(guard.admit(&altered, &cancel("#W1"), NOON).is_err(), "byte {position}");
    }
    assert!(guard.admit(token(&outcomes), &cancel("#W1"), NOON).is_ok());
}

#[test]
fn restarted_guard_refuses_what_was_decided_before() {
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let restarted = Guard::with_spent(appliance.trust(), AUDIENCE, Spent::in_memory(NOON.plus_ms(1)));
    let refused = restarted.admit(token(&outcomes), &cancel("#W1"), NOON.plus_ms(2));
    assert!(matches!(refused, Err(AdmitError::Spend(SpendError::BeforeMemory { .. }))));
}

#[test]
fn new_guard_refuses_what_was_decided_before_it_started() {
    let mut appliance = Appliance::with_log_of(20);
    appliance.now = Timestamp(1_000_000);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let refused =
        Guard::new(appliance.trust(), AUDIENCE).admit(token(&outcomes), &cancel("#W1"), appliance.now);
    assert!(matches!(refused, Err(AdmitError::Spend(SpendError::BeforeMemory { .. }))));
}

#[cfg(feature = "durable")]
#[test]
fn durable_guard_remembers_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spent.redb");
    let mut appliance = Appliance::with_log_of(20);
    let outcomes = appliance.ask(&[cancel("#W1")], allow_once);
    let open =
        || Guard::with_spent(appliance.trust(), AUDIENCE, Spent::durable(&path, Timestamp(0)).unwrap());
    assert!(open().admit(token(&outcomes), &cancel("#W1"), NOON).is_ok());
    let again = open().admit(token(&outcomes), &cancel("#W1"), NOON);
    assert!(matches!(again, Err(AdmitError::Spend(SpendError::AlreadySpent { uses: 1 }))));
}
