//! Bit rot: one bit of one file, anywhere. It is refused before anything is signed, or it changed nothing.
//!
//! After a kill everything is checked before the log is given; after a stop in order the volumes are checked while it serves,
//! and there the check must find it.

use std::path::Path;
use std::sync::Arc;

use crate::crash::{Follower, Mode};
use crate::dice::Dice;
use crate::disk::{FakeDisk, Image};
use crate::judge::hold;
use crate::model::{Model, Shown};
use crate::world::{World, log_path, open};

/// Flips without `ASSENT_FLIPS`.
const FLIPS: u64 = 3_000;
const STEPS: usize = 90;

/// A log with volumes, all of it durable, as a kill or a stop in order leaves it.
fn left(seed: u64, in_order: bool) -> (Arc<Image>, Model) {
    let mut world = World::new(&Arc::new(Image::new()), Model::new(), Dice::new(seed), false);
    world.live_on(STEPS);
    world.end(in_order);
    let journal = world.disk.kill();
    let mut follower = Follower::new(&journal);
    follower.go_to(journal.ops.len());
    let image = follower.image(Mode::Killed, &mut Dice::new(seed));
    (Arc::new(image), world.model)
}

/// Whether what was flipped is found out: by the start, or behind a stop in order by the check of the volumes.
///
/// # Errors
/// What is in force and should not be.
fn is_found(image: &Arc<Image>, model: &Model, before: &Shown) -> Result<bool, String> {
    let disk = FakeDisk::of(image);
    let Ok(opened) = open(&disk) else { return Ok(true) };
    let log = opened.ok_or_else(|| "it says that nothing was founded".to_owned())?;
    if !log.checked() && log.reader().check_volumes(|_| ()).is_err() {
        return Ok(true);
    }
    // A latch in which something was flipped holds for whatever it says, and is the safe side.
    let shown = hold(&log, &model.begun_from(before, usize::MAX), 0);
    match shown {
        Ok(_) => Ok(false),
        Err(broken) if broken.starts_with("held for") && log.latched().is_some() => Ok(true),
        Err(broken) => Err(broken),
    }
}

fn name(path: &Path) -> String {
    path.extension().map_or_else(|| "fence".to_owned(), |ending| ending.to_string_lossy().into_owned())
}

#[test]
fn every_flipped_bit_is_refused_or_changes_nothing() {
    let flips = crate::number("ASSENT_FLIPS", FLIPS);
    let mut dice = Dice::new(crate::number("ASSENT_SEED", 1));
    let (mut refused, mut same) = (std::collections::BTreeMap::<String, u64>::new(), 0);
    let logs: Vec<_> = (0..6).map(|seed| left(seed + 40, seed % 2 == 0)).collect();
    for flip in 0..flips {
        let (image, model) = &logs[dice.below(logs.len())];
        let disk = FakeDisk::of(image);
        let log = open(&disk).expect("the whole log opens").expect("it was founded");
        let before = hold(&log, model, usize::MAX).expect("it is whole");
        drop(log);
        // The store every second time, else any file, so that small ones are met as often as large ones.
        let store = image.get_key_value(&log_path()).filter(|_| dice.chance(1, 2));
        let any = image.iter().nth(dice.below(image.len()));
        let (path, bytes) = store.or(any).expect("a file");
        if bytes.is_empty() {
            continue;
        }
        let mut damaged = bytes.to_vec();
        let (position, bit) = (dice.below(damaged.len()), dice.below(8));
        damaged[position] ^= 1 << bit;
        let mut image = (**image).clone();
        image.insert(path.clone(), Arc::new(damaged));
        match is_found(&Arc::new(image), model, &before) {
            Ok(true) => *refused.entry(name(path)).or_default() += 1,
            Ok(false) => same += 1,
            Err(broken) => {
                panic!("flip {flip}: bit {bit} of byte {position} of {}: {broken}", path.display())
            }
        }
    }
    println!("{flips} flips: refused {refused:?}, {same} in bytes that mean nothing");
    for kind in ["redb", "leaves", "requests", "toml"] {
        assert!(refused.contains_key(kind), "no flip in {kind} was refused");
    }
}
