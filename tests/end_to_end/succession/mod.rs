//! The ceremony that opens log n+1: who may, for which key, from which heads; and what executors and auditors see of it.

mod killed;
mod refused;
mod runbook;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use appliance::log::reader::Reader;

use crate::fences::{held, message, on_each, restore, save};
use crate::support::agent::{Agent, Credentials, allowed, labels};
use crate::support::{ASSENT, Appliance, Hsm, assent, keygen};

const REASON: &str = "the machine was away for a night";

/// An appliance whose operators are alice and bob, stopped; carol is nobody here.
fn staffed(hsm: Hsm) -> Appliance {
    let mut appliance = Appliance::start(hsm);
    assert!(appliance.stop(), "it stops");
    let folder = appliance.folder.path();
    let line = |name: &str| {
        keygen(folder, &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
        std::fs::read_to_string(folder.join(format!("{name}.pub"))).expect("a key").trim().to_owned()
    };
    let lines = ["alice", "bob", "carol"].map(line);
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let hsm = format!("[hsm]\noperators = {:?}\n", &lines[..2]);
    std::fs::write(appliance.config(), config.replace("[hsm]\n", &hsm)).expect("a configuration");
    appliance
}

/// Makes a key, and has the configuration name it for the log of this number.
fn name_next(appliance: &Appliance, log: u32, key: &str) {
    let (code, _, talk) = assent(Some(&appliance.config()), &["keys", "generate", "--key-id", key]);
    assert_eq!(code, 0, "{talk}");
    name(appliance, log, key);
}

fn name(appliance: &Appliance, log: u32, key: &str) {
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let kept = config.lines().filter(|line| !line.starts_with("log = ") && !line.starts_with("key_id = "));
    let config: String = kept.map(|line| format!("{line}\n")).collect();
    let config = config.replace("[appliance]\n", &format!("[appliance]\nlog = {log}\n"));
    let config = config.replace("[hsm]\n", &format!("[hsm]\nkey_id = \"{key}\"\n"));
    std::fs::write(appliance.config(), config).expect("a configuration");
}

/// Runs the ceremony's command; gives code, output and talk.
fn succeed(appliance: &Appliance, reason: &str, signatures: &[&str]) -> (i32, String, String) {
    let mut arguments = vec!["log", "succeed", "--reason", reason];
    for signature in signatures {
        arguments.extend(["--signature", signature]);
    }
    assent(Some(&appliance.config()), &arguments)
}

/// The statement that is to be signed.
fn statement(appliance: &Appliance, reason: &str) -> String {
    let (code, out, talk) = succeed(appliance, reason, &[]);
    assert!(code == 4 && talk.contains("to be signed by 2 of: alice, bob"), "{code} {talk}");
    out
}

/// The file of this operator's signature.
fn sign(appliance: &Appliance, name: &str, namespace: &str, statement: &str) -> String {
    let folder = appliance.folder.path();
    std::fs::write(folder.join("statement"), statement).expect("a file");
    let _ = std::fs::remove_file(folder.join("statement.sig"));
    keygen(folder, &["-q", "-Y", "sign", "-n", namespace, "-f", name, "statement"]);
    let signature = folder.join(format!("{name}.sig"));
    std::fs::rename(folder.join("statement.sig"), &signature).expect("a signature");
    signature.display().to_string()
}

fn both_sign(appliance: &Appliance, statement: &str) -> [String; 2] {
    ["alice", "bob"].map(|name| sign(appliance, name, "assent-succession@v1", statement))
}

/// Holds the ceremony, from statement to end.
fn held_ceremony(appliance: &Appliance) {
    let [alice, bob] = both_sign(appliance, &statement(appliance, REASON));
    let (code, _, talk) = succeed(appliance, REASON, &[&alice, &bob]);
    assert_eq!(code, 0, "{talk}");
    assert!(talk.contains("is open, for key"), "{talk}");
}

fn export(appliance: &Appliance) -> PathBuf {
    let path = appliance.folder.path().join("trust.toml");
    let (code, _, talk) =
        assent(Some(&appliance.config()), &["trust", "export", "--out", &path.display().to_string()]);
    assert_eq!(code, 0, "{talk}");
    path
}

/// Has the sample's agent ask once by the command line; gives the file with its token.
fn token(appliance: &Appliance, name: &str) -> PathBuf {
    let position = labels().iter().position(|(decision, _)| decision == "allow").expect("one is allowed");
    let intents = appliance.folder.path().join("intent.jsonl");
    let line = appliance::sample::INTENTS.lines().nth(position).expect("an intent");
    std::fs::write(&intents, format!("{line}\n")).expect("a file");
    let tokens = appliance.folder.path().join(name);
    let credentials = Credentials::of_sample(appliance);
    let output = Command::new(ASSENT)
        .args(["intent", "preauthorize"])
        .arg(&intents)
        .arg("--tokens")
        .arg(&tokens)
        .env("ASSENT_ADDR", appliance.status().expect("it answers").listen)
        .env("ASSENT_CA", credentials.ca)
        .env("ASSENT_CERT", credentials.certificate)
        .env("ASSENT_KEY", credentials.key)
        .stdin(Stdio::null())
        .output()
        .expect("assent runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    tokens
}

/// Whether an executor with this trust file takes the token.
fn is_taken(trust: &Path, token: &Path) -> bool {
    let verify = |input: Stdio| {
        let mut command = Command::new(ASSENT);
        command.args(["token", "verify", "--audience", "store-api", "--trust"]).arg(trust).stdin(input);
        command.output().expect("assent runs")
    };
    let output = verify(std::fs::File::open(token).expect("the token").into());
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.success(), out.contains("valid"), "{out}");
    if output.status.success() {
        let nothing = verify(Stdio::null());
        assert_eq!(nothing.status.code(), Some(3), "no token is no good one: {nothing:?}");
    }
    output.status.success()
}

/// The file of the log of this number.
fn log(appliance: &Appliance, number: u32) -> String {
    appliance.data().join(format!("log-{number}.redb")).display().to_string()
}

/// Every file of the first log, with its bytes.
fn first_log(appliance: &Appliance) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in [appliance.data(), appliance.folder.path().join("fence")] {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let of_the_first =
                name.starts_with("log-1.") || name.starts_with("checkpoint.") || name == "checkpoint";
            if of_the_first && path.is_file() {
                let says = contents(&path);
                files.push((path, says));
            }
        }
    }
    files.sort();
    files
}

