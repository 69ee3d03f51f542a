//! An offer: a bundle's files as they were found, before anything about them is believed.
//!
//! The rule it keeps: bounded, and of one moment. A folder is looked at before and after it is read; where it changed in
//! between, what was read may be half of one bundle and half of another, and is not offered.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use assent_compiler::{BundleError, Document, Sources};
use assent_proto::hash::Hash;
use serde::Deserialize;

use super::packed::Packed;
use super::snapshot::Snapshot;
use crate::limits::{
    MAX_BUNDLE_BYTES, MAX_BUNDLE_FILES, MAX_BUNDLE_LEVELS, MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES,
    MAX_SIGNATURES,
};
use crate::operators::SignatureFile;

/// What a bundle says of itself.
pub(super) const MANIFEST: &str = "bundle.toml";

/// What `bundle.toml` may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The bundle's version: at least 1, and never lower than the one in force.
    pub version: Option<u64>,
}

/// A bundle's files.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What is compiled.
    pub sources: Sources,
    /// What it says of itself.
    pub manifest: Manifest,
    /// Who says that it is right.
    pub signatures: Vec<SignatureFile>,
    /// Where it came in one file, that: what is compiled in it is to be what its sources give.
    pub(super) packed: Option<Packed>,
}

/// Why there is no offer.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// The folder, or something in it, is not there or cannot be looked at.
    #[error("cannot look at the bundle's folder {}", path.display())]
    Away {
        /// The folder, or a part of it.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file of it cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The compiler could not read its files.
    #[error(transparent)]
    Files(#[from] BundleError),
    /// It has more files, or more bytes, than we take.
    #[error("a bundle has at most {limit} {what}; this one has {found}")]
    TooLarge {
        /// Files, bytes or signatures.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// Folders nest deeper than those of any bundle.
    #[error("{}: a bundle's folders nest at most {MAX_BUNDLE_LEVELS} deep; move this one out of it", path.display())]
    TooDeep {
        /// The folder.
        path: PathBuf,
    },
    /// `bundle.toml` says what it may not.
    #[error("bundle.toml: {problem}; it may say `version = N`, a whole number from 1 on")]
    Manifest {
        /// What is wrong.
        problem: String,
    },
    /// It changed while it was read.
    #[error("the folder changed while it was read; load it again when it is complete")]
    Changing,
}

/// How a bundle's files looked, without what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look(pub(super) Vec<Seen>);

/// How one file looked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seen {
    path: PathBuf,
    pub(super) size: u64,
    inode: u64,
    /// Seconds and nanoseconds of the last change of content, and of anything.
    times: [i64; 4],
}

impl Look {
    /// Looks at everything in a bundle's folder: a file that belongs to no bundle may be why one is refused, and its going
    /// away why the same is taken.
    pub(super) fn at(folder: &Path) -> Result<Self, OfferError> {
        if folder.is_file() {
            return super::packed::look(folder);
        }
        let mut seen = Vec::new();
        walk(folder, MAX_BUNDLE_LEVELS, &mut seen)?;
        bounded("bytes", seen.iter().map(|seen| seen.size).sum(), MAX_BUNDLE_BYTES)?;
        seen.sort();
        Ok(Self(seen))
    }

    /// The files of a part that end so, in the order of their names.
    fn of_part<'l>(&'l self, part: &'l Path, ending: &'l str) -> impl Iterator<Item = &'l Path> {
        let paths = self.0.iter().map(|seen| seen.path.as_path());
        paths.filter(move |path| {
            path.parent() == Some(part) && path.extension().is_some_and(|found| found == ending)
        })
    }
}

