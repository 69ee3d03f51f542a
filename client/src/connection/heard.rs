//! What an agent has heard from its appliance: the newest of each kind of notice, and whether anything is heard at all.
//!
//! No input or output, no clock, no cryptography: what comes in was verified, and time is an argument. Each change tells
//! whether it is news to whoever waits; that the same was said again is none.

use std::collections::BTreeMap;

use assent_proto::number::{Epoch, Timestamp};
use assent_proto::wire::SignedCheckpoint;

use crate::limits::MAX_HEARD_LOGS;
use crate::notice::{Fork, Standing};

/// Whether the appliance is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It is: this is when it spoke last, by our clock.
    Heard(Timestamp),
    /// It has said nothing for longer than a live one would: it, the way to it, or we stand still. Not a fault by itself.
    Silent {
        /// When it spoke last; before that, when listening began.
        since: Timestamp,
    },
}

/// The newest of everything.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) hearing: Hearing,
    pub(super) standing: Option<Standing>,
    pub(super) checkpoint: Option<SignedCheckpoint>,
    /// The key that signs, where the trust does not hold it.
    pub(super) unknown_key: Option<String>,
    pub(super) fork: Option<Fork>,
    /// Notices that were not believed.
    pub(super) dropped: u64,
    /// The newest of each log: as many as the trust has origins.
    newest: BTreeMap<&'static str, SignedCheckpoint>,
    /// The lowest epoch of each log that ordered one.
    lowest: BTreeMap<String, Epoch>,
}

impl Heard {
    /// Nothing, since `now`.
    pub(super) const fn nothing(now: Timestamp) -> Self {
        Self {
            hearing: Hearing::Silent { since: now },
            standing: None,
            checkpoint: None,
            unknown_key: None,
            fork: None,
            dropped: 0,
            newest: BTreeMap::new(),
            lowest: BTreeMap::new(),
        }
    }

    /// Something was said, whatever it was.
    pub(super) fn beat(&mut self, now: Timestamp) -> bool {
        let before = std::mem::replace(&mut self.hearing, Hearing::Heard(now));
        matches!(before, Hearing::Silent { .. })
    }

    /// Nothing was said for too long.
    pub(super) fn fall_silent(&mut self) -> bool {
        let Hearing::Heard(since) = self.hearing else { return false };
        self.hearing = Hearing::Silent { since };
        true
    }

    /// Something was said that is not believed.
    pub(super) fn disbelieve(&mut self) -> bool {
        self.dropped = self.dropped.saturating_add(1);
        false
    }

    /// The boundary stands so. A lowest epoch that was heard stays, whatever is said later of this log or another.
    pub(super) fn take_standing(&mut self, mut said: Standing) -> bool {
        if self.fork.is_some() {
            return self.disbelieve();
        }
        let lowest = self.lowest.get(&said.origin).copied().unwrap_or_default();
        if said.lowest_epoch > lowest {
            // LIMIT: who trusts nobody is told of as many origins as an appliance names.
            if self.lowest.len() >= MAX_HEARD_LOGS && !self.lowest.contains_key(&said.origin) {
                return self.disbelieve();
            }
            self.lowest.insert(said.origin.clone(), said.lowest_epoch);
        }
        said.lowest_epoch = said.lowest_epoch.max(lowest);
        let news = self.standing.as_ref().is_none_or(|before| !before.agrees(&said));
        self.standing = Some(said);
        news
    }

    /// The log of that origin has this state, which a trusted key signed.
    pub(super) fn take_checkpoint(&mut self, origin: &'static str, said: SignedCheckpoint) -> bool {
        if self.fork.is_some() {
            return self.disbelieve();
        }
        let contradicts = |known: &SignedCheckpoint| {
            said.size < known.size || (said.size == known.size && said.root != known.root)
        };
        if let Some(known) = self.newest.get(origin).filter(|known| contradicts(known)) {
            self.fork = Some(Fork { origin: origin.to_owned(), known: *known, said });
            return true;
        }
        self.newest.insert(origin, said);
        let before = self.checkpoint.replace(said);
        before.is_none_or(|before| SignedCheckpoint { time: said.time, ..before } != said)
    }

