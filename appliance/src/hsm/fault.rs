//! HSM faults: the closed list of what can go wrong between us and a signature.
//!
//! There is no list of transient codes: every kind closes the token boundary. The class says only who may open it again:
//! the appliance by itself after an availability fault, operators alone after an integrity fault. A code that we do not
//! know is an availability fault. (`appliance/DESIGN.md`, "Boundaries".)

use serde::{Deserialize, Serialize};

/// Bytes of detail that a fault carries at most; longer text is cut.
const MAX_DETAIL_BYTES: usize = 200;

/// Who may re-arm the boundary after a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// The HSM did not answer, or not in time: re-arm may be automatic.
    Availability,
    /// The HSM, its slot or its key may not be what was pinned: re-arm is the operators'.
    Integrity,
}

/// What happened: a bounded label, never text from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "each variant is described where an operator reads it, in `FaultKind::facts`"
)]
pub enum FaultKind {
    ModuleMissing,
    ModuleRejected,
    ModuleFailed,
    SlotAbsent,
    SlotAmbiguous,
    SerialOther,
    SimulatorRefused,
    MechanismAbsent,
    PinIncorrect,
    PinLocked,
    PinFinalTry,
    PinNotSet,
    PinUnfit,
    KeyAbsent,
    KeyAmbiguous,
    KeyExtractable,
    KeyNotSensitive,
    KeyImported,
    KeyUnreadable,
    KeyPresent,
    KeyOther,
    DataRefused,
    DeviceRemoved,
    DeviceError,
    SessionLost,
    LoginLost,
    HandleLost,
    Busy,
    SessionPoisoned,
    SelfTestFailed,
    Unmapped,
    SignatureMalformed,
    SignatureInvalid,
    DeadlineMissed,
    SignerUnstarted,
    SignerLost,
    FrameUnexpected,
    TextTooLong,
}

struct Facts {
    label: &'static str,
    class: FaultClass,
    what: &'static str,
    next: &'static str,
}

const fn availability(label: &'static str, what: &'static str, next: &'static str) -> Facts {
    Facts { label, class: FaultClass::Availability, what, next }
}

const fn integrity(label: &'static str, what: &'static str, next: &'static str) -> Facts {
    Facts { label, class: FaultClass::Integrity, what, next }
}

const LOOK: &str = "look at the HSM, then run `assent hsm check`";
const LIST: &str = "run `assent hsm list`";
const KEYS: &str = "run `assent keys list`";
const NEW_KEY: &str = "make one in the HSM with `assent keys generate` and another --key-id";

impl FaultKind {
    /// Every kind, for metrics and tests.
    pub const ALL: [Self; 38] = [
        Self::ModuleMissing,
        Self::ModuleRejected,
        Self::ModuleFailed,
        Self::SlotAbsent,
        Self::SlotAmbiguous,
        Self::SerialOther,
        Self::SimulatorRefused,
        Self::MechanismAbsent,
        Self::PinIncorrect,
        Self::PinLocked,
        Self::PinFinalTry,
        Self::PinNotSet,
        Self::PinUnfit,
        Self::KeyAbsent,
        Self::KeyAmbiguous,
        Self::KeyExtractable,
        Self::KeyNotSensitive,
        Self::KeyImported,
        Self::KeyUnreadable,
        Self::KeyPresent,
        Self::KeyOther,
        Self::DataRefused,
        Self::DeviceRemoved,
        Self::DeviceError,
        Self::SessionLost,
        Self::LoginLost,
        Self::HandleLost,
        Self::Busy,
        Self::SessionPoisoned,
        Self::SelfTestFailed,
        Self::Unmapped,
        Self::SignatureMalformed,
        Self::SignatureInvalid,
        Self::DeadlineMissed,
        Self::SignerUnstarted,
        Self::SignerLost,
        Self::FrameUnexpected,
        Self::TextTooLong,
    ];

