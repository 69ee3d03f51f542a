//! FORMAT.md against the code: every number, name, limit and field that its tables give.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the functions beside the tests may fail as loudly as the tests"
)]

use std::collections::BTreeSet;
use std::path::Path;

use assent_proto::context::tag;
use assent_proto::entry::{Entry, EntryError, Kind, LEAF_LABEL, SALT_LABEL};
use assent_proto::hash::Hash;
use assent_proto::intent::DIGEST_LABEL;
use assent_proto::limits;
use assent_proto::note::KeyId;
use assent_proto::number::{Epoch, Timestamp, TreeSize};
use assent_proto::refusal::{Refusal, Retry};
use assent_proto::token::{HEAD_BYTES, TEXT_PREFIX, TokenError};
use assent_proto::verify::VerifyError;
use assent_proto::wire::{ALPN, Closure, KeyInUse, Notice, SignedCheckpoint, Standing, TICKET_LABEL};

#[expect(dead_code, reason = "few kinds of fields suffice here")]
mod cases;

const TEXT: &str = include_str!("../FORMAT.md");

/// The rows of the table whose first head cell is `head`, of a section; cells without blanks and backquotes around them.
fn table(section: &str, head: &str) -> Vec<Vec<String>> {
    let (_, rest) = TEXT.split_once(&format!("\n## {section} ")).expect("the section is there");
    let section = rest.split("\n## ").next().expect("it has a text");
    let (_, below) = section.split_once(&format!("\n| {head} |")).expect("the table is there");
    let rows = below.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    rows.map(cells).collect()
}

macro_rules! limits {
    ($($name:ident)+) => {
        [$((stringify!($name).to_owned(), limits::$name.to_string()),)+]
    };
}

#[test]
fn limits_are_those_of_the_code() {
    let code: BTreeSet<_> = limits!(
        MAX_FRAME_BYTES MAX_REPLY_BYTES MAX_BATCH_INTENTS MAX_TICKET_INTENTS MAX_INTENT_BYTES MAX_STRING_BYTES MAX_NAME_BYTES
        MAX_ID_BYTES MAX_CONTEXT_VALUES MAX_CONTEXT_DEPTH MAX_NAMED_POLICIES MAX_POLICY_ID_BYTES
        MAX_PRINCIPAL_BYTES MAX_BODY_BYTES MAX_ACT_SIGNATURES MAX_CHARTER_ACTIONS MAX_CHARTER_RESOURCES
        MAX_CHARTER_PRINCIPALS MAX_CHARTER_OPERATORS MAX_OPERATOR_LINE_BYTES MAX_REASON_BYTES MAX_WARRANT_WINDOW_S
        MAX_WARRANT_NAME_BYTES MAX_PROOF_BYTES MAX_RULINGS MAX_RULING_BYTES MAX_HEAD_BYTES MAX_ORIGIN_BYTES MAX_CHECKPOINT_BYTES
        MAX_COSIGNED_BYTES MAX_NOTE_BYTES
        MAX_NOTE_SIGNATURES MAX_TREE_SIZE MAX_TREE_HEIGHT MAX_PATH_HASHES MAX_RANGE_PROOF_HASHES
        MAX_NOTICE_BYTES MAX_TOKEN_BYTES MAX_SKEW_MS MAX_WINDOW_S MAX_BATCH_AGE_MS
    )
    .into();
    let told: BTreeSet<_> =
        table("2", "constant").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(told, code);
    // And the list above is that of the wall.
    let source = include_str!("../src/limits.rs").lines();
    let names = source.filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    assert_eq!(names.collect::<BTreeSet<_>>(), code.iter().map(|(name, _)| &**name).collect());
}

#[test]
fn refusals_are_those_of_the_code() {
    let code: Vec<_> = Refusal::ALL
        .iter()
        .map(|refusal| {
            let retry = match refusal.retry() {
                Retry::Never => "never",
                Retry::Later => "later",
                Retry::AfterOthers => "after others acted",
            };
            vec![refusal.number().to_string(), refusal.name().to_owned(), retry.to_owned()]
        })
        .collect();
    assert_eq!(table("6", "number"), code);
}

