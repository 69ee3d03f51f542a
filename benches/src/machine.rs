//! The machine: what its processors are, and what of it would spoil figures without a word.

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
    let of_memory = is_of_memory(&read("/proc/self/mounts"), folder).then(|| {
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

/// Whether the innermost file system that holds the folder keeps its files in memory.
fn is_of_memory(mounts: &str, folder: &Path) -> bool {
    let place_and_kind = |line: &str| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    let holds = mounts.lines().filter_map(place_and_kind).filter(|(place, _)| folder.starts_with(place));
    // Of two at the same place the later one lies over the other.
    let innermost = holds.max_by_key(|(place, _)| place.len());
    innermost.is_some_and(|(_, kind)| kind == "tmpfs" || kind == "ramfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_file_system_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/vdb /tmp/disk ext4 rw 0 0\n";
        for (folder, expected) in
            [("/tmp", true), ("/tmp/a", true), ("/tmpfs", false), ("/tmp/disk/a", false), ("/var", false)]
        {
            assert_eq!(is_of_memory(mounts, Path::new(folder)), expected, "{folder}");
        }
        assert!(!is_of_memory("", Path::new("/tmp")), "who knows nothing says nothing");
    }

    #[test]
    fn processors_have_a_name() {
        assert!(!processor().is_empty());
    }
}
