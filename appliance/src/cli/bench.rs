//! `assent bench`: hands over to `assent-bench`, which lies beside this program where it was built.
//!
//! What a benchmark needs besides the appliance, its peers first of all, is not in the appliance. So this only knows where to
//! find that program, and passes on every word as it stands, `--help` too.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

use super::{Exit, Format, Globals};

/// The program that measures.
const PROGRAM: &str = "assent-bench";
/// The word of this command, which that program knows too.
const WORD: &str = "bench";

/// The format, where no word says another.
const FORMAT: &str = "ASSENT_FORMAT";

/// What stands behind `bench`; it is the other program's to read.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct Options {
    /// `assent bench --help` lists them.
    #[arg(value_name = "OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Becomes that program; returns only where it cannot.
pub(super) fn run(globals: &Globals) -> anyhow::Result<Exit> {
    let program = std::env::current_exe()?.with_file_name(PROGRAM);
    // Not the options as they were read: those which every command has, `-o` for one, would be missing there.
    let words = std::env::args_os().skip(1).skip_while(|word| word != WORD);
    let mut command = Command::new(&program);
    command.args(words);
    // Said before the word, or by the environment: it holds unless it is said behind it.
    if globals.output != Format::Table {
        command.env(FORMAT, "json");
    }
    let error = command.exec();
    Err(error).with_context(|| {
        format!(
            "{} cannot be started: build it with `cargo build --release --locked -p {PROGRAM}`",
            program.display()
        )
    })
}
