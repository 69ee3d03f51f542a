//! `assent hsm list|init|check`: the HSM, before anything is entrusted to it.
//!
//! These commands load the module in their own process, which ends with them; the appliance itself never does. A PIN is
//! tried once.

mod check;
mod rearm;
mod target;

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use anyhow::anyhow;
use clap::Subcommand;
use serde_json::{Value, json};

pub(super) use check::{PUBLIC_KEY, SIMULATOR};
use target::OfficerPin;
pub(super) use target::{Place, Target};

use super::output::{Failure, json_lines};
use super::{Exit, Format, Globals};
use crate::hsm::module::{About, Module};
use crate::hsm::slot::{Slot, Tries};
use crate::hsm::{FaultClass, FaultKind, HsmFault};
use crate::limits::HSM_COMMAND_DEADLINE;
use crate::shown::visible;

/// What to do with the HSM.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the slots of a module and what they can do.
    List {
        #[command(flatten)]
        target: Target,
    },
    /// Give a free slot its label, its security officer's PIN and its user PIN.
    Init {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        officer: OfficerPin,
    },
    /// Check everything that the appliance needs of the HSM, as the appliance does it.
    Check {
        #[command(flatten)]
        target: Target,
        /// Log in even when one more wrong PIN would lock the slot.
        #[arg(long)]
        last_try: bool,
        /// Write nothing into the HSM: whether it keeps the fence is read, and not tried.
        #[arg(long)]
        only_look: bool,
    },
    /// Order, as operators, that the token boundary open again after an integrity fault.
    Rearm(rearm::Options),
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::List { target } => list(&target, globals),
        Verb::Init { target, officer } => init(&target, &officer, globals),
        Verb::Check { target, last_try, only_look } => {
            check::run(&target, check::Care { last_try, only_look }, globals)
        }
        Verb::Rearm(options) => rearm::run(&options, globals),
    }
}

/// Does what may hang, for so long.
pub(super) fn within_deadline<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, HsmFault> + Send + 'static,
) -> anyhow::Result<T> {
    let (tell, told) = sync_channel(1);
    let named = std::thread::Builder::new().name("hsm-command".to_owned());
    named.spawn(move || tell.send(work()))?;
    let late = |_| {
        let waited = format!("waited {} s", HSM_COMMAND_DEADLINE.as_secs());
        HsmFault::new(FaultKind::DeadlineMissed, waited)
    };
    told.recv_timeout(HSM_COMMAND_DEADLINE)
        .map_err(late)
        .and_then(|outcome| outcome)
        .map_err(|fault| failure(&fault))
}

fn failure(fault: &HsmFault) -> anyhow::Error {
    anyhow!(Failure { message: fault.to_string(), exit: exit_of(fault) })
}

pub(super) const fn exit_of(fault: &HsmFault) -> Exit {
    match fault.class() {
        FaultClass::Availability => Exit::Unavailable,
        FaultClass::Integrity => Exit::Invalid,
    }
}

/// Prints rows under a head, each column as wide as its widest cell. What a cell says that does not print is escaped: no
/// text of a peer, a file or a module draws a row of its own.
pub(super) fn print_table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell))).collect();
    let mut widths = head.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut out = crate::cli::stdout();
    for row in std::iter::once(&head.map(str::to_owned)).chain(&rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

fn list(target: &Target, globals: &Globals) -> anyhow::Result<Exit> {
    let place = target.place(globals)?;
    let path = place.settings.module;
    let (about, slots) = within_deadline({
        let path = path.clone();
        move || {
            let module = Module::load(&path)?;
            Ok((module.about().clone(), module.slots()?))
        }
    })?;
    let described = |slot: &Slot| slot_json(slot, &about);
    match globals.output {
        Format::Json => {
            let slots: Vec<_> = slots.iter().map(described).collect();
            let module = module_json(&path, &about);
            let document = json!({"schema": "assent.v1.hsm.list", "module": module, "slots": slots});
            writeln!(crate::cli::stdout(), "{}", crate::shown::json(&document))?;
        }
        Format::Jsonl => {
            json_lines("assent.v1.hsm.slot", &slots.iter().map(described).collect::<Vec<_>>())?;
        }
        Format::Table => {
            let rows: Vec<_> = slots.iter().map(|slot| slot_row(slot, &about)).collect();
            print_table(
                ["SLOT", "LABEL", "SERIAL", "MANUFACTURER", "MODEL", "STATE", "ED25519", "KIND"],
                &rows,
            )?;
        }
    }
    if slots.is_empty() {
        talk!("no slot; check that the HSM is there and that --env names what the module needs");
        return Ok(Exit::Unavailable);
    }
    Ok(Exit::Done)
}

fn module_json(path: &Path, about: &About) -> Value {
    json!({"path": path, "manufacturer": about.manufacturer, "description": about.description, "version": about.version})
}

fn slot_json(slot: &Slot, about: &About) -> Value {
    json!({
        "slot": slot.number, "label": slot.label, "serial": slot.serial, "manufacturer": slot.manufacturer,
        "model": slot.model, "initialised": slot.initialised, "user_pin_set": slot.user_pin_set,
        "pin_tries": slot.tries.label(), "self_test_failed": slot.failed, "signs_ed25519": slot.signs,
        "makes_ed25519_keys": slot.makes_keys, "simulator": slot.is_simulator(&about.manufacturer),
    })
}

fn slot_row(slot: &Slot, about: &About) -> [String; 8] {
    let state = match (slot.failed, slot.initialised, slot.user_pin_set) {
        (true, _, _) => "self-test failed".to_owned(),
        (_, false, _) => "free".to_owned(),
        (_, true, false) => "no user PIN".to_owned(),
        (false, true, true) => match slot.tries {
            Tries::All => "ready".to_owned(),
            tries @ (Tries::Low | Tries::Last | Tries::Locked) => format!("PIN tries: {}", tries.label()),
        },
    };
    let ed25519 = match (slot.signs, slot.makes_keys) {
        (true, true) => "signs, makes keys",
        (true, false) => "signs",
        (false, _) => "no",
    };
    let kind = if slot.is_simulator(&about.manufacturer) { "simulator" } else { "" };
    [
        slot.number.to_string(),
        slot.label.clone(),
        slot.serial.clone(),
        slot.manufacturer.clone(),
        slot.model.clone(),
        state,
        ed25519.to_owned(),
        kind.to_owned(),
    ]
}

fn init(target: &Target, officer: &OfficerPin, globals: &Globals) -> anyhow::Result<Exit> {
    let place = target.slot(globals)?;
    let so_pin = officer.read()?;
    let user_pin = place.new_pin()?;
    let settings = place.settings;
    let label = settings.slot_label;
    let slot =
        within_deadline(move || Module::load(&settings.module)?.initialise(&label, &so_pin, &user_pin))?;
    match globals.output {
        Format::Json | Format::Jsonl => {
            let document =
                json!({"schema": "assent.v1.hsm.init", "label": slot.label, "serial": slot.serial});
            writeln!(crate::cli::stdout(), "{}", crate::shown::json(&document))?;
        }
        Format::Table => print_table(["LABEL", "SERIAL"], &[[slot.label.clone(), slot.serial.clone()]])?,
    }
    talk!("next: `assent keys generate --slot-label {}`", slot.label);
    Ok(Exit::Done)
}
