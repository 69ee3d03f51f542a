//! The evidence page: a viewer has the whole log verified while agents ask, reads the report, and takes along a copy that the
//! command on the page verifies, and that it does not verify once a byte of it is another.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use assent_client::batch::Batch;

use super::browser::Tab;
use super::site::Site;
use crate::queue::{close, reopen};
use crate::support::agent::{Agent, allowed_batch, batch_id};
use crate::support::{ASSENT, eventually};

/// Batches of the most intents that bind one volume, and then some.
const BATCHES: usize = 68;

/// Agents that ask until this is dropped.
struct Load {
    stop: Arc<AtomicBool>,
    asking: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    fn on(site: &Site) -> Self {
        let (agent, stop) = (Agent::connect(&site.appliance), Arc::new(AtomicBool::new(false)));
        let (intents, told) = (allowed_batch(64), Arc::clone(&stop));
        let ask = move || {
            while !told.load(Ordering::SeqCst) {
                agent.reply(&Batch::new(batch_id(), &intents).expect("a batch"));
            }
        };
        Self { stop, asking: Some(std::thread::Builder::new().spawn(ask).expect("a thread")) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(asking) = self.asking.take() {
            let _ = asking.join();
        }
    }
}

/// What the browser downloads into this folder, unpacked in another beside the trust file: that folder.
fn downloaded(site: &Site, tab: &Tab) -> PathBuf {
    let folder = site.appliance.folder.path().join("downloads");
    std::fs::create_dir(&folder).expect("a folder");
    tab.download_to(&folder);
    tab.click("form[action='/evidence/download'] button");
    let file = eventually("the download", || {
        let mut files = std::fs::read_dir(&folder).ok()?.filter_map(Result::ok).map(|entry| entry.path());
        files.find(|path| path.extension().is_some_and(|end| end == "tar"))
    });
    let auditor = site.appliance.folder.path().join("auditor");
    std::fs::create_dir(&auditor).expect("a folder");
    let unpack = Command::new("tar").arg("xf").arg(&file).current_dir(&auditor).status();
    assert!(unpack.expect("tar runs").success(), "it is an archive");
    let trust = site.appliance.folder.path().join("trust.toml");
    std::fs::copy(trust, auditor.join("trust.toml")).expect("a trust file from elsewhere");
    auditor
}

/// Runs the command that the page shows, where it says.
fn run(command: &str, folder: &Path) -> (Option<i32>, String) {
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words.first(), Some(&"assent"), "{command}");
    let output = Command::new(ASSENT).args(&words[1..]).current_dir(folder).output().expect("it runs");
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&told).into_owned())
}

/// Another byte in the middle of what the file says of an order.
fn tamper(file: &Path) {
    let mut bytes = std::fs::read(file).expect("a file");
    let needle = b"cancel_pending_order";
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("an intent");
    bytes[at] ^= 1;
    std::fs::write(file, bytes).expect("a file");
}

#[test]
fn a_viewer_has_the_log_verified_and_takes_along_what_the_shown_command_verifies() {
    let mut site = Site::open();
    let batch = allowed_batch(1024);
    for _ in 0..BATCHES {
        site.agent.reply(&Batch::new(batch_id(), &batch).expect("a batch"));
    }
    close(&site.appliance);
    reopen(&site.appliance);
    let tab = Tab::open();
    site.enrol(&tab, "vic");
    site.log_in(&tab);
    tab.goto(&site.at("/evidence"));
    assert!(tab.text("main").contains("Nobody has had the whole log verified"), "{}", tab.text("main"));

    let load = Load::on(&site);
    tab.click("form[action='/evidence/verify'] button");
    tab.wait("it is verified", "document.querySelector('#verification[data-verified=true]')");
    let told = tab.text("#verification");
    assert!(told.contains("The log verifies") && told.contains("asked for by vic"), "{told}");
    assert_eq!(tab.value("document.querySelectorAll('#verification tbody tr').length >= 2"), true, "{told}");
    tab.click("form[action='/evidence/verify'] button");
    tab.wait(
        "not at once again",
        "document.querySelector('main').innerText.includes('verified a moment ago')",
    );
    // The console says no by a status of its own, which the browser notes.
    assert!(tab.problems().iter().all(|problem| problem.contains("409")));
    tab.goto(&site.at("/evidence"));
    tab.picture("evidence");
    let command = tab.text("#command");
    let auditor = downloaded(&site, &tab);
    drop(load);
    let (code, told) = run(&command, &auditor);
    assert_eq!(code, Some(0), "{told}");
    let log = auditor.join("assent-evidence/log-1.redb");
    assert!(log.with_extension("volumes").exists(), "a volume is in it");
    let report = std::fs::read_to_string(auditor.join("assent-evidence/report.html")).expect("the report");
    assert!(report.contains("The log verifies."));
    assert!(!site.appliance.data().join("evidence.unfinished").exists(), "the copy was taken away");

    tab.goto(&site.at("/evidence/report"));
    let shown = tab.text(".report");
    for what in ["The log verifies.", "Outages: ", "Operators' acts: ", "Check it yourself"] {
        assert!(shown.contains(what), "{what}: {shown}");
    }
    tab.picture("report");
    assert_eq!(tab.problems(), Vec::<String>::new());

    // A volume, and then the store, are not what they were.
    let volumes = std::fs::read_dir(log.with_extension("volumes")).expect("a folder");
    let requests = volumes.filter_map(Result::ok).map(|entry| entry.path());
    let volume = requests.into_iter().find(|path| {
        std::fs::read(path)
            .is_ok_and(|bytes| bytes.windows(20).any(|window| window == b"cancel_pending_order"))
    });
    let volume = volume.expect("a volume with orders");
    let whole = std::fs::read(&volume).expect("a volume");
    tamper(&volume);
    let (code, told) = run(&command, &auditor);
    assert_eq!(code, Some(3), "{told}");
    std::fs::write(&volume, whole).expect("a volume");
    assert_eq!(run(&command, &auditor).0, Some(0));
    tamper(&log);
    let (code, told) = run(&command, &auditor);
    assert_eq!(code, Some(3), "{told}");

    site.appliance.stop_and_verify_log();
    let taken = site.leaf_of("download", "vic");
    assert!(taken["statement"].as_str().is_some_and(|text| text.starts_with("size ")), "{taken}");
}
