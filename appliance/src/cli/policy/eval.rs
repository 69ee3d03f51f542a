//! `assent policy eval`: decide requests, a JSON line each, under plain Cedar files.
//!
//! The plain door for other people's test suites: it takes no annotation of ours and asks for none.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_compiler::{Bundle, Rules, Sources};

use super::{document, invalid};
use crate::cli::Exit;

/// Which files.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The Cedar schema.
    #[arg(long, value_name = "FILE")]
    schema: PathBuf,
    /// The policies, in Cedar's syntax or, in files that end in .json, its JSON; may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    policies: Vec<PathBuf>,
    /// Links of templates, as Cedar's own command line takes them.
    #[arg(long, value_name = "FILE")]
    links: Option<PathBuf>,
    /// The entities, in Cedar's JSON.
    #[arg(long, value_name = "FILE")]
    entities: PathBuf,
    /// The requests; `-` for standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    requests: PathBuf,
}

/// Runs the command.
pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    let sources = Sources {
        catalog: document(&options.schema)?,
        policies: options.policies.iter().map(|path| document(path)).collect::<Result<_, _>>()?,
        risk: Vec::new(),
        links: options.links.as_deref().map(document).transpose()?,
        operators: None,
        entities: vec![document(&options.entities)?],
        tests: Vec::new(),
        rules: Rules::Plain,
    };
    let bundle = Bundle::compile(sources).map_err(|error| invalid(&error))?;
    let requests = &options.requests;
    let mut out = std::io::BufWriter::new(crate::cli::stdout());
    let mut worst = Exit::Done;
    for (number, line) in (1..).zip(lines(requests)?) {
        let line = line.with_context(|| format!("cannot read {}", requests.display()))?;
        if line.trim().is_empty() {
            continue;
        }
        let answer =
            bundle.answer(&line).with_context(|| format!("line {number} of {}", requests.display()))?;
        if answer.decision != "allow" {
            worst = Exit::Denied;
        }
        writeln!(out, "{}", crate::shown::json_of(&answer)?)?;
    }
    out.flush()?;
    Ok(worst)
}

fn lines(path: &Path) -> anyhow::Result<Box<dyn Iterator<Item = std::io::Result<String>>>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lines()));
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Box::new(BufReader::new(file).lines()))
}
