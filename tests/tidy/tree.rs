//! The tree: all sources, manifests and documents of the product, read once a test.
//!
//! Build folders and hidden folders are not part of it.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders that hold the product; at the root only files are read.
const FOLDERS: &[&str] = &["appliance", "client", "proto", "firmware-sim", "tests", "benches"];

/// One file, by its path from the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// The folder that holds it, without a slash at the end; empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Its lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    files: Vec<File>,
}

impl Tree {
    pub(crate) fn read() -> Self {
        let root = root();
        let mut files = Vec::new();
        add_files(&root, "", false, &mut files);
        for folder in FOLDERS.iter().filter(|folder| root.join(folder).is_dir()) {
            add_files(&root, folder, true, &mut files);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { root, files }
    }

    /// The files whose names end so; there must be some, or a rule would look at nothing.
    pub(crate) fn ending(&self, end: &str) -> Vec<&File> {
        let found: Vec<&File> = self.files.iter().filter(|file| file.path.ends_with(end)).collect();
        assert!(!found.is_empty(), "no file under {} ends with {end}", self.root.display());
        found
    }

    /// The text of a file that a rule cannot do without.
    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

/// The folder above the package's, or the current one; it holds the workspace's manifest.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let root = package.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap_or_default();
    assert!(
        manifest.contains("[workspace]"),
        "run this at the root of the workspace, not in {}",
        root.display()
    );
    root
}

fn add_files(root: &Path, folder: &str, deep: bool, files: &mut Vec<File>) {
    let entries = fs::read_dir(root.join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    for entry in entries {
        let entry = entry.unwrap_or_else(|error| panic!("{folder}: {error}"));
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.path().is_dir() {
            if deep && name != "target" && !name.starts_with('.') {
                add_files(root, &path, deep, files);
            }
        } else if [".rs", ".md", "Cargo.toml"].iter().any(|end| name.ends_with(end)) {
            let text = fs::read_to_string(entry.path()).unwrap_or_else(|error| panic!("{path}: {error}"));
            files.push(File { path, text });
        }
    }
}
