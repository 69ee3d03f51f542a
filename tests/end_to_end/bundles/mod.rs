//! Bundles in motion: pushed at a live appliance, good and bad, signed and not, with the source there and away.
//!
//! What an operator would type is typed here (`assent policy ..`, `ssh-keygen`), and what was promised is looked up where an
//! auditor would look: in the log.

mod beside;
mod loading;
mod refused;
mod source;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use appliance::log::reader::Reader;
use assent_client::outcome::Outcome;
use assent_proto::entry::{Entry, OfferOutcome};
use assent_proto::hash::Hash;
use assent_proto::refusal::Refusal;

use crate::support::agent::{Agent, allowed};
use crate::support::{Appliance, Hsm, assent, keygen};

/// A policy that closes the store.
const CLOSED: &str = "@id(\"store-is-closed\")\nforbid (principal, action, resource);\n";

/// An appliance with these lines in the section `[policy]` of its configuration.
fn start(policy: &str) -> Appliance {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop(), "{}", appliance.traces());
    configure_more(&appliance, &format!("\n[policy]\n{policy}"));
    appliance.launch();
    appliance
}

/// More lines of the same section, which is the last one.
fn configure_more(appliance: &Appliance, policy: &str) {
    let file = std::fs::OpenOptions::new().append(true).open(appliance.config());
    writeln!(file.expect("the configuration"), "{policy}").expect("the configuration can be written");
}

/// The source of its bundles.
fn source(appliance: &Appliance) -> PathBuf {
    appliance.folder.path().join("bundle")
}

/// A copy of the sample's bundle in the appliance's folder, with more files.
fn variant(appliance: &Appliance, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = appliance.folder.path().join(name);
    appliance::sample::write_bundle(&folder).expect("a bundle");
    for (file, text) in files {
        write(&folder, file, text);
    }
    folder
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
    std::fs::write(path, text).expect("a file of the bundle");
}

/// `assent policy VERB ..` at this appliance: exit code, output and talk.
fn policy(appliance: &Appliance, arguments: &[&str]) -> (i32, String, String) {
    assent(Some(&appliance.config()), &[&["policy"], arguments].concat())
}

fn load(appliance: &Appliance, folder: &Path) -> (i32, String, String) {
    policy(appliance, &["load", folder.to_str().expect("a path")])
}

/// What `assent policy show` says.
fn show(appliance: &Appliance) -> serde_json::Value {
    let (code, out, talk) = policy(appliance, &["show", "-o", "json"]);
    assert_eq!(code, 0, "{out}{talk}");
    serde_json::from_str(&out).expect("JSON")
}

fn digest(appliance: &Appliance) -> String {
    appliance.status().expect("the appliance answers").policy.digest
}

/// Asks for something that the sample's bundle allows; gives the refusal, if there is one.
fn ask(agent: &Agent) -> Option<Refusal> {
    let outcomes = agent.preauthorize(&[allowed()]);
    outcomes.iter().next().expect("one outcome").reason().map(|reason| reason.refusal)
}

/// Asks for the same, and gives the policies that deny it.
fn denied_by(agent: &Agent) -> Vec<String> {
    let outcomes = agent.preauthorize(&[allowed()]);
    let outcome = outcomes.iter().next().expect("one outcome");
    let Outcome::Denied(reason) = outcome else { panic!("not denied: {outcome:?}") };
    reason.policies.to_vec()
}

/// A bundle that was offered, as the log has it.
#[derive(Debug)]
struct Offered {
    index: u64,
    before: Hash,
    after: Hash,
    source: String,
    by: String,
    version: Option<u64>,
    refused: Option<String>,
}

/// Stops the appliance, verifies its log, and gives every entry of it to `look`.
fn read_log(appliance: &mut Appliance, mut look: impl FnMut(u64, &Entry<'_>)) {
    appliance.stop_and_verify_log();
    let reader = Reader::open(&appliance.log()).expect("the log opens");
    let leaves = reader.leaves(0..reader.size().expect("a size").0).expect("leaves");
    for (index, leaf) in (0..).zip(leaves.iter()) {
        look(index, &Entry::parse(leaf).expect("an entry"));
    }
}

/// Every bundle that the log says was offered.
fn offers(appliance: &mut Appliance) -> Vec<Offered> {
    let mut offers = Vec::new();
    read_log(appliance, |index, entry| {
        if let Entry::Bundle(offer) = entry {
            let refused = match offer.outcome {
                OfferOutcome::Loaded => None,
                OfferOutcome::Refused(reason) => Some(reason.to_owned()),
            };
            let (source, by) = (offer.source.to_owned(), offer.by.to_owned());
            let (before, after, version) = (offer.before, offer.after, offer.version);
            offers.push(Offered { index, before, after, source, by, version, refused });
        }
    });
    offers
}

/// Operators with keys, made by `ssh-keygen`.
struct Operators {
    folder: tempfile::TempDir,
    lines: Vec<String>,
}

impl Operators {
    fn new(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let make = |name: &&str| {
            keygen(folder.path(), &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
            let line =
                std::fs::read_to_string(folder.path().join(format!("{name}.pub"))).expect("a public key");
            line.trim().to_owned()
        };
        let lines = names.iter().map(make).collect();
        Self { folder, lines }
    }

    /// The lines of the configuration that make them signers.
    fn configured(&self, threshold: usize) -> String {
        format!("signers = {:?}\nthreshold = {threshold}", self.lines)
    }

    /// Has an operator sign what `assent policy statement` prints for a bundle; gives the signature's file.
    fn sign(&self, appliance: &Appliance, bundle: &Path, name: &str, statement: &[&str]) -> PathBuf {
        let bundle = bundle.to_str().expect("a path");
        let (code, out, talk) = policy(appliance, &[&["statement", bundle], statement].concat());
        assert_eq!(code, 0, "{talk}");
        let file = self.folder.path().join(format!("{name}.statement"));
        std::fs::write(&file, out).expect("the statement");
        let signature = self.folder.path().join(format!("{name}.statement.sig"));
        let _ = std::fs::remove_file(&signature);
        let file = format!("{name}.statement");
        keygen(self.folder.path(), &["-q", "-Y", "sign", "-n", "assent-bundle@v1", "-f", name, &file]);
        signature
    }

    /// The same, into the bundle's own folder.
    fn sign_into(&self, appliance: &Appliance, bundle: &Path, name: &str) {
        let signature = self.sign(appliance, bundle, name, &[]);
        let place = bundle.join("signatures");
        std::fs::create_dir_all(&place).expect("the folder");
        std::fs::copy(signature, place.join(format!("{name}.sig"))).expect("the signature");
    }
}
