//! What is kept of the log: erasure of what an agent asked, and old volumes that go to an archive and come back.

use std::path::PathBuf;

use appliance::log::reader::Reader;
use assent_client::outcome::Outcome;
use assent_proto::entry::Entry;
use assent_proto::number::LeafIndex;

use crate::support::agent::{Agent, allowed, allowed_batch};
use crate::support::{Appliance, Hsm, assent, eventually};

/// Leaves of a volume.
const VOLUME: u64 = 65_536;

/// An appliance whose log has two volumes and more.
fn with_volumes() -> Appliance {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let batch = allowed_batch(4096);
    for _ in 0..=2 * VOLUME / 4096 {
        let _ = agent.preauthorize(&batch);
    }
    eventually("two volumes are bound, and a commit tells of them", || {
        let _ = agent.preauthorize(&[allowed()]);
        (leaves(&appliance).len() == 2).then_some(())
    });
    appliance
}

fn leaves(appliance: &Appliance) -> Vec<PathBuf> {
    let files = std::fs::read_dir(appliance.data().join("log-1.volumes")).into_iter().flatten();
    let files = files.map(|file| file.expect("a file").path());
    files.filter(|path| path.extension().is_some_and(|kind| kind == "leaves")).collect()
}

fn command(appliance: &Appliance, arguments: &[&str]) -> serde_json::Value {
    let arguments = [arguments, &["-o", "json"]].concat();
    let (code, out, talk) = assent(Some(&appliance.config()), &arguments);
    assert_eq!(code, 0, "{arguments:?}: {out}{talk}");
    serde_json::from_str(&out).expect("JSON")
}

#[test]
fn what_an_agent_asked_is_erased_and_what_was_decided_stays() {
    let mut appliance = with_volumes();
    for (principal, reason, told) in [
        ("spiffe://assent.test/agent/nobody", "a test", "no request of"),
        ("nobody", "a test", "is no SPIFFE ID"),
        ("spiffe://assent.test/agent/retail-support", "  ", "one line of text"),
        ("spiffe://assent.test/agent/retail-support", "x\nprincipal y", "one line of text"),
    ] {
        let order = ["log", "erase", "--principal", principal, "--reason", reason];
        let (code, _, talk) = assent(Some(&appliance.config()), &order);
        assert!(code == 1 && talk.contains(told), "{code} {talk}");
    }
    let principal = "spiffe://assent.test/agent/retail-support";
    let erased = command(&appliance, &["log", "erase", "--principal", principal, "--reason", "asked to"]);
    assert!(erased["requests"].as_u64() > Some(2 * VOLUME / 4096), "{erased}");
    let agent = Agent::connect(&appliance);
    let outcomes = agent.preauthorize(&[allowed()]);
    assert!(matches!(outcomes.iter().next(), Some(Outcome::Allowed(_))), "it serves on");
    drop(agent);
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["operator"], 1, "the order that did something stands in the log: {report}");
    let reader = Reader::open(&appliance.log()).expect("the log opens");
    let left = reader.requests(LeafIndex(0)).expect("requests").count();
    assert_eq!(left, 1, "what was asked afterwards");
    let first = reader.requests(LeafIndex(0)).expect("requests").next().expect("one").expect("read").0;
    let leaf = reader.leaves(first.0..first.0 + 1).expect("its leaf");
    let Ok(Entry::Allow(allow)) = Entry::parse(leaf.get(0).expect("a leaf")) else { panic!("an allow") };
    assert_eq!(allow.principal, principal);
    drop(reader);
    appliance.launch();
}

#[test]
fn old_volumes_go_to_an_archive_and_come_back() {
    let mut appliance = with_volumes();
    let archive = tempfile::tempdir().expect("a folder");
    let place = archive.path().to_str().expect("a path").to_owned();
    for nowhere in ["/nowhere/at/all", "memory:///x"] {
        let order = ["log", "archive", "--to", nowhere, "--keep", "0"];
        let (code, _, talk) = assent(Some(&appliance.config()), &order);
        assert!(code == 1 && talk.contains("is no archive"), "{code} {talk}");
    }
    let moved = command(&appliance, &["log", "archive", "--to", &place, "--keep", "100000"]);
    assert_eq!((&moved["volumes"], &moved["entries"]), (&0.into(), &0.into()), "a volume goes whole or not");
    // A volume is bound when a commit has told of it, which may be some commits behind its file.
    let (agent, mut volumes) = (Agent::connect(&appliance), 0);
    eventually("both volumes go", || {
        let _ = agent.preauthorize(&[allowed()]);
        let moved = command(&appliance, &["log", "archive", "--to", &place, "--keep", "0"]);
        let (number, entries) = (moved["volumes"].as_u64().expect("a number"), moved["entries"].as_u64());
        assert_eq!(entries, Some(number * VOLUME));
        volumes += number;
        (volumes == 2).then_some(())
    });
    drop(agent);
    assert_eq!(leaves(&appliance).len(), 0);
    let tiles = archive.path().join("localhost/dev/log/1");
    for name in ["checkpoint", "tile/entries/000", "tile/entries/511", "tile/0/511", "tile/1/001"] {
        assert!(tiles.join(name).is_file(), "{name}");
    }
    let agent = Agent::connect(&appliance);
    assert!(matches!(agent.preauthorize(&[allowed()]).iter().next(), Some(Outcome::Allowed(_))));
    drop(agent);
    appliance.kill();
    appliance.launch();
    assert!(appliance.stop(), "it stops");

    let bundle = tiles.join("tile/entries/300");
    let whole = std::fs::read(&bundle).expect("a bundle");
    std::fs::write(&bundle, [&whole[..100], &[whole[100] ^ 1], &whole[101..]].concat()).expect("damaged");
    let (code, _, talk) = assent(Some(&appliance.config()), &["log", "restore", "--from", &place]);
    assert!(code != 0 && talk.contains("does not lead to its root"), "{code} {talk}");
    std::fs::write(&bundle, whole).expect("mended");
    let restored = command(&appliance, &["log", "restore", "--from", &place]);
    assert!(restored["volumes"].as_u64() >= Some(1), "{restored}");
    assert_eq!(leaves(&appliance).len(), 2);
    let report = appliance.stop_and_verify_log();
    assert!(report["kinds"]["operator"].as_u64() >= Some(1), "the orders stand in the log: {report}");
    appliance.launch();
}
