//! A bundle as one file: its sources, and the image and snapshot that were compiled from them.
//!
//! The rule it keeps: what is compiled is believed only where compiling the sources again gives the same bytes. So the file
//! can be carried, signed and compared, and nothing in it decides that its sources do not say; whoever has no Cedar reads
//! image and snapshot from it with `assent-image` and verifies them. Attachments travel along and decide nothing.

use crate::bundle::{Bundle, Document, Rules, Sources};
use crate::error::BundleError;
use assent_image::{OwnedImage, digest, image_bytes, snapshot_bytes};
use assent_proto::codec;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How the file begins.
const HEADER: &[u8] = b"assent/bundle/v1\0";

/// A document, as it is written.
type Written = (String, String);

/// What the file holds behind its header, in canonical postcard.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Contents {
    catalog: Written,
    policies: Vec<Written>,
    risk: Vec<Written>,
    links: Option<Written>,
    operators: Option<Written>,
    entities: Vec<Written>,
    tests: Vec<Written>,
    attachments: Vec<Written>,
    image: Vec<u8>,
    snapshot: Vec<u8>,
}

/// A bundle's file, read or about to be written.
#[derive(Clone, Debug)]
pub struct BundleFile {
    contents: Contents,
}

fn write(Document { name, text }: &Document) -> Written {
    (name.clone(), text.clone())
}

fn read((name, text): &Written) -> Document {
    Document { name: name.clone(), text: text.clone() }
}

fn rejected(path: &Path, problem: &str) -> BundleError {
    BundleError::Unsupported {
        file: path.display().to_string(),
        what: "bundle file".to_owned(),
        problem: problem.to_owned(),
    }
}

impl BundleFile {
    /// Makes the file of a bundle. `attachments` are files beside it: its version, its signatures.
    pub fn of(bundle: &Bundle, attachments: &[Document]) -> Self {
        let all = |documents: &[Document]| documents.iter().map(write).collect();
        let (sources, view) = (bundle.sources(), bundle.view());
        let contents = Contents {
            catalog: write(&sources.catalog),
            policies: all(&sources.policies),
            risk: all(&sources.risk),
            links: sources.links.as_ref().map(write),
            operators: sources.operators.as_ref().map(write),
            entities: all(&sources.entities),
            tests: all(&sources.tests),
            attachments: all(attachments),
            image: image_bytes(view.image()),
            snapshot: snapshot_bytes(view.snapshot()),
        };
        Self { contents }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`BundleError::Unsupported`] where something in it cannot be encoded; there is nothing of the kind today.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        let mut bytes = HEADER.to_vec();
        codec::append(&self.contents, &mut bytes)
            .map_err(|error| rejected(Path::new("bundle"), &error.to_string()))?;
        Ok(bytes)
    }

    /// Whether bytes begin as such a file does.
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(HEADER)
    }

    /// Reads a file's bytes. `path` is for messages.
    ///
    /// # Errors
    /// [`BundleError::Unsupported`] where they are not the one encoding of a bundle file, or where a document in it does not stand
    /// where its name says.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, BundleError> {
        let body = bytes.strip_prefix(HEADER);
        let body = body.ok_or_else(|| {
            rejected(
                path,
                "it does not begin as one of this version does; make it with `assent policy compile`",
            )
        })?;
        let contents = codec::parse(body).map_err(|error| {
            rejected(path, &format!("it is damaged ({error}); make it again with `assent policy compile`"))
        })?;
        let file = Self { contents };
        file.sources().check_names()?;
        Ok(file)
    }

    /// The sources.
    pub fn sources(&self) -> Sources {
        let all = |documents: &[Written]| documents.iter().map(read).collect();
        let contents = &self.contents;
        Sources {
            catalog: read(&contents.catalog),
            policies: all(&contents.policies),
            risk: all(&contents.risk),
            links: contents.links.as_ref().map(read),
            operators: contents.operators.as_ref().map(read),
            entities: all(&contents.entities),
            tests: all(&contents.tests),
            rules: Rules::Bundle,
        }
    }

    /// The files that travel along.
    pub fn attachments(&self) -> Vec<Document> {
        self.contents.attachments.iter().map(read).collect()
    }

    /// SHA-256 of the image's bytes.
    pub fn image_digest(&self) -> [u8; 32] {
        digest(&self.contents.image)
    }

    /// Sizes of image and snapshot in bytes.
    pub const fn sizes(&self) -> (usize, usize) {
        (self.contents.image.len(), self.contents.snapshot.len())
    }

    /// Compiles the sources, and holds what was compiled against what the file says.
    ///
    /// # Errors
    /// Whatever is wrong with the sources, and [`BundleError::Unsupported`] where the file's image or snapshot is another
    /// one than theirs.
    pub fn open(&self, path: &Path) -> Result<Bundle, BundleError> {
        let image = OwnedImage::from_bytes(&self.contents.image)
            .map_err(|error| rejected(path, &error.to_string()))?;
        let bundle = Bundle::compile_within(self.sources(), image.image().budget)?;
        let again = Self::of(&bundle, &[]);
        for (what, ours, theirs) in [
            ("image", &again.contents.image, &self.contents.image),
            ("snapshot", &again.contents.snapshot, &self.contents.snapshot),
        ] {
            if ours != theirs {
                let problem = format!(
                    "its {what} is not the one that its sources give here; compile it with this version of assent"
                );
                return Err(rejected(path, &problem));
            }
        }
        Ok(bundle)
    }
}

