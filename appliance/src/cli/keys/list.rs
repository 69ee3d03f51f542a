//! `assent keys list`: the keys of a slot beside the key ring of the log.

use std::io::Write as _;

use assent_proto::note::VerifierKey;
use serde_json::{Value, json};

use super::{key_json, key_row};
use crate::cli::hsm::{Target, print_table, within_deadline};
use crate::cli::output::json_lines;
use crate::cli::{Exit, Format, Globals, utc};
use crate::config::Config;
use crate::hsm::key::Key;
use crate::hsm::module::Access;
use crate::log::hex::hex;
use crate::log::keyring::{Keyring, Standing};
use crate::provision::{self, ProvisionError};

/// Runs the command.
pub(super) fn run(target: &Target, globals: &Globals) -> anyhow::Result<Exit> {
    let place = target.slot(globals)?;
    let pin = place.pin()?;
    let keys = within_deadline(move || {
        let (module, _, login) = place.log_in(&pin, Access::Sign)?;
        let keys = login.keys();
        drop((login, module));
        keys
    })?;
    let ring = if target.is_configured() { ring(globals)? } else { None };
    let absent = absent(ring.as_ref(), &keys);
    let lines = || {
        let here = keys.iter().map(|key| with_role(key_json(key), role_of(ring.as_ref(), key)));
        here.chain(
            absent
                .iter()
                .map(|(id, role)| with_role(json!({"key_id": id, "lacks": ["key_absent"]}), Some(*role))),
        )
    };
    match globals.output {
        Format::Json => {
            let keys: Vec<_> = lines().collect();
            writeln!(crate::cli::stdout(), "{}", json!({"schema": "assent.v1.keys.list", "keys": keys}))?;
        }
        Format::Jsonl => {
            json_lines("assent.v1.key", &lines().collect::<Vec<_>>())?;
        }
        Format::Table => {
            let here = keys.iter().map(|key| {
                let [id, label, mut public_key, mut fit] = key_row(key);
                if shares_its_id(key, &keys) {
                    (public_key, fit) = ("more than one key has this id".to_owned(), SHARED.to_owned());
                }
                [id, label, public_key, fit, role_of(ring.as_ref(), key).map(Role::told).unwrap_or_default()]
            });
            let gone = absent.iter().map(|(id, role)| {
                [id.clone(), String::new(), String::new(), "no: not in the HSM".to_owned(), role.told()]
            });
            print_table(HEAD, &here.chain(gone).collect::<Vec<_>>())?;
        }
    }
    Ok(Exit::Done)
}

/// What a key lacks whose id is not its own.
const SHARED: &str = "no: remove the one that does not belong there with the vendor's tool";

/// Whether another key has its id: then nobody can say which public half is whose.
fn shares_its_id(key: &Key, keys: &[Key]) -> bool {
    keys.iter().filter(|other| other.id == key.id).count() > 1
}

const HEAD: [&str; 5] = ["ID", "LABEL", "PUBLIC KEY", "AUTHORITY KEY", "IN THE LOG"];

/// The ring of the configured appliance; none before its log was made.
fn ring(globals: &Globals) -> anyhow::Result<Option<Keyring>> {
    match provision::keyring(&Config::load(&globals.config)?) {
        Ok(ring) => Ok(Some(ring)),
        Err(ProvisionError::NotPinned(_) | ProvisionError::NotOpened(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a key is to the log.
#[derive(Clone, Copy)]
enum Role {
    Known(Standing),
    /// The ring has another public key under this id: somebody changed the HSM.
    Other,
}

fn role_of(ring: Option<&Keyring>, key: &Key) -> Option<Role> {
    let (vkey, standing) = ring?.standing(&hex(&key.id))?;
    let known = VerifierKey::parse(vkey).ok().map(|known| *known.key().as_bytes());
    Some(if known == key.public_key { Role::Known(standing) } else { Role::Other })
}

/// Keys of the ring that the slot does not have. A retired one may be destroyed.
fn absent(ring: Option<&Keyring>, keys: &[Key]) -> Vec<(String, Role)> {
    let Some(ring) = ring else { return Vec::new() };
    let all = ring.keys().map(|key| &key.cka_id).chain(ring.next().map(|next| &next.cka_id));
    let gone = all.filter(|id| !keys.iter().any(|key| &hex(&key.id) == *id));
    let role = |id: &String| ring.standing(id).map(|(_, standing)| (id.clone(), Role::Known(standing)));
    gone.filter_map(role).collect()
}

impl Role {
    fn told(self) -> String {
        match self {
            Self::Other => "NO: the log has another key under this id".to_owned(),
            Self::Known(Standing::Next { announced }) => format!("next, announced {}", utc(announced)),
            Self::Known(Standing::Signs { since }) => format!("signs since {}", utc(since)),
            Self::Known(Standing::Signed { until, over }) => {
                format!("signed until {}, last tokens over at {}", utc(until), utc(over))
            }
            Self::Known(Standing::Retired { at }) => format!("retired {}", utc(at)),
        }
    }
}

fn with_role(mut key: Value, role: Option<Role>) -> Value {
    let told = role.map(|role| match role {
        Role::Other => json!({"state": "other"}),
        Role::Known(Standing::Next { announced }) => json!({"state": "next", "announced_ms": announced.0}),
        Role::Known(Standing::Signs { since }) => json!({"state": "signs", "since_ms": since.0}),
        Role::Known(Standing::Signed { until, over }) => {
            json!({"state": "signed", "until_ms": until.0, "over_ms": over.0})
        }
        Role::Known(Standing::Retired { at }) => json!({"state": "retired", "at_ms": at.0}),
    });
    if let Value::Object(fields) = &mut key {
        fields.insert("log".to_owned(), told.unwrap_or(Value::Null));
    }
    key
}
