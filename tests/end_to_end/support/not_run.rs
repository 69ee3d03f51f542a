//! What does not run here: said, kept for the end of `tests/run`, and an error where everything has to run.
//!
//! A test that leaves out a part says so through this and in no other way: of a test that passes nobody sees what it prints.

#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses a part of it")]

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The workspace.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// The file in the target folder that `tests/run` shows at its end: a line each time that something was left out.
const FILE: &str = "not-run";

/// Left out for want of a tool that `tests/run` installs, or of what root may do. Where `CI` is set all of that has to be there.
pub(crate) fn missing(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "not tested, which it must be under CI: {why}");
    lacking(why);
}

/// Left out for want of what not every machine can have: a feature of its kernel, a module that takes minutes to build.
pub(crate) fn lacking(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("NOT TESTED: {why} ({test})");
    let file = OpenOptions::new().create(true).append(true).open(target().join(FILE));
    // In one write each, for many processes append. Whoever runs a test by hand may not be allowed to, and has read it.
    let line = format!("{why}\t{test}\n");
    if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
        eprintln!("that is not kept: {error}");
    }
}

/// Where cargo builds; a relative one it takes from where it was started, which is the workspace in `tests/run`.
fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Path::new(ROOT).join(named)
}