    /// The metric label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.facts().label
    }

    /// Who may re-arm after it.
    #[must_use]
    pub const fn class(self) -> FaultClass {
        self.facts().class
    }

    /// The next thing to do about it.
    #[must_use]
    pub const fn next_step(self) -> &'static str {
        self.facts().next
    }

    #[rustfmt::skip]
    const fn facts(self) -> Facts {
        match self {
            Self::ModuleMissing => availability("module_missing", "no PKCS#11 module there", "correct the module's path, or install the vendor's package"),
            Self::ModuleRejected => availability("module_rejected", "the file is no PKCS#11 module that can be loaded", "give the vendor's PKCS#11 library for this processor"),
            Self::ModuleFailed => availability("module_failed", "the PKCS#11 module does not start", "read the vendor's log; check the HSM's environment variables in the configuration"),
            Self::SlotAbsent => availability("slot_absent", "no slot with that label", LIST),
            Self::SlotAmbiguous => integrity("slot_ambiguous", "more than one slot has that label", "pin one by its serial number; see `assent hsm list`"),
            Self::SerialOther => integrity("serial_other", "the slot with that label has another serial number than the pinned one", "find out who changed the HSM; pin the new serial only when it was you"),
            Self::SimulatorRefused => integrity("simulator_refused", "the module is a simulator", "use a real HSM, or set allow_simulator where nothing is at stake"),
            Self::MechanismAbsent => availability("mechanism_absent", "the slot has no Ed25519 signatures (CKM_EDDSA)", "use a slot or a firmware that has them; see `assent hsm list`"),
            Self::PinIncorrect => integrity("pin_incorrect", "the HSM refused the PIN; it was tried once and will not be tried again", "correct the PIN, then run `assent hsm check`"),
            Self::PinLocked => integrity("pin_locked", "the PIN is locked", "let the security officer unlock it with the vendor's tool"),
            Self::PinFinalTry => integrity("pin_final_try", "one more wrong PIN would lock it, so it was not tried", "make sure of the PIN, then run `assent hsm check --last-try`"),
            Self::PinNotSet => integrity("pin_not_set", "the slot's user PIN is not set or has expired", "let the security officer set it with the vendor's tool"),
            Self::PinUnfit => integrity("pin_unfit", "the slot takes no PIN of that length; nothing was changed", "choose another PIN, and run `assent hsm init` again"),
            Self::KeyAbsent => integrity("key_absent", "no private Ed25519 key with that id", KEYS),
            Self::KeyAmbiguous => integrity("key_ambiguous", "more than one key has that id", KEYS),
            Self::KeyExtractable => integrity("key_extractable", "the key can leave the HSM, or once could", NEW_KEY),
            Self::KeyNotSensitive => integrity("key_not_sensitive", "the key is not sensitive, or once was not", NEW_KEY),
            Self::KeyImported => integrity("key_imported", "the key was not made in this HSM", NEW_KEY),
            Self::KeyUnreadable => integrity("key_unreadable", "the public key cannot be read", KEYS),
            Self::KeyPresent => integrity("key_present", "there is a key with that id already", "choose another --key-id; `assent keys list` shows those in use"),
            Self::KeyOther => integrity("key_other", "the HSM has another key than the pinned one", "find out who changed it; rotate only when it was you"),
            Self::DataRefused => availability("data_refused", "the slot keeps no data objects, which `fence.hsm = \"on\"` demands", "use another slot, or set fence.hsm to \"auto\""),
            Self::DeviceRemoved => availability("device_removed", "the HSM is gone", LOOK),
            Self::DeviceError => availability("device_error", "the HSM reports a device error", LOOK),
            Self::SessionLost => availability("session_lost", "the HSM dropped the session", LOOK),
            Self::LoginLost => availability("login_lost", "the HSM dropped the login", LOOK),
            Self::HandleLost => availability("handle_lost", "the HSM does not know the key any more", LOOK),
            Self::Busy => availability("busy", "the HSM has no capacity", "find what else uses the HSM"),
            Self::SessionPoisoned => availability("session_poisoned", "the session is stuck in an older operation", LOOK),
            Self::SelfTestFailed => integrity("self_test_failed", "the HSM failed its self-test", "take it out of service and call the vendor"),
            Self::Unmapped => availability("unmapped", "the HSM answered with an error", LOOK),
            Self::SignatureMalformed => integrity("signature_malformed", "the HSM gave a signature of the wrong length", LOOK),
            Self::SignatureInvalid => integrity("signature_invalid", "the HSM gave a signature that does not verify", "take it out of service; a faulty signature can leak the key"),
            Self::DeadlineMissed => availability("deadline_missed", "the HSM did not answer in time", LOOK),
            Self::SignerUnstarted => availability("signer_unstarted", "the signer process cannot be started", "check the installation and its limits on processes"),
            Self::SignerLost => availability("signer_lost", "the signer process ended", "look for its last words in the log, then run `assent hsm check`"),
            Self::FrameUnexpected => availability("frame_unexpected", "the signer process said what was not asked", LOOK),
            Self::TextTooLong => availability("text_too_long", "the text does not fit into a frame to the signer", "report this: the appliance must not ask for it"),
        }
    }
}

