//! The limits, from both sides: what is exactly as large as it may be is taken, what is one larger is refused.

#![expect(clippy::unwrap_used, reason = "the functions beside the tests may fail as loudly as the tests")]

use assent_proto::checkpoint::check_origin;
use assent_proto::codec::{self, CodecError, Cursor};
use assent_proto::context::{Context, tag};
use assent_proto::entry::{Entry, EntryError, KeyAdded, Kind, LEAF_LABEL, Salt};
use assent_proto::hash::Hash;
use assent_proto::intent::{Act, Intent, IntentError, OnUnavailable, Terms};
use assent_proto::limits::{
    MAX_BATCH_AGE_MS, MAX_BATCH_INTENTS, MAX_BODY_BYTES, MAX_CONTEXT_DEPTH, MAX_CONTEXT_VALUES,
    MAX_FRAME_BYTES, MAX_ID_BYTES, MAX_INTENT_BYTES, MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_ORIGIN_BYTES,
    MAX_REPLY_BYTES, MAX_SKEW_MS, MAX_STRING_BYTES, MAX_TREE_SIZE,
};
use assent_proto::note::{KeyId, Note, NoteError, NoteSignature, VerifierKey};
use assent_proto::number::{LeafIndex, Timestamp, TreeSize};
use assent_proto::token::{self, TokenError, UnverifiedToken};
use assent_proto::tree::inclusion;
use assent_proto::wire::{self, BatchId, Reply, Request, RequestError};

fn string(bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    codec::append_bytes(&vec![b'x'; bytes], &mut out);
    out
}

/// A context of one attribute with this value.
fn context(value: &[u8]) -> Vec<u8> {
    [&[1, 1, b'k'], value].concat()
}

fn taken(context: &[u8]) -> Result<(), CodecError> {
    Context::read(&mut Cursor::new(context)).map(|read| assert_eq!(read.bytes(), context))
}

fn intent(context: &[u8], audience: usize) -> Vec<u8> {
    let audience = "a".repeat(audience);
    let terms = Terms {
        audience: &audience,
        window_s: None,
        uses: None,
        priority: None,
        on_unavailable: OnUnavailable::Fail,
    };
    let mut out = [&[1, b'A', 1, b'a', 1, b'R', 1, b'r'], context].concat();
    codec::append(&terms, &mut out).unwrap();
    out
}

#[test]
fn names_and_ids() {
    let act = |name: usize, id: usize| [string(name), string(id), string(0), string(0), vec![0]].concat();
    assert!(Act::parse(&act(MAX_NAME_BYTES, MAX_ID_BYTES)).is_ok());
    assert_eq!(Act::parse(&act(MAX_NAME_BYTES + 1, 0)), Err(CodecError::TooLong));
    assert_eq!(Act::parse(&act(0, MAX_ID_BYTES + 1)), Err(CodecError::TooLong));
    assert!(Intent::parse(&intent(&[0], MAX_NAME_BYTES)).is_ok());
    assert_eq!(Intent::parse(&intent(&[0], MAX_NAME_BYTES + 1)), Err(IntentError::TooLarge));
    let key = |bytes: usize| [&[1][..], &string(bytes), &[tag::BOOL, 0]].concat();
    assert_eq!(taken(&key(MAX_NAME_BYTES)), Ok(()));
    assert_eq!(taken(&key(MAX_NAME_BYTES + 1)), Err(CodecError::TooLong));
}

#[test]
fn strings_values_and_depth_of_a_context() {
    let text = |bytes: usize| context(&[&[tag::STRING], &*string(bytes)].concat());
    assert_eq!(taken(&text(MAX_STRING_BYTES)), Ok(()));
    assert_eq!(taken(&text(MAX_STRING_BYTES + 1)), Err(CodecError::TooLong));

    // A set is a value, and so is each of its elements.
    let set = |values: usize| {
        let mut bytes = vec![tag::SET];
        codec::append_varint(values as u64 - 1, &mut bytes);
        let elements = (0x80..=0xff_u8).flat_map(|low| (1..=9).map(move |high| [tag::LONG, low, high]));
        bytes.extend(elements.take(values - 1).flatten());
        context(&bytes)
    };
    assert_eq!(taken(&set(MAX_CONTEXT_VALUES)), Ok(()));
    assert_eq!(taken(&set(MAX_CONTEXT_VALUES + 1)), Err(CodecError::TooLong));

    let deep = |depth: usize| context(&[[tag::SET, 1].repeat(depth - 2), vec![tag::SET, 0]].concat());
    assert_eq!(taken(&deep(MAX_CONTEXT_DEPTH)), Ok(()));
    assert_eq!(taken(&deep(MAX_CONTEXT_DEPTH + 1)), Err(CodecError::TooLong));
}

