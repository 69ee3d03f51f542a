//! The ceremony that opens log n+1: for a key that may be in wrong hands, or a log that is not what its fences have seen.
//!
//! The rule it keeps: nothing is written before enough operators have signed a statement that names every last head of the
//! old log that anybody knows, and the new log's key; and nothing of the old log is ever written. The commit of the first
//! round decides: before it nothing was opened and the same command may be given again, after it the log is open and the
//! command finishes what a kill left. (`proto/FORMAT.md`, section 8.)

use std::path::Path;

use assent_proto::checkpoint::CheckpointError;
use assent_proto::entry::{Entry, KeyAdded, OperatorAct, Salt};
use assent_proto::limits::MAX_ACT_SIGNATURES;
use assent_proto::note::{NoteError, VerifierKey};
use assent_proto::number::{Epoch, LeafIndex, Timestamp};
use assent_proto::tree::Frontier;

use super::logs::{keyring_file_of, log_file_of, newest};
use super::{ProvisionError, file, keyrings_before, log_file, refuse_fenced};
use crate::config::{Config, HsmFence};
use crate::control::{self, ControlError};
use crate::hsm::{FaultKind, HsmFault, InHsm, Signer};
use crate::limits::SIGNER_START_DEADLINE;
use crate::log::disk::system;
use crate::log::fence::{Fence, FenceError, signed_note};
use crate::log::hex::hex;
use crate::log::keyring::{Keyring, KeyringError};
use crate::log::predecessor::{ACT, Head, Statement, is_reason};
use crate::log::reader::Reader;
use crate::log::second_fence::{label, newest_note};
use crate::log::store::{Identity, Store, StoreError};
use crate::log::{Commit, Fatal, Leaves, Log, OpenError, SignedCheckpoint, Unsigned};
use crate::operators::{SignatureFile, Signers};
use crate::token::rearm::evidence;

