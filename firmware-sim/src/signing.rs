//! Signing and verifying, in one part, with pure Ed25519.
//!
//! A parameter that asks for another variant is refused, never ignored: a caller that gets a signature got the one it asked for.
//! Signing reads no disk, and holds the module's mutex only to take up the key, so that sessions sign side by side.
//! (PKCS#11 2.40, sections 5.11 and 5.12; curves, section 2.3.14.)

use std::sync::Arc;

use cryptoki_sys::*;
use ed25519_dalek::{Signature, Signer as _};

use crate::failure::Failure;
use crate::general::Module;
use crate::limits::MAX_MESSAGE_BYTES;
use crate::sessions::SessionHandle;
use crate::state::ObjectHandle;

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = ed25519_dalek::SIGNATURE_LENGTH;

/// A mechanism that the simulator has, with its parameter checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    KeyPairGeneration,
    PureEdDsa,
}

/// A mechanism's parameter as the caller gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    None,
    /// As long as `CK_EDDSA_PARAMS`.
    EdDsa {
        prehash: bool,
        context_bytes: CK_ULONG,
    },
    Other,
}

impl Mechanism {
    /// The mechanism, when we have it and can do it as `parameter` asks.
    pub(crate) fn new(kind: CK_MECHANISM_TYPE, parameter: Parameter) -> Result<Self, Failure> {
        match (kind, parameter) {
            (CKM_EC_EDWARDS_KEY_PAIR_GEN, Parameter::None) => Ok(Self::KeyPairGeneration),
            (CKM_EDDSA, Parameter::None | Parameter::EdDsa { prehash: false, context_bytes: 0 }) => {
                Ok(Self::PureEdDsa)
            }
            (CKM_EC_EDWARDS_KEY_PAIR_GEN | CKM_EDDSA, _) => Err(Failure::MechanismParameterInvalid),
            _ => Err(Failure::MechanismInvalid),
        }
    }
}

impl Module {
    /// `C_SignInit`.
    pub(crate) fn sign_init(
        &self,
        session: SessionHandle,
        mechanism: Mechanism,
        key: ObjectHandle,
    ) -> Result<(), Failure> {
        let mut state = self.state()?;
        if state.session(session)?.sign.is_some() {
            return Err(Failure::OperationActive);
        }
        if mechanism != Mechanism::PureEdDsa {
            return Err(Failure::MechanismInvalid);
        }
        let (object, _) = state.object(session, key).map_err(as_key)?;
        let key = Arc::clone(object.content.signing_key()?);
        state.session_mut(session)?.sign = Some(key);
        Ok(())
    }

    /// Whether a signature is due, which is all that a caller asking for its length needs; it stays due.
    pub(crate) fn sign_pending(&self, session: SessionHandle) -> Result<(), Failure> {
        let state = self.state()?;
        state.session(session)?.sign.as_ref().map(drop).ok_or(Failure::OperationNotInitialized)
    }

    /// `C_Sign`: the signature, and the end of the operation, also when it fails.
    pub(crate) fn sign(
        &self,
        session: SessionHandle,
        message: &[u8],
    ) -> Result<[u8; SIGNATURE_BYTES], Failure> {
        let due = self.state()?.session_mut(session)?.sign.take();
        let key = due.ok_or(Failure::OperationNotInitialized)?;
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(Failure::DataLengthRange);
        }
        Ok(key.sign(message).to_bytes())
    }

    /// `C_VerifyInit`.
    pub(crate) fn verify_init(
        &self,
        session: SessionHandle,
        mechanism: Mechanism,
        key: ObjectHandle,
    ) -> Result<(), Failure> {
        let mut state = self.state()?;
        if state.session(session)?.verify.is_some() {
            return Err(Failure::OperationActive);
        }
        if mechanism != Mechanism::PureEdDsa {
            return Err(Failure::MechanismInvalid);
        }
        let (object, _) = state.object(session, key).map_err(as_key)?;
        let key = object.content.verifying_key()?;
        state.session_mut(session)?.verify = Some(key);
        Ok(())
    }

    /// `C_Verify`: strictly, as the appliance does; the end of the operation.
    pub(crate) fn verify(
        &self,
        session: SessionHandle,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Failure> {
        let due = self.state()?.session_mut(session)?.verify.take();
        let key = due.ok_or(Failure::OperationNotInitialized)?;
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(Failure::DataLengthRange);
        }
        let signature = signature.try_into().map_err(|_| Failure::SignatureLengthRange)?;
        let signature = Signature::from_bytes(signature);
        key.verify_strict(message, &signature).map_err(|_| Failure::SignatureInvalid)
    }
}

/// An object that is not there is, to who wants to sign with it, a key that is not there.
fn as_key(failure: Failure) -> Failure {
    if failure == Failure::ObjectHandleInvalid { Failure::KeyHandleInvalid } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pure_variant_without_context_is_done() {
        let pure = Parameter::EdDsa { prehash: false, context_bytes: 0 };
        assert_eq!(Mechanism::new(CKM_EDDSA, Parameter::None), Ok(Mechanism::PureEdDsa));
        assert_eq!(Mechanism::new(CKM_EDDSA, pure), Ok(Mechanism::PureEdDsa));
        for refused in [
            Parameter::EdDsa { prehash: true, context_bytes: 0 },
            Parameter::EdDsa { prehash: false, context_bytes: 1 },
            Parameter::Other,
        ] {
            assert_eq!(Mechanism::new(CKM_EDDSA, refused), Err(Failure::MechanismParameterInvalid));
        }
    }
}
