//! The test vectors: every file of the directory is understood, every case comes out as it says, every field is looked at.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the functions beside the tests may fail as loudly as the tests"
)]

use std::path::{Path, PathBuf};

use assent_proto::checkpoint::{Checkpoint, CheckpointError};
use assent_proto::codec::CodecError;
use assent_proto::entry::{Entry, EntryError};
use assent_proto::hash::Hash;
use assent_proto::intent::{Act, Intent, IntentError};
use assent_proto::limits::MAX_TOKEN_BYTES;
use assent_proto::note::{Note, NoteError, VerifierKey};
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::refusal::Refusal;
use assent_proto::token::{self, TokenError};
use assent_proto::verify::{CheckpointCache, Expected, TrustedKey, verify};
use assent_proto::wire::{
    self, BatchId, Frame, KeyInUse, Notice, Reply, RequestError, SignedCheckpoint, Standing, Ticket,
};

mod break_glass;
mod cases;
mod checks;
mod generator;
mod naive;

use cases::{Case, File};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

fn files() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder()).expect("the directory is there");
    let read = entries.map(|entry| {
        let entry = entry.expect("the directory can be listed");
        let text = std::fs::read_to_string(entry.path()).expect("vectors are text");
        (entry.file_name().into_string().expect("names are ascii"), text)
    });
    read.collect()
}

#[test]
fn every_case_of_every_file_comes_out_as_it_says() {
    let files = files();
    assert!(!files.is_empty());
    for (name, text) in files {
        let file = File::parse(&text);
        assert!(!file.cases.is_empty(), "{name} has no cases");
        let check = check_of(&file.kind).unwrap_or_else(|| panic!("{name}: nobody knows `{}`", file.kind));
        for mut case in file.cases {
            let label = format!("{name}: {}", case.name);
            let (expected, outcome) = check(&mut case);
            assert_eq!(outcome, expected, "{label}");
            case.end();
        }
    }
}

#[test]
fn making_the_files_again_gives_the_same_files() {
    let mut there = files();
    let mut made: Vec<_> = generator::all().into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    there.sort();
    made.sort();
    let names = |files: &[(String, String)]| files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&there), names(&made), "run `cargo run -p assent-proto --example make_vectors`");
    for (there, made) in there.iter().zip(&made) {
        assert!(there.1 == made.1, "{} is not what the generator makes", there.0);
    }
}

#[test]
fn every_error_of_verification_has_a_negative_vector() {
    let [policies, warrants] = ["tokens.txt", "warrant-tokens.txt"].map(|name| folder().join(name));
    let text = [policies, warrants].map(|path| std::fs::read_to_string(path).unwrap()).concat();
    let kinds = "malformed body untrusted_key signature audience principal too_early expired window epoch \
                 intent uses grounds warrant warrant_use warrant_window warrant_scope";
    for kind in kinds.split_whitespace() {
        assert!(text.contains(&format!("result: {kind}\n")), "no vector is refused for `{kind}`");
    }
}

/// What a case expects, and what came out.
type Outcome = (String, String);

fn check_of(kind: &str) -> Option<fn(&mut Case) -> Outcome> {
    Some(match kind {
        "tree-roots" => checks::tree_roots,
        "tree-inclusion" => checks::tree_inclusion,
        "tree-consistency" => checks::tree_consistency,
        "tree-ranges" => checks::tree_ranges,
        "intents" => intents,
        "requests" => checks::frames::requests,
        "traces" => checks::frames::traces,
        "replies" => replies,
        "tickets" => tickets,
        "entries" => entries,
        "statements" => break_glass::statements,
        "keys" => keys,
        "notes" => notes,
        "checkpoints" => checkpoints,
        "tokens" => tokens,
        "token-texts" => token_texts,
        "notices" => notices,
        _ => return None,
    })
}

fn ok_if(holds: bool) -> String {
    if holds { "ok" } else { "refused" }.to_owned()
}

fn tickets(case: &mut Case) -> Outcome {
    let expected = case.text("result");
    if expected != "ok" {
        let outcome = match Frame::parse(&case.bytes("frame")) {
            Err(RequestError::Frame(error)) => codec_error(error).to_owned(),
            other => format!("{other:?}"),
        };
        return (expected, outcome);
    }
    let batch = BatchId(case.bytes("batch").try_into().expect("an id has 16 bytes"));
    let ticket = Ticket::new(batch, case.parsed("position"), Timestamp(case.parsed("until")));
    let same = ticket.0.0.as_slice() == case.bytes("ticket")
        && ticket.to_string().parse() == Ok(ticket)
        && matches!(Frame::parse(&case.bytes("collect")), Ok(Frame::Collect(of)) if of == ticket)
        && matches!(Frame::parse(&case.bytes("cancel")), Ok(Frame::Cancel(of)) if of == ticket);
    (expected, ok_if(same))
}

fn codec_error(error: CodecError) -> &'static str {
    match error {
        CodecError::Truncated => "truncated",
        CodecError::Trailing => "trailing",
        CodecError::NotCanonical => "not-canonical",
        CodecError::Malformed => "malformed",
        CodecError::TooLong => "too-long",
    }
}

