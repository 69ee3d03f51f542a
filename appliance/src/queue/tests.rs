//! The queue beside a sealer that does not run: what was handed to it stays in its hands, until it is dropped.

use std::collections::BTreeMap;
use std::time::Duration;

use assent_proto::codec;
use assent_proto::entry::{self, Entry, Salt};
use assent_proto::hash::Hash;
use assent_proto::intent::{OnUnavailable, Priority, Terms, Uid};
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex};
use assent_proto::wire::{Frame, begin_request, push_intent};
use ed25519_dalek::SigningKey;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::approval::Held;
use super::approving::{ApprovalAnswer, ApprovalDesk};
use super::*;
use crate::break_glass::BreakGlass;
use crate::clock::Clock;
use crate::disk::Space;
use crate::hsm::{HsmSettings, Pin};
use crate::identity::SpiffeId;
use crate::log::keyring::Keyring;
use crate::log::store::{Identity, Row, Store};
use crate::log::{Commit, Leaves, Log, Recorded, Unsigned, request_digest};
use crate::pipeline::{Lanes, Pipeline, Turn};
use crate::policy::Policies;
use crate::sample;
use crate::token::{Authority, Sealer, SealerHandle, SealerSettings};

const ORIGIN: &str = "localhost/test/log/1";
const AGENT: &str = "spiffe://assent.test/agent/retail-support";
const NOW: Timestamp = Timestamp(1_000_000_000_000);
/// For what should come at once: without it a test would wait for ever.
const SOON: Duration = Duration::from_secs(5);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

fn line(until: Timestamp) -> Line {
    let batch = assent_proto::wire::BatchId::new(NOW, [7; 10]);
    Line { intents: 1, bytes: 100, ..Line::new(Ticket::new(batch, 0, until), AGENT, Priority::Normal, NOW) }
}

fn hold(until: Timestamp) -> Line {
    Line { state: State::AwaitingApproval(Vec::new()), ..line(until) }
}

/// A request of one intent, under this ticket's id.
fn request(line: &Line) -> Vec<u8> {
    let (mut intent, mut frame) = (Vec::new(), Vec::new());
    Uid { type_name: "Retail::Action", id: "cancel_pending_order" }.append(&mut intent);
    Uid { type_name: "Retail::Order", id: "1" }.append(&mut intent);
    codec::append_varint(0, &mut intent);
    let on_unavailable = OnUnavailable::Queue;
    let terms = Terms { audience: "", window_s: None, uses: None, priority: None, on_unavailable };
    codec::append(&terms, &mut intent).unwrap();
    begin_request(line.ticket().0, 1, &mut frame);
    push_intent(&intent, &mut frame);
    assert!(matches!(Frame::parse(&frame), Ok(Frame::Preauthorize(_))));
    frame
}

/// A log with rows in it.
struct Kept {
    folder: TempDir,
    log: Log,
}

impl Kept {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signing = SigningKey::from_bytes(&[1; 32]);
        let key = VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes()).unwrap();
        let path = folder.path().join("log.redb");
        Store::create(&path, &Identity::new(ORIGIN, &key.to_string())).unwrap();
        let ring = Keyring::found(&folder.path().join("keys.toml"), &key, &[1], Timestamp(0)).unwrap();
        let log = Log::open(&path, &folder.path().join("fence/checkpoint"), ring).unwrap();
        Self { folder, log }
    }

    fn commit(&mut self, rows: Vec<Row>, answers: Vec<Recorded<'_>>) {
        let (mut leaves, mut frontier) = (Leaves::default(), self.log.frontier().clone());
        let first = LeafIndex(frontier.size().0);
        let entry = entry::Rearm { salt: Salt([0; 16]), time: NOW, epoch: Epoch(0) };
        frontier.append(leaves.push(&Entry::Rearm(entry)).unwrap()).unwrap();
        let commit = Commit {
            first,
            leaves: vec![&leaves],
            requests: Vec::new(),
            answers,
            rows,
            frontier: &frontier,
            checkpoint: None,
            epoch: Epoch(0),
            lowest_epoch: Epoch(0),
            unsigned: Unsigned::default(),
            time: NOW,
        };
        let receipt = self.log.commit(&commit).unwrap();
        assert_eq!(receipt.size(), frontier.size());
    }

    fn queue(&self) -> Arc<Queue> {
        let most = u64::MAX;
        let limits =
            QueueLimits { intents: most, bytes: most, principal_intents: most, principal_bytes: most };
        Queue::open(&self.log.reader(), limits).unwrap()
    }
}

