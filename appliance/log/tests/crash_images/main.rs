//! A million crashes: the log on a disk that keeps a journal, and whatever a crash behind any operation leaves of it.
//!
//! A log lives for a while as dice fall (`world`), a model remembers what was acknowledged (`model`), the journal yields images
//! (`crash`), each is opened and held to the model (`judge`), and one of them is where the next life begins. A failure prints
//! the seed that repeats it. How many images: `ASSENT_IMAGES`; from which seed on: `ASSENT_SEED`. (`appliance/DESIGN.md`,
//! "Verification of a log", I6.)

#![expect(clippy::panic, reason = "a violation ends the run, with its seed")]
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "this is a test from end to end")]

mod crash;
mod dice;
mod disk;
mod erasures;
mod errors;
mod flips;
mod judge;
mod keys;
mod model;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::crash::Follower;
use crate::dice::Dice;
use crate::disk::Image;
use crate::judge::judge;
use crate::model::{Model, Shown};
use crate::world::World;

/// Images without `ASSENT_IMAGES`.
const IMAGES: u64 = 20_000;
/// Lives of one log, each begun from an image of the one before.
const LIVES: u64 = 5;
/// What a life does at most.
const STEPS: usize = 24;
/// Images of one life.
const IMAGES_PER_LIFE: u64 = 48;

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// What was seen, so that a run that sees nothing fails.
#[derive(Debug, Default)]
struct Seen {
    modes: BTreeMap<String, u64>,
    /// Images of a commit under way: it was there, or was not.
    there: u64,
    not_there: u64,
    /// The same, of a round in several pieces.
    pieces_there: u64,
    pieces_not_there: u64,
    unfounded: u64,
    held: u64,
    rotated: u64,
    erased: u64,
}

impl Seen {
    fn note(&mut self, mode: &str, model: &Model, crash: usize, shown: Option<&Shown>) {
        *self.modes.entry(mode.to_owned()).or_default() += 1;
        let Some(shown) = shown else {
            self.unfounded += 1;
            return;
        };
        let (certain, may_be) = model.rounds_at(crash);
        if certain < may_be {
            let (is_there, in_pieces) = (shown.rounds == may_be, model.live(crash)[may_be - 1].in_pieces);
            let (whole, pieces) = if is_there {
                (&mut self.there, &mut self.pieces_there)
            } else {
                (&mut self.not_there, &mut self.pieces_not_there)
            };
            *whole += 1;
            *pieces += u64::from(in_pieces);
        }
        self.held += u64::from(shown.held.is_some());
        self.rotated += u64::from(shown.ring.signing.0 > 0);
        self.erased += u64::from(shown.erasures > 0);
    }

    fn add(&mut self, other: Self) {
        for (mode, count) in other.modes {
            *self.modes.entry(mode).or_default() += count;
        }
        self.there += other.there;
        self.not_there += other.not_there;
        self.pieces_there += other.pieces_there;
        self.pieces_not_there += other.pieces_not_there;
        self.unfounded += other.unfounded;
        self.held += other.held;
        self.rotated += other.rotated;
        self.erased += other.erased;
    }
}

/// One log from its founding on, through a few lives; gives how many images were judged.
fn lineage(seed: u64, seen: &mut Seen) -> u64 {
    let mut dice = Dice::new(seed);
    let (mut image, mut model) = (Arc::new(Image::new()), Model::new());
    let mut judged = 0;
    for life in 0..LIVES {
        let faulty = seed % 2 == 1;
        let mut world = World::new(&image, model, Dice::new(dice.roll()), faulty);
        world.live(2 + dice.below(STEPS));
        let journal = world.disk.kill();
        model = world.model;
        let mut places: Vec<usize> =
            (0..IMAGES_PER_LIFE).map(|_| dice.below(journal.ops.len() + 1)).collect();
        places.sort_unstable();
        let chosen = dice.below(places.len());
        let mut follower = Follower::new(&journal);
        let mut next = None;
        for (position, place) in places.into_iter().enumerate() {
            follower.go_to(place);
            let mode = follower.choose(&mut dice);
            let left = Arc::new(follower.image(mode, &mut dice));
            let shown = judge(&left, &model, place, &mut dice).unwrap_or_else(|broken| {
                println!("{}", model.told());
                panic!(
                    "seed {seed}, life {life}, behind {place} of {} operations, {mode:?}: {broken}",
                    journal.ops.len()
                )
            });
            judged += 1;
            let name = format!("{mode:?}");
            seen.note(name.split('(').next().unwrap_or_default(), &model, place, shown.as_ref());
            if position >= chosen && next.is_none() {
                next = shown.map(|shown| (left, model.begun_from(&shown, place)));
            }
        }
        match next {
            Some((left, begun)) => (image, model) = (left, begun),
            // Founded again from nothing.
            None => (image, model) = (Arc::new(Image::new()), Model::new()),
        }
    }
    judged
}

#[test]
fn every_crash_image_opens_and_holds_what_was_acknowledged() {
    let (wanted, first) = (number("ASSENT_IMAGES", IMAGES), number("ASSENT_SEED", 1));
    let (judged, next) = (AtomicU64::new(0), AtomicU64::new(first));
    let all = Mutex::new(Seen::default());
    let work = || {
        let mut seen = Seen::default();
        while judged.load(Ordering::Relaxed) < wanted {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let before = judged.fetch_add(lineage(seed, &mut seen), Ordering::Relaxed);
            let after = judged.load(Ordering::Relaxed);
            if before / 50_000 < after / 50_000 {
                println!("{after} of {wanted} images");
            }
        }
        all.lock().unwrap_or_else(PoisonError::into_inner).add(seen);
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("no violation"));
    });
    let seen = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{} images, seeds {first} to {}, 0 violations", judged.into_inner(), next.into_inner() - 1);
    println!("{seen:?}");
    assert!(seen.modes.len() == 7 && seen.there > 0 && seen.not_there > 0, "{seen:?}");
    assert!(seen.pieces_there > 0 && seen.pieces_not_there > 0, "{seen:?}");
    assert!(seen.unfounded > 0 && seen.held > 0 && seen.rotated > 0 && seen.erased > 0, "{seen:?}");
}
