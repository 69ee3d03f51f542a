//! Data objects: bytes that a slot keeps for us under a label.
//!
//! The one rule: what is there goes only when its successor is there, so that whoever is killed leaves one that can be read.
//! An HSM need not keep such objects. That it does not is an answer, and no fault; what says that the HSM itself is away is
//! one. What the bytes mean is not known here. (PKCS#11 3.0 section 4.5.)

use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::codes::{answered, fault, kind};
use super::{Login, bytes_of};
use crate::hsm::{FaultKind, HsmFault};
use crate::limits::{MAX_DATA_BYTES, MAX_DATA_OBJECTS};

/// `CKA_APPLICATION` of every object of ours.
const APPLICATION: &[u8] = b"assent";

/// All objects under one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataObjects {
    /// How many there are.
    pub count: usize,
    /// What they hold: the first [`MAX_DATA_OBJECTS`] of them, [`MAX_DATA_BYTES`] of each.
    pub values: Vec<Vec<u8>>,
}

/// Why nothing was read or kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DataError {
    /// The HSM does not do that. This is what it said.
    #[error("the HSM keeps no data objects: {0}")]
    Refused(String),
    /// The HSM is away, or broken.
    #[error(transparent)]
    Fault(#[from] HsmFault),
}

impl From<Error> for DataError {
    fn from(error: Error) -> Self {
        let lost = matches!(&error, Error::Pkcs11(code, _) if says_that_it_is_away(*code));
        if lost { Self::Fault(fault(error)) } else { Self::Refused(answered(&error)) }
    }
}

/// Whoever only reads may ask again: an HSM that is busy has not said that it keeps nothing.
fn unread(error: Error) -> DataError {
    let is_busy = |code: RvError| {
        matches!(kind(code), FaultKind::Busy | FaultKind::HandleLost) || code == RvError::HostMemory
    };
    if matches!(&error, Error::Pkcs11(code, _) if is_busy(*code)) {
        return DataError::Fault(fault(error));
    }
    error.into()
}

/// Of every other code the next signature will show whether the HSM is well.
const fn says_that_it_is_away(code: RvError) -> bool {
    matches!(
        kind(code),
        FaultKind::DeviceRemoved
            | FaultKind::DeviceError
            | FaultKind::SessionLost
            | FaultKind::LoginLost
            | FaultKind::SessionPoisoned
            | FaultKind::SelfTestFailed
    )
}

impl Login {
    /// What is kept under this label.
    pub(crate) fn data(&self, label: &str) -> Result<DataObjects, DataError> {
        let found = labelled(&self.session, label).map_err(unread)?;
        let count = found.len();
        let mut values = Vec::new();
        for handle in found.into_iter().take(MAX_DATA_OBJECTS) {
            let told = self.session.get_attributes(handle, &[AttributeType::Value]).map_err(unread)?;
            let value = told.iter().find_map(|attribute| bytes_of(attribute, AttributeType::Value));
            let mut value = value.unwrap_or_default();
            value.truncate(MAX_DATA_BYTES);
            values.push(value);
        }
        Ok(DataObjects { count, values })
    }

    /// Keeps these bytes under this label, and nothing else.
    pub(crate) fn keep_data(&self, label: &str, value: &[u8]) -> Result<(), DataError> {
        let session = self.pkcs11.open_rw_session(self.slot)?;
        let before = labelled(&session, label)?;
        session.create_object(&[
            Attribute::Class(ObjectClass::DATA),
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Label(label.as_bytes().to_vec()),
            Attribute::Application(APPLICATION.to_vec()),
            Attribute::Value(value.to_vec()),
        ])?;
        remove(&session, before)
    }

    /// Keeps nothing under this label.
    pub(crate) fn remove_data(&self, label: &str) -> Result<(), DataError> {
        let session = self.pkcs11.open_rw_session(self.slot)?;
        let before = labelled(&session, label)?;
        remove(&session, before)
    }
}

/// Private ones only: whoever can open a session, without any PIN, can make public ones under our label.
fn labelled(session: &Session, label: &str) -> Result<Vec<ObjectHandle>, Error> {
    session.find_objects(&[
        Attribute::Class(ObjectClass::DATA),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Label(label.as_bytes().to_vec()),
    ])
}

fn remove(session: &Session, objects: Vec<ObjectHandle>) -> Result<(), DataError> {
    Ok(objects.into_iter().try_for_each(|object| session.destroy_object(object))?)
}