/// One fault, as operators read it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{colon}{detail}; {next}", what = kind.facts().what, colon = if detail.is_empty() { "" } else { ": " }, next = kind.next_step())]
pub struct HsmFault {
    kind: FaultKind,
    detail: String,
}

impl HsmFault {
    /// A fault with what is known of it: a path, a label, the code. Never a secret.
    #[must_use]
    pub fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        let mut detail: String = detail.into();
        detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
        Self { kind, detail: detail.replace(char::is_control, " ") }
    }

    /// What happened.
    #[must_use]
    pub const fn fault(&self) -> FaultKind {
        self.kind
    }

    /// The metric label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind.label()
    }

    /// Who may re-arm after it.
    #[must_use]
    pub const fn class(&self) -> FaultClass {
        self.kind.class()
    }

    /// What is known of it beside its kind; may be empty.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_its_own_label_and_a_next_step() {
        let labels: BTreeSet<_> = FaultKind::ALL.into_iter().map(FaultKind::label).collect();
        assert_eq!(labels.len(), FaultKind::ALL.len());
        for kind in FaultKind::ALL {
            assert!(kind.label().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
            let shown = HsmFault::new(kind, "").to_string();
            assert!(shown.ends_with(kind.next_step()), "{shown}");
            assert!(!shown.ends_with('.'), "{shown}");
        }
    }

    #[test]
    fn what_a_wrong_or_foreign_hsm_does_is_for_operators() {
        use FaultKind::{KeyOther, PinIncorrect, PinLocked, SelfTestFailed, SerialOther, SignatureInvalid};
        for kind in [KeyOther, PinIncorrect, PinLocked, SelfTestFailed, SerialOther, SignatureInvalid] {
            assert_eq!(kind.class(), FaultClass::Integrity);
        }
    }

    #[test]
    fn what_a_sick_hsm_does_may_heal_by_itself() {
        use FaultKind::{Busy, DeadlineMissed, DeviceRemoved, HandleLost, SessionLost, SignerLost, Unmapped};
        for kind in [Busy, DeadlineMissed, DeviceRemoved, HandleLost, SessionLost, SignerLost, Unmapped] {
            assert_eq!(kind.class(), FaultClass::Availability);
        }
    }

    #[test]
    fn detail_is_cut_and_has_no_control_characters() {
        let fault =
            HsmFault::new(FaultKind::Unmapped, format!("a\u{1b}[31m{}", "\u{e4}".repeat(MAX_DETAIL_BYTES)));
        assert!(fault.detail().len() <= MAX_DETAIL_BYTES);
        assert!(!fault.detail().contains('\u{1b}'));
    }
}
