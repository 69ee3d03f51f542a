//! Verifier keys, notes and checkpoints: C2SP signed-note and tlog-checkpoint.

use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::note::{KeyId, NoteSignature, VerifierKey};
use assent_proto::number::TreeSize;
use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use super::File;

pub(super) const ORIGIN: &str = "log.example/appliance/log/1";

/// A signing key that anyone can make again.
pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn vkey(name: &str, key: &SigningKey) -> String {
    VerifierKey::new(name, key.verifying_key().as_bytes()).unwrap().to_string()
}

/// A verifier key in text with these bytes for a key, whatever they are.
fn raw_vkey(name: &str, blob: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    let hash = Sha256::new().chain_update(name).chain_update(b"\n").chain_update(blob).finalize();
    format!("{name}+{}+{}", super::hex(&hash[..4]), Base64::encode_string(blob))
}

pub(super) fn keys() -> String {
    let about = ["Verifier keys in text (C2SP signed-note). Where the result is ok: name, key ID, key."];
    let mut file = File::new("keys", &about);
    let mut take = |name: &str, vkey: &str, of: &str, key: &VerifyingKey| {
        file.case(name).field("vkey", vkey).field("result", "ok").field("name", of);
        file.field("key-id", KeyId::of(of, key)).bytes("key", key.as_bytes());
    };
    let ours = key(1);
    take("key of a log", &vkey(ORIGIN, &ours), ORIGIN, &ours.verifying_key());
    let peter = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    let blob = Base64::decode_vec("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
    let key = VerifyingKey::from_bytes(blob[1..].try_into().unwrap()).unwrap();
    take("key of the Go implementation's example", peter, "PeterNeumann", &key);

    let mut refuse = |name: &str, vkey: &str, result: &str| {
        file.case(name).field("vkey", vkey).field("result", result);
    };
    let with_type = |kind: u8, key: &[u8]| [&[kind], key].concat();
    let public = ours.verifying_key().to_bytes();
    refuse("nothing", "", "malformed");
    refuse("two parts", "log+00000000", "malformed");
    refuse("key ID of another key", &vkey(ORIGIN, &ours).replacen('+', "+0", 1), "key-id");
    let whole = raw_vkey(ORIGIN, &with_type(1, &public));
    let id = KeyId::of(ORIGIN, &ours.verifying_key()).to_string();
    refuse("key ID in capitals", &whole.replacen(&id, &id.to_uppercase(), 1), "key-id");
    refuse("name without letters", &raw_vkey("", &with_type(1, &public)), "key-name");
    refuse("name with a space", &raw_vkey("a log", &with_type(1, &public)), "key-name");
    refuse("name over its limit", &raw_vkey(&"n".repeat(129), &with_type(1, &public)), "key-name");
    refuse("another signature type", &raw_vkey(ORIGIN, &with_type(4, &public)), "key");
    refuse("no key", &raw_vkey(ORIGIN, &[1]), "malformed");
    refuse("key cut short", &raw_vkey(ORIGIN, &with_type(1, &public[..31])), "malformed");
    refuse(
        "key with a byte too many",
        &raw_vkey(ORIGIN, &with_type(1, &[&public[..], &[0]].concat())),
        "malformed",
    );
    refuse("base64 without padding", "log+00000000+AQ", "malformed");
    for (name, key) in small_order() {
        refuse(&format!("small-order key: {name}"), &raw_vkey(ORIGIN, &with_type(1, &key)), "key");
    }
    let mut beyond = [0xff; 32];
    (beyond[0], beyond[31]) = (0xf0, 0x7f);
    refuse("point in another encoding than its own", &raw_vkey(ORIGIN, &with_type(1, &beyond)), "key");
    let off_the_curve = std::array::from_fn::<u8, 32, _>(|at| if at == 0 { 2 } else { 0 });
    refuse("point off the curve", &raw_vkey(ORIGIN, &with_type(1, &off_the_curve)), "key");
    file.0
}

/// Points whose order divides 8.
fn small_order() -> [(&'static str, [u8; 32]); 4] {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    let order_eight = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    [("identity", identity), ("order 2", order_two), ("order 4", [0; 32]), ("order 8", order_eight)]
}

/// A signature line.
fn line(name: &str, key: &SigningKey, signature: [u8; 64]) -> String {
    NoteSignature { name, id: KeyId::of(name, &key.verifying_key()), signature }.to_string()
}

pub(super) fn notes() -> String {
    let about = ["Signed notes (C2SP signed-note), in hex, under one verifier key."];
    let mut file = File::new("notes", &about);
    let (ours, other, text) = (key(1), key(2), "first line\n\nlast line\n");
    let sign = |key: &SigningKey, text: &str| key.sign(text.as_bytes()).to_bytes();
    let (good, bad) = (line(ORIGIN, &ours, sign(&ours, text)), line(ORIGIN, &ours, sign(&ours, "other\n")));
    let foreign = line("witness.example", &other, [9; 64]);
    let mut write = |name: &str, note: &str, result: &str| {
        file.case(name).field("vkey", vkey(ORIGIN, &ours)).bytes("note", note.as_bytes());
        file.field("result", result);
        if result == "ok" {
            file.bytes("text", text.as_bytes());
        }
    };
    write("one signature", &format!("{text}\n{good}"), "ok");
    write("signature of an unknown key beside ours", &format!("{text}\n{foreign}{good}"), "ok");
    let long = line(&"w".repeat(255), &other, [9; 64]);
    write("signature of an unknown key with a long name", &format!("{text}\n{good}{long}"), "ok");
    let cosignature = format!("\u{2014} witness.example {}\n", Base64::encode_string(&[3; 76]));
    write("timestamped cosignature beside ours", &format!("{text}\n{good}{cosignature}"), "ok");
    write("as many signatures as a note may have", &format!("{text}\n{good}{}", foreign.repeat(15)), "ok");
    write("one signature more", &format!("{text}\n{good}{}", foreign.repeat(16)), "too-long");
    write("giant note", &format!("{}\n\n{good}", "x".repeat(8192)), "too-long");
    write("unknown key alone", &format!("{text}\n{foreign}"), "unsigned");
    write(
        "our name under another key ID",
        &format!("{text}\n{}", line(ORIGIN, &other, sign(&other, text))),
        "unsigned",
    );
    write("signature of another text", &format!("{text}\n{bad}"), "signature");
    write("bad signature of ours beside a good one", &format!("{text}\n{good}{bad}"), "signature");
    write("text altered", &format!("x{text}\n{good}"), "signature");
    write("no signatures", &format!("{text}\n"), "malformed");
    write("no empty line", &format!("{text}{good}"), "malformed");
    write("last newline missing", format!("{text}\n{good}").trim_end(), "malformed");
    write("empty line behind the signatures", &format!("{text}\n{good}\n"), "malformed");
    write("carriage returns", &format!("{text}\n{good}").replace('\n', "\r\n"), "malformed");
    write("hyphen for the dash", &format!("{text}\n{}", good.replace('\u{2014}', "-")), "malformed");
    write("line without a name", &format!("{text}\n\u{2014}  AAAAAAA=\n"), "key-name");
    write("line whose name has a plus", &format!("{text}\n\u{2014} a+b AAAAAAA=\n{good}"), "key-name");
    write("line that is no base64", &format!("{text}\n\u{2014} a ***\n{good}"), "malformed");
    write("line shorter than a key ID", &format!("{text}\n\u{2014} a AAAA\n{good}"), "malformed");
    file.0
}

pub(super) fn checkpoints() -> String {
    let about =
        ["Checkpoint texts (C2SP tlog-checkpoint without extension lines), in hex, with their last newline."];
    let mut file = File::new("checkpoints", &about);
    for (name, size, root) in [
        ("empty log", 0, crate::naive::root(&[])),
        ("three leaves", 3, Hash([3; 32])),
        ("largest size", u64::MAX, Hash([0xff; 32])),
    ] {
        let text = format!("{ORIGIN}\n{size}\n{}\n", Base64::encode_string(&root.0));
        file.case(name).bytes("text", text.as_bytes()).field("result", "ok");
        file.field("origin", ORIGIN).field("size", size).field("root", root);
    }
    let root = Base64::encode_string(&[3; 32]);
    let mut refuse = |name: &str, text: &str, result: &str| {
        file.case(name).bytes("text", text.as_bytes()).field("result", result);
    };
    refuse("nothing", "", "lines");
    refuse("two lines", &format!("{ORIGIN}\n3\n"), "lines");
    refuse("last newline missing", &format!("{ORIGIN}\n3\n{root}"), "lines");
    refuse("extension line", &format!("{ORIGIN}\n3\n{root}\nextension\n"), "lines");
    refuse("empty line behind", &format!("{ORIGIN}\n3\n{root}\n\n"), "lines");
    refuse("no origin", &format!("\n3\n{root}\n"), "origin");
    refuse("origin with a space", &format!("a log\n3\n{root}\n"), "origin");
    refuse("origin with a plus", &format!("a+log\n3\n{root}\n"), "origin");
    refuse("origin over its limit", &format!("{}\n3\n{root}\n", "o".repeat(129)), "origin");
    refuse("leading zero", &format!("{ORIGIN}\n03\n{root}\n"), "size");
    refuse("sign", &format!("{ORIGIN}\n+3\n{root}\n"), "size");
    refuse("no size", &format!("{ORIGIN}\n\n{root}\n"), "size");
    refuse("size beyond 64 bits", &format!("{ORIGIN}\n18446744073709551616\n{root}\n"), "size");
    refuse("root of 31 bytes", &format!("{ORIGIN}\n3\n{}\n", Base64::encode_string(&[3; 31])), "root");
    refuse("root of 33 bytes", &format!("{ORIGIN}\n3\n{}\n", Base64::encode_string(&[3; 33])), "root");
    refuse("root without padding", &format!("{ORIGIN}\n3\n{}\n", root.trim_end_matches('=')), "root");
    refuse("root with bits to spare", &format!("{ORIGIN}\n3\n{}\n", root.replace("M=", "N=")), "root");
    file.0
}

/// The text of a checkpoint, for signing.
pub(super) fn text(origin: &str, size: u64, root: Hash) -> String {
    Checkpoint { origin, size: TreeSize(size), root }.text().unwrap().as_str().to_owned()
}
