//! Vectors of break-glass: warrants that a verifier trusts, and entries against their statements.

use assent_proto::entry::Entry;
use assent_proto::entry::break_glass::ActError;
use assent_proto::note::VerifierKey;
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::verify::TrustedWarrant;

use crate::cases::Case;

/// A warrant as a line gives it, with the scope of this charter.
pub(crate) fn trusted_warrant<'c>(line: &'c str, charter: Option<&Entry<'c>>) -> TrustedWarrant<'c> {
    let [leaf, not_before, not_after, uses, origin, vkey] =
        line.split(' ').collect::<Vec<_>>().try_into().expect("a warrant has six parts");
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let Some(Entry::Charter(charter)) = charter else { panic!("a warrant has a charter") };
    TrustedWarrant {
        key: VerifierKey::parse(vkey).expect("the key is good"),
        origin,
        leaf: LeafIndex(number(leaf)),
        not_before: Timestamp(number(not_before)),
        not_after: Timestamp(number(not_after)),
        uses: uses.parse().expect("a number"),
        scope: charter.scope(),
    }
}

/// What is wrong with an entry of break-glass, and the statement that it makes.
#[expect(clippy::wildcard_enum_match_arm, reason = "the file has entries of three kinds")]
pub(crate) fn statements(case: &mut Case) -> (String, String) {
    let (leaf, origin) = (case.bytes("leaf"), case.text("origin"));
    let result = case.text("result");
    let mut statement = String::new();
    let checked = match Entry::parse(&leaf).expect("it parses") {
        Entry::Charter(charter) => {
            charter.write_statement(&origin, &mut statement).expect("it can be written");
            charter.check(&origin)
        }
        Entry::Warrant(warrant) => {
            let hash = case.hash("charter-hash");
            warrant.write_statement(&origin, hash, &mut statement).expect("it can be written");
            warrant.check(&origin, hash)
        }
        Entry::Review(review) => {
            review.write_statement(&origin, &mut statement).expect("it can be written");
            review.check(&origin)
        }
        other => panic!("no entry of break-glass: {other:?}"),
    };
    let outcome = match checked {
        Ok(()) => {
            assert_eq!(statement.as_bytes(), case.bytes("statement"));
            "ok".to_owned()
        }
        Err(ActError::Text(field)) => format!("text {field}"),
        Err(ActError::Bounds(field)) => format!("bounds {field}"),
        Err(ActError::Statement) => "statement".to_owned(),
    };
    (result, outcome)
}
