//! The loader: an image and a snapshot out of bytes. What it takes has no other encoding, and what then verifies must run.
//!
//! The first byte tells whether the rest is an image, is a snapshot, or decides tables whose bytes are then changed in a
//! few places: so that what is read is nearly what a compiler wrote.
#![no_main]

use assent_evaluator::{Storage, Verified};
use assent_image::{OwnedImage, OwnedSnapshot, Stored, image_bytes, snapshot_bytes};
use fuzz::choices::Choices;
use fuzz::deciding::run;
use fuzz::tables::Tables;
use libfuzzer_sys::fuzz_target;

/// Bytes that decide the intent and the changes.
const SCRIPT_BYTES: usize = 96;

fuzz_target!(|data: &[u8]| {
    let Some((way, rest)) = data.split_first() else { return };
    match way % 4 {
        0 => {
            if let Ok(image) = OwnedImage::from_bytes(rest) {
                assert_eq!(image_bytes(&image.image()), rest, "an image has another encoding");
            }
        }
        1 => {
            if let Ok(snapshot) = OwnedSnapshot::from_bytes(rest) {
                assert_eq!(snapshot_bytes(&snapshot.snapshot()), rest, "a snapshot has another encoding");
            }
        }
        _ => changed(rest),
    }
});

/// Tables are written, changed and read.
fn changed(data: &[u8]) {
    let (script, data) = Choices::new(data).split(SCRIPT_BYTES);
    let mut asked = Choices::new(script);
    let tables = Tables::new(&mut Choices::new(data));
    let (mut image, mut snapshot) = (image_bytes(&tables.image()), snapshot_bytes(&tables.snapshot()));
    let changes = asked.below(4);
    for _ in 0..changes {
        let bytes = if asked.below(3) == 0 { &mut snapshot } else { &mut image };
        change(bytes, &mut asked);
    }
    let stored = match Stored::from_bytes(&image, &snapshot) {
        Ok(stored) => stored,
        Err(error) => {
            assert!(changes > 0, "what was written is not read: {error}");
            return;
        }
    };
    assert_eq!(image_bytes(&stored.image()), image, "an image has another encoding");
    assert_eq!(snapshot_bytes(&stored.snapshot()), snapshot, "a snapshot has another encoding");
    if let Ok(verified) = Verified::new(stored) {
        run(&verified, &mut asked);
    }
}

/// Changes a byte, takes the end away, or adds one.
fn change(bytes: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let place = u16::from_le_bytes([choices.byte(), choices.byte()]);
    let length = bytes.len().max(1);
    match choices.below(8) {
        0 => bytes.truncate(usize::from(place) % length),
        1 => bytes.push(choices.byte()),
        2 => {
            if let Some(byte) = bytes.get_mut(usize::from(place) % length) {
                *byte = choices.byte();
            }
        }
        _ => {
            if let Some(byte) = bytes.get_mut(usize::from(place) % length) {
                *byte ^= 1 << choices.below(8);
            }
        }
    }
}
