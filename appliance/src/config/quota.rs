//! The section `[quota]`: what one connection may use.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::ConfigError;
use super::reader::Reader;
use super::sections::{MINUTE, SECOND};
use crate::limits::{
    IDLE_TIMEOUT, MAX_STREAMS_PER_CONNECTION, MAX_UNREAD_BYTES_PER_CONNECTION, MAX_UNREAD_BYTES_PER_STREAM,
    MAX_UNSENT_BYTES_PER_CONNECTION,
};

/// A connection with less could not bring one frame in reasonable time.
const UNREAD_BYTES: RangeInclusive<u32> = 64 * 1024..=MAX_UNREAD_BYTES_PER_CONNECTION;
const UNSENT_BYTES: RangeInclusive<u32> = 64 * 1024..=MAX_UNSENT_BYTES_PER_CONNECTION;

/// `[quota]`: what one connection may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Streams open at once.
    pub streams_per_connection: u32,
    /// Bytes that it has sent and we not yet read.
    pub unread_per_connection: u32,
    /// Bytes that we have sent and it has not yet acknowledged.
    pub unsent_per_connection: u32,
    /// How long it may be silent.
    pub idle_timeout: Duration,
}

impl Quota {
    /// Streams open at once, where each has a whole window: what one of them leaves unread must not keep credit from another.
    #[must_use]
    pub fn streams(&self) -> u32 {
        let windows = self.unread_per_connection / MAX_UNREAD_BYTES_PER_STREAM;
        self.streams_per_connection.min(windows.max(1))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("quota")?;
        let most = MAX_STREAMS_PER_CONNECTION;
        let quota = Self {
            streams_per_connection: section.integer("streams_per_connection", most, 1..=most)?,
            unread_per_connection: section.size(
                "unread_per_connection",
                *UNREAD_BYTES.end(),
                UNREAD_BYTES,
            )?,
            unsent_per_connection: section.size(
                "unsent_per_connection",
                *UNSENT_BYTES.end(),
                UNSENT_BYTES,
            )?,
            idle_timeout: section.duration("idle_timeout", IDLE_TIMEOUT, SECOND..=10 * MINUTE)?,
        };
        section.finish()?;
        Ok(quota)
    }
}
