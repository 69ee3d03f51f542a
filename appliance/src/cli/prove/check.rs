//! `assent log check-proof`: a proof that somebody handed over, verified offline with nothing but trusted keys.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::log::proof::{ConsistencyProof, Cosigned, InclusionProof, cosigned_by, opened};
use anyhow::Context as _;
use assent_proto::checkpoint::Checkpoint;
use assent_proto::cosignature::WitnessKey;
use assent_proto::entry::{Entry, allow_leaf_hash};
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::Timestamp;
use assent_proto::token::UnverifiedToken;
use serde_json::{Value, json};

use super::super::log::Source;
use super::super::{Exit, Format, Globals, utc};
use super::source::{failed, invalid, refused};
use super::token_bytes;
use crate::limits::MAX_PROOF_BYTES;

/// Which proof, and what to hold it against.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Options {
    /// The proof, an inclusion or a consistency proof; `-` is standard input.
    #[arg(value_name = "FILE")]
    proof: PathBuf,
    /// The trust file to verify against; by default the configured appliance's own key ring.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Inclusion: the token whose leaf it is to be of, as text or in a file. Without it, that of the leaf that came along.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Consistency: the older checkpoint, as a signed note.
    #[arg(long, value_name = "FILE")]
    old: Option<PathBuf>,
    /// A witness that must have cosigned, by its verifier key. May be given several times.
    #[arg(long = "witness", value_name = "VKEY")]
    witnesses: Vec<String>,
}

/// Runs the command. Ends with 3 where anything does not hold.
pub(in super::super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let keys: Vec<_> =
        Source::trusting(options.trust.clone()).trust(globals)?.keys().iter().map(|k| k.key).collect();
    let text = read(&options.proof)?;
    let told = if text.starts_with("old ") {
        consistency(&text, options.old.as_deref(), &keys)?
    } else {
        inclusion(&text, options.token.as_deref(), &keys)?
    };
    let cosigned = witnessed(&told.note, &options.witnesses)?;
    let mut json = json!({"schema": "assent.v1.log.check_proof", "verified": true, "cosigned": cosigned});
    if let (Some(all), Value::Object(parts)) = (json.as_object_mut(), told.json) {
        all.extend(parts);
    }
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => writeln!(out, "{}", crate::shown::json(&json))?,
        Format::Table => {
            writeln!(out, "verified: {}", told.line)?;
            for Cosigned { witness, time_s } in &cosigned {
                writeln!(out, "  cosigned by {witness} at {}", utc(Timestamp(time_s.saturating_mul(1000))))?;
            }
        }
    }
    Ok(Exit::Done)
}

/// What was found to hold.
struct Told {
    line: String,
    json: Value,
    note: String,
}

fn inclusion(text: &str, token: Option<&str>, keys: &[VerifierKey<'_>]) -> anyhow::Result<Told> {
    let proof = InclusionProof::parse(text).map_err(|error| invalid(&error))?;
    let checkpoint = opened(&proof.note, keys.iter().copied()).map_err(|error| invalid(&error))?;
    let leaf_hash = match (token, &proof.extra) {
        (Some(token), _) => {
            let bytes = token_bytes(token)?;
            let token = UnverifiedToken::parse(&bytes).map_err(|error| invalid(&error))?;
            if token.index != proof.index {
                return Err(refused(format!(
                    "the token is of leaf {}, the proof of leaf {}",
                    token.index, proof.index
                )));
            }
            allow_leaf_hash(token.body)
        }
        (None, Some(leaf)) => Hash::of_leaf(leaf),
        (None, None) => {
            return Err(failed("the proof came without its leaf: name the token with --token".to_owned()));
        }
    };
    proof.verify(leaf_hash, &checkpoint).map_err(|error| invalid(&error))?;
    let Checkpoint { origin, size, root } = checkpoint;
    // Now that it is the leaf, it may say what it is.
    let entry = proof.extra.as_deref().filter(|leaf| Hash::of_leaf(leaf) == leaf_hash);
    let entry = entry.and_then(|leaf| Entry::parse(leaf).ok());
    let what = entry.as_ref().map_or_else(String::new, |entry| {
        format!(", {} of {}", format!("{:?}", entry.kind()).to_lowercase(), utc(entry.time()))
    });
    Ok(Told {
        line: format!("leaf {} of {origin}{what}, under the checkpoint of size {size}", proof.index),
        json: json!({
            "proof": "inclusion", "origin": origin, "index": proof.index.0, "size": size.0, "root": root.to_string(),
            "leaf_hash": leaf_hash.to_string(),
            "kind": entry.map(|entry| format!("{:?}", entry.kind()).to_lowercase()),
        }),
        note: proof.note,
    })
}

fn consistency(text: &str, old: Option<&Path>, keys: &[VerifierKey<'_>]) -> anyhow::Result<Told> {
    let proof = ConsistencyProof::parse(text).map_err(|error| invalid(&error))?;
    let checkpoint = opened(&proof.note, keys.iter().copied()).map_err(|error| invalid(&error))?;
    let Some(path) = old else {
        return Err(failed(
            "a consistency proof is held against an older checkpoint: name it with --old".to_owned(),
        ));
    };
    let old_note = read(path)?;
    let old = opened(&old_note, keys.iter().copied()).map_err(|error| invalid(&error))?;
    if (old.origin, old.size) != (checkpoint.origin, proof.old) {
        return Err(refused(format!(
            "the proof begins at size {} of {}, and {} is of size {} of {}",
            proof.old,
            checkpoint.origin,
            path.display(),
            old.size,
            old.origin
        )));
    }
    proof.verify(old.root, &checkpoint).map_err(|error| invalid(&error))?;
    let Checkpoint { origin, size, root } = checkpoint;
    Ok(Told {
        line: format!("the tree of {size} leaves of {origin} begins with that of {}", old.size),
        json: json!({
            "proof": "consistency", "origin": origin, "old": old.size.0, "old_root": old.root.to_string(),
            "size": size.0, "root": root.to_string(),
        }),
        note: proof.note,
    })
}

/// All witnesses that are named cosigned, or it is told which did not.
fn witnessed(note: &str, named: &[String]) -> anyhow::Result<Vec<Cosigned>> {
    let parsed = named
        .iter()
        .map(|vkey| WitnessKey::parse(vkey).with_context(|| format!("`{vkey}` is no key of a witness")));
    let witnesses = parsed.collect::<Result<Vec<_>, _>>()?;
    let cosigned = cosigned_by(note, &witnesses).map_err(|error| invalid(&error))?;
    let missing = |key: &&WitnessKey<'_>| cosigned.iter().all(|found| found.witness != key.name());
    match witnesses.iter().find(missing) {
        Some(key) => Err(refused(format!("{} did not cosign it", key.name()))),
        None => Ok(cosigned),
    }
}

/// A file with a proof or a note, or standard input.
fn read(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let limit = MAX_PROOF_BYTES as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
