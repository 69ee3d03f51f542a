//! `assent policy check|eval`: bundles, before they decide anything.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_compiler::{Bundle, BundleError, Document, Rules, Sources};
use clap::Subcommand;

use super::{Exit, Failure, Format, Globals};
use crate::config::Config;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Compile a bundle, and say what it is.
    Check {
        /// The bundle's folder; by default the configured one.
        bundle: Option<PathBuf>,
    },
    /// Decide requests, a JSON line each, under plain Cedar files.
    Eval {
        /// The Cedar schema.
        #[arg(long, value_name = "FILE")]
        schema: PathBuf,
        /// The policies; may be given several times.
        #[arg(long, value_name = "FILE", required = true)]
        policies: Vec<PathBuf>,
        /// The entities, in Cedar's JSON.
        #[arg(long, value_name = "FILE")]
        entities: PathBuf,
        /// The requests; `-` for standard input.
        #[arg(long, value_name = "FILE", default_value = "-")]
        requests: PathBuf,
    },
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Check { bundle } => {
            let folder = match bundle {
                Some(folder) => folder,
                None => Config::load(&globals.config)?.policy.bundle,
            };
            check(&folder, globals.output)
        }
        Verb::Eval { schema, policies, entities, requests } => eval(&schema, &policies, &entities, &requests),
    }
}

fn check(folder: &Path, format: Format) -> anyhow::Result<Exit> {
    let bundle = Bundle::from_folder(folder).map_err(|error| invalid(&error))?;
    let digest = assent_proto::hash::Hash(bundle.digest());
    let (actions, policies) = (bundle.catalog().actions().len(), bundle.policies().len());
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json | Format::Jsonl => {
            let json = serde_json::json!({
                "schema": "assent.v1.policy.check", "valid": true, "digest": digest.to_string(),
                "actions": actions, "policies": policies, "worst_case_fuel": bundle.worst_case(),
                "warnings": bundle.warnings(),
            });
            writeln!(out, "{json}")?;
        }
        Format::Table => {
            writeln!(out, "{} is valid", folder.display())?;
            writeln!(out, "  digest      {digest}")?;
            writeln!(out, "  actions     {actions}")?;
            writeln!(out, "  policies    {policies}")?;
            writeln!(out, "  worst case  {} units of fuel an intent", bundle.worst_case())?;
            for warning in bundle.warnings() {
                writeln!(out, "  warning     {warning}")?;
            }
        }
    }
    Ok(Exit::Done)
}

fn eval(schema: &Path, policies: &[PathBuf], entities: &Path, requests: &Path) -> anyhow::Result<Exit> {
    let sources = Sources {
        catalog: document(schema)?,
        policies: policies.iter().map(|path| document(path)).collect::<Result<_, _>>()?,
        risk: Vec::new(),
        entities: vec![document(entities)?],
        tests: Vec::new(),
        rules: Rules::Plain,
    };
    let bundle = Bundle::compile(sources).map_err(|error| invalid(&error))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
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
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
    }
    out.flush()?;
    Ok(worst)
}

fn document(path: &Path) -> anyhow::Result<Document> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Document { name: path.display().to_string(), text })
}

fn lines(path: &Path) -> anyhow::Result<Box<dyn Iterator<Item = std::io::Result<String>>>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lines()));
    }
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Box::new(BufReader::new(file).lines()))
}

/// A bundle that is refused ends with 3, and with Cedar's own diagnostic.
fn invalid(error: &BundleError) -> anyhow::Error {
    Failure { message: error.report(), exit: Exit::Invalid }.into()
}
