//! The stream of notices: cut anywhere it says the same, cut short it says less and never something else, and what is over
//! a limit is refused before it is there.

#![expect(clippy::unwrap_used, reason = "the functions beside the tests may fail as loudly as the tests")]

use assent_proto::codec::{CodecError, append_bytes, append_varint};
use assent_proto::hash::Hash;
use assent_proto::limits::{MAX_NOTICE_BYTES, MAX_ORIGIN_BYTES, MAX_TREE_SIZE};
use assent_proto::note::{KeyId, VerifierKey};
use assent_proto::number::{Epoch, Timestamp, TreeSize};
use assent_proto::wire::{
    self, Arrived, Closure, KeyInUse, Notice, NoticeReader, SignedCheckpoint, Standing,
};

const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn all() -> [Notice<'static>; 4] {
    let time = Timestamp(u64::MAX);
    let closed = Standing {
        time,
        origin: "log.example/a/log/1",
        epoch: Epoch(u64::MAX),
        closed: Some(Closure::Integrity),
        lowest_epoch: Epoch(7),
    };
    let checkpoint = SignedCheckpoint {
        time,
        size: TreeSize(MAX_TREE_SIZE - 1),
        root: Hash([1; 32]),
        key_id: KeyId([2; 4]),
        signature: [3; 64],
    };
    [
        Notice::Standing(closed),
        Notice::Checkpoint(checkpoint),
        Notice::Standing(Standing { closed: None, ..closed }),
        Notice::Key(KeyInUse { time, vkey: VKEY }),
    ]
}

fn stream(notices: &[Notice<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::begin_notices(&mut bytes);
    notices.iter().for_each(|notice| notice.append(&mut bytes).unwrap());
    bytes
}

/// Reads pieces as they come; gives what was told, and how much had to be kept at most.
fn read_in_pieces(bytes: &[u8], size: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut reader, mut kept, mut told, mut most) = (NoticeReader::new(), Vec::new(), Vec::new(), 0);
    for piece in bytes.chunks(size) {
        kept.extend_from_slice(piece);
        let mut rest = &*kept;
        while let Some(arrived) = reader.read(&mut rest).unwrap() {
            if let Arrived::Notice(notice) = arrived {
                told.push(stream(&[notice]));
            }
        }
        kept = rest.to_vec();
        most = most.max(kept.len());
    }
    assert!(kept.is_empty());
    (told, most)
}

#[test]
fn pieces_of_any_size_say_the_same() {
    let mut bytes = stream(&all());
    append_bytes(&[&[77][..], &[0; MAX_NOTICE_BYTES - 1]].concat(), &mut bytes);
    bytes.extend(&stream(&all())[1..]);
    let whole: Vec<_> = [all(), all()].concat().iter().map(|notice| stream(&[*notice])).collect();
    for size in 1..bytes.len() {
        let (told, most) = read_in_pieces(&bytes, size);
        assert_eq!(told, whole, "in pieces of {size}");
        assert!(most <= MAX_NOTICE_BYTES + 2, "{most} bytes were kept");
    }
}

#[test]
fn every_shorter_stream_is_told_as_cut_unless_it_ends_between_notices() {
    let bytes = stream(&all());
    let ends: Vec<usize> = (0..=all().len()).map(|count| stream(&all()[..count]).len()).collect();
    for length in 0..bytes.len() {
        let read: Result<Vec<_>, _> = wire::notices(&bytes[..length]).collect();
        match ends.iter().position(|end| *end == length) {
            Some(count) => assert_eq!(read.unwrap(), all()[..count]),
            None => assert_eq!(read, Err(CodecError::Truncated), "{length} bytes"),
        }
    }
}

#[test]
fn every_shorter_and_every_longer_notice_is_refused() {
    for notice in all() {
        let bytes = &stream(&[notice])[2..];
        assert_eq!(Notice::parse(bytes), Ok(Some(notice)));
        for length in 0..bytes.len() {
            assert!(Notice::parse(&bytes[..length]).is_err(), "{notice:?}: {length} bytes");
        }
        assert!(Notice::parse(&[bytes, &[0]].concat()).is_err());
    }
}

#[test]
fn nothing_is_told_behind_a_fault() {
    let mut bytes = stream(&all()[..1]);
    bytes.extend([2, 1, 0]);
    bytes.extend(&stream(&all())[1..]);
    let told: Vec<_> = wire::notices(&bytes).collect();
    assert_eq!(told, [Ok(all()[0]), Err(CodecError::Truncated)]);
}

#[test]
fn length_over_the_limit_is_refused_before_its_bytes_are_there() {
    let with_length = |length: usize| {
        let mut bytes = vec![1];
        append_varint(length as u64, &mut bytes);
        NoticeReader::new().read(&mut &*bytes).map(|arrived| arrived.is_some())
    };
    assert_eq!(with_length(MAX_NOTICE_BYTES), Ok(false));
    assert_eq!(with_length(MAX_NOTICE_BYTES + 1), Err(CodecError::TooLong));
    assert_eq!(with_length(usize::MAX), Err(CodecError::TooLong));
    assert_eq!(Notice::parse(&[9; MAX_NOTICE_BYTES + 1]), Err(CodecError::TooLong));
    assert_eq!(Notice::parse(&[9; MAX_NOTICE_BYTES]), Ok(None));
}

#[test]
fn longest_notices_fit() {
    let origin = "o".repeat(MAX_ORIGIN_BYTES);
    let (time, epoch) = (Timestamp(u64::MAX), Epoch(u64::MAX));
    let closed = Some(Closure::Integrity);
    let standing = Notice::Standing(Standing { time, origin: &origin, epoch, closed, lowest_epoch: epoch });
    let key = *VerifierKey::parse(VKEY).unwrap().key().as_bytes();
    let vkey = VerifierKey::new(&origin, &key).unwrap().to_string();
    let key = Notice::Key(KeyInUse { time, vkey: &vkey });
    let bytes = stream(&[standing, key]);
    let read: Result<Vec<_>, _> = wire::notices(&bytes).collect();
    assert_eq!(read, Ok(vec![standing, key]));
}

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let Notice::Standing(standing) = all()[0] else { unreachable!() };
    let Notice::Checkpoint(checkpoint) = all()[1] else { unreachable!() };
    let origin = "o".repeat(MAX_ORIGIN_BYTES + 1);
    let wrong = [
        Notice::Standing(Standing { origin: "", ..standing }),
        Notice::Standing(Standing { origin: &origin, ..standing }),
        Notice::Standing(Standing { epoch: Epoch(6), ..standing }),
        Notice::Checkpoint(SignedCheckpoint { size: TreeSize(MAX_TREE_SIZE), ..checkpoint }),
        Notice::Key(KeyInUse { time: Timestamp(0), vkey: &"k".repeat(MAX_NOTICE_BYTES) }),
    ];
    for notice in wrong {
        let mut bytes = Vec::new();
        assert!(notice.append(&mut bytes).is_err(), "{notice:?}");
        assert!(bytes.is_empty());
    }
}
