//! Checkpoints that others kept: an older log that was put back, and a fork, are found by them and by nothing else.

use assent_log::fence::signed_note;
use assent_log::reader::Reader;
use assent_log::verification::{Report, Verification};
use assent_proto::number::LeafIndex;

use crate::synthetic::{ORIGIN, Synthetic};
use crate::verdict::found;

fn against(log: &mut Synthetic, note: &str) -> Result<Report, String> {
    log.close();
    let (store, trusted) = (Reader::open(&log.path()).expect("the store opens"), [log.trusted()]);
    let verification =
        Verification::new(ORIGIN, &trusted).against("the fence".to_owned(), note.to_owned())?;
    Ok(verification.run(store.rounds(LeafIndex(0)).expect("rounds"), |_| ()).expect("it can be read"))
}

/// A log with so many rounds of work, each of so many intents; and its checkpoint after each.
fn work(rounds: usize, intents: usize) -> (Synthetic, Vec<String>) {
    let (mut log, mut notes) = (Synthetic::started(), Vec::new());
    for _ in 0..rounds {
        let batch = log.decide(intents, 0);
        log.seal(&[batch], true);
        notes.push(signed_note(ORIGIN, log.log().signed().expect("signed")));
    }
    (log, notes)
}

#[test]
fn a_log_leads_to_every_checkpoint_that_it_signed() {
    let (mut log, notes) = work(3, 5);
    for note in notes {
        let report = against(&mut log, &note).unwrap();
        assert!(report.verified() && report.agreed == ["the fence"], "{}", found(&report));
    }
}

#[test]
fn an_older_log_and_a_forked_one_do_not_lead_there() {
    let (_, notes) = work(3, 5);
    let told = |mut log: Synthetic, note: &str| found(&against(&mut log, note).unwrap());
    let older = told(work(2, 5).0, &notes[2]);
    assert!(older.contains("has seen 18 leaves: an older log was put back"), "{older}");
    let mut forked = work(1, 5).0;
    let batch = forked.decide(5, 1);
    forked.seal(&[batch], true);
    let forked = told(forked, &notes[1]);
    assert!(forked.contains("have different roots at 13 leaves: a fork"), "{forked}");
    let between = told(work(5, 4).0, &notes[1]);
    assert!(between.contains("covers 13 leaves, where the log has no checkpoint"), "{between}");
}

#[test]
fn a_note_that_is_not_signed_by_a_key_of_the_log_or_is_none_is_told() {
    let (mut log, notes) = work(1, 5);
    let forged = Synthetic::of(ed25519_dalek::SigningKey::from_bytes(&[2; 32])).sign(log.log().frontier());
    let told = found(&against(&mut log, &signed_note(ORIGIN, &forged)).unwrap());
    assert!(told.contains("the fence is not signed by a key of this log"), "{told}");
    assert!(against(&mut log, "no note").unwrap_err().contains("is no signed note"));
    let other = notes[0].replace(ORIGIN, "localhost/test/log/2");
    assert!(against(&mut log, &other).unwrap_err().contains("is of the log `localhost/test/log/2`"));
}
