//! A passkey's signature against OpenSSH itself, and against every way in which it may not be one.

use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::{Quorum, QuorumError};

#[path = "../../../../tests/authenticator/mod.rs"]
mod authenticator;

use authenticator::{Authenticator, PRESENT, VERIFIED};

const RELYING_PARTY: &str = "console.example.org";
const ORIGIN: &str = "https://console.example.org:7745";
const NAMESPACE: &str = "assent-approval@v1";
const STATEMENT: &[u8] = b"assent/approval/v1\norigin localhost/assent/log/1\nanswer approve\n";

struct Person {
    authenticator: Authenticator,
    key: OperatorKey,
}

impl Person {
    fn new(name: &str) -> Self {
        let authenticator = Authenticator::new(ORIGIN);
        let key = OperatorKey::of_passkey(authenticator.point(), RELYING_PARTY, name).unwrap();
        Self { authenticator, key }
    }

    fn answer(&mut self, statement: &[u8]) -> Assertion {
        let challenge = challenge(NAMESPACE, statement).unwrap();
        let (authenticator_data, client_data, signature) =
            self.authenticator.assert(RELYING_PARTY, &challenge);
        Assertion { authenticator_data, client_data, signature }
    }

    fn asserted(&mut self) -> Result<Asserted, AssertionError> {
        let answer = self.answer(STATEMENT);
        self.key.asserted(ORIGIN, NAMESPACE, STATEMENT, &answer)
    }

    fn line(&self) -> String {
        format!("{} {}", self.key.line(), self.key.name())
    }
}

/// Whether the OpenSSH of this machine takes a signature of `name` over a statement.
fn openssh_takes(folder: &Path, person: &Person, text: &str, statement: &[u8]) -> bool {
    let (allowed, signature) = (folder.join("allowed"), folder.join("signature"));
    let name = person.key.name();
    std::fs::write(&allowed, format!("{name} {}\n", person.key.line())).unwrap();
    std::fs::write(&signature, text).unwrap();
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-n", NAMESPACE, "-I", name, "-f"]).arg(&allowed).arg("-s").arg(&signature);
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ssh-keygen runs");
    std::io::Write::write_all(&mut process.stdin.take().unwrap(), statement).unwrap();
    process.wait().unwrap().success()
}

#[test]
fn openssh_takes_what_a_passkey_asserted_and_no_other_statement() {
    let folder = tempfile::tempdir().unwrap();
    let mut alice = Person::new("alice");
    // Numbers are written shorter or longer than 32 bytes now and then: several signatures meet more of the cases.
    for _ in 0..16 {
        let Asserted { signature, counter } = alice.asserted().unwrap();
        assert_eq!(counter, alice.authenticator.counter);
        assert!(openssh_takes(folder.path(), &alice, &signature.text, STATEMENT), "{}", signature.text);
        assert!(!openssh_takes(folder.path(), &alice, &signature.text, b"another statement\n"));
        let quorum = Quorum::of_lines([alice.line().as_str()], 1).unwrap();
        assert_eq!(quorum.verify_one(NAMESPACE, STATEMENT, &signature), Ok(0));
        assert!(quorum.verify_one(NAMESPACE, b"another statement\n", &signature).is_err());
        let elsewhere = quorum.verify_one("assent-rearm@v1", STATEMENT, &signature);
        assert!(matches!(elsewhere, Err(QuorumError::Namespace { .. })), "{elsewhere:?}");
    }
    // The line of the key is one that OpenSSH reads, and its fingerprint is the same there.
    std::fs::write(folder.path().join("alice.pub"), alice.line()).unwrap();
    let shown = Command::new("ssh-keygen").arg("-lf").arg(folder.path().join("alice.pub")).output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains(&alice.key.fingerprint()));
}

#[test]
fn a_passkey_and_an_ssh_key_are_two_of_a_quorum() {
    let (mut alice, mut bob) = (Person::new("alice"), Person::new("bob"));
    let lines = [alice.line(), bob.line()];
    let quorum = Quorum::of_lines(lines.iter().map(String::as_str), 2).unwrap();
    let both = [alice.asserted().unwrap().signature, bob.asserted().unwrap().signature];
    assert_eq!(quorum.verify(NAMESPACE, STATEMENT, &both).unwrap().names(), ["alice", "bob"]);
    let twice = [alice.asserted().unwrap().signature, alice.asserted().unwrap().signature];
    assert!(matches!(quorum.verify(NAMESPACE, STATEMENT, &twice), Err(QuorumError::TooFew { .. })));
}

