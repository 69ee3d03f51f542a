//! Abuse: every function of the C ABI called in any order with any handles, nulls and lengths.
//!
//! It may refuse what it likes, but it never crashes, never panics (`CKR_GENERAL_ERROR` is a panic caught at the border), and never
//! writes past the room that it was told. `ABUSE_CALLS` and `ABUSE_SEED` make a run longer, and repeat one.

use std::ffi::c_void;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::ptr::null_mut;

use cryptoki_sys::*;
use firmware_sim::faults::control::ask;
use libloading::{Library, Symbol};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::draw::{ALL, Known, Memory, call, draw};
use crate::raw::{Raw, provision};
use crate::scratch::{Scratch, copied_module, with_folder};

const GUARD: u8 = 0xa5;

/// Calls of a run that nobody asked to be longer.
const CALLS: u64 = 60_000;
/// Draws of one sequence, which begins with a new folder.
const SEQUENCE: usize = 300;

/// What may be set meanwhile: all that neither waits nor kills.
const FAULTS: [Option<&str>; 15] = [
    None,
    Some("remove --probability 0.5"),
    Some("reboot --times always --probability 0.1"),
    Some("logout --times 5"),
    Some("absent --after 10 --times 20"),
    Some("busy"),
    Some("corrupt"),
    Some("zero"),
    Some("wrong-key"),
    Some("wrong-message"),
    Some("wipe"),
    Some("pin-locked"),
    Some("poison --times always"),
    Some("self-test --probability 0.3"),
    Some("rv 0x80000384 --call all --probability 0.2"),
];

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// A generator that gives the same for the same seed.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Calls, as draws number them, that must not have come to nothing each time, or a run went nowhere near the core.
const REACHED: [(usize, &str); 9] = [
    (13, "C_Login"),
    (15, "C_CreateObject"),
    (17, "C_GetAttributeValue"),
    (20, "C_FindObjects"),
    (22, "C_SignInit"),
    (23, "C_Sign"),
    (25, "C_VerifyInit"),
    (27, "C_GenerateKeyPair"),
    (29, "C_GenerateRandom"),
];

/// How many calls there were, and of each how many were answered with OK.
struct Count {
    made: u64,
    fine: [u64; ALL],
}

/// One sequence of calls on a new folder.
fn sequence(raw: &Raw, seed: u64, count: &mut Count) {
    let (mut runner, strategy) = (runner(seed), draw(ALL));
    let scratch = Scratch::new();
    with_folder(Some(&scratch.state()), || {
        // SAFETY: null asks for the defaults.
        assert_eq!(unsafe { raw.list.C_Initialize.unwrap()(null_mut()) }, CKR_OK);
        if !seed.is_multiple_of(3) {
            provision(&raw.list);
        }
        if let Some(fault) = FAULTS[usize::try_from(seed % FAULTS.len() as u64).unwrap()] {
            ask(&scratch.state(), &format!("inject {fault}")).unwrap();
        }
        let mut known = Known::default();
        let drawn = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current());
        for draw in drawn.take(SEQUENCE) {
            let Some(draw) = known.steer(draw) else { continue };
            let mut memory = Memory::new(&draw);
            let answer = call(&raw.list, &draw, &mut memory);
            count.made += 1;
            assert_ne!(answer, CKR_GENERAL_ERROR, "a panic at {draw:?}");
            memory.check(&draw);
            if answer == CKR_OK {
                count.fine[draw.call] += 1;
                known.learn(&draw, &memory);
            }
        }
        ask(&scratch.state(), "clear").unwrap();
        // SAFETY: null is what the argument has to be.
        let ended = unsafe { raw.list.C_Finalize.unwrap()(null_mut()) };
        assert!([CKR_OK, CKR_CRYPTOKI_NOT_INITIALIZED].contains(&ended), "{ended}");
    });
}

/// The process that may crash. It says which sequence it begins.
#[test]
#[ignore = "run by `no_order_of_calls_crashes_it`"]
fn child_that_calls() {
    let (first, calls) = (number("ABUSE_SEED").unwrap(), number("ABUSE_CALLS").unwrap());
    let raw = Raw::load(&Scratch::new());
    let (mut count, mut seed) = (Count { made: 0, fine: [0; ALL] }, first);
    // Which calls come to something is up to chance, a sequence being short: whoever asks for a whole run gets more of them
    // where one never did, up to a limit beyond which it cannot be chance.
    let missed = |count: &Count| REACHED.iter().any(|(call, _)| count.fine[*call] == 0);
    while count.made < calls || calls >= CALLS && count.made < 5 * calls && missed(&count) {
        println!("\nseed {seed}");
        sequence(&raw, seed, &mut count);
        seed = seed.wrapping_add(1);
    }
    let fine: u64 = count.fine.iter().sum();
    println!("\n{} calls, {fine} of them answered with OK", count.made);
    let never: Vec<usize> = (0..ALL).filter(|&call| count.fine[call] == 0).collect();
    let never = never.iter().map(|call| format!(" {call},")).collect::<String>();
    println!("never:{never}");
}