fn waits(line: &Line) -> Row {
    Row::put(Room::Waits, line.key().as_bytes(), line.encoded().unwrap())
}

fn waiting_intents(line: &Line) -> Row {
    Row::put(Room::WaitingIntents, line.key().as_bytes(), request(line))
}

/// A queue in which one ticket waits, before a sealer that does not run.
struct Scene {
    folder: TempDir,
    key: BatchKey,
    queue: Arc<Queue>,
    policies: Arc<Policies>,
    pipeline: Arc<Pipeline>,
    sealer: Sealer,
    handle: SealerHandle,
}

impl Scene {
    fn new(line: &Line) -> Self {
        let mut kept = Kept::new();
        kept.commit(vec![waits(line), waiting_intents(line)], Vec::new());
        let queue = kept.queue();
        let Kept { folder, log } = kept;
        let path = folder.path();
        sample::write_bundle(&path.join("bundle")).unwrap();
        let policies = Arc::new(Policies::load_unrecorded(&path.join("bundle")).unwrap());
        let clock = Clock::manual(NOW);
        let break_glass = BreakGlass::open(&log.reader(), ORIGIN.to_owned(), path.join("charters")).unwrap();
        std::fs::write(path.join("pin"), "123456").unwrap();
        let hsm = HsmSettings {
            module: path.join("none"),
            slot_label: String::new(),
            slot_serial: None,
            key_id: vec![1],
            allow_simulator: false,
            environment: BTreeMap::new(),
            protected: Vec::new(),
            signer_program: None,
        };
        let (pin, verifier_key) =
            (Pin::from_file(&path.join("pin")).unwrap(), log.keys().signing().vkey.clone());
        let authority = Authority { hsm, pin, verifier_key, deadline: SOON, start_deadline: SOON, probes: 1 };
        let settings = SealerSettings {
            entries_max: 1,
            heartbeat: SOON,
            rearm_automatically: false,
            backoff_max: SOON,
            unsigned_max: 1,
            hsm_fence: None,
            status_every: SOON,
            disk_deadline: SOON,
            space: Space::new(path, path, 0, 0),
        };
        let (sealer, handle) =
            Sealer::new(log, authority, settings, Arc::clone(&queue), break_glass, clock.clone());
        let (sealing, of_pipeline) = (handle.clone(), Arc::clone(&policies));
        let pipeline = Pipeline::new(of_pipeline, sealing, Arc::clone(&queue), clock, SOON, None);
        let (key, pipeline) = (line.key(), Arc::new(pipeline));
        Self { folder, key, queue, policies, pipeline, sealer, handle }
    }

    fn approvals(&self) -> ApprovalDesk {
        let (queue, pipeline) = (Arc::clone(&self.queue), Arc::clone(&self.pipeline));
        let (policies, handle) = (Arc::clone(&self.policies), self.handle.clone());
        ApprovalDesk::new(queue, pipeline, policies, handle, ORIGIN.to_owned())
    }

    /// Has somebody approve it, whoever that is.
    async fn approve(&self) -> Option<ApprovalAnswer> {
        let line = self.queue.line(&self.key).unwrap();
        let held = Held { intent: Hash::default(), risk: 0, policies: Vec::new() };
        let by = ("ann".to_owned(), "a key".to_owned(), "a signature".to_owned());
        let answer = entry::Answer::Approved;
        self.approvals().record(line, &held, &self.policies.snapshot(), answer, by).await
    }

    /// Whether it can be taken out.
    fn is_in(&self) -> bool {
        self.queue.take(&self.key).is_some()
    }
}

/// Polls a future until it waits for somebody else, and drops it.
async fn begun_and_dropped(future: impl Future) {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending(), "it waits");
        std::task::Poll::Ready(())
    })
    .await;
}

#[test]
fn whoever_asks_beside_many_others_is_told_that_it_waits_and_nobody_asks_for_ever() {
    let (queue, waits) = (Queue::without_log(), line(NOW));
    let key = waits.key();
    queue.begin(queue.reserve(AGENT, 1, 100).unwrap(), vec![waits]);
    runtime().block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..12 {
            let queue = Arc::clone(&queue);
            asking.spawn(async move { queue.ended(&key, 12 * SOON).await });
        }
        for _ in 0..4 {
            let told = tokio::time::timeout(SOON, asking.join_next()).await.expect("it is told");
            assert_eq!(told.unwrap().unwrap(), Some(Refusal::Queued));
        }
        // The others wait on, and hear of the end.
        queue.end(&key);
        let told = tokio::time::timeout(SOON, asking.join_all()).await.expect("they are told");
        assert_eq!(told, [None; 8]);
    });
}

