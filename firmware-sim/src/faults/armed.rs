//! Armed: one fault in one process, and what its strikes do to a call.
//!
//! How often it struck is counted for all processes together, in [`strikes`]; how many calls it met, for each process alone. When
//! the count cannot be kept on disk the process goes on counting for itself, and says so.

use std::path::Path;
use std::time::Duration;

use crate::calls::Call;
use crate::clock::now_ms;
use crate::faults::line::Fault;
use crate::faults::met::Decision;
use crate::faults::{What, record, strikes};

/// A fault in this process.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) entry: record::Entry,
    pub(super) fault: Fault,
    /// Calls that it met here.
    pub(super) met: u64,
    /// Strikes here.
    pub(super) here: u64,
    /// Strikes in all processes, as far as this one knows.
    pub(super) struck: u64,
}

/// What a call still has to do once the book is closed.
#[derive(Default)]
pub(super) struct Verdict {
    pub(super) decision: Decision,
    pub(super) delay: Duration,
    pub(super) hanging: Vec<u64>,
    pub(super) spent: Vec<u64>,
    pub(super) begun: Vec<record::Entry>,
    pub(super) crash: Option<What>,
}

impl Verdict {
    /// Whether others must be told.
    pub(super) fn changes_record(&self) -> bool {
        !self.spent.is_empty() || !self.begun.is_empty()
    }
}

impl Armed {
    pub(super) fn new(entry: record::Entry, fault: Fault) -> Self {
        Self { entry, fault, met: 0, here: 0, struck: 0 }
    }

    /// Strikes no more calls.
    pub(super) fn is_over(&self) -> bool {
        self.entry.is_past() || self.fault.times.is_some_and(|times| self.struck >= times)
    }

    /// Nothing more comes of it. A call may still hang in it when it strikes no more.
    pub(super) fn is_spent(&self) -> bool {
        self.entry.is_past() || (self.is_over() && self.fault.what != What::Hang)
    }

    /// Counts a call that it meets, and says whether it strikes.
    pub(super) fn strikes(&mut self, folder: &Path, verdict: &mut Verdict) -> bool {
        self.met = self.met.saturating_add(1);
        if let (Some(lasts), None) = (self.fault.lasts, self.entry.until_ms) {
            let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
            self.entry.until_ms = Some(now_ms().saturating_add(lasts));
            verdict.begun.push(self.entry.clone());
        }
        let chosen =
            self.met > self.fault.after && self.fault.chance.is_none_or(|chance| chance.strikes(self.met));
        chosen && self.claim(folder)
    }

    /// Takes one of the strikes that are left.
    fn claim(&mut self, folder: &Path) -> bool {
        match strikes::claim(folder, self.entry.id, self.fault.times) {
            Ok(Some(nth)) => self.struck = nth,
            Ok(None) => {
                // Another process had the last one.
                self.struck = self.fault.times.unwrap_or(self.struck);
                return false;
            }
            Err(error) => {
                eprintln!("firmware-sim: cannot count strikes in `{}`: {error}", folder.display());
                self.struck = self.struck.saturating_add(1);
            }
        }
        self.here = self.here.saturating_add(1);
        true
    }

    pub(super) fn strike(&self, call: Call, verdict: &mut Verdict) {
        let what = self.fault.what;
        let decision = &mut verdict.decision;
        match what {
            What::Reboot => decision.end_sessions = true,
            // Later there are none of this process: none can be opened.
            What::Remove | What::Absent => decision.end_sessions |= self.here == 1,
            What::Logout => decision.log_out = true,
            What::Slow(delay) => verdict.delay = verdict.delay.saturating_add(delay),
            What::Hang => verdict.hanging.push(self.entry.id),
            What::Segfault | What::Abort => verdict.crash = Some(what),
            What::Busy | What::Corrupt | What::Zero | What::WrongKey | What::WrongMessage => {}
            What::Wipe | What::PinLocked | What::Poison | What::SelfTest | What::Answer(_) => {}
        }
        what.show(&mut decision.view);
        decision.answer = decision.answer.or_else(|| what.answer(call, self.struck));
        decision.spoil = decision.spoil.or_else(|| what.spoil().map(|spoil| (spoil, self.struck)));
        // A call that waits was struck when it began to.
        if !matches!(what, What::Hang | What::Slow(_)) {
            decision.struck.push(self.entry.id);
        }
    }
}
