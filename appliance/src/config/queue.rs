//! The section `[queue]`: how much may wait while it cannot be decided.

use std::ops::RangeInclusive;

use super::ConfigError;
use super::reader::Reader;
use crate::limits::MAX_QUEUED_INTENTS;
use crate::queue::QueueLimits;

const INTENTS: RangeInclusive<u32> = 1..=MAX_QUEUED_INTENTS;
const BYTES: RangeInclusive<u32> = 64 * 1024..=1024 * 1024 * 1024;

/// `[queue]`: how much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// In number and bytes, of all agents and of one.
    pub limits: QueueLimits,
}

impl Queue {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("queue")?;
        let intents = section.integer("intents_max", 100_000, INTENTS)?;
        let bytes = section.size("bytes_max", 64 * 1024 * 1024, BYTES)?;
        let principal_intents = section.integer("principal_intents_max", 20_000, INTENTS)?;
        let principal_bytes = section.size("principal_bytes_max", 16 * 1024 * 1024, BYTES)?;
        section.finish()?;
        let limits = QueueLimits {
            intents: intents.into(),
            bytes: bytes.into(),
            principal_intents: principal_intents.into(),
            principal_bytes: principal_bytes.into(),
        };
        Ok(Self { limits })
    }
}
