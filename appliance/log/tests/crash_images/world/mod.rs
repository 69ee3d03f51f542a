//! A log in use: rounds, outages, answers, the fence, the latch, keys, volumes, erasure, and the next start, as dice fall.
//!
//! It does to the log what the appliance does, in the same order, and tells the model what began where and what was
//! acknowledged. When an error is fatal the process is dead, and what it did last stays open.

mod rounds;

use std::path::PathBuf;
use std::sync::Arc;

use assent_log::binding::Binding;
use assent_log::keyring::Keyring;
use assent_log::limits::STORED_PIECE_BYTES;
use assent_log::reader::Reader;
use assent_log::store::{Identity, Store, StoreError};
use assent_log::{Latched, Log, OpenError, Place};
use assent_proto::number::{Epoch, Timestamp};

use crate::dice::Dice;
use crate::disk::{FakeDisk, Fault, Image, Outcome};
use crate::judge::hold;
use crate::keys::{Key, ORIGIN, PRINCIPALS};
use crate::model::{Erasing, Model, Ring, Span};
use rounds::Kind;

/// Eight leaves a volume, so that there are many.
const HEIGHT: u8 = 3;
/// To what a process cuts its rounds: as the appliance does, and so that each is several pieces, with its requests.
const PIECE_BYTES: [usize; 2] = [STORED_PIECE_BYTES, 200];
/// EIO and ENOSPC.
const ERRORS: [i32; 2] = [5, 28];
/// More than the day and the skew after which a key's last token is over.
const LONG_MS: u64 = 2 * 24 * 60 * 60 * 1000;

pub(crate) fn log_path() -> PathBuf {
    PathBuf::from("/data/log-1.redb")
}

pub(crate) fn ring_path() -> PathBuf {
    PathBuf::from("/data/log-1.keys.toml")
}

fn fence_path() -> PathBuf {
    PathBuf::from("/fence/checkpoint")
}

/// Opens the log that lies on this disk, as the appliance would; none where nothing was founded.
pub(crate) fn open(disk: &FakeDisk) -> Result<Option<Log>, OpenError> {
    open_cutting_to(STORED_PIECE_BYTES, disk)
}

/// The same, whose rounds are cut to pieces of so many bytes.
fn open_cutting_to(piece_bytes: usize, disk: &FakeDisk) -> Result<Option<Log>, OpenError> {
    let Some(ring) = Keyring::load_on(disk, &ring_path())? else { return Ok(None) };
    let (log, fence, disk) = (log_path(), fence_path(), Arc::new(disk.clone()));
    match Log::open_at(Place { disk, log, fence, piece_bytes, binding: Binding::Inline }, ring, |_| ()) {
        Err(OpenError::Store(StoreError::Missing(_))) => Ok(None),
        opened => opened.map(Some),
    }
}

pub(crate) struct World {
    pub(crate) disk: FakeDisk,
    pub(crate) model: Model,
    log: Option<Log>,
    piece_bytes: usize,
    dice: Dice,
    now: Timestamp,
    /// Whether operations of the disk fail now and then.
    faulty: bool,
    /// Whether the fence follows: nothing is signed before.
    fenced: bool,
}

impl World {
    pub(crate) fn new(image: &Arc<Image>, model: Model, dice: Dice, faulty: bool) -> Self {
        let now = model.rounds.last().map_or(Timestamp(1_700_000_000_000), |round| round.time);
        let disk = FakeDisk::of(image);
        Self { disk, model, log: None, piece_bytes: STORED_PIECE_BYTES, dice, now, faulty, fenced: false }
    }

