//! Slots: which there are, what they hold, and how one is initialised.
//!
//! Initialised slots keep their numbers, and one free slot is always offered beside them, until `MAX_SLOTS` are in use.
//! Nothing here tells a slot's keys. (PKCS#11 2.40, section 5.5.)

use std::fmt;

use cryptoki_sys::*;

use crate::failure::Failure;
use crate::general::{Module, VERSION, padded};
use crate::limits::{MAX_PIN_BYTES, MAX_SESSIONS, MIN_PIN_BYTES};
use crate::pins::PinRecord;
use crate::sessions::{Login, SessionHandle};
use crate::store::SlotRecord;
use crate::{MANUFACTURER, MODEL, hex};

/// A slot's number, which is its PKCS#11 slot ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SlotNumber(pub(crate) CK_SLOT_ID);

impl SlotNumber {
    pub(crate) const fn from_index(index: usize) -> Self {
        Self(index as CK_SLOT_ID)
    }
}

impl fmt::Display for SlotNumber {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// What every initialised slot can do.
const MECHANISMS: [CK_MECHANISM_TYPE; 2] = [CKM_EC_EDWARDS_KEY_PAIR_GEN, CKM_EDDSA];

/// The size in bits of the only curve.
const CURVE_BITS: CK_ULONG = 255;

impl Module {
    /// `C_GetSlotList`. The free slot counts as one with a token in it: one that waits to be initialised.
    pub(crate) fn slot_list(&self) -> Result<Vec<SlotNumber>, Failure> {
        let mut state = self.state()?;
        state.refresh_all()?;
        let mut numbers: Vec<_> = state.initialised().chain(state.free_slot()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// `C_GetSlotInfo`.
    pub(crate) fn slot_info(&self, number: SlotNumber) -> Result<CK_SLOT_INFO, Failure> {
        self.offered(number)?;
        Ok(CK_SLOT_INFO {
            slotDescription: padded(&format!("firmware-sim slot {number}: simulator, no HSM")),
            manufacturerID: padded(MANUFACTURER),
            flags: CKF_TOKEN_PRESENT,
            hardwareVersion: VERSION,
            firmwareVersion: VERSION,
        })
    }

    /// `C_GetTokenInfo`.
    pub(crate) fn token_info(&self, number: SlotNumber) -> Result<CK_TOKEN_INFO, Failure> {
        let mut state = self.state()?;
        state.refresh(number)?;
        let slot = match state.slot(number) {
            Ok(slot) => Some(&slot.record),
            Err(Failure::TokenNotRecognized) => None,
            Err(failure) => return Err(failure),
        };
        let sessions = state.sessions.values().filter(|session| session.slot == number);
        let writing = sessions.clone().filter(|session| session.read_write);
        Ok(CK_TOKEN_INFO {
            label: padded(slot.map_or("", |slot| &slot.label)),
            manufacturerID: padded(MANUFACTURER),
            model: padded(MODEL),
            serialNumber: padded(slot.map_or("", |slot| &slot.serial)),
            flags: CKF_RNG | CKF_LOGIN_REQUIRED | slot.map_or(0, pin_flags),
            ulMaxSessionCount: MAX_SESSIONS as CK_ULONG,
            ulSessionCount: sessions.count() as CK_ULONG,
            ulMaxRwSessionCount: MAX_SESSIONS as CK_ULONG,
            ulRwSessionCount: writing.count() as CK_ULONG,
            ulMaxPinLen: MAX_PIN_BYTES as CK_ULONG,
            ulMinPinLen: MIN_PIN_BYTES as CK_ULONG,
            ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
            hardwareVersion: VERSION,
            firmwareVersion: VERSION,
            utcTime: padded(""),
        })
    }

    /// `C_GetMechanismList`.
    pub(crate) fn mechanism_list(&self, number: SlotNumber) -> Result<&'static [CK_MECHANISM_TYPE], Failure> {
        self.offered(number)?;
        Ok(&MECHANISMS)
    }

    /// `C_GetMechanismInfo`.
    pub(crate) fn mechanism_info(
        &self,
        number: SlotNumber,
        mechanism: CK_MECHANISM_TYPE,
    ) -> Result<CK_MECHANISM_INFO, Failure> {
        self.offered(number)?;
        let use_flags = match mechanism {
            CKM_EC_EDWARDS_KEY_PAIR_GEN => CKF_GENERATE_KEY_PAIR,
            CKM_EDDSA => CKF_SIGN | CKF_VERIFY,
            _ => return Err(Failure::MechanismInvalid),
        };
        let flags = use_flags | CKF_EC_F_P | CKF_EC_OID | CKF_EC_CURVENAME;
        Ok(CK_MECHANISM_INFO { ulMinKeySize: CURVE_BITS, ulMaxKeySize: CURVE_BITS, flags })
    }

    /// Whether there is such a slot, free or not.
    fn offered(&self, number: SlotNumber) -> Result<(), Failure> {
        match self.state()?.slot(number) {
            Ok(_) | Err(Failure::TokenNotRecognized) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// `C_InitToken`: empties the slot and gives it a label, a new serial number and an SO PIN. A slot that has an SO PIN wants
    /// that one.
    pub(crate) fn init_token(&self, number: SlotNumber, pin: &[u8], label: &[u8; 32]) -> Result<(), Failure> {
        let mut state = self.state()?;
        state.refresh(number)?;
        match state.slot(number) {
            Ok(_) | Err(Failure::TokenNotRecognized) => {}
            Err(failure) => return Err(failure),
        }
        if state.sessions.values().any(|session| session.slot == number) {
            return Err(Failure::SessionExists);
        }
        let label =
            std::str::from_utf8(label).map_err(|_| Failure::ArgumentsBad)?.trim_end_matches(' ').to_owned();
        state.replace(number, |old| {
            let so_pin = match old {
                Some(old) => old.so_pin.enter(pin).map(|()| old.so_pin.clone())?,
                None => PinRecord::new(pin)?,
            };
            Ok(SlotRecord::new(label, new_serial()?, so_pin))
        })
    }

    /// `C_InitPIN`: the SO gives the user a PIN, which also unlocks it.
    pub(crate) fn init_pin(&self, session: SessionHandle, pin: &[u8]) -> Result<(), Failure> {
        let mut state = self.state()?;
        let (number, login) = state.standing(session)?;
        if login != Login::So {
            return Err(Failure::UserNotLoggedIn);
        }
        let made = PinRecord::new(pin)?;
        state.change(number, |record| {
            record.user_pin = Some(made);
            Ok(())
        })
    }

    /// `C_SetPIN`: changes the SO's PIN when the SO is logged in, else the user's. A wrong old PIN counts.
    pub(crate) fn set_pin(&self, session: SessionHandle, old: &[u8], new: &[u8]) -> Result<(), Failure> {
        let mut state = self.state()?;
        let (number, login) = state.standing(session)?;
        if !state.session(session)?.read_write {
            return Err(Failure::SessionReadOnly);
        }
        let made = PinRecord::new(new)?;
        state.change(number, |record| {
            let pin = match login {
                Login::So => &mut record.so_pin,
                Login::Public | Login::User => {
                    record.user_pin.as_mut().ok_or(Failure::UserPinNotInitialized)?
                }
            };
            let entered = pin.enter(old);
            if entered.is_ok() {
                *pin = made;
            }
            Ok(entered)
        })?
    }
}

fn pin_flags(record: &SlotRecord) -> CK_FLAGS {
    let so = &record.so_pin;
    let mut flags = CKF_TOKEN_INITIALIZED;
    let mut raise = |when: bool, flag: CK_FLAGS| flags |= if when { flag } else { 0 };
    raise(so.count_low(), CKF_SO_PIN_COUNT_LOW);
    raise(so.final_try(), CKF_SO_PIN_FINAL_TRY);
    raise(so.locked(), CKF_SO_PIN_LOCKED);
    if let Some(user) = &record.user_pin {
        raise(true, CKF_USER_PIN_INITIALIZED);
        raise(user.count_low(), CKF_USER_PIN_COUNT_LOW);
        raise(user.final_try(), CKF_USER_PIN_FINAL_TRY);
        raise(user.locked(), CKF_USER_PIN_LOCKED);
    }
    flags
}

fn new_serial() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| Failure::DeviceError)?;
    Ok(hex::text(&bytes))
}
