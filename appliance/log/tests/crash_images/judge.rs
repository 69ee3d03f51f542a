//! The judge: opens what a crash left, and holds it to the model.
//!
//! It must open; every acknowledged round is there byte for byte, and of the one that was under way all or nothing; answers are
//! there where their round is; latch, ring and requests are as they were acknowledged. What is opened is the state from then on:
//! another crash while it was being opened must show the same again.

use std::sync::Arc;

use assent_log::Log;
use assent_log::reader::Reader;
use assent_log::verification::Verification;
use assent_proto::number::{LeafIndex, Timestamp, TreeSize};
use assent_proto::verify::TrustedKey;

use crate::crash::{Follower, Mode};
use crate::dice::Dice;
use crate::disk::{FakeDisk, Image};
use crate::keys::{Key, ORIGIN};
use crate::model::{Model, Ring, Round, Shown};
use crate::world::{open, ring_of};

/// How old an answer may be and must still be there.
const ANSWERED_FOR_MS: u64 = 15 * 60 * 1000;
/// One of so many images is verified whole, as `assent log verify` does.
const VERIFIED_ONE_OF: usize = 24;
/// One of so many crashes again while it is opened.
const CRASHED_AGAIN_ONE_OF: usize = 10;

/// How an image of a crash behind so many operations comes out; none where nothing was founded yet, and need not be.
///
/// # Errors
/// What was broken, and how.
pub(crate) fn judge(
    image: &Arc<Image>,
    model: &Model,
    crash: usize,
    dice: &mut Dice,
) -> Result<Option<Shown>, String> {
    let disk = FakeDisk::of(image);
    let Some(log) = open(&disk).map_err(|error| format!("refused: {error}: {error:?}"))? else {
        return if model.log_founded.is_certain(crash) {
            Err("the log is gone".to_owned())
        } else {
            Ok(None)
        };
    };
    let shown = hold(&log, model, crash)?;
    if dice.chance(1, VERIFIED_ONE_OF) {
        verify(&log.reader())?;
    }
    let journal = disk.kill();
    drop(log);
    if dice.chance(1, CRASHED_AGAIN_ONE_OF) {
        let mut follower = Follower::new(&journal);
        let place = dice.below(journal.ops.len() + 1);
        follower.go_to(place);
        let mode = follower.choose(dice);
        let again = Arc::new(follower.image(mode, dice));
        crashed_again(&again, &model.begun_from(&shown, crash), &shown, (place, mode))?;
    }
    Ok(Some(shown))
}

fn crashed_again(image: &Arc<Image>, model: &Model, shown: &Shown, at: (usize, Mode)) -> Result<(), String> {
    let told = |what: String| format!("crashed again while it was opened, {at:?}: {what}");
    let disk = FakeDisk::of(image);
    let log = open(&disk).map_err(|error| told(format!("refused: {error}: {error:?}")))?;
    let log = log.ok_or_else(|| told("the log is gone".to_owned()))?;
    let again = hold(&log, model, 0).map_err(told)?;
    let _ = disk.kill();
    let same = (again.rounds, &again.held, &again.ring) == (shown.rounds, &shown.held, &shown.ring);
    if same { Ok(()) } else { Err(told(format!("{again:?} is not {shown:?}"))) }
}

