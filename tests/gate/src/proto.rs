//! Parsing, derivation, encoding and the tree: all of proto but the cryptography of signatures.

use assent_proto::checkpoint::Checkpoint;
use assent_proto::codec;
use assent_proto::entry::{Allow, Entry};
use assent_proto::hash::Hash;
use assent_proto::intent::{Act, Intent};
use assent_proto::limits::{MAX_RANGE_PROOF_HASHES, MAX_TOKEN_BYTES};
use assent_proto::note::{KeyId, Note};
use assent_proto::number::{LeafIndex, Timestamp, TreeSize};
use assent_proto::refusal::Refusal;
use assent_proto::token::{self, UnverifiedToken};
use assent_proto::tree::{Frontier, Range, consistency, inclusion};
use assent_proto::wire::{self, Arrived, BatchId, Decided, NoticeReader, Reply, Request, TraceContext};

/// A sink that keeps nothing but a sum, so that no write can be left out.
#[derive(Default)]
struct Sum(u64);

impl Extend<u8> for Sum {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        for byte in bytes {
            self.0 = self.0.rotate_left(5) ^ u64::from(byte);
        }
    }
}

/// A fixed buffer as a sink; what does not fit is dropped.
struct Buffer<'b> {
    free: core::slice::IterMut<'b, u8>,
}

impl Extend<u8> for Buffer<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        for (to, byte) in self.free.by_ref().zip(bytes) {
            *to = byte;
        }
    }
}

/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_intent(data: *const u8, length: usize, digest: &mut [u8; 32]) -> bool {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let Ok(intent) = Intent::parse(bytes) else { return false };
    *digest = intent.act.digest().0;
    intent.act.context.events().all(|event| event.is_ok())
}

/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_act(data: *const u8, length: usize, digest: &mut [u8; 32]) -> bool {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    Act::parse(bytes).map(|act| *digest = act.digest().0).is_ok()
}

/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_request(data: *const u8, length: usize, now: u64) -> u64 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let Ok((trace, bytes)) = TraceContext::split(bytes) else { return 1 };
    let mut sum = Sum::default();
    sum.extend(trace.iter().flat_map(TraceContext::encoded));
    match Request::parse(bytes) {
        Ok(request) if request.batch().is_current(Timestamp(now)) => request
            .intents()
            .map(|(intent, bytes)| intent.terms.audience.len() as u64 ^ bytes.len() as u64)
            .fold(sum.0, u64::wrapping_add),
        Ok(_) => 0,
        Err(error) => u64::from(error.refusal().number()),
    }
}

/// Reads a trace context that is text.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_traceparent(data: *const u8, length: usize, out: &mut [u8; 27]) -> bool {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    text.parse().map(|trace: TraceContext| *out = trace.encoded()).is_ok()
}

/// Writes a request of the intents between the cuts.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_write_request(data: *const u8, length: usize, now: u64, each: usize) -> u64 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let mut sum = Sum::default();
    wire::begin_request(BatchId::new(Timestamp(now), [7; 10]), each, &mut sum);
    bytes.chunks(each.max(1)).for_each(|intent| wire::push_intent(intent, &mut sum));
    sum.0
}

/// Reads a reply, makes its entries for one intent, and writes it again.
///
/// # Safety
/// `reply` points to `reply_length` bytes, `intent` to `intent_length`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_reply(
    reply: *const u8,
    reply_length: usize,
    intent: *const u8,
    intent_length: usize,
) -> u64 {
    // SAFETY: the caller's promise.
    let (reply, intent) = unsafe { (crate::bytes(reply, reply_length), crate::bytes(intent, intent_length)) };
    let Ok(intent) = Intent::parse(intent) else { return 0 };
    let mut sum = Sum::default();
    match Reply::parse(reply) {
        Ok(Reply::Refused(refusal)) => wire::append_refused(refusal, &mut sum),
        Ok(Reply::Decided(decided)) => derive(&decided, &intent, &mut sum),
        Err(_) => return 0,
    }
    sum.0
}

fn derive<'a>(decided: &Decided<'a>, intent: &Intent<'a>, sum: &mut Sum) {
    let digest = intent.act.digest();
    for (position, ruling) in (0..).zip(decided.rulings().flatten()) {
        let _ = wire::begin_decided(&decided.head, [&ruling].into_iter(), &[0], sum);
        let entry = ruling.entry(&decided.head, position, intent, digest);
        let _ = entry.append(sum);
    }
    for outcome in decided.outcomes() {
        sum.extend([outcome.to_le_bytes()[0]]);
    }
    wire::append_sealing(decided.sealing.as_ref(), sum);
}

/// Reads a stream of notices and writes it again.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_notices(data: *const u8, length: usize) -> u64 {
    // SAFETY: the caller's promise.
    let mut bytes = unsafe { crate::bytes(data, length) };
    let (mut reader, mut sum) = (NoticeReader::new(), Sum::default());
    wire::begin_notices(&mut sum);
    while let Ok(Some(arrived)) = reader.read(&mut bytes) {
        match arrived {
            Arrived::Notice(notice) => drop(notice.append(&mut sum)),
            Arrived::Unknown(kind) => sum.extend([kind]),
        }
    }
    sum.0
}

