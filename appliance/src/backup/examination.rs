//! The examination of a copied log: offline, by its own key ring, as an auditor would.
//!
//! It tells that the copy is whole and says what the original said. Whether the original is what it should be, fences,
//! witnesses and a trust file from elsewhere tell.

use std::path::Path;

use assent_proto::note::VerifierKey;
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::verify::TrustedKey;

use super::BackupError;
use crate::log::SignedCheckpoint;
use crate::log::keyring::Keyring;
use crate::log::reader::Reader;
use crate::log::verification::Verification;

/// What a copied log is.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) reader: Reader,
    pub(super) entries: u64,
    pub(super) signed: SignedCheckpoint,
    pub(super) archived_volumes: u64,
}

/// Examines the log at `path`: every volume that is here, every leaf, every checkpoint. Where leaves lie in an archive only,
/// that the roots and what is here lead to the signed checkpoint.
pub(super) fn examine(path: &Path, ring: &Keyring, now: Timestamp) -> Result<Examined, BackupError> {
    let reader = Reader::open(path)?;
    let head = reader.head()?;
    let signed = reader.checkpoint()?.ok_or(BackupError::Unsigned)?;
    let unverified = |first: &str| BackupError::Unverified { first: first.to_owned(), total: 1 };
    if reader.identity()?.origin != ring.origin() {
        return Err(unverified("it is not the log of its key ring"));
    }
    reader.check_volumes(|_| ())?;
    let archived_volumes = reader.volumes()? - reader.volumes_here()?.len() as u64;
    if archived_volumes > 0 {
        if !ring.verifies(&signed) || reader.frontier(signed.size)?.root() != signed.root {
            return Err(unverified("its newest checkpoint is not signed over its leaves"));
        }
        return Ok(Examined { reader, entries: head.size, signed, archived_volumes });
    }
    let trusted = trusted(ring)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let verification = Verification::new(ring.origin(), &trusted).beside(&reader).at(now).on(threads);
    let mut report = verification.run(reader.rounds(LeafIndex(0))?, |_| ())?;
    report.compare_with_head(&head);
    match report.findings.first() {
        Some(finding) => {
            let first = format!("leaf {}: {}", finding.index, finding.what);
            Err(BackupError::Unverified { first, total: report.findings_total })
        }
        None => Ok(Examined { reader, entries: head.size, signed, archived_volumes }),
    }
}

/// Every key of the ring, at any time.
fn trusted(ring: &Keyring) -> Result<Vec<TrustedKey<'_>>, BackupError> {
    let announced = ring.next().map(|next| next.vkey.as_str());
    let parsed = |vkey| {
        let key = VerifierKey::parse(vkey).map_err(|error| BackupError::Unverified {
            first: format!("a key of its ring: {error}"),
            total: 1,
        })?;
        Ok(TrustedKey { key, not_before: Timestamp(0), not_after: Timestamp(u64::MAX) })
    };
    ring.keys().map(|key| key.vkey.as_str()).chain(announced).map(parsed).collect()
}
