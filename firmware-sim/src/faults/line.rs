//! Lines: a fault as text, and back.
//!
//! `FAULT [ARGUMENT] [--call NAME]... [--after N] [--times N|always] [--probability P [--seed N]] [--for DURATION]`. The same text
//! is typed, sent over the socket, kept in the file and shown by `status`. What cannot be meant is refused, never guessed.

use std::str::SplitWhitespace;
use std::time::Duration;

use crate::calls::Call;
use crate::faults::What;

/// A fault, and when it strikes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) what: What,
    pub(crate) calls: Calls,
    /// Calls that it lets pass first; counted by each process for itself.
    pub(crate) after: u64,
    /// How often it strikes; for ever when none.
    pub(crate) times: Option<u64>,
    pub(crate) chance: Option<Chance>,
    /// How long it stays, from the first call that it meets.
    pub(crate) lasts: Option<Duration>,
}

/// Which calls a fault meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Those that it concerns by nature.
    Usual,
    All,
    Named(Vec<Call>),
}

/// A fault that strikes sometimes, the same times for the same seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Chance {
    pub(crate) probability: f64,
    pub(crate) seed: u64,
}

impl Chance {
    /// Whether the `nth` call is struck.
    pub(crate) fn strikes(self, nth: u64) -> bool {
        // The 53 bits that a double keeps, as a fraction of one.
        let bits = mix(self.seed.wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 11;
        (bits as f64) / ((1_u64 << 53) as f64) < self.probability
    }
}

/// SplitMix64's finaliser.
const fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

impl Fault {
    /// Whether it meets `call`.
    pub(crate) fn meets(&self, call: Call) -> bool {
        match &self.calls {
            Calls::Usual => self.what.concerns(call),
            Calls::All => true,
            Calls::Named(named) => named.contains(&call),
        }
    }
}

/// Why a line is no fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Nothing there.
    #[error("a fault is missing; one of {FAULTS}")]
    Empty,
    /// A word that is no fault.
    #[error("`{0}` is no fault; one of {FAULTS}")]
    UnknownFault(String),
    /// An option that there is not.
    #[error("`{0}` is no option of a fault")]
    UnknownOption(String),
    /// A fault or an option without its value.
    #[error("`{0}` needs a value: {1}")]
    Missing(String, &'static str),
    /// A value that does not fit.
    #[error("`{0}` does not fit: {1}")]
    Unfit(String, &'static str),
    /// A fault of signatures that is aimed at another call.
    #[error("`{0}` changes what C_Sign gives, so no other call can be named")]
    OnlySign(String),
    /// A seed without a probability.
    #[error("--seed needs --probability")]
    SeedAlone,
}

/// Every fault there is, as a reader is told.
pub(crate) const FAULTS: &str = "remove, reboot, logout, absent, hang sign|all|C_NAME, slow DURATION, busy, corrupt, zero, \
                                 wrong-key, wrong-message, wipe, pin-locked, poison, segfault, abort, self-test, rv CODE";

const DURATION: &str = "a number and ms, s or m, such as 200ms";
const COUNT: &str = "a number from 1, or always";

/// Reads a line.
pub(crate) fn parse(line: &str) -> Result<Fault, LineError> {
    let mut words = line.split_whitespace();
    let name = words.next().ok_or(LineError::Empty)?;
    let mut fault = named(name, &mut words)?;
    let mut seed = None;
    while let Some(option) = words.next() {
        match option {
            "--call" => fault.calls = fault.calls.with(value(option, &mut words, CALL)?)?,
            "--after" => fault.after = number(value(option, &mut words, "a number")?, "a number")?,
            "--times" => fault.times = times(value(option, &mut words, COUNT)?)?,
            "--probability" => fault.chance = Some(chance(value(option, &mut words, PROBABILITY)?)?),
            "--seed" => seed = Some(number(value(option, &mut words, "a number")?, "a number")?),
            "--for" => fault.lasts = Some(duration(value(option, &mut words, DURATION)?)?),
            other => return Err(LineError::UnknownOption(other.to_owned())),
        }
    }
    match (&mut fault.chance, seed) {
        (Some(chance), Some(seed)) => chance.seed = seed,
        (None, Some(_)) => return Err(LineError::SeedAlone),
        (_, None) => {}
    }
    if fault.what.spoil().is_some() && fault.calls != Calls::Usual {
        return Err(LineError::OnlySign(name.to_owned()));
    }
    Ok(fault)
}

const CALL: &str = "sign, all or the name of a PKCS#11 function";
const PROBABILITY: &str = "a number above 0 and up to 1";

fn named(name: &str, words: &mut SplitWhitespace<'_>) -> Result<Fault, LineError> {
    let mut calls = Calls::Usual;
    let what = match name {
        "remove" => What::Remove,
        "reboot" => What::Reboot,
        "logout" => What::Logout,
        "absent" => What::Absent,
        "hang" => {
            calls = calls.with(value(name, words, CALL)?)?;
            What::Hang
        }
        "slow" => What::Slow(duration(value(name, words, DURATION)?)?),
        "busy" => What::Busy,
        "corrupt" => What::Corrupt,
        "zero" => What::Zero,
        "wrong-key" => What::WrongKey,
        "wrong-message" => What::WrongMessage,
        "wipe" => What::Wipe,
        "pin-locked" => What::PinLocked,
        "poison" => What::Poison,
        "segfault" => What::Segfault,
        "abort" => What::Abort,
        "self-test" => What::SelfTest,
        "rv" => What::Answer(code(value(name, words, CODE)?)?),
        other => return Err(LineError::UnknownFault(other.to_owned())),
    };
    let times = what.strikes_once().then_some(1);
    Ok(Fault { what, calls, after: 0, times, chance: None, lasts: None })
}

impl Calls {
    fn with(self, name: &str) -> Result<Self, LineError> {
        if name == "all" {
            return Ok(Self::All);
        }
        let call = Call::from_name(name).ok_or_else(|| LineError::Unfit(name.to_owned(), CALL))?;
        let mut named = if let Self::Named(named) = self { named } else { Vec::new() };
        named.push(call);
        Ok(Self::Named(named))
    }
}

fn value<'a>(of: &str, words: &mut SplitWhitespace<'a>, what: &'static str) -> Result<&'a str, LineError> {
    words.next().ok_or_else(|| LineError::Missing(of.to_owned(), what))
}

fn number(text: &str, what: &'static str) -> Result<u64, LineError> {
    text.parse().map_err(|_| LineError::Unfit(text.to_owned(), what))
}

/// How often; none for always.
fn times(text: &str) -> Result<Option<u64>, LineError> {
    match text {
        "always" => Ok(None),
        "0" => Err(LineError::Unfit(text.to_owned(), COUNT)),
        count => number(count, COUNT).map(Some),
    }
}

fn chance(text: &str) -> Result<Chance, LineError> {
    let probability = text.parse().ok().filter(|&value: &f64| value > 0.0 && value <= 1.0);
    let probability = probability.ok_or_else(|| LineError::Unfit(text.to_owned(), PROBABILITY))?;
    Ok(Chance { probability, seed: 0 })
}

/// A number and its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, LineError> {
    let unfit = || LineError::Unfit(text.to_owned(), DURATION);
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let count: u64 = digits.parse().map_err(|_| unfit())?;
    let unit = match text.strip_prefix(digits) {
        Some("ms") => 1,
        Some("s") => 1_000,
        Some("m") => 60_000,
        _ => return Err(unfit()),
    };
    count.checked_mul(unit).map(Duration::from_millis).ok_or_else(unfit)
}

const CODE: &str = "a CK_RV other than CKR_OK, such as 0x30";

fn code(text: &str) -> Result<cryptoki_sys::CK_RV, LineError> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => cryptoki_sys::CK_RV::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|&code| code != 0).ok_or_else(|| LineError::Unfit(text.to_owned(), CODE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_the_list_is_read() {
        let listed = FAULTS.split(", ").map(|entry| entry.split('|').next().unwrap());
        for entry in listed {
            let line = entry.replace("DURATION", "200ms").replace("CODE", "0x30");
            assert!(parse(&line).is_ok(), "{line}: {:?}", parse(&line));
        }
    }

    #[test]
    fn options_say_when_it_strikes() {
        let line = "rv 0x80000384 --call C_Login --call sign --after 2 --times 3 --probability 0.5 --seed 9 --for 2s";
        let fault = parse(line).unwrap();
        assert_eq!(fault.what, What::Answer(0x8000_0384));
        assert_eq!(fault.calls, Calls::Named(vec![Call::C_Login, Call::C_Sign]));
        assert_eq!((fault.after, fault.times, fault.lasts), (2, Some(3), Some(Duration::from_secs(2))));
        assert_eq!(fault.chance, Some(Chance { probability: 0.5, seed: 9 }));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for line in [
            "",
            "explode",
            "hang",
            "slow",
            "slow 5",
            "slow 5h",
            "rv 0x0",
            "rv x",
            "corrupt --call C_Login",
            "busy --times 0",
            "busy --probability 1.5",
            "busy --probability NaN",
            "busy --seed 3",
            "busy now",
            "hang C_Nothing",
            "slow 99999999999999999999ms",
            "slow 18446744073709551615m",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,80}", option in "(--[a-z]{1,12} ?\\PC{0,12} ?){0,4}") {
            drop(parse(&text));
            drop(parse(&format!("corrupt {option}")));
        }
    }

    #[test]
    fn a_seed_strikes_the_same_calls_again() {
        let strikes = |seed| {
            (0..1000).filter(|&nth| Chance { probability: 0.3, seed }.strikes(nth)).collect::<Vec<_>>()
        };
        assert_eq!(strikes(1), strikes(1));
        assert_ne!(strikes(1), strikes(2));
        assert!((250..350).contains(&strikes(1).len()), "{}", strikes(1).len());
    }
}
