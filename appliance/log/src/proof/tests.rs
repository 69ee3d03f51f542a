//! What is no proof, and what nodes a proof asks for.

use std::convert::Infallible;

use assent_proto::cosignature::{self, Cosignature, WitnessKey};
use assent_proto::note::{NoteError, NoteSignature, VerifierKey};
use ed25519_dalek::{Signer as _, SigningKey};

use super::*;
use crate::limits::MAX_PROOF_BYTES;

const TEXT: &str = "log.test/a\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";

fn signed(seed: u8, name: &str) -> String {
    let signing = SigningKey::from_bytes(&[seed; 32]);
    let key = VerifierKey::new(name, signing.verifying_key().as_bytes()).unwrap();
    let signature = signing.sign(TEXT.as_bytes()).to_bytes();
    NoteSignature { name, id: key.id(), signature }.to_string()
}

fn key(seed: u8, name: &'static str) -> VerifierKey<'static> {
    VerifierKey::new(name, SigningKey::from_bytes(&[seed; 32]).verifying_key().as_bytes()).unwrap()
}

#[test]
fn there_is_no_proof_of_what_is_not_there() {
    let node = |_, _| -> Result<Hash, Infallible> { panic!("no node is asked for") };
    assert_eq!(inclusion(LeafIndex(3), TreeSize(3), node), Ok(None));
    assert_eq!(inclusion(LeafIndex(0), TreeSize(0), node), Ok(None));
    assert_eq!(inclusion(LeafIndex(0), TreeSize(1), node), Ok(Some(Vec::new())));
    assert_eq!(consistency(TreeSize(4), TreeSize(3), node), Ok(None));
    assert_eq!(consistency(TreeSize(1), TreeSize(0), node), Ok(None));
    for (old, size) in [(0, 0), (0, 9), (9, 9)] {
        assert_eq!(consistency(TreeSize(old), TreeSize(size), node), Ok(Some(Vec::new())), "{old} {size}");
    }
    let one = [Hash::default()];
    for (size, level, first) in [(3, 0, 3), (3, 1, 1), (0, 0, 0), (u64::MAX, 64, 0), (9, 0, u64::MAX)] {
        assert_eq!(root_over(TreeSize(size), level, first, &one, node), Ok(None), "{size} {level} {first}");
    }
    assert_eq!(root_over(TreeSize(3), 0, 0, &[], node), Ok(None));
}

#[test]
fn only_perfect_subtrees_that_the_tree_has_are_asked_for() {
    for size in 1..=130_u64 {
        let node = |level: u32, index: u64| {
            assert!((index + 1) << level <= size, "level {level} number {index} of {size}");
            Ok::<_, Infallible>(Hash::default())
        };
        for other in 0..size {
            let _ = inclusion(LeafIndex(other), TreeSize(size), node);
            let _ = consistency(TreeSize(other), TreeSize(size), node);
            let _ = root_over(TreeSize(size), 0, other, &[Hash::default()], node);
        }
    }
}

#[test]
fn an_error_of_the_source_is_the_error_of_the_proof() {
    let node = |_, _| Err("torn");
    assert_eq!(inclusion(LeafIndex(0), TreeSize(2), node), Err("torn"));
    assert_eq!(consistency(TreeSize(1), TreeSize(2), node), Err("torn"));
    assert_eq!(root(TreeSize(2), node), Err("torn"));
    assert_eq!(root_over(TreeSize(2), 0, 0, &[Hash::default()], node), Err("torn"));
}

#[test]
fn other_forms_of_a_proof_are_refused() {
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let good = format!("c2sp.org/tlog-proof@v1\nextra AAE=\nindex 0\n{hash}\n\n{TEXT}\n");
    let proof = InclusionProof::parse(&good).unwrap();
    assert_eq!(
        (proof.extra.as_deref(), proof.path.len(), proof.note.len()),
        (Some(&[0, 1][..]), 1, TEXT.len() + 1)
    );
    let many = format!("{hash}\n").repeat(57);
    for bad in [
        good.replace("@v1", "@v2"),
        good.replace("index 0", "index 00"),
        good.replace("index 0", "index +1"),
        good.replace("index 0", "index 72057594037927936"),
        good.replace("index 0\n", ""),
        good.replace("AAE=", "AAE"),
        good.replace("AAE=", "AAF="),
        good.replace(hash, "47DE"),
        good.replace(hash, &hash.replace('=', "==")),
        good.replace(&format!("{hash}\n\n"), &format!("{many}\n")),
        format!("c2sp.org/tlog-proof@v1\nindex 0\n{hash}\n"),
        String::new(),
    ] {
        assert_eq!(InclusionProof::parse(&bad), Err(ProofError::Malformed), "{bad}");
    }
    assert_eq!(InclusionProof::parse(&"x".repeat(MAX_PROOF_BYTES + 1)), Err(ProofError::TooLong));
    for bad in ["", "old 1", "old 01\n\nnote", "old 1\nhash\n\nnote", "new 1\n\nnote", &many] {
        assert_eq!(ConsistencyProof::parse(bad), Err(ProofError::Malformed), "{bad}");
    }
    let most = format!("old 1\n{}\nnote", format!("{hash}\n").repeat(63));
    assert_eq!(ConsistencyProof::parse(&most).map(|proof| proof.path.len()), Ok(63));
    let more = format!("old 1\n{}\nnote", format!("{hash}\n").repeat(64));
    assert_eq!(ConsistencyProof::parse(&more), Err(ProofError::Malformed));
}

#[test]
fn a_note_is_opened_by_a_key_of_its_origin_only() {
    let note = format!("{TEXT}\n{}", signed(1, "log.test/a"));
    let checkpoint = opened(&note, [key(2, "log.test/a"), key(1, "log.test/a")]).unwrap();
    assert_eq!((checkpoint.origin, checkpoint.size), ("log.test/a", TreeSize(1)));
    assert_eq!(opened(&note, [key(2, "log.test/a")]), Err(NoteError::Unsigned.into()));
    assert_eq!(opened(&note, [key(1, "log.test/b")]), Err(NoteRefusal::Unknown));
    let by_another = format!("{TEXT}\n{}", signed(1, "log.test/b"));
    assert_eq!(opened(&by_another, [key(1, "log.test/b")]), Err(NoteRefusal::Unknown));
    let altered = note.replace("\n1\n", "\n2\n");
    assert_eq!(opened(&altered, [key(1, "log.test/a")]), Err(NoteError::Signature.into()));
}

#[test]
fn cosignatures_are_found_and_a_wrong_one_is_told() {
    let signing = SigningKey::from_bytes(&[3; 32]);
    let witness = WitnessKey::new("w", signing.verifying_key().as_bytes()).unwrap();
    let signature = signing.sign(cosignature::message(9, TEXT).unwrap().as_bytes()).to_bytes();
    let line = Cosignature { name: "w", id: witness.id(), time_s: 9, signature };
    let note = format!("{TEXT}\n{}{line}", signed(1, "log.test/a"));
    let found = cosigned_by(&note, &[witness]).unwrap();
    assert_eq!(found, [Cosigned { witness: "w".to_owned(), time_s: 9 }]);
    let other = WitnessKey::new("v", signing.verifying_key().as_bytes()).unwrap();
    assert_eq!(cosigned_by(&note, &[other]), Ok(Vec::new()));
    let altered = note.replace("\n1\n", "\n2\n");
    assert_eq!(cosigned_by(&altered, &[witness]), Err(NoteError::Signature.into()));
}
