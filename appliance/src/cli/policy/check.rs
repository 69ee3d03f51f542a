//! `assent policy check`: compile a bundle, and say what it is and what it can cost.

use std::io::Write;
use std::path::{Path, PathBuf};

use assent_compiler::{Bundle, BundleError, Sources};
use assent_evaluator::{DEFAULT_BUDGET, MAX_STACK};
use serde::Serialize;

use super::{folder, invalid};
use crate::cli::{Exit, Format, Globals};

/// Policies that are listed as the most expensive ones.
const MOST_EXPENSIVE: usize = 5;

/// Which bundle, and what it may cost.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The bundle's folder; by default the configured one.
    bundle: Option<PathBuf>,
    /// Units of fuel that one intent may use.
    #[arg(long, value_name = "FUEL", default_value_t = DEFAULT_BUDGET, hide_default_value = true)]
    budget: u64,
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

/// Runs the command.
pub(super) fn run(options: Options, globals: &Globals) -> anyhow::Result<Exit> {
    let folder = folder(options.bundle, globals)?;
    let compiled =
        Sources::from_path(&folder).and_then(|sources| Bundle::compile_within(sources, options.budget));
    let mut out = std::io::stdout().lock();
    match (compiled, globals.output) {
        (Ok(bundle), Format::Table) => table(&mut out, &folder, &Report::of(&bundle, options.budget))?,
        (Ok(bundle), Format::Json | Format::Jsonl) => {
            writeln!(out, "{}", serde_json::to_string(&Report::of(&bundle, options.budget))?)?;
        }
        (Err(error), Format::Table) => return Err(invalid(&error)),
        (Err(error), Format::Json | Format::Jsonl) => {
            writeln!(out, "{}", rejection(&error))?;
            return Err(invalid(&error));
        }
    }
    Ok(Exit::Done)
}

fn rejection(error: &BundleError) -> serde_json::Value {
    serde_json::json!({
        "schema": "assent.v1.policy.check", "valid": false, "kind": error.kind(), "error": error.to_string(),
        "report": error.report(),
    })
}

impl Report {
    fn of(bundle: &Bundle, budget: u64) -> Self {
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
            digest: assent_proto::hash::Hash(bundle.digest()).to_string(),
            image_digest: assent_proto::hash::Hash(bundle.image_digest()).to_string(),
            actions,
            policies: notes.len(),
            templates: templates.len(),
            links,
            entities: entities.filter(|entity| entity.is_present).count(),
            worst_case_fuel: bundle.worst_case(),
            budget,
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
