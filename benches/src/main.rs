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
mod groups;
mod machine;
mod measure;
mod options;
mod page;
mod parts;
mod peers;
mod refunds;
mod run;
mod sample;
mod scratch;
mod setting;
mod table;

use std::ffi::OsStr;
use std::process::ExitCode;

use appliance::cli::{Exit, fail};

fn main() -> ExitCode {
    let first = std::env::args_os().nth(1);
    // What it starts of itself begins with a noun, or with `--config`; whoever types options means those of the bench.
    let is_option = |word: &OsStr| word.as_encoded_bytes().starts_with(b"-") && word != "--config";
    let words = match first.as_deref() {
        None => 1,
        Some(word) if word == "bench" => 2,
        Some(word) if is_option(word) => 1,
        Some(_) => return appliance::cli::main(),
    };
    match options::read(words) {
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
