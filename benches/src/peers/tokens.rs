//! What an executor pays to verify one token offline, beside what it would pay for a token of somebody else's with the same
//! claims and a key of the same kind.
//!
//! Cold: the first token under a checkpoint, one strict signature check. Cached: every further token of that round. Bare:
//! `verify_strict` alone, the floor of the cold case. The peers verify as their users would, and every verification compares
//! what the token allows with what is about to be done.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Allow, Entry, Grounds, Policies, Salt};
use assent_proto::hash::Hash;
use assent_proto::intent::{Act, Uid};
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::token;
use assent_proto::tree::{Frontier, Range};
use assent_proto::verify::{CheckpointCache, Expected, TrustedKey, verify};
use biscuit_auth::builder::Algorithm as BiscuitAlgorithm;
use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, Biscuit};
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use pasetors::claims::{Claims as PasetoClaims, ClaimsValidationRules};
use pasetors::keys::{AsymmetricKeyPair, Generate as _};
use pasetors::token::UntrustedToken;
use pasetors::version4::V4;
use pasetors::{Public, public};

use crate::figures::Run;
use crate::measure::{nanoseconds, nanoseconds_in_turn};

/// Leaves in the log before the round, and in the round.
const BEFORE: u64 = 1_000_000;
const ROUND: usize = 1024;
/// From one token to the next; odd, so that all of a round have their turn.
const STRIDE: usize = 389;
/// Of an entry, the label and kind before what a token repeats.
const LEAF_HEAD: usize = 16;
const ORIGIN: &str = "localhost/bench/log/1";
const NOW: Timestamp = Timestamp(1_795_000_000_000);

/// The claims, the same in every token. The peers read the machine's clock, so their window is wide.
const PRINCIPAL: &str = "spiffe://assent.test/agent/retail-support";
const AUDIENCE: &str = "store-api";
const ACTION: (&str, &str) = ("Retail::Action", "cancel_pending_order");
const RESOURCE: (&str, &str) = ("Retail::Order", "#W5765741");
const ACTION_TEXT: &str = "Retail::Action::\"cancel_pending_order\"";
const RESOURCE_TEXT: &str = "Retail::Order::\"#W5765741\"";
const ID: &str = "0192f0c1";
const NOT_BEFORE: u64 = 1_700_000_000;
const NOT_BEFORE_TEXT: &str = "2023-11-14T22:13:20Z";
const EXPIRES: u64 = 4_000_000_000;
const EXPIRES_TEXT: &str = "2096-10-02T07:06:40Z";

/// The tokens of a round, in a log of a million leaves, and what they are verified against. It takes a while to make, so it is made
/// once.
pub(crate) struct Scene {
    signing: SigningKey,
    act: Vec<u8>,
    tokens: Vec<Vec<u8>>,
    /// The checkpoint over the round, and its signature.
    checkpoint: String,
    signature: Signature,
}

impl Scene {
    /// Makes the log and the tokens.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let signing = SigningKey::from_bytes(&[42; 32]);
        let act = act_bytes();
        let leaves = leaves(&Act::parse(&act)?)?;
        let mut tree = Frontier::new();
        (0..BEFORE).try_for_each(|leaf| tree.append(Hash::of_leaf(&leaf.to_be_bytes())))?;
        let before = tree.clone();
        let mut nodes: Vec<Hash> = leaves.iter().map(|leaf| Hash::of_leaf(leaf)).collect();
        nodes.iter().try_for_each(|hash| tree.append(*hash))?;
        nodes.resize(Range::nodes_needed(ROUND), Hash::default());
        let range = Range::new(LeafIndex(BEFORE), ROUND, tree.size(), before.subtrees(), &mut nodes)?;
        let checkpoint = Checkpoint { origin: ORIGIN, size: tree.size(), root: tree.root() };
        let checkpoint = checkpoint.text()?.as_str().to_owned();
        let signature = signing.sign(checkpoint.as_bytes());
        let key = VerifierKey::new(ORIGIN, signing.verifying_key().as_bytes())?;
        let mut tokens = Vec::with_capacity(ROUND);
        for (index, leaf) in (BEFORE..).map(LeafIndex).zip(&leaves) {
            let body = leaf.get(LEAF_HEAD..).context("an entry has a head")?;
            let path = range.path(index).context("the leaf is in the round")?;
            let mut token = Vec::new();
            token::append(key.id(), tree.size(), index, body, &path, &signature.to_bytes(), &mut token);
            tokens.push(token);
        }
        Ok(Self { signing, act, tokens, checkpoint, signature })
    }

    /// Measures every kind of verification; one that fails ends the benchmark.
    pub(crate) fn measure(&self, run: &mut Run) -> anyhow::Result<()> {
        self.assent(run)?;
        jwt(run)?;
        paseto(run)?;
        biscuit(run)
    }

    fn assent(&self, run: &mut Run) -> anyhow::Result<()> {
        let key = VerifierKey::new(ORIGIN, self.signing.verifying_key().as_bytes())?;
        let keys = [TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) }];
        let act = Act::parse(&self.act)?;
        let expected = Expected {
            keys: &keys,
            audience: AUDIENCE,
            act: &act,
            principal: None,
            now: NOW,
            skew_ms: 1000,
            window_cap_ms: 600_000,
            lowest_epoch: Epoch(0),
            break_glass: false,
            warrants: &[],
        };
        // In an order in which no two neighbours follow each other: what one path tells of the next is what it tells of any other.
        let mut places = (0..ROUND).map(|step| step * STRIDE % ROUND).cycle();
        let mut next =
            || places.next().and_then(|place| self.tokens.get(place)).map_or(&[][..], Vec::as_slice);
        let (verifying, text) = (self.signing.verifying_key(), self.checkpoint.as_bytes());
        let (cold, strict) = in_turn(
            ("a token of ours", || {
                verify(black_box(next()), &expected, &mut CheckpointCache::new())
                    .map(|token| token.identity())
            }),
            ("a bare signature", || verifying.verify_strict(black_box(text), &self.signature)),
        )?;
        let mut cache = CheckpointCache::new();
        let cached = checked("a token of ours", || {
            verify(black_box(next()), &expected, &mut cache).map(|token| token.identity())
        })?;
        run.note("token_cold_ns", cold);
        run.note("token_cached_ns", cached);
        run.note("verify_strict_ns", strict);
        Ok(())
    }
}

