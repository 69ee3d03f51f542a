//! Packed: an offer in the one file that `policy compile` makes.
//!
//! The rule it keeps: what is compiled in the file is held against its sources and then put aside; what decides is compiled
//! again within the budget, as for every offer. That is admission's to do, behind the signatures: here nothing is compiled.
//! Version and signatures travel along as they stand in a folder.

use std::path::{Path, PathBuf};

use assent_compiler::{BundleError, BundleFile, Document};

use super::offer::{Look, MANIFEST, Manifest, Offer, OfferError, Seen, bounded};
use crate::limits::{MAX_BUNDLE_FILE_BYTES, MAX_SIGNATURES};
use crate::operators::SignatureFile;

/// The file that an offer came in.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    path: PathBuf,
    file: BundleFile,
}

impl Packed {
    /// Compiles its sources, and holds what is compiled in it against the outcome.
    pub(super) fn check(&self) -> Result<(), BundleError> {
        self.file.open(&self.path).map(drop)
    }
}

/// Looks at a bundle's file.
pub(super) fn look(path: &Path) -> Result<Look, OfferError> {
    let found =
        std::fs::metadata(path).map_err(|source| OfferError::Away { path: path.to_owned(), source })?;
    let seen = Seen::of(path.to_owned(), &found);
    bounded("bytes", seen.size, MAX_BUNDLE_FILE_BYTES)?;
    Ok(Look(vec![seen]))
}

impl Offer {
    /// Reads a bundle from its file.
    pub(super) fn unpack(path: &Path, extra: Vec<SignatureFile>) -> Result<Self, OfferError> {
        let bytes =
            std::fs::read(path).map_err(|source| OfferError::Unreadable { path: path.to_owned(), source })?;
        let file = BundleFile::from_bytes(path, &bytes)?;
        let (mut manifest, mut signatures) = (Manifest::default(), extra);
        for Document { name, text } in file.attachments() {
            match name.as_str() {
                MANIFEST => manifest = Manifest::parse(&text)?,
                _ => signatures.push(SignatureFile { name, text }),
            }
        }
        bounded("signatures", signatures.len() as u64, MAX_SIGNATURES as u64)?;
        let sources = file.sources();
        let packed = Some(Packed { path: path.to_owned(), file });
        Ok(Self { sources, manifest, signatures, packed })
    }

    /// What travels along with its file.
    #[must_use]
    pub fn attachments(&self) -> Vec<Document> {
        let version = self.manifest.version;
        let manifest = version.map(|version| Document::new(MANIFEST, format!("version = {version}\n")));
        let signatures = self.signatures.iter().map(|SignatureFile { name, text }| Document::new(name, text));
        manifest.into_iter().chain(signatures).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use assent_compiler::Bundle;

    #[test]
    fn a_file_offers_what_its_folder_does_and_nothing_when_it_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        sample::write_bundle(folder.path()).unwrap();
        std::fs::write(folder.path().join("bundle.toml"), "version = 7").unwrap();
        std::fs::create_dir(folder.path().join("signatures")).unwrap();
        std::fs::write(folder.path().join("signatures/a.sig"), "not one").unwrap();
        let offer = Offer::read(folder.path()).unwrap();
        let bundle = Bundle::compile(offer.sources.clone()).unwrap();
        let path = folder.path().join("retail.bundle");
        let bytes = BundleFile::of(&bundle, &offer.attachments()).to_bytes().unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let unpacked = Offer::read(&path).unwrap();
        assert_eq!(unpacked.fingerprint(), offer.fingerprint());
        assert_eq!(unpacked.manifest.version, Some(7));

        // The last byte is the snapshot's, and no longer what the sources give.
        let mut changed = bytes;
        *changed.last_mut().unwrap() ^= 1;
        std::fs::write(&path, changed).unwrap();
        let offer = Offer::read(&path).unwrap();
        assert!(offer.check_packed().is_err());
    }
}
