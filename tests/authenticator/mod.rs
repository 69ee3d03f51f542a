//! A software authenticator with a browser in front of it: answers WebAuthn's options in JSON, as `navigator.credentials` and
//! `toJSON()` would.
//!
//! It is no fake of ours: it stands where a person's key and browser stand. What it says of itself can be set, so that a test
//! may lie as a hostile page, a cloned key or a careless person would; nothing is checked here that a browser would refuse.

#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses a part of it")]

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};

/// Somebody touched it.
pub(crate) const PRESENT: u8 = 0x01;
/// And showed who they are.
pub(crate) const VERIFIED: u8 = 0x04;
/// Data of a new credential stand behind the counter.
const ATTESTED: u8 = 0x40;

/// An authenticator that holds one credential.
#[derive(Debug)]
pub(crate) struct Authenticator {
    pair: EcdsaKeyPair,
    /// The credential's name.
    pub(crate) id: Vec<u8>,
    /// Of the page that the browser shows.
    pub(crate) origin: String,
    /// The relying party that it works for; that of the options where there is none.
    pub(crate) relying_party: Option<String>,
    /// What it says of whoever touches it.
    pub(crate) flags: u8,
    /// How often it has signed.
    pub(crate) counter: u32,
    /// Whether it counts.
    pub(crate) counts: bool,
    /// What the browser adds behind the origin.
    pub(crate) client_data_rest: &'static str,
    user: Option<String>,
}

/// What a browser gives for a challenge: authenticator data, client data, signature.
pub(crate) type Answer = (Vec<u8>, Vec<u8>, Vec<u8>);

impl Authenticator {
    /// A new one, in a browser that shows a page of this origin.
    pub(crate) fn new(origin: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key pair");
        let id = digest(&SHA256, pair.public_key().as_ref()).as_ref()[..16].to_vec();
        Self {
            pair,
            id,
            origin: origin.to_owned(),
            relying_party: None,
            flags: PRESENT | VERIFIED,
            counter: 0,
            counts: true,
            client_data_rest: ",\"crossOrigin\":false}",
            user: None,
        }
    }

    /// The public key: an uncompressed point.
    pub(crate) fn point(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Answers a challenge of a relying party.
    pub(crate) fn assert(&mut self, relying_party: &str, challenge: &[u8]) -> Answer {
        let client_data = self.client_data("webauthn.get", &encode(challenge));
        let data = self.data(relying_party, self.flags);
        let signed = [data.as_slice(), digest(&SHA256, &client_data).as_ref()].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &signed).expect("a signature");
        (data, client_data, signature.as_ref().to_vec())
    }

    /// `navigator.credentials.create()`: makes the credential anew under these options.
    pub(crate) fn create(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        let algorithms = options["pubKeyCredParams"].as_array().expect("algorithms");
        assert!(algorithms.iter().any(|one| one["alg"] == -7), "no ES256: {options}");
        self.user = options["user"]["id"].as_str().map(str::to_owned);
        let client_data = self.client_data("webauthn.create", text(&options["challenge"]));
        let mut data = self.data(text(&options["rp"]["id"]), self.flags | ATTESTED);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&[0, u8::try_from(self.id.len()).expect("a short name")]);
        data.extend_from_slice(&self.id);
        data.extend_from_slice(&cose(self.point()));
        let object = [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData", &bytes(&data)[..]].concat();
        json!({
            "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": encode(&client_data), "attestationObject": encode(&object),
                "authenticatorData": encode(&data), "publicKeyAlgorithm": -7, "transports": ["internal"],
            },
        })
    }

    /// `navigator.credentials.get()`.
    pub(crate) fn get(&mut self, options: &Value) -> Value {
        let options = &options["publicKey"];
        let challenge = Base64UrlUnpadded::decode_vec(text(&options["challenge"])).expect("base64url");
        let relying_party = text(&options["rpId"]).to_owned();
        let (data, client_data, signature) = self.assert(&relying_party, &challenge);
        let mut response = json!({
            "clientDataJSON": encode(&client_data), "authenticatorData": encode(&data), "signature": encode(&signature),
        });
        if let Some(user) = &self.user {
            response["userHandle"] = user.as_str().into();
        }
        json!({
            "id": encode(&self.id), "rawId": encode(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {}, "response": response,
        })
    }

    /// Forgets whose account the credential is of, as keys without storage do.
    pub(crate) fn forget_user(&mut self) {
        self.user = None;
    }

    fn client_data(&self, kind: &str, challenge: &str) -> Vec<u8> {
        let (origin, rest) = (&self.origin, self.client_data_rest);
        format!("{{\"type\":\"{kind}\",\"challenge\":\"{challenge}\",\"origin\":\"{origin}\"{rest}")
            .into_bytes()
    }

    fn data(&mut self, relying_party: &str, flags: u8) -> Vec<u8> {
        self.counter += u32::from(self.counts);
        let relying_party = self.relying_party.as_deref().unwrap_or(relying_party);
        let hash = digest(&SHA256, relying_party.as_bytes());
        [hash.as_ref(), &[flags], &self.counter.to_be_bytes()].concat()
    }
}

fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// A byte string of CBOR.
fn bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short string");
    [&[0x59], &length.to_be_bytes()[..], bytes].concat()
}

/// A point of P-256 as COSE writes it, for ES256.
fn cose(point: &[u8]) -> Vec<u8> {
    let (x, y) = point[1..].split_at(32);
    [b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20", x, b"\x22\x58\x20", y].concat()
}
