//! Met: what the faults that are set do to the calls of this process.
//!
//! [`Faults::before`] is asked at each call and says what to do instead; it waits here itself when the call is to hang or to be slow,
//! and dies here when the process is to die. With no fault set it costs an atomic load, when this process serves the control
//! socket, or else one look at the file's version. What struck is counted before the answer leaves: see [`strikes`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Duration;

use cryptoki_sys::*;

use crate::calls::Call;
use crate::faults::armed::{Armed, Verdict};
use crate::faults::line::parse;
use crate::faults::strikes::{self, Tally};
use crate::faults::{Spoil, View, What, control, record};
use crate::store::Stamp;

/// How often a call that hangs looks whether it still has to.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The faults as this process sees them.
#[derive(Debug)]
pub(crate) struct Faults {
    folder: Option<PathBuf>,
    /// Changes come through our socket, so the file need not be watched.
    serving: AtomicBool,
    /// There is nothing to do at a call.
    quiet: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    version: Option<Stamp>,
    armed: Vec<Armed>,
    sessions: BTreeMap<CK_SESSION_HANDLE, CK_SLOT_ID>,
    poisoned: BTreeSet<CK_SESSION_HANDLE>,
    /// Whether the slots were last reported to have something in them.
    reported_absent: bool,
    events: VecDeque<CK_SLOT_ID>,
}

/// What to do at a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Decision {
    /// First end all sessions.
    pub(crate) end_sessions: bool,
    /// First log out everywhere.
    pub(crate) log_out: bool,
    /// How slots look to this call.
    pub(crate) view: View,
    /// Answer this instead.
    pub(crate) answer: Option<CK_RV>,
    /// Make the signature wrong; the number tells the strikes apart.
    pub(crate) spoil: Option<(Spoil, u64)>,
    /// The faults whose strike is the answer to this call.
    pub(crate) struck: Vec<u64>,
}

impl Faults {
    /// The faults of `folder`; none can be set without one.
    pub(crate) fn open(folder: Option<&Path>) -> Self {
        let faults = Self {
            folder: folder.map(Path::to_owned),
            serving: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            book: Mutex::default(),
        };
        faults.reload();
        faults
    }

    /// Decides on `call`, after it has waited as long as it has to.
    pub(crate) fn before(&self, call: Call, session: Option<CK_SESSION_HANDLE>) -> Decision {
        self.watch();
        if self.quiet.load(Ordering::Acquire) {
            return Decision::default();
        }
        let Some(folder) = &self.folder else { return Decision::default() };
        let verdict = self.book().decide(call, session, folder);
        self.keep(folder, &verdict);
        match verdict.crash {
            Some(What::Segfault) => die_of_segfault(),
            Some(_) => std::process::abort(),
            None => {}
        }
        sleep(verdict.delay);
        while verdict.hanging.iter().any(|&id| self.holds(id)) {
            sleep(LOOK_AGAIN);
        }
        let waited = !verdict.delay.is_zero() || !verdict.hanging.is_empty();
        if waited || verdict.changes_record() {
            self.answers_now(&verdict.decision);
        }
        verdict.decision
    }

    /// The faulty answer is about to be given: that is when its faults struck, not when they were chosen.
    pub(crate) fn answers_now(&self, decision: &Decision) {
        let Some(folder) = &self.folder else { return };
        for &id in &decision.struck {
            if let Err(error) = strikes::note(folder, id) {
                eprintln!("firmware-sim: cannot count strikes in `{}`: {error}", folder.display());
            }
        }
    }

    /// How slots look now, without counting it as a call.
    pub(crate) fn view(&self) -> View {
        self.watch();
        let mut view = View::default();
        self.book()
            .armed
            .iter()
            .filter(|armed| !armed.is_over())
            .for_each(|armed| armed.fault.what.show(&mut view));
        view
    }

    /// Whether a call that hangs has to hang on: also one that was the last to be struck.
    fn holds(&self, id: u64) -> bool {
        self.watch();
        self.book().armed.iter().any(|armed| armed.entry.id == id && !armed.entry.is_past())
    }

    /// Writes down what other processes must know: that a fault is spent, or when it will be.
    fn keep(&self, folder: &Path, verdict: &Verdict) {
        if !verdict.changes_record() {
            return;
        }
        let kept = record::edit(folder, |record| {
            for entry in &mut record.faults {
                if let Some(begun) = verdict.begun.iter().find(|begun| begun.id == entry.id) {
                    entry.until_ms = begun.until_ms;
                }
            }
            record.retire(|entry| verdict.spent.contains(&entry.id));
        });
        if let Err(error) = kept {
            eprintln!("firmware-sim: cannot write the faults in `{}`: {error}", folder.display());
        }
        self.reload();
        if !self.serving.load(Ordering::Acquire) {
            control::tell_to_reload(folder);
        }
    }

