//! A script: an intent that is filled as bytes say, in order or out of it.

use crate::choices::Choices;
use crate::tables::{IDS, NAMES, TYPES};
use assent_evaluator::{Address, Intent, Misfit, Uid};

const TEXTS: &[&str] = &["", "a", "ab", "b*", "\u{e9}", "abcabcabd"];

/// A uid, of a type that the catalog knows or not.
pub fn uid(choices: &mut Choices<'_>) -> Uid<'static> {
    let type_name = if choices.once_in(12) { "Nobody" } else { choices.pick(TYPES) };
    let id = if choices.once_in(12) { "nothing" } else { choices.pick(IDS) };
    Uid { type_name, id }
}

/// Asks as the choices say: most intents fit the first action.
pub fn ask(intent: &mut Intent<'_>, choices: &mut Choices<'_>) {
    let known = |type_name, id| Uid { type_name, id };
    let (principal, action, resource) = match choices.once_in(6) {
        true => (uid(choices), uid(choices), uid(choices)),
        false => (known("U", "e0"), known("Action", "act"), known("G", "e1")),
    };
    intent.ask(principal, action, resource);
    // A misfit is kept by the intent, and answers later.
    let _ = match choices.once_in(3) {
        true => (0..24).try_for_each(|_| step(intent, choices)),
        false => fitting(intent, choices),
    };
}

/// The context that the first action asks for.
fn fitting<'a>(intent: &mut Intent<'a>, choices: &mut Choices<'_>) -> Result<(), Misfit<'a>> {
    intent.begin_record(7)?;
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        intent.key(name)?;
        match name {
            "a" => intent.long(choices.long())?,
            "b" => intent.string(choices.pick(TEXTS))?,
            "c" => {
                let several = choices.below(4);
                intent.begin_set(several)?;
                for _ in 0..several {
                    intent.long(choices.long())?;
                }
                intent.end()?;
            }
            "d" => intent.datetime(choices.long())?,
            "e" => intent.entity(Uid { type_name: "U", id: choices.pick(IDS) })?,
            "f" => intent.decimal(choices.long())?,
            _ => address(intent, choices)?,
        }
    }
    intent.end()
}

fn address<'a>(intent: &mut Intent<'a>, choices: &mut Choices<'_>) -> Result<(), Misfit<'a>> {
    let prefix = choices.byte();
    let address = match choices.below(2) {
        0 => Address::v4([choices.byte(), 0, 0, 1], prefix % 33),
        _ => Address::v6([choices.byte(); 16], prefix),
    };
    address.map_or(Ok(()), |address| intent.ip(address))
}

/// Any value or mark, wherever the intent stands.
fn step<'a>(intent: &mut Intent<'a>, choices: &mut Choices<'_>) -> Result<(), Misfit<'a>> {
    match choices.below(12) {
        0 => intent.begin_record(choices.below(6)),
        1 => intent.begin_set(choices.below(6)),
        2 | 3 => intent.key(choices.pick(NAMES)),
        4 => intent.bool(choices.below(2) == 0),
        5 => intent.long(choices.long()),
        6 => intent.string(choices.pick(TEXTS)),
        7 => intent.entity(uid(choices)),
        8 => intent.duration(choices.long()),
        9 => address(intent, choices),
        _ => intent.end(),
    }
}
