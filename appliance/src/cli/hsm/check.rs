//! `assent hsm check`: everything that the appliance needs of its HSM, one line a check.
//!
//! It stops at the first failure that makes the rest unknowable. At its end it goes the appliance's own way: it starts a
//! signer and has it sign.

use std::io::{self, Write as _};
use std::time::Duration;

use assent_proto::note::VerifierKey;
use serde_json::{Value, json};

use super::{Exit, Format, Globals, Place, Target, exit_of, within_deadline};
use crate::clock::Stopwatch;
use crate::config::{HsmFence, PinSource};
use crate::hsm::module::{About, Access, DataError, Login, Module};
use crate::hsm::slot::Slot;
use crate::hsm::{FaultKind, HsmFault, Pin, Signer};
use crate::limits::HSM_COMMAND_DEADLINE;
use crate::log::hex::hex;
use crate::shown::counted;

/// What is signed to see whether it can be: no checkpoint, and no token, can look like it.
const CHECK_TEXT: &[u8] = b"assent hsm check: this text claims nothing\n";
/// Under which label a data object is tried: no log's fence has it.
const CHECK_LABEL: &str = "assent hsm check";
/// Signatures that the signer makes, for the median.
const CHECK_SIGNATURES: usize = 21;

/// The check that tells whether a simulator signs.
pub(in crate::cli) const SIMULATOR: &str = "not a simulator";
/// The check that tells the key's public half, and nothing else.
pub(in crate::cli) const PUBLIC_KEY: &str = "public key";

/// How careful it is.
#[derive(Clone, Copy)]
pub(super) struct Care {
    /// Whether the last try of the PIN may be used.
    pub(super) last_try: bool,
    /// Whether nothing is written.
    pub(super) only_look: bool,
}

/// Runs the command.
pub(super) fn run(target: &Target, care: Care, globals: &Globals) -> anyhow::Result<Exit> {
    let place = target.slot(globals)?;
    let pin = place.pin()?;
    let format = globals.output;
    let report = within_deadline(move || {
        let mut report = Report { format, findings: Vec::new(), exit: Exit::Done, unprinted: None };
        // Nothing after the first failure can be known.
        let _ = examine(&mut report, &place, &pin, care);
        Ok(report)
    })?;
    if let Some(error) = report.unprinted {
        return Err(anyhow::Error::from(error).context("cannot print what was found"));
    }
    if format == Format::Json {
        let passed = report.exit == Exit::Done;
        let document = json!({"schema": "assent.v1.hsm.check", "passed": passed, "checks": report.findings});
        writeln!(crate::cli::stdout(), "{}", crate::shown::json(&document))?;
    }
    Ok(report.exit)
}

/// The checks so far. A table or lines are printed as they come, so that a hang shows where.
struct Report {
    format: Format,
    findings: Vec<Value>,
    exit: Exit,
    /// Why the first line that could not be printed was not.
    unprinted: Option<io::Error>,
}

impl Report {
    fn add<T>(
        &mut self,
        check: &'static str,
        outcome: Result<T, HsmFault>,
        detail: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let mut out = crate::cli::stdout();
        let shown = outcome.as_ref().map_or_else(HsmFault::to_string, detail);
        let fault = outcome.as_ref().err();
        let word = if fault.is_some() { "fail" } else { "ok" };
        let finding =
            json!({"check": check, "outcome": word, "fault": fault.map(HsmFault::kind), "detail": shown});
        let printed = match self.format {
            Format::Table => writeln!(out, "{word:<4}  {check:<22}  {shown}"),
            Format::Jsonl => writeln!(out, "{}", crate::shown::json(&finding)),
            Format::Json => Ok(()),
        };
        self.unprinted = self.unprinted.take().or(printed.err());
        self.findings.push(finding);
        self.exit = self.exit.max(fault.map_or(Exit::Done, exit_of));
        outcome.ok()
    }
}

fn examine(report: &mut Report, place: &Place, pin: &Pin, care: Care) -> Option<()> {
    let settings = &place.settings;
    let module = report.add("module loads", Module::load(&settings.module), |module| {
        let About { manufacturer, description, version } = module.about();
        format!("{manufacturer}, {description}, version {version}")
    })?;
    let slot = module.slot(&settings.slot_label, settings.slot_serial.as_deref());
    let slot = report.add("slot is there", slot, |slot| format!("serial {}, {}", slot.serial, slot.model))?;
    report.add(SIMULATOR, real(&slot, &module, settings.allow_simulator), |word| (*word).to_owned())?;
    report.add("Ed25519, self-test", slot.require_working(), |()| "pure Ed25519".to_owned())?;
    report
        .add("PIN tries are left", slot.require_tries(care.last_try), |()| slot.tries.label().to_owned())?;
    let login = module.login(&slot, pin.bytes(), Access::Sign);
    let login = report.add("login", login, |_| private_file(place))?;
    examine_key(report, &login, &settings.key_id)?;
    examine_fence(report, &login, place, care.only_look)?;
    drop(login);
    let started = Stopwatch::start();
    let signer = Signer::start(settings, pin, HSM_COMMAND_DEADLINE, |_| {});
    if signer.is_err() {
        talk!("the signer sees no other environment than --env and the configuration give it");
    }
    let mut signer = report.add("signer process starts", signer, |_| shown(started.elapsed()))?;
    let signed = median_signature(&mut signer);
    report.add("signer process signs", signed, |median| format!("{}, the median", shown(*median)))?;
    Some(())
}