fn intent_error(error: IntentError) -> &'static str {
    match error {
        IntentError::TooLarge => "too-large",
        IntentError::Malformed(error) => codec_error(error),
    }
}

fn intents(case: &mut Case) -> Outcome {
    let bytes = case.bytes("intent");
    let result = case.text("result");
    let intent = match Intent::parse(&bytes) {
        Ok(intent) => intent,
        Err(error) => return (result, intent_error(error).to_owned()),
    };
    let (act, terms) = (&intent.act, &intent.terms);
    assert_eq!(act.digest().to_string(), case.text("digest"));
    let walk: Vec<_> = act.context.events().map(|event| format!("{:?}", event.unwrap())).collect();
    assert_eq!(ascii(&walk.join(" ")), case.text("context"));
    assert_eq!(terms.audience, case.text("audience"));
    assert_eq!(format!("{:?}", terms.window_s), case.text("window-s"));
    assert_eq!(format!("{:?}", terms.uses), case.text("uses"));
    assert_eq!(format!("{:?}", terms.priority), case.text("priority"));
    assert_eq!(format!("{:?}", terms.on_unavailable), case.text("on-unavailable"));
    (result, "ok".to_owned())
}

fn ascii(text: &str) -> String {
    let escaped =
        |letter: char| if letter.is_ascii() { letter.into() } else { letter.escape_unicode().to_string() };
    text.chars().map(escaped).collect()
}

fn numbered(refusal: Refusal) -> String {
    format!("{} {refusal}", refusal.number())
}

fn replies(case: &mut Case) -> Outcome {
    let frame = case.bytes("frame");
    let result = case.text("result");
    let decided = match Reply::parse(&frame) {
        Ok(Reply::Refused(refusal)) => {
            assert_eq!(numbered(refusal), case.text("refusal"));
            return (result, "ok".to_owned());
        }
        Ok(Reply::Decided(decided)) => decided,
        Err(error) => return (result, codec_error(error).to_owned()),
    };
    let outcomes: Vec<_> = decided.outcomes().collect();
    assert_eq!(format!("{outcomes:?}").replace(['[', ']', ','], ""), case.text("outcomes"));
    let sealing = decided.sealing.as_ref().expect("the case is sealed");
    assert_eq!(sealing.first.to_string(), case.text("first"));
    assert_eq!(sealing.size.to_string(), case.text("size"));
    assert_eq!(sealing.key_id.to_string(), case.text("key-id"));
    assert_eq!(sealing.signature.as_slice(), case.bytes("signature"));
    assert_eq!(&*sealing.proof, &*case.hashes("proof"));

    let (intents, leaves) = (case.all_bytes("intent"), case.all_bytes("leaf"));
    assert_eq!((intents.len(), leaves.len()), (outcomes.len(), outcomes.len()));
    let rulings: Vec<_> = decided.rulings().map(Result::unwrap).collect();
    for (position, (intent, leaf)) in (0..).zip(intents.iter().zip(leaves)) {
        let intent = Intent::parse(intent).unwrap();
        let ruling = rulings[outcomes[position as usize]].clone();
        let entry = ruling.entry(&decided.head, position, &intent, intent.act.digest());
        let mut bytes = Vec::new();
        entry.append(&mut bytes).unwrap();
        assert_eq!(bytes, leaf, "leaf {position}");
    }
    (result, "ok".to_owned())
}

fn entries(case: &mut Case) -> Outcome {
    let leaf = case.bytes("leaf");
    let outcome = match Entry::parse(&leaf) {
        Ok(entry) => {
            assert_eq!(entry.kind().number().to_string(), case.text("kind"));
            assert_eq!(entry.time().to_string(), case.text("time"));
            assert_eq!(Hash::of_leaf(&leaf), case.hash("leaf-hash"));
            "ok".to_owned()
        }
        Err(EntryError::Label) => "label".to_owned(),
        Err(EntryError::Kind(_)) => "kind".to_owned(),
        Err(EntryError::Body(error)) => format!("body {}", codec_error(error)),
    };
    (case.text("result"), outcome)
}

fn note_error(error: NoteError) -> String {
    let name = match error {
        NoteError::TooLong => "too-long",
        NoteError::Malformed => "malformed",
        NoteError::KeyName => "key-name",
        NoteError::Key => "key",
        NoteError::KeyId => "key-id",
        NoteError::Signature => "signature",
        NoteError::Unsigned => "unsigned",
    };
    name.to_owned()
}

fn keys(case: &mut Case) -> Outcome {
    let text = case.text("vkey");
    let outcome = match VerifierKey::parse(&text) {
        Ok(key) => {
            assert_eq!(key.to_string(), text);
            assert_eq!(key.name(), case.text("name"));
            assert_eq!(key.id().to_string(), case.text("key-id"));
            assert_eq!(key.key().as_bytes().as_slice(), case.bytes("key"));
            "ok".to_owned()
        }
        Err(error) => note_error(error),
    };
    (case.text("result"), outcome)
}

