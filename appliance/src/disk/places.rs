//! The places that the appliance writes, looked at before anything is opened.
//!
//! A folder that cannot be written, or that others could put files into, is refused at start with what to do about it,
//! rather than met in the middle of a round. What a file says is not looked at here.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

/// Permission bits by which others could put files into a folder.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The permission bit of a folder from which nobody takes what is another's.
const STICKY: u32 = 0o1000;

/// Why a place is refused.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The file system is mounted read-only.
    #[error("{} is on a read-only file system; mount it for writing, or name another place in the configuration", .0.display())]
    ReadOnly(PathBuf),
    /// This user may not.
    #[error("this user may not read and write {}; give it to the user that the appliance runs as (chown), mode 0700 for the data folder", .0.display())]
    Forbidden(PathBuf),
    /// Others could put files into it.
    #[error("others may write in {}, and could put another log there; close it to them: chmod 700 {}", .0.display(), .0.display())]
    OpenToOthers(PathBuf),
    /// Others could take away what is in the fence's folder.
    #[error(
        "others may write in {}, and could take the latch away or put another fence there; close it to them: chmod go-w {}",
        .0.display(),
        .0.display()
    )]
    FenceOpenToOthers(PathBuf),
    /// The folder is sticky, and what lies there is not ours.
    #[error(
        "{} is another user's, in a folder that others may write in; name another place for the fence, or give the file to the user that the appliance runs as (chown)",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The system does not say.
    #[error("cannot look at {}", path.display())]
    Unknown {
        /// The place.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// Checks the data folder and the files in it that are there already, and the folder of the fence. What is missing is no
/// matter here: whoever needs it says so.
///
/// # Errors
/// [`PlaceError`].
pub fn check(data: &Path, files: &[PathBuf], fence: &Path) -> Result<(), PlaceError> {
    let there = std::fs::metadata(data).ok();
    if there.as_ref().is_some_and(|there| there.mode() & WRITABLE_BY_OTHERS != 0) {
        return Err(PlaceError::OpenToOthers(data.to_owned()));
    }
    let folder_of_fence = fence.parent().filter(|folder| !folder.as_os_str().is_empty());
    may_write(data, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?;
    if let Some(folder) = folder_of_fence {
        let us = there.map_or_else(|| rustix::process::geteuid().as_raw(), |there| there.uid());
        is_closed(folder, fence, us)?;
        may_write(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?;
    }
    files.iter().try_for_each(|file| may_write(file, Access::READ_OK | Access::WRITE_OK))
}

/// Whether nobody but us, whose the data folder is, can take fence or latch away. In a sticky folder only whose they are can.
fn is_closed(folder: &Path, fence: &Path, us: u32) -> Result<(), PlaceError> {
    let Ok(there) = std::fs::metadata(folder) else { return Ok(()) };
    if there.mode() & WRITABLE_BY_OTHERS == 0 {
        return Ok(());
    }
    if there.mode() & STICKY == 0 {
        return Err(PlaceError::FenceOpenToOthers(folder.to_owned()));
    }
    // A link is looked at itself: whose it is decides where it leads.
    let is_foreign = |file: &PathBuf| std::fs::symlink_metadata(file).is_ok_and(|found| found.uid() != us);
    let foreign = [fence.to_owned(), fence.with_extension("latch")].into_iter().find(is_foreign);
    foreign.map_or(Ok(()), |file| Err(PlaceError::Foreign(file)))
}

fn may_write(path: &Path, access: Access) -> Result<(), PlaceError> {
    match accessat(CWD, path, access, AtFlags::EACCESS) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(rustix::io::Errno::ROFS) => Err(PlaceError::ReadOnly(path.to_owned())),
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => {
            Err(PlaceError::Forbidden(path.to_owned()))
        }
        Err(error) => Err(PlaceError::Unknown { path: path.to_owned(), source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn with_mode(folder: &Path, mode: u32) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_in_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let fence = folder.path().join("fence/checkpoint");
        for (mode, refused) in [(0o700, false), (0o755, false), (0o775, true), (0o707, true)] {
            with_mode(folder.path(), mode);
            let checked = check(folder.path(), &[], &fence);
            assert_eq!(matches!(checked, Err(PlaceError::OpenToOthers(_))), refused, "{mode:o}: {checked:?}");
        }
    }

    #[test]
    fn a_fence_that_others_may_take_away_is_refused() {
        let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let fence = folder.path().join("checkpoint");
        std::fs::write(fence.with_extension("latch"), "held").unwrap();
        for (mode, refused) in [(0o700, false), (0o755, false), (0o777, true), (0o770, true), (0o1777, false)]
        {
            with_mode(folder.path(), mode);
            let checked = check(data.path(), &[], &fence);
            let is_refused = matches!(checked, Err(PlaceError::FenceOpenToOthers(_)));
            assert_eq!(is_refused, refused, "{mode:o}: {checked:?}");
        }
        let foreign = is_closed(folder.path(), &fence, u32::MAX);
        assert!(
            matches!(foreign, Err(PlaceError::Foreign(ref latch)) if latch.ends_with("checkpoint.latch"))
        );
    }

    #[test]
    fn what_is_missing_is_no_matter() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        check(&data, &[data.join("log-1.redb")], &folder.path().join("fence/checkpoint")).unwrap();
    }
}