#[test]
fn kinds_are_those_of_the_code_and_reserved_where_there_is_no_body() {
    let rows = table("8", "number");
    assert_eq!(rows.len(), Kind::ALL.len());
    for (row, kind) in rows.iter().zip(Kind::ALL) {
        assert_eq!(row[..2], [kind.number().to_string(), format!("{kind:?}")]);
        let leaf = [LEAF_LABEL.as_slice(), &[kind.number()]].concat();
        let reserved = Entry::parse(&leaf) == Err(EntryError::Kind(kind.number()));
        assert_eq!(reserved, row[3] == "reserved", "{kind:?}");
    }
}

/// The names of the fields of a body, in order, as `Debug` gives them.
fn fields(entry: &Entry<'_>) -> String {
    let text = format!("{entry:#?}");
    let names = text.lines().filter_map(|line| {
        let name = line.strip_prefix("        ")?.split_once(':')?.0;
        name.starts_with(char::is_alphabetic).then_some(name)
    });
    names.collect::<Vec<_>>().join(", ")
}

#[test]
fn fields_of_entries_are_those_of_the_code_in_their_order() {
    let (rows, mut seen) = (table("8", "number"), BTreeSet::new());
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/entries.txt");
    let text = std::fs::read_to_string(vectors).expect("the vectors are there");
    for mut case in cases::File::parse(&text).cases {
        let leaf = case.bytes("leaf");
        if let Ok(entry) = Entry::parse(&leaf) {
            let number = usize::from(entry.kind().number());
            seen.insert(number);
            let told = rows[number - 1][3].replace("as Deny", &rows[1][3]);
            let told = told.split(", ").map(|field| field.split(' ').next().unwrap_or_default());
            assert_eq!(fields(&entry), told.collect::<Vec<_>>().join(", "), "{}", case.name);
        }
    }
    let with_body = rows.iter().filter(|row| row[3] != "reserved").count();
    assert_eq!(seen.len(), with_body, "each kind with a body has a vector");
}

#[test]
fn tags_of_values_are_those_of_the_code() {
    let code = [
        ("Bool", tag::BOOL),
        ("Long", tag::LONG),
        ("String", tag::STRING),
        ("Entity", tag::ENTITY),
        ("Set", tag::SET),
        ("Record", tag::RECORD),
        ("Decimal", tag::DECIMAL),
        ("Ip", tag::IP),
        ("Datetime", tag::DATETIME),
        ("Duration", tag::DURATION),
    ];
    let told: Vec<_> = table("4", "tag").into_iter().map(|row| (row[1].clone(), row[0].clone())).collect();
    let code: Vec<_> = code.iter().map(|(name, tag)| ((*name).to_owned(), tag.to_string())).collect();
    assert_eq!(told, code);
}

#[test]
fn labels_are_those_of_the_code() {
    let told: BTreeSet<_> =
        table("2", "label").into_iter().map(|row| row[0].replace("\\0", "\0").into_bytes()).collect();
    let code = [DIGEST_LABEL.to_vec(), LEAF_LABEL.to_vec(), SALT_LABEL.to_vec(), TICKET_LABEL.to_vec()];
    assert_eq!(told, BTreeSet::from(code));
    let hex: Vec<_> = LEAF_LABEL.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(TEXT.contains(&format!("        {}\n", hex.join(" "))));
    assert!(TEXT.contains(&format!("`{TEXT_PREFIX}`")));
    assert!(TEXT.contains(&format!("ALPN `{}`", String::from_utf8_lossy(ALPN))));
    assert!(TEXT.contains(&format!(" {HEAD_BYTES}            {HEAD_BYTES}+b ")));
}

