//! `assent policy show`: the bundle that decides in the running appliance, and how it came to be.

use std::io::Write;

use assent_proto::number::Timestamp;

use crate::cli::{Exit, Format, Globals, unavailable, utc};
use crate::config::Config;
use crate::control;
use crate::policy::PolicyStatus;
use crate::policy::shadow::ShadowStatus;
use crate::serving::status::Status;
use crate::shown::{counted, visible};

/// Runs the command. Ends with 5 where nobody answers.
pub(super) fn run(globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let status = control::ask_status(&config.appliance.data).map_err(|error| unavailable(&error))?;
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => {
            let mut json = serde_json::to_value(&status.policy)?;
            if let Some(json) = json.as_object_mut() {
                json.insert("schema".to_owned(), "assent.v1.policy.show".into());
                json.insert("evaluation".to_owned(), serde_json::to_value(&status.boundaries.evaluation)?);
            }
            writeln!(out, "{}", crate::shown::json(&json))?;
        }
        Format::Table => table(&mut out, &status)?,
    }
    Ok(Exit::Done)
}

fn table(out: &mut impl Write, status: &Status) -> std::io::Result<()> {
    let policy = &status.policy;
    let time = |ms| utc(Timestamp(ms));
    writeln!(out, "{}", policy.digest)?;
    writeln!(
        out,
        "  version     {}",
        policy.version.map_or("none".to_owned(), |version| version.to_string())
    )?;
    writeln!(out, "  loaded      {} by {}", time(policy.loaded_ms), policy.loaded_by)?;
    writeln!(out, "  from        {}", policy.source)?;
    writeln!(out, "  source      {}, confirmed {}", policy.configured_source, time(policy.confirmed_ms))?;
    let signers = if policy.signers.is_empty() { "nobody".to_owned() } else { policy.signers.join(", ") };
    writeln!(out, "  signed by   {signers}")?;
    writeln!(out, "  actions     {}", policy.actions)?;
    writeln!(out, "  policies    {}", policy.policies)?;
    writeln!(out, "  worst case  {} of {} units of fuel an intent", policy.worst_case_fuel, policy.budget)?;
    if let Some(message) = &status.boundaries.evaluation.message {
        writeln!(out, "  CLOSED      {message}")?;
    }
    troubles(out, policy)?;
    policy.shadow.as_ref().map_or(Ok(()), |shadow| shadow_table(out, shadow))
}

fn troubles(out: &mut impl Write, policy: &PolicyStatus) -> std::io::Result<()> {
    if let Some(refused) = &policy.refused {
        let (at, by) = (utc(Timestamp(refused.at_ms)), visible(&refused.by));
        let since = if policy.standing_refusal().is_none() { "; made good since" } else { "" };
        writeln!(out, "  REFUSED     {at} from {} by {by}{since}", visible(&refused.source))?;
        writeln!(out, "              {}", visible(&refused.reason))?;
    }
    for failing in &policy.errors {
        let times = counted(failing.count, "time", "times");
        writeln!(out, "  FAILING     {}, {times}", visible(&failing.policy))?;
    }
    if policy.late_intents > 0 {
        let late = counted(policy.late_intents, "intent", "intents");
        writeln!(out, "  LATE        {late} behind `policy.deadline`")?;
    }
    Ok(())
}

fn shadow_table(out: &mut impl Write, shadow: &ShadowStatus) -> std::io::Result<()> {
    writeln!(out, "  shadow      {} from {}", shadow.digest.as_deref().unwrap_or("none"), shadow.source)?;
    if let Some(problem) = &shadow.problem {
        writeln!(out, "    problem     {}", visible(problem))?;
    }
    let ShadowStatus { compared, agreed, errors, dropped_batches, .. } = shadow;
    let compared = counted(*compared, "intent", "intents");
    writeln!(out, "    compared    {compared}, {agreed} alike; {errors} with errors")?;
    writeln!(out, "    dropped     {}", counted(*dropped_batches, "batch", "batches"))?;
    for pair in &shadow.disagreements {
        writeln!(out, "    {} -> {}  {}", pair.ours, pair.theirs, pair.count)?;
    }
    for last in &shadow.latest {
        let [ours, theirs] = [&last.our_policies, &last.their_policies].map(|ids| visible(&ids.join(", ")));
        let (action, resource) = (visible(&last.action), visible(&last.resource));
        writeln!(out, "    {} {action} on {resource}", utc(Timestamp(last.at_ms)))?;
        writeln!(out, "      {} ({ours}) -> {} ({theirs})", last.ours, last.theirs)?;
    }
    Ok(())
}