fn real(slot: &Slot, module: &Module, allowed: bool) -> Result<&'static str, HsmFault> {
    match (slot.is_simulator(&module.about().manufacturer), allowed) {
        (false, _) => Ok("it does not say that it is one"),
        (true, true) => Ok("it is one, and allowed"),
        (true, false) => Err(HsmFault::new(FaultKind::SimulatorRefused, slot.model.as_str())),
    }
}

fn private_file(place: &Place) -> String {
    match &place.pin {
        Some(PinSource::File(path)) if Pin::file_is_exposed(path) => {
            format!("one try; others can read the PIN: chmod 0600 {}", path.display())
        }
        _ => "one try".to_owned(),
    }
}

fn examine_key(report: &mut Report, login: &Login, id: &[u8]) -> Option<()> {
    let (handle, key) = report.add("one key has the id", login.key(id), |(_, key)| {
        format!("id {}, label `{}`", hex(&key.id), key.label)
    })?;
    let lacks = key.lacks();
    for (check, lack) in [
        ("key never extractable", FaultKind::KeyExtractable),
        ("key always sensitive", FaultKind::KeyNotSensitive),
        ("key made in the HSM", FaultKind::KeyImported),
        ("key is Ed25519", FaultKind::KeyAbsent),
    ] {
        let met =
            if lacks.contains(&lack) { Err(HsmFault::new(lack, format!("id {}", hex(id)))) } else { Ok(()) };
        let _ = report.add(check, met, |()| String::new());
    }
    // What the key lacks was said above.
    let unreadable = || HsmFault::new(FaultKind::KeyUnreadable, format!("id {}", hex(id)));
    let public_key = report.add(PUBLIC_KEY, key.public_key.ok_or_else(unreadable), |bytes| hex(bytes))?;
    if !lacks.is_empty() {
        return None;
    }
    let signed = login.sign(&handle, CHECK_TEXT).and_then(|signature| verify(&public_key, &signature));
    report.add("signature verifies", signed, |()| String::new())
}

/// Whether it can keep the log's fence: a data object is written, read and removed.
fn examine_fence(report: &mut Report, login: &Login, place: &Place, only_look: bool) -> Option<()> {
    let wanted = place.fence;
    if wanted == HsmFence::Off {
        return Some(());
    }
    let tried = match &place.fence_label {
        Some(label) if only_look => login
            .data(label)
            .map(|kept| format!("{} of this log's", counted(kept.count as u64, "note", "notes"))),
        Some(_) | None if only_look => Ok("not tried: nothing is written".to_owned()),
        Some(_) | None => {
            try_data(login).map(|()| "yes: a data object was written, read and removed".to_owned())
        }
    };
    let told = match (tried, wanted) {
        (Ok(told), _) => Ok(told),
        (Err(DataError::Refused(why)), HsmFence::On) => Err(HsmFault::new(FaultKind::DataRefused, why)),
        (Err(DataError::Refused(why)), HsmFence::Auto | HsmFence::Off) => {
            Ok(format!("no, the file is the only fence: {why}"))
        }
        (Err(DataError::Fault(fault)), _) => Err(fault),
    };
    report.add("keeps the fence", told, String::clone).map(drop)
}

fn try_data(login: &Login) -> Result<(), DataError> {
    login.keep_data(CHECK_LABEL, CHECK_TEXT)?;
    let kept = login.data(CHECK_LABEL)?;
    login.remove_data(CHECK_LABEL)?;
    let same = kept.values.iter().any(|value| value == CHECK_TEXT);
    if same { Ok(()) } else { Err(DataError::Refused("what it kept is not what it was given".to_owned())) }
}

fn verify(public_key: &[u8; 32], signature: &[u8; 64]) -> Result<(), HsmFault> {
    let key = VerifierKey::new("hsm-check", public_key)
        .map_err(|error| HsmFault::new(FaultKind::KeyUnreadable, error.to_string()))?;
    key.verify(CHECK_TEXT, signature).map_err(|_| HsmFault::new(FaultKind::SignatureInvalid, ""))
}

fn median_signature(signer: &mut Signer) -> Result<Duration, HsmFault> {
    let public_key = signer.identity().public_key;
    let mut times = Vec::with_capacity(CHECK_SIGNATURES);
    for _ in 0..CHECK_SIGNATURES {
        let started = Stopwatch::start();
        let signature = signer.sign(CHECK_TEXT, HSM_COMMAND_DEADLINE)?;
        times.push(started.elapsed());
        verify(&public_key, &signature)?;
    }
    times.sort_unstable();
    Ok(times.get(CHECK_SIGNATURES / 2).copied().unwrap_or_default())
}

fn shown(time: Duration) -> String {
    format!("{} us", time.as_micros())
}
