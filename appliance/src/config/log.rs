//! The sections `[round]`, `[log]` and `[fence]`: how the log grows, what its disk must do for it, and where its end is kept against
//! rollback.

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use super::ConfigError;
use super::reader::Reader;
use super::sections::{DAY, MILLISECOND, MINUTE, SECOND};
use super::units::show_size;
use crate::limits::{MAX_ROUND_ENTRIES, MAX_UNSIGNED_ENTRIES};

const _: () = assert!(MAX_ROUND_ENTRIES <= u32::MAX as usize, "a round's limit fits the key");

const MIB: u32 = 1024 * 1024;

/// `[round]`: how much is signed at once, and how much may stand unsigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// Entries under one signature.
    pub entries_max: usize,
    /// Entries that may stand unsigned during an outage.
    pub unsigned_max: u64,
    /// How often a log shows that it is alive, when nothing else does.
    pub status_every: Duration,
}

/// `[log]`: what its disk must do for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How long the disk may take for one round, or for the fence.
    pub deadline: Duration,
    /// Below so many free bytes nothing is allowed any more.
    pub low_water: u32,
    /// Below so many free bytes intents are refused without an entry.
    pub reserve: u32,
}

/// `[fence]`: against rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The second path for the newest checkpoint.
    pub path: PathBuf,
    /// Whether the HSM keeps it too.
    pub hsm: HsmFence,
    /// How often it is written there while the log grows.
    pub hsm_every: Duration,
}

/// Whether the newest checkpoint is kept in the HSM too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HsmFence {
    /// Where the HSM keeps data objects.
    Auto,
    /// It must, or the boundary does not open.
    On,
    /// It is neither written nor read.
    Off,
}

impl Round {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("round")?;
        // INVARIANT: the limit fits 32 bits, as is asserted above.
        let most = u32::try_from(MAX_ROUND_ENTRIES).unwrap_or(u32::MAX);
        let entries_max = section.integer("entries_max", most, 1..=most)?;
        let unsigned = section.integer("unsigned_max", MAX_UNSIGNED_ENTRIES, 1..=MAX_UNSIGNED_ENTRIES)?;
        let status_every = section.duration("status_every", MINUTE, 100 * MILLISECOND..=MINUTE)?;
        section.finish()?;
        let entries_max = usize::try_from(entries_max).unwrap_or(MAX_ROUND_ENTRIES);
        Ok(Self { entries_max, unsigned_max: u64::from(unsigned), status_every })
    }
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("log")?;
        let log = Self {
            deadline: section.duration("deadline", 5 * SECOND, 10 * MILLISECOND..=MINUTE)?,
            low_water: section.size("low_water", 256 * MIB, 0..=u32::MAX)?,
            reserve: section.size("reserve", 64 * MIB, 0..=u32::MAX)?,
        };
        if log.reserve > log.low_water {
            let allowed = format!("at most `log.low_water`, \"{}\"", show_size(u64::from(log.low_water)));
            return Err(section.misfit("reserve", &show_size(u64::from(log.reserve)), &allowed));
        }
        section.finish()?;
        Ok(log)
    }
}

impl Fence {
    /// The file of the log of this number.
    #[must_use]
    pub fn file(&self, log: u32) -> PathBuf {
        if log == 1 {
            return self.path.clone();
        }
        // Before the ending, in whose place others put their own.
        let mut name = self.path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{log}"));
        if let Some(ending) = self.path.extension() {
            name.push(".");
            name.push(ending);
        }
        self.path.with_file_name(name)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("fence")?;
        let path = section.path("path", "fence/checkpoint")?;
        let hsm = section.value("hsm", "auto", "\"auto\", \"on\" or \"off\"", hsm_fence)?;
        let hsm_every = section.duration("hsm_every", 10 * MINUTE, 100 * MILLISECOND..=DAY)?;
        section.finish()?;
        Ok(Self { path, hsm, hsm_every })
    }
}

fn hsm_fence(value: &Value) -> Option<HsmFence> {
    match value.as_str()? {
        "auto" => Some(HsmFence::Auto),
        "on" => Some(HsmFence::On),
        "off" => Some(HsmFence::Off),
        _ => None,
    }
}
