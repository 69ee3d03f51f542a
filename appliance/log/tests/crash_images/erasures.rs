//! Erasures that were prepared of the same log: each is done, none undoes another, and the volumes are whole.

use std::sync::Arc;

use crate::dice::Dice;
use crate::disk::Image;
use crate::model::Model;
use crate::world::World;

const STEPS: usize = 90;

#[test]
fn two_erasures_that_were_prepared_together_are_both_done() {
    for seed in 1..=40 {
        let mut world = World::new(&Arc::new(Image::new()), Model::new(), Dice::new(seed), false);
        world.live_on(STEPS);
        world.until_open();
        world.erase_together([0, 1]);
        world.check().unwrap_or_else(|broken| panic!("seed {seed}: {broken}\n{}", world.model.told()));
        // As a start sees it, which reads every byte.
        world.end(false);
        world.until_open();
        world.check().unwrap_or_else(|broken| panic!("seed {seed}: {broken}\n{}", world.model.told()));
    }
}
