//! The endpoints: a probe tells an outage from a dead process, and what agents did is counted once.

use super::{get, scrape, series};
use crate::operators::{clear, inject};
use crate::support::agent::{Agent, labels, retail};
use crate::support::raw::{Identity, ask};
use crate::support::{Appliance, Hsm, assent, eventually};
use appliance::meters::Readiness;
use assent_proto::wire::ALPN;
use serde_json::Value;

#[test]
fn a_probe_tells_an_outage_from_a_dead_process() {
    let appliance = Appliance::start(Hsm::Simulator);
    let ready = get(&appliance, "/readyz", "*/*");
    assert_eq!((ready.status, ready.body.as_str()), (200, "ready\n"));
    inject(&appliance, "remove");
    let closed = eventually("it is not ready", || {
        Some(get(&appliance, "/readyz", "*/*")).filter(|answer| answer.status == 503)
    });
    assert!(closed.body.starts_with("not ready: token closed, cause "), "{}", closed.body);
    assert!(closed.head.contains("content-type: text/plain; charset=utf-8\r\n"), "{}", closed.head);
    assert!(closed.head.contains("cache-control: no-store"), "{}", closed.head);
    let told = get(&appliance, "/readyz", "application/json");
    let told: Readiness = serde_json::from_str(&told.body).expect("JSON");
    let closing = appliance.status().expect("it answers").boundaries.token;
    assert_eq!((told.ready, told.closed.len()), (false, 1));
    assert_eq!(told.closed[0].boundary, "token");
    assert_eq!((told.closed[0].class, Some(told.closed[0].since_ms)), (closing.class, closing.since_ms));

    let live = get(&appliance, "/livez", "*/*");
    assert_eq!((live.status, live.body.as_str()), (200, "live\n"), "an outage is no reason to restart it");
    let read = series(&scrape(&appliance));
    assert_eq!(read["assent_boundary_open{boundary=\"token\"}"], 0.0);
    assert_eq!(read["assent_boundary_awaits_operators{boundary=\"token\"}"], 0.0);
    let trips = read.iter().filter(|(name, _)| name.starts_with("assent_boundary_trips_total"));
    assert_eq!(trips.map(|(_, count)| count).sum::<f64>(), 1.0, "{read:?}");

    clear(&appliance);
    eventually("it is ready again", || Some(()).filter(|()| get(&appliance, "/readyz", "*/*").status == 200));
    assert_eq!(series(&scrape(&appliance))["assent_boundary_open{boundary=\"token\"}"], 1.0);
}

#[test]
fn what_agents_did_is_counted_once_and_names_nobody() {
    let appliance = Appliance::start(Hsm::Simulator);
    let before = series(&scrape(&appliance));
    let agent = Agent::connect(&appliance);
    let intents = retail();
    let _ = agent.preauthorize(&intents);
    let after = series(&scrape(&appliance));
    let rose = |name: &str| after[name] - before[name];
    let decided = |outcome: &str, boundary: &str, reason: &str| {
        format!("assent_decisions_total{{outcome=\"{outcome}\",boundary=\"{boundary}\",reason=\"{reason}\"}}")
    };
    let expected =
        |refusal: Option<&str>| labels().iter().filter(|(_, found)| found.as_deref() == refusal).count();
    for (name, refusal) in [
        (decided("allow", "none", "policy"), None),
        (decided("deny", "evaluation", "POLICY_DENIED"), Some("POLICY_DENIED")),
        (decided("deny", "intent", "INTENT_UNCLASSIFIED"), Some("INTENT_UNCLASSIFIED")),
        (decided("deny", "intent", "INTENT_INVALID"), Some("INTENT_INVALID")),
    ] {
        assert!(expected(refusal) > 0);
        assert_eq!(rose(&name), expected(refusal) as f64, "{name}");
    }
    let all = after.iter().filter(|(name, _)| name.starts_with("assent_decisions_total"));
    assert_eq!(all.map(|(_, count)| count).sum::<f64>(), intents.len() as f64);
    assert_eq!(rose("assent_tokens_released_total"), expected(None) as f64);
    assert_eq!(
        (rose("assent_round_entries_sum"), rose("assent_round_entries_count")),
        (intents.len() as f64, 1.0)
    );
    assert_eq!(
        (rose("assent_decision_duration_seconds_count"), rose("assent_evaluation_duration_seconds_count")),
        (1.0, 1.0)
    );
    assert!(after["assent_decision_duration_seconds_sum"] > after["assent_evaluation_duration_seconds_sum"]);
    assert!(rose("assent_hsm_signatures_total{result=\"verified\"}") >= 1.0);
    assert_eq!(after["assent_connections"], 1.0);
    let status = appliance.status().expect("it answers");
    assert!(after["assent_log_size"] <= status.counters.log_size as f64);
    assert!(after["assent_log_size"] > intents.len() as f64);
    for certificate in ["ca", "server", "agent"] {
        let ends = after
            [&format!("assent_certificate_not_after_timestamp_seconds{{certificate=\"{certificate}\"}}")];
        assert!(ends > status.now_ms as f64 / 1000.0, "{certificate}");
    }
    let text = scrape(&appliance);
    assert!(!text.contains("retail") && !text.contains("spiffe") && !text.contains("Retail"), "{text}");
}