#[test]
fn intents_frames_and_batches() {
    let of_size = |bytes: usize| {
        let both = |second: usize| {
            let first = [&[2, 1, b'a', tag::STRING], &*string(MAX_STRING_BYTES)].concat();
            intent(&[&*first, &[1, b'b', tag::STRING], &*string(second)].concat(), 1)
        };
        let rest = both(MAX_STRING_BYTES / 2).len() - MAX_STRING_BYTES / 2;
        both(bytes - rest)
    };
    assert_eq!(of_size(MAX_INTENT_BYTES).len(), MAX_INTENT_BYTES);
    assert!(Intent::parse(&of_size(MAX_INTENT_BYTES)).is_ok());
    assert_eq!(Intent::parse(&of_size(MAX_INTENT_BYTES + 1)), Err(IntentError::TooLarge));

    let batch = |count: usize| {
        let mut frame = Vec::new();
        wire::begin_request(BatchId([0; 16]), count, &mut frame);
        (0..count).for_each(|_| wire::push_intent(&intent(&[0], 1), &mut frame));
        frame
    };
    assert_eq!(Request::parse(&batch(MAX_BATCH_INTENTS)).unwrap().intents().count(), MAX_BATCH_INTENTS);
    let refused = |frame: &[u8]| Request::parse(frame).unwrap_err();
    assert_eq!(refused(&batch(MAX_BATCH_INTENTS + 1)), RequestError::Frame(CodecError::TooLong));
    assert_eq!(refused(&vec![1; MAX_FRAME_BYTES + 1]), RequestError::Frame(CodecError::TooLong));
    assert_ne!(refused(&vec![1; MAX_FRAME_BYTES]), RequestError::Frame(CodecError::TooLong));
    assert_eq!(Reply::parse(&vec![0; MAX_REPLY_BYTES + 1]).unwrap_err(), CodecError::TooLong);
    assert_eq!(Reply::parse(&vec![2; MAX_REPLY_BYTES]).unwrap_err(), CodecError::Malformed);
}

#[test]
fn bodies_of_entries_and_tokens() {
    let leaf = |bytes: usize| {
        let vkey = "k".repeat(bytes - 16 - 1 - 2);
        let mut leaf = Vec::new();
        let key = KeyAdded { salt: Salt::default(), time: Timestamp(0), vkey: &vkey };
        Entry::Key(key).append(&mut leaf).unwrap();
        assert_eq!(leaf.len(), LEAF_LABEL.len() + 1 + bytes);
        Entry::parse(&leaf).map(|entry| entry.kind())
    };
    assert_eq!(leaf(MAX_BODY_BYTES), Ok(Kind::Key));
    assert_eq!(leaf(MAX_BODY_BYTES + 1), Err(EntryError::Body(CodecError::TooLong)));

    let token = |body: usize, size: u64| {
        let (size, index) = (TreeSize(size), LeafIndex(0));
        let path = vec![Hash::default(); inclusion::path_length(index, size).unwrap()];
        let mut bytes = Vec::new();
        token::append(KeyId([0; 4]), size, index, &vec![0; body], &path, &[0; 64], &mut bytes);
        UnverifiedToken::parse(&bytes).map(|token| token.body.len())
    };
    assert_eq!(token(MAX_BODY_BYTES, 1), Ok(MAX_BODY_BYTES));
    assert_eq!(token(MAX_BODY_BYTES + 1, 1), Err(TokenError::Length));
    assert_eq!(token(0, MAX_TREE_SIZE - 1), Ok(0));
    assert_eq!(token(0, MAX_TREE_SIZE), Err(TokenError::Index));
}

#[test]
fn notes_and_names_of_keys() {
    let line = NoteSignature { name: "log", id: KeyId([0; 4]), signature: [0; 64] }.to_string();
    let note = |bytes: usize| {
        let note = format!("{}\n\n{line}", "x".repeat(bytes - 2 - line.len()));
        assert_eq!(note.len(), bytes);
        Note::parse(&note).map(|note| note.signatures().len())
    };
    assert_eq!(note(MAX_NOTE_BYTES), Ok(1));
    assert_eq!(note(MAX_NOTE_BYTES + 1), Err(NoteError::TooLong));

    let mut three = [0; 32];
    three[0] = 3;
    let (name, longer) = ("o".repeat(MAX_ORIGIN_BYTES), "o".repeat(MAX_ORIGIN_BYTES + 1));
    assert!(check_origin(&name).is_ok() && VerifierKey::new(&name, &three).is_ok());
    assert!(check_origin(&longer).is_err() && VerifierKey::new(&longer, &three).is_err());
}

#[test]
fn age_of_batch_ids() {
    let made = Timestamp(1_790_000_000_000);
    let id = BatchId::new(made, [7; 10]);
    assert_eq!((id.time(), &id.0[6..]), (made, &[7; 10][..]));
    assert!(id.is_current(made));
    assert!(id.is_current(made.minus_ms(MAX_SKEW_MS)));
    assert!(!id.is_current(made.minus_ms(MAX_SKEW_MS + 1)));
    assert!(id.is_current(made.plus_ms(MAX_BATCH_AGE_MS)));
    assert!(!id.is_current(made.plus_ms(MAX_BATCH_AGE_MS + 1)));
}
