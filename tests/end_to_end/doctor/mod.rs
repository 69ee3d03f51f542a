//! `assent doctor`: a healthy appliance is found well, and each seeded misconfiguration is found and its mending named.

mod running;
mod seeds;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use self::seeds::{SEEDS, Seed};
use crate::support::agent::{Agent, allowed};
use crate::support::{Appliance, Hsm, assent, softhsm};

/// An appliance that has released tokens and stands still.
pub(crate) struct Healthy {
    appliance: Appliance,
    /// Its log as it was before its last entries.
    older: PathBuf,
}

/// A copy of it, in which something is to go wrong.
pub(crate) struct Copy {
    folder: TempDir,
    /// The log as it was before.
    older: PathBuf,
}

impl Healthy {
    fn new() -> Self {
        let mut appliance = Appliance::start(Hsm::Simulator);
        let older = appliance.folder.path().join("older.redb");
        for is_first in [true, false] {
            let outcomes = Agent::connect(&appliance).preauthorize(&[allowed()]);
            assert!(outcomes.all_allowed(), "a token is released");
            assert!(appliance.stop(), "it stops");
            if is_first {
                std::fs::copy(appliance.log(), &older).expect("a copy of the log");
                appliance.launch();
            }
        }
        Self { appliance, older }
    }

    fn copy(&self) -> Copy {
        let folder = tempfile::tempdir().expect("a folder");
        let from = self.appliance.folder.path();
        let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(folder.path()).status();
        assert!(copied.expect("cp runs").success(), "the folder is copied");
        let copy = Copy { folder, older: self.older.clone() };
        let path = |folder: &Path| folder.join("hsm/simulator").display().to_string();
        copy.edit("assent.toml", &path(from), &path(copy.path()));
        copy
    }
}

impl Copy {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Changes a text in a file, which must be there.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path().join(file)).expect(file);
        assert!(text.contains(from), "{file} says {from}");
        std::fs::write(self.path().join(file), text.replacen(from, to, 1)).expect(file);
    }

    /// Adds to the end of a file.
    pub(crate) fn append(&self, file: &str, text: &str) {
        let before = std::fs::read_to_string(self.path().join(file)).expect(file);
        std::fs::write(self.path().join(file), before + text).expect(file);
    }

    pub(crate) fn chmod(&self, file: &str, mode: u32) {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.path().join(file), mode).expect(file);
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path().join(file), text).expect(file);
    }

    pub(crate) fn remove(&self, file: &str) {
        let path = self.path().join(file);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.expect(file);
    }

    /// Runs a command on it that must do.
    pub(crate) fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(crate::support::ASSENT);
        command.arg("--config").arg(self.path().join("assent.toml")).args(arguments);
        let output = command.stdin(Stdio::null()).output().expect("assent runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// What `doctor` says: exit code and document.
fn doctor(folder: &Path, more: &[&str]) -> (i32, serde_json::Value) {
    let arguments: Vec<&str> = ["doctor", "-o", "json"].iter().chain(more).copied().collect();
    let (code, out, talk) = assent(Some(&folder.join("assent.toml")), &arguments);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{talk}")))
}

/// The checks that did not come out well: name, outcome, and what is said.
fn troubles(report: &serde_json::Value) -> Vec<(String, String, String, String)> {
    let checks = report["checks"].as_array().expect("checks");
    let text = |check: &serde_json::Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let row = |check: &serde_json::Value| {
        (text(check, "check"), text(check, "outcome"), text(check, "found"), text(check, "next"))
    };
    checks.iter().map(row).filter(|row| row.1 != "ok").collect()
}

/// Every file, and what it holds.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let (kind, path) = (entry.file_type().expect("a kind"), entry.path());
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                all.insert(path.clone(), std::fs::read(&path).expect("a file"));
            }
        }
    }
    all
}

#[test]
fn each_seeded_misconfiguration_is_found_and_its_mending_named() {
    let healthy = Healthy::new();
    let (code, report) = doctor(healthy.appliance.folder.path(), &["--strict"]);
    assert_eq!((code, troubles(&report)), (0, vec![]), "a healthy one is clean: {report}");
    assert_eq!(report["schema"], "assent.v1.doctor");
    let mut missed = Vec::new();
    for Seed { name, check, outcome, found, next, sow } in SEEDS {
        let copy = healthy.copy();
        let kept = sow(&copy);
        let (code, report) = doctor(copy.path(), &[]);
        drop(kept);
        let troubles = troubles(&report);
        let is_it = |(its, out, what, then): &(String, String, String, String)| {
            its == check && out == outcome && what.contains(found) && then.contains(next)
        };
        let wanted = if *outcome == "fail" { 3 } else { 0 };
        if !troubles.iter().any(is_it) || code != wanted {
            missed.push(format!("{name}: ended with {code}: {troubles:#?}"));
        }
    }
    assert!(missed.is_empty(), "{} of {} missed:\n{}", missed.len(), SEEDS.len(), missed.join("\n"));
}

