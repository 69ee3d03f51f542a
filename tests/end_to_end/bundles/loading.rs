//! Good bundles: the next batch is decided by them, each decision names exactly one, and no crash leaves an appliance that
//! cannot start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use assent_client::batch::Batch;
use assent_proto::entry::Entry;
use assent_proto::hash::Hash;
use assent_proto::refusal::Refusal;
use assent_proto::wire::{Reply, Verdict};

use super::{
    CLOSED, ask, denied_by, digest, load, offers, policy, read_log, show, source, start, variant, write,
};
use crate::support::agent::{Agent, allowed, batch_id};
use crate::support::{Appliance, Hsm, eventually};

#[test]
fn a_good_bundle_that_is_loaded_decides_the_next_batch_and_is_in_the_log() {
    let mut appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    assert_eq!(ask(&agent), None);
    let closed =
        variant(&appliance, "closed", &[("policies/closed.cedar", CLOSED), ("bundle.toml", "version = 3")]);
    let before = digest(&appliance);
    let (code, out, talk) = load(&appliance, &closed);
    assert_eq!(code, 0, "{out}{talk}");
    assert_eq!(denied_by(&agent), ["store-is-closed"]);
    let after = digest(&appliance);
    assert!(out.contains(&after) && out.contains(&before), "{out}");

    let shown = show(&appliance);
    assert_eq!((&shown["digest"], &shown["version"]), (&after.clone().into(), &3.into()), "{shown}");
    assert_eq!(shown["source"], closed.to_str().unwrap());
    assert_eq!(shown["loaded_by"].as_str().unwrap().split(' ').next(), Some("operator"), "{shown}");
    assert_eq!((&shown["schema"], &shown["refused"]), (&"assent.v1.policy.show".into(), &().into()));
    assert!(shown["worst_case_fuel"].as_u64() > Some(0) && shown["policies"].as_u64() > Some(1), "{shown}");
    let (code, table, _) = policy(&appliance, &["show"]);
    assert!(code == 0 && table.starts_with(&after) && table.contains("version     3"), "{table}");

    drop(agent);
    let offers = offers(&mut appliance);
    let [first, second] = offers.as_slice() else { panic!("{offers:?}") };
    assert_eq!((first.before, first.by.as_str()), (Hash::default(), "start"));
    assert_eq!((first.after.to_string(), second.before.to_string()), (before.clone(), before));
    assert_eq!((second.after.to_string(), second.version, &second.refused), (after, Some(3), &None));
    assert_eq!(second.source, closed.to_str().unwrap());
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(appliance.folder.path()).unwrap());
    assert!(second.by.starts_with("operator ") && second.by.contains(&format!("uid {uid}")), "{}", second.by);
}

/// A bundle in one file is the same bundle as its folder; one that was cut is refused, and the other decides on.
#[test]
fn a_compiled_file_decides_as_its_folder_and_a_damaged_one_changes_nothing() {
    let appliance = Appliance::start(Hsm::Simulator);
    let agent = Agent::connect(&appliance);
    let closed =
        variant(&appliance, "closed", &[("policies/closed.cedar", CLOSED), ("bundle.toml", "version = 3")]);
    let file = appliance.folder.path().join("closed.bundle");
    let (code, out, talk) =
        policy(&appliance, &["compile", closed.to_str().unwrap(), "--to", file.to_str().unwrap()]);
    assert!(code == 0 && out.contains("version     3"), "{out}{talk}");
    let (code, out, talk) = load(&appliance, &file);
    assert_eq!(code, 0, "{out}{talk}");
    assert_eq!(denied_by(&agent), ["store-is-closed"]);
    let (in_force, shown) = (digest(&appliance), show(&appliance));
    assert_eq!((&shown["version"], &shown["source"]), (&3.into(), &file.to_str().unwrap().into()));

    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    let (code, _, talk) = load(&appliance, &file);
    assert!(code == 3 && talk.contains("it is damaged"), "{talk}");
    assert_eq!(digest(&appliance), in_force);
    assert_eq!(denied_by(&agent), ["store-is-closed"]);
}

#[test]
fn a_change_of_the_source_is_seen_and_loaded_without_anybody_asking() {
    let mut appliance = start("poll = \"20ms\"");
    let agent = Agent::connect(&appliance);
    let before = digest(&appliance);
    write(&source(&appliance), "policies/closed.cedar", CLOSED);
    eventually("the change is loaded", || (digest(&appliance) != before).then_some(()));
    assert_eq!(denied_by(&agent), ["store-is-closed"]);
    std::fs::remove_file(source(&appliance).join("policies/closed.cedar")).unwrap();
    eventually("the change back is loaded", || (digest(&appliance) == before).then_some(()));
    assert_eq!(ask(&agent), None);
    drop(agent);
    let by: Vec<String> = offers(&mut appliance).into_iter().map(|offer| offer.by).collect();
    assert_eq!(by, ["start", "start", "watch", "watch"]);
}

