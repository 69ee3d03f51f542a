//! Digests of a backup's files, in the form that `sha256sum --check` reads.
//!
//! The one rule: every file is listed and every listed file is there, or the backup is damaged. They tell an accident;
//! whoever can write into the backup can write new ones.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use aws_lc_rs::digest;

use super::{BackupError, file};
use crate::limits::{BACKUP_READ_BYTES, MAX_BACKUP_FILES, MAX_BACKUP_SUMS_BYTES};
use crate::log::hex::hex;

/// The file with the digests.
const SUMS: &str = "SHA256SUMS";

/// Writes the digests of all files below `backup`.
pub(super) fn write(backup: &Path) -> Result<(), BackupError> {
    let path = backup.join(SUMS);
    let text: String = read(backup)?.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    std::fs::write(&path, text).map_err(file("write", &path))
}

/// Holds all files below `backup` against the digests.
pub(super) fn check(backup: &Path) -> Result<(), BackupError> {
    let path = backup.join(SUMS);
    let mut text = String::new();
    let opened = std::fs::File::open(&path).map_err(file("read", &path))?;
    opened.take(MAX_BACKUP_SUMS_BYTES).read_to_string(&mut text).map_err(file("read", &path))?;
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        let (sum, name) = line.split_once("  ").ok_or_else(|| damaged(&path, "is no list of digests"))?;
        listed.insert(name.to_owned(), sum.to_owned());
    }
    let found = read(backup)?;
    if let Some(name) = listed.keys().find(|name| !found.contains_key(*name)) {
        return Err(damaged(&backup.join(name), "is missing"));
    }
    for (name, sum) in found {
        match listed.get(&name) {
            Some(listed) if *listed == sum => {}
            Some(_) => return Err(damaged(&backup.join(name), "is not as it was written")),
            None => return Err(damaged(&backup.join(name), "does not belong to it")),
        }
    }
    Ok(())
}

fn damaged(path: &Path, what: &'static str) -> BackupError {
    BackupError::Damaged { path: path.to_owned(), what }
}

/// Digests by the names below `backup`.
fn read(backup: &Path) -> Result<BTreeMap<String, String>, BackupError> {
    let (mut sums, mut folders) = (BTreeMap::new(), vec![backup.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(file("look into", &folder))? {
            let path = entry.map_err(file("look into", &folder))?.path();
            let kind = std::fs::symlink_metadata(&path).map_err(file("look at", &path))?;
            let name = path.strip_prefix(backup).ok().and_then(Path::to_str);
            let name = name.filter(|name| !name.contains('\n'));
            let name = name.ok_or_else(|| damaged(&path, "has a name that no list can have"))?;
            if kind.is_dir() {
                folders.push(path);
            } else if !kind.is_file() {
                return Err(damaged(&path, "is neither file nor folder"));
            } else if name != SUMS {
                sums.insert(name.to_owned(), sum(&path)?);
            }
            if sums.len() > MAX_BACKUP_FILES {
                return Err(damaged(backup, "has more files than any backup"));
            }
        }
    }
    Ok(sums)
}

fn sum(path: &Path) -> Result<String, BackupError> {
    let mut opened = std::fs::File::open(path).map_err(file("read", path))?;
    let (mut digest, mut buffer) = (digest::Context::new(&digest::SHA256), vec![0; BACKUP_READ_BYTES]);
    loop {
        let count = opened.read(&mut buffer).map_err(file("read", path))?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        digest.update(bytes);
    }
    Ok(hex(digest.finish().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        std::fs::write(folder.path().join("data/log"), "abc").unwrap();
        std::fs::write(folder.path().join("checkpoint"), "").unwrap();
        write(folder.path()).unwrap();
        folder
    }

    #[test]
    fn the_list_is_what_sha256sum_writes() {
        let text = std::fs::read_to_string(backup().path().join(SUMS)).unwrap();
        let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  checkpoint\n\
                        ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  data/log\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_file_that_is_changed_missing_or_strange_is_told() {
        let whole = backup();
        check(whole.path()).unwrap();
        let log = whole.path().join("data/log");
        let told = |folder: &Path| check(folder).unwrap_err().to_string();
        std::fs::write(&log, "abd").unwrap();
        assert!(told(whole.path()).contains("is not as it was written"));
        std::fs::remove_file(&log).unwrap();
        assert!(told(whole.path()).contains("is missing"));
        let whole = backup();
        std::fs::write(whole.path().join("data/more"), "").unwrap();
        assert!(told(whole.path()).contains("does not belong to it"));
        let whole = backup();
        std::os::unix::fs::symlink("/etc/passwd", whole.path().join("data/link")).unwrap();
        assert!(told(whole.path()).contains("is neither file nor folder"));
    }
}
