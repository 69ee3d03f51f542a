//! Faults: the ways in which the simulator can be told to fail.
//!
//! A fault is one line of text, such as `corrupt --times 3` or `hang sign --for 2s`. The lines lie in `faults.json` in the
//! simulator's folder, so that a fault outlives the process that met it, and meets the next one; [`control`] edits them at run time,
//! `met` applies them to calls. What a fault does to which call is the table in this file.

mod armed;
pub mod control;
pub mod line;
pub(crate) mod met;
mod record;
mod status;
mod strikes;

use std::time::Duration;

use cryptoki_sys::*;

use crate::calls::Call;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The device or the way to it is gone; sessions end.
    Remove,
    /// All sessions end and the login is lost, at once and once.
    Reboot,
    /// The login is lost, at once and once.
    Logout,
    /// The module starts and has no slot.
    Absent,
    /// The call does not return while the fault is set; then it does what it should.
    Hang,
    /// The call takes that much longer.
    Slow(Duration),
    /// Out of sessions, memory, patience.
    Busy,
    /// `C_Sign` succeeds, with one bit flipped.
    Corrupt,
    /// `C_Sign` succeeds, with zeros.
    Zero,
    /// `C_Sign` succeeds, with a signature of another key.
    WrongKey,
    /// `C_Sign` succeeds, with a signature over another message.
    WrongMessage,
    /// The objects are gone.
    Wipe,
    /// The user's PIN is locked.
    PinLocked,
    /// The session in which it happens begins no other signature.
    Poison,
    /// The process dies of SIGSEGV.
    Segfault,
    /// The process dies of SIGABRT.
    Abort,
    /// The device does not trust itself any more.
    SelfTest,
    /// The call answers this.
    Answer(CK_RV),
}

/// How a successful `C_Sign` is made wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoil {
    FlipBit,
    Zero,
    OtherKey,
    OtherMessage,
}

/// How slots look while a fault is set, beyond what calls answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct View {
    /// No slot is listed.
    pub(crate) absent: bool,
    /// No slot has anything in it.
    pub(crate) removed: bool,
    /// A search finds nothing.
    pub(crate) wiped: bool,
    /// Flags of `CK_TOKEN_INFO` that are up.
    pub(crate) token_flags: CK_FLAGS,
}

impl View {
    pub(crate) const fn present(self) -> bool {
        !self.absent && !self.removed
    }
}

impl What {
    /// Whether it meets `call` when it was not told which calls to meet.
    pub(crate) fn concerns(self, call: Call) -> bool {
        match self {
            Self::Remove | Self::Absent => !call.is_general(),
            Self::Reboot => call.takes_session(),
            Self::Logout => takes_key(call),
            Self::Hang
            | Self::Slow(_)
            | Self::Corrupt
            | Self::Zero
            | Self::WrongKey
            | Self::WrongMessage
            | Self::Segfault
            | Self::Abort
            | Self::Answer(_) => call == Call::C_Sign,
            Self::Busy => matches!(call, Call::C_Sign | Call::C_OpenSession),
            Self::Wipe => call == Call::C_FindObjects || takes_object(call),
            Self::PinLocked => matches!(call, Call::C_Login | Call::C_GetTokenInfo),
            Self::Poison => call == Call::C_SignInit,
            Self::SelfTest => call == Call::C_GetTokenInfo || needs_working_device(call),
        }
    }

