//! The tamper drill: an appliance under load, with outages and kills in it, leaves a log that verifies, decisions made again
//! included; and none of fifty tamperings with that log does.
//!
//! `ASSENT_TAMPER_SECONDS=600 ASSENT_TAMPER_OUTAGES=5 ASSENT_TAMPER_KILLS=3` is the whole drill; `ASSENT_TAMPER_SEED` picks
//! other places.

mod catalogue;
mod past;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::log::fence::signed_note;
use assent_client::batch::Batch;
use assent_client::intent::Intent;
use assent_client::trust::Trust;
use serde_json::Value;

use self::catalogue::{ALL, Dice, Tampering, lie, tamper};
use self::past::Past;
use crate::operators::{clear, inject};
use crate::support::agent::{Agent, batch_id, retail};
use crate::support::{Appliance, Hsm, assent, eventually};

/// Agents that ask all the while.
const AGENTS: usize = 2;
/// Intents of a batch.
const INTENTS: usize = 16;
/// Between two batches of an agent.
const PACE: Duration = Duration::from_millis(50);

/// A number from the environment.
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Agents that ask on through everything, until they are dropped.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    agents: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(appliance: &Appliance) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let intents = retail();
        let agent = |number: usize| {
            let (agent, stop, answered) =
                (Agent::connect(appliance), Arc::clone(&stop), Arc::clone(&answered));
            let own: Vec<Intent> = intents.iter().skip(number).step_by(AGENTS).cloned().collect();
            let ask = move || {
                for intents in own.chunks_exact(INTENTS).cycle() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let batch = Batch::new(batch_id(), intents).expect("a batch");
                    // Through a kill the client asks again under the same id, until there is an answer.
                    let _ = agent.reply(&batch);
                    answered.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(PACE); // WAIT: the pace of the load, until it is told to stop
                }
            };
            std::thread::Builder::new().spawn(ask).expect("a thread")
        };
        let agents = (0..AGENTS).map(agent).collect();
        Self { stop, answered, agents }
    }

    /// Waits until so many batches more were answered, and so much time has passed.
    fn goes_on(&self, batches: u64, time: Duration) {
        let (before, watch) = (self.answered.load(Ordering::SeqCst), Stopwatch::start());
        while watch.elapsed() < time {
            eventually("a batch is answered", || {
                (self.answered.load(Ordering::SeqCst) > before).then_some(())
            });
            std::thread::sleep(PACE.min(time)); // WAIT: for the time of this part of the drill to pass
        }
        eventually("batches are answered", || {
            (self.answered.load(Ordering::SeqCst) >= before + batches).then_some(())
        });
    }

    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.agents.into_iter().for_each(|agent| agent.join().expect("the agent ends"));
    }
}

/// Nothing can be signed for a while, and agents hear so.
fn outage(appliance: &Appliance) {
    inject(appliance, "remove");
    eventually("intents are denied without a signature", || {
        appliance
            .status()
            .filter(|status| !status.boundaries.token.open && status.counters.unsigned_entries > 40)
    });
    clear(appliance);
    appliance.wait_until_open();
}

/// What an auditor has who was given a copy.
struct Copy<'c> {
    log: PathBuf,
    trust: PathBuf,
    fence: &'c Path,
    bundles: &'c Path,
}

impl Copy<'_> {
    /// Verifies it offline; gives exit code and report.
    fn verify(&self, replay: bool) -> (i32, Value) {
        let text = |path: &Path| path.to_str().expect("a path").to_owned();
        let (log, trust) = (text(&self.log), text(&self.trust));
        let (fence, bundles) = (text(self.fence), text(self.bundles));
        let mut arguments = vec!["log", "verify", "--log", &log, "--trust", &trust, "--fence", &fence];
        arguments.extend(["--bundles", &bundles, "-o", "json"]);
        if replay {
            arguments.push("--replay");
        }
        let (code, out, talk) = assent(None, &arguments);
        (code, serde_json::from_str(&out).unwrap_or_else(|_| Value::from(talk)))
    }
}

/// Runs the drill, and gives the stopped appliance.
fn drill() -> Appliance {
    let (outages, kills) = (number("ASSENT_TAMPER_OUTAGES", 2), number("ASSENT_TAMPER_KILLS", 1));
    let part = Duration::from_secs(number("ASSENT_TAMPER_SECONDS", 2))
        / u32::try_from(outages + kills + 1).expect("few");
    let mut appliance = Appliance::start(Hsm::Simulator);
    let load = Load::on(&appliance);
    for event in 0..outages.max(kills) {
        load.goes_on(20, part);
        if event < outages {
            outage(&appliance);
        }
        if event < kills {
            load.goes_on(5, part);
            appliance.kill();
            appliance.launch();
        }
    }
    load.goes_on(20, part);
    load.end();
    assert!(appliance.stop(), "it stops");
    appliance
}