/// Reads a leaf and writes it again.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_entry(data: *const u8, length: usize, leaf_hash: &mut [u8; 32]) -> u64 {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let mut sum = Sum::default();
    *leaf_hash = Hash::of_leaf(bytes).0;
    Entry::parse(bytes).map_or(0, |entry| {
        let _ = entry.append(&mut sum);
        sum.0 ^ entry.time().0
    })
}

/// Reads a token, computes the root it leads to and reads its claims.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_token(data: *const u8, length: usize, root: &mut [u8; 32]) -> bool {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let Ok(token) = UnverifiedToken::parse(bytes) else { return false };
    *root = token.root().unwrap_or_default().0;
    codec::parse::<Allow<'_>>(token.body).is_ok()
}

/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_token_text(
    data: *const u8,
    length: usize,
    buffer: &mut [u8; MAX_TOKEN_BYTES],
) -> usize {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let text = core::str::from_utf8(bytes).unwrap_or_default();
    token::parse_text(text, buffer).map_or(0, <[u8]>::len)
}

/// Writes a token.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_write_token(
    data: *const u8,
    length: usize,
    size: u64,
    index: u64,
    path: &[[u8; 32]; 56],
    signature: &[u8; 64],
    buffer: &mut [u8; MAX_TOKEN_BYTES],
) {
    // SAFETY: the caller's promise.
    let body = unsafe { crate::bytes(data, length) };
    let path = path.map(Hash);
    let out = &mut Buffer { free: buffer.iter_mut() };
    token::append(KeyId([1; 4]), TreeSize(size), LeafIndex(index), body, &path, signature, out);
}

/// Reads a note and the checkpoint in it, and writes the checkpoint again.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_note(data: *const u8, length: usize) -> usize {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let Ok(text) = core::str::from_utf8(bytes) else { return 0 };
    let Ok(note) = Note::parse(text) else { return 0 };
    let Ok(checkpoint) = Checkpoint::parse(note.text()) else { return 0 };
    checkpoint.text().map_or(0, |text| text.len() ^ note.signatures().len())
}

/// Grows a tree, stored and restored.
#[unsafe(no_mangle)]
pub extern "C" fn gate_frontier(
    size: u64,
    stored: &[[u8; 32]; 56],
    leaf: &[u8; 32],
    root: &mut [u8; 32],
) -> bool {
    let stored = stored.map(Hash);
    let subtrees = stored.get(..size.count_ones() as usize).unwrap_or_default();
    let Ok(mut frontier) = Frontier::restore(TreeSize(size), subtrees) else { return false };
    let grown = frontier.append(Hash(*leaf)).is_ok();
    *root = frontier.root().0;
    grown
}

/// Makes a range, its paths and its parts.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_range(
    data: *const u8,
    length: usize,
    start: u64,
    leaves: usize,
    size: u64,
    buffer: &mut [[u8; 32]; 512],
    root: &mut [u8; 32],
) -> usize {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let mut proof = heapless_proof(bytes);
    let proof = proof.as_mut_slice();
    let mut nodes = buffer.map(Hash);
    let Ok(range) = Range::new(LeafIndex(start), leaves, TreeSize(size), proof, &mut nodes) else { return 0 };
    *root = range.root().0;
    let path = range.path(LeafIndex(start)).map_or(0, |path| path.len());
    let part = range.proof(LeafIndex(start), leaves / 2).map_or(0, |proof| proof.len());
    path ^ part
}

/// The hashes in `bytes`, zeroes behind them.
fn heapless_proof(bytes: &[u8]) -> [Hash; MAX_RANGE_PROOF_HASHES] {
    let mut proof = [Hash([0; 32]); MAX_RANGE_PROOF_HASHES];
    for (to, from) in proof.iter_mut().zip(bytes.as_chunks::<32>().0) {
        *to = Hash(*from);
    }
    proof
}

/// Verifies an inclusion and a consistency proof.
///
/// # Safety
/// `data` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gate_proofs(
    data: *const u8,
    length: usize,
    old: u64,
    size: u64,
    root: &[u8; 32],
) -> bool {
    // SAFETY: the caller's promise.
    let bytes = unsafe { crate::bytes(data, length) };
    let (proof, root) = (heapless_proof(bytes), Hash(*root));
    let led = inclusion::root(root, LeafIndex(old), TreeSize(size), proof.iter().copied());
    let consistent = consistency::verify(TreeSize(old), root, TreeSize(size), root, &proof);
    led == Some(root) || consistent
}

/// What a number of a refusal means.
#[unsafe(no_mangle)]
pub extern "C" fn gate_refusal(number: u8) -> usize {
    Refusal::from_number(number).map_or(0, |refusal| refusal.name().len() ^ refusal.retry() as usize)
}
