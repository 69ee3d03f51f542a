//! Builds the gate, part by part, and looks at its symbols: what runs for every intent and token neither panics nor
//! allocates.
//!
//! Nothing may stand in a part that could panic, except where this file names the dependency that holds it. The positive
//! controls prove that the look would find what it looks for. An allocator is not even declared: a part that used the
//! `alloc` crate would not build.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions beside the tests may fail as loudly as the tests"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the names of functions that panic or allocate contain.
const FORBIDDEN: &[&str] = &[
    "panick",
    "panic_fmt",
    "panic_bounds",
    "panic_nounwind",
    "unwrap_failed",
    "expect_failed",
    "index_fail",
    "capacity_overflow",
    "rust_alloc",
    "rust_realloc",
    "handle_alloc_error",
];

/// Parts, by feature, in which nothing at all may panic or allocate.
const WITHOUT_EXCEPTION: &[&str] = &["evaluator", "proto"];

/// Functions outside the product that may call the panic machinery: the curve's and SHA-512's own bounds checks, which
/// the compiler cannot remove. They index tables and blocks of fixed size by the digits of a scalar and the position in
/// a message, and none of the product's own code adds to them.
const CRYPTOGRAPHY: &[&str] = &["curve25519_dalek", "ed25519_dalek", "sha512"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/gate")
}

/// The gate as it was built with one feature. Nobody builds it with another while this is looked at: they all are one file.
struct Library {
    path: PathBuf,
    _alone: File,
}

impl std::ops::Deref for Library {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// Builds the gate with one feature and returns the library.
fn library(feature: &str) -> Library {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../gate");
    std::fs::create_dir_all(&target).unwrap();
    // Each test may be a process of its own.
    let alone = File::create(target.join("looked-at")).unwrap();
    alone.lock().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--offline", "--quiet", "--features", feature])
        .arg("--manifest-path")
        .arg(folder().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .output()
        .unwrap();
    assert!(built.status.success(), "gate `{feature}`: {}", String::from_utf8_lossy(&built.stderr));
    Library { path: target.join("release/libgate.a"), _alone: alone }
}

fn output(program: &str, arguments: &[&str], library: &Path) -> String {
    let run = Command::new(program).args(arguments).arg(library).output();
    let run = run.unwrap_or_else(|error| panic!("{program} of binutils is needed: {error}"));
    assert!(run.status.success(), "{program}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

fn is_forbidden(symbol: &str) -> bool {
    FORBIDDEN.iter().any(|part| symbol.contains(part))
}

/// All symbols of the library.
fn symbols(library: &Path) -> BTreeSet<String> {
    let lines = output("nm", &[], library);
    lines.lines().filter_map(|line| line.split_whitespace().next_back()).map(str::to_owned).collect()
}

fn forbidden_symbols(library: &Path) -> Vec<String> {
    symbols(library).into_iter().filter(|symbol| is_forbidden(symbol)).collect()
}

/// Functions that refer to a forbidden one, without the forbidden ones themselves.
fn callers(library: &Path) -> BTreeSet<String> {
    let (mut found, mut function) = (BTreeSet::new(), "");
    let lines = output("objdump", &["-dr", "--no-show-raw-insn"], library);
    for line in lines.lines() {
        if let Some(name) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            function = name.1;
        } else if refers(line) && is_forbidden(line) && !is_forbidden(function) {
            found.insert(function.to_owned());
        }
    }
    found
}

/// Whether a line of objdump is a call, a jump or a relocation; its notes on other instructions name what lies near.
fn refers(line: &str) -> bool {
    ["\tcall", "\tj", "R_X86_64_", "R_AARCH64_", "\tb"].iter().any(|form| line.contains(form))
}

/// The exports whose names begin with `gate_`.
fn exports(library: &Path) -> usize {
    symbols(library).iter().filter(|symbol| symbol.starts_with("gate_")).count()
}

#[test]
fn what_runs_for_every_intent_neither_panics_nor_allocates() {
    for control in ["control-panics", "control-allocates"] {
        assert!(!forbidden_symbols(&library(control)).is_empty(), "`{control}` was not found");
    }
    assert!(!callers(&library("control-panics")).is_empty(), "the caller of a panic was not found");

    for part in WITHOUT_EXCEPTION {
        let library = library(part);
        assert!(exports(&library) > 0, "`{part}` exports nothing");
        assert_eq!(forbidden_symbols(&library), [""; 0], "in `{part}`, called by {:?}", callers(&library));
    }

    // Verification as a whole: the product's code adds nothing to what its cryptography brings.
    let library = library("signature");
    assert!(exports(&library) > 0, "`signature` exports nothing");
    let of_ours: Vec<_> = callers(&library)
        .into_iter()
        .filter(|function| !CRYPTOGRAPHY.iter().any(|name| function.contains(name)))
        .collect();
    assert_eq!(of_ours, [""; 0]);
    let allocates: Vec<_> = symbols(&library).into_iter().filter(|symbol| symbol.contains("alloc")).collect();
    assert_eq!(allocates, [""; 0]);
}

/// Every leaf, proof and request is hashed: in software that is several times as dear, and nothing but speed would tell.
#[cfg(target_arch = "x86_64")]
#[test]
fn hashes_are_made_by_the_processors_own_instructions() {
    let code = output("objdump", &["-d", "--no-show-raw-insn"], &library("signature"));
    assert!(code.contains("sha256rnds2"), "sha2 was built without the SHA instructions");
}

/// Names and versions of the packages in a lock file.
fn locked(file: &Path) -> BTreeSet<(String, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let packages = text.split("[[package]]").skip(1).filter_map(|package| {
        let value = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
            Some(line.trim_matches('"').to_owned())
        };
        Some((value("name")?, value("version")?))
    });
    packages.filter(|(name, _)| name != "gate").collect()
}

/// Packages of the product, at the versions that it is built of.
fn product() -> BTreeSet<(String, String)> {
    locked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"))
}

#[test]
fn what_is_looked_at_is_what_the_product_is_built_of() {
    let gate = locked(&folder().join("Cargo.lock"));
    assert!(!gate.is_empty());
    assert_eq!(gate.difference(&product()).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn what_is_fuzzed_is_what_the_product_is_built_of() {
    let (fuzz, product) = (locked(&folder().join("../fuzz/Cargo.lock")), product());
    // The engine and what it is built with are the fuzzer's own.
    let is_shared = |name: &str| product.iter().any(|(known, _)| known == name);
    let shared: Vec<_> = fuzz.iter().filter(|(name, _)| is_shared(name)).collect();
    assert!(shared.iter().any(|(name, _)| name == "postcard"), "{fuzz:?}");
    let others: Vec<_> = shared.into_iter().filter(|package| !product.contains(*package)).collect();
    assert_eq!(others, Vec::<&(String, String)>::new());
}
