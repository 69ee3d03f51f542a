//! Signatures of operators, made by the real `ssh-keygen`: who counts, and what does not.

use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use ed25519_dalek::{Signer as _, SigningKey};

use super::{KeyError, ListError, OperatorKey, Quorum, QuorumError, SignatureFile};

const NAMESPACE: &str = "assent-bundle@v1";
const STATEMENT: &[u8] = b"assent/bundle/v1\ndigest 00\nversion 1\n";

fn keygen(arguments: &[&str], folder: &Path) {
    let mut command = Command::new("ssh-keygen");
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(command.status().expect("ssh-keygen runs").success(), "ssh-keygen {arguments:?}");
}

/// Makes a key of this type for an operator of this name; gives its line.
fn key(folder: &Path, name: &str, key_type: &str) -> String {
    keygen(&["-q", "-t", key_type, "-N", "", "-C", name, "-f", name], folder);
    std::fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap()
}

fn sign(folder: &Path, name: &str, namespace: &str, statement: &[u8]) -> SignatureFile {
    let file = folder.join("statement");
    let _ = std::fs::remove_file(folder.join("statement.sig"));
    std::fs::write(&file, statement).unwrap();
    keygen(&["-q", "-Y", "sign", "-n", namespace, "-f", name, "statement"], folder);
    let text = std::fs::read_to_string(folder.join("statement.sig")).unwrap();
    SignatureFile { name: format!("{name}.sig"), text }
}

fn quorum(lines: &[String], threshold: usize) -> Result<Quorum, ListError> {
    Quorum::new(lines.iter().map(|line| ("list".to_owned(), line.as_str())), threshold)
}

struct Office {
    folder: tempfile::TempDir,
    lines: Vec<String>,
}

impl Office {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines = ["alice", "bob"].map(|name| key(folder.path(), name, "ed25519")).to_vec();
        Self { folder, lines }
    }

    fn signature(&self, name: &str) -> SignatureFile {
        sign(self.folder.path(), name, NAMESPACE, STATEMENT)
    }

    fn two_of_two(&self, signatures: &[SignatureFile]) -> Result<Vec<String>, QuorumError> {
        let signers = quorum(&self.lines, 2).unwrap().verify(NAMESPACE, STATEMENT, signatures)?;
        Ok(signers.names().to_vec())
    }
}

/// Who signed, what is over something else, and what is by nobody known.
fn too_few(error: &QuorumError) -> (&[String], &[String], &[String]) {
    let QuorumError::TooFew { signers, stale, unknown, threshold: 2 } = error else { panic!("{error}") };
    (signers, stale, unknown)
}

#[test]
fn two_operators_are_a_quorum_of_two_and_are_named() {
    let office = Office::open();
    let signatures = [office.signature("bob"), office.signature("alice")];
    assert_eq!(office.two_of_two(&signatures).unwrap(), ["alice", "bob"]);
}

#[test]
fn two_signatures_by_one_key_count_once() {
    let office = Office::open();
    let signatures = [office.signature("alice"), office.signature("alice")];
    let error = office.two_of_two(&signatures).unwrap_err();
    assert_eq!(too_few(&error), (&["alice".to_owned()][..], &[][..], &[][..]));
    assert_eq!(error.to_string(), "signed by 1 of the 2 operators that must sign (alice)");
}

#[test]
fn one_signature_is_admitted_by_a_listed_key_over_this_statement_however_many_must_sign() {
    let office = Office::open();
    let quorum = quorum(&office.lines, 2).unwrap();
    let admits = |statement: &[u8], name: &str| {
        quorum.admits(NAMESPACE, statement, &office.signature(name)).map_err(|error| error.to_string())
    };
    assert_eq!(admits(STATEMENT, "bob"), Ok(()));
    assert!(admits(b"another", "bob").unwrap_err().contains("over another statement: bob.sig"));
    key(office.folder.path(), "mallory", "ed25519");
    let unlisted = "the key of this signature is not listed for this; the keys of alice, bob are";
    assert_eq!(admits(STATEMENT, "mallory"), Err(unlisted.to_owned()));
}

#[test]
fn a_key_that_is_not_listed_does_not_count() {
    let office = Office::open();
    key(office.folder.path(), "mallory", "ed25519");
    let error = office.two_of_two(&[office.signature("alice"), office.signature("mallory")]).unwrap_err();
    let (alice, mallory) = (["alice".to_owned()], ["mallory.sig".to_owned()]);
    assert_eq!(too_few(&error), (&alice[..], &[][..], &mallory[..]));
}

