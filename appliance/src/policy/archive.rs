//! The archive: every bundle that ever decided, so that an auditor can decide again what it decided.
//!
//! The rule it keeps: one file a bundle, named by its digest, written before the log says that it decides, and never changed.
//! It holds the sources as they were loaded, as JSON, so that nothing of ours is needed to read them; whoever reads one
//! compares the digest of what it holds with its name. It does not say which bundle decided when: the log does. Nothing is
//! ever removed here: what the log does not name any more may be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use assent_compiler::{Bundle, Document, Rules, Sources};
use assent_doors::shelf::ShelfError;
use assent_proto::hash::Hash;
use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;
use super::store::LABEL;
use crate::identity::write_durably;
use crate::limits::LOADER_STACK_BYTES;
use crate::log::hex::unhex;
use crate::operators::SignatureFile;

/// The archive's name in the data folder, and beside a copy of a log.
pub const FOLDER: &str = "bundles";
/// What each of its files says that it is.
const SCHEMA: &str = "assent.v1.bundle";

/// Why a bundle of the archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system could not.
    #[error("cannot read {}", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It is none.
    #[error("{} is no archived bundle: {why}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is another than its name says.
    #[error("{} holds the bundle {found}: it was altered", path.display())]
    Altered {
        /// Which file.
        path: PathBuf,
        /// Digest of what it holds.
        found: Hash,
    },
}

/// A folder of bundles.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: String,
    digest: String,
    version: Option<u64>,
    source: String,
    loaded_ms: u64,
    catalog: Text,
    policies: Vec<Text>,
    risk: Vec<Text>,
    links: Option<Text>,
    #[serde(default)]
    operators: Option<Text>,
    entities: Vec<Text>,
    tests: Vec<Text>,
    signatures: Vec<Text>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    name: String,
    text: String,
}

impl From<&Document> for Text {
    fn from(Document { name, text }: &Document) -> Self {
        Self { name: name.clone(), text: text.clone() }
    }
}

impl From<Text> for Document {
    fn from(Text { name, text }: Text) -> Self {
        Self { name, text }
    }
}

impl From<&Snapshot> for File {
    fn from(snapshot: &Snapshot) -> Self {
        let Sources { catalog, policies, risk, links, operators, entities, tests, rules: _ } =
            snapshot.bundle.sources();
        let texts = |documents: &[Document]| documents.iter().map(Text::from).collect();
        let signed =
            |SignatureFile { name, text }: &SignatureFile| Text { name: name.clone(), text: text.clone() };
        Self {
            schema: SCHEMA.to_owned(),
            digest: snapshot.digest.to_string(),
            version: snapshot.version,
            source: snapshot.provenance.source.clone(),
            loaded_ms: snapshot.provenance.at.0,
            catalog: catalog.into(),
            policies: texts(policies),
            risk: texts(risk),
            links: links.as_ref().map(Text::from),
            operators: operators.as_ref().map(Text::from),
            entities: texts(entities),
            tests: texts(tests),
            signatures: snapshot.signatures.iter().map(signed).collect(),
        }
    }
}