/// What a file says. A store's pages are written when it is opened, be it to read: its head is what it says, root and all.
pub(crate) fn contents(path: &Path) -> Vec<u8> {
    if path.extension().is_none_or(|kind| kind != "redb") {
        return std::fs::read(path).expect("its bytes");
    }
    let reader = Reader::open(path).expect("the log opens");
    format!("{:?} {:?}", reader.identity().expect("its identity"), reader.head().expect("its head"))
        .into_bytes()
}

#[test]
fn the_next_log_is_opened_by_two_operators_and_its_tokens_alone_are_taken() {
    on_each(|hsm| {
        let mut appliance = staffed(hsm);
        appliance.launch();
        let trust = export(&appliance);
        let old = token(&appliance, "old");
        assert!(is_taken(&trust, &old));
        assert!(appliance.stop(), "it stops");
        name_next(&appliance, 2, "02");
        let (code, _, talk) = assent(Some(&appliance.config()), &["serve"]);
        assert!(code == 1 && talk.contains("assent log succeed"), "{code} {talk}");
        let before = first_log(&appliance);
        held_ceremony(&appliance);
        let after = first_log(&appliance);
        for ((path, before), (_, after)) in before.iter().zip(&after) {
            assert!(before == after, "{} was written", path.display());
        }
        assert_eq!(before.len(), after.len());

        let trust = export(&appliance);
        let text = std::fs::read_to_string(&trust).expect("a trust file");
        assert!(text.contains("/log/1\"") && text.contains("/log/2\""), "{text}");
        assert!(!is_taken(&trust, &old), "the old key may be in wrong hands");
        let status = appliance.launch_next();
        assert!(status.origin.ends_with("/log/2") && status.key.cka_id == "02", "{status:?}");
        let new = token(&appliance, "new");
        assert!(is_taken(&trust, &new));
        assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
        let report = appliance.stop_and_verify_log();
        assert_eq!(report["predecessor"]["reason"], REASON, "{report}");
        verifies_with_its_predecessor(&appliance, &trust);

        name(&appliance, 1, "01");
        let (code, _, talk) = assent(Some(&appliance.config()), &["serve"]);
        assert!(code == 1 && talk.contains("set `appliance.log` to 2"), "{code} {talk}");
    });
}

/// What an auditor does who has both logs and the trust file.
fn verifies_with_its_predecessor(appliance: &Appliance, trust: &Path) {
    let trust = trust.display().to_string();
    let (first, second) = (log(appliance, 1), log(appliance, 2));
    let verify =
        |arguments: &[&str]| assent(None, &[&["log", "verify", "--trust", &trust], arguments].concat());
    let (code, out, talk) = verify(&["--log", &first]);
    assert_eq!(code, 0, "the old log still verifies: {out}{talk}");
    let (code, out, talk) = verify(&["--log", &second, "--predecessor", &first]);
    assert!(code == 0 && out.contains("to which it leads"), "{code} {out}{talk}");
    let (code, out, _) = verify(&["--log", &second, "--predecessor", &second]);
    assert!(code == 3 && out.contains("and this is"), "{code} {out}");
    let (code, out, _) = verify(&["--log", &first, "--predecessor", &first]);
    assert!(code == 3 && out.contains("says of none"), "{code} {out}");
}

#[test]
fn a_log_that_is_behind_its_fence_is_succeeded_and_says_so() {
    on_each(|hsm| {
        let mut appliance = staffed(hsm);
        appliance.launch();
        assert!(appliance.stop(), "it stops");
        save(&appliance, "older");
        appliance.launch();
        assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
        assert!(appliance.stop(), "it stops");
        save(&appliance, "newest");
        restore(&appliance, "older");
        appliance.launch_closed();
        let status = held(&appliance, "fence_mismatch");
        assert!(message(&status).contains("assent log succeed"), "{status:?}");
        assert!(appliance.stop(), "it stops");
        name_next(&appliance, 2, "02");
        held_ceremony(&appliance);
        let trust = export(&appliance);
        appliance.launch_next();
        assert!(Agent::connect(&appliance).preauthorize(&[allowed()]).all_allowed());
        let latch = appliance.folder.path().join("fence/checkpoint.latch");
        assert!(latch.exists(), "the old log stays held");
        let report = appliance.stop_and_verify_log();
        let heads = &report["predecessor"]["heads"];
        assert!(heads["hsm"]["size"].as_u64() > heads["log"]["size"].as_u64(), "{report}");
        let trust = trust.display().to_string();
        let second = log(&appliance, 2);
        let with = |before: &str| {
            assent(None, &["log", "verify", "--trust", &trust, "--log", &second, "--predecessor", before])
        };
        let (code, out, talk) = with(&log(&appliance, 1));
        assert!(code == 0 && out.contains(", behind its end"), "{code} {out}{talk}");
        let newest = appliance.folder.path().join("newest/data/log-1.redb").display().to_string();
        let (code, out, talk) = with(&newest);
        assert!(
            code == 0 && !out.contains(", behind its end"),
            "the true one fits as well: {code} {out}{talk}"
        );
    });
}
