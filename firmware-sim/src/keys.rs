//! Keys: making an Ed25519 pair.
//!
//! Both halves are made in the slot, and a private key is always sensitive, whatever the template says: a simulator has no
//! other way to keep it than not to tell. Keys are neither imported, exported, wrapped nor derived.
//! (PKCS#11 2.40, section 5.13; curves, section 2.3.5.)

use cryptoki_sys::*;
use zeroize::Zeroizing;

use crate::attributes::{Content, Curve, Object, Seed};
use crate::failure::Failure;
use crate::general::Module;
use crate::objects::Place;
use crate::sessions::SessionHandle;
use crate::signing::Mechanism;
use crate::state::ObjectHandle;
use crate::templates::Template;

/// A new pair, and where each half goes.
struct Pair {
    public: (Object, Place),
    private: (Object, Place),
}

impl Module {
    /// `C_GenerateKeyPair`: the handles of the public and of the private key. Both halves of a stored pair lie in the slot, or
    /// none does.
    pub(crate) fn generate_key_pair(
        &self,
        session: SessionHandle,
        mechanism: Mechanism,
        public: Template,
        private: Template,
    ) -> Result<(ObjectHandle, ObjectHandle), Failure> {
        let mut state = self.state()?;
        state.session(session)?;
        if mechanism != Mechanism::KeyPairGeneration {
            return Err(Failure::MechanismInvalid);
        }
        let pair = pair(public, private)?;
        let handles = state.add_objects(session, vec![pair.public, pair.private])?;
        match handles.as_slice() {
            [public, private] => Ok((*public, *private)),
            _ => Err(Failure::GeneralError),
        }
    }
}

fn pair(mut public: Template, mut private: Template) -> Result<Pair, Failure> {
    let parameters = public.take(CKA_EC_PARAMS).ok_or(Failure::TemplateIncomplete)?;
    let curve = Curve::from_parameters(&parameters)?;
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| Failure::DeviceError)?;
    let seed = Seed::new(&bytes);
    let point = seed.key().verifying_key().to_bytes();

    take_common(&mut public, CKO_PUBLIC_KEY)?;
    public.take_denied(&[CKA_ENCRYPT, CKA_WRAP, CKA_VERIFY_RECOVER])?;
    let verify = public.take_flag(CKA_VERIFY)?.unwrap_or(true);
    let derive = public.take_flag(CKA_DERIVE)?.unwrap_or(false);
    let content = Content::PublicKey { id: public.take_name(CKA_ID)?, verify, derive, curve, point };
    let public = finish(public, content, false)?;

    take_common(&mut private, CKO_PRIVATE_KEY)?;
    private.take_fixed(CKA_EC_PARAMS, &parameters)?;
    private.take_denied(&[CKA_DECRYPT, CKA_UNWRAP, CKA_SIGN_RECOVER])?;
    private.take_denied(&[CKA_WRAP_WITH_TRUSTED, CKA_ALWAYS_AUTHENTICATE])?;
    // Taken and not heeded: false would ask for less protection than there is.
    private.take_flag(CKA_SENSITIVE)?;
    let extractable = private.take_flag(CKA_EXTRACTABLE)?.unwrap_or(false);
    let content = Content::PrivateKey {
        id: private.take_name(CKA_ID)?,
        sign: private.take_flag(CKA_SIGN)?.unwrap_or(true),
        derive: private.take_flag(CKA_DERIVE)?.unwrap_or(false),
        extractable,
        never_extractable: !extractable,
        curve,
        seed,
    };
    Ok(Pair { public, private: finish(private, content, true)? })
}

/// What both halves may be told, in one way only.
fn take_common(template: &mut Template, class: CK_OBJECT_CLASS) -> Result<(), Failure> {
    template.take_fixed(CKA_CLASS, &class.to_ne_bytes())?;
    template.take_fixed(CKA_KEY_TYPE, &CKK_EC_EDWARDS.to_ne_bytes())?;
    template.take_fixed(CKA_ALLOWED_MECHANISMS, &CKM_EDDSA.to_ne_bytes())?;
    template.take_fixed(CKA_SUBJECT, &[])?;
    template.take_fixed(CKA_START_DATE, &[])?;
    template.take_fixed(CKA_END_DATE, &[])
}

fn finish(mut template: Template, content: Content, private: bool) -> Result<(Object, Place), Failure> {
    let place = Place::of(&mut template)?;
    let object = Object::new(&mut template, content, private)?;
    template.finish()?;
    Ok((object, place))
}
