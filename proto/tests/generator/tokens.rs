//! Tokens: one that verifies, and every attack on it, each with the kind of error that stops it.

use assent_proto::entry::{Allow, Grounds};
use assent_proto::note::KeyId;
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::token::{HEAD_BYTES, Text};

use super::frames::NOW;
use super::intents::{TERMS, act, context, string};
use super::notes::{ORIGIN, key, text, vkey};
use super::scene::{Making, PRINCIPAL, Scene, allow, leaf, log, scene, scene_of};
use super::{File, encoded};
use crate::naive;

const OTHER_ORIGIN: &str = "log.example/appliance/log/2";

pub(super) fn tokens() -> String {
    let about = [
        "Tokens, each with the trusted keys (not-before, not-after, verifier key), what the executor expects, and what",
        "comes of it: `ok`, the origin and the leaf index; or the kind of the error.",
    ];
    let mut file = File::new("tokens", &about);
    verifying(&mut file);
    form(&mut file);
    log_attacks(&mut file);
    signature_attacks(&mut file);
    key_attacks(&mut file);
    claims(&mut file);
    window(&mut file);
    order(&mut file);
    file.0
}

const OK: &str = "ok log.example/appliance/log/1 5";

fn verifying(file: &mut File) {
    let good = scene(&allow());
    good.write(file, "an allow of the policies", OK);
    good.with(|scene| scene.principal = Some(PRINCIPAL)).write(file, "for a known agent", OK);
    scene(&Allow { grounds: Grounds::Approval(LeafIndex(2)), ..allow() }).write(file, "an approved hold", OK);
    let warrant = Grounds::Warrant { leaf: LeafIndex(2), number: 1 };
    scene(&Allow { grounds: warrant, ..allow() }).write(
        file,
        "break-glass where it is not accepted",
        "grounds",
    );
    let body = encoded(&allow());
    let alone = Making { leaves: vec![leaf(1, &body)], index: 0, ..Making::of(&body) };
    scene_of(alone.token()).write(file, "a log of one leaf", "ok log.example/appliance/log/1 0");
    let last =
        Making { leaves: [log(Vec::new()), vec![leaf(1, &body)]].concat(), index: 11, ..Making::of(&body) };
    scene_of(last.token()).write(file, "the last leaf", "ok log.example/appliance/log/1 11");
}

/// What is wrong before any hash is computed.
fn form(file: &mut File) {
    let good = scene(&allow());
    let mut refuse = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        good.with(|scene| change(&mut scene.token)).write(file, name, "malformed");
    };
    refuse("no bytes", &Vec::clear);
    refuse("another version", &|token| token[0] = 2);
    refuse("head alone", &|token| token.truncate(HEAD_BYTES));
    refuse("path over-long", &|token| drop(token.splice(token.len() - 64..token.len() - 64, [0; 32])));
    refuse("path under-long", &|token| drop(token.drain(token.len() - 96..token.len() - 64)));
    refuse("trailing byte", &|token| token.push(0));
    refuse("last byte missing", &|token| token.truncate(token.len() - 1));
    refuse("index at the size", &|token| token[20] = 11);
    refuse("tree without leaves", &|token| (token[12], token[20]) = (0, 0));
    refuse("tree larger than a log, giant proof", &|token| token[5] = 1);
    refuse("largest size and index", &|token| token[5..21].fill(0xff));
    refuse("lying body length", &|token| token[21..23].fill(0xff));
    refuse("body one byte longer than it is", &|token| token[22] += 1);
    refuse("body over its limit", &|token| {
        token[21..23].copy_from_slice(&0x4001_u16.to_be_bytes());
    });
}

