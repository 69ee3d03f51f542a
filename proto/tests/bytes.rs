//! One value, one encoding: whatever bytes are taken, encoding what they mean gives them back, and no bytes panic.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the functions beside the tests may fail as loudly as the tests"
)]

use assent_proto::checkpoint::Checkpoint;
use assent_proto::codec::{CodecError, Cursor};
use assent_proto::context::Context;
use assent_proto::entry::{Allow, Entry, Grounds, Policies, Salt};
use assent_proto::hash::Hash;
use assent_proto::intent::{Act, Intent, Uid};
use assent_proto::limits::{
    MAX_BATCH_INTENTS, MAX_ID_BYTES, MAX_NAME_BYTES, MAX_NAMED_POLICIES, MAX_POLICY_ID_BYTES,
    MAX_PRINCIPAL_BYTES, MAX_RANGE_PROOF_HASHES, MAX_RULING_BYTES, MAX_RULINGS, MAX_TOKEN_BYTES,
};
use assent_proto::note::{KeyId, Note, VerifierKey};
use assent_proto::number::{Epoch, LeafIndex, Timestamp, TreeSize};
use assent_proto::refusal::Refusal;
use assent_proto::token::{self, UnverifiedToken};
use assent_proto::tree::inclusion;
use assent_proto::wire::{self, BatchId, Head, Notice, Reply, Request, Ruling, Sealing, Verdict};
use proptest::prelude::*;

mod samples;
mod values;

use samples::{damaged, damages, intents, parts};
use values::{contexts, encoded, walked};

/// The intent's encoding, made again from nothing but what was parsed.
fn intent_again(intent: &Intent<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    intent.act.action.append(&mut bytes);
    intent.act.resource.append(&mut bytes);
    bytes.extend(encoded(&walked(&intent.act.context)));
    assert_eq!(bytes, intent.act.bytes());
    bytes.extend(encoded(&intent.terms));
    bytes
}

fn request_again(request: &Request<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::begin_request(request.batch(), request.intents().len(), &mut bytes);
    for (intent, _) in request.intents() {
        wire::push_intent(&intent_again(&intent), &mut bytes);
    }
    bytes
}

fn reply_again(reply: &Reply<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match reply {
        Reply::Refused(refusal) => wire::append_refused(*refusal, &mut bytes),
        Reply::Decided(decided) => {
            let rulings: Vec<_> = decided.rulings().map(|ruling| ruling.expect("it was parsed")).collect();
            let outcomes: Vec<_> = decided.outcomes().map(|outcome| outcome as u16).collect();
            wire::begin_decided(&decided.head, rulings.iter(), &outcomes, &mut bytes)
                .expect("what fitted a frame fits again");
            wire::append_sealing(decided.sealing.as_ref(), &mut bytes);
        }
    }
    bytes
}

fn entry_again(entry: &Entry<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    entry.append(&mut bytes).expect("a vector takes all bytes");
    bytes
}

fn token_again(token: &UnverifiedToken<'_>, bytes: &[u8]) -> Vec<u8> {
    let path = &bytes[token::HEAD_BYTES + token.body.len()..bytes.len() - 64];
    let path: Vec<_> = path.as_chunks::<32>().0.iter().copied().map(Hash).collect();
    let mut again = Vec::new();
    token::append(token.key_id, token.size, token.index, token.body, &path, &token.signature, &mut again);
    again
}

fn stream(notices: &[Notice<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::begin_notices(&mut bytes);
    notices.iter().for_each(|notice| notice.append(&mut bytes).expect("what was read can be written"));
    bytes
}

/// Every parser takes the bytes; whatever it makes of them must lead back to them.
fn check_all_parsers(bytes: &[u8]) {
    if let Ok(intent) = Intent::parse(bytes) {
        assert_eq!(intent_again(&intent), bytes);
    }
    if let Ok(act) = Act::parse(bytes) {
        assert_eq!(act.bytes(), bytes);
    }
    if let Ok(context) = Context::read(&mut Cursor::new(bytes)) {
        assert_eq!(encoded(&walked(&context)), context.bytes());
    }
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request_again(&request), bytes);
    }
    if let Ok(reply) = Reply::parse(bytes) {
        assert_eq!(reply_again(&reply), bytes);
    }
    if let Ok(entry) = Entry::parse(bytes) {
        assert_eq!(entry_again(&entry), bytes);
    }
    if let Ok(token) = UnverifiedToken::parse(bytes) {
        assert_eq!(token_again(&token, bytes), bytes);
    }
    if let Ok(notices) = wire::notices(bytes).collect::<Result<Vec<_>, _>>() {
        let again = stream(&notices);
        // Kinds that are not known leave nothing behind.
        assert!(again == bytes || again.len() < bytes.len());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_text_parsers(text);
    }
}

