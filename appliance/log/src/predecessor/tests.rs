//! Statements byte for byte, and logs that fit them or do not.

use super::*;
use crate::tests::{ORIGIN, Scratch};

const NEXT: &str = "localhost/test/log/2";

fn key(name: &str) -> String {
    let seed = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    VerifierKey::new(name, seed.verifying_key().as_bytes()).unwrap().to_string()
}

fn statement(log: Head, fence: Head, hsm: Head) -> Statement {
    let (from, to, reason) = (ORIGIN.to_owned(), NEXT.to_owned(), "the key left the house".to_owned());
    Statement { from, key: key(&to), to, log, fence, hsm, reason }
}

/// A log of so many signed rounds of two entries, and its head.
fn log(rounds: u64, seed: u64) -> (Scratch, crate::Log, Head) {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    (0..rounds).for_each(|round| scratch.append(&mut log, seed + round, true));
    let head = Head::of(ORIGIN, log.signed());
    (scratch, log, head)
}

#[test]
fn statements_are_these_bytes_and_lead_back() {
    let (_scratch, _log, head) = log(2, 0);
    let Head::Signed { note, root, .. } = &head else { panic!("{head:?}") };
    let blob = note.trim_end().rsplit(' ').next().unwrap();
    let statement = statement(head.clone(), Head::None, Head::Unread);
    let root = Checkpoint { origin: ORIGIN, size: TreeSize(4), root: *root }.text().unwrap();
    let root = root.lines().nth(2).unwrap();
    let expected = format!(
        "assent/succession/v1\nfrom {ORIGIN}\nto {NEXT}\nkey {}\nlog 4 {root} {blob}\nfence none\nhsm unread\nreason the key left the house\n",
        key(NEXT)
    );
    assert_eq!(statement.to_string(), expected);
    assert_eq!(Statement::parse(&expected), Some(statement));
    for (from, to) in [
        ("/v1\n", "/v2\n"),
        ("reason ", "because "),
        ("reason the", "reason  the"),
        ("key left", "key\nleft"),
        ("log 4 ", "log 04 "),
        ("fence none", "fence nothing"),
        ("to localhost", "to otherhost"),
        ("house\n", "house"),
        ("house\n", "house\n\n"),
    ] {
        let altered = expected.replace(from, to);
        assert_ne!(altered, expected, "{from}");
        assert_eq!(Statement::parse(&altered), None, "{altered}");
    }
}

#[test]
fn a_head_verifies_under_the_key_that_signed_it_and_no_other() {
    let (scratch, log, head) = log(1, 0);
    let statement = statement(head, Head::None, Head::Unread);
    let signing = log.keys().signing().verifier_key().unwrap();
    assert!(statement.unverified(&[signing]).is_empty());
    assert_eq!(statement.unverified(&[]), ["log"]);
    let other = key(ORIGIN);
    assert_eq!(statement.unverified(&[VerifierKey::parse(&other).unwrap()]), ["log"]);
    drop(scratch);
}

#[test]
fn heads_agree_lie_ahead_or_contradict() {
    let (_a, older, older_head) = log(2, 0);
    let (_b, _newer, newer_head) = log(4, 0);
    let (_c, _forked, forked_head) = log(2, 50);
    let put_back = statement(older_head.clone(), older_head.clone(), newer_head);
    let fit = put_back.fits(&older.reader()).unwrap();
    let expected = Fit { agreed: vec!["log", "fence"], ahead: vec!["hsm"], ..Fit::default() };
    assert_eq!(fit, expected);
    let fit = statement(older_head, forked_head, Head::None).fits(&older.reader()).unwrap();
    assert_eq!((fit.agreed, fit.contradicted, fit.wrong.len()), (vec!["log"], vec!["fence"], 0));
}

#[test]
fn a_log_that_went_on_or_is_another_does_not_fit() {
    let (_a, _older, older_head) = log(2, 0);
    let (_b, newer, _) = log(4, 0);
    let (_c, forked, _) = log(2, 50);
    let named = statement(older_head, Head::None, Head::None);
    let wrong = |log: &crate::Log| named.fits(&log.reader()).unwrap().wrong.join("; ");
    assert!(wrong(&newer).contains("it went on to 8 signed leaves"), "{}", wrong(&newer));
    assert!(wrong(&forked).contains("leads to none"), "{}", wrong(&forked));
    let elsewhere = Statement { from: "localhost/other/log/1".to_owned(), ..named.clone() };
    let told = elsewhere.fits(&newer.reader()).unwrap().wrong.join("; ");
    assert!(told.contains("`localhost/other/log/1`"), "{told}");
}

#[test]
fn a_log_of_which_no_place_knew_a_checkpoint_has_none() {
    let (_a, used, _) = log(2, 0);
    let (_b, unused, _) = log(0, 0);
    let told = |heads: [Head; 3], log: &crate::Log| {
        let [log_head, fence, hsm] = heads;
        statement(log_head, fence, hsm).fits(&log.reader()).unwrap().wrong.join("; ")
    };
    let none = || [Head::None, Head::None, Head::None];
    assert_eq!(told(none(), &unused), "");
    let went_on = told(none(), &used);
    assert!(
        went_on.contains("it went on to 4 signed leaves; the last head that was known covers 0"),
        "{went_on}"
    );
    assert_eq!(told([Head::Unread, Head::None, Head::Unread], &used), "", "nobody knows");
}

#[test]
fn a_reason_is_one_plain_line() {
    assert!(is_reason("the HSM was stolen"));
    for bad in ["", " x", "x ", "two\nlines", "tab\t", &"x".repeat(MAX_SUCCESSION_REASON_BYTES + 1)] {
        assert!(!is_reason(bad), "{bad:?}");
    }
}

#[test]
fn a_key_of_the_old_log_is_known_under_its_new_name() {
    let of_old = |seed: u8| {
        let seed = ed25519_dalek::SigningKey::from_bytes(&[seed; 32]);
        VerifierKey::new(ORIGIN, seed.verifying_key().as_bytes()).unwrap()
    };
    // Its key is of seed 9.
    let statement = statement(Head::None, Head::Unread, Head::Unread);
    assert!(!statement.is_for_one_of(&[of_old(1), of_old(2)]));
    assert!(statement.is_for_one_of(&[of_old(1), of_old(9)]));
}
