//! The section `[break_glass]`: how soon what was done under a warrant is to be looked at.

use std::time::Duration;

use super::ConfigError;
use super::reader::Reader;
use super::sections::SECOND;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// `[break_glass]`: reviews of what was done under warrants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// How long after a use people are told that its review is overdue.
    pub review_within: Duration,
}

impl BreakGlass {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("break_glass")?;
        let review_within = section.duration("review_within", DAY, SECOND..=LONGEST)?;
        section.finish()?;
        Ok(Self { review_within })
    }
}
