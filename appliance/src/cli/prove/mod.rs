//! `assent log prove|checkpoint|check-proof`, `assent token export`: proofs for people who trust nobody.
//!
//! The one rule: nothing is printed that was not verified as its reader will verify it. Proofs are C2SP texts on standard
//! output, so that they can be kept as they are; `-o json` has the same with its parts. (`proto/FORMAT.md` section 18.)

mod check;
mod export;
mod source;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::log::proof::{ConsistencyProof, InclusionProof, consistency, opened};
use anyhow::Context as _;
use assent_proto::entry::allow_leaf_hash;
use assent_proto::hash::Hash;
use assent_proto::note::Note;
use assent_proto::number::{LeafIndex, TreeSize};
use assent_proto::token::{TEXT_PREFIX, UnverifiedToken};

use super::{Exit, Format, Globals};
use source::{damaged, failed, invalid, refused};

pub(super) use check::{Options as CheckOptions, run as check};
pub(super) use export::{Options as ExportOptions, run as export};
pub(super) use source::Where;

/// What to prove.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    #[command(flatten)]
    of: Where,
    /// The leaf: its index, or a token as text or in a file.
    #[arg(value_name = "INDEX|TOKEN", required_unless_present = "consistency")]
    target: Option<String>,
    /// Prove that the tree of the second size begins with that of the first; without a second one, the newest signed tree.
    #[arg(long, num_args = 1..=2, value_names = ["OLD", "NEW"], conflicts_with_all = ["target", "size"])]
    consistency: Option<Vec<u64>>,
    /// Under the checkpoint of this size; by default the newest that was signed.
    #[arg(long, value_name = "N")]
    size: Option<u64>,
    /// Leave the leaf's bytes out of the proof.
    #[arg(long)]
    bare: bool,
    #[command(flatten)]
    to: To,
}

/// Where the text goes.
#[derive(Debug, clap::Args)]
pub(super) struct To {
    /// Write it there; by default to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Which checkpoint to print.
#[derive(Debug, clap::Args)]
pub(super) struct CheckpointOptions {
    #[command(flatten)]
    of: Where,
    /// The one of this size; by default the newest that was signed.
    #[arg(long, value_name = "N")]
    size: Option<u64>,
    #[command(flatten)]
    to: To,
}

impl To {
    fn print(&self, text: &str, json: &serde_json::Value, globals: &Globals) -> anyhow::Result<()> {
        match (&self.out, globals.output) {
            (Some(path), _) => {
                std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
            (None, Format::Table) => crate::cli::stdout().write_all(text.as_bytes())?,
            (None, Format::Json | Format::Jsonl) => {
                writeln!(crate::cli::stdout(), "{}", crate::shown::json(json))?
            }
        }
        Ok(())
    }
}

/// Runs `assent log prove`.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    match (&options.consistency, &options.target) {
        (Some(sizes), _) => prove_consistency(options, sizes, globals),
        (None, target) => prove_inclusion(options, target.as_deref().unwrap_or_default(), globals),
    }
}

fn prove_inclusion(options: &Options, target: &str, globals: &Globals) -> anyhow::Result<Exit> {
    let (log, keys) = (options.of.open(globals)?, options.of.keys(globals)?);
    let note = log.note(options.size, &keys)?;
    let checkpoint = opened(&note, keys).map_err(|error| invalid(&error))?;
    let target = Target::parse(target)?;
    let (leaf_hash, path) = log.path(target.index, &checkpoint)?;
    if target.leaf_hash.is_some_and(|of_token| of_token != leaf_hash) {
        return Err(refused(format!("leaf {} of the log is not that of the token", target.index)));
    }
    let leaf = match options.bare {
        true => None,
        false => log.leaf(target.index, checkpoint.size)?,
    };
    if leaf.as_ref().is_some_and(|leaf| Hash::of_leaf(leaf) != leaf_hash) {
        return Err(damaged(&checkpoint));
    }
    let proof = InclusionProof { extra: leaf, index: target.index, path, note: note.clone() };
    options.to.print(&proof.to_string(), &inclusion_json(&proof, leaf_hash, &checkpoint), globals)?;
    Ok(Exit::Done)
}

