//! `assent policy compile`: a bundle as one file, with the image and the snapshot that its sources give.
//!
//! The file is what is carried to an appliance, signed or not: `policy load FILE`. Compiling the same bundle again gives the
//! same bytes, so that others can check what was compiled.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use assent_compiler::{Bundle, BundleFile};
use assent_proto::hash::Hash;

use super::{folder, invalid};
use crate::cli::{Exit, Format, Globals};
use crate::policy::Offer;
use crate::shown::counted;

/// Which bundle, and where to.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The bundle's folder; by default the configured one.
    bundle: Option<PathBuf>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Runs the command.
pub(super) fn run(options: Options, globals: &Globals) -> anyhow::Result<Exit> {
    let folder = folder(options.bundle, globals)?;
    let offer = Offer::read(&folder)?;
    offer.check_packed().map_err(|error| invalid(&error))?;
    let attachments = offer.attachments();
    let bundle = Bundle::compile(offer.sources).map_err(|error| invalid(&error))?;
    let file = BundleFile::of(&bundle, &attachments);
    let bytes = file.to_bytes().map_err(|error| invalid(&error))?;
    // Beside its place and renamed: nobody loads half of it.
    let unfinished = options.to.with_extension("unfinished");
    std::fs::write(&unfinished, &bytes).with_context(|| format!("cannot write {}", unfinished.display()))?;
    std::fs::rename(&unfinished, &options.to)
        .with_context(|| format!("cannot name {}", options.to.display()))?;
    let (image, snapshot) = file.sizes();
    let (digest, image_digest) = (Hash(bundle.digest()), Hash(file.image_digest()));
    let mut out = crate::cli::stdout();
    match globals.output {
        Format::Json | Format::Jsonl => {
            let json = serde_json::json!({
                "schema": "assent.v1.policy.compile", "file": options.to, "bytes": bytes.len(),
                "digest": digest.to_string(), "image_digest": image_digest.to_string(), "image_bytes": image,
                "snapshot_bytes": snapshot, "version": offer.manifest.version, "signatures": offer.signatures.len(),
            });
            writeln!(out, "{}", crate::shown::json(&json))?;
        }
        Format::Table => {
            writeln!(out, "{} holds {} bytes", options.to.display(), bytes.len())?;
            writeln!(out, "  digest      {digest}")?;
            writeln!(out, "  image       {image_digest}, {image} bytes")?;
            writeln!(out, "  snapshot    {snapshot} bytes")?;
            let version = offer.manifest.version.map_or("none".to_owned(), |version| version.to_string());
            let signatures = counted(offer.signatures.len() as u64, "signature", "signatures");
            writeln!(out, "  version     {version}, {signatures}")?;
        }
    }
    Ok(Exit::Done)
}
