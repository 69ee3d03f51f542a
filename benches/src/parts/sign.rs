//! The module's bare `C_Sign`: Ed25519, one thread, no process between.
//!
//! A module reads its environment through the C library, so it is loaded by a process of its own.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;

use crate::bed::{LABEL, Module};
use crate::children::helper;
use crate::measure::Times;

/// The words that make this program that process.
const VERB: &str = "raw-sign";
const VERSION_VERB: &str = "module-version";
/// A checkpoint's text has about this many bytes.
const TEXT: [u8; 90] = [b'x'; 90];

/// What a module does alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signing {
    pub(crate) a_second: f64,
    pub(crate) p50_us: f64,
}

/// So many signatures, one after the other.
pub(crate) fn measure(module: &Module, signatures: usize) -> anyhow::Result<Signing> {
    let Module { module, pin_file, environment: (name, value) } = module;
    let mut child = helper(VERB)?;
    child.env(name, value).arg(module).arg(pin_file).arg(signatures.to_string());
    let output = child.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(a_second), Some(p50_us)) => Ok(Signing { a_second, p50_us }),
        _ => bail!("the module does not sign: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

/// What a module says of its version.
pub(crate) fn version(module: &Module) -> anyhow::Result<String> {
    let Module { module, pin_file: _, environment: (name, value) } = module;
    let output = helper(VERSION_VERB)?.env(name, value).arg(module).output()?;
    let text = String::from_utf8(output.stdout)?.trim().to_owned();
    ensure!(
        !text.is_empty(),
        "the module does not tell its version: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// What that process does then.
pub(crate) fn version_of(module: &Path) -> anyhow::Result<String> {
    Ok(loaded(module)?.get_library_info()?.library_version().to_string())
}

fn loaded(module: &Path) -> anyhow::Result<Pkcs11> {
    let pkcs11 = Pkcs11::new(module)?;
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    Ok(pkcs11)
}

/// What that process does: signs, and gives how long each took.
pub(crate) fn run(module: &Path, pin_file: &Path, signatures: usize) -> anyhow::Result<Times> {
    let signer = Signer::sessions(module, pin_file, 1)?.pop().context("a session")?;
    Times::each(signatures, || signer.sign(&TEXT).map(drop))
}

/// A session of the module, and the key in it.
pub(crate) struct Signer {
    session: Session,
    key: ObjectHandle,
}

impl Signer {
    /// So many sessions: each signs for one thread at a time.
    pub(crate) fn sessions(module: &Path, pin_file: &Path, count: usize) -> anyhow::Result<Vec<Self>> {
        let pkcs11 = loaded(module)?;
        let slots = pkcs11.get_slots_with_initialized_token()?;
        let is_ours = |slot: &Slot| pkcs11.get_token_info(*slot).is_ok_and(|info| info.label() == LABEL);
        let slot = slots.into_iter().find(is_ours).context("no slot of that label")?;
        let pin = AuthPin::new(std::fs::read_to_string(pin_file)?.trim().into());
        let open = |number: usize| {
            let session = pkcs11.open_ro_session(slot)?;
            // A login is the whole application's, not the session's.
            if number == 0 {
                session.login(UserType::User, Some(&pin))?;
            }
            let keys = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)])?;
            let key = keys.first().copied().context("the slot has no private key")?;
            Ok(Self { session, key })
        };
        (0..count).map(open).collect()
    }

    pub(crate) fn sign(&self, text: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        Ok(self.session.sign(&mechanism, self.key, text)?)
    }
}