    /// The answer that takes the place of the call, if there is one; `nth` counts from one how often the fault struck.
    pub(crate) fn answer(self, call: Call, nth: u64) -> Option<CK_RV> {
        match self {
            Self::Remove | Self::Absent => self.answer_without_device(call),
            Self::Logout if takes_key(call) => Some(CKR_USER_NOT_LOGGED_IN),
            Self::Busy if call == Call::C_OpenSession => Some(CKR_SESSION_COUNT),
            Self::Busy if nth.is_multiple_of(2) => Some(CKR_DEVICE_MEMORY),
            Self::Busy => Some(CKR_FUNCTION_FAILED),
            Self::Wipe if takes_key(call) => Some(CKR_KEY_HANDLE_INVALID),
            Self::Wipe if takes_object(call) => Some(CKR_OBJECT_HANDLE_INVALID),
            Self::PinLocked if call == Call::C_Login => Some(CKR_PIN_LOCKED),
            Self::Poison => Some(CKR_OPERATION_ACTIVE),
            Self::SelfTest if call != Call::C_GetTokenInfo => Some(CKR_FIPS_SELF_TEST_FAILED),
            Self::Answer(code) => Some(code),
            Self::Wipe | Self::PinLocked | Self::SelfTest => None,
            Self::Reboot | Self::Logout | Self::Hang | Self::Slow(_) | Self::Segfault | Self::Abort => None,
            Self::Corrupt | Self::Zero | Self::WrongKey | Self::WrongMessage => None,
        }
    }

    fn answer_without_device(self, call: Call) -> Option<CK_RV> {
        let absent = self == Self::Absent;
        // The list and the slot's flags show it; sessions can be closed, they are gone anyway.
        let shows = matches!(call, Call::C_GetSlotList | Call::C_CloseSession | Call::C_CloseAllSessions);
        if shows || (call == Call::C_GetSlotInfo && !absent) {
            return None;
        }
        if call.takes_session() {
            return Some(CKR_DEVICE_REMOVED);
        }
        Some(if absent { CKR_SLOT_ID_INVALID } else { CKR_TOKEN_NOT_PRESENT })
    }

    /// How it makes a successful `C_Sign` wrong.
    pub(crate) const fn spoil(self) -> Option<Spoil> {
        use What::*;
        match self {
            Corrupt => Some(Spoil::FlipBit),
            Zero => Some(Spoil::Zero),
            WrongKey => Some(Spoil::OtherKey),
            WrongMessage => Some(Spoil::OtherMessage),
            Remove | Reboot | Logout | Absent | Hang | Slow(_) | Busy | Wipe | PinLocked | Poison => None,
            Segfault | Abort | SelfTest | Answer(_) => None,
        }
    }

    /// How it makes slots look.
    pub(crate) fn show(self, view: &mut View) {
        use What::*;
        match self {
            Absent => view.absent = true,
            Remove => view.removed = true,
            Wipe => view.wiped = true,
            PinLocked => view.token_flags |= CKF_USER_PIN_LOCKED,
            SelfTest => view.token_flags |= CKF_ERROR_STATE,
            Reboot | Logout | Hang | Slow(_) | Busy | Corrupt | Zero | WrongKey | WrongMessage => {}
            Poison | Segfault | Abort | Answer(_) => {}
        }
    }

    /// What happens once and is over, unless it is told otherwise.
    pub(crate) const fn strikes_once(self) -> bool {
        matches!(self, Self::Reboot | Self::Logout | Self::Poison | Self::Segfault | Self::Abort)
    }
}

fn takes_key(call: Call) -> bool {
    matches!(call, Call::C_SignInit | Call::C_Sign | Call::C_VerifyInit)
}

fn takes_object(call: Call) -> bool {
    let reads = matches!(call, Call::C_GetAttributeValue | Call::C_GetObjectSize | Call::C_CopyObject);
    takes_key(call) || reads || matches!(call, Call::C_SetAttributeValue | Call::C_DestroyObject)
}

fn needs_working_device(call: Call) -> bool {
    let logs_in = matches!(
        call,
        Call::C_OpenSession | Call::C_Login | Call::C_InitToken | Call::C_InitPIN | Call::C_SetPIN
    );
    let makes = matches!(call, Call::C_GenerateKey | Call::C_GenerateKeyPair | Call::C_GenerateRandom);
    takes_key(call) || logs_in || makes
}
