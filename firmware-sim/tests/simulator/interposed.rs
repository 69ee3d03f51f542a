//! The simulator in front of SoftHSM2: everything passes but the fault that is set.
//!
//! Needs the Debian package `softhsm2`; without it the tests say that they did nothing.

use std::path::{Path, PathBuf};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::ObjectHandle;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use ed25519_dalek::{Signature, VerifyingKey};
use firmware_sim::faults::control::ask;
use tempfile::TempDir;

use crate::not_run;
use crate::scratch::{copied_module, key_pair, pin, point, with_environment};

const SOFTHSM: [&str; 2] = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so"];
const MESSAGE: &[u8] = b"assent";

/// SoftHSM2, or none, and said so.
pub(crate) fn softhsm() -> Option<&'static Path> {
    let found = SOFTHSM.into_iter().map(Path::new).find(|path| path.exists());
    if found.is_none() {
        not_run::missing("SoftHSM2 is not installed (apt-get install softhsm2)");
    }
    found
}

/// A simulator in front of a SoftHSM2 with a key.
struct Interposed {
    folder: TempDir,
    module: Pkcs11,
    slot: Slot,
    session: Session,
    private: ObjectHandle,
    key: VerifyingKey,
}

impl Interposed {
    fn new() -> Option<Self> {
        Self::paced("")
    }

    /// With these settings.
    fn paced(settings: &str) -> Option<Self> {
        let real = softhsm()?;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(state(&folder)).unwrap();
        std::fs::write(state(&folder).join(firmware_sim::SETTINGS_FILE), settings).unwrap();
        let (configuration, tokens) = (folder.path().join("softhsm2.conf"), folder.path().join("tokens"));
        std::fs::create_dir(&tokens).unwrap();
        std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        // SoftHSM2 has statics too: each test has a copy of its own.
        let copy = folder.path().join("softhsm.so");
        std::fs::copy(real, &copy).unwrap();

        let module = Pkcs11::new(copied_module(folder.path())).unwrap();
        let environment = [
            (firmware_sim::ENV_DIR, Some(state(&folder))),
            (firmware_sim::ENV_MODULE, Some(copy)),
            ("SOFTHSM2_CONF", Some(configuration)),
        ];
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_deref())).collect();
        let arguments = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
        let slot = with_environment(&environment, || {
            module.initialize(arguments).unwrap();
            module.init_token(module.get_all_slots().unwrap()[0], &pin("56785678"), "real").unwrap();
            module.get_slots_with_initialized_token().unwrap()[0]
        });
        let session = module.open_rw_session(slot).unwrap();
        session.login(UserType::So, Some(&pin("56785678"))).unwrap();
        session.init_pin(&pin("1234")).unwrap();
        session.logout().unwrap();
        session.login(UserType::User, Some(&pin("1234"))).unwrap();
        let (public, private) = key_pair(&session, 1);
        let key = VerifyingKey::from_bytes(&point(&session, public)).unwrap();
        Some(Self { folder, module, slot, session, private, key })
    }

    fn command(&self, command: &str) -> String {
        ask(&state(&self.folder), command).unwrap()
    }

    fn sign(&self) -> Result<Vec<u8>, Error> {
        let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        self.session.sign(&pure, self.private, MESSAGE)
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_strict(message, &Signature::from_slice(signature).unwrap()).is_ok()
    }

    #[track_caller]
    fn fails(&self, fault: &str, with: RvError) {
        self.command(&format!("inject {fault}"));
        match self.sign() {
            Err(Error::Pkcs11(code, _)) if code == with => {}
            other => panic!("{fault}: expected {with:?}, got {other:?}"),
        }
        self.command("clear");
    }
}

fn state(folder: &TempDir) -> PathBuf {
    folder.path().join("state")
}

#[test]
fn the_real_module_signs_and_says_its_name_through_us() {
    let Some(interposed) = Interposed::new() else { return };
    assert!(interposed.verifies(MESSAGE, &interposed.sign().unwrap()));
    let info = interposed.module.get_token_info(interposed.slot).unwrap();
    assert_eq!(info.manufacturer_id(), "SoftHSM project");
}

#[test]
fn in_front_of_a_real_module_it_still_says_that_it_is_a_simulator() {
    let Some(interposed) = Interposed::new() else { return };
    let info = interposed.module.get_library_info().unwrap();
    assert_eq!(info.manufacturer_id(), firmware_sim::MANUFACTURER);
}

#[test]
fn a_signature_made_to_fail_leaves_the_real_session_usable() {
    let Some(interposed) = Interposed::new() else { return };
    interposed.fails("busy", RvError::FunctionFailed);
    interposed.fails("rv 0x30", RvError::DeviceError);
    interposed.fails("self-test --call C_Sign", RvError::FipsSelfTestFailed);
    assert!(interposed.verifies(MESSAGE, &interposed.sign().unwrap()));
}

#[test]
fn a_real_signature_is_made_wrong() {
    let Some(interposed) = Interposed::new() else { return };
    for fault in ["corrupt", "zero", "wrong-key", "wrong-message"] {
        interposed.command(&format!("inject {fault}"));
        let wrong = interposed.sign().unwrap();
        assert!(!interposed.verifies(MESSAGE, &wrong), "{fault}");
        assert_eq!(interposed.verifies(b"`ssent", &wrong), fault == "wrong-message");
        interposed.command("clear");
    }
    assert!(interposed.verifies(MESSAGE, &interposed.sign().unwrap()));
}

#[test]
fn a_real_signature_takes_the_time_of_a_profile() {
    let Some(interposed) = Interposed::paced("profile = 'yubihsm2'") else { return };
    let began = crate::strikes::now_us();
    assert!(interposed.verifies(MESSAGE, &interposed.sign().unwrap()));
    let took = crate::strikes::now_us() - began;
    println!("SoftHSM2 at the pace of yubihsm2 signs in {took} us");
    assert!(took >= 114_000, "{took} us");
}

#[test]
fn a_strike_in_front_of_a_real_module_is_told_when() {
    let Some(interposed) = Interposed::new() else { return };
    interposed.command("inject rv 0x30 --times 1");
    let began = crate::strikes::now_us();
    interposed.sign().unwrap_err();
    let ended = crate::strikes::now_us();
    let status: serde_json::Value = serde_json::from_str(&interposed.command("status")).unwrap();
    let struck = status["history"][0]["first_struck_us"].as_u64().unwrap();
    println!("in front of SoftHSM2 a strike is told {} us before the call ended", ended - struck);
    assert!((began..=ended).contains(&struck), "{status}");
}

#[test]
fn the_real_sessions_end_when_the_device_is_removed() {
    let Some(interposed) = Interposed::new() else { return };
    interposed.fails("remove", RvError::DeviceRemoved);
    interposed.command("clear");
    assert!(matches!(interposed.sign(), Err(Error::Pkcs11(RvError::SessionHandleInvalid, _))));
    let session = interposed.module.open_ro_session(interposed.slot).unwrap();
    session.login(UserType::User, Some(&pin("1234"))).unwrap();
}

#[test]
fn the_real_login_is_lost() {
    let Some(interposed) = Interposed::new() else { return };
    interposed.fails("logout", RvError::UserNotLoggedIn);
    interposed.session.login(UserType::User, Some(&pin("1234"))).unwrap();
}