#[test]
fn an_assertion_is_refused_for_each_thing_that_is_wrong_with_it() {
    type Lie = fn(&mut Authenticator);
    let lies: [(Lie, AssertionError); 9] = [
        (|it| it.flags = VERIFIED, AssertionError::Absent),
        (|it| it.flags = PRESENT, AssertionError::Unverified),
        (|it| it.flags |= 0x40, AssertionError::Extensions),
        (|it| it.flags |= 0x80, AssertionError::Extensions),
        (|it| it.origin = "https://console.example.org".to_owned(), AssertionError::Origin),
        (|it| it.origin = format!("{ORIGIN}1"), AssertionError::Origin),
        (|it| it.relying_party = Some("example.org".to_owned()), AssertionError::RelyingParty),
        (|it| it.client_data_rest = ",\"crossOrigin\":true}", AssertionError::CrossOrigin),
        (|it| it.client_data_rest = "", AssertionError::Malformed),
    ];
    for (number, (lie, error)) in lies.into_iter().enumerate() {
        let mut alice = Person::new("alice");
        lie(&mut alice.authenticator);
        assert_eq!(alice.asserted().unwrap_err(), error, "lie {number}");
    }
    // A synchronised passkey says that it is, and does not count; a browser may add what we do not know.
    let mut alice = Person::new("alice");
    alice.authenticator.flags |= 0x18;
    alice.authenticator.counts = false;
    alice.authenticator.client_data_rest = ",\"crossOrigin\":false,\"other_keys_can_be_added_here\":\"x\"}";
    assert_eq!(alice.asserted().unwrap().counter, 0);
    alice.authenticator.client_data_rest = "}";
    assert!(alice.asserted().is_ok(), "a browser need not say that it is in no frame");
}

#[test]
fn an_answer_serves_its_own_statement_key_and_purpose_only() {
    let (mut alice, bob) = (Person::new("alice"), Person::new("bob"));
    let good = alice.answer(STATEMENT);
    let by = |person: &Person, answer: &Assertion| {
        person.key.asserted(ORIGIN, NAMESPACE, STATEMENT, answer).map(|asserted| asserted.counter)
    };
    assert_eq!(by(&alice, &good), Ok(1));
    assert_eq!(by(&bob, &good), Err(AssertionError::Signature));
    let other = alice.answer(b"another statement\n");
    assert_eq!(by(&alice, &other), Err(AssertionError::Challenge));
    let altered = |change: &dyn Fn(&mut Assertion)| {
        let mut answer = good.clone();
        change(&mut answer);
        by(&alice, &answer).unwrap_err()
    };
    let replaced = |from: &'static str, to: &'static str| {
        let text = String::from_utf8(good.client_data.clone()).unwrap();
        altered(&move |answer| answer.client_data = text.replace(from, to).into_bytes())
    };
    assert_eq!(replaced("webauthn.get", "webauthn.create"), AssertionError::Type);
    assert_eq!(replaced(",\"crossOrigin\"", ",\"crossOrigi\""), AssertionError::Signature);
    assert_eq!(altered(&|answer| answer.client_data.resize(2000, b' ')), AssertionError::Malformed);
    assert_eq!(altered(&|answer| answer.authenticator_data.truncate(36)), AssertionError::Malformed);
    assert_eq!(altered(&|answer| answer.authenticator_data.push(0xa0)), AssertionError::Extensions);
    assert_eq!(altered(&|answer| answer.authenticator_data[36] ^= 1), AssertionError::Signature);
    assert_eq!(altered(&|answer| answer.signature.push(0)), AssertionError::Malformed);
    assert_eq!(altered(&|answer| answer.signature.truncate(9)), AssertionError::Malformed);
    assert_eq!(altered(&|answer| answer.signature[1] = 0x81), AssertionError::Malformed);
    assert_eq!(altered(&|answer| answer.signature[10] ^= 1), AssertionError::Signature);
    let plain = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB carol";
    let plain = OperatorKey::parse(plain).unwrap().asserted(ORIGIN, NAMESPACE, STATEMENT, &good);
    assert_eq!(plain.unwrap_err(), AssertionError::Key);
}

/// The parts of a signature, to be put together otherwise.
fn parts(text: &str) -> PasskeySignature {
    PasskeySignature::parse(text).unwrap()
}