/// What the log did not say.
fn log_attacks(file: &mut File) {
    let body = encoded(&allow());
    let good = Making::of(&body);
    for kind in [2, 3, 13] {
        let other = Making { leaves: log(leaf(kind, &body)), ..Making::of(&body) };
        scene_of(other.token()).write(file, &format!("leaf of kind {kind} used as token"), "signature");
    }
    let denial = [&body[..body.len() - 18], &[6, 34, 1, 1], &string("refunds.small")].concat();
    let denied = Making { leaves: log(leaf(2, &denial)), ..Making::of(&denial) };
    scene_of(denied.token()).write(file, "denial used as token", "body");
    let unlabelled = Making { leaves: log([&[1], &*body].concat()), ..Making::of(&body) };
    scene_of(unlabelled.token()).write(file, "leaf without its label", "signature");

    let mut refuse = |name: &str, change: &dyn Fn(&mut Vec<u8>), result: &str| {
        scene_of(good.token()).with(|scene| change(&mut scene.token)).write(file, name, result);
    };
    refuse("index altered", &|token| token[20] = 4, "signature");
    refuse("index altered to one with a shorter path", &|token| token[20] = 10, "malformed");
    refuse("size altered", &|token| token[12] = 12, "signature");
    refuse("size altered to one with a shorter path", &|token| token[12] = 8, "malformed");
    refuse("hash of the path altered", &|token| *token.iter_mut().nth_back(64).unwrap() ^= 1, "signature");
    refuse("salt altered", &|token| token[HEAD_BYTES] ^= 1, "signature");

    // Bodies that stand in the log as they are, under a good signature.
    let mut refuse_body = |name: &str, body: &[u8]| {
        scene_of(Making::of(body).token()).write(file, name, "body");
    };
    refuse_body("body without bytes", &[]);
    refuse_body("trailing byte in the body", &[&*body, &[0]].concat());
    refuse_body("last byte of the body missing", &body[..body.len() - 1]);
    // The epoch stands behind the salt and six bytes of time.
    let overlong = [&body[..22], &[0x83, 0x00], &body[23..]].concat();
    refuse_body("overlong varint in the body", &overlong);
    refuse_body("principal over its limit", &encoded(&Allow { principal: &"p".repeat(2049), ..allow() }));
    refuse_body("audience over its limit", &encoded(&Allow { audience: &"a".repeat(257), ..allow() }));
}

/// What the log's key did not sign.
fn signature_attacks(file: &mut File) {
    let body = encoded(&allow());
    let (good, root) = (Making::of(&body), naive::root(&log(leaf(1, &body))));
    let checkpoint = text(ORIGIN, 11, root);
    let mut refuse_signed = |name: &str, message: &[u8]| {
        scene_of(good.token_signed_over(message)).write(file, name, "signature");
    };
    refuse_signed("signature of another origin", text(OTHER_ORIGIN, 11, root).as_bytes());
    refuse_signed("signature of another size", text(ORIGIN, 12, root).as_bytes());
    refuse_signed("signature of a checkpoint with an extension line", format!("{checkpoint}x\n").as_bytes());
    let cosignature = format!("cosignature/v1\ntime 1790000000\n{checkpoint}");
    refuse_signed("signature of another kind of note: a cosignature", cosignature.as_bytes());
    refuse_signed("signature of the root hash alone", &root.0);
    refuse_signed("signature of nothing", b"");

    let mut refuse = |name: &str, change: &dyn Fn(&mut [u8])| {
        let change = |scene: &mut Scene| change(scene.token.last_chunk_mut::<64>().unwrap());
        scene_of(good.token()).with(change).write(file, name, "signature");
    };
    refuse("signature altered", &|signature| signature[7] ^= 1);
    refuse("signature of zeroes", &|signature| signature.fill(0));
    refuse("small-order point in the signature", &|signature| {
        signature.fill(0);
        signature[0] = 1;
    });
    refuse("scalar beyond the group's order", &|signature| add_order(signature.last_chunk_mut().unwrap()));
}

/// Adds the order of the group: the second form of a signature, which strict verification refuses.
fn add_order(scalar: &mut [u8; 32]) {
    let low =
        [0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14];
    let order = std::array::from_fn::<u8, 32, _>(|at| match at {
        0..16 => low[at],
        31 => 0x10,
        _ => 0,
    });
    let mut carry = 0;
    for (byte, add) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
}

