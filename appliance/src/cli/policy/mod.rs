//! `assent policy ..`: bundles, before they decide anything.
//!
//! The verbs and their arguments; what each does is in a file of its own. They work offline: none talks to an appliance
//! unless its file says so.

mod check;
mod compile;
mod diff;
mod eval;
mod explain;
mod load;
mod show;
mod statement;
mod test;

pub(super) use check::check;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_compiler::{Bundle, BundleError, Document, STACK_BYTES};
use clap::Subcommand;

use super::{Exit, Failure, Globals};
use crate::config::Config;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Compile a bundle, and say what it is.
    Check(check::Options),
    /// Write a bundle with what was compiled from it to one file.
    Compile(compile::Options),
    /// Run the bundle's own tests.
    Test(test::Options),
    /// Decide requests, a JSON line each, under plain Cedar files.
    Eval(eval::Options),
    /// Say why a request is decided as it is: which policies decide, and what keeps the others from it.
    Explain(explain::Options),
    /// Compare two bundles, and replay recorded intents under both.
    Diff(diff::Options),
    /// Have the running appliance put a bundle in force.
    Load(load::Options),
    /// Show the bundle that decides in the running appliance.
    Show,
    /// Print what operators sign for a bundle.
    Statement(statement::Options),
}

/// Runs the command, on a stack that takes whatever the compiler takes.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    on_its_stack(|| perform(verb, globals))
}

/// Does what compiles on a stack that takes whatever the compiler takes.
pub(super) fn on_its_stack<T: Send>(work: impl FnOnce() -> anyhow::Result<T> + Send) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policy".to_owned()).stack_size(STACK_BYTES);
        let running = thread.spawn_scoped(scope, work).context("cannot start a thread")?;
        running
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the command failed; report it with the bundle")))
    })
}

fn perform(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Check(options) => check::run(options, globals),
        Verb::Compile(options) => compile::run(options, globals),
        Verb::Test(options) => test::run(options, globals),
        Verb::Eval(options) => eval::run(&options),
        Verb::Explain(options) => explain::run(&options, globals),
        Verb::Diff(options) => diff::run(&options, globals),
        Verb::Load(options) => load::run(options, globals),
        Verb::Show => show::run(globals),
        Verb::Statement(options) => statement::run(options, globals),
    }
}

/// The folder of the bundle that is meant: the named one, or the configured one.
fn folder(named: Option<PathBuf>, globals: &Globals) -> anyhow::Result<PathBuf> {
    match named {
        Some(folder) => Ok(folder),
        None => Ok(Config::load(&globals.config)?.policy.bundle),
    }
}

/// Loads a bundle from its folder or its file.
fn load(folder: &Path) -> anyhow::Result<Bundle> {
    Bundle::from_path(folder).map_err(|error| invalid(&error))
}

fn document(path: &Path) -> anyhow::Result<Document> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Document { name: path.display().to_string(), text })
}

/// A bundle that is refused ends with 3, and with Cedar's own diagnostic.
pub(super) fn invalid(error: &BundleError) -> anyhow::Error {
    Failure { message: error.report(), exit: Exit::Invalid }.into()
}
