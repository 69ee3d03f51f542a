//! Intents: one of every kind of value, and every way in which an encoding may not be the canonical one.

use assent_proto::context::tag;
use assent_proto::hash::Hash;
use assent_proto::intent::{OnUnavailable, Priority, Terms};

use super::{File, encoded};

/// A string behind its length, which is below 128.
pub(super) fn string(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// Action, resource and context, one after the other.
pub(super) fn act(context: &[u8]) -> Vec<u8> {
    let uid = ["Retail::Action", "Refund", "Retail::Order", "#W1"].map(string).concat();
    [&uid, context].concat()
}

/// The digest as FORMAT.md gives it.
fn digest(act: &[u8]) -> Hash {
    use sha2::{Digest as _, Sha256};
    Hash(Sha256::new().chain_update(b"assent/intent/v1\0").chain_update(act).finalize().into())
}

pub(super) const TERMS: Terms<'static> = Terms {
    audience: "refunds",
    window_s: None,
    uses: None,
    priority: None,
    on_unavailable: OnUnavailable::Fail,
};

/// `{amount: 4200, currency: "EUR"}`.
pub(super) fn context() -> Vec<u8> {
    let amount = [string("amount"), vec![tag::LONG, 0xd0, 0x41]].concat();
    let currency = [string("currency"), vec![tag::STRING], string("EUR")].concat();
    [vec![2], amount, currency].concat()
}

/// A context of one attribute `k`.
fn with_value(value: &[u8]) -> Vec<u8> {
    act(&[&[1, 1, b'k'], value].concat())
}

