//! `assent policy explain`: why a request is decided as it is.
//!
//! It takes a request in Cedar's JSON, or an intent as agents write it. What the appliance would assert is taken from the
//! request's `context.assent`, or is this machine's time and nothing else. It ends as the decision does: 0, 2 or 4, and with 5
//! where it cannot be evaluated.

use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use assent_client::intent::Intent;
use assent_compiler::{Bundle, Explanation, Finding, Found};
use assent_evaluator::Facts;
use serde_json::Value;

use super::{folder, invalid, load};
use crate::cli::{Exit, Format, Globals};
use crate::clock::Clock;
use crate::shown::counted;

/// What to explain.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The bundle's folder; by default the configured one.
    bundle: Option<PathBuf>,
    /// The request in Cedar's JSON, or an intent; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Who asks, where the request does not say: a SPIFFE ID, or an entity as Cedar writes it.
    #[arg(long, value_name = "PRINCIPAL")]
    principal: Option<String>,
    /// List the policies that are out of scope, too.
    #[arg(long)]
    all: bool,
}

/// Runs the command.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let bundle = load(&folder(options.bundle.clone(), globals)?)?;
    let text = read(&options.request)?;
    let mut request: Value = serde_json::from_str(&text).context("the request is not JSON")?;
    let intent = match request.get("principal") {
        Some(_) => None,
        None => Some(Intent::from_json(&text).context("neither a request with a principal nor an intent")?),
    };
    if let (Some(_), Some(fields)) = (&intent, request.as_object_mut()) {
        let named = options.principal.as_deref();
        let named = named.context("the request does not say who asks: name the agent with --principal")?;
        fields.insert("principal".to_owned(), principal(&bundle, named)?);
    }
    let now_ms = i64::try_from(Clock::system().now().0).unwrap_or(i64::MAX);
    let mut explanation = bundle.explain(&request.to_string(), Facts { now_ms, ..Facts::default() })?;
    if let Some(intent) = &intent {
        hold_to_terms(&mut explanation, intent);
    }
    let mut out = std::io::BufWriter::new(crate::cli::stdout());
    match globals.output {
        Format::Json | Format::Jsonl => writeln!(out, "{}", as_json(&explanation, options.all)?)?,
        Format::Table => table(&mut out, &explanation, options.all)?,
    }
    out.flush()?;
    Ok(match (explanation.decision, explanation.refusal) {
        ("allow", _) => Exit::Done,
        ("hold", _) => Exit::Pending,
        (_, Some("EVALUATION_UNAVAILABLE")) => Exit::Unavailable,
        _ => Exit::Denied,
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    match path == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    }
    .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}

/// An entity as Cedar writes it, or the id of one of the type that the catalog's actions take.
fn principal(bundle: &Bundle, named: &str) -> anyhow::Result<Value> {
    if named.ends_with('"') && named.contains("::\"") {
        return Ok(named.into());
    }
    let kind = bundle.agent_type().map_err(|error| invalid(&error))?;
    let kind = kind.context("the catalog's actions take no principals")?;
    Ok(serde_json::json!({"type": kind, "id": named}))
}

/// An intent that asks for more than the catalog grants is refused before any policy is asked.
fn hold_to_terms(explanation: &mut Explanation, intent: &Intent) {
    let Some(terms) = explanation.terms else { return };
    let too_long = intent.window.filter(|window| window.as_millis() > u128::from(terms.window_ms));
    let too_many = intent.uses.filter(|uses| u32::from(*uses) > terms.uses);
    let detail = match (too_long, too_many) {
        (Some(window), _) => {
            format!(
                "it asks for a window of {}s, the catalog grants {}s",
                window.as_secs(),
                terms.window_ms / 1000
            )
        }
        (None, Some(uses)) => {
            let uses = counted(uses.into(), "use", "uses");
            format!("it asks for {uses}, the catalog grants {}", terms.uses)
        }
        (None, None) => return,
    };
    explanation.decision = "deny";
    explanation.refusal = Some("INTENT_INVALID");
    explanation.detail = Some(detail);
}

fn as_json(explanation: &Explanation, all: bool) -> anyhow::Result<Value> {
    let mut json = serde_json::to_value(explanation)?;
    let out_of_scope = explanation.policies.iter().filter(|finding| finding.outcome == Found::OutOfScope);
    if let Some(fields) = json.as_object_mut() {
        fields.insert("schema".to_owned(), "assent.v1.policy.explain".into());
        fields.insert("out_of_scope".to_owned(), out_of_scope.count().into());
        if !was_evaluated(explanation) {
            for score in ["risk", "base_risk"] {
                fields.insert(score.to_owned(), Value::Null);
            }
        }
        if let Some(policies) = fields.get_mut("policies").and_then(Value::as_array_mut).filter(|_| !all) {
            policies.retain(|policy| policy.get("outcome").and_then(Value::as_str) != Some("out_of_scope"));
        }
    }
    Ok(json)
}

