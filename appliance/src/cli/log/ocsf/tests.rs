//! Events against what the schema's release 1.9.0 requires of API Activity, its profiles and the objects in them.

use assent_proto::entry::{Allow, Boot, Deny, Entry, Grounds, Hold, Policies, Salt};
use assent_proto::intent::Uid;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::refusal::Refusal;

use super::*;
use crate::cli::log::selection::Body;

/// Required attributes of the event and of each object that it may hold, by the path at which that stands.
const REQUIRED: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "activity_id",
            "category_uid",
            "class_uid",
            "metadata",
            "severity_id",
            "time",
            "type_uid",
            "actor",
            "api",
            "src_endpoint",
        ],
    ),
    ("/metadata", &["product", "version"]),
    ("/api", &["operation"]),
    ("/ai_agent", &["uid"]),
    ("/attestation_list/0/fingerprint", &["algorithm_id", "value"]),
    ("/attestation_list/0/prev_event", &["uid"]),
    ("/attestation_list/0/prev_event/fingerprint", &["algorithm_id", "value"]),
];
/// Objects of which at least one attribute must be there.
const AT_LEAST_ONE: &[(&str, &[&str])] = &[
    ("/actor", &["process", "user", "session"]),
    ("/src_endpoint", &["ip", "uid", "name", "hostname", "svc_name"]),
    ("/attestation_list/0", &["fingerprint", "signatures"]),
    ("/policy", &["name", "uid"]),
    ("/metadata/product", &["name", "uid"]),
];
/// Numbers, each with its name.
struct Names(&'static [(u64, &'static str)]);

/// Numbers with the name beside them that the schema gives that number; 99 is the source's own.
const SIBLINGS: [(&str, &str, Names); 4] = [
    ("severity_id", "severity", Names(&[(1, "Informational"), (2, "Low"), (3, "Medium"), (4, "High")])),
    ("status_id", "status", Names(&[(1, "Success"), (2, "Failure")])),
    ("action_id", "action", Names(&[(1, "Allowed"), (2, "Denied")])),
    ("disposition_id", "disposition", Names(&[(1, "Allowed"), (2, "Blocked"), (14, "Delayed")])),
];

fn entries() -> Vec<Entry<'static>> {
    let deny = |refusal| Deny {
        salt: Salt([0; 16]),
        time: Timestamp(1_795_485_600_000),
        epoch: Epoch(3),
        bundle: Hash([7; 32]),
        principal: "spiffe://shop/agent/retail",
        audience: "store-api",
        action: Uid { type_name: "Retail::Action", id: "cancel" },
        resource: Uid { type_name: "Retail::Order", id: "#W1\u{202e}" },
        intent: Hash([8; 32]),
        refusal,
        risk: i64::MAX,
        policies: ["closed", "late"].into_iter().collect(),
    };
    let boot = Boot {
        salt: Salt([0; 16]),
        time: Timestamp(5),
        epoch: Epoch(0),
        version: "1",
        hsm: "x",
        simulator: true,
    };
    vec![
        Entry::Boot(boot),
        Entry::Deny(deny(Refusal::PolicyDenied)),
        Entry::Hold(Hold { denial: deny(Refusal::ApprovalRequired), wait: None }),
    ]
}

fn events() -> Vec<Value> {
    events_of(entries())
}

