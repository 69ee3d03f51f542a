//! Tokens of others, verified as their users would: each as its users hold it, a JWT and a PASETO as text, a Biscuit as bytes.

use std::hint::black_box;
use std::time::Duration;

use anyhow::ensure;
use biscuit_auth::builder::Algorithm as BiscuitAlgorithm;
use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, Biscuit};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pasetors::claims::{Claims as PasetoClaims, ClaimsValidationRules};
use pasetors::keys::{AsymmetricKeyPair, Generate as _};
use pasetors::token::UntrustedToken;
use pasetors::version4::V4;
use pasetors::{Public, public};

use super::timing::checked;
use super::{AUDIENCE, PRINCIPAL};
use crate::figures::Run;

const ACTION_TEXT: &str = "Retail::Action::\"cancel_pending_order\"";
const RESOURCE_TEXT: &str = "Retail::Order::\"#W5765741\"";
const ID: &str = "0192f0c1";
/// The libraries read the machine's clock, so the window is wide.
const NOT_BEFORE: u64 = 1_700_000_000;
const NOT_BEFORE_TEXT: &str = "2023-11-14T22:13:20Z";
const EXPIRES: u64 = 4_000_000_000;
const EXPIRES_TEXT: &str = "2096-10-02T07:06:40Z";

#[derive(serde::Serialize, serde::Deserialize)]
struct Claims {
    sub: String,
    aud: String,
    exp: u64,
    nbf: u64,
    jti: String,
    action: String,
    resource: String,
}

pub(super) fn jwt(run: &mut Run) -> anyhow::Result<()> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let encoding = EncodingKey::from_ed_der(&pair.serialize_der());
    let decoding = DecodingKey::from_ed_der(pair.public_key_raw());
    let claims = Claims {
        sub: PRINCIPAL.to_owned(),
        aud: AUDIENCE.to_owned(),
        exp: EXPIRES,
        nbf: NOT_BEFORE,
        jti: ID.to_owned(),
        action: ACTION_TEXT.to_owned(),
        resource: RESOURCE_TEXT.to_owned(),
    };
    let text = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &encoding)?;
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&[AUDIENCE]);
    validation.validate_nbf = true;
    let time = checked("a JWT", || {
        let claims = jsonwebtoken::decode::<Claims>(black_box(&text), &decoding, &validation)?.claims;
        ensure!(claims.action == ACTION_TEXT && claims.resource == RESOURCE_TEXT, "it is for another act");
        Ok(claims)
    })?;
    run.note("jwt_eddsa_ns", time);
    Ok(())
}

pub(super) fn paseto(run: &mut Run) -> anyhow::Result<()> {
    let pair = AsymmetricKeyPair::<V4>::generate()?;
    let mut claims = PasetoClaims::new()?;
    claims.subject(PRINCIPAL)?;
    claims.audience(AUDIENCE)?;
    claims.expiration(EXPIRES_TEXT)?;
    claims.not_before(NOT_BEFORE_TEXT)?;
    claims.issued_at(NOT_BEFORE_TEXT)?; // the library asks for it beside `nbf`
    claims.token_identifier(ID)?;
    claims.add_additional("action", ACTION_TEXT)?;
    claims.add_additional("resource", RESOURCE_TEXT)?;
    let text = public::sign(&pair.secret, &claims, None, None)?;
    let mut rules = ClaimsValidationRules::new();
    rules.validate_audience_with(AUDIENCE);
    let time = checked("a PASETO", || {
        let untrusted = UntrustedToken::<Public, V4>::try_from(black_box(&text))?;
        let trusted = public::verify(&pair.public, &untrusted, &rules, None, None)?;
        let claim = |name| trusted.payload_claims()?.get_claim(name)?.as_str();
        ensure!(
            claim("action") == Some(ACTION_TEXT) && claim("resource") == Some(RESOURCE_TEXT),
            "it is for another act"
        );
        Ok(trusted)
    })?;
    run.note("paseto_v4_ns", time);
    Ok(())
}

/// The token holds one check on what is done, where and when; the executor states those, and its own policy allows the rest.
pub(super) fn biscuit(run: &mut Run) -> anyhow::Result<()> {
    let root = biscuit_auth::KeyPair::new_with_algorithm(BiscuitAlgorithm::Ed25519);
    let quoted = |text: &str| text.replace('"', "\\\"");
    let (action, resource) = (quoted(ACTION_TEXT), quoted(RESOURCE_TEXT));
    let token = Biscuit::builder()
        .code(format!(
            "principal(\"{PRINCIPAL}\"); id(\"{ID}\"); \
             check if action(\"{action}\"), resource(\"{resource}\"), audience(\"{AUDIENCE}\"), time($now), \
             $now >= {NOT_BEFORE_TEXT}, $now <= {EXPIRES_TEXT};"
        ))?
        .build(&root)?
        .to_vec()?;
    let key = root.public();
    // Parsed once, as an executor would keep it. The library's limit of a millisecond would end a run that is preempted.
    let limits = AuthorizerLimits { max_time: Duration::from_secs(1), ..AuthorizerLimits::default() };
    let authorizer = AuthorizerBuilder::new()
        .code(format!(
            "action(\"{action}\"); resource(\"{resource}\"); audience(\"{AUDIENCE}\"); allow if true;"
        ))?
        .set_limits(limits);
    let time = checked("a Biscuit", || {
        let token = Biscuit::from(black_box(&token), key)?;
        authorizer.clone().time().build(&token)?.authorize()
    })?;
    run.note("biscuit_ns", time);
    Ok(())
}