    /// Lives for so many steps; where an error is fatal another process may start on what it left, or nobody does.
    pub(crate) fn live(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.faulty && self.dice.chance(1, 6) {
                let outcome = [Outcome::NotDone, Outcome::Done, Outcome::Half][self.dice.below(3)];
                let after = self.dice.below(40);
                let error = ERRORS[self.dice.below(2)];
                self.disk.fail(Some(Fault { after, error, outcome }));
            }
            if !self.step() {
                self.log = None;
                if self.dice.chance(1, 2) {
                    break;
                }
            }
        }
        self.disk.fail(None);
    }

    /// Lives for so many steps; where an error is fatal another process starts on what it left.
    pub(crate) fn live_on(&mut self, steps: usize) {
        for _ in 0..steps {
            if !self.step() {
                self.log = None;
            }
        }
        self.disk.fail(None);
    }

    /// Starts where nobody has it open.
    pub(crate) fn until_open(&mut self) {
        while self.log.is_none() {
            self.start();
        }
    }

    /// Reads the log beside it.
    pub(crate) fn reader(&self) -> Reader {
        self.log.as_ref().expect("a log").reader()
    }

    /// One signed round; false where the error was fatal.
    pub(crate) fn seal(&mut self) -> bool {
        self.round(Kind::Sealed)
    }

    /// Ends the process, in order or not, with the fence at the end of the log as a stop in order leaves it.
    pub(crate) fn end(&mut self, in_order: bool) {
        let Some(mut log) = self.log.take() else { return };
        if in_order {
            log.advance_fence().expect("the fence follows");
            log.close().expect("it closes");
        }
    }

    /// Does one thing; false where the process is dead.
    pub(crate) fn step(&mut self) -> bool {
        self.now = Timestamp(self.now.0 + 1 + self.dice.roll() % 500);
        let Some(log) = &self.log else { return self.start() };
        let is_told = log.told_epoch() == log.epoch();
        let (is_open, may_sign) = (log.unsigned().since.is_none(), log.signed().is_none() || self.fenced);
        match self.dice.below(24) {
            _ if !is_told => self.round(Kind::Tripped("told_late")),
            0 | 1 => self.advance_fence(),
            2 => self.end_and_start(false),
            3 => self.end_and_start(true),
            4 => self.erase(),
            5 if is_open => self.announce(),
            6 if is_open => self.retire(),
            7 | 8 if is_open => self.hand_over(),
            9 | 10 if is_open => self.trip(),
            11..=14 if !is_open => self.round(Kind::Denied),
            _ if !may_sign => self.advance_fence(),
            _ if is_open => self.round(Kind::Sealed),
            _ => self.rearm(),
        }
    }

    fn begin(&self) -> usize {
        self.disk.at()
    }

    fn span(&self, begun: usize, is_acknowledged: bool) -> Span {
        Span { begun, acknowledged: is_acknowledged.then(|| self.disk.at()), gone: None }
    }

    /// Opens what is there, or founds it.
    pub(crate) fn start(&mut self) -> bool {
        self.fenced = false;
        self.piece_bytes = PIECE_BYTES[self.dice.below(PIECE_BYTES.len())];
        let opened = open_cutting_to(self.piece_bytes, &self.disk);
        match opened {
            Ok(Some(log)) => {
                // What a start shows is acted upon, so it must stay.
                let at = self.disk.at();
                let shown = hold(&log, &self.model, at).unwrap_or_else(|broken| {
                    panic!("started again on the same disk: {broken}\n{}", self.model.told())
                });
                self.model.resolve(&shown, at);
                self.log = Some(log);
                true
            }
            Ok(None) => self.found(),
            // Refused, for the disk gave an error; the next attempt is another process.
            Err(error) => {
                assert!(self.disk.met(), "refused without an error of the disk: {error:?}");
                true
            }
        }
    }

    fn found(&mut self) -> bool {
        let begun = self.begin();
        let founded = Keyring::found_on(&self.disk, &ring_path(), &Key(0).verifier(), &[1], self.now).is_ok();
        if !self.model.ring_founded.is_certain(begun) {
            self.model.ring_founded = self.span(begun, founded);
        }
        if founded {
            let begun = self.begin();
            let vkey = Key(0).verifier().to_string();
            let identity = Identity { volume_height: HEIGHT, ..Identity::new(ORIGIN, &vkey) };
            let made = Store::create_on(Arc::new(self.disk.clone()), &log_path(), &identity).is_ok();
            self.model.log_founded = self.span(begun, made);
        }
        true
    }

    fn advance_fence(&mut self) -> bool {
        let log = self.log.as_mut().expect("a log");
        self.fenced |= log.advance_fence().is_ok() && log.signed().is_some();
        true
    }

    fn end_and_start(&mut self, in_order: bool) -> bool {
        let log = self.log.take().expect("a log");
        if !in_order {
            drop(log);
        } else if log.close().is_err() {
            return false;
        }
        self.start()
    }

    fn erase(&mut self) -> bool {
        let principal = self.dice.below(PRINCIPALS.len());
        let log = self.log.as_mut().expect("a log");
        let Ok(erasure) = log.reader().prepare_erasure(PRINCIPALS[principal], |_| true) else { return true };
        let begun = self.disk.at();
        let erased = log.erase(erasure).is_ok();
        let rounds = self.model.live(usize::MAX).len();
        let span = self.span(begun, erased);
        self.model.erasures.push(Erasing { span, principal, rounds });
        erased
    }

    /// Erases what two principals asked, both prepared of the same log.
    pub(crate) fn erase_together(&mut self, principals: [usize; 2]) {
        let log = self.log.as_mut().expect("a log");
        let reader = log.reader();
        let prepared = principals.map(|principal| {
            (principal, reader.prepare_erasure(PRINCIPALS[principal], |_| true).expect("it is prepared"))
        });
        for (principal, erasure) in prepared {
            let begun = self.disk.at();
            let log = self.log.as_mut().expect("a log");
            log.erase(erasure).expect("it is put in force");
            let rounds = self.model.live(usize::MAX).len();
            let span = self.span(begun, true);
            self.model.erasures.push(Erasing { span, principal, rounds });
        }
    }

    /// Holds the log that is open to the model.
    pub(crate) fn check(&self) -> Result<(), String> {
        let log = self.log.as_ref().expect("a log");
        log.reader().check_volumes(|_| ()).map_err(|error| error.to_string())?;
        hold(log, &self.model, self.disk.at()).map(drop)
    }

    fn ring(&self) -> Ring {
        let keys = self.log.as_ref().expect("a log").keys();
        ring_of(keys)
    }

    fn announce(&mut self) -> bool {
        let ring = self.ring();
        let next = Key(ring.announced.unwrap_or(ring.signing).0 + 1);
        let (begun, now) = (self.begin(), self.now);
        let log = self.log.as_mut().expect("a log");
        let announced = log.announce(&next.cka_id(), &next.public(), now).is_ok();
        let span = self.span(begun, announced);
        self.model.ring.push((span, Ring { announced: Some(next), ..ring }));
        true
    }

    fn hand_over(&mut self) -> bool {
        let announced = self.ring().announced;
        match announced {
            Some(key) if self.fenced => self.round(Kind::HandOver(key)),
            Some(_) | None => true,
        }
    }

    /// Time passes until the tokens of a key that signed are over, and it is retired.
    fn retire(&mut self) -> bool {
        let ring = self.ring();
        let before = (0..ring.signing.0).map(Key).find(|key| !ring.retired.contains(key));
        let Some(key) = before.filter(|_| self.dice.chance(1, 2)) else { return true };
        self.now = Timestamp(self.now.0 + LONG_MS);
        let (begun, now) = (self.begin(), self.now);
        let retired = match self.log.as_mut().expect("a log").retire(&key.cka_id(), now) {
            Ok(()) => true,
            Err(assent_log::keyring::KeyRefusal::Ring(_)) => false,
            // Never a signer in this log: announced, and then another was.
            Err(_) => return true,
        };
        let span = self.span(begun, retired);
        let mut after = ring.clone();
        after.retired.insert(key);
        self.model.ring.push((span, after));
        true
    }

    /// The boundary closes; for an integrity fault it is held first.
    fn trip(&mut self) -> bool {
        let grave = self.dice.chance(1, 3);
        let cause = if grave { "bad_signature" } else { "device_removed" };
        if grave {
            let begun = self.begin();
            let log = self.log.as_mut().expect("a log");
            let epoch = Epoch(log.epoch().0 + 1);
            let held = log.latch(epoch, cause).is_ok();
            let span = self.span(begun, held);
            self.model.latch.push((span, Some(Latched { epoch, cause: cause.to_owned() })));
        }
        self.round(Kind::Tripped(cause))
    }

    /// One round over the gap, the fence, and what was held is let go.
    fn rearm(&mut self) -> bool {
        if !self.round(Kind::Sealed) {
            return false;
        }
        self.advance_fence();
        let begun = self.begin();
        let log = self.log.as_mut().expect("a log");
        if log.latched().is_some() {
            let released = log.unlatch().is_ok();
            let span = self.span(begun, released);
            self.model.latch.push((span, None));
        }
        true
    }
}

/// What a ring says, as far as the model asks.
pub(crate) fn ring_of(keys: &Keyring) -> Ring {
    let number = |cka_id: &str| Key(u8::from_str_radix(cka_id, 16).expect("an id of ours") - 1);
    Ring {
        signing: number(&keys.signing().cka_id),
        announced: keys.next().map(|next| number(&next.cka_id)),
        retired: keys.keys().filter(|key| key.retired.is_some()).map(|key| number(&key.cka_id)).collect(),
    }
}