/// Lists the files of a folder and of those in it, so many levels down.
fn walk(place: &Path, levels: usize, seen: &mut Vec<Seen>) -> Result<(), OfferError> {
    let away = |path: &Path| {
        let path = path.to_owned();
        move |source| OfferError::Away { path, source }
    };
    for entry in std::fs::read_dir(place).map_err(away(place))? {
        let path = entry.map_err(away(place))?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        let found = match std::fs::metadata(&path) {
            // It went away while the folder was listed, or points nowhere.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            found => found.map_err(away(&path))?,
        };
        if found.is_dir() {
            let below = levels.checked_sub(1);
            let too_deep = || OfferError::TooDeep { path: path.clone() };
            walk(&path, below.ok_or_else(too_deep)?, seen)?;
        } else if found.is_file() {
            seen.push(Seen::of(path, &found));
            bounded("files", seen.len() as u64, MAX_BUNDLE_FILES as u64)?;
        } else {
            // Whoever reads a pipe waits for somebody to write.
            return Err(away(&path)(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a file")));
        }
    }
    Ok(())
}

impl Seen {
    pub(super) fn of(path: PathBuf, found: &Metadata) -> Self {
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()];
        Self { path, size: found.len(), inode: found.ino(), times }
    }
}

pub(super) fn bounded(what: &'static str, found: u64, limit: u64) -> Result<(), OfferError> {
    if found > limit { Err(OfferError::TooLarge { what, found, limit }) } else { Ok(()) }
}

impl Offer {
    /// Reads a bundle from its folder, which must still look as it did when it has been read.
    ///
    /// # Errors
    /// [`OfferError`].
    pub fn read(folder: &Path) -> Result<Self, OfferError> {
        Self::read_as(folder, &Look::at(folder)?, Vec::new())
    }

    pub(super) fn read_as(folder: &Path, look: &Look, extra: Vec<SignatureFile>) -> Result<Self, OfferError> {
        if folder.is_file() {
            let offer = Self::unpack(folder, extra);
            return if Look::at(folder)? == *look { offer } else { Err(OfferError::Changing) };
        }
        let sources = Sources::from_folder(folder);
        let manifest = manifest(&folder.join(MANIFEST));
        let signatures = signatures(look, &folder.join("signatures"), extra);
        // Whatever went wrong may have done so because somebody is writing.
        if Look::at(folder)? != *look {
            return Err(OfferError::Changing);
        }
        Ok(Self { sources: sources?, manifest: manifest?, signatures: signatures?, packed: None })
    }

    /// Where it came in one file: compiles its sources, and holds what is compiled in the file against the outcome. Nobody does so
    /// before enough operators signed it, where they must.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn check_packed(&self) -> Result<(), BundleError> {
        self.packed.as_ref().map_or(Ok(()), Packed::check)
    }

    /// Whether it is, file for file, what a bundle in force was made from.
    pub(super) fn is_in_force(&self, snapshot: &Snapshot) -> bool {
        documents(&self.sources).eq(documents(snapshot.bundle.sources()))
            && self.manifest.version == snapshot.version
            && self.signatures == snapshot.signatures
    }

    /// Tells offers apart: over every file, whatever it says.
    pub(super) fn fingerprint(&self) -> Hash {
        let mut all = Hash::default();
        let mut add = |name: &str, text: &str| {
            let length = (name.len() as u64).to_be_bytes();
            all =
                Hash::of_labelled(b"assent/offer/v1\0", [&all.0, &length, name.as_bytes(), text.as_bytes()]);
        };
        documents(&self.sources).for_each(|Document { name, text }| add(name, text));
        self.signatures.iter().for_each(|SignatureFile { name, text }| add(name, text));
        add("version", &format!("{:?}", self.manifest.version));
        all
    }
}

/// Every file that is compiled: those of which there is one, then the lists. Each has its part in its name.
fn documents(sources: &Sources) -> impl Iterator<Item = &Document> {
    let Sources { catalog, policies, risk, links, operators, entities, tests, rules: _ } = sources;
    let lists = [policies, risk, entities, tests];
    std::iter::once(catalog).chain(links).chain(operators).chain(lists.into_iter().flatten())
}

fn manifest(path: &Path) -> Result<Manifest, OfferError> {
    let text = match bounded_text(path, MAX_MANIFEST_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Manifest::default()),
        read => read.map_err(|source| OfferError::Unreadable { path: path.to_owned(), source })?,
    };
    Manifest::parse(&text)
}

impl Manifest {
    pub(super) fn parse(text: &str) -> Result<Self, OfferError> {
        let manifest: Self = toml::from_str(text)
            .map_err(|error| OfferError::Manifest { problem: error.message().to_owned() })?;
        if manifest.version == Some(0) {
            return Err(OfferError::Manifest { problem: "version 0".to_owned() });
        }
        Ok(manifest)
    }
}