#[test]
fn a_ticket_without_its_intents_and_one_that_was_decided_wait_no_more() {
    let lines = [line(NOW.plus_ms(1)), line(NOW.plus_ms(2)), line(NOW.plus_ms(3))];
    let [whole, without_intents, decided] = &lines;
    let mut kept = Kept::new();
    let mut rows: Vec<Row> = lines.iter().map(waits).collect();
    rows.extend([whole, decided].map(waiting_intents));
    let request = request_digest(&request(decided));
    let answer = Recorded { key: decided.key(), request, reply: b"whatever", allows: false };
    kept.commit(rows, vec![answer]);
    let queue = kept.queue();
    assert!(queue.has(&whole.key()) && !queue.has(&without_intents.key()) && !queue.has(&decided.key()));
    assert_eq!(queue.counts(), Counts { intents: 1, bytes: 100 }, "they take of nobody's room");
}

#[test]
fn an_answer_to_a_hold_whose_end_is_under_way_is_not_written_behind_it() {
    let scene = Scene::new(&hold(NOW.plus_ms(60_000)));
    runtime().block_on(async {
        let taken = scene.queue.take(&scene.key).unwrap();
        let _pending = scene.pipeline.end_wait(taken, Refusal::Expired).await.unwrap();
        let answer = tokio::time::timeout(SOON, scene.approve()).await.expect("the sealer is not asked");
        let Some(ApprovalAnswer::Refused(why)) = answer else { panic!("{answer:?}") };
        assert!(why.ends_with("is being decided just now"), "{why}");
    });
}

#[test]
fn a_hold_is_out_while_its_answer_is_written_and_goes_back_also_when_nobody_waits_for_it() {
    let scene = Scene::new(&hold(NOW.plus_ms(60_000)));
    runtime().block_on(async {
        {
            let mut approving = std::pin::pin!(scene.approve());
            let out = std::future::poll_fn(|context| {
                assert!(approving.as_mut().poll(context).is_pending(), "the sealer has it");
                std::task::Poll::Ready(!scene.is_in())
            });
            assert!(out.await, "its wait could end before the answer is durable");
        }
        assert!(scene.is_in());
    });
}

#[test]
fn a_ticket_goes_back_behind_the_answer_to_its_draft_whoever_waits_for_it() {
    let scene = Scene::new(&line(NOW.plus_ms(60_000)));
    let runtime = runtime();
    let agent = SpiffeId::parse(AGENT).unwrap();
    let ticket = scene.queue.line(&scene.key).unwrap().ticket();
    runtime.block_on(async {
        let mut frame = Vec::new();
        assent_proto::wire::append_cancel(ticket, &mut frame);
        let lanes = Lanes::default();
        let lane = lanes.of(AGENT);
        begun_and_dropped(scene.pipeline.answer(&agent, (&lane, Turn::default()), (frame, None))).await;
        tokio::spawn(async {}).await.unwrap();
    });
    assert!(!scene.is_in(), "the sealer has its draft");
    let Scene { folder, key, queue, sealer, .. } = scene;
    drop(sealer);
    runtime.block_on(async { tokio::spawn(async {}).await.unwrap() });
    assert!(queue.take(&key).is_some(), "nothing became of the draft");
    drop(folder);
}

#[test]
fn no_agent_has_a_batch_of_its_own_decided_under_a_ticket_that_waits() {
    // Within the skew that is forgiven: its id is current.
    let waits = line(NOW.plus_ms(1_000));
    let scene = Scene::new(&waits);
    runtime().block_on(async {
        let (agent, lanes) = (SpiffeId::parse(AGENT).unwrap(), Lanes::default());
        let lane = lanes.of(AGENT);
        let answering = scene.pipeline.answer(&agent, (&lane, Turn::default()), (request(&waits), None));
        let answer = tokio::time::timeout(SOON, answering).await.expect("the sealer is not asked");
        assert_eq!(answer.and_then(|answer| answer.refused), Some(Refusal::BatchConflict));
    });
    assert!(scene.is_in(), "it waits as before");
}
