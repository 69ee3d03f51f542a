//! Failure: why a call did not do what it was asked.
//!
//! One variant for each CKR code that the module gives, so that no code appears that nobody thought of. It carries no detail:
//! the C ABI has room for a number only. (PKCS#11 2.40, section 5.1.)

use cryptoki_sys::*;

macro_rules! failures {
    ($($name:ident = $code:ident,)*) => {
        /// Why a call failed; the C ABI sees only [`Failure::code`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Failure { $($name,)* }

        impl Failure {
            /// The CKR code of this failure; never `CKR_OK`.
            pub(crate) const fn code(self) -> CK_RV {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

failures! {
    ActionProhibited = CKR_ACTION_PROHIBITED,
    AnotherUserLoggedIn = CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
    ArgumentsBad = CKR_ARGUMENTS_BAD,
    AttributeReadOnly = CKR_ATTRIBUTE_READ_ONLY,
    AttributeSensitive = CKR_ATTRIBUTE_SENSITIVE,
    AttributeTypeInvalid = CKR_ATTRIBUTE_TYPE_INVALID,
    AttributeValueInvalid = CKR_ATTRIBUTE_VALUE_INVALID,
    BufferTooSmall = CKR_BUFFER_TOO_SMALL,
    CannotLock = CKR_CANT_LOCK,
    CurveNotSupported = CKR_CURVE_NOT_SUPPORTED,
    DataLengthRange = CKR_DATA_LEN_RANGE,
    DeviceError = CKR_DEVICE_ERROR,
    DeviceMemory = CKR_DEVICE_MEMORY,
    FunctionNotParallel = CKR_FUNCTION_NOT_PARALLEL,
    GeneralError = CKR_GENERAL_ERROR,
    KeyFunctionNotPermitted = CKR_KEY_FUNCTION_NOT_PERMITTED,
    KeyHandleInvalid = CKR_KEY_HANDLE_INVALID,
    KeyTypeInconsistent = CKR_KEY_TYPE_INCONSISTENT,
    MechanismInvalid = CKR_MECHANISM_INVALID,
    MechanismParameterInvalid = CKR_MECHANISM_PARAM_INVALID,
    NoEvent = CKR_NO_EVENT,
    NotInitialized = CKR_CRYPTOKI_NOT_INITIALIZED,
    ObjectHandleInvalid = CKR_OBJECT_HANDLE_INVALID,
    OperationActive = CKR_OPERATION_ACTIVE,
    OperationNotInitialized = CKR_OPERATION_NOT_INITIALIZED,
    PinIncorrect = CKR_PIN_INCORRECT,
    PinLengthRange = CKR_PIN_LEN_RANGE,
    PinLocked = CKR_PIN_LOCKED,
    RandomSeedNotSupported = CKR_RANDOM_SEED_NOT_SUPPORTED,
    SessionCount = CKR_SESSION_COUNT,
    SessionExists = CKR_SESSION_EXISTS,
    SessionHandleInvalid = CKR_SESSION_HANDLE_INVALID,
    SessionParallelNotSupported = CKR_SESSION_PARALLEL_NOT_SUPPORTED,
    SessionReadOnly = CKR_SESSION_READ_ONLY,
    SessionReadOnlyExists = CKR_SESSION_READ_ONLY_EXISTS,
    SessionReadWriteSoExists = CKR_SESSION_READ_WRITE_SO_EXISTS,
    SignatureInvalid = CKR_SIGNATURE_INVALID,
    SignatureLengthRange = CKR_SIGNATURE_LEN_RANGE,
    SlotIdInvalid = CKR_SLOT_ID_INVALID,
    TemplateIncomplete = CKR_TEMPLATE_INCOMPLETE,
    TemplateInconsistent = CKR_TEMPLATE_INCONSISTENT,
    TokenNotRecognized = CKR_TOKEN_NOT_RECOGNIZED,
    UserAlreadyLoggedIn = CKR_USER_ALREADY_LOGGED_IN,
    UserNotLoggedIn = CKR_USER_NOT_LOGGED_IN,
    UserPinNotInitialized = CKR_USER_PIN_NOT_INITIALIZED,
    UserTypeInvalid = CKR_USER_TYPE_INVALID,
}