#[test]
fn nothing_is_changed_and_a_wrong_pin_is_tried_once() {
    let healthy = Healthy::new();
    let copy = healthy.copy();
    let before = contents(copy.path());
    for more in [&[][..], &["--skip-hsm"], &["--online"]] {
        assert_eq!(doctor(copy.path(), more).0, 0);
    }
    assert_eq!(contents(copy.path()), before, "not a byte");
    // A disk that is full keeps the findings from whoever is to read them.
    for command in
        [&["doctor", "--skip-hsm"][..], &["doctor", "-o", "jsonl"], &["hsm", "check", "--only-look"]]
    {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("the system has one");
        let ended = Command::new(crate::support::ASSENT)
            .arg("--config")
            .arg(copy.path().join("assent.toml"))
            .args(command)
            .stdin(Stdio::null())
            .stdout(full)
            .output()
            .expect("assent runs");
        let talk = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(1) && talk.contains("cannot print"), "{command:?}: {ended:?}");
    }
    copy.write("hsm/pin", "0000000000000000\n");
    let (code, report) = doctor(copy.path(), &[]);
    assert_eq!(code, 3, "{report}");
    let (_, out, talk) = assent(Some(&copy.path().join("assent.toml")), &["hsm", "list", "-o", "jsonl"]);
    let slots: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    let ours =
        slots.iter().find(|slot| slot["label"] == "assent-dev").unwrap_or_else(|| panic!("{out}{talk}"));
    assert_eq!(
        (&ours["schema"], &ours["pin_tries"]),
        (&"assent.v1.hsm.slot".into(), &"low".into()),
        "one try is gone and no second: {ours}"
    );
}

#[test]
fn lines_and_documents_say_the_same_and_a_reader_that_leaves_changes_nothing() {
    let healthy = Healthy::new();
    let config = healthy.appliance.config();
    let (code, lines, talk) = assent(Some(&config), &["doctor"]);
    let (_, rows, _) = assent(Some(&config), &["doctor", "-o", "jsonl"]);
    assert_eq!((code, lines.lines().count()), (0, rows.lines().count()), "{lines}{rows}");
    for (line, row) in lines.lines().zip(rows.lines()) {
        let row: serde_json::Value = serde_json::from_str(row).expect("a row");
        assert_eq!(row["schema"], "assent.v1.doctor.check");
        let (check, word) =
            (row["check"].as_str().expect("a name"), row["outcome"].as_str().expect("an outcome"));
        assert!(line.starts_with(word) && line.contains(check), "{line}: {row}");
    }
    assert!(talk.contains("0 warnings, 0 failures") && !lines.contains('\u{1b}'), "{talk}");
    // Standard output and standard error go to a pipe that nobody reads any more.
    let ended = healthy.appliance.folder.path().join("ended");
    let script = format!(
        "{{ {} --config {} doctor; echo $? > {}; }} 2>&1 | true; sync",
        crate::support::ASSENT,
        config.display(),
        ended.display()
    );
    let ran = Command::new("bash").args(["-c", &script]).stdin(Stdio::null()).output().expect("bash runs");
    assert!(ran.stderr.is_empty(), "{}", String::from_utf8_lossy(&ran.stderr));
    let code = crate::support::eventually("it ends", || std::fs::read_to_string(&ended).ok());
    assert_eq!(code.trim(), "0", "no panic, and the code of what it found");
}

#[test]
fn a_production_that_lacks_what_it_should_have_is_warned_of_and_not_failed() {
    if !softhsm::present() {
        return;
    }
    let mut appliance = Appliance::start(Hsm::SoftHsm);
    assert!(appliance.stop(), "it stops");
    let folder = appliance.folder.path();
    let (code, report) = doctor(folder, &[]);
    let warned = troubles(&report);
    assert_eq!(code, 0, "{warned:#?}");
    for (check, next) in [
        ("operators", "hsm.operators"),
        ("bundle signatures", "policy.signers"),
        ("bundle age", "policy.max_age"),
        ("escalation", "[[escalation.sink]]"),
        ("fence's disk", "fence.path"),
        ("HSM: serial is pinned", "hsm.slot_serial"),
    ] {
        let is_it = |row: &(String, String, String, String)| {
            row.0 == check && row.1 == "warn" && row.3.contains(next)
        };
        assert!(warned.iter().any(is_it), "{check}: {warned:#?}");
    }
    assert_eq!(doctor(folder, &["--strict"]).0, 3);
}
