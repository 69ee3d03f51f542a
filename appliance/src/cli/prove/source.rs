//! Where proofs are made from: the log's file, or its tiles over HTTP.
//!
//! Neither is believed: what is made is verified under the trusted keys before it is printed.

use std::path::PathBuf;

use crate::log::proof::{inclusion, opened, root};
use assent_proto::checkpoint::Checkpoint;
use assent_proto::hash::Hash;
use assent_proto::note::VerifierKey;
use assent_proto::number::{LeafIndex, TreeSize};

use super::super::log::Source;
use super::super::{Exit, Globals, failure};
use crate::cli::output::Failure;
use crate::config::Config;
use crate::control::ask_status;
use crate::http::remote::{RemoteError, RemoteLog};
use crate::log::fence::signed_note;
use crate::log::reader::{Near, Reader};
use crate::log::store::StoreError;

/// Which log, whom to trust, and how to read it.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Where {
    #[command(flatten)]
    pub(super) source: Source,
    /// Read the log over HTTP, from its tiles below this URL. By default a running appliance's own are, where it serves them.
    #[arg(long, value_name = "URL", conflicts_with = "log")]
    url: Option<String>,
}

/// A log to make proofs from.
pub(super) enum Log {
    /// Its file.
    Held { reader: Reader, origin: String, cosigned: Option<PathBuf> },
    /// Its tiles.
    Remote(RemoteLog),
}

impl Where {
    pub(super) fn open(&self, globals: &Globals) -> anyhow::Result<Log> {
        if let Some(url) = &self.url {
            return Ok(Log::Remote(RemoteLog::new(url)?));
        }
        if self.source.is_of_the_appliance()
            && let Some(url) = running(globals)?
        {
            return Ok(Log::Remote(RemoteLog::new(&url)?));
        }
        let reader = self.source.open(globals)?;
        let origin = reader.identity()?.origin;
        let own = || {
            Ok::<_, anyhow::Error>(crate::witness::cosigned_path(
                &Config::load(&globals.config)?.fence_file(),
            ))
        };
        let cosigned = self.source.is_of_the_appliance().then(own).transpose()?;
        Ok(Log::Held { reader, origin, cosigned })
    }

    /// The keys whose checkpoints are believed.
    pub(super) fn keys(&self, globals: &Globals) -> anyhow::Result<Vec<VerifierKey<'static>>> {
        Ok(self.source.trust(globals)?.keys().iter().map(|trusted| trusted.key).collect())
    }
}

/// Where the running appliance serves its log; none where no appliance runs.
fn running(globals: &Globals) -> anyhow::Result<Option<String>> {
    let config = Config::load(&globals.config)?;
    let Ok(status) = ask_status(&config.appliance.data) else { return Ok(None) };
    match status.http {
        Some(address) => Ok(Some(format!("http://{address}"))),
        None => {
            let message = "the appliance runs and holds its log, and `listen.http` is off; stop it, or work on a copy with --log";
            Err(Failure { message: message.to_owned(), exit: Exit::Failed }.into())
        }
    }
}

