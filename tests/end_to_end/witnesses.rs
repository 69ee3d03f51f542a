//! Two real appliances witness each other; what one of them forgets, the other remembers.

use std::path::Path;

use crate::support::agent::{Agent, retail};
use crate::support::go::Auditor;
use crate::support::ports::free_port;
use crate::support::{Appliance, Hsm, assent, eventually};
use appliance::http::client::{Client, Reply};
use appliance::serving::status::Status;
use assent_proto::cosignature::WitnessKey;
use assent_proto::note::Note;

/// An appliance that is or has a witness: what of it the other one is told.
struct Party {
    appliance: Appliance,
    /// Its key as a witness.
    witness: String,
    url: String,
}

/// Runs `assent` on it, which must do it; gives what it prints.
fn told(appliance: &Appliance, arguments: &[&str]) -> String {
    let (code, out, talk) = assent(Some(&appliance.config()), arguments);
    assert_eq!(code, 0, "assent {arguments:?}: {talk}");
    out.trim_end().to_owned()
}

impl Party {
    /// An appliance of this name with a fixed port for HTTP and a key as a witness.
    fn new(name: &str) -> Self {
        let mut appliance = Appliance::start(Hsm::Simulator);
        assert!(appliance.stop());
        // A log's origin holds the name, so the log of another name is founded anew.
        let port = free_port();
        let config = std::fs::read_to_string(appliance.config()).expect("a configuration");
        let config = config.replace("http = \"127.0.0.1:0\"", &format!("http = \"127.0.0.1:{port}\""));
        let config = config.replace("name = \"dev\"", &format!("name = \"{name}\""));
        std::fs::write(appliance.config(), config).expect("a configuration");
        std::fs::remove_dir_all(appliance.data()).expect("the data folder goes");
        for part in ["fence", "agents"] {
            std::fs::remove_dir_all(appliance.folder.path().join(part)).expect("it goes");
        }
        told(&appliance, &["init"]);
        told(&appliance, &["agent", "enroll", "retail-support", "--out", &folder_of(&appliance, "agents")]);
        told(&appliance, &["trust", "export", "--out", &folder_of(&appliance, "trust.toml")]);
        let witness = told(&appliance, &["witness", "init"]);
        assert_eq!(told(&appliance, &["witness", "show"]), witness, "the key stays what it is");
        Self { appliance, witness, url: format!("http://127.0.0.1:{port}/witness") }
    }

    /// The verifier key of its log, which it prints when it runs.
    fn log_key(&self) -> String {
        let ring = std::fs::read_to_string(self.appliance.data().join("log-1.keys.toml")).expect("a ring");
        let line = ring.lines().find_map(|line| line.strip_prefix("vkey = \"")).expect("a key");
        line.trim_end_matches('"').to_owned()
    }

    /// Has it witness the other's log, and ask the other.
    fn joined_with(&self, other: &Self) {
        let mut config = std::fs::read_to_string(self.appliance.config()).expect("a configuration");
        config += &format!(
            "\n[witness]\nask = [\"{} {}\"]\ninterval = \"100ms\"\n\n[witnessing]\nlogs = [\"{}\"]\n",
            other.witness,
            other.url,
            other.log_key()
        );
        std::fs::write(self.appliance.config(), config).expect("a configuration");
    }

    fn status(&self) -> Status {
        self.appliance.status().expect("it answers")
    }

    /// Waits until the other cosigned all that is signed here.
    fn wait_until_cosigned(&self) -> u64 {
        eventually("the witness cosigns", || {
            let status = self.appliance.status()?;
            let size = status.witnesses.first().filter(|witness| witness.error.is_none())?.size;
            (size == status.counters.log_size).then_some(size)
        })
    }

    fn grow(&self) {
        let _ = Agent::connect(&self.appliance).preauthorize(&retail()[..20]);
    }
}

fn folder_of(appliance: &Appliance, name: &str) -> String {
    appliance.folder.path().join(name).display().to_string()
}

/// Two appliances that witness each other.
fn fleet() -> (Party, Party) {
    let (mut alice, mut bob) = (Party::new("alice"), Party::new("bob"));
    alice.joined_with(&bob);
    bob.joined_with(&alice);
    alice.appliance.launch();
    bob.appliance.launch();
    (alice, bob)
}

fn post(url: &str, body: &str) -> Reply {
    let client = Client::new(std::time::Duration::from_secs(10), None).expect("a client");
    client.post(&format!("{url}/add-checkpoint"), body, 4096).expect("an answer")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            copy(&from, &to);
        } else if kind.is_file() {
            std::fs::copy(from, to).expect("a copy");
        }
    }
}