    /// The key that signs is this one, which the trust does not hold; or one that it holds.
    pub(super) fn take_key(&mut self, unknown: Option<String>) -> bool {
        let before = std::mem::replace(&mut self.unknown_key, unknown);
        before != self.unknown_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_proto::hash::Hash;
    use assent_proto::note::KeyId;
    use assent_proto::number::TreeSize;

    const NOON: Timestamp = Timestamp(1_795_521_600_000);

    fn signed(size: u64, root: u8) -> SignedCheckpoint {
        let (size, root) = (TreeSize(size), Hash([root; 32]));
        SignedCheckpoint { time: NOON, size, root, key_id: KeyId([0; 4]), signature: [root.0[0]; 64] }
    }

    fn standing(epoch: u64, lowest_epoch: u64) -> Standing {
        let (epoch, lowest_epoch) = (Epoch(epoch), Epoch(lowest_epoch));
        Standing { time: NOON, origin: "a".to_owned(), epoch, closed: None, lowest_epoch }
    }

    #[test]
    fn only_what_differs_is_news() {
        let mut heard = Heard::nothing(NOON);
        assert!(heard.beat(NOON.plus_ms(1)) && !heard.beat(NOON.plus_ms(2)));
        assert_eq!(heard.hearing, Hearing::Heard(NOON.plus_ms(2)));
        assert!(heard.take_standing(standing(1, 0)));
        assert!(!heard.take_standing(Standing { time: NOON.plus_ms(5), ..standing(1, 0) }));
        assert_eq!(heard.standing.as_ref().map(|standing| standing.time), Some(NOON.plus_ms(5)));
        assert!(heard.take_standing(standing(2, 0)));
        assert!(heard.take_checkpoint("a", signed(7, 1)));
        assert!(!heard.take_checkpoint("a", SignedCheckpoint { time: NOON.plus_ms(9), ..signed(7, 1) }));
        assert!(heard.take_checkpoint("a", signed(8, 1)));
        assert!(heard.take_key(Some("k".to_owned())) && !heard.take_key(Some("k".to_owned())));
        assert!(heard.take_key(None) && !heard.take_key(None));
    }

    #[test]
    fn silence_is_news_once_and_says_since_when() {
        let mut heard = Heard::nothing(NOON);
        assert!(!heard.fall_silent(), "nothing was ever heard");
        heard.beat(NOON.plus_ms(3));
        assert!(heard.fall_silent() && !heard.fall_silent());
        assert_eq!(heard.hearing, Hearing::Silent { since: NOON.plus_ms(3) });
        assert!(heard.beat(NOON.plus_ms(9)));
    }

    #[test]
    fn lowest_epoch_is_never_lowered_within_one_log() {
        let mut heard = Heard::nothing(NOON);
        heard.take_standing(standing(5, 4));
        assert!(!heard.take_standing(standing(5, 1)), "it says nothing new");
        assert_eq!(heard.standing.as_ref().map(|standing| standing.lowest_epoch), Some(Epoch(4)));
        heard.take_standing(Standing { origin: "b".to_owned(), ..standing(2, 0) });
        assert_eq!(heard.standing.as_ref().map(|standing| standing.lowest_epoch), Some(Epoch(0)));
        heard.take_standing(standing(5, 1));
        assert_eq!(
            heard.standing.as_ref().map(|standing| standing.lowest_epoch),
            Some(Epoch(4)),
            "after another's"
        );
    }

    #[test]
    fn log_beyond_those_that_are_remembered_is_not_believed() {
        let mut heard = Heard::nothing(NOON);
        let of = |number: usize| Standing { origin: number.to_string(), ..standing(5, 4) };
        assert!((0..MAX_HEARD_LOGS).all(|number| heard.take_standing(of(number))));
        assert!(!heard.take_standing(of(MAX_HEARD_LOGS)));
        assert_eq!((heard.dropped, heard.standing.as_ref()), (1, Some(&of(MAX_HEARD_LOGS - 1))));
        assert!(heard.take_standing(of(0)), "one that is remembered");
    }

    #[test]
    fn other_root_or_smaller_size_is_a_fork_and_ends_belief() {
        for said in [signed(7, 2), signed(6, 1)] {
            let mut heard = Heard::nothing(NOON);
            heard.take_checkpoint("a", signed(7, 1));
            assert!(!heard.take_checkpoint("a", signed(7, 1)));
            heard.take_checkpoint("b", signed(3, 9));
            assert_eq!(heard.fork, None, "another log has sizes of its own");
            assert!(heard.take_checkpoint("a", said));
            let fork = heard.fork.clone().unwrap();
            assert_eq!((&*fork.origin, fork.known, fork.said), ("a", signed(7, 1), said));
            assert!(!heard.take_checkpoint("a", signed(8, 1)) && !heard.take_standing(standing(1, 0)));
            assert_eq!((heard.fork, heard.standing, heard.dropped), (Some(fork), None, 2));
        }
    }
}
