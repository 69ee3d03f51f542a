//! Notices, end to end: every agent hears at once that the boundary trips and re-arms, silence is told, what is heard agrees
//! with the log, and who does not read costs only itself.

use std::collections::BTreeMap;
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::log::reader::Reader;
use appliance::sample::AUDIENCE;
use assent_client::guard::{AdmitError, Guard, VerifyError};
use assent_client::spent::Spent;
use assent_client::wallet::Wallet;
use assent_client::{Closure, Hearing, Notices, Standing};
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_NOTICE_BYTES;
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::tree::Frontier;
use assent_proto::wire::{self, ALPN, Arrived, Notice, NoticeReader, SignedCheckpoint};
use quinn::{Connection, RecvStream, TransportConfig, VarInt};
use rustix::process::{Signal, kill_process};
use tokio::time::timeout;

use crate::operators::{Office, inject, staffed};
use crate::support::agent::{Agent, allowed, batch_id, now, trust};
use crate::support::raw::{Identity, connect, connect_within, exchange};
use crate::support::{Appliance, Hsm, PATIENCE, eventually, softhsm};

/// How soon a connected agent must know of a trip, on a machine that does other things too.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Waits for a standing; gives it with how long it took.
fn wait(agent: &Agent, notices: &mut Notices, wanted: impl Fn(&Standing) -> bool) -> (Standing, Duration) {
    let watch = Stopwatch::start();
    let heard = agent.runtime.block_on(async { timeout(PATIENCE, notices.standing_where(wanted)).await });
    (heard.expect("it is heard in time").expect("the client is there"), watch.elapsed())
}

fn open_in(epoch: u64) -> impl Fn(&Standing) -> bool {
    move |standing| standing.is_open() && standing.epoch == Epoch(epoch)
}

/// The smallest, the one in the middle, the largest.
fn spread(mut times: Vec<Duration>) -> [Duration; 3] {
    times.sort_unstable();
    [times[0], times[times.len() / 2], times[times.len() - 1]]
}