fn every_value() -> (Vec<u8>, &'static str) {
    let values: [(&str, &[u8]); 12] = [
        ("bool", &[tag::BOOL, 1]),
        ("datetime", &[tag::DATETIME, 0xa0, 0x9c, 0x01]),
        ("decimal", &[tag::DECIMAL, 0xf1, 0xc0, 0x01]),
        ("duration", &[tag::DURATION, 0xcf, 0x0f]),
        ("empty", &[tag::STRING, 0]),
        ("entity", &[tag::ENTITY, 1, b'T', 1, b'i']),
        ("long", &[tag::LONG, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ("record", &[tag::RECORD, 1, 1, b'x', tag::LONG, 1]),
        ("set", &[tag::SET, 2, tag::LONG, 2, tag::STRING, 1, b'a']),
        ("string", &[tag::STRING, 2, 0xc3, 0xa9]),
        ("v4", &[tag::IP, 4, 10, 0, 0, 1, 24]),
        ("v6", &[tag::IP, 6, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 128]),
    ];
    let mut bytes = vec![12];
    for (key, value) in values {
        bytes.extend([string(key), value.to_vec()].concat());
    }
    let walk = "Record(12) Key(\"bool\") Bool(true) Key(\"datetime\") Datetime(10000) Key(\"decimal\") Decimal(-12345) \
                Key(\"duration\") Duration(-1000) Key(\"empty\") String(\"\") \
                Key(\"entity\") Entity(Uid { type_name: \"T\", id: \"i\" }) Key(\"long\") Long(-9223372036854775808) \
                Key(\"record\") Record(1) Key(\"x\") Long(-1) End \
                Key(\"set\") Set(2) Long(1) String(\"a\") End Key(\"string\") String(\"\\u{e9}\") \
                Key(\"v4\") Ip(V4([10, 0, 0, 1], 24)) \
                Key(\"v6\") Ip(V6([32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 128)) End";
    (act(&bytes), walk)
}

pub(super) fn intents() -> String {
    let about = [
        "Encoded intents. Where the result is ok: the digest of the act, the walk through the context, and the terms.",
        "Elsewhere: why the bytes are refused.",
    ];
    let mut file = File::new("intents", &about);
    taken(&mut file);
    refused(&mut file);
    file.0
}

fn taken(file: &mut File) {
    let mut write = |name: &str, act: &[u8], walk: &str, terms: &Terms<'_>| {
        file.case(name).bytes("intent", &[act, &encoded(terms)].concat()).field("result", "ok");
        file.field("digest", digest(act)).field("context", walk).field("audience", terms.audience);
        file.field("window-s", format!("{:?}", terms.window_s)).field("uses", format!("{:?}", terms.uses));
        file.field("priority", format!("{:?}", terms.priority));
        file.field("on-unavailable", format!("{:?}", terms.on_unavailable));
    };
    write("empty context", &act(&[0]), "Record(0) End", &TERMS);
    let refund = "Record(2) Key(\"amount\") Long(4200) Key(\"currency\") String(\"EUR\") End";
    let terms = Terms {
        window_s: Some(300),
        uses: Some(2),
        priority: Some(Priority::High),
        on_unavailable: OnUnavailable::Queue,
        ..TERMS
    };
    write("refund", &act(&context()), refund, &terms);
    let (bytes, walk) = every_value();
    write("every kind of value", &bytes, walk, &TERMS);
    let seven_deep = with_value(&[[tag::SET, 1].repeat(6), vec![tag::SET, 0]].concat());
    let walk = format!("Record(1) Key(\"k\") {}Set(0) {}End", "Set(1) ".repeat(6), "End ".repeat(7));
    write("sets within one another, as deep as they may be", &seven_deep, &walk, &TERMS);
    let nested = with_value(&[tag::SET, 2, tag::SET, 0, tag::SET, 1, tag::SET, 0]);
    write(
        "set of sets",
        &nested,
        "Record(1) Key(\"k\") Set(2) Set(0) End Set(1) Set(0) End End End End",
        &TERMS,
    );
    // Counts stand before elements, so the shorter set comes first although its element is the greater.
    let (tag_and_count, one, two) =
        ([tag::SET, 2], [tag::SET, 1, tag::BOOL, 1], [tag::SET, 2, tag::BOOL, 0, tag::BOOL, 1]);
    let walk = "Record(1) Key(\"k\") Set(2) Set(1) Bool(true) End Set(2) Bool(false) Bool(true) End End End";
    write(
        "sets within a set, by their counts",
        &with_value(&[&tag_and_count[..], &one, &two].concat()),
        walk,
        &TERMS,
    );
}

fn refused(file: &mut File) {
    let terms = encoded(&TERMS);
    let mut raw = |name: &str, intent: &[u8], result: &str| {
        file.case(name).bytes("intent", intent).field("result", result);
    };
    let whole = [act(&context()), terms.clone()].concat();
    raw("no bytes", &[], "truncated");
    raw("last byte missing", &whole[..whole.len() - 1], "truncated");
    raw("trailing byte", &[&*whole, &[0]].concat(), "trailing");
    raw("priority that there is not", &[&*act(&[0]), &string("a"), &[0, 0, 1, 4, 0]].concat(), "malformed");
    raw(
        "overlong audience length",
        &[&*act(&[0]), &[0x81, 0x00, b'a', 0, 0, 0, 0]].concat(),
        "not-canonical",
    );
    let long = Terms { audience: &"a".repeat(257), ..TERMS };
    raw("audience over its limit", &[act(&[0]), encoded(&long)].concat(), "too-large");
    let name = [[0x81, 0x02].to_vec(), vec![b'T'; 257]].concat();
    raw("type name over its limit", &[&*name, &act(&[0]), &terms].concat(), "too-large");
    raw("type name in no UTF-8", &[&[1, 0xff], &*whole].concat(), "malformed");

    let mut context = |name: &str, context: &[u8], result: &str| {
        raw(name, &[&*act(context), &terms].concat(), result);
    };
    let pair = |first: u8, second: u8| [2, 1, first, tag::BOOL, 1, 1, second, tag::BOOL, 1];
    context("unsorted keys", &pair(b'b', b'a'), "not-canonical");
    context("duplicate keys", &pair(b'a', b'a'), "not-canonical");
    context("overlong count", &[0x80, 0x00], "not-canonical");
    context("key in no UTF-8", &[1, 1, 0xff, tag::BOOL, 0], "malformed");
    context("count over the limit", &[0x81, 0x08], "too-large");

    let mut value = |name: &str, value: &[u8], result: &str| {
        raw(name, &[with_value(value), terms.clone()].concat(), result);
    };
    value("unsorted set", &[tag::SET, 2, tag::LONG, 4, tag::LONG, 2], "not-canonical");
    value("duplicate in a set", &[tag::SET, 2, tag::LONG, 2, tag::LONG, 2], "not-canonical");
    value("unsorted set of sets", &[tag::SET, 2, tag::SET, 1, tag::SET, 0, tag::SET, 0], "not-canonical");
    value("overlong varint", &[tag::LONG, 0x82, 0x00], "not-canonical");
    value("varint beyond 64 bits", &[&[tag::LONG][..], &[0xff; 9], &[2]].concat(), "malformed");
    value("string in no UTF-8", &[tag::STRING, 2, 0xc3, 0x28], "malformed");
    value("surrogate in a string", &[tag::STRING, 3, 0xed, 0xa0, 0x80], "malformed");
    value("boolean of 2", &[tag::BOOL, 2], "malformed");
    value("tag that there is not", &[10], "malformed");
    value("address of no family", &[tag::IP, 5, 0, 0, 0, 0, 0], "malformed");
    value("prefix of 33 bits", &[tag::IP, 4, 10, 0, 0, 1, 33], "malformed");
    value("prefix of 129 bits", &[&[tag::IP, 6][..], &[0; 16], &[129]].concat(), "malformed");
    value("lying length", &[tag::STRING, 0xff, 0xff, 0x03], "truncated");
    value("string over its limit", &[tag::STRING, 0x81, 0x80, 0x04], "too-large");
    value("depth", &[[tag::SET, 1].repeat(7), vec![tag::SET, 0]].concat(), "too-large");
    let longs = (0x80..=0xff_u8).flat_map(|low| (1..=8).map(move |high| [tag::LONG, low, high]));
    let longs: Vec<u8> = longs.flatten().collect();
    value("1,025 values", &[&[tag::SET, 0x80, 0x08], &*longs].concat(), "too-large");
}