fn table(out: &mut impl Write, explanation: &Explanation, all: bool) -> std::io::Result<()> {
    let Explanation { decision, refusal, cedar_decision, policies, .. } = explanation;
    let refusal = refusal.map(|refusal| format!("  {refusal}")).unwrap_or_default();
    writeln!(out, "{}{refusal}", decision.to_uppercase())?;
    writeln!(out, "  {} on {}", explanation.action, explanation.resource)?;
    writeln!(out, "  by {}", explanation.principal)?;
    if let Some(detail) = &explanation.detail {
        writeln!(out, "  {detail}")?;
    }
    // A hold is a denial to Cedar, and no stricter than it.
    if *cedar_decision == "allow" && *decision != "allow" {
        writeln!(out, "  Cedar's own rules give {cedar_decision}; ours are stricter")?;
    }
    let of = |wanted: fn(&Found) -> bool| policies.iter().filter(move |finding| wanted(&finding.outcome));
    if was_evaluated(explanation) {
        risk(out, explanation)?;
    }
    let decided = match explanation.refusal {
        Some("EVALUATION_UNAVAILABLE" | "INTENT_INVALID") => "by Cedar's own rules it would be decided by",
        _ => "decided by",
    };
    section(out, decided, of(|found| *found == Found::Decides))?;
    section(out, "could not be evaluated", of(|found| matches!(found, Found::Failed(_))))?;
    section(out, "holds, and a forbid decides over it", of(|found| *found == Found::Overruled))?;
    section(out, "does not hold", of(|found| matches!(found, Found::Unsatisfied(_))))?;
    let titles = ["not asked, for the intent does not fit the catalog", "out of scope"];
    for (title, outcome) in titles.into_iter().zip([Found::NotAsked, Found::OutOfScope]) {
        let silent = || policies.iter().filter(|finding| finding.outcome == outcome);
        match silent().count() {
            0 => {}
            _ if all => section(out, title, silent())?,
            1 => writeln!(out, "{title}: 1 policy; --all lists it")?,
            count => writeln!(out, "{title}: {count} policies; --all lists them")?,
        }
    }
    Ok(())
}

/// An intent that does not fit the catalog has no risk.
fn was_evaluated(explanation: &Explanation) -> bool {
    !explanation.refusal.is_some_and(|refusal| refusal.starts_with("INTENT_"))
}

/// The score, and what it is the sum of.
fn risk(out: &mut impl Write, explanation: &Explanation) -> std::io::Result<()> {
    let Explanation { risk, base_risk, is_risk_stated, policies, .. } = explanation;
    match is_risk_stated {
        true => writeln!(out, "  risk {risk}, stated by the request")?,
        false => writeln!(out, "  risk {risk}, {base_risk} of it the action's")?,
    }
    let adds = if *is_risk_stated { "would be added by" } else { "by" };
    for Finding { id, place, outcome, .. } in policies {
        if let Found::Adds(score) = outcome {
            writeln!(out, "    {score} {adds} `{id}` at {place}")?;
        }
    }
    Ok(())
}

fn section<'f>(
    out: &mut impl Write,
    title: &str,
    findings: impl Iterator<Item = &'f Finding>,
) -> std::io::Result<()> {
    let mut findings = findings.peekable();
    if findings.peek().is_some() {
        writeln!(out, "{title}")?;
    }
    findings.try_for_each(|finding| tell(out, finding))
}

fn tell(out: &mut impl Write, finding: &Finding) -> std::io::Result<()> {
    let template = finding.template.as_ref().map(|template| format!(", linked from `{template}`"));
    writeln!(
        out,
        "  {} `{}`{} at {}",
        finding.effect,
        finding.id,
        template.unwrap_or_default(),
        finding.place
    )?;
    for (what, text) in
        [("reason", &finding.reason), ("advice", &finding.advice), ("lifted by", &finding.approval)]
    {
        if let Some(text) = text {
            writeln!(out, "    {what}: {text}")?;
        }
    }
    match &finding.outcome {
        Found::Unsatisfied(clause) => {
            writeln!(out, "    clause {} at {}:", clause.number, clause.place)?;
            quote(out, &clause.text)
        }
        Found::Failed(why) => {
            writeln!(out, "    {why}")?;
            quote(out, &finding.text)
        }
        Found::Decides | Found::Overruled | Found::Adds(_) => quote(out, &finding.text),
        Found::OutOfScope | Found::NotAsked => Ok(()),
    }
}

fn quote(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    text.lines().try_for_each(|line| writeln!(out, "    | {line}"))
}
