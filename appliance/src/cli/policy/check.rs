//! `assent policy check`: compile a bundle, and say what it is and what it can cost.
//!
//! The rule it keeps: what passes here the appliance admits, on the same configuration, but for what only the appliance
//! knows: the version in force. It counts signatures and does not verify them.

use std::io::Write;
use std::path::{Path, PathBuf};

use assent_compiler::Bundle;
use assent_evaluator::{DEFAULT_BUDGET, MAX_STACK};
use serde::Serialize;

use super::folder;
use crate::cli::{DEFAULT_CONFIG, Exit, Failure, Format, Globals};
use crate::config::{Config, ConfigError, Policy};
use crate::policy::{Approvers, LoadError, Offer, fitting_agents};
use crate::shown::counted;

/// Policies that are listed as the most expensive ones.
const MOST_EXPENSIVE: usize = 5;

/// Which bundle, and what it may cost.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The bundle's folder; by default the configured one.
    bundle: Option<PathBuf>,
    /// Units of fuel that one intent may use; by default the configured `policy.budget`.
    #[arg(long, value_name = "FUEL")]
    budget: Option<u64>,
}

/// What a policy can cost.
#[derive(Debug, Serialize)]
struct Cost {
    id: String,
    place: String,
    fuel: u64,
    stack: usize,
}

/// What a bundle is.
#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    valid: bool,
    version: Option<u64>,
    signatures: usize,
    digest: String,
    image_digest: String,
    actions: usize,
    policies: usize,
    templates: usize,
    links: usize,
    entities: usize,
    worst_case_fuel: u64,
    budget: u64,
    worst_case_stack: usize,
    stack_limit: usize,
    most_expensive: Vec<Cost>,
    warnings: Vec<String>,
}

/// A bundle that the appliance would take, and what stands beside it.
struct Checked {
    bundle: Bundle,
    version: Option<u64>,
    signatures: usize,
    budget: u64,
}

/// The bundle in this folder, if an appliance would take it.
///
/// # Errors
/// What is wrong with it.
pub(in crate::cli) fn check(folder: &Path, budget: u64, is_signed: bool) -> Result<Bundle, LoadError> {
    look(folder, budget, is_signed).map(|checked| checked.bundle)
}

/// Runs the command.
pub(super) fn run(options: Options, globals: &Globals) -> anyhow::Result<Exit> {
    let folder = folder(options.bundle, globals)?;
    let configured = configured(globals)?;
    let budget = options.budget.or(configured.as_ref().map(|policy| policy.budget)).unwrap_or(DEFAULT_BUDGET);
    let is_signed = configured.is_some_and(|policy| policy.signers.is_some());
    let mut out = crate::cli::stdout();
    match (look(&folder, budget, is_signed), globals.output) {
        (Ok(checked), Format::Table) => table(&mut out, &folder, &Report::of(&checked))?,
        (Ok(checked), Format::Json | Format::Jsonl) => {
            writeln!(out, "{}", crate::shown::json_of(&Report::of(&checked))?)?;
        }
        (Err(error), format) => {
            if format != Format::Table {
                writeln!(out, "{}", rejection(&error))?;
            }
            return Err(Failure { message: error.report(), exit: Exit::Invalid }.into());
        }
    }
    Ok(Exit::Done)
}

/// What the appliance holds bundles to. They are checked where there is no appliance, too.
fn configured(globals: &Globals) -> anyhow::Result<Option<Policy>> {
    match Config::load(&globals.config) {
        Err(ConfigError::Missing { path }) if path == Path::new(DEFAULT_CONFIG) => Ok(None),
        config => Ok(Some(config?.policy)),
    }
}

fn look(folder: &Path, budget: u64, is_signed: bool) -> Result<Checked, LoadError> {
    let offer = Offer::read(folder)?;
    offer.check_packed()?;
    let Offer { sources, manifest, signatures, .. } = offer;
    let bundle = Bundle::compile_within(sources, budget)?;
    fitting_agents(&bundle)?;
    let wrong = |problem| LoadError::Operators { problem };
    let approvers = Approvers::parse(bundle.sources().operators.as_ref()).map_err(wrong)?;
    approvers.check(&bundle).map_err(wrong)?;
    if is_signed && manifest.version.is_none() {
        return Err(LoadError::Unversioned);
    }
    Ok(Checked { bundle, version: manifest.version, signatures: signatures.len(), budget })
}

fn rejection(error: &LoadError) -> serde_json::Value {
    serde_json::json!({
        "schema": "assent.v1.policy.check", "valid": false, "kind": error.kind(), "error": error.to_string(),
        "report": error.report(),
    })
}

impl Report {
    fn of(checked: &Checked) -> Self {
        let Checked { bundle, version, signatures, budget } = checked;
        let (fuel, stack) = (bundle.worst_cases(), bundle.stack_heights());
        let notes = bundle.policies();
        let costs = notes.iter().zip(fuel).zip(&stack).map(|((note, fuel), stack)| Cost {
            id: note.id.clone(),
            place: note.place.to_string(),
            fuel,
            stack: *stack,
        });
        let mut most_expensive: Vec<Cost> = costs.collect();
        most_expensive.sort_by_key(|cost| std::cmp::Reverse(cost.fuel));
        most_expensive.truncate(MOST_EXPENSIVE);
        let mut templates: Vec<_> = notes.iter().filter_map(|note| note.template.as_ref()).collect();
        let links = templates.len();
        templates.sort();
        templates.dedup();
        // Actions are entities, too, and the first ones.
        let actions = bundle.catalog().actions().len();
        let entities = bundle.view().snapshot().entities.iter().skip(actions);
        Self {
            schema: "assent.v1.policy.check",
            valid: true,
            version: *version,
            signatures: *signatures,
            digest: assent_proto::hash::Hash(bundle.digest()).to_string(),
            image_digest: assent_proto::hash::Hash(bundle.image_digest()).to_string(),
            actions,
            policies: notes.len(),
            templates: templates.len(),
            links,
            entities: entities.filter(|entity| entity.is_present).count(),
            worst_case_fuel: bundle.worst_case(),
            budget: *budget,
            worst_case_stack: stack.into_iter().max().unwrap_or(0),
            stack_limit: MAX_STACK,
            most_expensive,
            warnings: bundle.warnings().to_vec(),
        }
    }
}

fn table(out: &mut impl Write, folder: &Path, report: &Report) -> std::io::Result<()> {
    let Report { templates, links, worst_case_fuel, budget, worst_case_stack, stack_limit, .. } = report;
    writeln!(out, "{} is valid", folder.display())?;
    let version = report.version.map_or("none".to_owned(), |version| version.to_string());
    let signatures = counted(report.signatures as u64, "signature", "signatures");
    writeln!(out, "  version     {version}, {signatures}")?;
    writeln!(out, "  digest      {}", report.digest)?;
    writeln!(out, "  image       {}", report.image_digest)?;
    writeln!(out, "  actions     {}", report.actions)?;
    writeln!(out, "  policies    {}, {links} of them linked from {templates} templates", report.policies)?;
    writeln!(out, "  entities    {}", report.entities)?;
    writeln!(out, "  worst case  {worst_case_fuel} units of fuel an intent, of a budget of {budget}")?;
    writeln!(out, "  stack       {worst_case_stack} values, of {stack_limit}")?;
    writeln!(out, "  most expensive")?;
    for Cost { id, place, fuel, stack } in &report.most_expensive {
        writeln!(out, "    {fuel:>12}  {id}  {place}, stack {stack}")?;
    }
    for warning in &report.warnings {
        writeln!(out, "  warning     {warning}")?;
    }
    Ok(())
}
