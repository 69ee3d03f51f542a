//! Rounds: what one commit writes, and what the model is told of it.

use assent_log::store::BatchKey;
use assent_log::{Commit, Leaves, Recorded, Unsigned};
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, LeafIndex};
use assent_proto::wire::BatchId;

use super::World;
use crate::keys::{self, Key, PRINCIPALS, Stamp};
use crate::model::{Answered, Asked, Round};

/// What kind of round is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Allows and denials under a signed checkpoint.
    Sealed,
    /// The same, in which another key takes over.
    HandOver(Key),
    /// The boundary closes: a trip and denials, unsigned.
    Tripped(&'static str),
    /// Denials, unsigned.
    Denied,
}

impl World {
    fn stamp(&mut self, epoch: Epoch) -> Stamp {
        Stamp { time: self.now, epoch, salt: self.dice.salt() }
    }

    /// The appliance's own entries, and the epoch behind them.
    fn operations(&mut self, kind: Kind) -> (Leaves, Epoch) {
        let log = self.log.as_ref().expect("a log");
        let (size, unsigned, told) = (log.frontier().size().0, log.unsigned(), log.told_epoch());
        let (known, covered) = (log.epoch(), log.signed().map_or(0, |signed| signed.size.0));
        let is_first = log.signed().is_none();
        let epoch = match kind {
            Kind::Tripped(_) if told < known => known,
            // Held just now: its epoch is known already.
            Kind::Tripped(_) => {
                log.latched().map_or(Epoch(known.0 + 1), |held| held.epoch.max(Epoch(known.0 + 1)))
            }
            Kind::Sealed | Kind::HandOver(_) | Kind::Denied => known,
        };
        let mut leaves = Leaves::default();
        let at = self.stamp(epoch);
        if size == 0 {
            keys::loaded(&mut leaves, at);
        }
        match kind {
            Kind::Tripped(cause) => keys::trip(&mut leaves, at, cause),
            Kind::HandOver(key) => keys::key_added(&mut leaves, at, key),
            Kind::Sealed if is_first || unsigned.since.is_some() => {
                if is_first {
                    keys::key_added(&mut leaves, at, Key(0));
                    keys::boot(&mut leaves, at);
                }
                if unsigned.since.is_some() {
                    keys::outage(&mut leaves, at, unsigned, (covered, size));
                }
                keys::rearm(&mut leaves, at);
            }
            Kind::Sealed | Kind::Denied => {}
        }
        (leaves, epoch)
    }

    /// Makes one round, and commits it; false where the error was fatal.
    pub(super) fn round(&mut self, kind: Kind) -> bool {
        let (operations, epoch) = self.operations(kind);
        let is_sealed = matches!(kind, Kind::Sealed | Kind::HandOver(_));
        let log = self.log.as_ref().expect("a log");
        let (first, mut frontier) = (log.frontier().size().0, log.frontier().clone());
        let (before, mut unsigned) = (log.signed().copied(), log.unsigned());
        let lowest_epoch = log.lowest_epoch();
        let mut runs = vec![operations];
        let (mut asked, mut answers) = (Vec::new(), Vec::new());
        let mut next = first + runs[0].len() as u64;
        let batches = match kind {
            Kind::HandOver(_) => 0,
            Kind::Sealed | Kind::Denied => 1 + self.dice.below(3),
            Kind::Tripped(_) => self.dice.below(2),
        };
        for _ in 0..batches {
            let principal = self.dice.below(PRINCIPALS.len());
            let leaves = self.decided(principal, epoch, is_sealed);
            let frame = vec![u8::try_from(principal).expect("few"); 20 + self.dice.below(400)];
            answers.push(self.answered(principal, &frame, is_sealed));
            asked.push(Asked { first: next, principal, frame });
            next += leaves.len() as u64;
            runs.push(leaves);
        }
        runs.iter().flat_map(Leaves::hashes).for_each(|hash| frontier.append(*hash).expect("a small tree"));
        let ring = self.ring();
        let hands_over_to = if let Kind::HandOver(key) = kind { Some(key) } else { None };
        let checkpoint = is_sealed.then(|| ring.signing.checkpoint(&frontier, hands_over_to));
        unsigned = if is_sealed {
            Unsigned::default()
        } else {
            let since = unsigned.since.or(Some(self.now));
            // Nothing else is decided while it is closed.
            let denials = unsigned.denials + runs.iter().skip(1).map(|run| run.len() as u64).sum::<u64>();
            Unsigned { since, denials, ..unsigned }
        };
        let commit = Commit {
            first: LeafIndex(first),
            leaves: runs.iter().collect(),
            requests: asked.iter().map(|a| (LeafIndex(a.first), a.frame.as_slice())).collect(),
            answers: answers.iter().map(recorded).collect(),
            rows: Vec::new(),
            frontier: &frontier,
            checkpoint,
            epoch,
            lowest_epoch,
            unsigned,
            time: self.now,
        };
        let begun = self.disk.at();
        let is_durable = self.log.as_mut().expect("a log").commit(&commit).is_ok();
        let span = self.span(begun, is_durable);
        let leaves: Vec<_> = runs.iter().flat_map(|run| run.iter().map(<[u8]>::to_vec)).collect();
        let in_pieces = leaves.iter().map(Vec::len).sum::<usize>() > self.piece_bytes;
        let (signed, time) = (checkpoint.or(before), self.now);
        self.model.rounds.push(Round {
            span,
            first,
            leaves,
            in_pieces,
            checkpoint,
            requests: asked,
            answers,
            frontier,
            signed,
            epoch,
            unsigned,
            time,
            hands_over_to,
        });
        is_durable
    }

    /// Entries of one batch.
    fn decided(&mut self, principal: usize, epoch: Epoch, may_allow: bool) -> Leaves {
        let mut leaves = Leaves::default();
        for _ in 0..=self.dice.below(4) {
            let at = self.stamp(epoch);
            if may_allow && self.dice.chance(2, 3) {
                keys::allow(&mut leaves, at, PRINCIPALS[principal]);
            } else {
                keys::deny(&mut leaves, at, PRINCIPALS[principal]);
            }
        }
        leaves
    }

    fn answered(&mut self, principal: usize, frame: &[u8], allows: bool) -> Answered {
        let mut random = [0; 10];
        random.copy_from_slice(&self.dice.salt()[..10]);
        let key = BatchKey::new(BatchId::new(self.now, random), PRINCIPALS[principal]);
        let request = Hash::of_labelled(b"request", [frame]);
        let reply = vec![0xa5; 30 + self.dice.below(200)];
        Answered { key, request, reply, allows }
    }
}

fn recorded(answered: &Answered) -> Recorded<'_> {
    let Answered { key, request, reply, allows } = answered;
    Recorded { key: *key, request: *request, reply, allows: *allows }
}
