//! Room that all peers share: what of theirs lies in it is counted by principal, and never takes more than there is.
//!
//! Where one more does not fit, somebody gives way: something of whoever has most. So a peer that fills it costs itself, and
//! those who have little in it keep that.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What of a principal's gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivesWay {
    /// What has lain there longest.
    Oldest,
    /// What came last, which may be what was just taken in.
    Newest,
}

/// The room.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct Inside {
    /// How much it holds.
    most: usize,
    gives_way: GivesWay,
    /// How much lies in it.
    taken: usize,
    /// The number of the next that comes in.
    next: u64,
    /// Whose it is; nobody without any.
    principals: HashMap<Arc<str>, Share>,
}

/// What one principal has in it.
#[derive(Debug, Default)]
struct Share {
    taken: usize,
    /// Oldest first.
    lying: BTreeMap<u64, Lying>,
}

#[derive(Debug)]
struct Lying {
    size: usize,
    /// Dropped when it is given up.
    _keeps: oneshot::Sender<()>,
}

/// Something that lies in the room; what it takes is free again when this is dropped.
#[derive(Debug)]
pub(super) struct InRoom {
    principal: Arc<str>,
    number: u64,
    /// None once it was given up.
    kept: Option<oneshot::Receiver<()>>,
    room: Room,
}

impl Room {
    pub(super) fn new(most: usize, gives_way: GivesWay) -> Self {
        let principals = HashMap::new();
        Self(Arc::new(Mutex::new(Inside { most, gives_way, taken: 0, next: 0, principals })))
    }

    /// Takes something of this size in. Until it fits others are given up, and where the newest gives way perhaps itself.
    pub(super) fn take_in(&self, principal: &str, size: usize) -> InRoom {
        let (keeps, kept) = oneshot::channel();
        let principal: Arc<str> = principal.into();
        let mut inside = self.lock();
        if inside.gives_way == GivesWay::Oldest {
            inside.give_way_to(size);
        }
        let number = inside.next;
        inside.next += 1;
        inside.taken += size;
        let share = inside.principals.entry(Arc::clone(&principal)).or_default();
        share.taken += size;
        share.lying.insert(number, Lying { size, _keeps: keeps });
        if inside.gives_way == GivesWay::Newest {
            inside.give_way_to(0);
        }
        drop(inside);
        InRoom { principal, number, kept: Some(kept), room: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn give_way_to(&mut self, size: usize) {
        while self.taken + size > self.most && self.give_up_one() {}
    }

    /// Something of whoever has most. False where there is nothing.
    fn give_up_one(&mut self) -> bool {
        let most = self.principals.iter().max_by_key(|(_, share)| share.taken);
        let Some((principal, number)) = most.and_then(|(principal, share)| {
            let mut numbers = share.lying.keys();
            let number = match self.gives_way {
                GivesWay::Oldest => numbers.next(),
                GivesWay::Newest => numbers.next_back(),
            };
            number.map(|number| (Arc::clone(principal), *number))
        }) else {
            return false;
        };
        self.remove(&principal, number);
        true
    }

    fn remove(&mut self, principal: &Arc<str>, number: u64) {
        let Some(share) = self.principals.get_mut(principal) else { return };
        if let Some(left) = share.lying.remove(&number) {
            share.taken -= left.size;
            self.taken -= left.size;
        }
        if share.lying.is_empty() {
            self.principals.remove(principal);
        }
    }
}

impl InRoom {
    /// Returns when it was given up for another.
    pub(super) async fn given_up(&mut self) {
        if let Some(kept) = &mut self.kept {
            // Nothing is ever sent: what keeps it is gone.
            let _ = kept.await;
            self.kept = None;
        }
    }
}

impl Drop for InRoom {
    fn drop(&mut self) {
        self.room.lock().remove(&self.principal, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 300;

    /// Which of them were given up by now.
    async fn given_up(lying: &mut [InRoom]) -> Vec<bool> {
        let mut given_up = Vec::new();
        for one in lying {
            given_up.push(tokio::select! {
                biased;
                () = one.given_up() => true,
                () = std::future::ready(()) => false,
            });
        }
        given_up
    }

    #[tokio::test]
    async fn the_oldest_gives_way_and_no_more_than_must() {
        let room = Room::new(MOST, GivesWay::Oldest);
        let mut lying: Vec<InRoom> = (0..3).map(|_| room.take_in("agent", MOST / 3)).collect();
        assert_eq!(given_up(&mut lying).await, [false; 3], "all three fit");
        lying.push(room.take_in("agent", MOST / 3));
        assert_eq!(given_up(&mut lying).await, [true, false, false, false]);
        assert_eq!(room.lock().taken, MOST);
    }

    #[tokio::test]
    async fn the_newest_of_whoever_has_most_gives_way_and_nobody_else() {
        let room = Room::new(5, GivesWay::Newest);
        let mut few = vec![room.take_in("has few", 1)];
        let mut many: Vec<InRoom> = (0..6).map(|_| room.take_in("has many", 1)).collect();
        assert_eq!(given_up(&mut many).await, [false, false, false, false, true, true]);
        few.push(room.take_in("has few", 1));
        assert_eq!(given_up(&mut many).await, [false, false, false, true, true, true]);
        assert_eq!(given_up(&mut few).await, [false, false]);
        assert_eq!(room.lock().taken, 5);
    }

    #[tokio::test]
    async fn what_has_left_makes_room_and_is_not_counted_twice() {
        let room = Room::new(MOST, GivesWay::Oldest);
        let left = room.take_in("agent", MOST / 2);
        let mut lying = vec![room.take_in("agent", MOST / 2)];
        drop(left);
        lying.push(room.take_in("agent", MOST / 2));
        assert_eq!(given_up(&mut lying).await, [false, false]);
        // The room of what was given up was free before its task comes to drop it.
        let whole = room.take_in("agent", MOST);
        assert_eq!(given_up(&mut lying).await, [true, true]);
        drop(lying);
        assert_eq!(room.lock().taken, MOST);
        drop(whole);
        let inside = room.lock();
        assert_eq!((inside.taken, inside.principals.len()), (0, 0));
    }

    #[tokio::test]
    async fn whoever_has_most_loses_it_and_not_those_who_have_little() {
        let room = Room::new(MOST, GivesWay::Oldest);
        let mut little = vec![room.take_in("reads slowly", MOST / 60)];
        let mut hoard: Vec<InRoom> = (0..4).map(|_| room.take_in("hoards", MOST / 4)).collect();
        little.push(room.take_in("asks later", MOST / 4));
        assert_eq!(given_up(&mut little).await, [false, false]);
        assert_eq!(given_up(&mut hoard).await, [true, true, false, false], "the fourth, and the last one");
    }
}