fn read_file(path: &Path) -> Result<BundleFile, BundleError> {
    let bytes =
        std::fs::read(path).map_err(|source| BundleError::Unreadable { path: path.to_owned(), source })?;
    BundleFile::from_bytes(path, &bytes)
}

impl Sources {
    /// Reads a bundle's files from its folder or its file; what is compiled in a file is held against its sources.
    ///
    /// # Errors
    /// Whatever is wrong with it; see [`BundleError`].
    pub fn from_path(path: &Path) -> Result<Self, BundleError> {
        if !path.is_file() {
            return Self::from_folder(path);
        }
        let file = read_file(path)?;
        file.open(path)?;
        Ok(file.sources())
    }
}

impl Bundle {
    /// Loads a bundle from its folder or its file.
    ///
    /// # Errors
    /// Whatever is wrong with it; see [`BundleError`].
    pub fn from_path(path: &Path) -> Result<Self, BundleError> {
        match path.is_file() {
            true => read_file(path)?.open(path),
            false => Self::from_folder(path),
        }
    }

    /// SHA-256 of the image's bytes: what was compiled of catalog and policies, without the entities.
    pub fn image_digest(&self) -> [u8; 32] {
        digest(&image_bytes(self.view().image()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> BundleFile {
        let catalog = "entity Agent; entity Vault;\naction open appliesTo { principal: [Agent], resource: [Vault], context: {} };";
        let sources = Sources {
            catalog: Document::new("catalog.cedarschema", catalog),
            policies: vec![
                Document::new("policies/a.cedar", "@id(\"any\") permit (principal, action, resource);"),
                Document::new("policies/b.cedar", "@id(\"none\") forbid (principal, action, resource);"),
            ],
            risk: Vec::new(),
            links: None,
            operators: None,
            entities: vec![Document::new("entities.json", "[]")],
            tests: Vec::new(),
            rules: Rules::Bundle,
        };
        BundleFile::of(&Bundle::compile(sources).unwrap(), &[])
    }

    /// Its digest is the same, and so are the signatures over it.
    #[test]
    fn a_forbid_that_was_put_among_the_tests_is_no_bundle() {
        let path = Path::new("x.bundle");
        let (whole, mut moved) = (file(), file());
        assert!(BundleFile::from_bytes(path, &whole.to_bytes().unwrap()).is_ok());
        let forbid = moved.contents.policies.pop().unwrap();
        moved.contents.tests.push(forbid);
        assert_eq!(moved.sources().digest(), whole.sources().digest());
        let refused = BundleFile::from_bytes(path, &moved.to_bytes().unwrap()).unwrap_err();
        assert!(refused.to_string().contains("policies/b.cedar"), "{refused}");
    }
}
