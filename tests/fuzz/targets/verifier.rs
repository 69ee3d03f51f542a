//! The verifier: tables that bytes made and damaged. What it takes must run: no panic, an end, and within the fuel.
//!
//! The first byte says how much is damaged; undamaged tables are sound by construction, and must be taken wherever their
//! programs are.
#![no_main]

use assent_evaluator::Verified;
use fuzz::choices::Choices;
use fuzz::deciding::run;
use fuzz::tables::Tables;
use libfuzzer_sys::fuzz_target;

/// Bytes that decide the intent.
const SCRIPT_BYTES: usize = 64;

fuzz_target!(|data: &[u8]| {
    let mut choices = Choices::new(data);
    let damages = choices.below(4);
    // The script has bytes of its own, so that it does not depend on how long the tables are.
    let (script, data) = choices.split(SCRIPT_BYTES);
    let (mut asked, mut choices) = (Choices::new(script), Choices::new(data));
    let mut tables = Tables::new(&mut choices);
    (0..damages).for_each(|_| tables.damage(&mut choices));
    let is_sound = tables.is_sound();
    let verified = match Verified::new(tables) {
        Ok(verified) => verified,
        Err(flaw) => {
            assert!(!is_sound, "sound tables are refused: {flaw}");
            return;
        }
    };

    run(&verified, &mut asked);
});
