//! The outbox against a model, as dice fall: events, answers of all kinds, reopenings at any moment, operators.
//!
//! The sinks of the model remember ids. Whatever happens: what was raised and taken reaches every sink that comes back, no
//! event twice under two ids, no alert of an open incident twice, and no end before its alert.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::incident::{End, Incident, IncidentKey, Kind};
use crate::message::Phase;

const ORIGIN: &str = "example.org/log";
const SINKS: [&str; 3] = ["a", "b", "c"];
const SEEDS: u64 = 150;
const STEPS: usize = 120;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// What a sink that remembers ids has seen.
#[derive(Default)]
struct Seen {
    ids: BTreeSet<String>,
    open: BTreeSet<String>,
    /// How many alerts and how many ends, of each key.
    counts: BTreeMap<String, (u64, u64)>,
    /// Whether the schedule was over for some event; then a key may begin anew whose end it never heard.
    missed_some: bool,
}

impl Seen {
    fn take(&mut self, message: &Message, seed: u64) {
        if !self.ids.insert(message.id().to_owned()) {
            return;
        }
        let key = message.incident().key().as_str().to_owned();
        let counts = self.counts.entry(key.clone()).or_default();
        match message.phase() {
            Phase::Begun => {
                let first = self.open.insert(key.clone());
                assert!(first || self.missed_some, "seed {seed}: two alerts of {key}");
                counts.0 += 1;
            }
            Phase::Ended => {
                assert!(self.open.remove(&key), "seed {seed}: an end of {key} without its alert");
                counts.1 += 1;
            }
        }
    }
}

struct World {
    seed: u64,
    dice: Dice,
    now: u64,
    folder: tempfile::TempDir,
    outbox: Option<Outbox>,
    seen: BTreeMap<&'static str, Seen>,
    /// Alerts and ends that were taken, of each key; and which are open.
    raised: BTreeMap<String, (u64, u64)>,
    open: BTreeSet<String>,
}

