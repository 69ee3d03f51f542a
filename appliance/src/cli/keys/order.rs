//! `assent keys announce|rotate|retire`: orders to the running appliance, which alone changes its key ring.

use std::io::{self, IsTerminal as _, Write as _};

use anyhow::bail;
use assent_proto::note::VerifierKey;
use assent_proto::number::Timestamp;
use serde_json::json;

use crate::cli::output::Failure;
use crate::cli::{Exit, Format, Globals, unavailable, utc};
use crate::config::Config;
use crate::control;
use crate::log::hex::{hex, unhex};
use crate::provision;
use crate::token::{KeyAnswer, KeyChange, KeyOrder};

/// A `CKA_ID` in the one way in which the ring writes it.
pub(super) fn cka_id(text: &str) -> Result<String, String> {
    let bytes = unhex(text).ok_or_else(|| "give pairs of hexadecimal digits, such as 02".to_owned())?;
    Ok(hex(&bytes))
}

/// Has the appliance try the key and name it.
pub(super) fn announce(cka_id: String, globals: &Globals) -> anyhow::Result<Exit> {
    let change = carry_out(KeyOrder::Announce { cka_id }, globals)?;
    print(&change, "assent.v1.keys.announce", globals)?;
    talk!("key {} is announced; it does not sign yet", shown(&change));
    talk!("next: `assent trust export --out trust.toml`, and bring it to executors, agents and auditors;");
    talk!("then `assent keys rotate --key-id {}`", change.cka_id);
    Ok(Exit::Done)
}

/// Has the appliance rotate to the announced key.
pub(super) fn rotate(cka_id: String, trust_carried: bool, globals: &Globals) -> anyhow::Result<Exit> {
    if !trust_carried {
        confirm(&cka_id, globals)?;
    }
    let change = carry_out(KeyOrder::Rotate { cka_id }, globals)?;
    print(&change, "assent.v1.keys.rotate", globals)?;
    let size = change.from_size.unwrap_or_default();
    talk!("key {} signs, from the checkpoint over {size} entries on", shown(&change));
    if let (Some(before), Some(over)) = (&change.before, change.before_over_ms) {
        talk!("key {before} signs no more; its last tokens are over at {}", utc(Timestamp(over)));
        talk!("next: `assent trust export --out trust.toml`, and bring it to all who hold one;");
        talk!("then, after that time, `assent keys retire {before}`");
    }
    Ok(Exit::Done)
}

/// Has the appliance mark the key as retired.
pub(super) fn retire(cka_id: String, globals: &Globals) -> anyhow::Result<Exit> {
    let change = carry_out(KeyOrder::Retire { cka_id }, globals)?;
    print(&change, "assent.v1.keys.retire", globals)?;
    let id = &change.cka_id;
    talk!("key {} is retired; `assent trust export` leaves it out", shown(&change));
    talk!(
        "Assent deletes no keys. To destroy it, use the vendor's tool, with two people, once backups of the"
    );
    talk!("HSM are dealt with; for a module that takes PKCS#11's own call:");
    talk!(
        "`pkcs11-tool --module MODULE --token-label LABEL --login --delete-object --type privkey --id {id}`"
    );
    Ok(Exit::Done)
}

/// Whoever lacks the new key refuses every token that it signs: somebody has to say that nobody lacks it.
fn confirm(cka_id: &str, globals: &Globals) -> anyhow::Result<()> {
    let ring = provision::keyring(&Config::load(&globals.config)?)?;
    // What is refused anyway need not be asked for.
    let Ok(next) = ring.announced(cka_id) else { return Ok(()) };
    let id = VerifierKey::parse(&next.vkey)?.id();
    if !io::stdin().is_terminal() {
        bail!(
            "do all executors, agents and auditors hold a trust file with key ID {id}? Those who do not will refuse every \
             token from here on. Give --trust-carried when they do"
        );
    }
    let mut talk = crate::cli::stderr();
    writeln!(talk, "key {cka_id}, key ID {id}, was announced at {}.", utc(next.announced))?;
    writeln!(
        talk,
        "Executors, agents and auditors without a trust file that names it will refuse every token of it."
    )?;
    write!(talk, "Do all of them hold one? Type yes to rotate: ")?;
    talk.flush()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    if line.trim() == "yes" { Ok(()) } else { bail!("nothing was changed") }
}

fn carry_out(order: KeyOrder, globals: &Globals) -> anyhow::Result<KeyChange> {
    let config = Config::load(&globals.config)?;
    match control::ask_keys(&config.appliance.data, order).map_err(|error| unavailable(&error))? {
        KeyAnswer::Done(change) => Ok(change),
        KeyAnswer::Refused { reason, unavailable } => {
            let exit = if unavailable { Exit::Unavailable } else { Exit::Invalid };
            Err(Failure { message: reason, exit }.into())
        }
    }
}

fn shown(change: &KeyChange) -> String {
    let id =
        VerifierKey::parse(&change.verifier_key).map_or_else(|_| "?".to_owned(), |key| key.id().to_string());
    format!("{}, key ID {id},", change.cka_id)
}

fn print(change: &KeyChange, schema: &str, globals: &Globals) -> anyhow::Result<()> {
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Table => writeln!(out, "{}", change.verifier_key)?,
        Format::Json | Format::Jsonl => {
            let mut json = serde_json::to_value(change)?;
            if let Some(fields) = json.as_object_mut() {
                fields.insert("schema".to_owned(), json!(schema));
            }
            writeln!(out, "{}", crate::shown::json(&json))?;
        }
    }
    Ok(())
}
