//! `assent bench`: what the appliance costs, beside what it stands on and what people would use instead. One command, one
//! run, one table.
//!
//! This program is the appliance's own with one word more, so that what is measured is what was built, and the parts and peers
//! that only a benchmark needs are not in the appliance. `assent bench` starts it.

#![forbid(unsafe_code)]

mod bed;
mod children;
mod evaluators;
mod figures;
mod measure;
mod options;
mod page;
mod parts;
mod peers;
mod run;
mod sample;
mod table;

use std::ffi::OsStr;
use std::process::ExitCode;

use appliance::cli::{Exit, fail};

fn main() -> ExitCode {
    let first = std::env::args_os().nth(1);
    let is_bench = first.as_deref().is_none_or(|word| word == OsStr::new("bench"));
    if !is_bench {
        return appliance::cli::main();
    }
    match options::read() {
        Ok(options) => match work(&options) {
            Ok(exit) => exit.into(),
            Err(error) => fail(&error).into(),
        },
        Err(code) => code,
    }
}

fn work(options: &options::Options) -> anyhow::Result<Exit> {
    if let Some(helper) = &options.helper {
        return run::help(helper).map(|()| Exit::Done);
    }
    Ok(if run::run(options)? { Exit::Done } else { Exit::Invalid })
}