#[test]
fn two_appliances_cosign_each_other_and_anybody_can_verify_it() {
    let (mut alice, bob) = fleet();
    alice.grow();
    let size = alice.wait_until_cosigned();
    bob.wait_until_cosigned();
    assert_eq!(bob.status().witnessed[0].size, size);

    // What is shown carries the line, and the line verifies, also by code that nobody here wrote.
    let note = told(&alice.appliance, &["log", "checkpoint"]) + "\n";
    let key = WitnessKey::parse(&bob.witness).expect("a key of a witness");
    assert!(Note::parse(&note).expect("a note").cosigned_at(&key).is_ok(), "{note}");
    let scratch = tempfile::tempdir().expect("a folder");
    if let Some(auditor) = Auditor::build(scratch.path()) {
        let path = scratch.path().join("note");
        std::fs::write(&path, &note).expect("a file");
        let path = path.display().to_string();
        auditor.accepts(&["cosigned", &alice.log_key(), &bob.witness, &path]);
        auditor.refuses(&["cosigned", &alice.log_key(), &alice.witness, &path]);
    }
    // Bob shows the same to whoever asks him about that log.
    let client = Client::new(std::time::Duration::from_secs(10), None).expect("a client");
    let shown: serde_json::Value =
        serde_json::from_str(&told(&bob.appliance, &["witness", "show", "-o", "json"])).expect("JSON");
    let name = shown["logs"][0]["checkpoint"].as_str().expect("a name");
    let seen = client.get(&format!("{}/{name}", bob.url), 8192).expect("an answer");
    let seen = String::from_utf8(seen.body).expect("a note");
    assert!(Note::parse(&seen).expect("a note").cosigned_at(&key).is_ok());

    // A proof that asks for the witness holds, and one that asks for another does not.
    let proof = folder_of(&alice.appliance, "proof");
    told(&alice.appliance, &["log", "prove", "3", "--out", &proof]);
    let checked = told(&alice.appliance, &["log", "check-proof", &proof, "--witness", &bob.witness]);
    assert!(checked.contains("cosigned by localhost/bob/witness"), "{checked}");
    let (code, _, talk) =
        assent(Some(&alice.appliance.config()), &["log", "check-proof", &proof, "--witness", &alice.witness]);
    assert_eq!(code, 3, "{talk}");

    // It outlives the process, and a witness that is away stops nobody.
    alice.appliance.kill();
    drop(bob);
    alice.appliance.launch();
    alice.grow();
    let failing = eventually("it is told that the witness is away", || {
        alice.appliance.status()?.witnesses.into_iter().find(|witness| witness.error.is_some())
    });
    assert!(!failing.contradicts, "{failing:?}");
    alice.appliance.stop_and_verify_log();
}

#[test]
fn a_log_that_was_rolled_back_with_its_fence_is_refused_by_the_other() {
    let (mut alice, bob) = fleet();
    alice.wait_until_cosigned();
    // An operator keeps data and fence together, as for a backup, and puts them back later: the fence cannot tell.
    assert!(alice.appliance.stop());
    let (root, kept) = (alice.appliance.folder.path().to_owned(), tempfile::tempdir().expect("a folder"));
    let parts = ["data", "fence", "hsm"];
    parts.iter().for_each(|part| copy(&root.join(part), &kept.path().join(part)));
    alice.appliance.launch();
    alice.grow();
    let seen = alice.wait_until_cosigned();
    assert!(alice.appliance.stop());
    for part in parts {
        std::fs::remove_dir_all(root.join(part)).expect("it goes");
        copy(&kept.path().join(part), &root.join(part));
    }
    let data = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(root.join("data"), data).expect("a mode");
    alice.appliance.launch();
    let ahead = eventually("the witness says that it saw more", || {
        alice.appliance.status()?.witnesses.into_iter().find(|witness| witness.contradicts)
    });
    assert!(ahead.error.as_ref().is_some_and(|error| error.contains(&seen.to_string())), "{ahead:?}");
    let (_, table, _) = assent(Some(&alice.appliance.config()), &["status"]);
    assert!(table.contains("CONTRADICTS"), "{table}");

    // It grows past what was seen, along another branch: no proof leads there.
    for _ in 0..4 {
        alice.grow();
    }
    let forked = eventually("the witness sees the fork", || {
        let witness = alice.appliance.status()?.witnesses.into_iter().next()?;
        witness.error.filter(|error| error.contains("did not grow"))
    });
    assert!(alice.appliance.traces().contains("the witness contradicts this log"), "{forked}");
    assert!(bob.appliance.traces().contains("did not grow from what was cosigned"));
    assert_eq!(bob.status().witnessed[0].size, seen, "the record of the honest log stands");
    assert!(bob.status().boundaries.token.open, "and the witness serves its own agents");
}

#[test]
fn a_witness_answers_as_the_specification_says() {
    let (alice, bob) = fleet();
    alice.grow();
    let size = alice.wait_until_cosigned();
    let newest = told(&alice.appliance, &["log", "prove", "--consistency", &size.to_string()]) + "\n";
    let ask = |body: &str| {
        let reply = post(&bob.url, body);
        (reply.status, reply.content_type, String::from_utf8_lossy(&reply.body).into_owned())
    };
    let (status, _, line) = ask(&newest);
    assert_eq!(status, 200, "{line}");
    assert!(line.starts_with('\u{2014}') && line.ends_with('\n'), "{line}");
    let older = newest.replace(&format!("old {size}"), "old 1");
    assert_eq!(ask(&older), (409, "text/x.tlog.size".to_owned(), format!("{size}\n")));
    let refused = |body: &str, status: u16| {
        let answer = ask(body);
        assert_eq!(answer.0, status, "{answer:?}, at {size}, to {body}");
    };
    refused("old 0\n\nnonsense", 400);
    refused(&newest.replace("/alice/", "/carol/"), 404);
    refused(&newest.replace(&format!("\n{size}\n"), &format!("\n{}\n", size + 1)), 403);
    refused(&newest.replacen("\n\n", "\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n", 1), 422);
    refused(&"x".repeat(100_000), 413);
    // Its own log is not among those that it witnesses.
    assert_eq!(post(&alice.url, &newest).status, 404);
}
