//! Verification whole, with its signature check: Ed25519 by ed25519-dalek.

use assent_proto::intent::Act;
use assent_proto::note::{Note, VerifierKey};
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::verify::{CheckpointCache, Expected, TrustedKey, verify};

/// Whether `signature` is over `text`, by a strong key.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_verify_signature(
    key: &[u8; 32],
    data: *const u8,
    length: usize,
    signature: &[u8; 64],
) -> bool {
    // SAFETY: the caller's promise.
    let text = unsafe { crate::bytes(data, length) };
    VerifierKey::new("log", key).is_ok_and(|key| key.verify(text, signature).is_ok())
}

/// Verifies a note under the key that its first line names.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_verify_note(data: *const u8, length: usize) -> bool {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    let Some((vkey, note)) = text.split_once('\n') else { return false };
    let (Ok(key), Ok(note)) = (VerifierKey::parse(vkey), Note::parse(note)) else { return false };
    note.verify(&key).is_ok()
}

/// Verifies a token against an act.
///
/// # Safety
/// `token` points to `token_length` bytes, `act` to `act_length`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_verify_token(
    token: *const u8,
    token_length: usize,
    act: *const u8,
    act_length: usize,
    keys: &[[u8; 32]; 2],
    now: u64,
) -> bool {
    // SAFETY: the caller's promise.
    let (token, act) = unsafe { (crate::bytes(token, token_length), crate::bytes(act, act_length)) };
    let (Ok(act), Ok(first), Ok(second)) =
        (Act::parse(act), VerifierKey::new("a/log/1", &keys[0]), VerifierKey::new("b/log/1", &keys[1]))
    else {
        return false;
    };
    let keys = [first, second].map(|key| TrustedKey {
        key,
        not_before: Timestamp(now / 2),
        not_after: Timestamp(now.saturating_mul(2)),
    });
    let expected = Expected {
        keys: &keys,
        audience: "executor",
        act: &act,
        principal: None,
        now: Timestamp(now),
        skew_ms: 2000,
        window_cap_ms: 60_000,
        lowest_epoch: Epoch(1),
        break_glass: false,
        warrants: &[],
    };
    let mut cache = CheckpointCache::new();
    let once = verify(token, &expected, &mut cache).is_ok();
    once && verify(token, &expected, &mut cache).is_ok_and(|token| token.identity().1.0 < now)
}