#[test]
fn no_order_of_calls_crashes_it() {
    let calls = number("ABUSE_CALLS").unwrap_or(CALLS);
    let seed = number("ABUSE_SEED").unwrap_or_else(|| crate::strikes::now_us() & 0xffff_ffff);
    println!("{calls} calls from ABUSE_SEED={seed}");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "abuse::child_that_calls", "--ignored", "--nocapture"])
        .envs([("ABUSE_SEED", seed.to_string()), ("ABUSE_CALLS", calls.to_string())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut last, mut said) = (seed.to_string(), String::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(begun) = line.strip_prefix("seed ") {
            begun.clone_into(&mut last);
        } else if line.contains("calls, ") || line.starts_with("never:") {
            said += &line;
            said += "\n";
        }
    }
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{ended} in the sequence that ABUSE_SEED={last} ABUSE_CALLS=1 repeats");
    println!("{said}");
    let count = |at: usize| said.split(' ').nth(at).unwrap().parse::<u64>().unwrap();
    assert!(count(0) >= calls && count(2) > calls / 20, "most calls came to nothing: {said}");
    for (call, name) in REACHED {
        assert!(calls < CALLS || !said.contains(&format!(" {call},")), "{name} came to nothing: {said}");
    }
}

#[test]
fn every_function_of_the_list_is_called() {
    let source = include_str!("draw.rs");
    let scratch = Scratch::new();
    let raw = Raw::load(&scratch);
    let named = format!("{:?}", raw.list);
    let functions: Vec<&str> = named.split([' ', ',']).filter_map(|word| word.strip_suffix(':')).collect();
    let functions: Vec<&str> = functions.into_iter().filter(|name| name.starts_with("C_")).collect();
    assert_eq!(functions.len(), 68);
    let missing: Vec<_> = functions.iter().filter(|name| !source.contains(&format!("go!({name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_entry_of_the_list_is_there() {
    let scratch = Scratch::new();
    let raw = Raw::load(&scratch);
    assert_eq!((raw.list.version.major, raw.list.version.minor), (2, 40));
    let (version, entries) = (size_of::<CK_ULONG>(), size_of::<CK_FUNCTION_LIST>() / size_of::<usize>());
    // SAFETY: after the version, padded to a word, the list is nothing but function pointers.
    let words = unsafe { std::slice::from_raw_parts((&raw const raw.list).cast::<usize>(), entries) };
    assert_eq!((version, entries), (8, 69));
    assert!(words.iter().skip(1).all(|&word| word != 0));
}

#[test]
fn there_is_no_way_in_beside_the_list() {
    let scratch = Scratch::new();
    // SAFETY: the module runs no code when it is loaded.
    let library = unsafe { Library::new(copied_module(scratch.folder())) }.unwrap();
    for name in ["C_Initialize", "C_Sign", "C_GetInterface", "C_GetInterfaceList"] {
        // SAFETY: the symbol is only looked for.
        let found: Result<Symbol<'_, *const c_void>, _> = unsafe { library.get(name.as_bytes()) };
        assert!(found.is_err(), "{name} is exported");
    }
}

#[test]
fn nothing_works_before_it_is_initialised() {
    let scratch = Scratch::new();
    let raw = Raw::load(&scratch);
    let mut count = 0;
    // SAFETY: `count` is good for reads and writes.
    let listed = unsafe { raw.list.C_GetSlotList.unwrap()(CK_FALSE, null_mut(), &raw mut count) };
    assert_eq!(listed, CKR_CRYPTOKI_NOT_INITIALIZED);
    // SAFETY: null asks for the defaults.
    assert_eq!(unsafe { raw.list.C_Finalize.unwrap()(null_mut()) }, CKR_CRYPTOKI_NOT_INITIALIZED);
    raw.initialise(&scratch);
    // SAFETY: null asks for the defaults.
    assert_eq!(unsafe { raw.list.C_Initialize.unwrap()(null_mut()) }, CKR_CRYPTOKI_ALREADY_INITIALIZED);
    // SAFETY: null is what the argument has to be.
    assert_eq!(unsafe { raw.list.C_Finalize.unwrap()(null_mut()) }, CKR_OK);
    raw.initialise(&scratch);
}

#[test]
fn asking_for_the_length_leaves_the_signature_due() {
    let scratch = Scratch::new();
    let raw = Raw::load(&scratch);
    raw.initialise(&scratch);
    let (_, session, key) = provision(&raw.list);
    let mut mechanism = CK_MECHANISM { mechanism: CKM_EDDSA, pParameter: null_mut(), ulParameterLen: 0 };
    let mut buffer = [GUARD; 65];
    let mut data = *b"assent";
    // SAFETY: the mechanism is good for reads.
    let mut begin = || unsafe { raw.list.C_SignInit.unwrap()(session, &raw mut mechanism, key) };
    let mut sign = |to: *mut u8, room: CK_ULONG| {
        let mut count = room;
        // SAFETY: `to` is null or has room for 65 bytes, and `room` says no more.
        let answer = unsafe { raw.list.C_Sign.unwrap()(session, data.as_mut_ptr(), 6, to, &raw mut count) };
        (answer, count)
    };
    assert_eq!(begin(), CKR_OK);
    assert_eq!(begin(), CKR_OPERATION_ACTIVE);
    assert_eq!(sign(null_mut(), 0), (CKR_OK, 64));
    assert_eq!(sign(buffer.as_mut_ptr(), 63), (CKR_BUFFER_TOO_SMALL, 64));
    assert_eq!(buffer, [GUARD; 65]);
    assert_eq!(sign(buffer.as_mut_ptr(), 65), (CKR_OK, 64));
    assert_eq!(buffer[64], GUARD);
    assert_eq!(sign(buffer.as_mut_ptr(), 65).0, CKR_OPERATION_NOT_INITIALIZED);
}
