//! Bad input gets a clear refusal, and costs only its sender.

use std::time::Duration;

use crate::support::agent::{Agent, allowed, allowed_batch, batch_id, label_of, now, trust};
use crate::support::raw::{Identity, ask, connect, exchange};
use crate::support::{Appliance, Hsm, SLACK, assent};
use appliance::clock::Stopwatch;
use appliance::identity::{CertificateAuthority, TrustDomain};
use appliance::limits::REGISTRY_POLL;
use appliance::sample::AUDIENCE;
use assent_client::batch::Batch;
use assent_client::guard::{AdmitError, Guard, VerifyError};
use assent_client::intent::Intent;
use assent_client::outcome::Outcome;
use assent_client::spent::Spent;
use assent_client::uid::Uid;
use assent_client::value::Value;
use assent_proto::limits::{MAX_BATCH_AGE_MS, MAX_FRAME_BYTES};
use assent_proto::number::Timestamp;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{ALPN, BatchId, Reply, Ticket, TraceContext, append_collect};

/// The refusal of a whole frame.
fn refusal_of(reply: &[u8]) -> Option<Refusal> {
    match Reply::parse(reply).expect("a reply") {
        Reply::Refused(refusal) => Some(refusal),
        Reply::Decided(_) => None,
    }
}

/// What an intent gets when it is asked alone.
fn ask_one(agent: &Agent, intent: Intent) -> Option<String> {
    let outcomes = agent.preauthorize(&[intent]);
    label_of(&outcomes.iter().next().expect("one outcome")).1
}

#[test]
fn what_the_catalog_does_not_know_is_refused() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let good = allowed();
    assert_eq!(ask_one(&agent, good.clone()), None);

    let action = Uid::new("Retail::Action", "issue_store_credit");
    let unknown = Intent { action, ..good.clone() };
    assert_eq!(ask_one(&agent, unknown).as_deref(), Some("INTENT_UNCLASSIFIED"));

    let mut missing = good.clone();
    missing.context.remove("user");
    let mut wrong_type = good.clone();
    wrong_type.context.insert("user".to_owned(), Value::Long(1));
    let mut no_such_user = good.clone();
    no_such_user.context.insert("user".to_owned(), Value::Entity(Uid::new("Retail::User", "nobody")));
    let invalid = [
        ("unknown attribute", good.clone().with("colour", "red")),
        ("asserted by the appliance only", good.clone().with("assent", 1)),
        ("missing attribute", missing),
        ("attribute of another type", wrong_type),
        ("entity that does not exist", no_such_user),
        (
            "resource that does not exist",
            Intent { resource: Uid::new("Retail::Order", "#W0"), ..good.clone() },
        ),
        ("resource of another type", Intent { resource: Uid::new("Retail::Store", "main"), ..good.clone() }),
        ("window beyond the catalog's", Intent { window: Some(Duration::from_secs(86_000)), ..good.clone() }),
        ("more uses than the catalog's", Intent { uses: Some(1000), ..good.clone() }),
        ("no use at all", Intent { uses: Some(0), ..good.clone() }),
    ];
    for (what, intent) in invalid {
        assert_eq!(ask_one(&agent, intent).as_deref(), Some("INTENT_INVALID"), "{what}");
    }
    assert_eq!(ask_one(&agent, good), None, "the good intent still passes");
    drop(agent);
    appliance.stop_and_verify_log();
}

