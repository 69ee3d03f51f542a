//! The PKCS#11 module, loaded: the only folder that names `cryptoki`.
//!
//! Every call may hang and every answer may be wrong. A login is tried once. After any error the session is not used again:
//! the process that loaded the module ends. Only pure Ed25519 is asked for, because some modules silently ignore the
//! parameters of the other schemes. (PKCS#11 3.0, sections 2.3.14 and 5.)

mod codes;
mod data;

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::Error;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot as SlotNumber, TokenInfo};
use cryptoki::types::{AuthPin, RawAuthPin};

use super::key::Key;
use super::slot::{Slot, Tries, choose};
use super::{FaultKind, HsmFault, Pin, point};
use crate::log::hex::hex;
use codes::{answered, fault, is_about_parameters};

pub(crate) use data::DataError;
pub use data::DataObjects;

/// `edwards25519` as a DER PrintableString: what most modules take.
const CURVE_NAME: &[u8] = b"\x13\x0cedwards25519";
/// The object identifier 1.3.101.112 in DER: what the others take.
const CURVE_OID: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];

/// A module that is loaded and initialised.
#[derive(Debug)]
pub(crate) struct Module {
    pkcs11: Pkcs11,
    about: About,
}

/// What a module says of itself.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) manufacturer: String,
    pub(crate) description: String,
    pub(crate) version: String,
}

impl Module {
    /// Loads and initialises the module at `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, HsmFault> {
        let shown = path.display();
        if !path.is_file() {
            return Err(HsmFault::new(FaultKind::ModuleMissing, format!("`{shown}`")));
        }
        let rejected = |error: Error| HsmFault::new(FaultKind::ModuleRejected, format!("`{shown}`: {error}"));
        let failed = |error: Error| HsmFault::new(FaultKind::ModuleFailed, answered(&error));
        let pkcs11 = Pkcs11::new(path).map_err(rejected)?;
        pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(failed)?;
        let info = pkcs11.get_library_info().map_err(failed)?;
        let about = About {
            manufacturer: info.manufacturer_id().to_owned(),
            description: info.library_description().to_owned(),
            version: info.library_version().to_string(),
        };
        Ok(Self { pkcs11, about })
    }

    pub(crate) const fn about(&self) -> &About {
        &self.about
    }

    /// All slots that hold something; one that vanishes while it is asked is left out.
    pub(crate) fn slots(&self) -> Result<Vec<Slot>, HsmFault> {
        let numbers = self.pkcs11.get_slots_with_token().map_err(fault)?;
        let described = numbers.into_iter().map(|number| match self.describe(number) {
            Err(gone) if gone.fault() == FaultKind::DeviceRemoved => None,
            outcome => Some(outcome),
        });
        described.flatten().collect()
    }

    /// The slot of that label, and serial number if pinned. What another one cannot tell of itself is no fault of this one.
    pub(crate) fn slot(&self, label: &str, serial: Option<&str>) -> Result<Slot, HsmFault> {
        let numbers = self.pkcs11.get_slots_with_token().map_err(fault)?;
        let (mut slots, mut silent) = (Vec::new(), None);
        for described in numbers.into_iter().map(|number| self.describe(number)) {
            match described {
                Ok(slot) => slots.push(slot),
                Err(gone) if gone.fault() == FaultKind::DeviceRemoved => {}
                Err(fault) => silent = Some(fault),
            }
        }
        // Where none fits, it may be the one that is silent.
        choose(&slots, label, serial).map_err(|absent| silent.unwrap_or(absent))
    }

    /// Gives a free slot a label and its PINs. No slot that has a label is touched.
    pub(crate) fn initialise(&self, label: &str, so_pin: &Pin, user_pin: &Pin) -> Result<Slot, HsmFault> {
        let slots = self.slots()?;
        if slots.iter().any(|slot| slot.initialised && slot.label == label) {
            return Err(HsmFault::new(FaultKind::SlotAmbiguous, format!("`{label}` is in use")));
        }
        let free = slots.iter().find(|slot| !slot.initialised);
        let free = free.ok_or_else(|| HsmFault::new(FaultKind::SlotAbsent, "none is free to initialise"))?;
        // A slot that has a label and no user PIN is no use to anybody, so both must fit before either is set.
        let token = self.pkcs11.get_token_info(slot_number(free)?).map_err(fault)?;
        fits(so_pin, "security officer's PIN", &token)?;
        fits(user_pin, "user PIN", &token)?;
        let (so_pin, user_pin) = (text_pin(so_pin)?, text_pin(user_pin)?);
        self.pkcs11.init_token(slot_number(free)?, &so_pin, label).map_err(fault)?;
        let made = self.slot(label, None)?;
        let session = self.pkcs11.open_rw_session(slot_number(&made)?).map_err(fault)?;
        session.login(UserType::So, Some(&so_pin)).map_err(fault)?;
        session.init_pin(&user_pin).map_err(fault)?;
        session.logout().map_err(fault)?;
        drop(session);
        self.slot(label, None)
    }

    /// Logs in as the slot's user, with one attempt; the caller has looked at [`Slot::require_tries`].
    pub(crate) fn login(&self, slot: &Slot, pin: &[u8], access: Access) -> Result<Login, HsmFault> {
        let number = slot_number(slot)?;
        let session = match access {
            Access::Sign => self.pkcs11.open_ro_session(number),
            Access::MakeKeys => self.pkcs11.open_rw_session(number),
        };
        let session = session.map_err(fault)?;
        session.login_with_raw(UserType::User, &RawAuthPin::new(Box::new(pin.to_vec()))).map_err(fault)?;
        Ok(Login { session, pkcs11: self.pkcs11.clone(), slot: number })
    }

    fn describe(&self, number: SlotNumber) -> Result<Slot, HsmFault> {
        let token = self.pkcs11.get_token_info(number).map_err(fault)?;
        let mechanisms = match self.pkcs11.get_mechanism_list(number) {
            // Some modules tell nothing of a slot that is free.
            Err(Error::Pkcs11(..)) if !token.token_initialized() => Vec::new(),
            listed => listed.map_err(fault)?,
        };
        Ok(Slot {
            number: number.id(),
            label: token.label().to_owned(),
            serial: token.serial_number().to_owned(),
            manufacturer: token.manufacturer_id().to_owned(),
            model: token.model().to_owned(),
            initialised: token.token_initialized(),
            user_pin_set: token.user_pin_initialized(),
            tries: tries(&token),
            failed: token.error_state(),
            signs: mechanisms.contains(&MechanismType::EDDSA),
            makes_keys: mechanisms.contains(&MechanismType::ECC_EDWARDS_KEY_PAIR_GEN),
        })
    }
}

