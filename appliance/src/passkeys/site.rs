//! The site that passkeys are made for, and its two ceremonies: enrolment and login, by webauthn-rs.
//!
//! The one place that names that library. The rules beyond its own: ES256 alone, for that is what an SSH signature can be made of;
//! user verification always. It keeps no state of ours, and knows no operator but by name. Acts are not its business: their
//! challenge is a statement, and it makes every challenge itself.

use assent_proto::hash::Hash;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webauthn_rs::prelude::{
    COSEAlgorithm, COSEKeyType, DiscoverableAuthentication, Passkey, PasskeyAuthentication,
    PasskeyRegistration, PublicKeyCredential, RegisterPublicKeyCredential, Url, Uuid, Webauthn,
    WebauthnBuilder, WebauthnError,
};

use super::{IdentityError, answer, secret};
use crate::limits::{CEREMONY_DEADLINE, MAX_PASSKEY_ANSWER_BYTES};

/// COSE's number of ES256.
const ES256: i64 = -7;

/// A site.
#[derive(Debug)]
pub(super) struct Site {
    webauthn: Webauthn,
    origin: String,
    relying_party: String,
}

/// A credential as the library keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Credential(Passkey);

/// An enrolment that was begun.
#[derive(Debug)]
pub(super) struct Enrolling(PasskeyRegistration);

/// A login that was begun.
#[derive(Debug)]
pub(super) enum LoggingIn {
    /// By an operator who said who they are.
    Named(PasskeyAuthentication),
    /// By whoever the authenticator says.
    Discoverable(DiscoverableAuthentication),
}

impl Credential {
    /// Its name.
    pub(super) fn id(&self) -> &[u8] {
        self.0.cred_id()
    }

    /// Its public key, an uncompressed point of P-256; none where it is of another kind.
    pub(super) fn point(&self) -> Option<Vec<u8>> {
        let COSEKeyType::EC_EC2(key) = &self.0.get_public_key().key else { return None };
        let is_es256 = *self.0.cred_algorithm() == COSEAlgorithm::ES256;
        is_es256.then(|| [&[4], key.x.as_slice(), key.y.as_slice()].concat())
    }
}

impl Site {
    /// The site of this origin: its host is the relying party. None where no browser would make passkeys for it.
    pub(super) fn new(origin: &str) -> Option<Self> {
        let url = Url::parse(origin).ok()?;
        let relying_party = url.domain()?.to_owned();
        let is_secure = url.scheme() == "https" || (url.scheme() == "http" && relying_party == "localhost");
        // An origin has no path; a browser writes it without a slash, and so must we.
        let is_origin = url.origin().ascii_serialization() == origin;
        (is_secure && is_origin).then_some(())?;
        let builder = WebauthnBuilder::new(&relying_party, &url).ok()?;
        let webauthn = builder.rp_name("Assent").timeout(CEREMONY_DEADLINE).build().ok()?;
        Some(Self { webauthn, origin: origin.to_owned(), relying_party })
    }

    /// Its origin.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// The relying party.
    pub(super) fn relying_party(&self) -> &str {
        &self.relying_party
    }

    /// Begins the enrolment of an operator who has these credentials already: options for the browser, and what to keep.
    pub(super) fn begin_enrolment(
        &self,
        name: &str,
        known: Vec<Vec<u8>>,
    ) -> Result<(Value, Enrolling), IdentityError> {
        let begun = self.webauthn.start_passkey_registration(self.user(name), name, name, Some(known));
        let (options, enrolling) = begun.map_err(|error| refused(&error))?;
        let mut options = serde_json::to_value(options).unwrap_or_default();
        // What the library offers beyond ES256 could not sign as an SSH key. A key that can keep the account may: then nobody
        // has to type a name.
        if let Some(made) = options.get_mut("publicKey").and_then(Value::as_object_mut) {
            made.insert("pubKeyCredParams".to_owned(), json!([{"type": "public-key", "alg": ES256}]));
            let selection = json!({
                "residentKey": "preferred", "requireResidentKey": false, "userVerification": "required",
            });
            made.insert("authenticatorSelection".to_owned(), selection);
        }
        Ok((options, Enrolling(enrolling)))
    }

    /// Takes the browser's answer to it.
    pub(super) fn finish_enrolment(
        &self,
        Enrolling(state): &Enrolling,
        response: &str,
    ) -> Result<Credential, IdentityError> {
        let response: RegisterPublicKeyCredential = parse(response)?;
        let made = self.webauthn.finish_passkey_registration(&response, state);
        let credential = Credential(made.map_err(|error| refused(&error))?);
        if credential.point().is_none() {
            return Err(IdentityError::Answer("the passkey is not of the kind ES256 on P-256".to_owned()));
        }
        Ok(credential)
    }