#[test]
fn another_namespace_statement_or_a_flipped_bit_is_refused_and_named() {
    let office = Office::open();
    let elsewhere = sign(office.folder.path(), "alice", "file", STATEMENT);
    let error = office.two_of_two(&[elsewhere]).unwrap_err();
    assert!(matches!(&error, QuorumError::Namespace { found, .. } if found == "file"), "{error}");
    let other = sign(office.folder.path(), "alice", NAMESPACE, b"another");
    let error = office.two_of_two(&[other]).unwrap_err();
    assert_eq!(too_few(&error), (&[][..], &["alice.sig".to_owned()][..], &[][..]));
    assert!(error.to_string().ends_with("; over another statement: alice.sig"), "{error}");
    let SignatureFile { name, text } = office.signature("alice");
    for cut in ["", "-----BEGIN SSH SIGNATURE-----", text.get(..text.len() / 2).unwrap()] {
        let error = office.two_of_two(&[SignatureFile { name: name.clone(), text: cut.to_owned() }]);
        assert!(matches!(error, Err(QuorumError::Malformed { .. })), "{cut:?}: {error:?}");
    }
}

#[test]
fn no_byte_of_statement_or_signature_can_be_altered() {
    let office = Office::open();
    let quorum = quorum(&office.lines, 1).unwrap();
    let good = office.signature("alice");
    assert!(quorum.verify(NAMESPACE, STATEMENT, std::slice::from_ref(&good)).is_ok());
    for at in 0..STATEMENT.len() {
        let mut statement = STATEMENT.to_vec();
        statement[at] ^= 1;
        assert!(quorum.verify(NAMESPACE, &statement, std::slice::from_ref(&good)).is_err(), "byte {at}");
    }
    // The last 64 bytes are the signature proper: 85 characters and what is left of one, before the padding.
    let end = good.text.find("\n-----END").unwrap();
    let characters = good.text.bytes().enumerate().take(end).filter(|(_, byte)| byte.is_ascii_alphanumeric());
    let tail: Vec<(usize, u8)> = characters.collect();
    for (at, byte) in &tail[tail.len() - 80..] {
        let mut bytes = good.text.clone().into_bytes();
        bytes[*at] = if *byte == b'A' { b'B' } else { b'A' };
        let altered = SignatureFile { name: good.name.clone(), text: String::from_utf8(bytes).unwrap() };
        assert!(
            quorum.verify(NAMESPACE, STATEMENT, &[altered]).is_err(),
            "character {at} was altered unseen"
        );
    }
}

#[test]
fn ecdsa_keys_sign_too() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [key(folder.path(), "carol", "ecdsa")];
    let quorum = quorum(&lines, 1).unwrap();
    // Scalars are written shorter or longer than 32 bytes now and then: many signatures meet each case.
    for number in 0..32_u8 {
        let statement = [number];
        let signature = sign(folder.path(), "carol", NAMESPACE, &statement);
        let signers = quorum.verify(NAMESPACE, &statement, std::slice::from_ref(&signature)).unwrap();
        assert_eq!(signers.names(), ["carol"]);
        assert!(quorum.verify(NAMESPACE, b"another", &[signature]).is_err());
    }
}

/// A string as SSH writes it: its length, then its bytes.
fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// What a security key and `ssh-keygen` would make of a statement, with these flags: the key's line, and the signature.
fn touched(flags: u8) -> (String, SignatureFile) {
    let secret = SigningKey::from_bytes(&[7; 32]);
    let (name, application) = (b"sk-ssh-ed25519@openssh.com", b"ssh:");
    let public = [string(name), string(secret.verifying_key().as_bytes()), string(application)].concat();
    let message = digest(&SHA512, STATEMENT);
    let parts = [NAMESPACE.as_bytes(), b"", b"sha512", message.as_ref()];
    let signed = [b"SSHSIG".to_vec(), parts.map(string).concat()].concat();
    let trailer = [flags, 0, 0, 0, 9];
    let (application, signed) = (digest(&SHA256, application), digest(&SHA256, &signed));
    let asserted = [application.as_ref(), &trailer, signed.as_ref()].concat();
    let signature = [string(name), string(&secret.sign(&asserted).to_bytes()), trailer.to_vec()].concat();
    let rest =
        [string(&public), parts[..3].iter().map(|part| string(part)).collect::<Vec<_>>().concat()].concat();
    let blob = [b"SSHSIG\0\0\0\x01".to_vec(), rest, string(&signature)].concat();
    let mut text = "-----BEGIN SSH SIGNATURE-----\n".to_owned();
    for line in base64(&blob).as_bytes().chunks(70) {
        text.push_str(std::str::from_utf8(line).unwrap());
        text.push('\n');
    }
    text.push_str("-----END SSH SIGNATURE-----\n");
    let line = format!("sk-ssh-ed25519@openssh.com {} dave", base64(&public));
    (line, SignatureFile { name: "dave.sig".to_owned(), text })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, at| number << 8 | usize::from(*chunk.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let digit = char::from(DIGITS[number >> (18 - 6 * at) & 63]);
            text.push(if at > chunk.len() { '=' } else { digit });
        }
    }
    text
}