    /// Sees what others changed.
    fn watch(&self) {
        let Some(folder) = &self.folder else { return };
        if !self.serving.load(Ordering::Acquire) && record::version(folder) != self.book().version {
            self.reload();
        }
    }

    /// Reads the file again. What was already armed keeps its counts; what cannot be read is no fault, and is said.
    pub(crate) fn reload(&self) {
        let Some(folder) = &self.folder else { return self.quiet.store(true, Ordering::Release) };
        let mut book = self.book();
        book.version = record::version(folder);
        let tallies = strikes::read(folder);
        match record::read(folder).and_then(|record| Ok((record, tallies?))) {
            Ok((record, tallies)) => book.arm(record, &tallies),
            Err(error) => {
                eprintln!("firmware-sim: cannot read the faults in `{}`: {error}", folder.display())
            }
        }
        let quiet = book.armed.is_empty() && book.poisoned.is_empty();
        self.quiet.store(quiet, Ordering::Release);
    }

    /// From now on changes come through our socket, or no longer.
    pub(crate) fn serve(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
        self.reload();
    }

    /// How many calls each fault met in this process, for `status`.
    pub(crate) fn met(&self) -> BTreeMap<u64, u64> {
        self.book().armed.iter().map(|armed| (armed.entry.id, armed.met)).collect()
    }

    /// A session was opened.
    pub(crate) fn opened(&self, session: CK_SESSION_HANDLE, slot: CK_SLOT_ID) {
        self.book().sessions.insert(session, slot);
    }

    /// A session was closed.
    pub(crate) fn closed(&self, session: CK_SESSION_HANDLE) {
        let mut book = self.book();
        book.sessions.remove(&session);
        book.poisoned.remove(&session);
    }

    /// All sessions of a slot were closed.
    pub(crate) fn closed_all(&self, slot: CK_SLOT_ID) {
        let mut book = self.book();
        book.sessions.retain(|_, of| *of != slot);
        let Book { sessions, poisoned, .. } = &mut *book;
        poisoned.retain(|session| sessions.contains_key(session));
    }

    /// A session of each slot that has one.
    pub(crate) fn sessions(&self) -> BTreeMap<CK_SLOT_ID, CK_SESSION_HANDLE> {
        self.book().sessions.iter().map(|(&session, &slot)| (slot, session)).collect()
    }

    /// The next slot in which something came or went since the last report, of the slots that `list` names.
    pub(crate) fn event(&self, list: impl FnOnce() -> Vec<CK_SLOT_ID>) -> Option<CK_SLOT_ID> {
        let absent = !self.view().present();
        let mut book = self.book();
        if absent != book.reported_absent {
            book.reported_absent = absent;
            book.events = list().into();
        }
        book.events.pop_front()
    }

    /// The book. A call that panicked over it left numbers behind that are still good to fail by.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn arm(&mut self, record: record::Record, tallies: &BTreeMap<u64, Tally>) {
        let mut known = std::mem::take(&mut self.armed);
        for entry in record.faults {
            match known.iter().position(|armed| armed.entry.id == entry.id) {
                Some(at) => {
                    let armed = known.swap_remove(at);
                    self.armed.push(Armed { entry, ..armed });
                }
                None => match parse(&entry.fault) {
                    Ok(fault) => self.armed.push(Armed::new(entry, fault)),
                    Err(error) => eprintln!("firmware-sim: fault {} is ignored: {error}", entry.id),
                },
            }
        }
        for armed in &mut self.armed {
            armed.struck = tallies.get(&armed.entry.id).map_or(armed.struck, |tally| tally.struck);
        }
    }

    fn decide(&mut self, call: Call, session: Option<CK_SESSION_HANDLE>, folder: &Path) -> Verdict {
        let mut verdict = Verdict::default();
        if call == Call::C_SignInit && session.is_some_and(|session| self.poisoned.contains(&session)) {
            verdict.decision.answer = Some(CKR_OPERATION_ACTIVE);
        }
        for armed in &mut self.armed {
            if !armed.is_over() && armed.fault.meets(call) && armed.strikes(folder, &mut verdict) {
                armed.strike(call, &mut verdict);
                if armed.fault.what == What::Poison {
                    self.poisoned.extend(session);
                }
            }
            if armed.is_spent() {
                verdict.spent.push(armed.entry.id);
            }
        }
        verdict
    }
}

/// The host may have a handler that returns, as Rust's own does at first: then once more.
fn die_of_segfault() -> ! {
    loop {
        let sent = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::SEGV);
        if sent.is_err() {
            std::process::abort();
        }
        sleep(LOOK_AGAIN);
    }
}