fn notes(case: &mut Case) -> Outcome {
    let (vkey, note) = (case.text("vkey"), case.bytes("note"));
    let key = VerifierKey::parse(&vkey).expect("the key is good");
    let text = case.optional("text").map(|_| ());
    let parsed = Note::parse(std::str::from_utf8(&note).expect("notes are UTF-8"));
    let outcome = parsed.and_then(|note| note.verify(&key).map(|()| note.text().len()));
    assert_eq!(outcome.is_ok(), text.is_some());
    (case.text("result"), outcome.map_or_else(note_error, |_| "ok".to_owned()))
}

fn checkpoints(case: &mut Case) -> Outcome {
    let text = String::from_utf8(case.bytes("text")).expect("checkpoints are UTF-8");
    let outcome = match Checkpoint::parse(&text) {
        Ok(checkpoint) => {
            assert_eq!(checkpoint.origin, case.text("origin"));
            assert_eq!(checkpoint.size.to_string(), case.text("size"));
            assert_eq!(checkpoint.root, case.hash("root"));
            assert_eq!(checkpoint.text().as_deref(), Ok(&*text));
            "ok"
        }
        Err(CheckpointError::Lines) => "lines",
        Err(CheckpointError::Origin) => "origin",
        Err(CheckpointError::Size) => "size",
        Err(CheckpointError::Root) => "root",
    };
    (case.text("result"), outcome.to_owned())
}

fn trusted(line: &str) -> TrustedKey<'_> {
    let mut parts = line.splitn(3, ' ');
    let mut next = || parts.next().expect("a key has three parts");
    let mut time = || Timestamp(next().parse().expect("a time"));
    let (not_before, not_after) = (time(), time());
    TrustedKey { key: VerifierKey::parse(next()).expect("the key is good"), not_before, not_after }
}

fn tokens(case: &mut Case) -> Outcome {
    let (keys, act, token) = (case.all("key"), case.bytes("act"), case.bytes("token"));
    let keys: Vec<_> = keys.iter().map(|line| trusted(line)).collect();
    let (audience, principal) = (case.text("audience"), case.optional("principal"));
    let (lines, charter) = (case.all("warrant"), case.optional("charter").map(|hex| cases::bytes(&hex)));
    let charter = charter.as_deref().map(|leaf| Entry::parse(leaf).expect("the charter parses"));
    let warrants: Vec<_> =
        lines.iter().map(|line| break_glass::trusted_warrant(line, charter.as_ref())).collect();
    let expected = Expected {
        keys: &keys,
        audience: &audience,
        act: &Act::parse(&act).expect("the act is good"),
        principal: principal.as_deref(),
        now: Timestamp(case.parsed("now")),
        skew_ms: case.parsed("skew-ms"),
        window_cap_ms: case.parsed("window-cap-ms"),
        lowest_epoch: Epoch(case.parsed("lowest-epoch")),
        break_glass: case.parsed("break-glass"),
        warrants: &warrants,
    };
    let mut cache = CheckpointCache::new();
    let mut once = || match verify(&token, &expected, &mut cache) {
        Ok(verified) => {
            let (origin, index) = verified.identity();
            format!("ok {origin} {index}")
        }
        Err(error) => error.kind().to_owned(),
    };
    let outcome = once();
    assert_eq!(once(), outcome, "a second look at {} differs", case.name);
    (case.text("result"), outcome)
}

fn token_texts(case: &mut Case) -> Outcome {
    let text = case.text("text");
    let mut buffer = [0; MAX_TOKEN_BYTES];
    let outcome = match token::parse_text(&text, &mut buffer) {
        Ok(bytes) => {
            assert_eq!(bytes, case.bytes("token"));
            assert_eq!(token::Text(bytes).to_string(), text);
            "ok"
        }
        Err(TokenError::Text) => "text",
        Err(TokenError::Length) => "length",
        Err(TokenError::Version) => "version",
        Err(TokenError::Index) => "index",
    };
    (case.text("result"), outcome.to_owned())
}

fn notices(case: &mut Case) -> Outcome {
    let (stream, mut told) = (case.bytes("stream"), Vec::new());
    let outcome = wire::notices(&stream).try_for_each(|notice| notice.map(|notice| told.push(line(&notice))));
    assert_eq!(told, case.all("notice"), "{}", case.name);
    (case.text("result"), outcome.map_or_else(codec_error, |()| "ok").to_owned())
}

fn line(notice: &Notice<'_>) -> String {
    match notice {
        Notice::Standing(Standing { time, origin, epoch, closed, lowest_epoch }) => {
            let open = closed.map_or_else(|| "open".to_owned(), |why| format!("{why:?}").to_lowercase());
            format!("standing {time} {origin} {epoch} {open} {lowest_epoch}")
        }
        Notice::Checkpoint(SignedCheckpoint { time, size, root, key_id, signature }) => {
            format!("checkpoint {time} {size} {root} {key_id} {}", generator::hex(signature))
        }
        Notice::Key(KeyInUse { time, vkey }) => format!("key {time} {vkey}"),
    }
}
