//! The wallet: found by intent and audience, dropped when stale, asked for again ahead of time.

use std::time::Duration;

use assent_client::proto::entry::Grounds;
use assent_client::proto::wire::{Request, Verdict};
use assent_client::{BatchId, Intent, Wallet};

use crate::appliance::{Appliance, NOON, cancel, deny};

fn for_seconds(window_s: u32) -> Verdict {
    Verdict::Allow { window_s, uses: 1, grounds: Grounds::Policy }
}

#[test]
fn token_is_found_by_act_and_audience_within_its_window() {
    let elsewhere = Intent { audience: "billing-api".to_owned(), ..cancel("#W1") };
    let asked = [cancel("#W1"), elsewhere.clone(), cancel("#W2")];
    let outcomes = Appliance::with_log_of(3).ask(&asked, |_| for_seconds(60));
    let wallet = Wallet::from(outcomes);
    assert_eq!(wallet.len(), 3);
    let index = |intent: &Intent| wallet.find(intent, NOON).map(|token| token.index().0);
    assert_eq!(
        (index(&cancel("#W1")), index(&elsewhere), index(&cancel("#W2"))),
        (Some(3), Some(4), Some(5))
    );
    assert_eq!(index(&cancel("#W3")), None);
    assert_eq!(wallet.find(&cancel("#W1"), NOON.plus_ms(60_001)), None);
    assert_eq!(wallet.find(&cancel("#W1"), NOON.minus_ms(2001)), None);
}

#[test]
fn of_several_tokens_the_one_that_ends_first_is_taken_first() {
    let mut appliance = Appliance::with_log_of(0);
    let mut wallet = Wallet::from(appliance.ask(&[cancel("#W1")], |_| for_seconds(300)));
    wallet.add(appliance.ask(&[cancel("#W1")], |_| for_seconds(60)));
    let first = wallet.find(&cancel("#W1"), NOON).unwrap().bytes().to_vec();
    assert_eq!(wallet.take(&cancel("#W1"), NOON), Some(first.clone()));
    let second = wallet.take(&cancel("#W1"), NOON).unwrap();
    assert_ne!(first, second);
    assert_eq!(wallet.take(&cancel("#W1"), NOON), None);
    assert!(wallet.is_empty());
}

#[test]
fn clock_that_is_a_little_behind_still_finds_a_fresh_token() {
    let wallet = Wallet::from(Appliance::with_log_of(0).ask(&[cancel("#W1")], |_| for_seconds(60)));
    assert!(wallet.find(&cancel("#W1"), NOON.minus_ms(2000)).is_some());
}

#[test]
fn stale_tokens_are_dropped_and_the_others_stay() {
    let outcomes = Appliance::with_log_of(0).ask(&[cancel("#short"), cancel("#long")], |intent| {
        for_seconds(if intent.act.resource.id == "#long" { 600 } else { 60 })
    });
    let mut wallet = Wallet::from(outcomes);
    let later = NOON.plus_ms(120_000);
    wallet.drop_stale(later);
    assert_eq!(wallet.len(), 1);
    assert!(wallet.find(&cancel("#long"), later).is_some());
}

#[test]
fn refresh_asks_again_for_what_ends_soon_and_has_no_successor() {
    let mut appliance = Appliance::with_log_of(0);
    let intents = [cancel("#short"), cancel("#long")];
    let decide = |intent: &assent_client::proto::intent::Intent<'_>| {
        for_seconds(if intent.act.resource.id == "#long" { 600 } else { 60 })
    };
    let mut wallet = Wallet::from(appliance.ask(&intents, decide));
    let (id, minute) = (BatchId::new(NOON, [2; 10]), Duration::from_secs(60));
    assert!(wallet.refresh(id, NOON, Duration::from_secs(30)).unwrap().is_none());

    appliance.now = NOON.plus_ms(30_000);
    let batch = wallet.refresh(id, appliance.now, minute).unwrap().unwrap();
    let asked: Vec<_> =
        Request::parse(batch.frame()).unwrap().intents().map(|(intent, _)| intent.act.resource.id).collect();
    assert_eq!(asked, ["#short"]);

    let reply = appliance.answer(batch.frame(), |_| for_seconds(300));
    wallet.add(batch.open(&reply, Some(&appliance.trust()), appliance.now).unwrap());
    assert!(wallet.refresh(id, appliance.now, minute).unwrap().is_none());
    assert!(wallet.find(&cancel("#short"), NOON.plus_ms(200_000)).is_some());
}

