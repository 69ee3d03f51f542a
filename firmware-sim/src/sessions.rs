//! Sessions, and who is logged in.
//!
//! The login belongs to the slot, not to the session: all sessions of a process with a slot share it, and it ends with the last of
//! them. A session's handle is not used twice. (PKCS#11 2.40, section 5.6; session states, section 6.7.)

use std::sync::Arc;

use cryptoki_sys::*;
use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::failure::Failure;
use crate::general::Module;
use crate::limits::MAX_SESSIONS;
use crate::pins::PinRecord;
use crate::slots::SlotNumber;
use crate::state::{Location, ObjectHandle, State};

/// A caller's name for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionHandle(pub(crate) CK_SESSION_HANDLE);

/// Who is logged in to a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Public,
    User,
    So,
}

/// An open session, and what it is in the middle of.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) slot: SlotNumber,
    pub(crate) read_write: bool,
    /// What a search has yet to give, last one first.
    pub(crate) find: Option<Vec<ObjectHandle>>,
    pub(crate) sign: Option<Arc<SigningKey>>,
    pub(crate) verify: Option<VerifyingKey>,
}

impl State {
    /// An open session.
    pub(crate) fn session(&self, handle: SessionHandle) -> Result<&Session, Failure> {
        self.sessions.get(&handle).ok_or(Failure::SessionHandleInvalid)
    }

    /// An open session, to begin or end something in it.
    pub(crate) fn session_mut(&mut self, handle: SessionHandle) -> Result<&mut Session, Failure> {
        self.sessions.get_mut(&handle).ok_or(Failure::SessionHandleInvalid)
    }

    /// The slot of a session, and who is logged in there.
    pub(crate) fn standing(&self, handle: SessionHandle) -> Result<(SlotNumber, Login), Failure> {
        let number = self.session(handle)?.slot;
        Ok((number, self.slot(number)?.login))
    }

    /// Whether `handle` may make, change or remove an object that is `private`, in the slot (`stored`) or in the session.
    pub(crate) fn may_write(
        &self,
        handle: SessionHandle,
        private: bool,
        stored: bool,
    ) -> Result<(), Failure> {
        let (_, login) = self.standing(handle)?;
        if private && login != Login::User {
            return Err(Failure::UserNotLoggedIn);
        }
        if stored && !self.session(handle)?.read_write { Err(Failure::SessionReadOnly) } else { Ok(()) }
    }

    fn close(&mut self, handle: SessionHandle) {
        let Some(session) = self.sessions.remove(&handle) else { return };
        self.drop_objects(|location, _| matches!(location, Location::Session(owner, _) if owner == handle));
        if !self.sessions.values().any(|other| other.slot == session.slot) {
            self.log_out(session.slot);
        }
    }

    pub(crate) fn close_all_sessions(&mut self, number: SlotNumber) {
        let of_slot = self.sessions.iter().filter(|(_, session)| session.slot == number);
        let handles: Vec<_> = of_slot.map(|(&handle, _)| handle).collect();
        handles.into_iter().for_each(|handle| self.close(handle));
    }

    /// Ends the login, and with it every private handle and everything that sessions were in the middle of.
    fn log_out(&mut self, number: SlotNumber) {
        if let Ok(slot) = self.slot_mut(number) {
            slot.login = Login::Public;
        }
        let of_slot: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.slot == number)
            .map(|(&handle, _)| handle)
            .collect();
        self.drop_objects(|location, object| {
            let here = match location {
                Location::Token(slot, _) => slot == number,
                Location::Session(owner, _) => of_slot.contains(&owner),
            };
            here && object.private
        });
        for session in self.sessions.values_mut().filter(|session| session.slot == number) {
            (session.find, session.sign, session.verify) = (None, None, None);
        }
    }
}

impl Module {
    /// `C_OpenSession`. The caller's notification callback is never called.
    pub(crate) fn open_session(&self, number: SlotNumber, flags: CK_FLAGS) -> Result<SessionHandle, Failure> {
        let mut state = self.state()?;
        if flags & CKF_SERIAL_SESSION == 0 {
            return Err(Failure::SessionParallelNotSupported);
        }
        state.refresh(number)?;
        let login = state.slot(number)?.login;
        let read_write = flags & CKF_RW_SESSION != 0;
        if login == Login::So && !read_write {
            return Err(Failure::SessionReadWriteSoExists);
        }
        if state.sessions.len() >= MAX_SESSIONS {
            return Err(Failure::SessionCount);
        }
        let handle = SessionHandle(state.next()?);
        state
            .sessions
            .insert(handle, Session { slot: number, read_write, find: None, sign: None, verify: None });
        Ok(handle)
    }

