//! Slots as a module describes them, and which of them is ours.
//!
//! A slot is chosen by label and, when pinned, by serial number; never by its number, which changes when the HSM does.
//! This file asks no module.

use super::{FaultKind, HsmFault};

/// The model name that our simulator gives.
const SIMULATOR_MODEL: &str = "firmware-sim";
/// The manufacturer name that our simulator gives.
const SIMULATOR_MANUFACTURER: &str = "Assent";

/// One slot with an HSM (or a part of one) in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The module's number for it, good until the module is started again.
    pub(crate) number: u64,
    pub(crate) label: String,
    pub(crate) serial: String,
    pub(crate) manufacturer: String,
    pub(crate) model: String,
    /// It has a label and a security officer's PIN.
    pub(crate) initialised: bool,
    /// It has a user PIN.
    pub(crate) user_pin_set: bool,
    pub(crate) tries: Tries,
    /// It reports a failed self-test.
    pub(crate) failed: bool,
    /// It signs with Ed25519.
    pub(crate) signs: bool,
    /// It makes Ed25519 keys.
    pub(crate) makes_keys: bool,
}

/// What the slot tells of wrong user PINs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tries {
    /// None since the last right one.
    All,
    /// Some.
    Low,
    /// The next one locks.
    Last,
    /// It is locked.
    Locked,
}

impl Tries {
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Low => "low",
            Self::Last => "last",
            Self::Locked => "locked",
        }
    }
}

impl Slot {
    /// Whether it says that it is a simulator, by itself or through a module that `module_manufacturer` made.
    pub(crate) fn is_simulator(&self, module_manufacturer: &str) -> bool {
        self.model == SIMULATOR_MODEL
            || self.manufacturer == SIMULATOR_MANUFACTURER
            || module_manufacturer == SIMULATOR_MANUFACTURER
    }

    /// Refuses a slot that cannot sign.
    pub(crate) fn require_working(&self) -> Result<(), HsmFault> {
        if self.failed {
            return Err(HsmFault::new(FaultKind::SelfTestFailed, self.label.as_str()));
        }
        if !self.signs {
            return Err(HsmFault::new(FaultKind::MechanismAbsent, self.label.as_str()));
        }
        Ok(())
    }

    /// Refuses a login that could not succeed, or that would lock the PIN if it did not.
    pub(crate) fn require_tries(&self, last_try: bool) -> Result<(), HsmFault> {
        if !self.user_pin_set {
            return Err(HsmFault::new(FaultKind::PinNotSet, self.label.as_str()));
        }
        match self.tries {
            Tries::Locked => Err(HsmFault::new(FaultKind::PinLocked, "")),
            Tries::Last if !last_try => Err(HsmFault::new(FaultKind::PinFinalTry, "")),
            Tries::Last | Tries::Low | Tries::All => Ok(()),
        }
    }
}

/// The initialised slot of that label, and serial number if pinned.
pub(crate) fn choose(slots: &[Slot], label: &str, serial: Option<&str>) -> Result<Slot, HsmFault> {
    let labelled = || slots.iter().filter(|slot| slot.initialised && slot.label == label);
    let mut fitting = labelled().filter(|slot| serial.is_none_or(|serial| slot.serial == serial));
    match (fitting.next(), fitting.next()) {
        (Some(slot), None) => Ok(slot.clone()),
        (Some(_), Some(_)) => Err(HsmFault::new(FaultKind::SlotAmbiguous, format!("`{label}`"))),
        (None, _) => Err(labelled().next().map_or_else(
            || HsmFault::new(FaultKind::SlotAbsent, format!("`{label}`")),
            |other| {
                let pinned = serial.unwrap_or_default();
                HsmFault::new(FaultKind::SerialOther, format!("`{}`, pinned `{pinned}`", other.serial))
            },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(label: &str, serial: &str) -> Slot {
        Slot {
            number: 0,
            label: label.to_owned(),
            serial: serial.to_owned(),
            manufacturer: "SoftHSM project".to_owned(),
            model: "SoftHSM v2".to_owned(),
            initialised: true,
            user_pin_set: true,
            tries: Tries::All,
            failed: false,
            signs: true,
            makes_keys: true,
        }
    }

    fn fault(outcome: Result<Slot, HsmFault>) -> FaultKind {
        outcome.unwrap_err().fault()
    }

    #[test]
    fn a_slot_is_chosen_by_label_and_serial() {
        let slots = [slot("a", "1"), slot("b", "2"), slot("b", "3")];
        assert_eq!(choose(&slots, "a", None).unwrap().serial, "1");
        assert_eq!(choose(&slots, "b", Some("3")).unwrap().serial, "3");
        assert_eq!(fault(choose(&slots, "b", None)), FaultKind::SlotAmbiguous);
        assert_eq!(fault(choose(&slots, "c", None)), FaultKind::SlotAbsent);
        assert_eq!(fault(choose(&slots, "a", Some("9"))), FaultKind::SerialOther);
    }

    #[test]
    fn a_free_slot_is_not_chosen() {
        let free = Slot { initialised: false, ..slot("a", "1") };
        assert_eq!(fault(choose(&[free], "a", None)), FaultKind::SlotAbsent);
    }

    #[test]
    fn the_last_try_is_kept_unless_asked_for() {
        let last = Slot { tries: Tries::Last, ..slot("a", "1") };
        assert_eq!(last.require_tries(false).unwrap_err().fault(), FaultKind::PinFinalTry);
        assert!(last.require_tries(true).is_ok());
        let locked = Slot { tries: Tries::Locked, ..slot("a", "1") };
        assert_eq!(locked.require_tries(true).unwrap_err().fault(), FaultKind::PinLocked);
    }

    #[test]
    fn a_simulator_is_known_by_any_of_its_names() {
        let real = slot("a", "1");
        assert!(!real.is_simulator("SoftHSM"));
        assert!(real.is_simulator("Assent"));
        assert!(Slot { model: "firmware-sim".to_owned(), ..real }.is_simulator("Other"));
    }
}