#[test]
fn malformed_frames_are_refused_and_cost_only_their_sender() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let frame = |intent: &Intent| {
        Batch::new(batch_id(), std::slice::from_ref(intent)).expect("a batch").frame().to_vec()
    };
    let good = frame(&allowed());
    let trailing = [good.as_slice(), &[0]].concat();
    let mut overlong = good.clone();
    overlong.splice(17..18, [0x81, 0x00]);
    let too_large = vec![1; MAX_FRAME_BYTES + 1];
    let trace: TraceContext =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().expect("a trace context");
    let traced = [&trace.encoded()[..], &good].concat();
    let traced_twice = [&trace.encoded()[..], &traced].concat();
    let traced_behind = [&good[..], &trace.encoded()].concat();
    let mut traced_by_nobody = traced.clone();
    traced_by_nobody.splice(2..18, [0; 16]);
    let mut collected = trace.encoded().to_vec();
    append_collect(Ticket(batch_id()), &mut collected);
    let cases: [(&str, &[u8]); 12] = [
        ("empty", &[]),
        ("of another kind", &[9; 40]),
        ("cut short", &good[..good.len() - 1]),
        ("with a trailing byte", &trailing),
        ("with an overlong varint", &overlong),
        ("without intents", &good[..17]),
        ("oversized", &too_large),
        ("below two trace contexts", &traced_twice),
        ("ahead of a trace context", &traced_behind),
        ("below a trace of zeroes", &traced_by_nobody),
        ("of a trace context alone", &traced[..TraceContext::BYTES]),
        ("about a ticket, below a trace context", &collected),
    ];
    agent.runtime.block_on(async {
        let (_endpoint, connection) =
            connect(&appliance, Some(Identity::enrolled(&appliance)), ALPN).await.expect("a connection");
        for (what, frame) in cases {
            let reply = exchange(&connection, frame).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(refusal_of(&reply), Some(Refusal::FrameInvalid), "{what}");
        }
        assert_eq!(refusal_of(&exchange(&connection, &traced).await.expect("an answer")), None);
        // A stream that never ends is given up on; the connection serves on meanwhile.
        let (mut stalled, _) = connection.open_bi().await.expect("a stream");
        stalled.write_all(&good[..20]).await.expect("a few bytes");
        assert_eq!(refusal_of(&exchange(&connection, &good).await.expect("an answer")), None);
    });
    assert_eq!(ask_one(&agent, allowed()), None, "another agent notices nothing");
}

#[test]
fn batch_ids_are_bound_to_their_content_and_to_their_time() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let id = batch_id();
    let first = Batch::new(id, &[allowed()]).expect("a batch");
    let other = Batch::new(id, &[allowed(), allowed()]).expect("a batch");
    let answer = agent.reply(&first);
    assert_eq!(refusal_of(&answer), None);
    assert_eq!(agent.reply(&first), answer, "the recorded answer");
    assert_eq!(refusal_of(&agent.reply(&other)), Some(Refusal::BatchConflict));
    for time in [now().minus_ms(MAX_BATCH_AGE_MS + 1000), now().plus_ms(60_000), Timestamp(0)] {
        let batch = Batch::new(BatchId::new(time, [0; 10]), &[allowed()]).expect("a batch");
        assert_eq!(refusal_of(&agent.reply(&batch)), Some(Refusal::Expired), "made at {time}");
    }
}

#[test]
fn strangers_are_turned_away() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let tls = appliance.folder.path().join("tls");
    let other = tempfile::tempdir().expect("a folder");
    let domain = TrustDomain::parse("assent.test").expect("a trust domain");
    let ca = other.path().join("ca.pem");
    CertificateAuthority::create(&ca, &ca.with_extension("key"), &domain, now()).expect("another CA");
    let id = "spiffe://assent.test/agent/retail-support";
    let frame = Batch::new(batch_id(), &[allowed()]).expect("a batch").frame().to_vec();
    agent.runtime.block_on(async {
        let enrolled = || Some(Identity::enrolled(&appliance));
        assert!(ask(&appliance, enrolled(), ALPN, &frame).await.is_ok());
        let strangers: [(&str, Option<Identity>, &[u8]); 6] = [
            ("another protocol", enrolled(), b"h3"),
            ("no certificate", None, ALPN),
            ("another CA", Some(Identity::issue(other.path(), &[id])), ALPN),
            ("two URI SANs", Some(Identity::issue(&tls, &[id, "spiffe://assent.test/agent/root"])), ALPN),
            ("no URI SAN", Some(Identity::issue(&tls, &[])), ALPN),
            ("not enrolled", Some(Identity::issue(&tls, &["spiffe://assent.test/agent/nobody"])), ALPN),
        ];
        for (what, identity, alpn) in strangers {
            let outcome = ask(&appliance, identity, alpn, &frame).await;
            println!("{what}: {outcome:?}");
            assert!(outcome.is_err(), "{what}");
        }
    });
    assert_eq!(ask_one(&agent, allowed()), None);
}