/// Whom the executor trusts, and when.
fn key_attacks(file: &mut File) {
    let good = scene(&allow());
    good.with(|scene| scene.keys.clear()).write(file, "no trusted key", "untrusted_key");
    good.with(|scene| scene.token[1] ^= 1).write(file, "key ID altered", "untrusted_key");
    let other = vkey(ORIGIN, &key(2));
    good.with(|scene| scene.keys[0].0 = other).write(file, "another key of the origin", "untrusted_key");
    let name = "key under another origin";
    good.with(|scene| scene.keys[0].0 = vkey(OTHER_ORIGIN, &key(1))).write(file, name, "untrusted_key");
    good.with(|scene| scene.keys[0].1 = NOW.0).write(file, "decided when the key began", OK);
    good.with(|scene| scene.keys[0].1 = NOW.0 + 1).write(
        file,
        "decided before the key began",
        "untrusted_key",
    );
    good.with(|scene| scene.keys[0].2 = scene.now).write(file, "used when the key ends", OK);
    let name = "used after the key ended";
    good.with(|scene| scene.keys[0].2 = scene.now - 1).write(file, name, "untrusted_key");
    let name = "decided after the key ended";
    good.with(|scene| (scene.keys[0].2, scene.now) = (NOW.0 - 1, NOW.0 - 1)).write(
        file,
        name,
        "untrusted_key",
    );

    let [mine, theirs] = colliding_names();
    let trusted = |name: &str, seed| (vkey(name, &key(seed)), 0, u64::MAX);
    let body = encoded(&allow());
    let token = Making { name: &theirs, origin: &theirs, key: key(2), ..Making::of(&body) }.token();
    let both = scene_of(token).with(|scene| scene.keys = vec![trusted(&mine, 1), trusted(&theirs, 2)]);
    both.write(file, "two keys of one key ID, the second signed", &format!("ok {theirs} 5"));
    let name = "colliding key ID, the key that signed is not trusted";
    both.with(|scene| drop(scene.keys.pop())).write(file, name, "signature");
}

/// Two names under which the keys of seed 1 and 2 have the same key ID.
fn colliding_names() -> [String; 2] {
    let keys = [1, 2].map(|seed| key(seed).verifying_key());
    let name = |number: u32| format!("log.example/appliance/log/{number}");
    let mine: std::collections::HashMap<KeyId, u32> =
        (1..=200_000).map(|number| (KeyId::of(&name(number), &keys[0]), number)).collect();
    (1..)
        .find_map(|number| {
            mine.get(&KeyId::of(&name(number), &keys[1])).map(|first| [name(*first), name(number)])
        })
        .unwrap()
}

fn claims(file: &mut File) {
    let good = scene(&allow());
    good.with(|scene| scene.audience = "payouts").write(file, "another audience", "audience");
    good.with(|scene| scene.audience = "").write(file, "executor without a name", "audience");
    good.with(|scene| scene.principal = Some("spiffe://retail.example/agent/2")).write(
        file,
        "another principal",
        "principal",
    );
    let dearer = [vec![1], string("amount"), vec![1, 0xd2, 0x41]].concat();
    good.with(|scene| scene.act = act(&dearer)).write(file, "another intent: another context", "intent");
    let elsewhere = ["Retail::Action", "Refund", "Retail::Order", "#W2"].map(string).concat();
    let elsewhere = [elsewhere, context()].concat();
    good.with(|scene| scene.act = elsewhere).write(file, "another intent: another resource", "intent");
    good.with(|scene| scene.lowest_epoch = 4).write(file, "old epoch", "epoch");
    scene(&Allow { epoch: Epoch(9), ..allow() }).write(file, "later epoch", OK);
    scene(&Allow { uses: 0, ..allow() }).write(file, "no uses", "uses");
}

