//! Confinement: the signer opens nothing of the appliance's own, where the kernel can see to it.
//!
//! A module is a stranger that reads and writes wherever its process may. Landlock only knows what is allowed, so all but the
//! protected paths is: from the root down to each of them, everything that lies beside. What comes to lie directly in one of
//! those folders later is not allowed either, until the next signer starts. Devices, sockets and the network stay as they are.
//!
//! It is a second wall, not the first: where the kernel has none the signer goes on, and says so.

use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus,
};
use serde::{Deserialize, Serialize};

use crate::limits::MAX_SIGNER_PATHS;

/// What we know of; an older kernel knows less of it, which is `Partial`.
const KNOWN: ABI = ABI::V5;

/// How much of the confinement holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confinement {
    /// All of it: nothing protected can be opened, made or removed.
    Full,
    /// The kernel is older: nothing protected can be read or written, but some changes of it are not prevented.
    Partial,
    /// None: there is nothing to protect, the kernel has no Landlock, or too much lies beside what is to be protected.
    None,
}

/// Why it could not be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfinementError {
    #[error("cannot look at `{}`", .0.display())]
    Path(PathBuf, #[source] io::Error),
    #[error("more than {MAX_SIGNER_PATHS} files and folders lie beside what is to be protected")]
    TooMany,
    #[error(transparent)]
    Landlock(#[from] RulesetError),
}

/// Takes the protected paths from this thread, and from those that it will start. What does not exist yet is protected too.
pub(super) fn confine(protected: &[&Path]) -> Result<Confinement, ConfinementError> {
    if protected.is_empty() {
        return Ok(Confinement::None);
    }
    let protected = protected.iter().map(|path| real(path)).collect::<Result<Vec<_>, _>>()?;
    let mut beside = Vec::new();
    collect(Path::new("/"), &protected, &mut beside)?;
    let mut rules = Ruleset::default().handle_access(AccessFs::from_all(KNOWN))?.create()?;
    for (path, kind) in beside {
        rules = allow(rules, &path, kind)?;
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Confinement::Full,
        RulesetStatus::PartiallyEnforced => Confinement::Partial,
        RulesetStatus::NotEnforced => Confinement::None,
    })
}

/// Without symbolic links, as the kernel will look at it.
fn real(path: &Path) -> Result<PathBuf, ConfinementError> {
    let look = |error| ConfinementError::Path(path.to_owned(), error);
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found.map_err(look),
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(look(io::ErrorKind::InvalidInput.into()));
    };
    // Of a relative path with one name the parent is empty.
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    Ok(real(parent)?.join(name))
}

/// Adds what lies in `folder`, which is above a protected path, but for the protected paths and what is above them.
fn collect(
    folder: &Path,
    protected: &[PathBuf],
    beside: &mut Vec<(PathBuf, FileType)>,
) -> Result<(), ConfinementError> {
    let look = |error| ConfinementError::Path(folder.to_owned(), error);
    for entry in fs::read_dir(folder).map_err(look)? {
        let entry = entry.map_err(look)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(look)?);
        // What a link leads to is allowed where it lies, or it is not.
        if kind.is_symlink() || protected.contains(&path) {
            continue;
        }
        if protected.iter().any(|inner| inner.starts_with(&path)) {
            collect(&path, protected, beside)?;
        } else if beside.len() < MAX_SIGNER_PATHS {
            beside.push((path, kind));
        } else {
            return Err(ConfinementError::TooMany);
        }
    }
    Ok(())
}

/// A path that cannot be opened, or is gone, needs no leave.
fn allow(rules: RulesetCreated, path: &Path, kind: FileType) -> Result<RulesetCreated, RulesetError> {
    let access = if kind.is_dir() { AccessFs::from_all(KNOWN) } else { AccessFs::from_file(KNOWN) };
    match PathFd::new(path) {
        Ok(opened) => rules.add_rule(PathBeneath::new(opened, access)),
        Err(_) => Ok(rules),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_the_protected_is_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for path in ["data/log", "fence", "hsm/state", "other"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        fs::write(root.join("fence/old"), "").unwrap();
        std::os::unix::fs::symlink(root.join("data"), root.join("link")).unwrap();
        let protected = [real(&root.join("link")).unwrap(), real(&root.join("fence/checkpoint")).unwrap()];
        assert_eq!(protected, [root.join("data"), root.join("fence/checkpoint")]);
        let mut beside = Vec::new();
        collect(&root, &protected, &mut beside).unwrap();
        let mut found: Vec<_> = beside.iter().map(|(path, _)| path.strip_prefix(&root).unwrap()).collect();
        found.sort();
        assert_eq!(found, ["fence/old", "hsm", "other"].map(Path::new));
    }

    #[test]
    fn too_much_beside_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for name in 0..=MAX_SIGNER_PATHS {
            fs::write(root.join(name.to_string()), "").unwrap();
        }
        let found = collect(&root, &[root.join("data")], &mut Vec::new());
        assert!(matches!(found, Err(ConfinementError::TooMany)));
    }

    #[test]
    fn nothing_to_protect_needs_no_confinement() {
        assert_eq!(confine(&[]).unwrap(), Confinement::None);
    }
}