    /// Begins a login with one of these credentials, or of whoever the authenticator knows where there are none.
    pub(super) fn begin_login(
        &self,
        credentials: &[&Credential],
    ) -> Result<(Value, Vec<u8>, LoggingIn), IdentityError> {
        let (options, state) = if credentials.is_empty() {
            let begun = self.webauthn.start_discoverable_authentication();
            let (mut options, state) = begun.map_err(|error| refused(&error))?;
            // The person has asked to log in: a dialogue, and no line in a field that they fill in.
            options.mediation = None;
            options.public_key.extensions = None;
            (options, LoggingIn::Discoverable(state))
        } else {
            let known: Vec<Passkey> = credentials.iter().map(|credential| credential.0.clone()).collect();
            let begun = self.webauthn.start_passkey_authentication(&known);
            let (options, state) = begun.map_err(|error| refused(&error))?;
            (options, LoggingIn::Named(state))
        };
        let challenge = options.public_key.challenge.clone();
        Ok((serde_json::to_value(options).unwrap_or_default(), challenge, state))
    }

    /// Takes the browser's answer to it, by this credential of an operator of this name. Gives how often the authenticator says that it has signed.
    pub(super) fn finish_login(
        &self,
        state: LoggingIn,
        response: &str,
        (name, credential): (&str, &mut Credential),
    ) -> Result<u32, IdentityError> {
        let response: PublicKeyCredential = parse(response)?;
        let outcome = match state {
            LoggingIn::Named(state) => self.webauthn.finish_passkey_authentication(&response, &state),
            LoggingIn::Discoverable(state) => {
                let (user, _) = self
                    .webauthn
                    .identify_discoverable_authentication(&response)
                    .map_err(|error| refused(&error))?;
                if user != self.user(name) {
                    return Err(IdentityError::Key);
                }
                self.webauthn.finish_discoverable_authentication_v2(&response, state, &credential.0)
            }
        };
        let result = outcome.map_err(|error| refused(&error))?;
        // With allowed credentials the library looks for the one that answered; it must be the one that we looked up.
        if !result.user_verified() || credential.0.update_credential(&result).is_none() {
            return Err(IdentityError::Key);
        }
        Ok(result.counter())
    }

    /// Options for an assertion over a challenge of ours, by one of these credentials.
    pub(super) fn assertion_options(&self, challenge: &[u8], credentials: &[&Credential]) -> Value {
        let allowed: Vec<Value> = credentials
            .iter()
            .map(|one| json!({"type": "public-key", "id": Base64UrlUnpadded::encode_string(one.id())}))
            .collect();
        json!({"publicKey": {
            "challenge": Base64UrlUnpadded::encode_string(challenge),
            "timeout": u64::try_from(CEREMONY_DEADLINE.as_millis()).unwrap_or_default(),
            "rpId": self.relying_party,
            "allowCredentials": allowed,
            "userVerification": "required",
        }})
    }

    /// By what authenticators know an operator's account here: the same for the same name, so that a new passkey on one takes the place
    /// of the one before.
    fn user(&self, name: &str) -> Uuid {
        let Hash(hash) =
            secret::hash(&[b"assent/operator/v1", self.relying_party.as_bytes(), name.as_bytes()]);
        let mut user = [0; 16];
        hash.iter().zip(&mut user).for_each(|(from, to)| *to = *from);
        Uuid::from_bytes(user)
    }
}

fn parse<T: serde::de::DeserializeOwned>(response: &str) -> Result<T, IdentityError> {
    if response.len() > MAX_PASSKEY_ANSWER_BYTES {
        return Err(answer::too_long());
    }
    serde_json::from_str(response).map_err(|_| IdentityError::Answer("it is not understood".to_owned()))
}

fn refused(error: &WebauthnError) -> IdentityError {
    if matches!(error, WebauthnError::CredentialPossibleCompromise) {
        return IdentityError::Counter;
    }
    IdentityError::Answer(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_what_a_browser_would_make_passkeys_for() {
        for origin in ["https://assent.example.org", "https://a.example:7745", "http://localhost:7745"] {
            let site = Site::new(origin).expect(origin);
            assert_eq!(site.origin(), origin);
        }
        assert_eq!(Site::new("https://a.example:7745").unwrap().relying_party(), "a.example");
        for origin in [
            "http://assent.example.org",
            "https://127.0.0.1:7745",
            "https://[::1]",
            "https://a.example/",
            "https://a.example:443",
            "https://A.example",
            "https://user@a.example",
            "a.example",
            "",
        ] {
            assert!(Site::new(origin).is_none(), "{origin}");
        }
    }
}
