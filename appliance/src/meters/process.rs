//! The process, as the system sees it: under the names that every dashboard knows (`process_...`).
//!
//! What the system does not tell is left out rather than guessed.

use std::fmt::Result;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::sheet::{NANOSECONDS, Sheet};
use assent_proto::number::Timestamp;

impl Sheet<'_> {
    /// The process that began at this time.
    pub(super) fn process(&mut self, started: Timestamp) -> Result {
        let since = started.0 as f64 / 1000.0;
        self.gauge("process_start_time_seconds", "When the process began, in seconds since 1970", since)?;
        let used = clock_gettime(ClockId::ProcessCPUTime);
        let used = used.tv_sec as f64 + used.tv_nsec as f64 / NANOSECONDS;
        self.time_counter("process_cpu_seconds_total", "What its threads used of processors", used)?;
        self.gauge_if("process_resident_memory_bytes", "Memory that it occupies", resident_bytes())?;
        self.gauge_if("process_open_fds", "Descriptors that it has open", open_descriptors())?;
        let most = getrlimit(Resource::Nofile).current;
        self.gauge_if("process_max_fds", "Descriptors that it may have open", most)
    }
}

/// What `/proc/self/status` calls `VmRSS`.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn open_descriptors() -> Option<u64> {
    // The descriptor that lists them is one of them, and is closed when they are counted.
    let count = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(count).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_memory_and_descriptors() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1024 * 1024));
        let before = open_descriptors().unwrap();
        let file = std::fs::File::open("/proc/self/status").unwrap();
        assert!(before >= 3 && open_descriptors().unwrap() > 0);
        drop(file);
    }
}