fn events_of(entries: Vec<Entry<'_>>) -> Vec<Value> {
    let evidence = Evidence::for_tests("localhost/test/log/1", 2);
    let (mut events, mut out) = (Events::default(), Vec::new());
    for (index, entry) in (0..).zip(entries) {
        let mut leaf = Vec::new();
        entry.append(&mut leaf).unwrap();
        events
            .row(&mut out, &Selected { index, leaf: &leaf, entry, body: Body::Unwanted }, &evidence)
            .unwrap();
    }
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_event_has_what_the_schema_requires() {
    for event in events() {
        for (path, names) in REQUIRED {
            let Some(object) = event.pointer(path) else { continue };
            for name in *names {
                assert!(
                    object.get(name).is_some_and(|value| !value.is_null()),
                    "{path}/{name} is missing in {event}"
                );
            }
        }
        for (path, names) in AT_LEAST_ONE {
            let Some(object) = event.pointer(path) else { continue };
            assert!(
                names.iter().any(|name| object.get(name).is_some()),
                "{path} has none of {names:?} in {event}"
            );
        }
        assert_eq!(event["metadata"]["version"], "1.9.0");
        assert_eq!((&event["class_uid"], &event["category_uid"]), (&6003.into(), &6.into()));
        let (class, activity) =
            (event["class_uid"].as_u64().unwrap(), event["activity_id"].as_u64().unwrap());
        assert_eq!(event["type_uid"], class * 100 + activity);
    }
}

#[test]
fn an_allow_tells_on_what_it_rests() {
    for (grounds, severity, expected) in [
        (Grounds::Policy, "Informational", json!({"kind": "policy"})),
        (Grounds::Approval(LeafIndex(7)), "Informational", json!({"kind": "approval", "leaf": 7})),
        (
            Grounds::Warrant { leaf: LeafIndex(9), number: 2 },
            "Medium",
            json!({"kind": "warrant", "leaf": 9, "number": 2}),
        ),
    ] {
        let allow = Allow {
            salt: Salt([0; 16]),
            time: Timestamp(0),
            epoch: Epoch(1),
            bundle: Hash([7; 32]),
            principal: "p",
            audience: "a",
            action: Uid { type_name: "A", id: "x" },
            resource: Uid { type_name: "B", id: "z" },
            intent: Hash([8; 32]),
            not_before: Timestamp(0),
            not_after: Timestamp(1),
            uses: 1,
            risk: 0,
            grounds,
            policies: Policies::default(),
        };
        let event = events_of(vec![Entry::Allow(allow)]).remove(0);
        assert_eq!(event["unmapped"]["assent"]["entry"]["grounds"], expected, "{event}");
        assert_eq!(event["severity"], severity, "{event}");
    }
}

#[test]
fn names_beside_numbers_are_those_of_the_numbers() {
    for event in events() {
        for (id, name, Names(known)) in &SIBLINGS {
            let Some(id) = event.get(id).and_then(Value::as_u64) else { continue };
            let expected = known.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
            let said = event[*name].as_str().unwrap();
            assert!(expected == Some(said) || (id == 99 && expected.is_none()), "{name} {id}: {said}");
        }
    }
}

#[test]
fn attestations_are_over_the_event_and_chain_it_to_the_one_before() {
    let events = events();
    let mut previous = Value::Null;
    for event in &events {
        let attestation = &event["attestation_list"][0];
        assert_eq!(attestation.pointer("/prev_event/fingerprint").unwrap_or(&Value::Null), &previous);
        assert_eq!(attestation["chain_uid"], events[0]["attestation_list"][0]["chain_uid"]);
        previous = attestation["fingerprint"].clone();
        let mut bare = event.clone();
        bare["attestation_list"][0].as_object_mut().unwrap().remove("fingerprint");
        let hash = Hash::of_labelled(b"", [canonical::text(&bare).as_bytes()]);
        assert_eq!(previous["value"], hash.to_string());
    }
}

#[test]
fn an_event_carries_leaf_hash_and_checkpoint_and_says_where_there_is_none_yet() {
    let events = events();
    let mut leaf = Vec::new();
    entries()[1].append(&mut leaf).unwrap();
    let assent = &events[1]["unmapped"]["assent"];
    assert_eq!(
        (&assent["leaf_index"], &assent["leaf_hash"]),
        (&1.into(), &Hash::of_leaf(&leaf).to_string().into())
    );
    assert_eq!(assent["checkpoint"]["size"], 2);
    assert!(assent["checkpoint"]["note"].as_str().unwrap().starts_with("localhost/test/log/1\n2\n"));
    assert_eq!(events[2]["unmapped"]["assent"].get("checkpoint"), None, "the tail has no checkpoint");
}
