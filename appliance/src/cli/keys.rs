//! `assent keys generate|list`: authority keys, which are born in the HSM and stay there.
//!
//! What is printed is public. A key is never deleted and no id is ever given to a second key.

use std::io::{self, Write as _};

use clap::Subcommand;
use serde_json::{Value, json};

use super::hsm::{Target, print_table, within_deadline};
use super::{Exit, Format, Globals};
use crate::hsm::key::{Key, hex};
use crate::hsm::module::Access;
use crate::hsm::{FaultKind, HsmFault};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make an Ed25519 key in the HSM: sensitive, never extractable.
    Generate {
        #[command(flatten)]
        target: Target,
        /// The key's label, for people.
        #[arg(long, value_name = "LABEL", default_value = "assent-authority")]
        label: String,
    },
    /// List the private keys of a slot and whether each can be an authority key.
    List {
        #[command(flatten)]
        target: Target,
    },
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Generate { target, label } => generate(&target, label, globals),
        Verb::List { target } => list(&target, globals),
    }
}

fn generate(target: &Target, label: String, globals: &Globals) -> anyhow::Result<Exit> {
    let place = target.slot(globals)?;
    let pin = place.pin()?;
    let (slot, key) = within_deadline(move || {
        let (module, slot, login) = place.log_in(&pin, Access::MakeKeys)?;
        if !slot.makes_keys {
            return Err(HsmFault::new(FaultKind::MechanismAbsent, "CKM_EC_EDWARDS_KEY_PAIR_GEN"));
        }
        let key = login.generate(&place.settings.key_id, &label)?;
        key.require()?;
        drop((login, module));
        Ok((slot, key))
    })?;
    match globals.output {
        Format::Json | Format::Jsonl => {
            let mut document = key_json(&key);
            if let Value::Object(fields) = &mut document {
                fields.insert("schema".to_owned(), json!("assent.v1.keys.generate"));
                fields.insert("slot_label".to_owned(), json!(slot.label));
                fields.insert("slot_serial".to_owned(), json!(slot.serial));
            }
            writeln!(io::stdout(), "{document}")?;
        }
        Format::Table => print_table(HEAD, &[key_row(&key)])?,
    }
    eprintln!("next: `assent hsm check --slot-label {} --key-id {}`", slot.label, hex(&key.id));
    Ok(Exit::Done)
}

fn list(target: &Target, globals: &Globals) -> anyhow::Result<Exit> {
    let place = target.slot(globals)?;
    let pin = place.pin()?;
    let keys = within_deadline(move || {
        let (module, _, login) = place.log_in(&pin, Access::Sign)?;
        let keys = login.keys();
        drop((login, module));
        keys
    })?;
    match globals.output {
        Format::Json => {
            let keys: Vec<_> = keys.iter().map(key_json).collect();
            writeln!(io::stdout(), "{}", json!({"schema": "assent.v1.keys.list", "keys": keys}))?;
        }
        Format::Jsonl => {
            for key in &keys {
                writeln!(io::stdout(), "{}", key_json(key))?;
            }
        }
        Format::Table => print_table(HEAD, &keys.iter().map(key_row).collect::<Vec<_>>())?,
    }
    Ok(Exit::Done)
}

const HEAD: [&str; 4] = ["ID", "LABEL", "PUBLIC KEY", "AUTHORITY KEY"];

fn key_json(key: &Key) -> Value {
    let lacks: Vec<_> = key.lacks().into_iter().map(FaultKind::label).collect();
    json!({
        "key_id": hex(&key.id), "label": key.label, "public_key": key.public_key.map(|bytes| hex(&bytes)),
        "ed25519": key.is_edwards, "sensitive": key.sensitive, "never_extractable": key.never_extractable,
        "local": key.local, "lacks": lacks,
    })
}

fn key_row(key: &Key) -> [String; 4] {
    let lacks: Vec<_> = key.lacks().into_iter().map(FaultKind::label).collect();
    let fit = if lacks.is_empty() { "yes".to_owned() } else { format!("no: {}", lacks.join(", ")) };
    let public_key = key.public_key.map_or_else(|| "unreadable".to_owned(), |bytes| hex(&bytes));
    [hex(&key.id), key.label.clone(), public_key, fit]
}
