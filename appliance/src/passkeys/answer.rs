//! A browser's answer, as far as it must be read before it is known what it answers: which credential, which challenge.
//!
//! Nothing here verifies anything. What is read serves to find the ceremony and the key that the answer is then held against.
//! (WebAuthn Level 3, `PublicKeyCredential.toJSON`.)

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::Deserialize;

use super::IdentityError;
use crate::limits::MAX_PASSKEY_ANSWER_BYTES;
use crate::operators::Assertion;

/// An answer to a request for an assertion; other members are left to whoever verifies it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    raw_id: String,
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    authenticator_data: String,
    signature: String,
}

#[derive(Deserialize)]
struct ClientData {
    challenge: String,
}

/// An answer, decoded.
pub(super) struct Decoded {
    /// The credential that it says it is by.
    pub(super) credential: Vec<u8>,
    /// The challenge that it says it is for.
    pub(super) challenge: Vec<u8>,
    /// The assertion.
    pub(super) assertion: Assertion,
}

/// Reads an answer.
pub(super) fn decode(text: &str) -> Result<Decoded, IdentityError> {
    let refused = |what: &str| IdentityError::Answer(format!("{what} is missing or not understood"));
    if text.len() > MAX_PASSKEY_ANSWER_BYTES {
        return Err(too_long());
    }
    let Answer { raw_id, response } = serde_json::from_str(text).map_err(|_| refused("an assertion"))?;
    let bytes = |text: &str, what: &str| Base64UrlUnpadded::decode_vec(text).map_err(|_| refused(what));
    let assertion = Assertion {
        authenticator_data: bytes(&response.authenticator_data, "the authenticator's data")?,
        client_data: bytes(&response.client_data, "the client's data")?,
        signature: bytes(&response.signature, "the signature")?,
    };
    let ClientData { challenge } =
        serde_json::from_slice(&assertion.client_data).map_err(|_| refused("the client's data"))?;
    let challenge = bytes(&challenge, "the challenge")?;
    Ok(Decoded { credential: bytes(&raw_id, "the credential's name")?, challenge, assertion })
}

/// That an answer is longer than any browser's.
pub(super) fn too_long() -> IdentityError {
    IdentityError::Answer(format!("it is longer than {MAX_PASSKEY_ANSWER_BYTES} bytes"))
}