fn killed_signer_is_heard_at_once(hsm: Hsm) {
    let mut appliance = Appliance::start(hsm);
    let agent = Agent::connect_trusting(&appliance);
    let mut notices = agent.client.notices();
    let mut epoch = appliance.wait_until_open().epoch;
    wait(&agent, &mut notices, open_in(epoch));
    let (mut trips, mut arms, mut closed) = (Vec::new(), Vec::new(), 0);
    while trips.len() < 12 || closed == 0 {
        assert!(trips.len() < 100, "no trip was heard before its re-arm");
        let signer = appliance.signer();
        let watch = Stopwatch::start();
        kill_process(signer, Signal::KILL).expect("the signer can be killed");
        let (standing, _) = wait(&agent, &mut notices, |standing| standing.epoch > Epoch(epoch));
        trips.push(watch.elapsed());
        closed += u32::from(!standing.is_open());
        epoch += 1;
        assert_eq!(standing.epoch, Epoch(epoch), "each trip raises the epoch once");
        wait(&agent, &mut notices, open_in(epoch));
        arms.push(watch.elapsed());
        assert!(agent.preauthorize(&[allowed()]).all_allowed(), "what is told open is open");
    }
    println!("kill to notice, idle: {:?}; kill to re-arm heard: {:?}", spread(trips.clone()), spread(arms));
    assert!(trips.iter().all(|delay| *delay < AT_ONCE), "{trips:?}");
    assert_eq!((notices.dropped(), notices.fork()), (0, None));
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn killed_signer_is_heard_at_once_on_the_simulator() {
    killed_signer_is_heard_at_once(Hsm::Simulator);
}

#[test]
fn killed_signer_is_heard_at_once_on_softhsm() {
    if softhsm::present() {
        killed_signer_is_heard_at_once(Hsm::SoftHsm);
    }
}

#[test]
fn wallet_and_guard_act_on_what_is_heard() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect_trusting(&appliance);
    let mut notices = agent.client.notices();
    let epoch = appliance.wait_until_open().epoch;
    wait(&agent, &mut notices, open_in(epoch));
    let guard = Guard::new(trust(&appliance), "store-api");
    let mut wallet = Wallet::from(agent.preauthorize(&[allowed()]));
    let ahead = Duration::from_secs(24 * 3600);
    kill_process(appliance.signer(), Signal::STOP).expect("the signer can be stopped");
    let (tripped, _) = wait(&agent, &mut notices, |standing| !standing.is_open());
    wallet.heed(&tripped);
    assert!(wallet.refresh(batch_id(), now(), ahead).expect("a batch").is_none(), "asking is pointless");
    assert!(wallet.find(&allowed(), now()).is_some(), "what is in the log is good");
    let (armed, _) = wait(&agent, &mut notices, open_in(epoch + 1));
    wallet.heed(&armed);
    guard.heed(&armed);
    let again = wallet.refresh(batch_id(), now(), ahead).expect("a batch").expect("asking makes sense");
    let outcomes = agent.runtime.block_on(agent.client.ask(again)).expect("outcomes");
    assert!(outcomes.all_allowed());
    assert_eq!(outcomes.epoch(), Epoch(epoch + 1));
    eventually("the round's checkpoint is heard", || {
        notices.checkpoint().filter(|checkpoint| guard.remember(checkpoint, now()).is_ok())
    });
    assert_eq!(guard.heed_all(&notices.to_bytes(), now()), Ok(()));
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn what_operators_revoke_is_refused_by_whoever_heard_it() {
    let mut appliance = staffed("");
    let agent = Agent::connect_trusting(&appliance);
    let mut notices = agent.client.notices();
    let epoch = appliance.wait_until_open().epoch;
    let guard = || Guard::with_spent(trust(&appliance), AUDIENCE, Spent::in_memory(Timestamp(0)));
    let (hears, reads, hears_nothing) = (guard(), guard(), guard());
    let mut wallet = Wallet::from(agent.preauthorize(&[allowed()]));
    let token = wallet.find(&allowed(), now()).expect("a token").bytes().to_vec();

    inject(&appliance, "corrupt --times 1");
    let (grave, _) = wait(&agent, &mut notices, |standing| standing.closed == Some(Closure::Integrity));
    wallet.heed(&grave);
    hears.heed(&grave);
    assert!(wallet.find(&allowed(), now()).is_some(), "nobody has revoked it yet");
    let office = Office { appliance: &appliance };
    let statement = office.statement(true);
    let [alice, bob] = ["alice", "bob"].map(|name| office.sign(name, "assent-rearm@v1", &statement));
    assert_eq!(office.order(true, &[&alice, &bob]).0, 0);

    let (armed, _) = wait(&agent, &mut notices, |standing| standing.lowest_epoch > Epoch(epoch));
    let (armed, _) = wait(&agent, &mut notices, open_in(armed.epoch.0));
    assert_eq!(armed.lowest_epoch, armed.epoch);
    wallet.heed(&armed);
    assert!(wallet.is_empty());
    hears.heed(&armed);
    assert_eq!(reads.heed_all(&notices.to_bytes(), now()), Ok(()));
    for guard in [&hears, &reads] {
        let refused = guard.admit(&token, &allowed(), now());
        assert!(matches!(refused, Err(AdmitError::Verify(VerifyError::Epoch))), "{refused:?}");
    }
    assert!(hears_nothing.admit(&token, &allowed(), now()).is_ok(), "it is as it was");
    wallet.add(agent.preauthorize(&[allowed()]));
    let token = wallet.find(&allowed(), now()).expect("a token of the new epoch");
    assert!(hears.admit(token.bytes(), &allowed(), now()).is_ok());
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn appliance_that_stands_still_is_told_silent_and_heard_again() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect_trusting(&appliance);
    let mut notices = agent.client.notices();
    wait(&agent, &mut notices, Standing::is_open);
    let mut until = |what: &str, so: fn(Hearing) -> bool| {
        let watch = Stopwatch::start();
        agent.runtime.block_on(async {
            while !so(notices.hearing()) {
                assert!(timeout(PATIENCE, notices.changed()).await.expect(what), "the client is there");
            }
        });
        watch.elapsed()
    };
    kill_process(appliance.process(), Signal::STOP).expect("the appliance can be stopped");
    let silent = until("silence is told", |hearing| matches!(hearing, Hearing::Silent { .. }));
    kill_process(appliance.process(), Signal::CONT).expect("the appliance can go on");
    let heard = until("it is heard again", |hearing| matches!(hearing, Hearing::Heard(_)));
    println!("stopped appliance told silent after {silent:?}, heard again {heard:?} after it went on");
    assert!(silent < assent_client::limits::SILENCE + Duration::from_secs(2));
}

#[test]
fn what_is_heard_through_kills_of_everything_agrees_with_the_log() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect_trusting(&appliance);
    let mut notices = agent.client.notices();
    let mut heard: BTreeMap<u64, Hash> = BTreeMap::new();
    for turn in 0..6 {
        let open = appliance.wait_until_open().epoch;
        wait(&agent, &mut notices, open_in(open));
        for _ in 0..40 {
            let _ = agent.preauthorize(&[allowed()]);
            if let Some(SignedCheckpoint { size, root, .. }) = notices.checkpoint() {
                assert_eq!(*heard.entry(size.0).or_insert(root), root, "one size, one root");
            }
        }
        if turn % 2 == 0 {
            kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
        } else {
            appliance.kill();
            appliance.launch();
        }
    }
    assert_eq!((notices.dropped(), notices.fork()), (0, None));
    drop(agent);
    appliance.stop_and_verify_log();
    let reader = Reader::open(&appliance.log()).expect("the log opens");
    let leaves = reader.leaves(0..reader.size().expect("a size").0).expect("leaves");
    let mut tree = Frontier::new();
    let sizes = heard.len();
    for leaf in leaves.iter() {
        tree.append(Hash::of_leaf(leaf)).expect("the log has room");
        if let Some(root) = heard.remove(&tree.size().0) {
            assert_eq!(root, tree.root(), "the log of {} leaves", tree.size());
        }
    }
    println!("{sizes} sizes were heard, and the log has had each of them");
    assert!(sizes > 6 && heard.is_empty(), "{heard:?}");
}