#[test]
fn whoever_is_turned_away_or_sends_no_batch_is_counted_by_a_closed_list_of_reasons() {
    let appliance = Appliance::start(Hsm::Simulator);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let before = scrape(&appliance);
    let reply = runtime.block_on(ask(&appliance, Some(Identity::enrolled(&appliance)), ALPN, b"no batch"));
    assert!(reply.is_ok(), "{reply:?}");
    let folder = appliance.folder.path().join("tls");
    let stranger = Identity::issue(&folder, &["spiffe://assent.test/agent/nobody-enrolled-me"]);
    assert!(runtime.block_on(ask(&appliance, Some(stranger), ALPN, b"")).is_err());
    assert!(runtime.block_on(ask(&appliance, None, ALPN, b"")).is_err());
    let after = eventually("all three are counted", || {
        let read = series(&scrape(&appliance));
        let found = |name: &str| read[name] == 1.0;
        let all = found("assent_frames_refused_total{reason=\"FRAME_INVALID\"}")
            && found("assent_peers_refused_total{reason=\"unenrolled\"}")
            && found("assent_peers_refused_total{reason=\"handshake\"}");
        all.then_some(read)
    });
    let names = |read: &str| series(read).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&before), after.into_keys().collect::<Vec<_>>(), "no peer makes a series");
}

#[test]
fn the_status_over_http_is_that_of_the_command_and_is_served_only_where_it_is_wanted() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let answer = get(&appliance, "/v1/status", "*/*");
    assert!(
        answer.status == 200 && answer.head.contains("content-type: application/json\r\n"),
        "{}",
        answer.head
    );
    let (code, printed, talk) = assent(Some(&appliance.config()), &["status", "-o", "json"]);
    assert_eq!(code, 0, "{talk}");
    let (served, printed): (Value, Value) =
        (serde_json::from_str(&answer.body).expect("JSON"), serde_json::from_str(&printed).expect("JSON"));
    let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(&served), keys(&printed));
    for key in ["schema", "origin", "boundaries", "key", "bundle", "queue", "escalations", "listen"] {
        assert_eq!(served[key], printed[key], "{key}");
    }
    assert!(appliance.stop());
    let config = std::fs::read_to_string(appliance.config()).expect("a configuration");
    let without = config.replace("http_status = true\n", "");
    assert_ne!(config, without);
    std::fs::write(appliance.config(), without).expect("a configuration");
    appliance.launch();
    let answer = get(&appliance, "/v1/status", "*/*");
    assert!(answer.status == 403 && answer.body.contains("listen.http_status"), "{}", answer.body);
    assert_eq!(get(&appliance, "/metrics", "*/*").status, 200);
}