#[test]
fn a_security_key_signs_where_somebody_touched_it() {
    for (flags, counts) in [(1, true), (5, true), (0, false), (4, false)] {
        let (line, signature) = touched(flags);
        let quorum = quorum(&[line], 1).unwrap();
        let verified = quorum.verify(NAMESPACE, STATEMENT, std::slice::from_ref(&signature));
        assert_eq!(verified.is_ok(), counts, "flags {flags}: {verified:?}");
        assert!(quorum.verify(NAMESPACE, b"another", &[signature]).is_err());
    }
}

#[test]
fn lists_are_taken_whole_or_refused() {
    let office = Office::open();
    let [alice, bob] = office.lines.clone().try_into().unwrap();
    let words: Vec<&str> = alice.split_whitespace().collect();
    let allowed = format!("alice@example.com {} {}", words[0], words[1]);
    assert_eq!(OperatorKey::parse(&allowed).unwrap().name(), "alice@example.com");
    assert_eq!(OperatorKey::parse(&alice).unwrap().name(), "alice");
    assert!(OperatorKey::parse(&bob).unwrap().fingerprint().starts_with("SHA256:"));
    let refused = [
        (format!("{} {}", words[0], words[1]), KeyError::Nameless),
        (format!("cert-authority {alice}"), KeyError::Options),
        (format!("namespaces=\"file\" {alice}"), KeyError::Options),
        (format!("a b {alice}"), KeyError::Options),
        (format!("{} AAAA alice", words[0]), KeyError::Malformed),
        ("ssh-rsa AAAA alice".to_owned(), KeyError::Type),
        ("alice".to_owned(), KeyError::Type),
    ];
    for (line, error) in refused {
        assert_eq!(OperatorKey::parse(&line).unwrap_err(), error, "{line}");
    }
    assert!(matches!(quorum(&[alice.clone(), alice.clone()], 1), Err(ListError::Twice { .. })));
    for threshold in [0, 3] {
        let both = [alice.clone(), bob.clone()];
        assert!(matches!(quorum(&both, threshold), Err(ListError::Threshold { .. })), "{threshold}");
    }
    assert!(matches!(quorum(&[], 1), Err(ListError::Threshold { .. })));
    let file = office.folder.path().join("signers");
    std::fs::write(&file, format!("# who may sign\n\n{alice}{allowed}x\n")).unwrap();
    let error = Quorum::from_file(&file, 1).unwrap_err().to_string();
    assert!(error.contains("signers:4: the key does not parse"), "{error}");
    std::fs::write(&file, format!("# who may sign\n\n{alice}{bob}")).unwrap();
    assert_eq!(Quorum::from_file(&file, 2).unwrap().keys().len(), 2);
}

#[test]
fn who_signed_is_told_by_place_and_one_suffices_where_one_is_asked_for() {
    let office = Office::open();
    // Two people of one name: only their keys tell them apart.
    let namesake = office.lines[0].replace("alice", "bob");
    let quorum = Quorum::of_lines([namesake.as_str(), office.lines[1].as_str()], 2).unwrap();
    let [alice, bob] = ["alice", "bob"].map(|name| office.signature(name));
    let both = quorum.verify(NAMESPACE, STATEMENT, &[bob.clone(), alice.clone()]).unwrap();
    assert_eq!((both.names(), both.positions()), (&["bob".to_owned(), "bob".to_owned()][..], &[0, 1][..]));
    let twice = SignatureFile::of_texts([alice.text.as_str(), alice.text.as_str()]);
    assert_eq!(twice[1].name, "signature 2");
    assert!(matches!(quorum.verify(NAMESPACE, STATEMENT, &twice), Err(QuorumError::TooFew { .. })));
    let named = |names: &[&str], signatures: &[&str]| {
        quorum.verify_named(NAMESPACE, STATEMENT, names, signatures).map(|signers| signers.positions().len())
    };
    let (a, b) = (alice.text.as_str(), bob.text.as_str());
    assert_eq!(named(&["bob", "bob"], &[a, b]), Ok(2));
    assert_eq!(named(&["alice", "bob"], &[a, b]), Err(QuorumError::Named));
    assert_eq!(named(&["bob", "bob"], &[a, b, a]), Err(QuorumError::Named));
    assert_eq!(named(&["bob", "bob", "bob"], &[a, b, a]), Err(QuorumError::Named));
    assert_eq!(quorum.verify_one(NAMESPACE, STATEMENT, &bob).unwrap(), 1);
    assert!(quorum.verify_one(NAMESPACE, b"another", &bob).is_err());
}
