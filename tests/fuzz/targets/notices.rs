//! The stream of notices: whatever bytes an appliance sends, cut wherever the network cuts them, they say the same or are
//! refused, and what was taken has one encoding.
#![no_main]

use assent_proto::codec::CodecError;
use assent_proto::limits::MAX_NOTICE_BYTES;
use assent_proto::wire::{Arrived, Notice, NoticeReader, begin_notices, notices};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((size, stream)) = data.split_first() else { return };
    let whole: Vec<_> = notices(stream).collect();
    let told: Vec<Vec<u8>> = whole.iter().flatten().map(again).collect();
    let (in_pieces, outcome) = read_in_pieces(stream, usize::from(*size).max(1));
    assert_eq!(in_pieces, told, "pieces say something else than the whole");
    assert_eq!(whole.iter().find_map(|notice| notice.err()), outcome, "pieces end otherwise than the whole");
    for bytes in &told {
        let position = stream.windows(bytes.len() - 1).position(|window| window == &bytes[1..]);
        assert!(position.is_some(), "a notice has another encoding");
    }
});

/// The stream of one notice.
fn again(notice: &Notice<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin_notices(&mut bytes);
    notice.append(&mut bytes).expect("what was read can be written");
    bytes
}

/// What is told, and how it ended: in the middle of a notice too.
fn read_in_pieces(stream: &[u8], size: usize) -> (Vec<Vec<u8>>, Option<CodecError>) {
    let (mut reader, mut kept, mut told) = (NoticeReader::new(), Vec::new(), Vec::new());
    let mut begun = false;
    for piece in stream.chunks(size) {
        kept.extend_from_slice(piece);
        let mut rest = kept.as_slice();
        loop {
            match reader.read(&mut rest) {
                Ok(Some(Arrived::Notice(notice))) => told.push(again(&notice)),
                Ok(Some(Arrived::Unknown(_))) => {}
                Ok(None) => break,
                Err(error) => return (told, Some(error)),
            }
        }
        begun = true;
        kept = rest.to_vec();
        assert!(kept.len() <= MAX_NOTICE_BYTES + 2, "more is kept than a notice can have");
    }
    (told, (!begun || !kept.is_empty()).then_some(CodecError::Truncated))
}
