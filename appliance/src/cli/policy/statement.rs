//! `assent policy statement`: what operators sign for a bundle.
//!
//! Only the statement goes to standard output, byte for byte what is signed; the command to sign it goes to standard error.

use std::io::Write as _;
use std::path::PathBuf;

use assent_compiler::Bundle;
use assent_proto::hash::Hash;

use super::{folder, invalid};
use crate::cli::{Exit, Failure, Globals};
use crate::policy::{NAMESPACE, Offer, Statement};

/// Which bundle.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// The bundle's folder; by default the configured one.
    bundle: Option<PathBuf>,
    /// State that it replaces this higher version.
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    downgrade_from: Option<u64>,
}

/// Runs the command.
pub(super) fn run(options: Options, globals: &Globals) -> anyhow::Result<Exit> {
    let folder = folder(options.bundle, globals)?;
    let offer = Offer::read(&folder)?;
    offer.check_packed().map_err(|error| invalid(&error))?;
    let version = offer.manifest.version;
    // Nobody should sign what cannot be loaded.
    let bundle = Bundle::compile(offer.sources).map_err(|error| invalid(&error))?;
    let replaces = options.downgrade_from;
    if replaces.is_some_and(|replaced| version.is_some_and(|version| version >= replaced)) {
        let message = "the bundle is no older than that; leave --downgrade-from out".to_owned();
        return Err(Failure { message, exit: Exit::Failed }.into());
    }
    let statement = Statement { digest: Hash(bundle.digest()), version, replaces };
    let mut out = crate::cli::stdout();
    write!(out, "{statement}")?;
    out.flush()?;
    let _ = writeln!(
        crate::cli::stderr(),
        "write it to a file, and sign that with `ssh-keygen -Y sign -n {NAMESPACE} -f KEY FILE`"
    );
    Ok(Exit::Done)
}
