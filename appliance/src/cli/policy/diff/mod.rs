//! `assent policy diff`: what another bundle would change, in its files and in decisions that were made.
//!
//! It ends with 2 where a replayed decision would change, so that a pipeline can stop on it.

mod replay;

use std::io::Write;
use std::path::{Path, PathBuf};

use assent_compiler::{Bundle, Changes, Difference};
use assent_proto::hash::Hash;
use serde_json::{Value, json};

use self::replay::{Change, Replay};
use super::load;
use crate::cli::{Exit, Format, Globals};
use crate::config::Config;

/// Which bundles, and which log.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The folder of the bundle that is.
    before: PathBuf,
    /// The folder of the bundle that would be.
    after: PathBuf,
    /// Decide the recorded intents of a log under both; without FILE, of the configured appliance's. It must be stopped,
    /// or FILE a copy.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    replay: Option<Option<PathBuf>>,
}

/// Runs the command.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let (before, after) = (load(&options.before)?, load(&options.after)?);
    let difference = Difference::between(&before, &after);
    let log = match &options.replay {
        None => None,
        Some(Some(log)) => Some(log.clone()),
        Some(None) => Some(crate::provision::log_file(&Config::load(&globals.config)?)),
    };
    let replay = log.map(|log| Replay::run(&log, &before, &after)).transpose()?;
    let mut out = std::io::BufWriter::new(crate::cli::stdout());
    let bundles = [(&options.before, &before), (&options.after, &after)];
    match globals.output {
        Format::Json => {
            let mut json = summary(bundles, &difference, replay.as_ref());
            let changes = replay.iter().flat_map(|replay| &replay.changes).map(Change::as_json);
            if let Some(replay) = json.get_mut("replay").and_then(Value::as_object_mut) {
                replay.insert("changes".to_owned(), changes.collect());
            }
            writeln!(out, "{}", crate::shown::json(&json))?;
        }
        Format::Jsonl => {
            for change in replay.iter().flat_map(|replay| &replay.changes) {
                writeln!(out, "{}", change.as_json())?;
            }
            writeln!(out, "{}", summary(bundles, &difference, replay.as_ref()))?;
        }
        Format::Table => {
            table(&mut out, bundles, &difference)?;
            if let Some(replay) = &replay {
                replay.table(&mut out)?;
            }
        }
    }
    out.flush()?;
    let decides_otherwise = replay.is_some_and(|replay| replay.decisions_changed() > 0);
    Ok(if decides_otherwise { Exit::Denied } else { Exit::Done })
}

fn digest(bundle: &Bundle) -> String {
    Hash(bundle.digest()).to_string()
}

fn summary(bundles: [(&PathBuf, &Bundle); 2], difference: &Difference, replay: Option<&Replay>) -> Value {
    let [before, after] = bundles
        .map(|(folder, bundle)| json!({"folder": folder.display().to_string(), "digest": digest(bundle)}));
    json!({
        "schema": "assent.v1.policy.diff", "before": before, "after": after, "difference": difference,
        "replay": replay.map(Replay::as_json),
    })
}

fn table(
    out: &mut impl Write,
    bundles: [(&PathBuf, &Bundle); 2],
    difference: &Difference,
) -> std::io::Result<()> {
    for (sign, (folder, bundle)) in ["-", "+"].into_iter().zip(bundles) {
        writeln!(out, "{sign} {}  {}", Path::display(folder), digest(bundle))?;
    }
    let Difference { files, policies, actions, action_changes, entities, entities_total } = difference;
    let nothing = files.is_empty() && policies.is_empty() && actions.is_empty() && action_changes.is_empty();
    if nothing {
        writeln!(out, "nothing differs in their files")?;
        return Ok(());
    }
    changes(out, "file", files)?;
    changes(out, "policy", policies)?;
    changes(out, "action", actions)?;
    for change in action_changes {
        writeln!(out, "  changed action {}: {}", change.action, change.what.join("; "))?;
    }
    let ([added, removed, changed], [before, after]) = (entities, entities_total);
    if before != after || added + removed + changed > 0 {
        writeln!(out, "  entities {before} -> {after}: {added} added, {removed} removed, {changed} changed")?;
    }
    Ok(())
}

fn changes(out: &mut impl Write, what: &str, changes: &Changes) -> std::io::Result<()> {
    let Changes { added, removed, changed } = changes;
    for (how, names) in [("added", added), ("removed", removed), ("changed", changed)] {
        for name in names {
            writeln!(out, "  {how:<7} {what} {name}")?;
        }
    }
    Ok(())
}