    /// `C_CloseSession`.
    pub(crate) fn close_session(&self, handle: SessionHandle) -> Result<(), Failure> {
        let mut state = self.state()?;
        state.session(handle)?;
        state.close(handle);
        Ok(())
    }

    /// `C_CloseAllSessions`.
    pub(crate) fn close_all_sessions(&self, number: SlotNumber) -> Result<(), Failure> {
        let mut state = self.state()?;
        state.slot(number)?;
        state.close_all_sessions(number);
        Ok(())
    }

    /// `C_GetSessionInfo`.
    pub(crate) fn session_info(&self, handle: SessionHandle) -> Result<CK_SESSION_INFO, Failure> {
        let state = self.state()?;
        let session = state.session(handle)?;
        let standing = match (state.slot(session.slot)?.login, session.read_write) {
            (Login::Public, false) => CKS_RO_PUBLIC_SESSION,
            (Login::Public, true) => CKS_RW_PUBLIC_SESSION,
            (Login::User, false) => CKS_RO_USER_FUNCTIONS,
            (Login::User, true) => CKS_RW_USER_FUNCTIONS,
            (Login::So, _) => CKS_RW_SO_FUNCTIONS,
        };
        let writing = if session.read_write { CKF_RW_SESSION } else { 0 };
        Ok(CK_SESSION_INFO {
            slotID: session.slot.0,
            state: standing,
            flags: CKF_SERIAL_SESSION | writing,
            ulDeviceError: 0,
        })
    }

    /// `C_Login`.
    pub(crate) fn login(&self, handle: SessionHandle, user: CK_USER_TYPE, pin: &[u8]) -> Result<(), Failure> {
        let wanted = match user {
            CKU_USER => Login::User,
            CKU_SO => Login::So,
            // Only a key with CKA_ALWAYS_AUTHENTICATE asks for it, and there is none.
            CKU_CONTEXT_SPECIFIC => return Err(Failure::OperationNotInitialized),
            _ => return Err(Failure::UserTypeInvalid),
        };
        let mut state = self.state()?;
        let number = state.session(handle)?.slot;
        state.refresh(number)?;
        match state.standing(handle)?.1 {
            Login::Public => {}
            login if login == wanted => return Err(Failure::UserAlreadyLoggedIn),
            Login::User | Login::So => return Err(Failure::AnotherUserLoggedIn),
        }
        let reading = state.sessions.values().any(|session| session.slot == number && !session.read_write);
        if wanted == Login::So && reading {
            return Err(Failure::SessionReadOnlyExists);
        }
        state.enter_pin(number, wanted, pin)?;
        state.slot_mut(number)?.login = wanted;
        Ok(())
    }

    /// `C_Logout`.
    pub(crate) fn logout(&self, handle: SessionHandle) -> Result<(), Failure> {
        let mut state = self.state()?;
        let (number, login) = state.standing(handle)?;
        if login == Login::Public {
            return Err(Failure::UserNotLoggedIn);
        }
        state.log_out(number);
        Ok(())
    }
}

impl State {
    /// Compares a PIN under the folder's lock, so that two processes cannot share a try. It writes only when a count changes.
    fn enter_pin(&mut self, number: SlotNumber, user: Login, pin: &[u8]) -> Result<(), Failure> {
        let known =
            pin_of(&self.slot(number)?.record.so_pin, self.slot(number)?.record.user_pin.as_ref(), user)?;
        if !known.count_low() && known.clone().enter(pin).is_ok() {
            return Ok(());
        }
        self.change(number, |record| {
            let known = match user {
                Login::So => &mut record.so_pin,
                Login::Public | Login::User => {
                    record.user_pin.as_mut().ok_or(Failure::UserPinNotInitialized)?
                }
            };
            Ok(known.enter(pin))
        })?
    }
}

fn pin_of<'a>(so: &'a PinRecord, user: Option<&'a PinRecord>, who: Login) -> Result<&'a PinRecord, Failure> {
    match who {
        Login::So => Ok(so),
        Login::Public | Login::User => user.ok_or(Failure::UserPinNotInitialized),
    }
}