fn signatures(look: &Look, part: &Path, extra: Vec<SignatureFile>) -> Result<Vec<SignatureFile>, OfferError> {
    let mut all = extra;
    for path in look.of_part(part, "sig") {
        let text = bounded_text(path, MAX_SIGNATURE_BYTES as u64)
            .map_err(|source| OfferError::Unreadable { path: path.to_owned(), source })?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        all.push(SignatureFile { name: format!("signatures/{file}"), text });
    }
    bounded("signatures", all.len() as u64, MAX_SIGNATURES as u64)?;
    Ok(all)
}

/// The text of a file, cut behind its limit: what is too long does not parse.
fn bounded_text(path: &Path, limit: u64) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(limit + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        sample::write_bundle(folder.path()).unwrap();
        folder
    }

    #[test]
    fn bundle_toml_states_a_version_and_nothing_else() {
        assert_eq!(Manifest::parse("version = 7\n").unwrap().version, Some(7));
        assert_eq!(Manifest::parse("").unwrap().version, None);
        for text in ["version = 0", "version = -1", "version = \"7\"", "version = 1\nname = \"x\"", "version"]
        {
            let said = Manifest::parse(text).unwrap_err().to_string();
            assert!(said.starts_with("bundle.toml: ") && said.contains("version = N"), "{text}: {said}");
        }
    }

    #[test]
    fn any_change_of_a_file_changes_the_look_and_hidden_files_do_not() {
        let folder = folder();
        let before = Look::at(folder.path()).unwrap();
        std::fs::write(folder.path().join(".gitignore"), "not of the bundle").unwrap();
        assert_eq!(Look::at(folder.path()).unwrap(), before);
        let stray = folder.path().join("misspelt.cedar");
        std::fs::write(&stray, "not of the bundle either, which may be why it is refused").unwrap();
        assert_ne!(Look::at(folder.path()).unwrap(), before);
        std::fs::remove_file(stray).unwrap();
        assert_eq!(Look::at(folder.path()).unwrap(), before);
        let policies = folder.path().join("policies/orders.cedar");
        let text = std::fs::read_to_string(&policies).unwrap();
        // The same size, within one tick of the file system's clock perhaps: another file all the same.
        let beside = folder.path().join("policies/new");
        std::fs::write(&beside, text.replacen('a', "b", 1)).unwrap();
        std::fs::rename(&beside, &policies).unwrap();
        assert_ne!(Look::at(folder.path()).unwrap(), before);
    }

    #[test]
    fn a_folder_that_changed_while_it_was_read_is_not_offered() {
        let folder = folder();
        let look = Look::at(folder.path()).unwrap();
        assert!(Offer::read_as(folder.path(), &look, Vec::new()).is_ok());
        std::fs::write(folder.path().join("bundle.toml"), "version = 2").unwrap();
        let read = Offer::read_as(folder.path(), &look, Vec::new());
        assert!(matches!(read, Err(OfferError::Changing)), "{read:?}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_away_and_a_file_that_is_not_there_is_missing() {
        let folder = folder();
        let away = Offer::read(&folder.path().join("nowhere"));
        assert!(matches!(away, Err(OfferError::Away { .. })), "{away:?}");
        std::fs::remove_file(folder.path().join("catalog.cedarschema")).unwrap();
        let missing = Offer::read(folder.path());
        assert!(matches!(missing, Err(OfferError::Files(_))), "{missing:?}");
    }

    #[test]
    fn a_pipe_and_a_folder_without_end_are_refused_and_not_waited_for() {
        let folder = folder();
        let pipe = folder.path().join("policies/pipe.cedar");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let said = Offer::read(folder.path()).unwrap_err();
        assert!(matches!(&said, OfferError::Away { path, .. } if *path == pipe), "{said}");
        std::fs::remove_file(&pipe).unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("policies/itself")).unwrap();
        assert!(matches!(Offer::read(folder.path()), Err(OfferError::TooDeep { .. })));
    }

    #[test]
    fn every_part_of_an_offer_is_in_its_fingerprint() {
        let folder = folder();
        let offer = Offer::read(folder.path()).unwrap();
        let signature = SignatureFile { name: "a".to_owned(), text: String::new() };
        let others = [
            Offer { manifest: Manifest { version: Some(1) }, ..offer.clone() },
            Offer { signatures: vec![signature], ..offer.clone() },
            Offer { sources: Sources { tests: Vec::new(), ..offer.sources.clone() }, ..offer.clone() },
        ];
        assert_eq!(offer.fingerprint(), offer.clone().fingerprint());
        for other in others {
            assert_ne!(other.fingerprint(), offer.fingerprint());
        }
    }
}
