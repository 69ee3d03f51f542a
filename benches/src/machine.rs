//! The machine: its processors, its kernel, its file systems, and what of it would spoil figures without a word.

use std::path::Path;

/// Below this the kernel drops datagrams under large batches.
const RECEIVE_BUFFER_BYTES: u64 = 4 * 1024 * 1024;

/// What the processors call themselves.
pub(crate) fn processor() -> String {
    read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, model)| model.trim().to_owned())
}

/// What is to be said of this machine before anything is measured on it, with scratch files in `folder`.
pub(crate) fn warnings(folder: &Path) -> Vec<String> {
    let of_memory = file_system(folder).is_some_and(|kind| kind == "tmpfs" || kind == "ramfs").then(|| {
        format!(
            "{} lies in memory, where a commit costs nothing: set TMPDIR to a folder on a disk",
            folder.display()
        )
    });
    let buffer = read("/proc/sys/net/core/rmem_max").trim().parse().unwrap_or(u64::MAX);
    let small = (buffer < RECEIVE_BUFFER_BYTES).then(|| {
        format!(
            "net.core.rmem_max is {buffer}, so datagrams are lost under large batches: sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}"
        )
    });
    of_memory.into_iter().chain(small).collect()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// The kernel's release.
pub(crate) fn kernel() -> Option<String> {
    Some(read("/proc/sys/kernel/osrelease").trim().to_owned()).filter(|release| !release.is_empty())
}

/// The type of the innermost file system that holds the folder.
pub(crate) fn file_system(folder: &Path) -> Option<String> {
    innermost(&read("/proc/self/mounts"), folder)
}

fn innermost(mounts: &str, folder: &Path) -> Option<String> {
    let place_and_kind = |line: &str| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    let holds = mounts.lines().filter_map(place_and_kind).filter(|(place, _)| folder.starts_with(place));
    // Of two at the same place the later one lies over the other.
    holds.max_by_key(|(place, _)| place.len()).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_file_system_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/disk ext4 rw 0 0\n";
        for (folder, expected) in [
            ("/tmp", "tmpfs"),
            ("/tmp/a", "tmpfs"),
            ("/tmpfs", "ext4"),
            ("/tmp/disk/a", "ext4"),
            ("/var", "ext4"),
        ] {
            assert_eq!(innermost(mounts, Path::new(folder)).as_deref(), Some(expected), "{folder}");
        }
        assert_eq!(innermost("", Path::new("/tmp")), None, "who knows nothing says nothing");
    }

    #[test]
    fn processors_have_a_name() {
        assert!(!processor().is_empty());
    }
}