#[test]
fn a_signature_that_says_otherwise_of_itself_is_not_believed_here_nor_by_openssh() {
    let folder = tempfile::tempdir().unwrap();
    let mut alice = Person::new("alice");
    let good = alice.asserted().unwrap().signature;
    let quorum = Quorum::of_lines([alice.line().as_str()], 1).unwrap();
    let takes = |text: &str| {
        let file = SignatureFile { name: "alice.sig".to_owned(), text: text.to_owned() };
        (
            quorum.verify_one(NAMESPACE, STATEMENT, &file).is_ok(),
            openssh_takes(folder.path(), &alice, text, STATEMENT),
        )
    };
    assert_eq!(takes(&good.text), (true, true));
    type Change = fn(&mut PasskeySignature);
    let changes: [Change; 7] = [
        |it| it.flags |= 0x40,
        |it| it.flags |= 0x80,
        |it| it.counter += 1,
        |it| it.origin.push('/'),
        |it| it.origin = "https://console.example.org\"".to_owned(),
        |it| it.client_data.push(b' '),
        |it| it.client_data[2] = b'T',
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = parts(&good.text);
        change(&mut changed);
        assert_eq!(takes(&changed.text().unwrap()), (false, false), "change {number}");
    }
    // Where we ask for more than OpenSSH: a person who was verified, a page in no frame.
    alice.authenticator.flags = PRESENT;
    assert!(only_openssh_takes(folder.path(), &mut alice, &quorum));
    alice.authenticator.flags = PRESENT | VERIFIED;
    alice.authenticator.client_data_rest = ",\"crossOrigin\":true}";
    assert!(only_openssh_takes(folder.path(), &mut alice, &quorum));
}

/// Makes a signature without our checks; whether OpenSSH takes it and we do not.
fn only_openssh_takes(folder: &Path, person: &mut Person, quorum: &Quorum) -> bool {
    let answer = person.answer(STATEMENT);
    let made = PasskeySignature {
        key: person.key.data().clone(),
        namespace: NAMESPACE.to_owned(),
        hash: HASH,
        numbers: numbers_of_der(&answer.signature).unwrap(),
        flags: answer.authenticator_data[32],
        counter: person.authenticator.counter,
        origin: ORIGIN.to_owned(),
        client_data: answer.client_data,
    };
    let text = made.text().unwrap();
    let file = SignatureFile { name: "unchecked.sig".to_owned(), text: text.clone() };
    openssh_takes(folder, person, &text, STATEMENT) && quorum.verify_one(NAMESPACE, STATEMENT, &file).is_err()
}

#[test]
fn no_character_of_a_signature_can_be_altered_and_none_may_follow() {
    let mut alice = Person::new("alice");
    let good = alice.asserted().unwrap().signature;
    let quorum = Quorum::of_lines([alice.line().as_str()], 1).unwrap();
    let takes = |text: String| {
        let file = SignatureFile { name: "alice.sig".to_owned(), text };
        quorum.verify_one(NAMESPACE, STATEMENT, &file).is_ok()
    };
    assert!(takes(good.text.clone()));
    let blob = frame::open(&good.text).unwrap();
    for at in 0..blob.len() {
        let mut altered = blob.clone();
        altered[at] ^= 1;
        assert!(!takes(frame::close(&altered)), "byte {at} was altered unseen");
        assert!(!takes(frame::close(&blob[..at])), "what is cut at byte {at} was taken");
    }
    assert!(!takes(frame::close(&[blob.as_slice(), b"\0"].concat())));
    assert!(!takes("x".repeat(crate::limits::MAX_SIGNATURE_BYTES + 1)));
}

#[test]
fn a_key_is_a_point_of_the_curve_in_a_line_that_nothing_breaks() {
    let alice = Person::new("alice");
    let parsed = OperatorKey::parse(&alice.line()).unwrap();
    assert!(parsed.is_same(&alice.key) && parsed.fingerprint() == alice.key.fingerprint());
    let mut off_curve = alice.authenticator.point().to_vec();
    off_curve[40] ^= 1;
    for (point, relying_party, name) in [
        (off_curve.as_slice(), RELYING_PARTY, "alice"),
        (&off_curve[..33], RELYING_PARTY, "alice"),
        (alice.authenticator.point(), "", "alice"),
        (alice.authenticator.point(), RELYING_PARTY, "alice\nssh-ed25519"),
        (alice.authenticator.point(), RELYING_PARTY, ""),
    ] {
        assert!(OperatorKey::of_passkey(point, relying_party, name).is_none(), "{relying_party} {name}");
    }
}