#[test]
fn a_log_with_outages_and_kills_in_it_verifies_and_no_tampering_with_it_does() {
    let seed = number("ASSENT_TAMPER_SEED", 7);
    let appliance = drill();
    let (fence, bundles) =
        (appliance.folder.path().join("fence/checkpoint"), appliance.data().join("bundles"));
    let trust = appliance.folder.path().join("trust.toml");
    let at = |log: PathBuf| Copy { log, trust: trust.clone(), fence: &fence, bundles: &bundles };

    let (code, report) = at(appliance.log()).verify(true);
    assert_eq!((code, &report["verified"]), (0, &true.into()), "{report}");
    let gaps = report["gaps"].as_array().expect("gaps");
    assert!(gaps.iter().all(|gap| gap["closed"] == true), "{report}");
    assert!(gaps.len() as u64 >= number("ASSENT_TAMPER_OUTAGES", 2), "{report}");
    assert_eq!(
        (&report["replayed"]["differ"], &report["beside"]["erased"]),
        (&0.into(), &0.into()),
        "{report}"
    );
    println!(
        "seed {seed}; {} entries, {} rounds verify; replayed: {}",
        report["entries"], report["checkpoints"], report["replayed"]
    );

    let past = Past::read(&appliance.log());
    let whole = tempfile::tempdir().expect("a folder");
    let (code, control) = at(past.write(whole.path())).verify(true);
    assert_eq!(code, 0, "a past that nobody changed verifies when it is put together again: {control}");
    assert_eq!((&control["entries"], &control["beside"]), (&report["entries"], &report["beside"]));

    let mut dice = Dice(seed);
    let (mut done, mut unseen) = (0, Vec::new());
    for (tampering, times) in ALL {
        for _ in 0..times {
            let place = tempfile::tempdir().expect("a folder");
            let (told, code, report) = attempt(&past, tampering, &mut dice, place.path(), &at);
            done += 1;
            let found = report["findings"][0]["what"]
                .as_str()
                .or(report.as_str())
                .unwrap_or_default()
                .trim()
                .to_owned();
            println!("{tampering:?}, {told}: {code}, {found}");
            if code != 3 {
                unseen.push(format!("{tampering:?}, {told}: {code} {report}"));
            }
        }
    }
    an_appliance_that_lied_is_found_by_deciding_again(&past, &mut dice, &bundles);
    assert!(
        unseen.is_empty(),
        "{} of {done} tamperings were not found:\n{}",
        unseen.len(),
        unseen.join("\n")
    );
    assert_eq!(done, 50);
}

/// Against whoever holds the HSM's key no tree and no signature helps; the policies do.
fn an_appliance_that_lied_is_found_by_deciding_again(past: &Past, dice: &mut Dice, bundles: &Path) {
    let (mut past, place) = (past.clone(), tempfile::tempdir().expect("a folder"));
    let (at, key) = lie(&mut past, dice);
    let (trust, fence) = (place.path().join("trust.toml"), place.path().join("fence"));
    std::fs::write(&trust, Trust::new(&[key]).expect("trust").render()).expect("written");
    let last = past.rounds.iter().rev().find_map(|round| round.checkpoint).expect("a checkpoint");
    std::fs::write(&fence, signed_note(past.origin(), &last)).expect("written");
    let copy = Copy { log: past.write(place.path()), trust, fence: &fence, bundles };
    let is_seen = |report: &Value, what: &str| {
        let findings = report["findings"].as_array().expect("findings");
        findings.iter().any(|finding| finding["what"].as_str().is_some_and(|said| said.contains(what)))
    };
    let (code, report) = copy.verify(true);
    assert_eq!((code, &report["replayed"]["differ"]), (3, &1.into()), "{at}: {report}");
    assert!(
        is_seen(&report, "recorded as allow") && is_seen(&report, "its bundle decides deny POLICY_DENIED"),
        "{report}"
    );
    let (_, report) = copy.verify(false);
    assert!(!is_seen(&report, "recorded as allow") && !is_seen(&report, "checkpoint"), "{report}");
}

/// One tampering on a copy: where it was, and what the verification says.
fn attempt<'c>(
    past: &Past,
    tampering: Tampering,
    dice: &mut Dice,
    place: &Path,
    at: &impl Fn(PathBuf) -> Copy<'c>,
) -> (String, i32, Value) {
    let mut past = past.clone();
    let mut told = tamper(&mut past, tampering, dice);
    let copy = at(past.write(place));
    let bundles = place.join("bundles");
    let (code, report) = match tampering {
        Tampering::BundleChanged | Tampering::BundleRemoved => {
            std::fs::create_dir(&bundles).expect("a folder");
            for file in std::fs::read_dir(copy.bundles).expect("the archive") {
                let path = file.expect("a file").path();
                let text = std::fs::read_to_string(&path).expect("a bundle");
                let name = path.file_name().expect("a name");
                told = name.display().to_string();
                if tampering == Tampering::BundleChanged {
                    // What was forbidden is permitted now.
                    std::fs::write(bundles.join(name), text.replacen("forbid", "permit", 1))
                        .expect("written");
                }
            }
            Copy { bundles: &bundles, ..copy }.verify(true)
        }
        Tampering::FileDamaged => {
            told = damage(&past, &copy.log, dice);
            copy.verify(false)
        }
        Tampering::DecisionTurned
        | Tampering::EntryChanged
        | Tampering::LeafRemoved
        | Tampering::LeafRepeated
        | Tampering::LeavesSwapped
        | Tampering::RoundRemoved
        | Tampering::CheckpointReplaced
        | Tampering::SignatureChanged
        | Tampering::CheckpointRemoved
        | Tampering::RootMended
        | Tampering::OutageFalsified
        | Tampering::OutageRemoved
        | Tampering::GapThinned
        | Tampering::SignedByAnother
        | Tampering::OlderLog
        | Tampering::RequestChanged
        | Tampering::RequestRemoved
        | Tampering::AnswerChanged => copy.verify(false),
    };
    (told, code, report)
}

/// Changes a byte of a leaf where it lies in a file of the log.
fn damage(past: &Past, log: &Path, dice: &mut Dice) -> String {
    let mut bytes = std::fs::read(log).expect("the store");
    let leaves: Vec<_> = past.rounds.iter().rev().take(20).flat_map(|round| &round.leaves).collect();
    let leaf = leaves[dice.below(leaves.len())];
    let at =
        bytes.windows(leaf.len()).position(|window| window == &leaf[..]).expect("the leaf lies in the store");
    bytes[at + leaf.len() / 2] ^= 1;
    std::fs::write(log, bytes).expect("written");
    format!("byte {at} of the store")
}
