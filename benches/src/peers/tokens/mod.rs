//! What an executor pays to verify one token offline, beside what it would pay for a token of somebody else's with the same
//! claims and a key of the same kind.
//!
//! Cold: the first token under a checkpoint, one strict signature check. Cached: every further token of that round. Bare:
//! `verify_strict` alone, the floor of the cold case. The peers verify as their users would, and every verification compares
//! what the token allows with what is about to be done.
//!
//! Ours are verified as bytes, as the appliance's answer gives them; a JWT and a PASETO as the texts that they are, a Biscuit as bytes. So
//! that a reader sees what an executor really pays, a further token is timed twice more: from its text form, as headers carry it, and
//! through [`Guard::admit`], the executor's own door, which encodes the intent at hand, verifies, and spends one use in memory.
//! A memory of uses on disk would cost a write more each.

mod others;
mod round;
mod timing;

use std::hint::black_box;

use assent_client::{EncodedIntent, Guard, Intent, Spent, Trust, Uid};
use assent_proto::limits::MAX_TOKEN_BYTES;
use assent_proto::note::VerifierKey;
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::token;
use assent_proto::verify::{CheckpointCache, Expected, TrustedKey, verify};
use ed25519_dalek::SigningKey;

use crate::figures::Run;
use round::Round;
use timing::{checked, in_turn};

/// Leaves in the round.
const ROUND: usize = 1024;
/// Uses of each token that the guard admits: all of them together are more than are timed.
const USES: u16 = 10_000;
const ORIGIN: &str = "localhost/bench/log/1";
const NOW: Timestamp = Timestamp(1_795_000_000_000);

/// The claims, the same in every token.
const PRINCIPAL: &str = "spiffe://assent.test/agent/retail-support";
const AUDIENCE: &str = "store-api";
const ACTION: (&str, &str) = ("Retail::Action", "cancel_pending_order");
const RESOURCE: (&str, &str) = ("Retail::Order", "#W5765741");

/// Two rounds in a log of a million leaves, and what their tokens are verified against. It takes a while to make, so it is made once.
pub(crate) struct Scene {
    signing: SigningKey,
    intent: Intent,
    encoded: EncodedIntent,
    /// Each token for one use.
    round: Round,
    /// The same, for as many uses as are timed.
    spendable: Round,
}

impl Scene {
    /// Makes the log and the tokens.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let signing = SigningKey::from_bytes(&[42; 32]);
        let (action, resource) = (Uid::new(ACTION.0, ACTION.1), Uid::new(RESOURCE.0, RESOURCE.1));
        let intent = Intent::new(action, resource, AUDIENCE).with("reason", "ordered by mistake");
        let (encoded, before) = (intent.encode()?, round::before()?);
        let round = |uses| Round::new(&before, &signing, &encoded.act()?, uses);
        Ok(Self { round: round(1)?, spendable: round(USES)?, signing, intent, encoded })
    }

    /// Measures every kind of verification; one that fails ends the benchmark.
    pub(crate) fn measure(&self, run: &mut Run) -> anyhow::Result<()> {
        self.assent(run)?;
        self.guard(run)?;
        others::jwt(run)?;
        others::paseto(run)?;
        others::biscuit(run)
    }

    fn keys(&self) -> anyhow::Result<[TrustedKey<'static>; 1]> {
        let key = VerifierKey::new(ORIGIN, self.signing.verifying_key().as_bytes())?;
        Ok([TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) }])
    }

    fn assent(&self, run: &mut Run) -> anyhow::Result<()> {
        let keys = self.keys()?;
        let act = self.encoded.act()?;
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
        let mut tokens = self.round.tokens();
        let mut next = || tokens.next().unwrap_or_default();
        let (verifying, text) = (self.signing.verifying_key(), self.round.checkpoint.as_bytes());
        let (cold, strict) = in_turn(
            ("a token of ours", || {
                verify(black_box(next()), &expected, &mut CheckpointCache::new())
                    .map(|token| token.identity())
            }),
            ("a bare signature", || verifying.verify_strict(black_box(text), &self.round.signature)),
        )?;
        let mut cache = CheckpointCache::new();
        let cached = checked("a token of ours", || {
            verify(black_box(next()), &expected, &mut cache).map(|token| token.identity())
        })?;
        let texts: Vec<String> =
            self.round.tokens().take(ROUND).map(|token| token::Text(token).to_string()).collect();
        let mut texts = texts.iter().cycle();
        let mut buffer = [0; MAX_TOKEN_BYTES];
        let from_text = checked("the text of a token of ours", || {
            let text = texts.next().map_or("", String::as_str);
            let token = token::parse_text(black_box(text), &mut buffer)?;
            anyhow::Ok(verify(token, &expected, &mut cache)?.identity().1)
        })?;
        run.note("token_cold_ns", cold);
        run.note("token_cached_ns", cached);
        run.note("token_cached_text_ns", from_text);
        run.note("verify_strict_ns", strict);
        Ok(())
    }

    /// Through the executor's own door. Its memory of spent uses is new each time, so that all uses are open.
    fn guard(&self, run: &mut Run) -> anyhow::Result<()> {
        let trust = Trust::new(&self.keys()?)?;
        let guard = Guard::with_spent(trust, AUDIENCE, Spent::in_memory(Timestamp(0)));
        let mut tokens = self.spendable.tokens();
        let time = checked("a token of ours, by the guard", || {
            let token = tokens.next().unwrap_or_default();
            anyhow::Ok(guard.admit(black_box(token), black_box(&self.intent), NOW)?.index())
        })?;
        run.note("guard_admit_ns", time);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_of_token_verify() {
        let mut run = Run::default();
        Scene::new().unwrap().measure(&mut run).unwrap();
        for name in [
            "token_cold",
            "token_cached",
            "token_cached_text",
            "guard_admit",
            "verify_strict",
            "jwt_eddsa",
            "paseto_v4",
            "biscuit",
        ] {
            assert!(run.get(&format!("{name}_ns")).unwrap() > 0.0, "{name}");
        }
    }
}
