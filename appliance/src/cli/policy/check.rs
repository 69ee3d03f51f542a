//! `assent policy check`: compile a bundle, and say what it is.

use std::io::Write as _;
use std::path::PathBuf;

use assent_compiler::Bundle;

use super::{folder, invalid};
use crate::cli::{Exit, Format, Globals};

/// Which bundle.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The bundle's folder; by default the configured one.
    bundle: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(options: Options, globals: &Globals) -> anyhow::Result<Exit> {
    let folder = folder(options.bundle, globals)?;
    let bundle = Bundle::from_folder(&folder).map_err(|error| invalid(&error))?;
    let digest = assent_proto::hash::Hash(bundle.digest());
    let (actions, policies) = (bundle.catalog().actions().len(), bundle.policies().len());
    let mut out = std::io::stdout().lock();
    match globals.output {
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
