//! Limits: every bound of the simulator, in one place.
//!
//! Each is checked before memory is taken or work is done; going past one has its own CKR code, named beside it. The bounds
//! that depend on each other are compared at compile time, at the end.

/// Slots offered at most; the last ones to be initialised leave no free slot.
pub(crate) const MAX_SLOTS: usize = 16;

/// Sessions open at once in a process, over all slots (`CKR_SESSION_COUNT`).
pub(crate) const MAX_SESSIONS: usize = 1024;

/// Objects stored in one slot (`CKR_DEVICE_MEMORY`).
pub(crate) const MAX_TOKEN_OBJECTS: usize = 256;

/// Session objects alive at once in a process (`CKR_DEVICE_MEMORY`).
pub(crate) const MAX_SESSION_OBJECTS: usize = 256;

/// Attributes in one template (`CKR_ARGUMENTS_BAD`).
pub(crate) const MAX_TEMPLATE_ATTRIBUTES: usize = 64;

/// Bytes in one attribute, which bounds labels, IDs and the value of a data object (`CKR_ATTRIBUTE_VALUE_INVALID`).
pub(crate) const MAX_ATTRIBUTE_BYTES: usize = 64 * 1024;

/// Bytes of `CKA_LABEL`, `CKA_ID`, `CKA_APPLICATION` and `CKA_OBJECT_ID` (`CKR_ATTRIBUTE_VALUE_INVALID`).
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// Bytes that one `C_Sign` or `C_Verify` covers (`CKR_DATA_LEN_RANGE`).
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Bytes that one `C_GenerateRandom` gives (`CKR_ARGUMENTS_BAD`).
pub(crate) const MAX_RANDOM_BYTES: usize = 1024 * 1024;

/// Bytes of a PIN (`CKR_PIN_LEN_RANGE`).
pub(crate) const MIN_PIN_BYTES: usize = 4;
/// Bytes of a PIN (`CKR_PIN_LEN_RANGE`).
pub(crate) const MAX_PIN_BYTES: usize = 255;

/// Wrong PINs in a row that lock a PIN (`CKR_PIN_LOCKED`).
pub(crate) const MAX_PIN_TRIES: u32 = 10;

/// SHA-256 rounds over a PIN: a login costs about a millisecond.
pub(crate) const PIN_ROUNDS: u32 = 10_000;

/// Bytes of a slot's file; a longer one is not read (`CKR_DEVICE_ERROR`).
pub(crate) const MAX_SLOT_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of `firmware-sim.toml`; what follows is not read, so that it does not parse (`CKR_GENERAL_ERROR`).
pub(crate) const MAX_SETTINGS_BYTES: u64 = 64 * 1024;

/// Faults set at once.
pub(crate) const MAX_FAULTS: usize = 32;

/// Faults that are over and still shown by `status`; the oldest is forgotten.
pub(crate) const MAX_PAST_FAULTS: usize = 64;

/// Lines of the file `strikes`, one a fault that is set or shown.
pub(crate) const FAULT_LINES: u64 = 128;

/// Bytes of one command to the control socket, its line end included.
pub(crate) const MAX_COMMAND_BYTES: usize = 1024;

/// Bytes of `faults.json`; what follows is not read, so that it does not parse.
pub(crate) const MAX_FAULTS_FILE_BYTES: u64 = 256 * 1024;

/// Slots of a real module whose coming and going a fault reports; with more there are no events.
pub(crate) const MAX_EVENT_SLOTS: usize = 256;

/// Signatures that a pace lets through at once.
pub(crate) const MAX_SIGNATURES_AT_ONCE: usize = 1024;

// A full slot fits its file: bytes are written as two hex digits, and names, braces and indents take less than the rest.
const _: () = assert!(
    (MAX_TOKEN_OBJECTS * (2 * MAX_ATTRIBUTE_BYTES + 16 * MAX_NAME_BYTES + 4096)) as u64
        <= MAX_SLOT_FILE_BYTES
);
// Every fault that can be set fits its file, quotes escaped and numbers beside.
const _: () =
    assert!(((MAX_FAULTS + MAX_PAST_FAULTS) * (2 * MAX_COMMAND_BYTES + 256)) as u64 <= MAX_FAULTS_FILE_BYTES);
// There is a line for one more than can be set and shown, so that a new fault always finds one.
const _: () = assert!((MAX_FAULTS + MAX_PAST_FAULTS) as u64 + 1 < FAULT_LINES);
const _: () = assert!(MAX_NAME_BYTES <= MAX_ATTRIBUTE_BYTES);
const _: () = assert!(MIN_PIN_BYTES < MAX_PIN_BYTES && MAX_PIN_TRIES > 1 && MAX_SLOTS > 0);
