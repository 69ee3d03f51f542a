//! Which HSM a command means: flags, else the configuration.
//!
//! A module reads its environment through the C library, which no process can change safely while it runs. So a command
//! that is to have another environment starts again in it.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use super::Globals;
use crate::config::{Config, HsmFence, PinSource};
use crate::hsm::module::{Access, Login, Module};
use crate::hsm::slot::Slot;
use crate::hsm::{HsmFault, HsmSettings, Pin, PinError, pin_source};
use crate::log::hex::unhex;
use crate::log::second_fence::label;
use crate::provision::{self, ProvisionError};

/// Which HSM, slot and key: flags, else the configuration.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Target {
    /// The PKCS#11 module.
    #[arg(long, value_name = "PATH")]
    module: Option<PathBuf>,
    /// The slot's label.
    #[arg(long, value_name = "LABEL")]
    slot_label: Option<String>,
    /// The slot's serial number.
    #[arg(long, value_name = "SERIAL")]
    slot_serial: Option<String>,
    /// The key's id (CKA_ID), in hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = key_id)]
    key_id: Option<KeyId>,
    #[command(flatten)]
    pin: UserPin,
    /// An environment variable for the module; may be given more than once.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Take a simulator for an HSM.
    #[arg(long)]
    allow_simulator: bool,
}

/// Where the user PIN is; asked for when neither this nor the configuration names a place.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
struct UserPin {
    /// File with the user PIN.
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Systemd credential with the user PIN.
    #[arg(long, value_name = "NAME")]
    pin_credential: Option<String>,
    /// The user PIN's `pin-source` of a PKCS#11 URI: a `file:` URI or an absolute path.
    #[arg(long, value_name = "URI", value_parser = source)]
    pin_source: Option<PathBuf>,
}

/// Where the security officer's PIN is; asked for when nothing is named.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub(in crate::cli) struct OfficerPin {
    /// File with the security officer's PIN.
    #[arg(long, value_name = "FILE")]
    so_pin_file: Option<PathBuf>,
    /// Systemd credential with the security officer's PIN.
    #[arg(long, value_name = "NAME")]
    so_pin_credential: Option<String>,
    /// The security officer's PIN's `pin-source`: a `file:` URI or an absolute path.
    #[arg(long, value_name = "URI", value_parser = source)]
    so_pin_source: Option<PathBuf>,
}

fn source(text: &str) -> Result<PathBuf, PinError> {
    pin_source(text)
}

fn named(file: Option<&PathBuf>, credential: Option<&String>, source: Option<&PathBuf>) -> Option<PinSource> {
    let file = file.or(source).cloned().map(PinSource::File);
    file.or_else(|| credential.cloned().map(PinSource::Credential))
}

impl UserPin {
    fn place(&self) -> Option<PinSource> {
        named(self.pin_file.as_ref(), self.pin_credential.as_ref(), self.pin_source.as_ref())
    }
}

impl OfficerPin {
    /// The PIN that is to be set: what is typed is typed twice.
    pub(super) fn read(&self) -> anyhow::Result<Pin> {
        let place =
            named(self.so_pin_file.as_ref(), self.so_pin_credential.as_ref(), self.so_pin_source.as_ref());
        match place {
            Some(place) => Ok(place.read()?),
            None => typed_twice("new PIN of the security officer"),
        }
    }
}

/// A `CKA_ID`.
#[derive(Clone, Debug)]
struct KeyId(Vec<u8>);

fn key_id(text: &str) -> Result<KeyId, String> {
    unhex(text).map(KeyId).ok_or_else(|| "give pairs of hexadecimal digits, such as 01".to_owned())
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("give NAME=VALUE".to_owned()),
    }
}

/// A target, resolved.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) settings: HsmSettings,
    /// Where its user PIN lies; asked for when nobody says.
    pub(in crate::cli) pin: Option<PinSource>,
    /// Whether it is to keep the log's fence.
    pub(in crate::cli) fence: HsmFence,
    /// Under which label; where the configuration says of which log.
    pub(in crate::cli) fence_label: Option<String>,
}