impl World {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seen = SINKS.iter().map(|sink| (*sink, Seen::default())).collect();
        let (raised, open) = (BTreeMap::new(), BTreeSet::new());
        Self { seed, dice: Dice(seed), now: 1_000, folder, outbox: None, seen, raised, open }
    }

    fn outbox(&mut self) -> &Outbox {
        let path = self.folder.path().join("outbox.redb");
        let route = |name: &&str| Route { name: (*name).to_owned(), min_severity: Severity::Info };
        let routes: Vec<Route> = SINKS.iter().map(route).collect();
        self.outbox.get_or_insert_with(|| Outbox::open(&path, ORIGIN, &routes).unwrap())
    }

    fn raise(&mut self) {
        let discriminator = self.dice.throw(4).to_string();
        let key = IncidentKey::new(ORIGIN, Kind::Trip, &discriminator);
        let (now, seed, begins) = (Timestamp(self.now), self.seed, self.dice.throw(2) == 0);
        let event = if begins {
            Event::Begun(Box::new(Incident::new(Kind::Trip, ORIGIN, &discriminator, "closed", now)))
        } else {
            Event::Ended(End::new(key.clone(), now))
        };
        let raised = self.outbox().raise(&event, now).unwrap();
        let key = key.as_str().to_owned();
        let taken = if begins { self.open.insert(key.clone()) } else { self.open.remove(&key) };
        assert_eq!(matches!(raised, Raised::Added(_)), taken, "seed {seed}: {raised:?}");
        let counts = self.raised.entry(key).or_default();
        counts.0 += u64::from(taken && begins);
        counts.1 += u64::from(taken && !begins);
    }

    /// An attempt; the sink may have taken what it seems not to have, and the process may be killed before it writes so down.
    fn attempt(&mut self) {
        let sink = SINKS[usize::try_from(self.dice.throw(3)).unwrap()];
        let (now, seed) = (Timestamp(self.now), self.seed);
        let Next::Send(message) = self.outbox().next(sink, now) else { return };
        let reason = String::new();
        let (taken, outcome) = match self.dice.throw(12) {
            0..=4 => (true, Outcome::Delivered),
            5 => (true, Outcome::Failed { reason, retry_after_seconds: None }),
            6 | 7 => (false, Outcome::Failed { reason, retry_after_seconds: None }),
            8 => (false, Outcome::Failed { reason, retry_after_seconds: Some(3_600) }),
            9 | 10 => (false, Outcome::Refused { reason }),
            _ => (false, Outcome::Gone { reason }),
        };
        if taken {
            self.seen.get_mut(sink).unwrap().take(&message, seed);
        }
        if self.dice.throw(5) == 0 {
            self.outbox = None;
            return;
        }
        let jitter = u8::try_from(self.dice.throw(256)).unwrap();
        self.outbox().settle(&message, &outcome, now, jitter).unwrap();
    }

    /// A sink does not answer for weeks.
    fn exhaust(&mut self) {
        let sink = SINKS[usize::try_from(self.dice.throw(3)).unwrap()];
        self.seen.get_mut(sink).unwrap().missed_some = true;
        for _ in 0..25 {
            self.now += 26 * 3_600_000;
            let now = Timestamp(self.now);
            let Next::Send(message) = self.outbox().next(sink, now) else { return };
            let outcome = Outcome::Failed { reason: String::new(), retry_after_seconds: None };
            self.outbox().settle(&message, &outcome, now, 0).unwrap();
        }
    }

    fn step(&mut self) {
        if self.dice.throw(40) == 0 {
            self.exhaust();
        }
        match self.dice.throw(10) {
            0..=2 => self.raise(),
            3..=7 => self.attempt(),
            8 => self.now += [1, 5_000, 300_000, 86_400_000][usize::try_from(self.dice.throw(4)).unwrap()],
            _ => {
                let (now, what) = (Timestamp(self.now), self.dice.throw(20));
                let what = if what < 10 { Retry::Incident(what) } else { Retry::All };
                self.outbox().retry(what, now).unwrap();
            }
        }
    }

    /// Every sink is back and takes all; gives how many events are none the less left.
    fn settle_all(&mut self) -> usize {
        let seed = self.seed;
        for _ in 0..4 {
            self.now += 86_400_000;
            let now = Timestamp(self.now);
            self.outbox().retry(Retry::All, now).unwrap();
            for sink in SINKS {
                while let Next::Send(message) = self.outbox().next(sink, now) {
                    self.seen.get_mut(sink).unwrap().take(&message, seed);
                    self.outbox().settle(&message, &Outcome::Delivered, now, 0).unwrap();
                }
            }
        }
        let view = self.outbox().list();
        for (sink, seen) in &self.seen {
            for (key, raised) in &self.raised {
                // What has begun anew since is not brought back; it is listed.
                let mut left = (0, 0);
                for incident in view.incidents.iter().filter(|incident| incident.key.as_str() == key) {
                    let delivery =
                        incident.deliveries.iter().find(|delivery| delivery.sink == *sink).unwrap();
                    left.0 += u64::from(delivery.begun.stage != StageView::Delivered);
                    let ended = delivery.ended.as_ref();
                    left.1 += u64::from(ended.is_some_and(|ended| ended.stage != StageView::Delivered));
                }
                assert!(seen.missed_some || left == (0, 0), "seed {seed}: {key} at {sink} is not delivered");
                let got = seen.counts.get(key).copied().unwrap_or_default();
                // It may have taken what it never acknowledged.
                let lost = got.0 + left.0 < raised.0 || got.1 + left.1 < raised.1;
                let too_many = got.0 > raised.0 || got.1 > raised.1;
                assert!(
                    !lost && !too_many,
                    "seed {seed}: {key} at {sink}: {got:?} of {raised:?}, {left:?} left"
                );
            }
            let others = seen.open.iter().filter(|key| !self.open.contains(*key)).collect::<Vec<_>>();
            assert!(
                seen.missed_some || others.is_empty(),
                "seed {seed}: {sink} goes on to alert of {others:?}"
            );
        }
        self.missed(&view)
    }

    /// Events that no sink will hear of.
    fn missed(&self, view: &OutboxView) -> usize {
        assert!(view.refused == 0 && view.dropped == 0 && view.not_durable.is_none(), "seed {}", self.seed);
        view.sinks.iter().map(|sink| sink.undeliverable).sum()
    }
}

#[test]
fn nothing_is_lost_told_twice_or_told_out_of_order() {
    let mut missed = 0;
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        missed += world.settle_all();
    }
    assert!(missed > 0, "no life has come to where an incident begins anew over one that was not delivered");
}
