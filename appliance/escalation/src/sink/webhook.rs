//! Standard Webhooks, version 1.0.0: what is sent is signed, so that a receiver knows whose it is and that it is fresh.
//!
//! Signed is `ID.TIMESTAMP.BODY` ("Signature scheme"), with HMAC-SHA256 under `v1` and with Ed25519 under `v1a`; every secret
//! signs, so that a receiver can be moved from one to the next. The id stays through attempts, the timestamp is the attempt's.

use std::path::Path;

use assent_proto::number::Timestamp;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64ct::{Base64, Encoding as _};
use zeroize::Zeroizing;

use crate::http::Request;
use crate::limits::HMAC_SECRET_BYTES;
use crate::message::Message;
use crate::secret::{Secret, SecretError};

const SYMMETRIC: &str = "lines of `whsec_` and 24 to 64 bytes in base64";
const ASYMMETRIC: &str = "lines of `whsk_` and an Ed25519 secret key of 32 or 64 bytes in base64";
/// Bytes of the secret half of an Ed25519 key.
const SEED_BYTES: usize = 32;

/// A receiver of webhooks.
#[derive(Debug)]
pub(super) struct Webhook {
    url: String,
    symmetric: Vec<hmac::Key>,
    asymmetric: Vec<Ed25519KeyPair>,
}

impl Webhook {
    /// Reads the secrets.
    pub(super) fn new(
        url: &str,
        secret_file: Option<&Path>,
        key_file: Option<&Path>,
    ) -> Result<Self, SecretError> {
        let symmetric = secret_file.map_or(Ok(Vec::new()), |path| keys(path, SYMMETRIC, symmetric))?;
        let asymmetric = key_file.map_or(Ok(Vec::new()), |path| keys(path, ASYMMETRIC, asymmetric))?;
        Ok(Self { url: url.to_owned(), symmetric, asymmetric })
    }

    /// The message as a request.
    pub(super) fn request(&self, message: &Message, now: Timestamp) -> Request {
        let body = message.json();
        let timestamp = (now.0 / 1000).to_string();
        let headers = vec![
            ("webhook-id", message.id().to_owned()),
            ("webhook-timestamp", timestamp.clone()),
            ("webhook-signature", self.signatures(message.id(), &timestamp, &body)),
        ];
        Request { url: self.url.clone(), headers, body, hidden: Vec::new() }
    }

    /// The signatures of all secrets, as the header has them.
    fn signatures(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        let symmetric = self.symmetric.iter().map(|key| {
            let tag = hmac::sign(key, &signed);
            format!("v1,{}", Base64::encode_string(tag.as_ref()))
        });
        let asymmetric = self.asymmetric.iter().map(|key| {
            let signature = key.sign(&signed);
            format!("v1a,{}", Base64::encode_string(signature.as_ref()))
        });
        symmetric.chain(asymmetric).collect::<Vec<_>>().join(" ")
    }
}

fn keys<T>(
    path: &Path,
    expected: &'static str,
    key: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, SecretError> {
    let lines = Secret::lines(path, expected)?;
    let keys: Option<Vec<T>> = lines.iter().map(|line| key(line.reveal())).collect();
    keys.ok_or_else(|| SecretError::Malformed { path: path.to_owned(), expected })
}

fn symmetric(text: &str) -> Option<hmac::Key> {
    let bytes = Zeroizing::new(Base64::decode_vec(text.strip_prefix("whsec_")?).ok()?);
    let fits = HMAC_SECRET_BYTES.contains(&bytes.len());
    fits.then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn asymmetric(text: &str) -> Option<Ed25519KeyPair> {
    let bytes = Zeroizing::new(Base64::decode_vec(text.strip_prefix("whsk_")?).ok()?);
    match bytes.split_at_checked(SEED_BYTES)? {
        (seed, []) => Ed25519KeyPair::from_seed_unchecked(seed).ok(),
        (seed, public) => Ed25519KeyPair::from_seed_and_public_key(seed, public).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::begun;
    use crate::secret::tests::file;

    /// The vectors of the specification's own libraries.
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const HMAC_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const HMAC_SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const ED25519_SECRET: &str = "whsk_VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=";
    const ED25519_SIGNATURE: &str =
        "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==";

    fn webhook(hmac: Option<&str>, ed25519: Option<&str>) -> Result<Webhook, SecretError> {
        let folder = tempfile::tempdir().unwrap();
        let hmac = hmac.map(|text| file(folder.path(), "hmac", text));
        let ed25519 = ed25519.map(|text| file(folder.path(), "ed25519", text));
        Webhook::new("https://example.org/hook", hmac.as_deref(), ed25519.as_deref())
    }

    #[test]
    fn signatures_are_those_of_the_specification() {
        let signed = |hmac, ed25519| webhook(hmac, ed25519).unwrap().signatures(ID, TIMESTAMP, BODY);
        assert_eq!(signed(Some(HMAC_SECRET), None), HMAC_SIGNATURE);
        assert_eq!(signed(None, Some(ED25519_SECRET)), ED25519_SIGNATURE);
        let both = format!("{HMAC_SIGNATURE} {ED25519_SIGNATURE}");
        assert_eq!(signed(Some(HMAC_SECRET), Some(ED25519_SECRET)), both);
        let rotated = format!("{HMAC_SECRET}\n{HMAC_SECRET}\n");
        assert_eq!(signed(Some(&rotated), None), format!("{HMAC_SIGNATURE} {HMAC_SIGNATURE}"));
    }

    #[test]
    fn a_request_has_the_three_headers_and_signs_its_body() {
        let hook = webhook(Some(HMAC_SECRET), None).unwrap();
        let request = hook.request(&begun(), Timestamp(1_614_265_330_999));
        assert_eq!(request.url, "https://example.org/hook");
        assert_eq!(request.body, begun().json());
        let signature = hook.signatures(begun().id(), "1614265330", &request.body);
        assert_eq!(
            request.headers,
            [
                ("webhook-id", begun().id().to_owned()),
                ("webhook-timestamp", "1614265330".to_owned()),
                ("webhook-signature", signature),
            ]
        );
    }

    #[test]
    fn what_is_no_secret_of_the_scheme_is_refused() {
        let short = format!("whsec_{}", Base64::encode_string(&[1; 23]));
        let long = format!("whsec_{}", Base64::encode_string(&[1; 65]));
        for bad in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", ED25519_SECRET, &short, &long] {
            let error = webhook(Some(bad), None).unwrap_err().to_string();
            assert!(error.contains("`whsec_`") && !error.contains(bad), "{error}");
        }
        let wrong_pair = format!("whsk_{}", Base64::encode_string(&[1; 64]));
        for bad in [HMAC_SECRET, "whsk_", "whsk_AAAA", &wrong_pair] {
            assert!(webhook(None, Some(bad)).is_err(), "{bad}");
        }
    }
}
