//! `assent breakglass warrant prepare|sign|activate|list|export|end`.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use assent_client::warrant::Warrant;
use assent_proto::entry::break_glass::WARRANT_NAMESPACE;
use assent_proto::number::Timestamp;
use clap::Subcommand;
use serde_json::json;

use super::wish::seconds;
use super::{ask, done, listed, to_sign, unexpected};
use crate::break_glass::{BreakGlassAnswer, BreakGlassOrder, WarrantProofs, WarrantView};
use crate::cli::hsm::print_table;
use crate::cli::output::signatures;
use crate::cli::{Exit, Format, Globals, stdout, utc};
use crate::config::Config;
use crate::limits::MAX_MANIFEST_BYTES;
use crate::shown::{self, visible};

/// What to do with warrants.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Verb {
    /// Make a key for a warrant, and print what the charter's operators are to sign.
    Prepare {
        /// The charter's name.
        charter: String,
        /// Why, for whoever signs, reviews and reads the log.
        #[arg(long)]
        reason: String,
        /// How many uses.
        #[arg(long)]
        uses: u16,
        /// How long it lives from now, such as 15m; signing is within that time.
        #[arg(long)]
        window: String,
    },
    /// Sign a statement that was prepared, on any machine.
    Sign {
        /// The statement.
        file: PathBuf,
        /// The operator's key, or its public half where an agent holds it.
        #[arg(long)]
        key: PathBuf,
        /// Where to write the signature; by default beside the statement, with the name of the key.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Activate a warrant that enough operators signed, and write the file for executors.
    Activate {
        /// The statement.
        file: PathBuf,
        /// An operator's signature over it; may be given several times.
        #[arg(long = "signature", value_name = "FILE", required = true)]
        signatures: Vec<PathBuf>,
        /// Where to write the file for executors; by default `warrant-LEAF.toml` in the data folder.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// List warrants, with those that are prepared.
    List,
    /// Write the file for executors of the warrant that lives once more.
    Export {
        /// Where to; by default `warrant-LEAF.toml` in the data folder.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// End the warrant that lives.
    End {
        /// Why, for whoever reads the log.
        #[arg(long, default_value = "it is needed no more")]
        reason: String,
    },
}

pub(super) fn run(verb: &Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let data = || anyhow::Ok(Config::load(&globals.config)?.appliance.data);
    match verb {
        Verb::Prepare { charter, reason, uses, window } => {
            let (charter, reason) = (charter.clone(), reason.clone());
            let window_s = seconds("--window", window)?;
            let order = BreakGlassOrder::WarrantPrepare { charter, reason, uses: *uses, window_s };
            let exit = to_sign(&ask(&data()?, order)?, "warrant.prepare", globals)?;
            talk!(
                "or with `assent breakglass warrant sign FILE --key KEY`; then `assent breakglass warrant activate FILE --signature ..`"
            );
            Ok(exit)
        }
        Verb::Sign { file, key, out } => sign(file, key, out.as_deref()),
        Verb::Activate { file, signatures: files, out } => {
            let (statement, signatures) = (read(file)?, signatures(files)?);
            let order = BreakGlassOrder::WarrantActivate { statement, signatures };
            active("warrant.activate", ask(&data()?, order)?, out.as_deref(), &data()?, globals)
        }
        Verb::Export { out } => {
            let answer = ask(&data()?, BreakGlassOrder::WarrantExport)?;
            active("warrant.export", answer, out.as_deref(), &data()?, globals)
        }
        Verb::End { reason } => {
            let answer = ask(&data()?, BreakGlassOrder::WarrantEnd { leaf: None, reason: reason.clone() })?;
            let BreakGlassAnswer::Done { leaf, by } = answer else { return unexpected() };
            done("warrant.end", leaf, &by, globals)?;
            talk!("next: `assent breakglass review list` shows the uses that are to be reviewed");
            Ok(Exit::Done)
        }
        Verb::List => list(&data()?, globals),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut text = String::new();
    file.take(MAX_MANIFEST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn sign(file: &Path, key: &Path, out: Option<&Path>) -> anyhow::Result<Exit> {
    let statement = read(file)?;
    if !statement.starts_with("assent/warrant/v1\n") {
        bail!(
            "{} is no statement of a warrant; `assent breakglass warrant prepare` prints one",
            file.display()
        );
    }
    let signature = crate::cli::signing::sign(WARRANT_NAMESPACE, &statement, key)?;
    let out = out.map_or_else(
        || {
            let key = key.file_stem().unwrap_or_default().to_string_lossy();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            file.with_file_name(format!("{name}.{key}.sig"))
        },
        Path::to_owned,
    );
    std::fs::write(&out, &signature.text).with_context(|| format!("cannot write {}", out.display()))?;
    writeln!(stdout(), "{}", out.display())?;
    Ok(Exit::Done)
}

/// Writes the file for executors.
fn active(
    verb: &str,
    answer: BreakGlassAnswer,
    out: Option<&Path>,
    data: &Path,
    globals: &Globals,
) -> anyhow::Result<Exit> {
    let BreakGlassAnswer::Active { warrant, proofs } = answer else { return unexpected() };
    let WarrantProofs { origin, charter, warrant: of_warrant } = proofs;
    let leaf = warrant.leaf.unwrap_or_default();
    let out = out.map_or_else(|| data.join(format!("warrant-{leaf}.toml")), Path::to_owned);
    let text = Warrant::render(&origin, &charter, &of_warrant);
    std::fs::write(&out, text).with_context(|| {
        format!(
            "the warrant lives, and {} cannot be written; `assent breakglass warrant export --out FILE` writes it elsewhere",
            out.display()
        )
    })?;
    match globals.output {
        Format::Table => {
            // It may have been activated before, and used since.
            let (left, uses) = (warrant.uses.saturating_sub(warrant.used), warrant.uses);
            let until = utc(Timestamp(warrant.not_after_ms));
            writeln!(stdout(), "warrant at leaf {leaf}: {left} of {uses} uses left, until {until}")?;
        }
        Format::Json | Format::Jsonl => {
            let document =
                json!({"schema": format!("assent.v1.breakglass.{verb}"), "warrant": warrant, "file": out});
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
    }
    talk!(
        "next: take {} to the executors that accept break-glass, and to agents with a trust file",
        out.display()
    );
    Ok(Exit::Done)
}

fn list(data: &Path, globals: &Globals) -> anyhow::Result<Exit> {
    let BreakGlassAnswer::Warrants(warrants) = ask(data, BreakGlassOrder::WarrantList)? else {
        return unexpected();
    };
    if !listed("warrant.list", ("warrant", "warrants"), &warrants, globals)? {
        let rows: Vec<_> = warrants.iter().map(row).collect();
        print_table(["LEAF", "CHARTER", "STATE", "USED", "UNTIL", "BY", "REASON"], &rows)?;
    }
    Ok(Exit::Done)
}

fn row(view: &WarrantView) -> [String; 7] {
    [
        view.leaf.map_or_else(|| "-".to_owned(), |leaf| leaf.to_string()),
        visible(&view.charter),
        view.state.clone(),
        format!("{} of {}", view.used, view.uses),
        utc(Timestamp(view.not_after_ms)),
        visible(&view.by.join(", ")),
        visible(&view.reason),
    ]
}