fn expect(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// Holds an opened log to the model.
///
/// # Errors
/// What was broken, and how.
pub(crate) fn hold(log: &Log, model: &Model, crash: usize) -> Result<Shown, String> {
    let size = log.frontier().size().0;
    let (certain, may_be) = model.rounds_at(crash);
    let live = model.live(crash);
    let end = |rounds: usize| rounds.checked_sub(1).map_or(0, |last| live[last].frontier.size().0);
    let rounds = (certain..=may_be).find(|rounds| end(*rounds) == size).ok_or_else(|| {
        format!("{size} leaves, not {} of {certain} rounds, or {} of {may_be}", end(certain), end(may_be))
    })?;
    let reader = log.reader();
    hold_rounds(log, &reader, &live[..rounds])?;
    hold_answers(log, model, crash, rounds)?;
    let erasures = hold_requests(&reader, model, crash, rounds)?;
    if !log.checked() {
        // After a stop in order nobody has looked at the volumes yet.
        reader.check_volumes(|_| ()).map_err(|error| format!("volumes: {error}: {error:?}"))?;
    }
    let ring = hold_ring(log, model, crash, rounds)?;
    let held = log.latched().cloned();
    let states = Model::states_at(&model.latch, crash);
    let is_known = states.contains(&held);
    // What a power cut left of a latch that was being written holds, too.
    let is_half = held.is_some() && states.len() > 1;
    expect(is_known || is_half, || format!("held for {held:?}, not one of {states:?}"))?;
    let told = rounds.checked_sub(1).map_or_else(Default::default, |last| live[last].epoch);
    let epoch = held.as_ref().map_or(told, |held| held.epoch.max(told));
    expect((log.epoch(), log.told_epoch()) == (epoch, told), || {
        format!("epoch {} told {}, not {epoch} and {told}", log.epoch(), log.told_epoch())
    })?;
    Ok(Shown { rounds, held, ring, erasures })
}

fn hold_rounds(log: &Log, reader: &Reader, rounds: &[&Round]) -> Result<(), String> {
    if let Some(last) = rounds.last() {
        expect(log.frontier() == &last.frontier, || "another tree".to_owned())?;
        expect(log.signed() == last.signed.as_ref(), || "another checkpoint".to_owned())?;
        expect(log.unsigned() == last.unsigned, || format!("another gap: {:?}", log.unsigned()))?;
    }
    let mut found = reader.rounds(LeafIndex(0)).map_err(|error| error.to_string())?;
    for (number, round) in rounds.iter().enumerate() {
        let told = |what: &str| format!("round {number} at {}: {what}", round.first);
        let stored =
            found.next().ok_or_else(|| told("missing"))?.map_err(|error| told(&error.to_string()))?;
        expect(stored.first.0 == round.first, || told("another first leaf"))?;
        let same = stored.leaves.iter().eq(round.leaves.iter().map(Vec::as_slice));
        expect(same, || told("other leaves"))?;
        expect(stored.checkpoint == round.checkpoint, || told("another checkpoint"))?;
    }
    expect(found.next().is_none(), || "a round that nobody made".to_owned())
}

/// Answers stand where their rounds do, and nowhere else.
fn hold_answers(log: &Log, model: &Model, crash: usize, rounds: usize) -> Result<(), String> {
    let live = model.live(crash);
    let now = rounds.checked_sub(1).map_or(Timestamp(0), |last| live[last].time);
    let gone = model.rounds.iter().filter(|round| !round.span.is_live(crash));
    let others = gone.map(|round| (usize::MAX, round));
    let answers = log.answers().map_err(|error| error.to_string())?;
    for (number, round) in others.chain(live.iter().copied().enumerate().rev()) {
        if number < rounds && round.time.0 + ANSWERED_FOR_MS < now.0 {
            break;
        }
        for answered in &round.answers {
            let found = answers.get(&answered.key).map_err(|error| error.to_string())?;
            let same = found.as_ref().is_some_and(|found| {
                (found.request, found.allows) == (answered.request, answered.allows)
                    && found.reply == answered.reply
            });
            let right = if number < rounds { same } else { found.is_none() };
            expect(right, || format!("the answer of round {number} of {rounds}: {found:?}"))?;
        }
    }
    Ok(())
}

/// Gives how many erasures are in force.
fn hold_requests(reader: &Reader, model: &Model, crash: usize, rounds: usize) -> Result<usize, String> {
    let found: Result<Vec<_>, _> = reader.requests(LeafIndex(0)).and_then(Iterator::collect);
    let found = found.map_err(|error| format!("requests: {error}: {error:?}"))?;
    let certain = model.erased_at(crash);
    let ways = model.requests_at(crash, rounds);
    let way = ways.iter().position(|way| {
        found.iter().map(|(first, frame)| (first.0, frame.as_slice())).eq(way.iter().copied())
    });
    way.map(|way| certain + way)
        .ok_or_else(|| format!("{} requests, as in none of {} ways", found.len(), ways.len()))
}

fn hold_ring(log: &Log, model: &Model, crash: usize, rounds: usize) -> Result<Ring, String> {
    let (ring, allowed) = (ring_of(log.keys()), model.rings_at(crash, rounds));
    expect(allowed.contains(&ring), || format!("{ring:?} is not one of {allowed:?}"))?;
    Ok(ring)
}

fn verify(reader: &Reader) -> Result<(), String> {
    let trusted = |key: Key| TrustedKey {
        key: key.verifier(),
        not_before: Timestamp(0),
        not_after: Timestamp(u64::MAX),
    };
    let trusted: Vec<_> = Key::all().map(trusted).collect();
    let rounds = reader.rounds(LeafIndex(0)).map_err(|error| error.to_string())?;
    let report =
        Verification::new(ORIGIN, &trusted).run(rounds, |_| ()).map_err(|error| error.to_string())?;
    let size = reader.size().map_err(|error| error.to_string())?;
    // Before the first checkpoint nothing vouches for a log, which an auditor is told.
    let unsigned = "nothing in this log is under a signature: anybody could have written it";
    let is_young = report.checkpoints == 0 && report.findings.iter().all(|finding| finding.what == unsigned);
    expect((report.verified() || is_young) && TreeSize(report.entries) == size, || {
        format!("findings: {:?}", report.findings)
    })
}
