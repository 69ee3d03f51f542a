//! `assent policy test`: a bundle's own tests, in the format of `cedar run-tests`.
//!
//! A bundle without tests has not passed any, so that ends with 3 as well.

use std::io::Write as _;
use std::path::PathBuf;

use assent_compiler::Trial;
use serde_json::{Value, json};

use super::{folder, invalid, load};
use crate::cli::{Exit, Failure, Format, Globals};

/// Which bundle, and which of its tests.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The bundle's folder; by default the configured one.
    bundle: Option<PathBuf>,
    /// Run only tests whose name or file holds this text.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// Name the tests that passed, too.
    #[arg(short, long)]
    verbose: bool,
}

/// Runs the command.
pub(super) fn run(options: Options, globals: &Globals) -> anyhow::Result<Exit> {
    let folder = folder(options.bundle, globals)?;
    let trials = load(&folder)?.run_tests(&options.filter).map_err(|error| invalid(&error))?;
    if trials.is_empty() {
        let what = match options.filter.as_str() {
            "" => "no tests: write some into tests/*.json, in the format of `cedar run-tests`".to_owned(),
            filter => format!("no test whose name or file holds `{filter}`"),
        };
        let message = format!("{} has {what}", folder.display());
        return Err(Failure { message, exit: Exit::Invalid }.into());
    }
    let failed = trials.iter().filter(|trial| trial.difference.is_some()).count();
    let (passed, mut out) = (trials.len() - failed, std::io::BufWriter::new(crate::cli::stdout()));
    match globals.output {
        Format::Json => {
            let tests: Vec<_> = trials.iter().map(as_json).collect();
            let json = json!({
                "schema": "assent.v1.policy.test", "passed": passed, "failed": failed, "tests": tests,
            });
            writeln!(out, "{}", crate::shown::json(&json))?;
        }
        Format::Jsonl => {
            for trial in &trials {
                writeln!(out, "{}", as_json(trial))?;
            }
            let json = json!({"schema": "assent.v1.policy.test.summary", "passed": passed, "failed": failed});
            writeln!(out, "{}", crate::shown::json(&json))?;
        }
        Format::Table => {
            for Trial { place, name, difference } in &trials {
                match difference {
                    Some(difference) => {
                        writeln!(
                            out,
                            "FAIL  {name}\n      {place}: {}",
                            difference.replace('\n', "\n      ")
                        )?;
                    }
                    None if options.verbose => writeln!(out, "pass  {name}")?,
                    None => {}
                }
            }
            writeln!(out, "{passed} passed, {failed} failed")?;
        }
    }
    out.flush()?;
    Ok(if failed == 0 { Exit::Done } else { Exit::Invalid })
}

fn as_json(trial: &Trial) -> Value {
    json!({
        "schema": "assent.v1.policy.test.case", "file": trial.place.file, "line": trial.place.line, "name": trial.name,
        "passed": trial.difference.is_none(), "difference": trial.difference,
    })
}