/// Refreshes so often, each time so much later, and gives how many tokens each batch asked for.
fn refresh_often(wallet: &mut Wallet, appliance: &mut Appliance, times: u64, later_ms: u64) -> Vec<usize> {
    let ahead = Duration::from_secs(60);
    let asked = (0..times).map(|time| {
        appliance.now = NOON.plus_ms(time * later_ms);
        let Some(batch) = wallet.refresh(BatchId::new(appliance.now, [2; 10]), appliance.now, ahead).unwrap()
        else {
            return 0;
        };
        let reply = appliance.answer(batch.frame(), |_| for_seconds(40));
        wallet.add(batch.clone().open(&reply, Some(&appliance.trust()), appliance.now).unwrap());
        batch.len()
    });
    asked.collect()
}

#[test]
fn refresh_asks_for_as_many_as_there_are_acts_however_far_ahead() {
    for later_ms in [0, 1, 15_000, 39_000] {
        let mut appliance = Appliance::with_log_of(0);
        let acts = [cancel("#W1"), cancel("#W2"), cancel("#W2")];
        let mut wallet = Wallet::from(appliance.ask(&acts, |_| for_seconds(40)));
        assert_eq!(refresh_often(&mut wallet, &mut appliance, 6, later_ms), [3; 6], "{later_ms} ms");
        assert!(wallet.find(&cancel("#W1"), appliance.now).is_some());
    }
}

#[test]
fn refresh_within_the_window_asks_once_for_each_window() {
    let mut appliance = Appliance::with_log_of(0);
    let mut wallet = Wallet::from(appliance.ask(&[cancel("#W1"), cancel("#W2")], |_| for_seconds(90)));
    for time in 1..9 {
        appliance.now = NOON.plus_ms(time * 50_000);
        let id = BatchId::new(appliance.now, [2; 10]);
        // More than half of the window, so what is new ends before the next time is over.
        let batch = wallet.refresh(id, appliance.now, Duration::from_secs(60)).unwrap().unwrap();
        assert_eq!(batch.len(), 2);
        let reply = appliance.answer(batch.frame(), |_| for_seconds(90));
        wallet.add(batch.open(&reply, Some(&appliance.trust()), appliance.now).unwrap());
        assert_eq!(wallet.len(), 4);
        assert!(wallet.refresh(id, appliance.now, Duration::from_secs(60)).unwrap().is_none());
    }
}

#[test]
fn answer_that_came_twice_is_succeeded_once() {
    let mut appliance = Appliance::with_log_of(0);
    let mut wallet = Wallet::from(appliance.ask(&[cancel("#W1")], |_| for_seconds(40)));
    let ahead = Duration::from_secs(60);
    let batch = wallet.refresh(BatchId::new(NOON, [2; 10]), NOON, ahead).unwrap().unwrap();
    let reply = appliance.answer(batch.frame(), |_| for_seconds(40));
    for _ in 0..2 {
        wallet.add(batch.clone().open(&reply, Some(&appliance.trust()), NOON).unwrap());
    }
    assert_eq!(refresh_often(&mut wallet, &mut appliance, 3, 1), [1; 3]);
}

#[test]
fn act_whose_successor_was_refused_is_asked_for_again_although_the_others_last() {
    let mut appliance = Appliance::with_log_of(0);
    let mut wallet = Wallet::from(appliance.ask(&[cancel("#W1"), cancel("#W1")], |_| for_seconds(40)));
    let ahead = Duration::from_secs(60);
    let batch = wallet.refresh(BatchId::new(NOON, [2; 10]), NOON, ahead).unwrap().unwrap();
    assert_eq!(batch.len(), 2);
    let answered = std::cell::Cell::new(0);
    let reply = appliance.answer(batch.frame(), |intent| {
        answered.set(answered.get() + 1);
        if answered.get() == 1 { for_seconds(300) } else { deny(intent) }
    });
    wallet.add(batch.open(&reply, Some(&appliance.trust()), NOON).unwrap());
    let again = wallet.refresh(BatchId::new(NOON, [3; 10]), NOON, ahead).unwrap().unwrap();
    assert_eq!(again.len(), 1);
}

