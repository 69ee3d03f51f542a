//! Places for those who follow the appliance: so many for all, and so many of one operator.
//!
//! The one rule: nobody is refused for others who came first. Whoever has as many as one may gives up their oldest, and where all
//! are taken it is whoever has most.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{Receiver, Sender, channel};

use crate::limits::{MAX_CONSOLE_STREAMS, MAX_CONSOLE_STREAMS_PER_OPERATOR};

#[derive(Debug)]
struct Follower {
    number: u64,
    name: String,
    /// Dropped when its place is another's.
    _stays: Sender<()>,
}

/// Who follows, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Followers(Mutex<(u64, VecDeque<Follower>)>);

/// A place, until it is dropped or given to another.
#[derive(Debug)]
pub(super) struct Place {
    followers: Arc<Followers>,
    number: u64,
    stays: Receiver<()>,
}

impl Followers {
    /// A place for another page of this operator.
    pub(super) fn enter(self: Arc<Self>, name: &str) -> Place {
        let (stay, stays) = channel();
        let mut all = self.lock();
        if let Some(at) = gives_up(&all.1, name) {
            all.1.remove(at);
        }
        all.0 += 1;
        let number = all.0;
        all.1.push_back(Follower { number, name: name.to_owned(), _stays: stay });
        drop(all);
        Place { followers: self, number, stays }
    }

    fn lock(&self) -> MutexGuard<'_, (u64, VecDeque<Follower>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of them makes room for another of this operator, where one must.
fn gives_up(all: &VecDeque<Follower>, name: &str) -> Option<usize> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for follower in all {
        *counts.entry(&follower.name).or_default() += 1;
    }
    let whose = if counts.get(name).is_some_and(|count| *count >= MAX_CONSOLE_STREAMS_PER_OPERATOR) {
        name
    } else if all.len() >= MAX_CONSOLE_STREAMS {
        counts.into_iter().max_by_key(|(_, count)| *count)?.0
    } else {
        return None;
    };
    all.iter().position(|follower| follower.name == whose)
}

impl Place {
    /// Waits until the place is another's.
    pub(super) async fn given_up(&mut self) {
        // Nothing is ever sent.
        let _ = (&mut self.stays).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.followers.lock().1.retain(|follower| follower.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a place is still whose it was.
    fn stands(place: &mut Place) -> bool {
        matches!(place.stays.try_recv(), Err(tokio::sync::oneshot::error::TryRecvError::Empty))
    }

    #[test]
    fn the_newest_page_of_an_operator_ends_their_oldest_and_nobody_elses() {
        let followers = Arc::new(Followers::default());
        let enter = |name: &str| Arc::clone(&followers).enter(name);
        let mut other = enter("ann");
        let mut own: Vec<Place> = (0..=MAX_CONSOLE_STREAMS_PER_OPERATOR).map(|_| enter("vic")).collect();
        assert!(stands(&mut other));
        let stand: Vec<bool> = own.iter_mut().map(stands).collect();
        assert_eq!((stand[0], stand[1..].iter().all(|stands| *stands)), (false, true), "{stand:?}");
        // What was given up already frees nothing more, and what is left does.
        own.remove(0);
        own.remove(0);
        let _last = enter("vic");
        assert!(own.iter_mut().all(stands));
        assert_eq!(followers.lock().1.len(), 1 + MAX_CONSOLE_STREAMS_PER_OPERATOR);
    }

    #[test]
    fn where_all_places_are_taken_whoever_has_most_makes_room() {
        let followers = Arc::new(Followers::default());
        let enter = |name: &str| Arc::clone(&followers).enter(name);
        let mut most = [enter("vic"), enter("vic")];
        let mut others: Vec<Place> =
            (2..MAX_CONSOLE_STREAMS).map(|number| enter(&format!("operator {number}"))).collect();
        let mut last = enter("ann");
        assert_eq!(most.each_mut().map(stands), [false, true]);
        assert!(stands(&mut last) && others.iter_mut().all(stands));
        assert_eq!(followers.lock().1.len(), MAX_CONSOLE_STREAMS);
    }
}
