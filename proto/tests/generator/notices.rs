//! Streams of notices, and what may be wrong with each.

use assent_proto::hash::Hash;
use assent_proto::note::KeyId;
use assent_proto::number::{Epoch, TreeSize};
use assent_proto::wire::{Closure, KeyInUse, Notice, SignedCheckpoint, Standing, begin_notices};

use super::File;
use super::frames::NOW;

const ORIGIN: &str = "log.example/a/log/1";
const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
/// `NOW` as a varint.
const TIME: [u8; 6] = [0x80, 0xd8, 0xc1, 0xa2, 0x8c, 0x34];

const OPEN: Standing<'static> =
    Standing { time: NOW, origin: ORIGIN, epoch: Epoch(300), closed: None, lowest_epoch: Epoch(0) };
const SIGNED: SignedCheckpoint = SignedCheckpoint {
    time: NOW,
    size: TreeSize(1000),
    root: Hash([0xa1; 32]),
    key_id: KeyId([1, 2, 3, 4]),
    signature: [0x51; 64],
};

fn stream(notices: &[Notice<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin_notices(&mut bytes);
    notices.iter().for_each(|notice| notice.append(&mut bytes).unwrap());
    bytes
}

/// A stream of one notice, whose length is right.
fn one(kind: u8, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let length = u8::try_from(1 + body.len()).unwrap();
    assert!(length < 0x80, "the length is one byte");
    [&[1, length, kind], &*body].concat()
}

pub(super) fn notices() -> String {
    let about = [
        "Streams of notices. Where the result is ok: what they say, in order, those of unknown kinds left out. A standing:",
        "time, origin, epoch, open or why closed, lowest epoch. A checkpoint: time, size, root, key ID, signature.",
    ];
    let mut file = File::new("notices", &about);
    let open = format!("standing {NOW} {ORIGIN} 300 open 0");
    let signed = format!("checkpoint {NOW} 1000 {} 01020304 {}", "a1".repeat(32), "51".repeat(64));

    file.case("no notices").bytes("stream", &[1]).field("result", "ok");
    let origin = [&[19], ORIGIN.as_bytes()].concat();
    let by_hand = one(1, &[&TIME, &origin, &[0xac, 2, 0, 0]]);
    assert_eq!(by_hand, stream(&[Notice::Standing(OPEN)]));
    file.case("open").bytes("stream", &by_hand).field("result", "ok").field("notice", &open);
    for (closed, why) in [(Closure::Availability, "availability"), (Closure::Integrity, "integrity")] {
        let standing = Standing { closed: Some(closed), lowest_epoch: Epoch(300), ..OPEN };
        let bytes = stream(&[Notice::Standing(standing)]);
        file.case(&format!("closed for {why}")).bytes("stream", &bytes).field("result", "ok");
        file.field("notice", format!("standing {NOW} {ORIGIN} 300 {why} 300"));
    }
    let checkpoint = stream(&[Notice::Checkpoint(SIGNED)]);
    file.case("checkpoint").bytes("stream", &checkpoint).field("result", "ok").field("notice", &signed);
    let key = stream(&[Notice::Key(KeyInUse { time: NOW, vkey: VKEY })]);
    file.case("key").bytes("stream", &key).field("result", "ok");
    file.field("notice", format!("key {NOW} {VKEY}"));
    let unknown = [4, 0, 200].map(|kind| one(kind, &[b"of another version"])[1..].to_vec()).concat();
    let several = [&by_hand[..], &unknown, &checkpoint[1..]].concat();
    file.case("kinds of another version between those of this one").bytes("stream", &several);
    file.field("result", "ok").field("notice", &open).field("notice", &signed);

    let mut refuse = |name: &str, stream: &[u8], result: &str| {
        file.case(name).bytes("stream", stream).field("result", result);
    };
    refuse("no bytes", &[], "truncated");
    refuse("version 0", &[0], "malformed");
    refuse("version 2", &[&[2], &by_hand[1..]].concat(), "malformed");
    refuse("last byte missing", &by_hand[..by_hand.len() - 1], "truncated");
    refuse("length alone", &by_hand[..2], "truncated");
    refuse("half a length", &[1, 0x80], "truncated");
    refuse("notice without bytes", &[1, 0], "truncated");
    refuse("overlong length", &[&[1, by_hand[1] | 0x80, 0], &by_hand[2..]].concat(), "not-canonical");
    refuse("length over the limit", &[1, 0x81, 0x08, 4], "too-long");
    refuse("lying length", &[1, 0xff, 0xff, 0xff, 0xff, 0x0f], "too-long");
    refuse("trailing byte in a standing", &one(1, &[&TIME, &origin, &[0xac, 2, 0, 0, 0]]), "trailing");
    refuse("standing cut short", &one(1, &[&TIME, &origin, &[0xac, 2, 0]]), "truncated");
    refuse("overlong epoch", &one(1, &[&TIME, &origin, &[0xac, 0x82, 0, 0, 0]]), "not-canonical");
    refuse("closed for no known reason", &one(1, &[&TIME, &origin, &[0xac, 2, 1, 2, 0]]), "malformed");
    refuse("neither open nor closed", &one(1, &[&TIME, &origin, &[0xac, 2, 2, 0]]), "malformed");
    refuse("lowest epoch above the epoch", &one(1, &[&TIME, &origin, &[5, 0, 6]]), "malformed");
    refuse("no origin", &one(1, &[&TIME, &[0, 5, 0, 0]]), "malformed");
    refuse("origin that no log may have", &one(1, &[&TIME, b"\x05a log", &[5, 0, 0]]), "malformed");
    let rest = [&[0xa1; 32][..], &[1, 2, 3, 4], &[0x51; 64]].concat();
    refuse("checkpoint cut short", &one(2, &[&TIME, &[5], &rest[..99]]), "truncated");
    refuse("trailing byte in a checkpoint", &one(2, &[&TIME, &[5], &rest, &[0]]), "trailing");
    refuse("overlong size", &one(2, &[&TIME, &[0x85, 0], &rest]), "not-canonical");
    let too_large = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
    refuse("tree that is too large", &one(2, &[&TIME, &too_large, &rest]), "too-long");
    refuse("key in no UTF-8", &one(3, &[&TIME, &[1, 0xff]]), "malformed");
    refuse("key cut short", &one(3, &[&TIME, &[67], VKEY.as_bytes()]), "truncated");
    // What came before the fault was told; nothing that comes after it counts.
    file.case("cut short behind others").bytes("stream", &several[..several.len() - 1]);
    file.field("result", "truncated").field("notice", &open);
    file.0
}
