//! The room that is left: the token boundary closes before the disk is full, while denials and trips still find a place.
//!
//! Three marks. Below the low water nothing is allowed any more, and what is denied is still written. Below the reserve
//! intents are refused without an entry, and only what the appliance does itself is written. Below the last bytes nothing is
//! written at all: a commit that finds no room would end the process. The smaller of the two file systems counts, and one
//! that does not say how much it has counts as low.

use std::path::{Path, PathBuf};

use crate::limits::LAST_BYTES;

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// None to count on: nothing is written.
    None,
    /// For what the appliance does itself.
    Reserve,
    /// For denials too.
    Low,
    /// For everything.
    Enough,
}

/// The marks, and where to look.
#[derive(Clone, Debug)]
pub struct Space {
    places: [PathBuf; 2],
    low_water: u64,
    reserve: u64,
    /// Once it was low it is enough only when there is a quarter more.
    was_low: bool,
    /// What was free when it was looked at last, at the place that has least.
    free: Option<u64>,
    /// Which of the places that is.
    scarcest: usize,
}

const MIB: u64 = 1024 * 1024;

impl Space {
    /// Looks at the file systems of the data folder and of the fence.
    #[must_use]
    pub fn new(data: &Path, fence: &Path, low_water: u64, reserve: u64) -> Self {
        let places = [data.to_owned(), fence.to_owned()];
        Self { places, low_water, reserve, was_low: false, free: None, scarcest: 0 }
    }

    /// What is missing where, and what to do, for operators.
    #[must_use]
    pub fn shortage(&self) -> String {
        let free = self.free.map_or_else(|| "nobody says how much is".to_owned(), mebibytes);
        let [data, fence] = &self.places;
        let place = if self.scarcest == 0 { data } else { fence };
        format!(
            "{free} free in {}, and `log.low_water` is {}; make room, and with {} it opens by itself",
            place.display(),
            mebibytes(self.low_water),
            mebibytes(self.enough())
        )
    }

    /// Whether so many bytes may be written to the data folder, and it is still not low.
    pub(crate) fn leaves_enough(&self, bytes: u64) -> bool {
        let [data, _] = &self.places;
        free(data).is_some_and(|free| free >= bytes.saturating_add(self.enough()))
    }

    /// What is free where it was low and is low no more.
    const fn enough(&self) -> u64 {
        self.low_water.saturating_add(self.low_water / 4)
    }

    /// How much room there is now: a system call for each of the two.
    pub fn look(&mut self) -> Room {
        let found = self.places.iter().map(|place| free(place)).enumerate();
        (self.scarcest, self.free) = found.min_by_key(|(_, free)| *free).unwrap_or_default();
        let room = self.judge(self.free);
        self.was_low = room < Room::Enough;
        room
    }

    /// Bytes that were free when it was looked at last; none where nobody said.
    #[must_use]
    pub const fn free(&self) -> Option<u64> {
        self.free
    }

    const fn judge(&self, free: Option<u64>) -> Room {
        let Some(free) = free else { return Room::Low };
        let hysteresis = if self.was_low { self.low_water / 4 } else { 0 };
        if self.low_water == 0 || free >= self.low_water.saturating_add(hysteresis) {
            Room::Enough
        } else if free >= self.reserve {
            Room::Low
        } else if free >= LAST_BYTES {
            Room::Reserve
        } else {
            Room::None
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes / MIB)
}

/// Bytes that are free for this user where `place` is or will be; none where nobody says.
pub(crate) fn free(place: &Path) -> Option<u64> {
    let there = place.ancestors().find(|place| place.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(was_low: bool) -> Space {
        let folder = std::env::temp_dir();
        Space { was_low, ..Space::new(&folder, &folder.join("fence/checkpoint"), 256 * MIB, 64 * MIB) }
    }

    #[test]
    fn every_mark_is_its_own_room() {
        let marks = [(300, Room::Enough), (256, Room::Enough), (255, Room::Low), (64, Room::Low)];
        for (free, room) in marks.into_iter().chain([(63, Room::Reserve), (0, Room::None)]) {
            assert_eq!(space(false).judge(Some(free * MIB)), room, "{free} MiB");
        }
        assert_eq!(space(false).judge(None), Room::Low, "nobody says");
    }

    #[test]
    fn what_was_low_is_enough_with_a_quarter_more() {
        for (free, room) in [(256, Room::Low), (319, Room::Low), (320, Room::Enough)] {
            assert_eq!(space(true).judge(Some(free * MIB)), room, "{free} MiB");
        }
    }

    #[test]
    fn a_place_that_is_not_made_yet_has_the_room_of_where_it_will_be() {
        let folder = std::env::temp_dir();
        assert!(free(&folder.join("nothing/here/yet")).is_some());
        let mut space = Space::new(&folder, &folder, u64::MAX / 2, 0);
        assert_ne!(space.look(), Room::Enough);
        assert!(space.was_low && space.free() == free(&folder));
    }

    #[test]
    fn a_shortage_names_the_place_and_what_is_enough() {
        let mut space = space(true);
        (space.free, space.scarcest) = (Some(200 * MIB + 7), 1);
        let told = space.shortage();
        assert!(
            told.starts_with("200 MiB free in ")
                && told.contains("fence/checkpoint, and `log.low_water` is 256 MiB; "),
            "{told}"
        );
        assert!(told.ends_with("with 320 MiB it opens by itself"), "{told}");
        assert!(space.leaves_enough(1) && !space.leaves_enough(u64::MAX));
        space.free = None;
        assert!(space.shortage().starts_with("nobody says how much is free in "), "{}", space.shortage());
    }

    #[test]
    fn a_mark_of_nothing_is_never_reached() {
        let mut space = Space::new(&std::env::temp_dir(), Path::new("/"), 0, 0);
        assert_eq!((space.judge(Some(0)), space.look()), (Room::Enough, Room::Enough));
    }
}
