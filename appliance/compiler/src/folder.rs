//! A bundle's folder, read from disk.
//!
//! The rule it keeps: files are taken in the order of their names, whatever the file system says, and only files that
//! belong to a bundle are taken. A policy that stands where none is read rejects the bundle: it would be missed, not obeyed.

use crate::bundle::{Bundle, Document, Rules, Sources};
use crate::error::BundleError;
use crate::parts::{CATALOG, ENTITIES, LINKS, OPERATORS};
use std::path::{Path, PathBuf};

impl Bundle {
    /// Loads a bundle from its folder.
    ///
    /// # Errors
    /// Whatever is wrong with the folder or its files; see [`BundleError`].
    pub fn from_folder(folder: &Path) -> Result<Self, BundleError> {
        Self::compile(Sources::from_folder(folder)?)
    }
}

impl Sources {
    /// Reads a bundle's files.
    ///
    /// # Errors
    /// [`BundleError::Unreadable`].
    pub fn from_folder(folder: &Path) -> Result<Self, BundleError> {
        reject_strays(folder, "")?;
        let mut entities = read_all(folder, "entities", "json")?;
        if let Some(single) = read_if_there(folder, ENTITIES)? {
            if let Some(other) = entities.first() {
                let problem =
                    "stands beside entities.json: keep all entities in one file, or all in the folder";
                return Err(stray(&other.name, problem));
            }
            entities.push(single);
        }
        Ok(Self {
            catalog: read(&folder.join(CATALOG), CATALOG.to_owned())?,
            policies: read_all(folder, "policies", "cedar")?,
            risk: read_all(folder, "risk", "cedar")?,
            links: read_if_there(folder, LINKS)?,
            operators: read_if_there(folder, OPERATORS)?,
            entities,
            tests: read_all(folder, "tests", "json")?,
            rules: Rules::Bundle,
        })
    }
}

fn read(path: &Path, name: String) -> Result<Document, BundleError> {
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
    Ok(Document { name, text })
}

/// Rejects policies and schemas that are in no place of a bundle: in a folder whose name is misspelt, or in a folder below.
fn reject_strays(folder: &Path, within: &str) -> Result<(), BundleError> {
    let place = folder.join(within);
    // What cannot be listed is told where it is read.
    let Ok(entries) = std::fs::read_dir(&place) else { return Ok(()) };
    let mut names: Vec<(String, bool)> = entries
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir()))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    names.sort();
    for (name, is_folder) in names {
        let path = if within.is_empty() { name.clone() } else { format!("{within}/{name}") };
        let is_read = match within {
            "" => name == CATALOG,
            "policies" | "risk" => name.ends_with(".cedar"),
            _ => false,
        };
        if is_folder {
            reject_strays(folder, &path)?;
        } else if !is_read && (name.ends_with(".cedar") || name.ends_with(".cedarschema")) {
            let problem = "is not read from here: move it to policies/ or risk/, into catalog.cedarschema, or out of the bundle";
            return Err(stray(&path, problem));
        }
    }
    Ok(())
}

fn stray(file: &str, problem: &str) -> BundleError {
    BundleError::Unsupported {
        file: file.to_owned(),
        what: "this file".to_owned(),
        problem: problem.to_owned(),
    }
}

fn read_if_there(folder: &Path, name: &str) -> Result<Option<Document>, BundleError> {
    let path = folder.join(name);
    if path.exists() { read(&path, name.to_owned()).map(Some) } else { Ok(None) }
}

fn unreadable(path: &Path, source: std::io::Error) -> BundleError {
    BundleError::Unreadable { path: path.to_owned(), source }
}

/// Files with the extension in a part of the folder, sorted by name. A part that is not there has none.
fn read_all(folder: &Path, part: &str, extension: &str) -> Result<Vec<Document>, BundleError> {
    let place = folder.join(part);
    if !place.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&place).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| unreadable(&place, error))?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    // Hidden ones are an editor's, or a file manager's. Whoever watches a bundle's source does not look at them, either.
    let is_hidden =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    paths.retain(|path| !is_hidden(path) && path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            read(path, format!("{part}/{file}"))
        })
        .collect()
}
