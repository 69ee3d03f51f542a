//! The register of agents: who is admitted, and what a damaged file does.

use std::path::Path;

use assent_proto::number::Timestamp;

use super::super::certificate::{Peer, Serial};
use super::super::registry::{Record, Registry, RegistryError};
use super::domain;

fn peer(name: &str, serial: u8) -> Peer {
    let id = domain().agent(name).unwrap();
    Peer { id, serial: Serial::from_bytes(&[serial]), expires: Timestamp(1_000) }
}

fn record(peer: &Peer) -> Record {
    Record {
        name: "shop".to_owned(),
        id: peer.id.clone(),
        serial: Some(peer.serial.clone()),
        enrolled_at_ms: 1,
        expires_at_ms: Some(peer.expires.0),
        revoked_at_ms: None,
    }
}

fn open(folder: &Path) -> Registry {
    Registry::open(&folder.join("agents.json")).unwrap()
}

#[test]
fn only_the_registered_are_admitted() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, shop) = (open(folder.path()), peer("shop", 1));
    assert!(!registry.admits(&shop, false));
    registry.add(&record(&shop)).unwrap();
    assert!(registry.admits(&shop, false));
    assert!(!registry.admits(&peer("shop", 2), false), "another certificate of the same agent");
    assert!(!registry.admits(&peer("other", 1), false), "the same serial number of another agent");
    assert!(registry.admits(&peer("other", 1), true), "production brings its own CA");
}

#[test]
fn a_revoked_agent_is_out_until_it_is_enrolled_again() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let (old, older, new) = (peer("shop", 1), peer("shop", 2), peer("shop", 3));
    registry.add(&record(&old)).unwrap();
    registry.add(&record(&older)).unwrap();
    assert_eq!(registry.revoke(&old.id, Timestamp(7)).unwrap(), 2);
    assert_eq!(registry.revoke(&old.id, Timestamp(8)).unwrap(), 0, "the first time stays");
    registry.add(&record(&new)).unwrap();
    for accept_unregistered in [false, true] {
        assert!(!registry.admits(&old, accept_unregistered));
        assert!(!registry.admits(&older, accept_unregistered));
        assert!(!registry.admits(&peer("shop", 9), accept_unregistered), "one it does not know");
        assert!(registry.admits(&new, accept_unregistered));
    }
    let times: Vec<_> = registry.snapshot().iter().map(|record| record.revoked_at_ms).collect();
    assert_eq!(times, [Some(7), Some(7), None]);
}

#[test]
fn the_first_to_be_left_without_a_certificate_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    let first = || registry.snapshot().first_expiry();
    assert_eq!(first(), None);
    let ending = |name, serial, expires| record(&Peer { expires: Timestamp(expires), ..peer(name, serial) });
    registry.add(&ending("shop", 1, 500)).unwrap();
    assert_eq!(first(), Some(Timestamp(500)));
    registry.add(&ending("shop", 2, 900)).unwrap();
    assert_eq!(first(), Some(Timestamp(900)), "it has another one by then");
    registry.add(&ending("desk", 3, 700)).unwrap();
    assert_eq!(first(), Some(Timestamp(700)));
    registry.revoke(&peer("desk", 3).id, Timestamp(7)).unwrap();
    assert_eq!(first(), Some(Timestamp(900)), "who is revoked is missed by nobody");
}

#[test]
fn an_agent_of_another_ca_can_be_shut_out() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, foreign) = (open(folder.path()), peer("foreign", 5));
    assert!(registry.admits(&foreign, true));
    assert_eq!(registry.revoke(&foreign.id, Timestamp(7)).unwrap(), 0);
    assert!(!registry.admits(&foreign, true));
    assert!(!open(folder.path()).admits(&foreign, true), "also after a restart");
}

#[test]
fn a_server_sees_what_a_command_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let (command, server, shop) = (open(folder.path()), open(folder.path()), peer("shop", 1));
    assert!(!server.reload_if_changed().unwrap(), "no file and none before");
    command.add(&record(&shop)).unwrap();
    assert!(server.reload_if_changed().unwrap());
    assert!(server.admits(&shop, false));
    assert!(!server.reload_if_changed().unwrap());
    command.revoke(&shop.id, Timestamp(7)).unwrap();
    assert!(server.admits(&shop, false), "not yet looked at");
    assert!(server.reload_if_changed().unwrap());
    assert!(!server.admits(&shop, false));
}

#[test]
fn a_damaged_file_is_reported_each_time_and_the_last_good_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, shop) = (open(folder.path()), peer("shop", 1));
    registry.add(&record(&shop)).unwrap();
    let path = folder.path().join("agents.json");
    std::fs::write(&path, "{").unwrap();
    for _ in 0..2 {
        assert!(matches!(registry.reload_if_changed(), Err(RegistryError::Malformed { .. })));
        assert!(registry.admits(&shop, false));
    }
    assert!(registry.revoke(&shop.id, Timestamp(7)).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"{", "nothing is written over it");
}

#[test]
fn a_file_that_is_gone_forgets_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let (registry, shop) = (open(folder.path()), peer("shop", 1));
    registry.add(&record(&shop)).unwrap();
    registry.revoke(&shop.id, Timestamp(7)).unwrap();
    std::fs::remove_file(folder.path().join("agents.json")).unwrap();
    assert!(matches!(registry.reload_if_changed(), Err(RegistryError::Gone { .. })));
    assert!(matches!(registry.add(&record(&shop)), Err(RegistryError::Gone { .. })));
    assert!(!registry.admits(&shop, true));
}

#[test]
fn files_that_are_no_register_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agents.json");
    let good = r#"{"name":"a","id":"spiffe://d/a","serial":"1f","enrolled_at_ms":1,"expires_at_ms":2,"revoked_at_ms":null}"#;
    let document = |record: &str| format!(r#"{{"schema":"assent.v1.agents","agents":[{record}]}}"#);
    std::fs::write(&path, document(good)).unwrap();
    assert_eq!(Registry::open(&path).unwrap().snapshot().iter().count(), 1);
    for (from, to) in [
        ("spiffe://d/a", "spiffe://d//a"),
        (r#""1f""#, r#""1F""#),
        (r#""1f""#, r#""01f""#),
        (r#""1f""#, "null"),
        (r#""name""#, r#""extra":1,"name""#),
    ] {
        std::fs::write(&path, document(&good.replace(from, to))).unwrap();
        assert!(matches!(Registry::open(&path), Err(RegistryError::Malformed { .. })), "{to}");
    }
    std::fs::write(&path, document(good).replace(".v1.", ".v2.")).unwrap();
    assert!(matches!(Registry::open(&path), Err(RegistryError::Malformed { .. })));
}

#[test]
fn commands_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::thread::scope(|scope| {
        for serial in 1..=16 {
            scope.spawn(move || open(path).add(&record(&peer("shop", serial))).unwrap());
        }
    });
    assert_eq!(open(path).snapshot().iter().count(), 16);
}
