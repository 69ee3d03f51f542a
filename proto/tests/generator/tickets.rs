//! Tickets, and the frames that name them.

use assent_proto::wire::Ticket;

use super::File;
use super::frames::{BATCH, NOW};

/// SHA-256 over the label, the batch and the position; the first 10 bytes behind the end of the wait.
pub(super) fn tickets() -> String {
    use sha2::{Digest as _, Sha256};
    let mut file =
        File::new("tickets", &["Tickets, and the frames that name them: to collect, and to cancel."]);
    for (position, until) in [(0_u32, 1_790_000_900_000_u64), (4095, 1_790_000_000_000)] {
        let sha = Sha256::new().chain_update(b"assent/ticket/v1\0").chain_update(BATCH.0);
        let hash = sha.chain_update(position.to_be_bytes()).finalize();
        let ticket = [&until.to_be_bytes()[2..], &hash[..10]].concat();
        file.case(&format!("position {position}")).bytes("batch", &BATCH.0).field("position", position);
        file.field("until", until).bytes("ticket", &ticket).field("result", "ok");
        file.bytes("collect", &[&[2], &*ticket].concat()).bytes("cancel", &[&[3], &*ticket].concat());
    }
    let ticket = Ticket::new(BATCH, 0, NOW).0.0;
    for kind in [2, 3] {
        let frame = [&[kind], &ticket[..]].concat();
        file.case(&format!("frame {kind} cut short"))
            .bytes("frame", &frame[..16])
            .field("result", "truncated");
        let longer = [&*frame, &[0]].concat();
        file.case(&format!("frame {kind} with a trailing byte"))
            .bytes("frame", &longer)
            .field("result", "trailing");
    }
    file.0
}
