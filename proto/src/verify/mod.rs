//! Verification of a token, offline: what an executor does before it acts; and of checkpoints that come ahead of tokens.
//!
//! The one rule: any doubt is a refusal. Nothing here asks a network or a clock; trust, time and what is about to be done
//! are arguments. It does not remember uses: whoever acts must spend one use of [`VerifiedToken::identity`] durably, and
//! exactly once.

mod cache;
mod error;
mod warrant;

pub use cache::CheckpointCache;
pub use error::VerifyError;
pub use warrant::{TrustedWarrant, warrant_key_name};

use core::fmt;

use crate::codec;
use crate::entry::{Allow, Grounds};
use crate::intent::Act;
use crate::limits::{MAX_NAME_BYTES, MAX_PRINCIPAL_BYTES, MAX_SKEW_MS};
use crate::note::VerifierKey;
use crate::number::{Epoch, LeafIndex, Timestamp};
use crate::token::{TokenError, UnverifiedToken};
use crate::wire::SignedCheckpoint;

/// A verifier key of a log that is trusted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedKey<'t> {
    /// The key; its name is the log's origin.
    pub key: VerifierKey<'t>,
    /// Entries decided before this are not accepted under it, nor is anything before this time.
    pub not_before: Timestamp,
    /// Nor after this: neither entries decided later, nor anything when this time has passed.
    pub not_after: Timestamp,
}

/// What an executor accepts, and what it is about to do.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'e> {
    /// Keys of all logs that this executor trusts.
    pub keys: &'e [TrustedKey<'e>],
    /// Who the executor is.
    pub audience: &'e str,
    /// What it is about to do.
    pub act: &'e Act<'e>,
    /// For whom, where the executor knows it; none: for any agent that the token names.
    pub principal: Option<&'e str>,
    /// The time.
    pub now: Timestamp,
    /// Skew between its clock and the appliance's that it forgives, at most [`MAX_SKEW_MS`].
    pub skew_ms: u64,
    /// The longest window that it accepts, in milliseconds.
    pub window_cap_ms: u64,
    /// The lowest epoch that it accepts of the log that the token is of.
    pub lowest_epoch: Epoch,
    /// Whether it accepts tokens whose authority is a break-glass warrant.
    pub break_glass: bool,
    /// The warrants that it trusts; where it accepts no break-glass, none of them counts.
    pub warrants: &'e [TrustedWarrant<'e>],
}

/// Tells its holder that a trusted log holds this allow, that it is meant for this executor and this act, and that its
/// window is open. It does not tell whether its uses are spent.
///
/// Only [`verify`] makes one:
///
/// ```compile_fail
/// use assent_proto::verify::VerifiedToken;
/// fn forge(claims: assent_proto::entry::Allow<'_>) -> VerifiedToken<'_> {
///     VerifiedToken { claims, origin: "", index: Default::default() }
/// }
/// ```
#[must_use]
pub struct VerifiedToken<'a> {
    claims: Allow<'a>,
    origin: &'a str,
    index: LeafIndex,
}

impl<'a> VerifiedToken<'a> {
    /// What the token states.
    #[must_use]
    pub const fn claims(&self) -> &Allow<'a> {
        &self.claims
    }

    /// What single use is counted by: the log's origin and the leaf index, both under the signature. Never a hash of the
    /// token: its bytes are not unique.
    #[must_use]
    pub const fn identity(&self) -> (&'a str, LeafIndex) {
        (self.origin, self.index)
    }
}

impl fmt::Debug for VerifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedToken({} leaf {}, intent {})", self.origin, self.index, self.claims.intent)
    }
}

/// Verifies a token against what is about to be done. See `FORMAT.md`, section "Verification", for the order of the steps.
///
/// # Errors
/// [`VerifyError`]: the first step that fails.
pub fn verify<'a>(
    token: &'a [u8],
    expected: &Expected<'a>,
    cache: &mut CheckpointCache,
) -> Result<VerifiedToken<'a>, VerifyError> {
    let token = UnverifiedToken::parse(token)?;
    let root = cache.root(&token).ok_or(VerifyError::Malformed(TokenError::Length))?;
    let claims: Allow<'a> = codec::parse(token.body).map_err(|_| VerifyError::Body)?;
    let UnverifiedToken { key_id, size, signature, .. } = token;
    let signed = SignedCheckpoint { time: claims.time, size, root, key_id, signature };
    let origin = match claims.grounds {
        // A warrant's key is not asked about what is not its warrant's.
        Grounds::Policy | Grounds::Approval(_) => {
            covering_key(&signed, expected.keys, expected.now, cache)?.name()
        }
        Grounds::Warrant { leaf, .. } => warrant::covering_origin(&signed, expected, leaf, cache)?,
    };
    check_claims(&claims, expected)?;
    warrant::check(&claims, (origin, token.index), expected)?;
    Ok(VerifiedToken { claims, origin, index: token.index })
}