impl Log {
    /// The newest checkpoint, or the one of this size, as a note with all signatures.
    pub(super) fn note(&self, size: Option<u64>, keys: &[VerifierKey<'_>]) -> anyhow::Result<String> {
        match self {
            Self::Held { reader, origin, cosigned } => held(reader, origin, cosigned.as_ref(), size),
            Self::Remote(remote) => {
                let note = remote.note().map_err(|error| unread(&error))?;
                let served = opened(&note, keys.iter().copied()).map_err(|error| invalid(&error))?.size;
                match size {
                    Some(size) if size != served.0 => Err(failed(format!(
                        "the newest checkpoint that is served is of size {served}, and no other is; for size {size}, stop the appliance \
                         or name its log with --log"
                    ))),
                    Some(_) | None => Ok(note),
                }
            }
        }
    }

    /// A perfect subtree of the tree of `size` leaves.
    pub(super) fn node(&self, level: u32, index: u64, size: TreeSize) -> anyhow::Result<Hash> {
        match self {
            Self::Held { reader, .. } => Ok(reader.node(level, index)?),
            Self::Remote(remote) => remote.node(level, index, size).map_err(|error| unread(&error)),
        }
    }

    /// The bytes of a leaf; none where the source does not give entries.
    pub(super) fn leaf(&self, index: LeafIndex, size: TreeSize) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Self::Held { reader, .. } => match reader.leaves(index.0..index.0.saturating_add(1)) {
                Ok(leaves) => Ok(leaves.get(0).map(<[u8]>::to_vec)),
                Err(StoreError::Archived { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            },
            Self::Remote(remote) => remote.leaf(index, size).map_err(|error| unread(&error)),
        }
    }

    /// The hash of a leaf and its path, verified under the checkpoint.
    pub(super) fn path(
        &self,
        index: LeafIndex,
        checkpoint: &Checkpoint<'_>,
    ) -> anyhow::Result<(Hash, Vec<Hash>)> {
        let size = checkpoint.size;
        let path = inclusion(index, size, |level, index| self.node(level, index, size))?;
        let Some(path) = path else {
            return Err(failed(format!(
                "leaf {index} is not under the newest checkpoint, of size {size}; ask again when there is a newer one"
            )));
        };
        let leaf_hash = self.node(0, index.0, size)?;
        let leads = assent_proto::tree::inclusion::root(leaf_hash, index, size, path.iter().copied());
        if leads == Some(checkpoint.root) { Ok((leaf_hash, path)) } else { Err(damaged(checkpoint)) }
    }

    /// The root of the tree as it was at an earlier size.
    pub(super) fn root_at(&self, old: TreeSize, size: TreeSize) -> anyhow::Result<Hash> {
        root(old, |level, index| self.node(level, index, size))
    }
}

/// A checkpoint of the log's file, with the cosignatures where it is the one that has them.
fn held(
    reader: &Reader,
    origin: &str,
    cosigned: Option<&PathBuf>,
    size: Option<u64>,
) -> anyhow::Result<String> {
    let newest = reader.checkpoint()?.ok_or_else(|| failed("no checkpoint is signed yet".to_owned()))?;
    let signed = match size.map(TreeSize) {
        None => newest,
        Some(size) if size == newest.size => newest,
        Some(TreeSize(size)) if size == 0 || size > newest.size.0 => {
            let newest = newest.size;
            return Err(failed(format!(
                "no checkpoint was signed at size {size}; the newest is at {newest}"
            )));
        }
        Some(size) => {
            let near = reader.checkpoints_near(size)?;
            near.at
                .ok_or_else(|| failed(format!("no checkpoint was signed at size {size}; {}", around(near))))?
        }
    };
    let note = cosigned.and_then(|path| crate::witness::note_of(path, origin, &signed));
    Ok(note.unwrap_or_else(|| signed_note(origin, &signed)))
}

fn around(near: Near) -> String {
    let sizes: Vec<String> =
        near.below.iter().chain(&near.above).map(|signed| signed.size.to_string()).collect();
    if sizes.is_empty() {
        "none near it is here".to_owned()
    } else {
        format!("the nearest are at {}", sizes.join(" and "))
    }
}

pub(super) fn failed(message: String) -> anyhow::Error {
    Failure { message, exit: Exit::Failed }.into()
}

pub(super) fn refused(message: String) -> anyhow::Error {
    Failure { message, exit: Exit::Invalid }.into()
}

pub(super) fn invalid(error: &(dyn std::error::Error + 'static)) -> anyhow::Error {
    failure(error, Exit::Invalid)
}

pub(super) fn damaged(checkpoint: &Checkpoint<'_>) -> anyhow::Error {
    refused(format!(
        "what the log holds does not lead to its own checkpoint of size {}: run `assent log verify` on a copy",
        checkpoint.size
    ))
}

/// Nobody answers; or what answers is no log.
fn unread(error: &RemoteError) -> anyhow::Error {
    match error {
        RemoteError::Unreachable(_) => failure(error, Exit::Unavailable),
        RemoteError::Roots(_) | RemoteError::Refused { .. } => failure(error, Exit::Failed),
        RemoteError::Other { .. } => failure(error, Exit::Invalid),
    }
}