/// Why no log was opened.
#[derive(Debug, thiserror::Error)]
pub enum SuccessionError {
    /// The configured log is the first one.
    #[error(
        "`appliance.log` is 1, and the first log follows no other; raise it to the number of the log that is to be opened"
    )]
    First,
    /// The configured number does not follow the newest log.
    #[error("the newest log here is {newest}; the next one is {}, and `appliance.log` is {configured}", newest.saturating_add(1))]
    Number {
        /// What the configuration names.
        configured: u32,
        /// The newest log in the data folder; 0 where there is none.
        newest: u32,
    },
    /// The old log's keys are not here.
    #[error("the key ring {} is missing, without which no head of the old log can be believed; restore it from a backup", .0.display())]
    NoRing(std::path::PathBuf),
    /// Nothing was ever signed in the old log.
    #[error(
        "`{0}` was never used: no checkpoint of it is known, so there is nothing to succeed; serve it, or found it anew"
    )]
    Unused(String),
    /// The appliance runs, or somebody else has the old log open.
    #[error("the appliance runs, or another process has its log open; stop it first")]
    Running,
    /// The key is one of an older log.
    #[error(
        "key {key} is one of `{origin}`, and no log is opened for a key of an older one; make another with `assent keys generate \
         --key-id`, and name it as `hsm.key_id`"
    )]
    KeyInUse {
        /// Its `CKA_ID`.
        key: String,
        /// Whose it is.
        origin: String,
    },
    /// The reason is none that can be signed.
    #[error(
        "a reason is one line of 1 to {} bytes, without control characters",
        crate::limits::MAX_SUCCESSION_REASON_BYTES
    )]
    Reason,
    /// There is such a log, and it was opened by another statement.
    #[error("`{0}` is open already, by another statement; nothing was changed")]
    Opened(String),
    /// What a killed ceremony left is for another key.
    #[error("{} is left of a ceremony for another key; it holds nothing: remove it and its key ring, or name that key", .0.display())]
    OtherKey(std::path::PathBuf),
    /// Provisioning could not.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The HSM failed.
    #[error(transparent)]
    Hsm(#[from] HsmFault),
    /// The key or the origin is none.
    #[error("the HSM's key cannot sign for the new log")]
    Key(#[from] NoteError),
    /// The origin is none.
    #[error("the new log's origin is none")]
    Origin(#[from] CheckpointError),
    /// The new log cannot be opened.
    #[error("cannot open the new log")]
    Open(#[from] OpenError),
    /// Its state is unknown: the command may be given again.
    #[error("the new log's state is unknown; give the same command again")]
    Fatal(#[from] Fatal),
    /// Its fence cannot be written; the log is open, and the same command tries it again.
    #[error(transparent)]
    Fence(#[from] FenceError),
    /// What was to be written does not fit an entry.
    #[error("statement and signatures do not fit an entry; give fewer signatures")]
    TooLong,
}

impl From<StoreError> for SuccessionError {
    fn from(error: StoreError) -> Self {
        Self::Provision(error.into())
    }
}

impl From<KeyringError> for SuccessionError {
    fn from(error: KeyringError) -> Self {
        Self::Provision(error.into())
    }
}

/// What became of the ceremony.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The log is open from now on.
    Opened,
    /// It was opened by this statement before.
    WasOpen,
}

/// A ceremony that may be held: everything was looked at, and nothing written.
#[derive(Debug)]
pub struct Succession<'c> {
    config: &'c Config,
    signer: Signer,
    statement: Statement,
}

impl<'c> Succession<'c> {
    /// Looks at the old log, its fences and the new key, and states what is to be signed. `start` gives a signer with the key
    /// that `hsm.key_id` names.
    ///
    /// # Errors
    /// [`SuccessionError`].
    pub fn prepare(
        config: &'c Config,
        reason: &str,
        start: impl FnOnce() -> Result<Signer, SuccessionError>,
    ) -> Result<Self, SuccessionError> {
        if !is_reason(reason) {
            return Err(SuccessionError::Reason);
        }
        let old = predecessor(config)?;
        refuse_running(config)?;
        let path = keyring_file_of(config, old);
        let keys = Keyring::load(&path)?.ok_or(SuccessionError::NoRing(path))?;
        let log = log_head(&log_file_of(config, old), &keys)?;
        let fence = match Fence::open(system(), &config.fence.file(old), &keys) {
            Ok((_, held)) => Head::of(keys.origin(), held.as_ref()),
            Err(_) => Head::Unread,
        };
        let mut signer = start()?;
        let to = config.origin();
        let key = VerifierKey::new(&to, &signer.identity().public_key)?;
        refuse_older_key(config, &key)?;
        let hsm = hsm_head(config, &mut signer, &keys)?;
        let statement = Statement {
            from: keys.origin().to_owned(),
            key: key.to_string(),
            to,
            log,
            fence,
            hsm,
            reason: reason.to_owned(),
        };
        if statement.newest().is_none() && statement.log == Head::None {
            return Err(SuccessionError::Unused(statement.from));
        }
        Ok(Self { config, signer, statement })
    }

    /// What operators sign, byte for byte.
    #[must_use]
    pub const fn statement(&self) -> &Statement {
        &self.statement
    }

    /// Opens the log, as these operators have signed.
    ///
    /// # Errors
    /// [`SuccessionError`]; the command may be given again.
    pub fn carry_out(
        mut self,
        by: &Signers,
        signatures: &[SignatureFile],
        now: Timestamp,
    ) -> Result<Outcome, SuccessionError> {
        let path = log_file(self.config);
        let begun = self.has_begun(&path)?;
        if !begun {
            refuse_fenced(self.config, &mut self.signer)?;
        }
        let mut log = self.found(&path, now)?;
        if !begun {
            self.commit_first_round(&mut log, by, signatures, now)?;
        }
        self.fence(&mut log, now)?;
        log.close()?;
        Ok(if begun { Outcome::WasOpen } else { Outcome::Opened })
    }

    /// Whether the new log has its first round, by this statement. It is let go of again, for the log is opened next.
    fn has_begun(&self, path: &Path) -> Result<bool, SuccessionError> {
        if !path.exists() {
            return Ok(false);
        }
        let found = Reader::open(path).map_err(busy)?;
        if found.size()?.0 == 0 {
            return Ok(false);
        }
        let same = Statement::of(&found)?.as_ref() == Some(&self.statement);
        if same { Ok(true) } else { Err(SuccessionError::Opened(self.statement.to.clone())) }
    }

    /// The new log, empty or as a kill left it. The ring first: a ring without a log is made again.
    fn found(&self, path: &Path, now: Timestamp) -> Result<Log, SuccessionError> {
        let Statement { to, key, .. } = &self.statement;
        let ring = keyring_file_of(self.config, self.config.appliance.log);
        let keys = match Keyring::load(&ring)? {
            Some(keys) if path.exists() && keys.founding().vkey != *key => {
                return Err(SuccessionError::OtherKey(path.to_owned()));
            }
            Some(keys) if path.exists() => keys,
            Some(_) | None => Keyring::found(&ring, &VerifierKey::parse(key)?, &self.config.hsm.key_id, now)?,
        };
        let fence = self.config.fence_file();
        let folder = fence.parent().unwrap_or_else(|| Path::new("."));
        std::fs::create_dir_all(folder).map_err(file("make", folder))?;
        if !path.exists() {
            Store::create(path, &Identity::new(to, key))?;
        }
        Ok(Log::open(path, &fence, keys)?)
    }

    /// The statement and the key under one signed checkpoint.
    fn commit_first_round(
        &mut self,
        log: &mut Log,
        by: &Signers,
        signatures: &[SignatureFile],
        now: Timestamp,
    ) -> Result<(), SuccessionError> {
        let key = VerifierKey::parse(&self.statement.key)?;
        let (leaves, frontier) = first_round(&self.statement, by, signatures, now)?;
        let (size, root) = (frontier.size(), frontier.root());
        let checkpoint = assent_proto::checkpoint::Checkpoint { origin: key.name(), size, root };
        let text = checkpoint.text()?;
        let signature = self.signer.sign(text.as_bytes(), SIGNER_START_DEADLINE)?;
        if key.verify(text.as_bytes(), &signature).is_err() {
            return Err(HsmFault::new(FaultKind::SignatureInvalid, "").into());
        }
        let commit = Commit {
            first: LeafIndex(0),
            leaves: vec![&leaves],
            requests: Vec::new(),
            answers: Vec::new(),
            rows: Vec::new(),
            frontier: &frontier,
            checkpoint: Some(SignedCheckpoint { size, root, key_id: key.id(), signature, successor: None }),
            epoch: Epoch(0),
            lowest_epoch: Epoch(0),
            unsigned: Unsigned::default(),
            time: now,
        };
        let _receipt = log.commit(&commit)?;
        Ok(())
    }

    /// Both fences at the first checkpoint: whoever deletes the new log and holds the ceremony again is refused.
    fn fence(&mut self, log: &mut Log, now: Timestamp) -> Result<(), SuccessionError> {
        log.advance_fence()?;
        let wanted = self.config.fence.hsm != HsmFence::Off && log.keys().fenced_in_hsm().is_none();
        let Some(signed) = log.signed().copied().filter(|_| wanted) else { return Ok(()) };
        let origin = log.keys().origin();
        let note = signed_note(origin, &signed);
        let kept = self.signer.keep_fence(&label(origin), note.as_bytes(), SIGNER_START_DEADLINE)?;
        if kept == InHsm::Kept(()) {
            log.note_second_fence(Some(now))?;
        }
        Ok(())
    }
}

/// The number of the log that is succeeded: the one before the configured one, and the newest but for that.
fn predecessor(config: &Config) -> Result<u32, SuccessionError> {
    let configured = config.appliance.log;
    let old = configured.checked_sub(1).filter(|old| *old > 0).ok_or(SuccessionError::First)?;
    let newest = newest(config).unwrap_or(0);
    let ring_is_here = keyring_file_of(config, old).exists();
    // The old log's own file may be what was lost; its ring is not to be.
    let follows = newest == old || newest == configured || (newest < old && ring_is_here);
    if follows { Ok(old) } else { Err(SuccessionError::Number { configured, newest }) }
}

/// An appliance that answers runs; so does one that has the log open, whether it answers or not.
fn refuse_running(config: &Config) -> Result<(), SuccessionError> {
    match control::ask_status(&config.appliance.data) {
        // Whether one runs that cannot be asked, the log's lock tells.
        Err(ControlError::Silent { .. } | ControlError::Unreached { .. }) => Ok(()),
        Ok(_) | Err(_) => Err(SuccessionError::Running),
    }
}

fn busy(error: StoreError) -> SuccessionError {
    if matches!(error, StoreError::Busy) { SuccessionError::Running } else { error.into() }
}

/// The old log's own last head. One that cannot be read is a reason to be here.
fn log_head(path: &Path, keys: &Keyring) -> Result<Head, SuccessionError> {
    let reader = match Reader::open(path) {
        Ok(reader) => reader,
        Err(StoreError::Busy) => return Err(SuccessionError::Running),
        Err(_) => return Ok(Head::Unread),
    };
    Ok(match reader.checkpoint() {
        Ok(Some(signed)) if !keys.verifies(&signed) => Head::Unread,
        Ok(signed) => Head::of(keys.origin(), signed.as_ref()),
        Err(_) => Head::Unread,
    })
}

/// What the HSM has seen of the old log.
fn hsm_head(config: &Config, signer: &mut Signer, keys: &Keyring) -> Result<Head, SuccessionError> {
    if config.fence.hsm == HsmFence::Off {
        return Ok(Head::Unread);
    }
    match signer.fence(&label(keys.origin()), SIGNER_START_DEADLINE)? {
        InHsm::Refused(why) if config.fence.hsm == HsmFence::On => {
            Err(HsmFault::new(FaultKind::DataRefused, why).into())
        }
        InHsm::Refused(_) => Ok(Head::Unread),
        InHsm::Kept(kept) => Ok(match newest_note(&kept.values, keys) {
            (Some(held), _) => Head::of(keys.origin(), Some(&held)),
            (None, Some(_)) => Head::Unread,
            (None, None) => Head::None,
        }),
    }
}

/// A key that served a log before must not found another: who has it could sign in both.
fn refuse_older_key(config: &Config, key: &VerifierKey<'_>) -> Result<(), SuccessionError> {
    let id = hex(&config.hsm.key_id);
    for ring in keyrings_before(config)? {
        let all = ring.keys().map(|key| (&key.cka_id, &key.vkey));
        let next = ring.next().map(|next| (&next.cka_id, &next.vkey));
        let is_same = |vkey: &str| VerifierKey::parse(vkey).is_ok_and(|other| other.key() == key.key());
        if all.chain(next).any(|(cka_id, vkey)| *cka_id == id || is_same(vkey)) {
            return Err(SuccessionError::KeyInUse { key: id, origin: ring.origin().to_owned() });
        }
    }
    Ok(())
}

/// The leaves of the first round, and the tree that they make.
fn first_round(
    statement: &Statement,
    by: &Signers,
    signatures: &[SignatureFile],
    now: Timestamp,
) -> Result<(Leaves, Frontier), SuccessionError> {
    let (text, evidence) = (statement.to_string(), evidence(signatures));
    let act = OperatorAct {
        salt: salt()?,
        time: now,
        epoch: Epoch(0),
        act: ACT,
        by: by.names().iter().take(MAX_ACT_SIGNATURES).map(String::as_str).collect(),
        statement: &text,
        signatures: evidence.iter().map(String::as_str).collect(),
    };
    let key = KeyAdded { salt: salt()?, time: now, vkey: &statement.key };
    let (mut leaves, mut frontier) = (Leaves::default(), Frontier::new());
    for entry in [Entry::Operator(act), Entry::Key(key)] {
        let hash = leaves.push(&entry).map_err(|_| SuccessionError::TooLong)?;
        frontier.append(hash).map_err(|_| SuccessionError::TooLong)?;
    }
    // What a reader would refuse is not written.
    let readable = leaves.iter().all(|leaf| Entry::parse(leaf).is_ok());
    if readable { Ok((leaves, frontier)) } else { Err(SuccessionError::TooLong) }
}

fn salt() -> Result<Salt, SuccessionError> {
    let mut salt = Salt::default();
    let random = getrandom::fill(&mut salt.0).map_err(std::io::Error::other);
    random.map_err(file("take random bytes for", Path::new("the first entry")))?;
    Ok(salt)
}