/// What a session is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Find a key and sign: nothing in the HSM can change.
    Sign,
    /// Make keys.
    MakeKeys,
}

/// A session whose user is logged in.
#[derive(Debug)]
pub(crate) struct Login {
    session: Session,
    /// To open a session that may write, for as long as something is written.
    pkcs11: Pkcs11,
    slot: SlotNumber,
}

/// A private key's handle, good for the login that found it.
#[derive(Debug)]
pub(crate) struct Handle(ObjectHandle);

impl Login {
    /// All private keys.
    pub(crate) fn keys(&self) -> Result<Vec<Key>, HsmFault> {
        let found =
            self.session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).map_err(fault)?;
        found.into_iter().map(|handle| self.describe(handle)).collect()
    }

    /// The one private key with that id, whatever it lacks.
    pub(crate) fn key(&self, id: &[u8]) -> Result<(Handle, Key), HsmFault> {
        let found = self.with_id(ObjectClass::PRIVATE_KEY, id)?;
        let shown = || format!("id {}", hex(id));
        match found.as_slice() {
            [] => Err(HsmFault::new(FaultKind::KeyAbsent, shown())),
            [handle] => Ok((Handle(*handle), self.describe(*handle)?)),
            _ => Err(HsmFault::new(FaultKind::KeyAmbiguous, shown())),
        }
    }

    /// Makes an Ed25519 key that cannot leave. An id that is in use is refused.
    pub(crate) fn generate(&self, id: &[u8], label: &str) -> Result<Key, HsmFault> {
        for class in [ObjectClass::PRIVATE_KEY, ObjectClass::PUBLIC_KEY] {
            if !self.with_id(class, id)?.is_empty() {
                return Err(HsmFault::new(FaultKind::KeyPresent, format!("id {}", hex(id))));
            }
        }
        let made = match self.generate_on(CURVE_NAME, id, label) {
            Err(error) if is_about_parameters(&error) => self.generate_on(CURVE_OID, id, label),
            outcome => outcome,
        };
        let (_, private) = made.map_err(fault)?;
        self.describe(private)
    }

    /// Signs `text` with pure Ed25519. The caller verifies it.
    pub(crate) fn sign(&self, key: &Handle, text: &[u8]) -> Result<[u8; 64], HsmFault> {
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        let signature = self.session.sign(&mechanism, key.0, text).map_err(fault)?;
        let bytes = signature.len();
        signature
            .try_into()
            .map_err(|_| HsmFault::new(FaultKind::SignatureMalformed, format!("{bytes} bytes")))
    }

    fn generate_on(
        &self,
        curve: &[u8],
        id: &[u8],
        label: &str,
    ) -> Result<(ObjectHandle, ObjectHandle), Error> {
        let named = [Attribute::Id(id.to_vec()), Attribute::Label(label.as_bytes().to_vec())];
        let mut public = named.to_vec();
        public.extend([
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(curve.to_vec()),
        ]);
        let mut private = named.to_vec();
        private.extend([
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
        ]);
        self.session.generate_key_pair(&Mechanism::EccEdwardsKeyPairGen, &public, &private)
    }

    fn with_id(&self, class: ObjectClass, id: &[u8]) -> Result<Vec<ObjectHandle>, HsmFault> {
        let wanted = [Attribute::Class(class), Attribute::Id(id.to_vec())];
        self.session.find_objects(&wanted).map_err(fault)
    }

    fn describe(&self, handle: ObjectHandle) -> Result<Key, HsmFault> {
        let wanted = [
            AttributeType::Id,
            AttributeType::Label,
            AttributeType::KeyType,
            AttributeType::Sensitive,
            AttributeType::AlwaysSensitive,
            AttributeType::Extractable,
            AttributeType::NeverExtractable,
            AttributeType::Local,
        ];
        let told = self.session.get_attributes(handle, &wanted).map_err(fault)?;
        let says = |attribute: Attribute| told.contains(&attribute);
        let id = told.iter().find_map(|attribute| bytes_of(attribute, AttributeType::Id)).unwrap_or_default();
        let label = told.iter().find_map(|attribute| bytes_of(attribute, AttributeType::Label));
        let public_key = self.public_key(handle, &id)?;
        Ok(Key {
            label: String::from_utf8_lossy(&label.unwrap_or_default()).into_owned(),
            is_edwards: says(Attribute::KeyType(KeyType::EC_EDWARDS)),
            sensitive: says(Attribute::Sensitive(true)) && says(Attribute::AlwaysSensitive(true)),
            never_extractable: says(Attribute::Extractable(false)) && says(Attribute::NeverExtractable(true)),
            local: says(Attribute::Local(true)),
            public_key,
            id,
        })
    }

    /// From the one public key of the same id; where there is none, some modules tell it of the private key.
    fn public_key(&self, private: ObjectHandle, id: &[u8]) -> Result<Option<[u8; 32]>, HsmFault> {
        let teller = match self.with_id(ObjectClass::PUBLIC_KEY, id)?.as_slice() {
            [] => private,
            [public] => *public,
            _ => return Ok(None),
        };
        let told = self.session.get_attributes(teller, &[AttributeType::EcPoint]).map_err(fault)?;
        let point = told.iter().find_map(|attribute| bytes_of(attribute, AttributeType::EcPoint));
        Ok(point.and_then(|point| point::public_key(&point)))
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "four attributes that hold bytes, out of eighty")]
fn bytes_of(attribute: &Attribute, wanted: AttributeType) -> Option<Vec<u8>> {
    if attribute.attribute_type() != wanted {
        return None;
    }
    match attribute {
        Attribute::Id(bytes)
        | Attribute::Label(bytes)
        | Attribute::EcPoint(bytes)
        | Attribute::Value(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

fn tries(token: &TokenInfo) -> Tries {
    match (token.user_pin_locked(), token.user_pin_final_try(), token.user_pin_count_low()) {
        (true, _, _) => Tries::Locked,
        (_, true, _) => Tries::Last,
        (_, _, true) => Tries::Low,
        (false, false, false) => Tries::All,
    }
}

fn slot_number(slot: &Slot) -> Result<SlotNumber, HsmFault> {
    SlotNumber::try_from(slot.number).map_err(fault)
}

/// Whether the slot takes a PIN of that length; a slot that does not tell takes any.
fn fits(pin: &Pin, whose: &str, token: &TokenInfo) -> Result<(), HsmFault> {
    let (least, most) = (token.min_pin_length(), token.max_pin_length());
    let length = pin.bytes().len();
    if most == 0 || most < least || (least..=most).contains(&length) {
        return Ok(());
    }
    let detail = format!("the {whose} has {length} bytes, and the slot takes {least} to {most}");
    Err(HsmFault::new(FaultKind::PinUnfit, detail))
}

fn text_pin(pin: &Pin) -> Result<AuthPin, HsmFault> {
    let not_text = |_| HsmFault::new(FaultKind::PinNotSet, "a new PIN must be UTF-8");
    std::str::from_utf8(pin.bytes()).map(AuthPin::from).map_err(not_text)
}
