//! The catalogue: what is rehearsed, and what must come of it. One row of the fault table a drill, three loads each.

/// How the HSM is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// By this fault of firmware-sim, until it is cleared.
    Simulated(&'static str),
    /// By this fault of firmware-sim, which is there before the appliance starts.
    AtStart(&'static str),
    /// By kill -9 of the signer while this fault of firmware-sim waits for the next one. It meets what an arming signer alone calls: the
    /// signer that still serves when it is set would else take it.
    WhileArming(&'static str),
    /// By this fault of firmware-sim; the appliance is then killed, and started again.
    BeforeRestart(&'static str),
    /// By kill -9 of the signer.
    Kill,
    /// By SIGSTOP of the signer.
    Stop,
    /// By moving the HSM's own folder away, and back.
    MoveTokens,
    /// By this fault of firmware-sim, set and cleared again and again.
    Flap(&'static str),
}

/// What the boundary must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// It stays open.
    NeverClosed,
    /// It closes, and opens again without hands.
    ByItself,
    /// It closes, and opens again when operators have signed.
    ByOperators,
}

/// What goes on while it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// Nothing, until the boundary has closed.
    Idle,
    /// One agent with one intent in flight.
    Lone,
    /// Several agents with batches in flight.
    Loaded,
}

impl Load {
    pub(super) const ALL: [Self; 3] = [Self::Idle, Self::Lone, Self::Loaded];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Lone => "lone",
            Self::Loaded => "loaded",
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) fault: Fault,
    pub(super) ends: Ends,
    /// What happens, and what we hold will come of it.
    pub(super) hypothesis: &'static str,
}

const fn row(name: &'static str, fault: Fault, ends: Ends, hypothesis: &'static str) -> Row {
    Row { name, fault, ends, hypothesis }
}

use Ends::{ByItself, ByOperators, NeverClosed};
use Fault::{AtStart, BeforeRestart, Flap, Kill, MoveTokens, Simulated, Stop, WhileArming};

#[rustfmt::skip]
pub(super) const ROWS: [Row; 29] = [
    row("remove", Simulated("remove"), ByItself, "the HSM is pulled out: closed at its first answer, open again when it is back"),
    row("reboot", Simulated("reboot"), ByItself, "the HSM restarts and forgets sessions and logins"),
    row("logout", Simulated("logout"), ByItself, "the HSM forgets the login"),
    row("absent", AtStart("absent"), ByItself, "there is no slot when the appliance starts: it starts closed, and opens when there is one"),
    row("hang-call", Simulated("hang sign"), ByItself, "one signature never returns: closed at the deadline"),
    row("hang-module", Simulated("hang all"), ByItself, "no call returns, closing and starting neither: closed at the deadline, and nobody waits for the module"),
    row("stopped", Stop, ByItself, "the signer is stopped by SIGSTOP: closed at the deadline, killed, replaced"),
    row("late", Simulated("hang sign --for 2s"), ByItself, "a signature comes after its deadline: nobody sees it"),
    row("slow", Simulated("slow 60ms"), NeverClosed, "signatures are slow but in time: open, and operators are warned"),
    row("too-slow", Simulated("slow 600ms"), ByItself, "signatures take longer than the deadline"),
    row("busy", Simulated("busy"), ByItself, "the HSM has no capacity"),
    row("corrupt", Simulated("corrupt"), ByOperators, "a signature has one bit wrong: it is never used, and the HSM is not trusted by itself again"),
    row("zero", Simulated("zero"), ByOperators, "a signature of zeros"),
    row("wrong-key", Simulated("wrong-key"), ByOperators, "a good signature under another key"),
    row("wrong-message", Simulated("wrong-message"), ByOperators, "a good signature over something else"),
    row("wipe", Simulated("wipe"), ByOperators, "the slot was emptied: closed at its first answer, and the key is missed at re-arm"),
    row("pin-locked", WhileArming("pin-locked"), ByOperators, "the PIN is locked when the signer comes back: one attempt, no more"),
    row("pin-wrong", WhileArming("rv 0xa0 --call C_Login"), ByOperators, "the PIN is refused when the signer comes back: one attempt, no more"),
    row("poison", Simulated("poison"), ByItself, "the session is stuck in an older operation"),
    row("segfault", Simulated("segfault"), ByItself, "the module crashes"),
    row("abort", Simulated("abort"), ByItself, "the module aborts"),
    row("killed", Kill, ByItself, "the signer is killed by SIGKILL"),
    row("dies-arming", WhileArming("segfault --call C_Login"), ByItself, "the next signer crashes at its login"),
    row("hangs-arming", WhileArming("hang C_Login --for 700ms"), ByItself, "the next signer hangs at its login: intents are answered all the same"),
    row("self-test", Simulated("self-test"), ByOperators, "the HSM fails its self-test"),
    row("vendor-code", Simulated("rv 0x80000384"), ByItself, "a code that only the vendor knows"),
    row("tokens-moved", MoveTokens, ByItself, "the HSM's own folder is moved away and back"),
    row("flapping", Flap("remove"), ByItself, "the HSM comes and goes five times a second: nothing passes twice, nothing is lost"),
    row("restart", BeforeRestart("corrupt --times 1"), ByOperators, "the appliance is killed while it is closed for a bad signature: the next one starts closed"),
];

/// A drill: a row under a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drill {
    pub(super) row: Row,
    pub(super) load: Load,
}

impl Drill {
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.row.name, self.load.label())
    }
}

impl Row {
    /// Whether it can be held on an appliance that is not ours: nothing is restarted or moved, nobody has to sign, and
    /// nothing depends on its deadline.
    fn fits_a_live_one(&self) -> bool {
        let is_slow = matches!(self.fault, Simulated(line) if line.starts_with("slow"));
        !is_slow && self.ends == ByItself && !matches!(self.fault, AtStart(_) | BeforeRestart(_) | MoveTokens)
    }
}

/// The drills that these names mean: `all`, a row, or a row and a load. None where a name means nothing.
pub(super) fn chosen(names: &[String], live: bool) -> Result<Vec<Drill>, String> {
    let fitting = ROWS.iter().filter(|row| !live || row.fits_a_live_one());
    let every: Vec<Drill> = fitting.flat_map(|row| Load::ALL.map(|load| Drill { row: *row, load })).collect();
    let mut drills = Vec::new();
    for name in names {
        let meant = |drill: &&Drill| name == "all" || name == drill.row.name || *name == drill.name();
        let found: Vec<Drill> = every.iter().filter(meant).copied().collect();
        if found.is_empty() {
            return Err(name.clone());
        }
        drills.extend(found.into_iter().filter(|drill| !drills.contains(drill)).collect::<Vec<_>>());
    }
    Ok(drills)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_mean_drills_once_each_and_nothing_else() {
        let names: BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), ROWS.len());
        let count = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen(&names, false).map(|drills| drills.len())
        };
        assert_eq!(count(&["all"]), Ok(3 * ROWS.len()));
        assert_eq!(count(&["remove", "remove/lone", "killed/idle"]), Ok(4));
        assert_eq!(count(&["remove", "removed"]), Err("removed".to_owned()));
        let live = chosen(&["all".to_owned()], true).expect("some fit");
        assert!(!live.is_empty() && live.iter().all(|drill| drill.row.ends != ByOperators));
        assert!(chosen(&["corrupt".to_owned()], true).is_err(), "nobody signs there");
    }
}