impl Archive {
    /// The archive in this folder, which need not exist yet.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps a bundle, durably. One that it has it leaves as it is.
    pub(super) fn keep(&self, snapshot: &Snapshot) -> Result<(), ShelfError> {
        let path = self.path(&snapshot.digest);
        if path.exists() {
            return Ok(());
        }
        let file = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| ShelfError::File { doing, path, source }
        };
        std::fs::create_dir_all(&self.folder).map_err(file("make", &self.folder))?;
        let text = serde_json::to_vec_pretty(&File::from(snapshot))
            .map_err(|_| ShelfError::Unreadable { label: &LABEL, what: "bundle" })?;
        write_durably(&path, &text, 0o600).map_err(file("write", &path))
    }

    /// Digests of the bundles in it. A folder that is not there holds none.
    ///
    /// # Errors
    /// [`ArchiveError::File`].
    pub fn digests(&self) -> Result<BTreeSet<Hash>, ArchiveError> {
        let failed = |source| ArchiveError::File { path: self.folder.clone(), source };
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut digests = BTreeSet::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            let digest = name.to_str().and_then(|name| name.strip_suffix(".json")).and_then(unhex);
            digests.extend(digest.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).map(Hash));
        }
        Ok(digests)
    }

    /// The sources of a bundle, which are those of its digest; none where it is not in the archive.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn sources(&self, digest: &Hash) -> Result<Option<Sources>, ArchiveError> {
        let path = self.path(digest);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ArchiveError::File { path, source }),
        };
        let malformed = |why: String| ArchiveError::Malformed { path: path.clone(), why };
        let file: File = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if file.schema != SCHEMA {
            return Err(malformed(format!("its schema is `{}`, not `{SCHEMA}`", file.schema.escape_debug())));
        }
        let all = |texts: Vec<Text>| texts.into_iter().map(Document::from).collect();
        let sources = Sources {
            catalog: file.catalog.into(),
            policies: all(file.policies),
            risk: all(file.risk),
            links: file.links.map(Document::from),
            operators: file.operators.map(Document::from),
            entities: all(file.entities),
            tests: all(file.tests),
            rules: Rules::Bundle,
        };
        // The digest covers names and texts, and not in which part of the bundle they stand.
        sources.check_names().map_err(|error| malformed(error.to_string()))?;
        let found = Hash(sources.digest());
        if found == *digest { Ok(Some(sources)) } else { Err(ArchiveError::Altered { path, found }) }
    }

    /// A bundle, compiled again, as it decided; none where it is not in the archive.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn bundle(&self, digest: &Hash) -> Result<Option<Bundle>, ArchiveError> {
        let Some(sources) = self.sources(digest)? else { return Ok(None) };
        let failed = |why: String| ArchiveError::Malformed { path: self.path(digest), why };
        // Its budget was held against when it was loaded, and changes no decision.
        let compile = || Bundle::compile_within(sources, u64::MAX);
        let compiled = std::thread::scope(|scope| {
            let thread =
                std::thread::Builder::new().name("archive".to_owned()).stack_size(LOADER_STACK_BYTES);
            let running = thread.spawn_scoped(scope, compile).map_err(|error| failed(error.to_string()))?;
            running
                .join()
                .map_err(|_| failed("the compiler failed on it; report it with the file".to_owned()))
        })?;
        compiled.map(Some).map_err(|error| failed(error.report()))
    }

    fn path(&self, digest: &Hash) -> PathBuf {
        self.folder.join(format!("{digest}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policies;
    use crate::sample;

    #[test]
    fn a_kept_bundle_gives_its_sources_back_and_an_altered_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        sample::write_bundle(&folder.path().join("bundle")).unwrap();
        let snapshot = Policies::load_unrecorded(&folder.path().join("bundle")).unwrap().snapshot();
        let archive = Archive::at(&folder.path().join("archive"));
        assert_eq!(archive.digests().unwrap(), BTreeSet::new());
        assert!(archive.sources(&snapshot.digest()).unwrap().is_none());
        archive.keep(&snapshot).unwrap();
        archive.keep(&snapshot).unwrap();
        assert_eq!(archive.digests().unwrap(), BTreeSet::from([snapshot.digest()]));
        let sources = archive.sources(&snapshot.digest()).unwrap().unwrap();
        assert_eq!(sources.digest(), snapshot.digest().0);

        let path = archive.path(&snapshot.digest());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("permit", "forbid", 1)).unwrap();
        assert!(matches!(archive.sources(&snapshot.digest()), Err(ArchiveError::Altered { .. })));
        std::fs::write(&path, text.replacen("\"tests\"", "\"others\"", 1)).unwrap();
        assert!(matches!(archive.sources(&snapshot.digest()), Err(ArchiveError::Malformed { .. })));
    }
}