/// Verifies a checkpoint that was pushed ahead of its tokens, and remembers it: they then cost no signature check. Gives the
/// key that signed it, whose name is the log's origin.
///
/// It takes steps 4 and 5 of a token's verification. Remembered again, it takes no second place.
///
/// # Errors
/// [`VerifyError::UntrustedKey`], [`VerifyError::Signature`]: then nothing is remembered.
pub fn verify_checkpoint<'k>(
    signed: &SignedCheckpoint,
    keys: &[TrustedKey<'k>],
    now: Timestamp,
    cache: &mut CheckpointCache,
) -> Result<VerifierKey<'k>, VerifyError> {
    covering_key(signed, keys, now, cache)
}

/// The trusted key whose signature covers the root. Two keys may share an ID, so each of them is tried.
fn covering_key<'k>(
    signed: &SignedCheckpoint,
    keys: &[TrustedKey<'k>],
    now: Timestamp,
    cache: &mut CheckpointCache,
) -> Result<VerifierKey<'k>, VerifyError> {
    let SignedCheckpoint { time, key_id, .. } = signed;
    let mut outcome = VerifyError::UntrustedKey;
    for trusted in keys.iter().filter(|trusted| trusted.key.id() == *key_id) {
        let in_its_dates = |time| in_dates(time, trusted.not_before, trusted.not_after);
        if !in_its_dates(*time) || !in_its_dates(now) {
            continue;
        }
        if covers(&trusted.key, trusted.key.name(), signed, cache) {
            return Ok(trusted.key);
        }
        outcome = VerifyError::Signature;
    }
    Err(outcome)
}

fn in_dates(time: Timestamp, from: Timestamp, until: Timestamp) -> bool {
    from <= time && time <= until
}

/// Whether the signature is this key's over the checkpoint of that log: remembered, or verified and then remembered.
fn covers(
    key: &VerifierKey<'_>,
    origin: &str,
    signed: &SignedCheckpoint,
    cache: &mut CheckpointCache,
) -> bool {
    cache.verify(key, origin, signed.size, signed.root, &signed.signature)
}

fn check_claims(claims: &Allow<'_>, expected: &Expected<'_>) -> Result<(), VerifyError> {
    let skew_ms = expected.skew_ms.min(MAX_SKEW_MS);
    let window_ms = claims.not_after.0.checked_sub(claims.not_before.0);
    if claims.audience.len() > MAX_NAME_BYTES || claims.principal.len() > MAX_PRINCIPAL_BYTES {
        return Err(VerifyError::Body);
    }
    if claims.audience != expected.audience {
        return Err(VerifyError::Audience);
    }
    if expected.principal.is_some_and(|principal| principal != claims.principal) {
        return Err(VerifyError::Principal);
    }
    if window_ms.is_none_or(|window_ms| window_ms > expected.window_cap_ms) {
        return Err(VerifyError::Window);
    }
    if expected.now < claims.not_before.minus_ms(skew_ms) {
        return Err(VerifyError::TooEarly);
    }
    if expected.now > claims.not_after.plus_ms(skew_ms) {
        return Err(VerifyError::Expired);
    }
    if claims.epoch < expected.lowest_epoch {
        return Err(VerifyError::Epoch);
    }
    if claims.intent != expected.act.digest() {
        return Err(VerifyError::Intent);
    }
    if claims.uses == 0 {
        return Err(VerifyError::Uses);
    }
    match claims.grounds {
        Grounds::Policy | Grounds::Approval(_) => Ok(()),
        Grounds::Warrant { .. } if expected.break_glass => Ok(()),
        Grounds::Warrant { .. } => Err(VerifyError::Grounds),
    }
}
