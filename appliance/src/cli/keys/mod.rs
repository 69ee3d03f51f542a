//! `assent keys generate|list|announce|rotate|retire`: authority keys, which are born in the HSM and stay there.
//!
//! What is printed is public. A key is never deleted and no id is ever given to a second key.

mod list;
mod order;

use std::io::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};

use super::hsm::{Target, print_table, within_deadline};
use super::{Exit, Format, Globals};
use crate::hsm::key::Key;
use crate::hsm::module::Access;
use crate::hsm::{FaultKind, HsmFault};
use crate::log::hex::hex;

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
    /// List the private keys of a slot, whether each can be an authority key, and what it is to the appliance's log.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Have the running appliance try a key and name it as the next one, so that `trust export` tells of it ahead.
    Announce {
        /// The key's id (CKA_ID), in hexadecimal digits.
        #[arg(long, value_name = "HEX", value_parser = order::cka_id)]
        key_id: String,
    },
    /// Have the running appliance sign with the announced key from now on.
    Rotate {
        /// The key's id (CKA_ID), in hexadecimal digits.
        #[arg(long, value_name = "HEX", value_parser = order::cka_id)]
        key_id: String,
        /// Executors, agents and auditors hold a trust file with the announced key; asked when absent.
        #[arg(long)]
        trust_carried: bool,
    },
    /// Mark a key as retired, once the last token that it signed is over.
    Retire {
        /// The key's id (CKA_ID), in hexadecimal digits.
        #[arg(value_name = "HEX", value_parser = order::cka_id)]
        key_id: String,
    },
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Generate { target, label } => generate(&target, label, globals),
        Verb::List { target } => list::run(&target, globals),
        Verb::Announce { key_id } => order::announce(key_id, globals),
        Verb::Rotate { key_id, trust_carried } => order::rotate(key_id, trust_carried, globals),
        Verb::Retire { key_id } => order::retire(key_id, globals),
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
            writeln!(crate::cli::stdout(), "{}", crate::shown::json(&document))?;
        }
        Format::Table => print_table(HEAD, &[key_row(&key)])?,
    }
    talk!("next: `assent hsm check --slot-label {} --key-id {}`", slot.label, hex(&key.id));
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