#[test]
fn revoked_agent_is_out_when_the_register_is_looked_at_next() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (_endpoint, connection) =
            connect(&appliance, Some(Identity::enrolled(&appliance)), ALPN).await.expect("a connection");
        let (code, _, talk) = assent(Some(&appliance.config()), &["agent", "revoke", "retail-support"]);
        assert_eq!(code, 0, "{talk}");
        let watch = Stopwatch::start();
        let closed = tokio::time::timeout(REGISTRY_POLL + SLACK, connection.closed()).await;
        let closed = closed.expect("the connection is closed");
        println!("closed after {:?}: {closed:?}", watch.elapsed());
        let frame = Batch::new(batch_id(), &[allowed()]).expect("a batch").frame().to_vec();
        assert!(ask(&appliance, Some(Identity::enrolled(&appliance)), ALPN, &frame).await.is_err());
    });
    drop(agent);
}

#[test]
fn token_is_good_for_one_act_of_one_executor_within_its_window() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let intent = allowed();
    let outcomes = agent.preauthorize(std::slice::from_ref(&intent));
    let Some(Outcome::Allowed(token)) = outcomes.iter().next() else { panic!("not allowed") };
    let guard =
        |audience: &str| Guard::with_spent(trust(&appliance), audience, Spent::in_memory(Timestamp(0)));
    let refused =
        |guard: &Guard, bytes: &[u8], intent: &Intent, at: Timestamp| match guard.admit(bytes, intent, at) {
            Ok(_) => panic!("admitted"),
            Err(AdmitError::Verify(error)) => Some(error),
            Err(_) => None,
        };
    let mine = guard(AUDIENCE);
    let other_intent = intent.clone().with("reason", "another");
    assert_eq!(refused(&guard("another"), token.bytes(), &intent, now()), Some(VerifyError::Audience));
    assert_eq!(refused(&mine, token.bytes(), &other_intent, now()), Some(VerifyError::Intent));
    assert_eq!(
        refused(&mine, token.bytes(), &intent, token.not_after().plus_ms(10_000)),
        Some(VerifyError::Expired)
    );
    assert_eq!(
        refused(&mine, token.bytes(), &intent, token.not_before().minus_ms(10_000)),
        Some(VerifyError::TooEarly)
    );
    for position in 0..token.bytes().len() {
        let mut altered = token.bytes().to_vec();
        altered[position] ^= 1;
        assert!(refused(&mine, &altered, &intent, now()).is_some(), "byte {position} altered");
    }
    mine.admit(token.bytes(), &intent, now()).expect("its token is good").run(|| ());
    assert_eq!(refused(&mine, token.bytes(), &intent, now()), None, "a second use is refused as spent");
}

#[test]
fn one_agent_with_as_many_large_batches_in_flight_as_it_may_is_answered_in_turn() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let intents = allowed_batch(1536);
    let all = async {
        let asked = (0..128).map(|_| agent.client.preauthorize(&intents));
        futures_util::future::join_all(asked).await
    };
    let watch = Stopwatch::start();
    let outcomes = agent.runtime.block_on(all);
    for outcome in outcomes {
        assert!(outcome.is_ok_and(|outcomes| outcomes.all_allowed()));
    }
    // A frame that waits for credit which others hold would wait for its deadline.
    assert!(watch.elapsed() < appliance::limits::FRAME_DEADLINE, "{:?}", watch.elapsed());
}
