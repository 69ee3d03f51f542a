//! A simulator that is about to be broken: provisioned, with a key and what it takes to set faults and sign.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use cryptoki::context::Pkcs11;
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use cryptoki::slot::Slot;
use ed25519_dalek::{Signature, VerifyingKey};
use firmware_sim::faults::control::ask;

use crate::scratch::{Scratch, key_pair, point, user_session};

pub(crate) const MESSAGE: &[u8] = b"assent";

/// Long enough to tell a call that waits from one that does not.
pub(crate) const MOMENT: Duration = Duration::from_millis(60);
/// Long enough for anything that is to come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A provisioned simulator with a key and a logged-in session.
pub(crate) struct Faulty {
    pub(crate) scratch: Scratch,
    pub(crate) module: Pkcs11,
    pub(crate) slot: Slot,
    pub(crate) key: VerifyingKey,
}

impl Faulty {
    pub(crate) fn new() -> Self {
        Self::paced("")
    }

    /// With these settings.
    pub(crate) fn paced(settings: &str) -> Self {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.state()).unwrap();
        std::fs::write(scratch.state().join(firmware_sim::SETTINGS_FILE), settings).unwrap();
        let (module, slot) = scratch.provisioned();
        let session = user_session(&module, slot);
        let key = VerifyingKey::from_bytes(&point(&session, key_pair(&session, 1).0)).unwrap();
        Self { scratch, module, slot, key }
    }

    pub(crate) fn command(&self, command: &str) -> String {
        ask(&self.scratch.state(), command).unwrap()
    }

    pub(crate) fn inject(&self, fault: &str) {
        self.command(&format!("inject {fault}"));
    }

    pub(crate) fn clear(&self) {
        self.command("clear");
    }

    /// A new session, logged in, with the private key found.
    pub(crate) fn signer(&self) -> Signer {
        Signer::new(user_session(&self.module, self.slot))
    }

    pub(crate) fn is_genuine(&self, signature: &[u8]) -> bool {
        self.verifies(MESSAGE, signature)
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_strict(message, &Signature::from_slice(signature).unwrap()).is_ok()
    }
}

pub(crate) struct Signer {
    pub(crate) session: Session,
    pub(crate) private: ObjectHandle,
}

impl Signer {
    pub(crate) fn new(session: Session) -> Self {
        let private = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
        Self { session, private }
    }

    pub(crate) fn sign(&self) -> Result<Vec<u8>, Error> {
        let pure = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        self.session.sign(&pure, self.private, MESSAGE)
    }

    /// Signs in a thread of its own.
    pub(crate) fn sign_aside(self) -> Receiver<Result<Vec<u8>, Error>> {
        aside(move || self.sign())
    }
}

pub(crate) fn aside<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = sync_channel(1);
    std::thread::Builder::new().spawn(move || drop(sender.send(call()))).unwrap();
    receiver
}

#[track_caller]
pub(crate) fn waits<T>(call: &Receiver<T>) {
    assert_eq!(call.recv_timeout(MOMENT).err(), Some(RecvTimeoutError::Timeout), "the call did not wait");
}

pub(crate) fn code<T>(result: Result<T, Error>) -> RvError {
    match result {
        Err(Error::Pkcs11(code, _)) => code,
        Err(other) => panic!("{other}"),
        Ok(_) => RvError::GeneralError,
    }
}