#[test]
fn steps_of_verification_name_every_error_of_the_code() {
    let code = [
        VerifyError::Malformed(TokenError::Length),
        VerifyError::Body,
        VerifyError::UntrustedKey,
        VerifyError::Signature,
        VerifyError::Audience,
        VerifyError::Principal,
        VerifyError::TooEarly,
        VerifyError::Expired,
        VerifyError::Window,
        VerifyError::Epoch,
        VerifyError::Intent,
        VerifyError::Uses,
        VerifyError::Grounds,
        VerifyError::Warrant,
        VerifyError::WarrantUse,
        VerifyError::WarrantWindow,
        VerifyError::WarrantScope,
    ];
    let rows = table("12", "step");
    let told: BTreeSet<_> = rows.iter().map(|row| &*row[1]).collect();
    assert_eq!(told, code.map(VerifyError::kind).into());
    let steps: Vec<_> = rows.iter().map(|row| row[0].clone()).collect();
    assert_eq!(steps, (1..=rows.len()).map(|step| step.to_string()).collect::<Vec<_>>());
}

#[test]
fn kinds_of_notices_are_those_of_the_code() {
    let standing = Standing {
        time: Timestamp(0),
        origin: "o",
        epoch: Epoch(0),
        closed: Some(Closure::Integrity),
        lowest_epoch: Epoch(0),
    };
    let checkpoint = SignedCheckpoint {
        time: Timestamp(0),
        size: TreeSize(0),
        root: Hash::default(),
        key_id: KeyId([0; 4]),
        signature: [0; 64],
    };
    let key = KeyInUse { time: Timestamp(0), vkey: "" };
    let code = [
        (Notice::Standing(standing).kind(), "Standing", format!("{standing:?}")),
        (Notice::Checkpoint(checkpoint).kind(), "Checkpoint", format!("{checkpoint:?}")),
        (Notice::Key(key).kind(), "Key", format!("{key:?}")),
    ];
    let rows = table("16", "number");
    assert_eq!(rows.len(), code.len());
    for (row, (number, name, fields)) in rows.iter().zip(code) {
        assert_eq!(row[..2], [number.to_string(), name.to_owned()]);
        // Each field that the text gives stands in the code's debug text, in the text's order.
        let mut rest = &*fields;
        for field in row[3].split(", ").map(|field| field.split(' ').next().unwrap_or_default()) {
            let (_, behind) =
                rest.split_once(&format!(" {field}: ")).unwrap_or_else(|| panic!("{name}: {field}"));
            rest = behind;
        }
    }
}

#[test]
fn every_file_of_vectors_is_described() {
    let told: BTreeSet<_> = table("15", "`vectors`")
        .iter()
        .flat_map(|row| row[0].split(", ").map(|kind| kind.trim_matches('`').to_owned()).collect::<Vec<_>>())
        .collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    let kinds = std::fs::read_dir(folder).expect("the directory is there").map(|entry| {
        let path = entry.expect("the directory can be listed").path();
        cases::File::parse(&std::fs::read_to_string(path).expect("vectors are text")).kind
    });
    assert_eq!(told, kinds.collect());
}

#[test]
fn steps_fail_in_the_order_of_the_text() {
    let results = |file: &str, name: &str| {
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(file);
        let text = std::fs::read_to_string(vectors).expect("the vectors are there");
        let cases = cases::File::parse(&text).cases.into_iter();
        let ordered = cases.filter(|case| case.name.starts_with(name));
        let told =
            ordered.map(|mut case| case.text("result").split(' ').next().unwrap_or_default().to_owned());
        told.collect::<Vec<_>>()
    };
    // The one file ends where the grounds are the policies, the other begins with a warrant that is not accepted.
    let mut in_order = results("tokens.txt", "all is wrong but the first");
    assert_eq!(in_order.pop().as_deref(), Some("ok"));
    let under_warrants = results("warrant-tokens.txt", "the last steps are wrong but the first");
    assert_eq!(in_order.last(), under_warrants.first());
    in_order.extend_from_slice(&under_warrants[1..]);
    // A path of the right length leads to a root, and what has expired cannot also be too early.
    let rows = table("12", "step").into_iter().filter(|row| row[0] != "2" && row[1] != "too_early");
    let told = rows.map(|row| row[1].clone()).chain(["ok".to_owned()]);
    assert_eq!(in_order, told.collect::<Vec<_>>());
}
