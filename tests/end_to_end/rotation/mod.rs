//! Rotation: another key of the HSM takes over while agents ask, and whatever stops it, one key is in force.

pub(crate) mod ceremony;
mod faults;
mod killed;
mod refused;
mod under_load;

use assent_client::trust::Trust;
use assent_proto::note::VerifierKey;
use serde_json::Value;

use crate::support::agent::now;
use crate::support::{Appliance, assent};

/// Runs `assent` on this appliance; it must end well.
fn done(appliance: &Appliance, arguments: &[&str]) -> String {
    let (code, out, talk) = assent(Some(&appliance.config()), arguments);
    assert_eq!(code, 0, "assent {}: {out}{talk}", arguments.join(" "));
    out
}

/// What `assent ... -o json` prints.
fn json(appliance: &Appliance, arguments: &[&str]) -> Value {
    let out = done(appliance, &[arguments, &["-o", "json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}"))
}

/// Runs `assent` on this appliance, which must refuse; gives the exit code and what it says.
fn refused(appliance: &Appliance, arguments: &[&str]) -> (i32, String) {
    let (code, out, talk) = assent(Some(&appliance.config()), arguments);
    assert!(code != 0 && out.is_empty(), "assent {}: {code} {out}{talk}", arguments.join(" "));
    (code, talk)
}

/// Makes a key, announces it, and lets everybody have a trust file with it.
fn announce(appliance: &Appliance, id: &str) {
    done(appliance, &["keys", "generate", "--key-id", id]);
    done(appliance, &["keys", "announce", "--key-id", id]);
    export(appliance, "trust.toml");
}

fn rotate(appliance: &Appliance, id: &str) -> Value {
    json(appliance, &["keys", "rotate", "--key-id", id, "--trust-carried"])
}

fn export(appliance: &Appliance, name: &str) -> Trust {
    let path = appliance.folder.path().join(name);
    done(appliance, &["trust", "export", "--out", &path.display().to_string()]);
    Trust::parse(&std::fs::read_to_string(path).expect("a trust file"), now()).expect("a trust file parses")
}

/// `CKA_ID` of the key that signs, as status tells.
fn signing(appliance: &Appliance) -> String {
    appliance.status().expect("the appliance answers").key.cka_id
}

/// Key ID of a verifier key.
fn key_id(vkey: &Value) -> String {
    VerifierKey::parse(vkey.as_str().expect("a vkey")).expect("a vkey").id().to_string()
}
