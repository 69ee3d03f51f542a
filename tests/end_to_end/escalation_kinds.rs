//! People hear of what is no trip, too: of each kind that a fault brings about, a sink is told.
//!
//! That an event comes once, and over a kill, is tested on trips; holds and warrants are told of where they are tested.

use serde_json::Value;

use crate::disk::full::{Kind, MIB, on_a_small_disk};
use crate::escalations::{Inbox, add_sinks, free_address, webhook, with_sinks};
use crate::fences::{held, restore, save};
use crate::operators::{clear, inject};
use crate::support::agent::{Agent, allowed};
use crate::support::{Appliance, eventually};

/// A sink that takes everything, and its section of the configuration.
fn sink() -> (Inbox, String) {
    let (address, inbox) = (free_address(), Inbox::default());
    inbox.listen(address);
    (inbox, webhook("oncall", address))
}

/// An appliance with these sections in its configuration, and what its sink is told.
fn watched(sections: &str) -> (Appliance, Inbox) {
    let (inbox, oncall) = sink();
    (with_sinks(&[oncall, sections.to_owned()]), inbox)
}

/// The one incident of a kind, once the sink has it.
fn begun(inbox: &Inbox, kind: &str) -> Value {
    let told = eventually(kind, || Some(inbox.events(kind, "begun")).filter(|told| !told.is_empty()));
    assert_eq!(told.len(), 1, "{told:?}");
    told[0]["data"].clone()
}

/// Waits until the sink has heard of the end of an incident.
fn ends(inbox: &Inbox, incident: &Value) {
    let kind = incident["kind"].as_str().expect("a kind");
    let ended = eventually("its end", || inbox.events(kind, "ended").pop());
    assert_eq!(ended["data"]["key"], incident["key"], "{ended}");
}

#[test]
fn a_refused_bundle_is_told_until_its_source_is_good_again() {
    let (mut appliance, inbox) = watched("[policy]\npoll = \"20ms\"\n");
    let bad = appliance.folder.path().join("bundle/policies/bad.cedar");
    std::fs::write(&bad, "nonsense").expect("a policy");
    let refused = begun(&inbox, "bundle_refused");
    assert_eq!((&refused["cause"], &refused["severity"]), (&"policies".into(), &"error".into()), "{refused}");
    std::fs::remove_file(&bad).expect("it goes");
    ends(&inbox, &refused);
    appliance.stop_and_verify_log();
}

#[test]
fn a_closed_evaluation_boundary_is_told_until_it_is_open() {
    let (mut appliance, inbox) = watched("[policy]\npoll = \"20ms\"\nmax_age = \"2s\"\n");
    let [source, hidden] = ["bundle", "hidden"].map(|name| appliance.folder.path().join(name));
    std::fs::rename(&source, &hidden).expect("it moves away");
    let closed = begun(&inbox, "evaluation_closed");
    assert_eq!(closed["cause"], "bundle_unconfirmed", "{closed}");
    assert_eq!(closed["severity"], "critical", "{closed}");
    std::fs::rename(&hidden, &source).expect("it comes back");
    ends(&inbox, &closed);
    assert!(inbox.events("trip", "begun").is_empty(), "that is another boundary");
    appliance.stop_and_verify_log();
}

#[test]
fn a_disk_that_runs_low_is_told_until_it_has_room() {
    let lines = "low_water = \"16MiB\"\nreserve = \"10MiB\"";
    let Some((mut appliance, small)) = on_a_small_disk(Kind::Memory, lines) else { return };
    let (inbox, oncall) = sink();
    add_sinks(&mut appliance, &[oncall]);
    small.leave(14 * MIB);
    let low = begun(&inbox, "disk_low");
    assert_eq!((&low["cause"], &low["severity"]), (&"disk_low".into(), &"error".into()), "{low}");
    small.leave(22 * MIB);
    ends(&inbox, &low);
    let others = ["trip", "outage_bound_near"].map(|kind| inbox.events(kind, "begun"));
    assert!(others.iter().all(Vec::is_empty), "it is told once: {others:?}");
    appliance.stop_and_verify_log();
    // It is unmounted when nobody uses it any more.
    drop(appliance);
    drop(small);
}

/// Its end is not looked for here: the newest log, put back, brings an outbox that never knew.
#[test]
fn a_log_that_was_put_back_is_told() {
    let (mut appliance, inbox) = watched("");
    assert!(appliance.stop(), "it stops");
    save(&appliance, "older");
    appliance.launch();
    assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
    assert!(appliance.stop(), "it stops");
    restore(&appliance, "older");
    appliance.launch_closed();
    let epoch = held(&appliance, "fence_mismatch").epoch;
    let put_back = begun(&inbox, "fence_mismatch");
    assert_eq!(
        (&put_back["severity"], &put_back["epoch"]),
        (&"critical".into(), &epoch.into()),
        "{put_back}"
    );
    let summary = put_back["summary"].as_str().expect("a summary");
    assert!(summary.contains("an older log was put back"), "{summary}");
}

#[test]
fn an_outage_that_nears_its_bound_is_told_until_it_is_over() {
    let (mut appliance, inbox) = watched("[round]\nunsigned_max = 5\n");
    inject(&appliance, "remove");
    let trip = begun(&inbox, "trip");
    let agent = Agent::connect(&appliance);
    assert!(inbox.events("outage_bound_near", "begun").is_empty(), "there is room");
    // With the entry of the trip, four of five.
    for _ in 0..3 {
        assert!(!agent.preauthorize(&[allowed()]).all_allowed());
    }
    let near = begun(&inbox, "outage_bound_near");
    assert_eq!((&near["cause"], &near["epoch"]), (&"unsigned_entries".into(), &trip["epoch"]), "{near}");
    assert_eq!(near["severity"], "critical", "{near}");
    drop(agent);
    clear(&appliance);
    ends(&inbox, &near);
    ends(&inbox, &trip);
    appliance.stop_and_verify_log();
}