fn window(file: &mut File) {
    let good = scene(&allow());
    let (begin, end) = (NOW.0, NOW.0 + 300_000);
    let mut at = |name: &str, now: u64, skew_ms: u64, result: &str| {
        let change = |scene: &mut Scene| (scene.now, scene.skew_ms) = (now, skew_ms);
        good.with(change).write(file, name, result);
    };
    at("at the window's begin", begin, 0, OK);
    at("before the window", begin - 1, 0, "too_early");
    at("before the window, within the skew", begin - 1500, 1500, OK);
    at("before the window and the skew", begin - 1501, 1500, "too_early");
    at("at the window's end", end, 0, OK);
    at("after the window", end + 1, 0, "expired");
    at("after the window, within the skew", end + 1500, 1500, OK);
    at("after the window and the skew", end + 1501, 1500, "expired");
    at("skew over its limit, before", begin - 2001, 10_000, "too_early");
    at("skew over its limit, after", end + 2001, u64::MAX, "expired");
    good.with(|scene| scene.window_cap_ms = 299_999).write(
        file,
        "window longer than the executor's cap",
        "window",
    );
    let mut stretched = good.clone();
    let body = encoded(&Allow { not_after: Timestamp(end + 1), ..allow() });
    stretched.token.splice(HEAD_BYTES..HEAD_BYTES + body.len(), body);
    stretched.write(file, "window stretched", "signature");
    let backwards = Allow { not_before: Timestamp(end), not_after: NOW, ..allow() };
    scene(&backwards).write(file, "window that ends before it begins", "window");
    let ages = scene(&Allow { not_before: Timestamp(0), not_after: Timestamp(u64::MAX), ..allow() });
    ages.write(file, "window of all time", "window");
    ages.with(|scene| scene.window_cap_ms = u64::MAX).write(file, "window of all time under no cap", OK);
}

/// Tokens with which everything is wrong from some step of the verification on: that step names the error.
fn order(file: &mut File) {
    let results = [
        "malformed",
        "body",
        "untrusted_key",
        "signature",
        "body",
        "audience",
        "principal",
        "window",
        "expired",
        "epoch",
        "intent",
        "uses",
        "grounds",
        OK,
    ];
    for (right, result) in results.iter().enumerate() {
        wrong_from(right).write(file, &format!("all is wrong but the first {right}"), result);
    }
}

/// A scene in which so many of the steps that [`order`] lists pass.
fn wrong_from(right: usize) -> Scene {
    let wrong = |step: usize| step >= right;
    let long = "a".repeat(257);
    let mut body = encoded(&Allow {
        audience: if wrong(4) { &long } else { TERMS.audience },
        uses: u16::from(!wrong(11)),
        grounds: if wrong(12) { Grounds::Warrant { leaf: LeafIndex(2), number: 1 } } else { Grounds::Policy },
        ..allow()
    });
    if wrong(1) {
        body.push(0);
    }
    let mut scene = scene_of(Making::of(&body).token());
    if wrong(0) {
        scene.token.push(0);
    }
    if wrong(2) {
        (scene.keys[0].1, scene.keys[0].2) = (0, 1);
    }
    if wrong(3) {
        *scene.token.last_mut().unwrap() ^= 1;
    }
    scene.audience = if wrong(5) { "payouts" } else { TERMS.audience };
    scene.principal = Some(if wrong(6) { "spiffe://retail.example/agent/2" } else { PRINCIPAL });
    scene.window_cap_ms = if wrong(7) { 1 } else { 300_000 };
    scene.now = if wrong(8) { NOW.0 + 400_000 } else { scene.now };
    scene.lowest_epoch = if wrong(9) { 4 } else { 3 };
    scene.act = act(&if wrong(10) { vec![0] } else { context() });
    scene
}

pub(super) fn texts() -> String {
    let mut file = File::new("token-texts", &["The text form of tokens. Where the result is ok: the bytes."]);
    let token = scene(&allow()).token;
    let texts = [("a token", Text(&token).to_string(), &*token), ("one byte", "assent1.AQ".to_owned(), &[1])];
    for (name, text, bytes) in &texts {
        file.case(name).field("text", text).field("result", "ok").bytes("token", bytes);
    }
    let mut refuse = |name: &str, text: &str, result: &str| {
        file.case(name).field("text", text).field("result", result);
    };
    let [(_, good, _), _] = &texts;
    refuse("no prefix", good.trim_start_matches("assent1."), "text");
    refuse("prefix of another version", &good.replacen('1', "2", 1), "text");
    refuse("prefix in capitals", &good.replacen("assent", "Assent", 1), "text");
    refuse("padding", "assent1.AQ==", "text");
    refuse("standard alphabet", "assent1.+/8A", "text");
    refuse("bits to spare", "assent1.AR", "text");
    refuse("a character too many", "assent1.AQABA", "text");
    file.0
}
