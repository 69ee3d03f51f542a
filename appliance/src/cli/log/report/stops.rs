//! When the appliance stood still, as far as the log tells: the silence before each start.

use assent_proto::entry::{Entry, Kind};

use super::account::Event;
use crate::log::reader::Reader;
use crate::log::store::StoreError;

/// Entries that a start writes before the one that says so, at most, as far as it matters: bundle, key, signs of life.
const BEFORE_BOOT: u64 = 16;

/// From when until when it did not run, in milliseconds since 1970, for each start that is listed.
pub(super) fn of(reader: &Reader, events: &[Event]) -> Result<Vec<(u64, u64)>, StoreError> {
    let boots = events.iter().filter(|event| event.kind == Kind::Boot);
    let mut stops = Vec::new();
    for boot in boots {
        let leaves = reader.leaves(boot.index.saturating_sub(BEFORE_BOOT)..boot.index + 1)?;
        let times: Vec<u64> =
            leaves.iter().filter_map(|leaf| Entry::parse(leaf).ok()).map(|entry| entry.time().0).collect();
        stops.extend(longest(&times));
    }
    Ok(stops)
}

/// The longest time between two neighbours.
fn longest(times: &[u64]) -> Option<(u64, u64)> {
    let pairs = times.iter().zip(times.iter().skip(1));
    pairs.map(|(from, to)| (*from, *to)).filter(|(from, to)| from < to).max_by_key(|(from, to)| to - from)
}

#[cfg(test)]
mod tests {
    use super::longest;

    #[test]
    fn the_longest_silence_before_a_start_is_the_stop() {
        assert_eq!(longest(&[10, 20, 500, 510, 512]), Some((20, 500)));
        assert_eq!(longest(&[10, 10, 9]), None, "no time passed");
        assert_eq!(longest(&[7]), None, "the first start");
    }
}