/// An inclusion proof in its parts.
fn inclusion_json(
    proof: &InclusionProof,
    leaf_hash: Hash,
    checkpoint: &assent_proto::checkpoint::Checkpoint<'_>,
) -> serde_json::Value {
    serde_json::json!({
        "schema": "assent.v1.log.inclusion", "origin": checkpoint.origin, "index": proof.index.0, "size": checkpoint.size.0,
        "root": checkpoint.root.to_string(), "leaf_hash": leaf_hash.to_string(),
        "path": proof.path.iter().map(Hash::to_string).collect::<Vec<_>>(), "proof": proof.to_string(),
    })
}

fn prove_consistency(options: &Options, sizes: &[u64], globals: &Globals) -> anyhow::Result<Exit> {
    let (log, keys) = (options.of.open(globals)?, options.of.keys(globals)?);
    let old = TreeSize(sizes.first().copied().unwrap_or_default());
    let note = log.note(sizes.get(1).copied(), &keys)?;
    let checkpoint = opened(&note, keys).map_err(|error| invalid(&error))?;
    let size = checkpoint.size;
    let path = consistency(old, size, |level, index| log.node(level, index, size))?;
    let Some(path) = path else {
        return Err(failed(format!("the tree of {size} leaves cannot begin with one of {old}")));
    };
    let old_root = log.root_at(old, size)?;
    let proof = ConsistencyProof { old, path, note: note.clone() };
    proof.verify(old_root, &checkpoint).map_err(|_| damaged(&checkpoint))?;
    let json = serde_json::json!({
        "schema": "assent.v1.log.consistency", "origin": checkpoint.origin, "old": old.0, "old_root": old_root.to_string(),
        "size": size.0, "root": checkpoint.root.to_string(),
        "path": proof.path.iter().map(Hash::to_string).collect::<Vec<_>>(), "proof": proof.to_string(),
    });
    options.to.print(&proof.to_string(), &json, globals)?;
    Ok(Exit::Done)
}

/// Runs `assent log checkpoint`.
pub(super) fn checkpoint(options: &CheckpointOptions, globals: &Globals) -> anyhow::Result<Exit> {
    let (log, keys) = (options.of.open(globals)?, options.of.keys(globals)?);
    let note = log.note(options.size, &keys)?;
    let checkpoint = opened(&note, keys).map_err(|error| invalid(&error))?;
    let parsed = Note::parse(&note).map_err(|error| invalid(&error))?;
    let line = |name: &str, id: String| serde_json::json!({"name": name, "key_id": id});
    let json = serde_json::json!({
        "schema": "assent.v1.log.checkpoint", "origin": checkpoint.origin, "size": checkpoint.size.0,
        "root": checkpoint.root.to_string(), "note": note,
        "signatures": parsed.signatures().iter().map(|by| line(by.name, by.id.to_string())).collect::<Vec<_>>(),
        "cosignatures": parsed.cosignatures().iter().map(|by| {
            serde_json::json!({"name": by.name, "key_id": by.id.to_string(), "time_s": by.time_s})
        }).collect::<Vec<_>>(),
    });
    options.to.print(&note, &json, globals)?;
    Ok(Exit::Done)
}

/// A leaf that is asked for.
struct Target {
    index: LeafIndex,
    /// What the token says that it is.
    leaf_hash: Option<Hash>,
}

impl Target {
    fn parse(text: &str) -> anyhow::Result<Self> {
        if let Ok(index) = text.parse() {
            return Ok(Self { index: LeafIndex(index), leaf_hash: None });
        }
        let bytes = token_bytes(text)?;
        let token = UnverifiedToken::parse(&bytes).map_err(|error| invalid(&error))?;
        Ok(Self { index: token.index, leaf_hash: Some(allow_leaf_hash(token.body)) })
    }
}

/// The bytes of a token that is given as its text, or as a file with it.
fn token_bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .with_context(|| format!("`{text}` is neither an index, nor a token, nor a file with one"))
    };
    let text = if text.starts_with(TEXT_PREFIX) { text.to_owned() } else { read(Path::new(text))? };
    assent_client::token::parse_text(text.trim()).map_err(|error| invalid(&error))
}