#[test]
fn tokens_that_have_ended_are_dropped_and_not_asked_for() {
    let mut appliance = Appliance::with_log_of(0);
    let mut wallet = Wallet::from(appliance.ask(&[cancel("#W1")], |_| for_seconds(60)));
    let later = NOON.plus_ms(60_001);
    assert!(wallet.refresh(BatchId::new(later, [2; 10]), later, Duration::from_secs(60)).unwrap().is_none());
    assert!(wallet.is_empty());
}

#[test]
fn closed_boundary_ends_asking_and_not_the_tokens_that_are_there() {
    let mut appliance = Appliance::with_log_of(0);
    let mut wallet = Wallet::from(appliance.ask(&[cancel("#W1")], |_| for_seconds(60)));
    let (id, ahead) = (BatchId::new(NOON, [2; 10]), Duration::from_secs(120));
    assert!(wallet.refresh(id, NOON, ahead).unwrap().is_some(), "who was told nothing asks");
    appliance.boundary_open = false;
    appliance.epoch.0 += 1;
    wallet.heed(&appliance.standing(0));
    assert_eq!(wallet.epoch(), Some(appliance.epoch));
    assert!(wallet.refresh(id, NOON, ahead).unwrap().is_none());
    assert!(wallet.find(&cancel("#W1"), NOON).is_some());
    appliance.boundary_open = true;
    wallet.heed(&appliance.standing(0));
    assert!(wallet.refresh(id, NOON, ahead).unwrap().is_some());
}

#[test]
fn revoked_tokens_are_forgotten_and_not_taken_up_again() {
    let mut appliance = Appliance::with_log_of(0);
    let old = appliance.ask(&[cancel("#W1"), cancel("#W2")], |_| for_seconds(60));
    let mut wallet = Wallet::from(old.clone());
    appliance.epoch.0 += 1;
    wallet.add(appliance.ask(&[cancel("#W2"), cancel("#W3")], |_| for_seconds(60)));
    assert_eq!(wallet.len(), 4);
    let elsewhere =
        assent_client::Standing { origin: "localhost/test/log/2".to_owned(), ..appliance.standing(4) };
    wallet.heed(&elsewhere);
    assert_eq!(wallet.len(), 4, "another log's revocations say nothing of these");
    wallet.heed(&appliance.standing(3));
    assert_eq!(wallet.len(), 4, "the epoch in which they were decided is not below");
    wallet.heed(&appliance.standing(4));
    let held = ["#W1", "#W2", "#W3"].map(|order| wallet.find(&cancel(order), NOON).is_some());
    assert_eq!((held, wallet.len()), ([false, true, true], 2));
    wallet.add(old);
    assert_eq!(wallet.len(), 2);
    let asked = wallet.refresh(BatchId::new(NOON, [2; 10]), NOON, Duration::from_secs(120)).unwrap().unwrap();
    assert_eq!(asked.len(), 2, "what was revoked is not asked for again");
}

#[test]
fn revocation_reaches_tokens_whose_log_nobody_vouched_for() {
    let mut appliance = Appliance::with_log_of(0);
    let batch = crate::appliance::batch_of(&[cancel("#W1")]);
    let reply = appliance.answer(batch.frame(), |_| for_seconds(60));
    let outcomes = batch.open(&reply, None, NOON).unwrap();
    assert_eq!((outcomes.origin(), outcomes.epoch()), (None, appliance.epoch));
    let mut wallet = Wallet::from(outcomes);
    appliance.epoch.0 += 1;
    wallet.heed(&appliance.standing(4));
    assert!(wallet.is_empty());
}