fn check_text_parsers(text: &str) {
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.text().as_deref(), Ok(text));
    }
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(note) = Note::parse(text) {
        let lines = note.signatures().iter().map(ToString::to_string);
        let ours = format!("{}\n{}", note.text(), lines.collect::<String>());
        assert!(note.signatures().len() < text.matches('\u{2014}').count() || ours == text);
    }
    let mut buffer = [0; MAX_TOKEN_BYTES];
    if let Ok(bytes) = token::parse_text(text, &mut buffer) {
        assert_eq!(token::Text(bytes).to_string(), text);
    }
}

#[test]
fn longest_answer_fits_a_reply() {
    let id = "p".repeat(MAX_POLICY_ID_BYTES);
    let mut policies: Policies<'_> = std::iter::repeat_n(&*id, MAX_NAMED_POLICIES).collect();
    policies.total = u32::MAX;
    let grounds = Grounds::Warrant { leaf: LeafIndex(u64::MAX), number: u16::MAX };
    let verdict = Verdict::Allow { window_s: u32::MAX, uses: u16::MAX, grounds };
    let ruling = Ruling { verdict, risk: i64::MIN, policies };
    assert_eq!(encoded(&ruling).len(), MAX_RULING_BYTES);
    let principal = "a".repeat(MAX_PRINCIPAL_BYTES);
    let (time, epoch, last) = (Timestamp(u64::MAX), Epoch(u64::MAX), MAX_BATCH_INTENTS as u16 - 1);
    let head = Head { time, epoch, bundle: Hash::default(), salt: Salt::default(), principal: &principal };
    let sealing = Sealing {
        first: LeafIndex(u64::MAX),
        size: TreeSize(u64::MAX),
        key_id: KeyId([0; 4]),
        signature: [0; 64],
        proof: std::iter::repeat_n(Hash::default(), MAX_RANGE_PROOF_HASHES).collect(),
    };
    let rulings = vec![ruling; MAX_RULINGS];
    let mut frame = Vec::new();
    wire::begin_decided(&head, rulings.iter(), &[last; MAX_BATCH_INTENTS], &mut frame).unwrap();
    wire::append_sealing(Some(&sealing), &mut frame);
    let Ok(Reply::Decided(decided)) = Reply::parse(&frame) else {
        panic!("{} bytes are refused", frame.len())
    };
    assert_eq!(decided.outcomes().len(), MAX_BATCH_INTENTS);
}

#[test]
fn longest_entry_fits_a_body() {
    let (name, id, policy) =
        ("n".repeat(MAX_NAME_BYTES), "i".repeat(MAX_ID_BYTES), "p".repeat(MAX_POLICY_ID_BYTES));
    let (principal, uid) = ("a".repeat(MAX_PRINCIPAL_BYTES), Uid { type_name: &name, id: &id });
    let (time, epoch) = (Timestamp(u64::MAX), Epoch(u64::MAX));
    let entry = Entry::Allow(Allow {
        salt: Salt::default(),
        time,
        epoch,
        bundle: Hash::default(),
        principal: &principal,
        audience: &name,
        action: uid,
        resource: uid,
        intent: Hash::default(),
        not_before: time,
        not_after: time,
        uses: u16::MAX,
        risk: i64::MIN,
        grounds: Grounds::Warrant { leaf: LeafIndex(u64::MAX), number: u16::MAX },
        policies: std::iter::repeat_n(&*policy, MAX_NAMED_POLICIES).collect(),
    });
    let bytes = entry_again(&entry);
    assert_eq!(Entry::parse(&bytes), Ok(entry));
}

