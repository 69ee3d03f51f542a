//! An error at every single operation of a life, done or not done: what was acknowledged stays, and the next start serves.
//!
//! The lives with random faults meet combinations; here one life is lived again and again, and each time the next of its
//! operations fails. A sync that hangs is met at the end: until it returns nothing is acknowledged.

use std::sync::Arc;

use crate::crash::{Follower, Mode};
use crate::dice::Dice;
use crate::disk::{Fault, Image, Outcome};
use crate::judge::judge;
use crate::model::Model;
use crate::world::World;

/// Of all places every so many-th is met, unless `ASSENT_SWEEP=full` says all.
const STRIDE: usize = 29;
const STEPS: usize = 60;

fn stride() -> usize {
    if std::env::var("ASSENT_SWEEP").is_ok_and(|wanted| wanted == "full") { 1 } else { STRIDE }
}

/// Lives the life of this seed, with this fault in it; gives how many operations it took without one.
fn live(seed: u64, fault: Option<Fault>) -> usize {
    let image = Arc::new(Image::new());
    let mut world = World::new(&image, Model::new(), Dice::new(seed), false);
    world.disk.fail(fault);
    world.live_on(STEPS);
    let journal = world.disk.kill();
    let model = world.model;
    let mut follower = Follower::new(&journal);
    follower.go_to(journal.ops.len());
    let mut dice = Dice::new(seed);
    for mode in [Mode::Killed, Mode::Lost, Mode::Torn] {
        let left = Arc::new(follower.image(mode, &mut dice));
        if let Err(broken) = judge(&left, &model, journal.ops.len(), &mut dice) {
            panic!("seed {seed}, {fault:?}, {mode:?}: {broken}\n{}", model.told());
        }
    }
    journal.ops.len()
}

#[test]
fn an_error_at_any_operation_loses_nothing() {
    let mut met = 0;
    for seed in [7, 8, 9] {
        let operations = live(seed, None);
        for after in (0..operations).skip(usize::try_from(seed).expect("small") % stride()).step_by(stride())
        {
            for outcome in [Outcome::NotDone, Outcome::Done, Outcome::Half] {
                for error in [5, 28] {
                    live(seed, Some(Fault { after, error, outcome }));
                    met += 1;
                }
            }
        }
    }
    println!("{met} lives with one error each");
}

#[test]
fn what_a_hanging_sync_covers_is_neither_acknowledged_nor_read() {
    let mut world = World::new(&Arc::new(Image::new()), Model::new(), Dice::new(5), false);
    world.live_on(20);
    let (disk, reader) = (world.disk.clone(), world.reader());
    let before = (reader.size().expect("a size"), world.model.rounds.len());
    disk.hang(true);
    let journal = std::thread::scope(|scope| {
        let hanging = scope.spawn(|| world.seal());
        let journal = disk.when_it_hangs();
        assert_eq!(reader.size().expect("a size"), before.0, "it is not read");
        assert!(!hanging.is_finished(), "it is not acknowledged");
        disk.hang(false);
        assert!(hanging.join().expect("it goes on"), "then it is");
        journal
    });
    assert_eq!(world.model.rounds.len(), before.1 + 1);
    assert!(reader.size().expect("a size") > before.0);
    // Whoever pulled the plug meanwhile finds it, or does not.
    let mut follower = Follower::new(&journal);
    follower.go_to(journal.ops.len());
    let mut dice = Dice::new(5);
    for _ in 0..100 {
        let mode = follower.choose(&mut dice);
        let left = Arc::new(follower.image(mode, &mut dice));
        if let Err(broken) = judge(&left, &world.model, journal.ops.len(), &mut dice) {
            panic!("{mode:?}: {broken}\n{}", world.model.told());
        }
    }
}