impl Target {
    /// Flags before the configuration; without a module there is nothing to talk to. The environment is this process's
    /// when it returns.
    pub(in crate::cli) fn place(&self, globals: &Globals) -> anyhow::Result<Place> {
        let configured = if self.module.is_none() { Some(configured(globals)?) } else { None };
        let mut place = match (configured, &self.module) {
            (Some(place), _) => place,
            (None, Some(module)) => {
                Place { settings: defaults(module), pin: None, fence: HsmFence::Auto, fence_label: None }
            }
            (None, None) => bail!("no module; give --module PATH"),
        };
        let settings = &mut place.settings;
        if let Some(label) = &self.slot_label {
            settings.slot_label.clone_from(label);
            settings.slot_serial = None;
        }
        if self.slot_serial.is_some() {
            settings.slot_serial.clone_from(&self.slot_serial);
        }
        if let Some(KeyId(id)) = &self.key_id {
            settings.key_id.clone_from(id);
        }
        settings.environment.extend(self.env.iter().cloned());
        settings.allow_simulator |= self.allow_simulator;
        if let Some(named) = self.pin.place() {
            place.pin = Some(named);
        }
        enter(&place.settings.environment)?;
        // From here on there may be a PIN in memory.
        crate::hsm::signer::protect_memory()?;
        Ok(place)
    }

    /// Whether the configuration says which HSM it is.
    pub(in crate::cli) const fn is_configured(&self) -> bool {
        self.module.is_none() && self.slot_label.is_none() && self.slot_serial.is_none()
    }

    /// As [`Self::place`], with a slot.
    pub(in crate::cli) fn slot(&self, globals: &Globals) -> anyhow::Result<Place> {
        let place = self.place(globals)?;
        if place.settings.slot_label.is_empty() {
            bail!("no slot; give --slot-label LABEL (`assent hsm list` shows them)");
        }
        Ok(place)
    }
}

fn defaults(module: &Path) -> HsmSettings {
    HsmSettings {
        module: module.to_owned(),
        slot_label: String::new(),
        slot_serial: None,
        key_id: vec![1],
        allow_simulator: false,
        environment: BTreeMap::new(),
        protected: Vec::new(),
        signer_program: None,
    }
}

/// The HSM that the configuration names, and the key that signs; before the log is founded, the one that it is for.
fn configured(globals: &Globals) -> anyhow::Result<Place> {
    let config = Config::load(&globals.config).context("no --module, so the configuration must name it")?;
    let mut settings = provision::hsm_settings(&config)?;
    match provision::keyring(&config) {
        Ok(ring) => settings.key_id = ring.signing().cka_id_bytes(),
        Err(ProvisionError::NotPinned(_) | ProvisionError::NotOpened(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let fence_label = Some(label(&config.origin()));
    Ok(Place { settings, pin: Some(config.hsm.pin), fence: config.fence.hsm, fence_label })
}

/// Returns in a process that has these variables: this one, or never.
fn enter(environment: &BTreeMap<String, String>) -> anyhow::Result<()> {
    if environment.iter().all(|(name, value)| std::env::var_os(name).is_some_and(|found| *found == **value)) {
        return Ok(());
    }
    let failed = Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).envs(environment).exec();
    Err(failed).context("cannot start again with the module's environment")
}

impl Place {
    /// The user PIN: from where it lies, else asked for.
    pub(in crate::cli) fn pin(&self) -> anyhow::Result<Pin> {
        match &self.pin {
            Some(source) => Ok(source.read()?),
            None => Ok(Pin::prompt(&format!("PIN of slot {}", self.settings.slot_label))?),
        }
    }

    /// As [`Self::pin`], for a PIN that is to be set: what is typed is typed twice.
    pub(in crate::cli) fn new_pin(&self) -> anyhow::Result<Pin> {
        match &self.pin {
            Some(source) => Ok(source.read()?),
            None => typed_twice("new user PIN"),
        }
    }

    /// Loads the module, finds the slot and logs in.
    pub(in crate::cli) fn log_in(
        &self,
        pin: &Pin,
        access: Access,
    ) -> Result<(Module, Slot, Login), HsmFault> {
        let settings = &self.settings;
        let module = Module::load(&settings.module)?;
        let slot = module.slot(&settings.slot_label, settings.slot_serial.as_deref())?;
        slot.require_tries(false)?;
        let login = module.login(&slot, pin.bytes(), access)?;
        Ok((module, slot, login))
    }
}

/// A PIN that is to be set.
fn typed_twice(question: &str) -> anyhow::Result<Pin> {
    let pin = Pin::prompt(question)?;
    if !pin.matches(&Pin::prompt("the same again")?) {
        bail!("the two are not the same; nothing was changed");
    }
    Ok(pin)
}