#[test]
fn ruling_with_longer_policy_ids_than_there_are_is_not_written() {
    let id = "p".repeat(MAX_RULING_BYTES);
    let policies = [&*id].into_iter().collect();
    let ruling = Ruling { verdict: Verdict::Deny(Refusal::PolicyDenied), risk: 0, policies };
    let head = Head {
        time: Timestamp(0),
        epoch: Epoch(0),
        bundle: Hash::default(),
        salt: Salt::default(),
        principal: "",
    };
    let written = wire::begin_decided(&head, [ruling].iter(), &[0], &mut Vec::new());
    assert_eq!(written, Err(CodecError::TooLong));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn intent_leads_back_to_its_bytes(bytes in intents()) {
        let intent = Intent::parse(&bytes).unwrap();
        prop_assert_eq!(intent_again(&intent), bytes);
    }

    #[test]
    fn request_leads_back_to_its_bytes(
        batch in any::<[u8; 16]>(),
        intents in proptest::collection::vec(intents(), 1..6),
    ) {
        let mut bytes = Vec::new();
        wire::begin_request(BatchId(batch), intents.len(), &mut bytes);
        intents.iter().for_each(|intent| wire::push_intent(intent, &mut bytes));
        let request = Request::parse(&bytes).unwrap();
        let parsed: Vec<_> = request.intents().map(|(_, bytes)| bytes.to_vec()).collect();
        prop_assert_eq!(parsed, intents);
        prop_assert_eq!(request_again(&request), bytes);
    }

    #[test]
    fn reply_leads_back_to_its_bytes(
        head in parts(),
        rulings in proptest::collection::vec(parts(), 1..5),
        outcomes in proptest::collection::vec(any::<u16>(), 0..20),
        sealed in any::<bool>(),
    ) {
        let outcomes: Vec<_> = outcomes.iter().map(|outcome| outcome % rulings.len() as u16).collect();
        let rulings: Vec<_> = rulings.iter().map(samples::Parts::ruling).collect();
        let sealing = sealed.then(|| head.sealing());
        let mut bytes = Vec::new();
        wire::begin_decided(&head.head(), rulings.iter(), &outcomes, &mut bytes).unwrap();
        wire::append_sealing(sealing.as_ref(), &mut bytes);
        let reply = Reply::parse(&bytes).unwrap();
        prop_assert_eq!(reply_again(&reply), bytes.clone());
        let Reply::Decided(decided) = reply else { panic!("it was decided") };
        prop_assert_eq!(decided.head, head.head());
        prop_assert_eq!(&decided.sealing, &sealing);
        prop_assert!(decided.rulings().map(Result::unwrap).eq(rulings));
        prop_assert!(decided.outcomes().eq(outcomes.into_iter().map(usize::from)));
    }

    #[test]
    fn entry_leads_back_to_its_bytes(parts in parts()) {
        let bytes = entry_again(&parts.entry());
        prop_assert_eq!(Entry::parse(&bytes), Ok(parts.entry()));
    }

    #[test]
    fn token_leads_back_to_its_bytes(
        size in 1_u64..1 << 56,
        index in any::<u64>(),
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let (size, index) = (TreeSize(size), LeafIndex(index % size));
        let path = vec![Hash([3; 32]); inclusion::path_length(index, size).unwrap()];
        let mut bytes = Vec::new();
        token::append(KeyId([1; 4]), size, index, &body, &path, &[2; 64], &mut bytes);
        let token = UnverifiedToken::parse(&bytes).unwrap();
        prop_assert_eq!(token_again(&token, &bytes), bytes.clone());
        let text = token::Text(&bytes).to_string();
        let mut buffer = [0; MAX_TOKEN_BYTES];
        prop_assert_eq!(token::parse_text(&text, &mut buffer), Ok(&*bytes));
        check_all_parsers(&bytes);
    }

    #[test]
    fn damaged_notices_are_refused_or_lead_back(parts in parts(), damages in damages()) {
        let bytes = stream(&parts.notices());
        let read: Vec<_> = wire::notices(&bytes).map(Result::unwrap).collect();
        prop_assert_eq!(read, parts.notices());
        check_all_parsers(&bytes);
        check_all_parsers(&damaged(&bytes, &damages));
    }

    #[test]
    fn hand_written_reader_agrees_with_postcard(context in contexts()) {
        let bytes = encoded(&context);
        let mut cursor = Cursor::new(&bytes);
        let read = Context::read(&mut cursor).unwrap();
        prop_assert_eq!(cursor.end(), Ok(()));
        prop_assert_eq!(read.bytes(), &bytes);
        prop_assert_eq!(walked(&read), context);
    }

    #[test]
    fn record_in_another_order_is_refused(
        context in contexts().prop_filter("an order", |context| context.len() > 1),
    ) {
        let bytes = encoded(&context.into_iter().rev().collect::<values::Record>());
        prop_assert!(Context::read(&mut Cursor::new(&bytes)).is_err());
    }

    #[test]
    fn any_bytes_are_refused_or_lead_back(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check_all_parsers(&bytes);
    }

    #[test]
    fn small_bytes_are_refused_or_lead_back(bytes in proptest::collection::vec(0_u8..10, 0..60)) {
        check_all_parsers(&bytes);
    }

    #[test]
    fn damaged_intents_are_refused_or_lead_back(intent in intents(), damages in damages()) {
        let mut frame = Vec::new();
        wire::begin_request(BatchId([0; 16]), 1, &mut frame);
        wire::push_intent(&intent, &mut frame);
        check_all_parsers(&damaged(&intent, &damages));
        check_all_parsers(&damaged(&frame, &damages));
    }

    #[test]
    fn damaged_entries_and_replies_are_refused_or_lead_back(parts in parts(), damages in damages()) {
        check_all_parsers(&damaged(&entry_again(&parts.entry()), &damages));
        let mut frame = Vec::new();
        wire::begin_decided(&parts.head(), [parts.ruling()].iter(), &[0, 0], &mut frame).unwrap();
        wire::append_sealing(Some(&parts.sealing()), &mut frame);
        check_all_parsers(&damaged(&frame, &damages));
    }

    #[test]
    fn damaged_texts_are_refused_or_lead_back(damages in damages(), root in any::<[u8; 32]>(), size in any::<u64>()) {
        let checkpoint = Checkpoint { origin: "log.example/a/log/1", size: TreeSize(size), root: Hash(root) };
        let text = checkpoint.text().unwrap();
        let note = format!("{text}\n\u{2014} log.example/a/log/1 {}=\n", "A".repeat(91));
        let token = token::Text(&root).to_string();
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        for text in [&*text, &*note, &*token, vkey] {
            check_all_parsers(text.as_bytes());
            check_all_parsers(&damaged(text.as_bytes(), &damages));
        }
    }
}
