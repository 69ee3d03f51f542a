//! A scratch simulator: a copy of the module, loaded for one test, on a folder of its own.
//!
//! A copy, because loading one file twice in a process gives the same statics twice.
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use tempfile::TempDir;

/// DER `PrintableString "edwards25519"`.
pub(crate) const CURVE: &[u8] = b"\x13\x0cedwards25519";

static ENVIRONMENT: Mutex<()> = Mutex::new(());

/// The module as cargo built it, beside the test's own executable.
pub(crate) fn built_module() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let beside = test.parent().unwrap().join("libfirmware_sim.so");
    assert!(beside.exists(), "no module at {}", beside.display());
    beside
}

/// A copy of the module in `folder`.
pub(crate) fn copied_module(folder: &Path) -> PathBuf {
    let copy = tempfile::Builder::new().suffix(".so").disable_cleanup(true).tempfile_in(folder).unwrap();
    std::fs::copy(built_module(), copy.path()).unwrap();
    copy.path().to_owned()
}

/// Runs `start` while the environment names `state` as the simulator's folder.
pub(crate) fn with_folder<T>(state: Option<&Path>, start: impl FnOnce() -> T) -> T {
    with_environment(&[(firmware_sim::ENV_DIR, state)], start)
}

/// Runs `start` while the environment has these variables, or has them not.
pub(crate) fn with_environment<T>(variables: &[(&str, Option<&Path>)], start: impl FnOnce() -> T) -> T {
    let _turn = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    let set = |values: &[(&str, Option<&Path>)]| {
        for (name, value) in values {
            match value {
                // SAFETY: tests change the environment in their turn only, and read it there.
                Some(value) => unsafe { std::env::set_var(name, value) },
                // SAFETY: as above.
                None => unsafe { std::env::remove_var(name) },
            }
        }
    };
    set(variables);
    let started = start();
    set(&variables.iter().map(|(name, _)| (*name, None)).collect::<Vec<_>>());
    started
}

pub(crate) fn pin(text: &str) -> AuthPin {
    text.to_owned().into()
}

/// A folder with a simulator's state, and what runs on it.
pub(crate) struct Scratch {
    folder: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Another process, as far as the module can tell.
    pub(crate) fn start(&self) -> Pkcs11 {
        let module = Pkcs11::new(copied_module(self.folder.path())).unwrap();
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        with_folder(Some(&self.state()), || module.initialize(arguments)).unwrap();
        module
    }

    /// Starts it with slot 0 initialised as by [`Self::provisioned`], and a key in it.
    pub(crate) fn provisioned_with_key(&self) -> Pkcs11 {
        let (module, slot) = self.provisioned();
        key_pair(&user_session(&module, slot), 1);
        module
    }

    /// Starts it with slot 0 initialised: label `scratch`, SO PIN `56785678`, user PIN `1234`.
    pub(crate) fn provisioned(&self) -> (Pkcs11, Slot) {
        let module = self.start();
        let slot = module.get_all_slots().unwrap()[0];
        module.init_token(slot, &pin("56785678"), "scratch").unwrap();
        let session = module.open_rw_session(slot).unwrap();
        session.login(UserType::So, Some(&pin("56785678"))).unwrap();
        session.init_pin(&pin("1234")).unwrap();
        session.close().unwrap();
        (module, slot)
    }
}

pub(crate) fn user_session(module: &Pkcs11, slot: Slot) -> Session {
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&pin("1234"))).unwrap();
    session
}

/// Makes a stored pair with `CKA_ID` `id`: public, private.
pub(crate) fn key_pair(session: &Session, id: u8) -> (ObjectHandle, ObjectHandle) {
    let common = [Attribute::Token(true), Attribute::Id(vec![id]), Attribute::Label(b"log".to_vec())];
    let public =
        [common.as_slice(), &[Attribute::EcParams(CURVE.to_vec()), Attribute::Verify(true)]].concat();
    let private = [common.as_slice(), &[Attribute::Sensitive(true), Attribute::Extractable(false)]].concat();
    session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private).unwrap()
}

/// The 32 bytes of a public key, from its `CKA_EC_POINT`.
pub(crate) fn point(session: &Session, public: ObjectHandle) -> [u8; 32] {
    let found = session.get_attributes(public, &[AttributeType::EcPoint]).unwrap();
    let [Attribute::EcPoint(der)] = found.as_slice() else { panic!("no point in {found:?}") };
    der.strip_prefix(b"\x04\x20").unwrap().try_into().unwrap()
}