#[test]
fn a_source_that_is_a_symbolic_link_is_changed_in_one_step() {
    let appliance = start("poll = \"20ms\"");
    let before = digest(&appliance);
    let closed = variant(&appliance, "closed", &[("policies/closed.cedar", CLOSED)]);
    let (link, first) = (source(&appliance), appliance.folder.path().join("first"));
    std::fs::rename(&link, &first).unwrap();
    std::os::unix::fs::symlink(&closed, &link).unwrap();
    let after =
        eventually("the change is loaded", || Some(digest(&appliance)).filter(|digest| *digest != before));
    let beside = appliance.folder.path().join("beside");
    std::os::unix::fs::symlink(&first, &beside).unwrap();
    std::fs::rename(&beside, &link).unwrap();
    eventually("the change back is loaded", || (digest(&appliance) == before).then_some(()));
    assert_ne!(after, before);
    assert!(appliance.status().unwrap().policy.refused.is_none());
}

#[test]
fn reloads_under_load_leave_each_decision_with_one_bundle_that_agrees_with_it() {
    let mut appliance = start("watch = false");
    let closed = variant(&appliance, "closed", &[("policies/closed.cedar", CLOSED)]);
    let open_digest = digest(&appliance);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let agent = Agent::connect(&appliance);
    let (stopped, counted, opened) = (Arc::clone(&stop), Arc::clone(&answered), open_digest.clone());
    let asking = std::thread::Builder::new().spawn(move || {
        let intents = vec![allowed(); 50];
        let mut seen = [0_u64; 2];
        while !stopped.load(Ordering::SeqCst) {
            let batch = Batch::new(batch_id(), &intents).expect("a batch");
            let reply = agent.reply(&batch);
            let Ok(Reply::Decided(decided)) = Reply::parse(&reply) else { panic!("not decided") };
            let is_open = decided.head.bundle.to_string() == opened;
            seen[usize::from(is_open)] += 1;
            for ruling in decided.rulings() {
                match ruling.expect("a ruling").verdict {
                    Verdict::Allow { .. } => assert!(is_open, "allowed by the bundle that closes the store"),
                    Verdict::Deny(refusal) => {
                        assert_eq!((refusal, is_open), (Refusal::PolicyDenied, false), "denied by the other");
                    }
                    Verdict::Hold { .. } => panic!("held"),
                }
            }
            counted.fetch_add(1, Ordering::SeqCst);
        }
        seen
    });
    for turn in 0..20 {
        let before = answered.load(Ordering::SeqCst);
        let folder = if turn % 2 == 0 { closed.clone() } else { source(&appliance) };
        let (code, _, talk) = load(&appliance, &folder);
        assert_eq!(code, 0, "{talk}");
        eventually("batches are answered", || (answered.load(Ordering::SeqCst) > before + 2).then_some(()));
    }
    stop.store(true, Ordering::SeqCst);
    let seen = asking.expect("a thread").join().expect("every decision agrees with its bundle");
    assert!(seen.iter().all(|count| *count > 10), "both bundles decided: {seen:?}");

    let (mut announced, mut decided) = (Vec::new(), 0);
    read_log(&mut appliance, |index, entry| {
        if let Entry::Bundle(offer) = entry {
            announced.push(offer.after);
        } else if let Entry::Allow(allow) = entry {
            decided += 1;
            assert_eq!(allow.bundle.to_string(), open_digest, "leaf {index}");
        } else if let Entry::Deny(deny) = entry {
            decided += 1;
            assert!(announced.contains(&deny.bundle), "leaf {index} comes before the leaf of its bundle");
            assert_ne!(deny.bundle.to_string(), open_digest, "leaf {index}");
        }
    });
    assert_eq!((announced.len(), decided), (22, (seen[0] + seen[1]) * 50));
}

#[test]
fn kill_9_in_the_middle_of_loads_never_leaves_an_appliance_that_cannot_start() {
    let mut appliance = start("poll = \"20ms\"");
    let data = appliance.data();
    let closed = variant(&appliance, "closed", &[("policies/closed.cedar", CLOSED)]);
    let folders = [source(&appliance), closed];
    let (stop, loaded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&loaded));
    let loading = std::thread::Builder::new().spawn(move || {
        for folder in folders.iter().cycle() {
            if stopped.load(Ordering::SeqCst) {
                return;
            }
            // It is killed again and again, so that many of these find nobody.
            let answer = appliance::control::ask_load(&data, Some(folder.clone()), false, Vec::new());
            counted.fetch_add(usize::from(answer.is_ok()), Ordering::SeqCst);
        }
    });
    for kill in 0..8 {
        let before = loaded.load(Ordering::SeqCst);
        eventually("bundles are loaded", || (loaded.load(Ordering::SeqCst) > before + kill).then_some(()));
        appliance.kill();
        appliance.launch();
    }
    stop.store(true, Ordering::SeqCst);
    loading.expect("a thread").join().expect("it ends");
    let agent = Agent::connect(&appliance);
    assert!(matches!(ask(&agent), None | Some(Refusal::PolicyDenied)));
    drop(agent);
    assert!(offers(&mut appliance).iter().all(|offer| offer.refused.is_none()));
}
