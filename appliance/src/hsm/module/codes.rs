//! What a module's codes mean: one table, from the codes of PKCS#11 to our kinds of fault.
//!
//! A code that is not in it is a fault all the same, of a kind of its own.

use cryptoki::error::{Error, RvError};

use crate::hsm::{FaultKind, HsmFault};

/// Whether another spelling of the curve may help.
pub(super) fn is_about_parameters(error: &Error) -> bool {
    use RvError::{
        AttributeValueInvalid, CurveNotSupported, DomainParamsInvalid, FunctionFailed, GeneralError,
        MechanismParamInvalid, TemplateInconsistent,
    };
    let about = [
        AttributeValueInvalid,
        CurveNotSupported,
        DomainParamsInvalid,
        FunctionFailed,
        GeneralError,
        MechanismParamInvalid,
        TemplateInconsistent,
    ];
    matches!(error, Error::Pkcs11(code, _) if about.contains(code))
}

#[expect(clippy::needless_pass_by_value, reason = "the argument of map_err")]
pub(super) fn fault(error: Error) -> HsmFault {
    let kind = match &error {
        Error::Pkcs11(code, _) => kind(*code),
        Error::LibraryLoading(_) | Error::MissingSymbol(_) => FaultKind::ModuleRejected,
        Error::NotSupported
        | Error::TryFromInt(_)
        | Error::TryFromSlice(_)
        | Error::ParseInt(_)
        | Error::Utf8(_)
        | Error::NulError(_)
        | Error::NullFunctionPointer
        | Error::InvalidValue
        | Error::PinNotSet => FaultKind::Unmapped,
    };
    HsmFault::new(kind, answered(&error))
}

/// The kind of fault that a code is. What is not in the table trips all the same.
#[expect(clippy::wildcard_enum_match_arm, reason = "a code that we do not know is a fault of its own kind")]
pub(super) const fn kind(code: RvError) -> FaultKind {
    match code {
        RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::TokenNotRecognized
        | RvError::SlotIdInvalid => FaultKind::DeviceRemoved,
        RvError::DeviceError => FaultKind::DeviceError,
        RvError::SessionHandleInvalid | RvError::SessionClosed => FaultKind::SessionLost,
        RvError::UserNotLoggedIn => FaultKind::LoginLost,
        RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid => FaultKind::HandleLost,
        RvError::FunctionFailed | RvError::DeviceMemory | RvError::SessionCount => FaultKind::Busy,
        RvError::OperationActive => FaultKind::SessionPoisoned,
        RvError::FipsSelfTestFailed => FaultKind::SelfTestFailed,
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => FaultKind::PinIncorrect,
        RvError::PinLocked => FaultKind::PinLocked,
        RvError::PinExpired | RvError::UserPinNotInitialized => FaultKind::PinNotSet,
        RvError::MechanismInvalid => FaultKind::MechanismAbsent,
        _ => FaultKind::Unmapped,
    }
}

/// Which call answered what, in the words of the standard.
pub(super) fn answered(error: &Error) -> String {
    let Error::Pkcs11(code, call) = error else { return error.to_string() };
    if let RvError::VendorDefined(code) | RvError::UnknownErrorCode(code) = code {
        return format!("C_{call:?} answered {code:#x}");
    }
    format!("C_{call:?} answered CKR_{}", screaming(&format!("{code:?}")))
}

/// `DeviceError` as `DEVICE_ERROR`.
fn screaming(camel: &str) -> String {
    camel.char_indices().fold(String::new(), |mut text, (at, letter)| {
        if at > 0 && letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
        text
    })
}
