//! Notices over a real connection: heard across reconnects, believed as far as they verify, missed when they stop.

use std::time::Duration;

use assent_client::notice::to_bytes;
use assent_client::proto::hash::Hash;
use assent_client::proto::note::VerifierKey;
use assent_client::proto::number::{Epoch, TreeSize};
use assent_client::proto::wire::{KeyInUse, Notice};
use assent_client::{
    Client, ClientError, Closure, Config, Guard, Hearing, Notices, Refusal, SignedCheckpoint, Spent,
    Standing, Timestamp, VerifyError, Wallet,
};
use quinn::{SendStream, VarInt};
use tokio::time::timeout;

use crate::appliance::{AUDIENCE, Appliance, NOON, cancel};
use crate::connection::{Manner, Server};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until what was heard is so.
async fn until(notices: &mut Notices, what: &str, so: impl Fn(&Notices) -> bool) {
    // What is no news wakes nobody, so we look by ourselves too.
    let wait = async {
        while !so(notices) {
            let woken = timeout(Duration::from_millis(5), notices.changed()).await;
            assert!(woken.unwrap_or(true), "{what}: the client is gone");
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"));
}

/// An appliance, a client that listens, and the stream that tells it.
struct Scene {
    server: Server,
    client: Client,
    notices: Notices,
    stream: SendStream,
}

impl Scene {
    async fn with(config: impl FnOnce(Config) -> Config) -> Self {
        let server = Server::start(Manner::Answer);
        let client = Client::connect(&config(server.config())).await.unwrap();
        let notices = client.notices();
        let stream = server.connection().await.open_uni().await.unwrap();
        Self { server, client, notices, stream }
    }

    async fn new() -> Self {
        Self::with(|config| config).await
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    fn standing(&self, epoch: u64, lowest_epoch: u64, closed: Option<Closure>) -> Standing {
        let standing = self.server.appliance.lock().unwrap().standing(lowest_epoch);
        Standing { epoch: Epoch(epoch), closed, ..standing }
    }

    fn signed(&self, size: u64, root: u8) -> SignedCheckpoint {
        self.server.appliance.lock().unwrap().signed(size, Hash([root; 32]))
    }

    /// Says these behind one another, and waits until the last standing was heard.
    async fn say_and_wait(&mut self, first: &[u8], rest: &[SignedCheckpoint], last: &Standing) {
        let rest = rest.iter().flat_map(|signed| to_bytes(None, Some(signed)).split_off(1));
        let said = [first, &rest.collect::<Vec<_>>(), &to_bytes(Some(last), None)[1..]].concat();
        self.say(&said).await;
        until(&mut self.notices, "the last is heard", |notices| notices.standing().as_ref() == Some(last))
            .await;
    }
}

#[tokio::test]
async fn trip_and_rearm_are_heard_and_the_wallet_acts_on_them() {
    let mut scene = Scene::new().await;
    let (server, client) = (&scene.server, &scene.client);
    let mut wallet = Wallet::from(client.preauthorize(&[cancel("#W1"), cancel("#W2")]).await.unwrap());
    let refresh = |wallet: &mut Wallet| {
        let id = assent_client::BatchId::new(NOON, [2; 10]);
        wallet.refresh(id, NOON, Duration::from_secs(3600)).unwrap()
    };
    assert_eq!(server.appliance.lock().unwrap().epoch, Epoch(3));
    let tripped = scene.standing(4, 0, Some(Closure::Availability));
    scene.say_and_wait(&[1], &[], &tripped).await;
    wallet.heed(&scene.notices.standing().unwrap());
    assert!(refresh(&mut wallet).is_none());
    let armed = scene.standing(4, 4, None);
    scene.say_and_wait(&[], &[], &armed).await;
    wallet.heed(&scene.notices.standing().unwrap());
    assert!(wallet.is_empty(), "operators revoked what was decided before");
    assert_eq!((wallet.epoch(), refresh(&mut wallet).is_none()), (Some(Epoch(4)), true));
}

#[tokio::test]
async fn news_wakes_once_and_the_same_again_does_not() {
    let mut scene = Scene::new().await;
    let open = scene.standing(1, 0, None);
    scene.say_and_wait(&[1], &[scene.signed(50, 7)], &open).await;
    let mut waiting = scene.client.notices();
    assert!(waiting.changed().await, "what was heard before is news to who did not wait yet");
    while timeout(Duration::ZERO, waiting.changed()).await.is_ok() {}
    let again = Standing { time: NOON.plus_ms(9), ..open.clone() };
    scene.say_and_wait(&[], &[scene.signed(50, 7)], &again).await;
    assert!(timeout(Duration::ZERO, waiting.changed()).await.is_err(), "nothing has changed");
    let tripped = scene.standing(2, 0, Some(Closure::Integrity));
    scene.say(&to_bytes(Some(&tripped), None)[1..]).await;
    assert!(timeout(PATIENCE, waiting.changed()).await.unwrap());
    assert_eq!(waiting.standing(), Some(tripped));
}

#[tokio::test]
async fn checkpoints_are_believed_for_their_signature_and_reach_the_guard() {
    let mut scene = Scene::new().await;
    let good = scene.signed(60, 1);
    let forged = SignedCheckpoint { size: TreeSize(61), ..good };
    let open = scene.standing(1, 0, None);
    scene.say_and_wait(&[1], &[forged, good, forged], &open).await;
    assert_eq!((scene.notices.checkpoint(), scene.notices.dropped()), (Some(good), 2));
    assert_eq!(scene.notices.fork(), None, "what does not verify proves nothing");
    let trust = scene.server.appliance.lock().unwrap().trust();
    let guard = Guard::with_spent(trust, AUDIENCE, Spent::in_memory(Timestamp(0)));
    assert_eq!(guard.remember(&scene.notices.checkpoint().unwrap(), NOON), Ok(()));
    assert_eq!(guard.remember(&forged, NOON), Err(VerifyError::Signature));
}

#[tokio::test]
async fn who_trusts_nobody_believes_no_checkpoint_but_hears_the_standing() {
    let mut scene = Scene::with(|config| Config { trust: None, ..config }).await;
    let open = Standing { origin: "localhost/any/log/1".to_owned(), ..scene.standing(1, 0, None) };
    scene.say_and_wait(&[1], &[scene.signed(60, 1)], &open).await;
    assert_eq!((scene.notices.checkpoint(), scene.notices.dropped()), (None, 0));
}

#[tokio::test]
async fn standing_of_a_log_that_is_not_trusted_is_not_believed() {
    let mut scene = Scene::new().await;
    let ours = scene.standing(1, 0, None);
    let theirs = Standing { origin: "localhost/any/log/1".to_owned(), ..scene.standing(9, 9, None) };
    scene.say_and_wait(&to_bytes(Some(&theirs), None), &[], &ours).await;
    assert_eq!((scene.notices.standing(), scene.notices.dropped()), (Some(ours), 1));
}

#[tokio::test]
async fn forked_log_is_told_loudly_and_asked_no_more() {
    for (said, text) in [((60, 2), "has forked"), ((59, 1), "went back")] {
        let mut scene = Scene::new().await;
        assert!(scene.client.preauthorize(&[cancel("#W1")]).await.unwrap().all_allowed());
        let (known, said) = (scene.signed(60, 1), scene.signed(said.0, said.1));
        scene.say(&to_bytes(None, Some(&known))).await;
        scene.say(&to_bytes(None, Some(&said))[1..]).await;
        until(&mut scene.notices, "the fork is told", |notices| notices.fork().is_some()).await;
        let fork = scene.notices.fork().unwrap();
        assert_eq!((fork.known, fork.said), (known, said));
        let refused = scene.client.preauthorize(&[cancel("#W2")]).await.unwrap_err();
        assert!(matches!(&refused, ClientError::Forked(told) if **told == fork), "{refused}");
        let waited = timeout(PATIENCE, scene.notices.standing_where(|_| true)).await.unwrap();
        assert_eq!(waited, None, "no standing is believed any more, nor waited for");
        assert!(refused.to_string().contains(text) && !refused.can_be_repeated(), "{refused}");
        let both = [&known, &said].map(|signed| {
            let trust = scene.server.appliance.lock().unwrap().trust();
            Guard::new(trust, AUDIENCE).remember(signed, NOON)
        });
        assert_eq!(both, [Ok(()), Ok(())], "the proof convinces others");
    }
}

#[tokio::test]
async fn connection_that_breaks_is_made_anew_although_nobody_asks() {
    let mut scene = Scene::new().await;
    let open = scene.standing(1, 0, None);
    scene.say_and_wait(&[1], &[], &open).await;
    for epoch in 2..5 {
        scene
            .server
            .newest()
            .close(VarInt::from_u32(u32::from(Refusal::ShuttingDown.number())), b"restarting");
        let connection = timeout(PATIENCE, scene.server.connection()).await.unwrap();
        scene.stream = connection.open_uni().await.unwrap();
        let tripped = scene.standing(epoch, 0, Some(Closure::Availability));
        scene.say_and_wait(&[1], &[], &tripped).await;
    }
}

#[tokio::test]
async fn stream_that_is_reset_is_followed_by_another() {
    let mut scene = Scene::new().await;
    for epoch in 1..4 {
        let standing = scene.standing(epoch, 0, None);
        scene.say_and_wait(&[1], &[], &standing).await;
        scene.stream.reset(VarInt::from_u32(0)).unwrap();
        scene.stream = timeout(PATIENCE, scene.server.newest().open_uni()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn silence_is_told_with_its_beginning_and_ends_with_the_next_word() {
    let mut scene = Scene::with(|config| Config { silence: Duration::from_millis(100), ..config }).await;
    assert!(matches!(scene.notices.hearing(), Hearing::Silent { .. }), "nothing was heard yet");
    let open = scene.standing(1, 0, None);
    scene.say_and_wait(&[1], &[], &open).await;
    let Hearing::Heard(at) = scene.notices.hearing() else { panic!("it was heard") };
    until(
        &mut scene.notices,
        "silence is told",
        |notices| matches!(notices.hearing(), Hearing::Silent { since } if since >= at),
    )
    .await;
    assert_eq!(scene.notices.standing(), Some(open), "what was heard stays");
    // A kind of another version says nothing, and is heard all the same.
    scene.say(&[1, 99]).await;
    until(&mut scene.notices, "it is heard again", |notices| matches!(notices.hearing(), Hearing::Heard(_)))
        .await;
}

#[tokio::test]
async fn notice_that_is_malformed_ends_its_stream() {
    let mut scene = Scene::new().await;
    let open = scene.standing(1, 0, None);
    scene.say_and_wait(&[1], &[], &open).await;
    let mut wrong = to_bytes(Some(&scene.standing(2, 0, None)), None)[1..].to_vec();
    *wrong.last_mut().unwrap() = 3;
    scene.say(&wrong).await;
    let stopped = timeout(PATIENCE, scene.stream.stopped()).await.unwrap();
    let code = VarInt::from_u32(u32::from(Refusal::FrameInvalid.number()));
    assert!(matches!(stopped, Ok(Some(told)) if told == code), "{stopped:?}");
    assert_eq!((scene.notices.standing(), scene.notices.dropped()), (Some(open), 1));
    assert!(
        scene.client.preauthorize(&[cancel("#W1")]).await.unwrap().all_allowed(),
        "asking is another matter"
    );
}

#[tokio::test]
async fn key_that_the_trust_does_not_hold_is_told_and_not_trusted() {
    let mut scene = Scene::new().await;
    let key = |seed| ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key();
    let vkey = |seed| VerifierKey::new("localhost/test/log/1", key(seed).as_bytes()).unwrap().to_string();
    let (ours, next) = (vkey(7), vkey(8));
    let mut said = vec![1];
    Notice::Key(KeyInUse { time: NOON, vkey: &next }).append(&mut said).unwrap();
    scene.say(&said).await;
    until(&mut scene.notices, "the key is told", |notices| notices.unknown_key().as_ref() == Some(&next))
        .await;
    let theirs = Appliance::with_key(8).signed(70, Hash([1; 32]));
    let open = scene.standing(1, 0, None);
    scene.say_and_wait(&[], &[theirs], &open).await;
    assert_eq!((scene.notices.checkpoint(), scene.notices.dropped()), (None, 1));
    said.clear();
    Notice::Key(KeyInUse { time: NOON, vkey: &ours }).append(&mut said).unwrap();
    scene.say(&said).await;
    until(&mut scene.notices, "ours is known", |notices| notices.unknown_key().is_none()).await;
}

#[tokio::test]
async fn who_does_not_listen_gives_no_leave_for_a_stream() {
    let server = Server::start(Manner::Answer);
    let client = Client::connect(&server.config()).await.unwrap();
    let connection = server.connection().await;
    assert!(client.preauthorize(&[cancel("#W1")]).await.unwrap().all_allowed());
    assert!(timeout(Duration::from_millis(50), connection.open_uni()).await.is_err());
    let _notices = client.notices();
    assert!(timeout(PATIENCE, connection.open_uni()).await.unwrap().is_ok());
}

#[tokio::test]
async fn hearing_ends_with_the_client() {
    let Scene { client, mut notices, server, .. } = Scene::new().await;
    client.close().await;
    assert!(!timeout(PATIENCE, notices.changed()).await.unwrap());
    assert!(notices.standing_where(|_| true).await.is_none());
    drop(server);
}