/// How long a verification takes, in nanoseconds; each time it must succeed.
fn checked<T, E: Into<anyhow::Error>>(
    what: &'static str,
    mut verification: impl FnMut() -> Result<T, E>,
) -> anyhow::Result<f64> {
    let failed = RefCell::new(None);
    let mut once = || noted(&failed, what, verification());
    // A first one by itself: what never succeeds need not be timed.
    let time = once().map(|_| nanoseconds(once)).unwrap_or_default();
    failed.into_inner().map_or(Ok(time), Err)
}

/// The same of two, timed in turn.
fn in_turn<T, U, E: Into<anyhow::Error>, F: Into<anyhow::Error>>(
    (what, mut verification): (&'static str, impl FnMut() -> Result<T, E>),
    (other_what, mut other): (&'static str, impl FnMut() -> Result<U, F>),
) -> anyhow::Result<(f64, f64)> {
    let failed = RefCell::new(None);
    let mut once = || noted(&failed, what, verification());
    let mut other_once = || noted(&failed, other_what, other());
    let both = once().is_some() && other_once().is_some();
    let times = if both { nanoseconds_in_turn(once, other_once) } else { Default::default() };
    failed.into_inner().map_or(Ok(times), Err)
}

/// What succeeded; why it did not is kept.
fn noted<T, E: Into<anyhow::Error>>(
    failed: &RefCell<Option<anyhow::Error>>,
    what: &'static str,
    outcome: Result<T, E>,
) -> Option<T> {
    let failure = |why: E| failed.replace(Some(why.into().context(format!("{what} does not verify"))));
    outcome.map_err(failure).ok()
}

fn act_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (type_name, id) in [ACTION, RESOURCE] {
        Uid { type_name, id }.append(&mut bytes);
    }
    // The context: one pair, and texts behind their lengths.
    bytes.extend([1, 6]);
    bytes.extend(b"reason");
    bytes.extend([2, 18]);
    bytes.extend(b"ordered by mistake");
    bytes
}

/// The entries of the round: an allow each, with a salt of its own.
fn leaves(act: &Act<'_>) -> anyhow::Result<Vec<Vec<u8>>> {
    let leaf = |number: u8, more: u8| {
        let mut leaf = Vec::new();
        let mut salt = [7; 16];
        (salt[0], salt[1]) = (number, more);
        Entry::Allow(Allow { salt: Salt(salt), ..allow(act) }).append(&mut leaf)?;
        Ok(leaf)
    };
    (0..ROUND).map(|place| leaf(place.to_le_bytes()[0], place.to_le_bytes()[1])).collect()
}

fn allow<'a>(act: &Act<'a>) -> Allow<'a> {
    Allow {
        salt: Salt([7; 16]),
        time: NOW,
        epoch: Epoch(3),
        bundle: Hash([9; 32]),
        principal: PRINCIPAL,
        audience: AUDIENCE,
        action: act.action,
        resource: act.resource,
        intent: act.digest(),
        not_before: NOW,
        not_after: NOW.plus_ms(300_000),
        uses: 1,
        risk: 40,
        grounds: Grounds::Policy,
        policies: ["cancel-or-redirect-own-pending-order"].into_iter().collect::<Policies<'_>>(),
    }
}

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

fn jwt(run: &mut Run) -> anyhow::Result<()> {
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

fn paseto(run: &mut Run) -> anyhow::Result<()> {
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
fn biscuit(run: &mut Run) -> anyhow::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_verify_is_an_error_and_no_figure() {
        let mut asked = 0;
        let failed = checked("it", || {
            asked += 1;
            Err::<(), _>(anyhow::anyhow!("no"))
        });
        assert_eq!((asked, failed.unwrap_err().to_string().as_str()), (1, "it does not verify"));
        let mut left = 3;
        let failed = checked("it", || {
            left -= i32::from(left > 0);
            if left > 0 { Ok(()) } else { Err(anyhow::anyhow!("no")) }
        });
        assert!(failed.is_err());
    }

    #[test]
    fn all_kinds_of_token_verify() {
        let mut run = Run::default();
        Scene::new().unwrap().measure(&mut run).unwrap();
        for name in ["token_cold", "token_cached", "verify_strict", "jwt_eddsa", "paseto_v4", "biscuit"] {
            assert!(run.get(&format!("{name}_ns")).unwrap() > 0.0, "{name}");
        }
    }
}