/// The next stream that the appliance opens.
async fn stream_of(connection: &Connection) -> RecvStream {
    timeout(PATIENCE, connection.accept_uni()).await.expect("in time").expect("a stream")
}

/// Reads the next notice; none where the stream was given up.
async fn next(stream: &mut RecvStream, reader: &mut NoticeReader, kept: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let mut rest = kept.as_slice();
        if let Some(arrived) = reader.read(&mut rest).expect("notices are canonical") {
            let mut bytes = Vec::new();
            wire::begin_notices(&mut bytes);
            let Arrived::Notice(notice) = arrived else { panic!("{arrived:?} is not of this version") };
            notice.append(&mut bytes).expect("what was read can be written");
            *kept = rest.to_vec();
            return Some(bytes);
        }
        *kept = rest.to_vec();
        let chunk =
            timeout(PATIENCE, stream.read_chunk(MAX_NOTICE_BYTES, true)).await.expect("it comes in time");
        kept.extend_from_slice(&chunk.ok()?.expect("the appliance ends no stream").bytes);
    }
}

fn is_standing(bytes: &[u8]) -> bool {
    matches!(wire::notices(bytes).next(), Some(Ok(Notice::Standing(_))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn stream_begins_with_the_standing_beats_when_idle_and_is_sparing_when_busy() {
    let appliance = Appliance::start(Hsm::Simulator);
    let (_endpoint, connection) =
        connect(&appliance, Some(Identity::enrolled(&appliance)), ALPN).await.expect("a connection");
    let mut stream = stream_of(&connection).await;
    let (mut reader, mut kept) = (NoticeReader::new(), Vec::new());
    let first = next(&mut stream, &mut reader, &mut kept).await.expect("a notice");
    assert!(is_standing(&first), "a standing comes first");
    let idle = Stopwatch::start();
    let mut longest = Duration::ZERO;
    while idle.elapsed() < Duration::from_secs(3) {
        let gap = Stopwatch::start();
        next(&mut stream, &mut reader, &mut kept).await.expect("a notice");
        longest = longest.max(gap.elapsed());
    }
    assert!(longest < assent_client::limits::SILENCE / 2, "{longest:?} without a word");
    // Every batch is a round with a checkpoint; few of them are told.
    let intent = allowed();
    let (mut rounds, mut told) = (0, 0);
    let busy = Stopwatch::start();
    while busy.elapsed() < Duration::from_secs(2) {
        let batch = assent_client::Batch::new(batch_id(), [&intent]).expect("a batch");
        tokio::select! {
            biased;
            bytes = next(&mut stream, &mut reader, &mut kept) => {
                told += u32::from(!is_standing(&bytes.expect("a notice")));
            }
            reply = exchange(&connection, batch.frame()) => rounds += u32::from(reply.is_ok()),
        }
    }
    let most = u32::try_from(busy.elapsed().as_millis() / 100).expect("a small number") + 2;
    println!("idle: at most {longest:?} without a word; busy: {rounds} rounds, {told} checkpoints told");
    assert!(rounds > most, "{rounds} rounds are too few to tell");
    assert!((5..=most).contains(&told), "{told} checkpoints in {:?}", busy.elapsed());
}

/// Times of lone answers.
fn lone_answers(agent: &Agent) -> [Duration; 3] {
    let intent = allowed();
    let times = (0..200).map(|_| {
        let watch = Stopwatch::start();
        assert!(agent.preauthorize(std::slice::from_ref(&intent)).all_allowed());
        watch.elapsed()
    });
    spread(times.collect())
}

#[test]
fn agents_that_never_read_their_notices_cost_only_themselves() {
    const STALLED: usize = 32;
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect_trusting(&appliance);
    let mut notices = agent.client.notices();
    let epoch = appliance.wait_until_open().epoch;
    let before = lone_answers(&agent);
    let stalled: Vec<_> = (0..STALLED)
        .map(|_| {
            let mut transport = TransportConfig::default();
            transport
                .stream_receive_window(VarInt::from_u32(16))
                .keep_alive_interval(Some(Duration::from_secs(1)));
            let identity = Identity::enrolled(&appliance);
            let connected = connect_within(&appliance, Some(identity), ALPN, transport);
            agent.runtime.block_on(connected).expect("a connection")
        })
        .collect();
    let streams: Vec<_> =
        stalled.iter().map(|(_, connection)| agent.runtime.block_on(stream_of(connection))).collect();
    let during = lone_answers(&agent);
    kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
    let (_, delay) = wait(&agent, &mut notices, |standing| standing.epoch > Epoch(epoch));
    wait(&agent, &mut notices, open_in(epoch + 1));
    println!(
        "lone answers alone {before:?}, beside {STALLED} that never read {during:?}; trip heard after {delay:?}"
    );
    assert!(during[1] < before[1] * 3 + Duration::from_millis(5));
    assert!(delay < AT_ONCE);
    // Each is given up, and told the newest on another stream.
    agent.runtime.block_on(async {
        for (mut stream, (_, connection)) in streams.into_iter().zip(&stalled) {
            let reset = timeout(PATIENCE, stream.received_reset()).await.expect("in time");
            assert!(reset.expect("a reset").is_some());
            // One that waits for us too long is given up like the first.
            let bytes = loop {
                let mut stream = stream_of(connection).await;
                if let Some(bytes) = next(&mut stream, &mut NoticeReader::new(), &mut Vec::new()).await {
                    break bytes;
                }
            };
            let Some(Ok(Notice::Standing(standing))) = wire::notices(&bytes).next() else {
                panic!("{bytes:?}")
            };
            assert_eq!(standing.epoch, Epoch(epoch + 1));
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn agent_that_gives_no_leave_for_streams_is_answered_as_ever_and_may_open_none() {
    let appliance = Appliance::start(Hsm::Simulator);
    let mut transport = TransportConfig::default();
    transport.max_concurrent_uni_streams(VarInt::from_u32(0));
    let identity = Identity::enrolled(&appliance);
    let (_endpoint, connection) =
        connect_within(&appliance, Some(identity), ALPN, transport).await.expect("a connection");
    let epoch = appliance.wait_until_open().epoch;
    let ask = || async {
        let batch = assent_client::Batch::new(batch_id(), [&allowed()]).expect("a batch");
        let reply = exchange(&connection, batch.frame()).await.expect("a reply");
        batch.open(&reply, Some(&trust(&appliance)), now()).expect("outcomes").all_allowed()
    };
    assert!(ask().await);
    kill_process(appliance.signer(), Signal::KILL).expect("the signer can be killed");
    eventually("it re-arms", || {
        appliance.status().filter(|status| status.epoch > epoch && status.boundaries.token.open)
    });
    assert!(ask().await);
    // The wait is for what must not come: that a whole exchange fits into it was seen above.
    assert!(timeout(Duration::from_millis(100), connection.open_uni()).await.is_err());
}

#[test]
fn agent_that_stops_its_notices_is_answered_and_not_told_again() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    agent.runtime.block_on(async {
        let identity = Identity::enrolled(&appliance);
        let (_endpoint, connection) = connect(&appliance, Some(identity), ALPN).await.expect("a connection");
        let mut stream = stream_of(&connection).await;
        stream.stop(VarInt::from_u32(0)).expect("it can be stopped");
        let batch = assent_client::Batch::new(batch_id(), [&allowed()]).expect("a batch");
        assert!(exchange(&connection, batch.frame()).await.is_ok());
        // Longer than the heartbeat, which would have found the stream stopped.
        assert!(timeout(Duration::from_millis(2500), connection.accept_uni()).await.is_err());
        let batch = assent_client::Batch::new(batch_id(), [&allowed()]).expect("a batch");
        assert!(exchange(&connection, batch.frame()).await.is_ok());
    });
}
