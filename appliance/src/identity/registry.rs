//! The register: which certificates this appliance gave to which agents, and which it took back.
//!
//! The one rule: a certificate is good while the register has it and nothing in the register revokes it; in doubt the
//! register that was read last stays. A file in the data folder, written whole by commands and looked at by the server.
//! What it does not do: notice by itself that the file changed; whoever serves asks [`Registry::reload_if_changed`].

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use super::ca::Issued;
use super::certificate::{Peer, Serial};
use super::spiffe::SpiffeId;
use super::write_durably;
use crate::limits::MAX_REGISTRY_BYTES;

const SCHEMA: &str = "assent.v1.agents";

/// One certificate of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What operators call the agent.
    pub name: String,
    /// Its SPIFFE ID.
    pub id: SpiffeId,
    /// The certificate's serial number. None only where it revokes: it then stands for every certificate of that ID.
    pub serial: Option<Serial>,
    /// When it was enrolled, in milliseconds since 1970.
    pub enrolled_at_ms: u64,
    /// When the certificate ends, if it stands for one.
    pub expires_at_ms: Option<u64>,
    /// When it was revoked, if it was.
    pub revoked_at_ms: Option<u64>,
}

/// The register as it was read.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    records: BTreeMap<SpiffeId, Vec<Record>>,
}

/// The register's file, and what was read from it last.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    read: RwLock<Arc<Agents>>,
    /// What the file looked like when it was read; none where there was none.
    seen: Mutex<Option<Stamp>>,
}

/// A file that was replaced differs in at least one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

/// The file's shape.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    agents: Vec<Record>,
}

/// Why the register cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The file system could not.
    #[error("cannot {doing} the register of agents {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It was there and is gone.
    #[error("the register of agents {} is gone; put it back, or enroll the agents again", path.display())]
    Gone {
        /// Which file.
        path: PathBuf,
    },
    /// It is not a register.
    #[error("{} is no register of agents (`{SCHEMA}`); put the last good one back", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where it is wrong.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// It grew too large.
    #[error("the register of agents {} is longer than {MAX_REGISTRY_BYTES} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
}

impl Record {
    /// The record of a certificate that was just issued.
    #[must_use]
    pub fn new(name: &str, id: SpiffeId, issued: &Issued, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            id,
            serial: Some(issued.serial.clone()),
            enrolled_at_ms: now.0,
            expires_at_ms: Some(issued.expires.0),
            revoked_at_ms: None,
        }
    }
}

impl Agents {
    /// Whether this certificate of this agent was taken back.
    ///
    /// A serial number that the register does not know counts as revoked when anything of that ID is: it may be a
    /// certificate that another CA gave to an agent which operators meant to shut out.
    #[must_use]
    pub fn is_revoked(&self, id: &SpiffeId, serial: &Serial) -> bool {
        let of_id = self.of(id);
        match of_id.iter().find(|record| record.serial.as_ref() == Some(serial)) {
            Some(record) => record.revoked_at_ms.is_some(),
            None => of_id.iter().any(|record| record.revoked_at_ms.is_some()),
        }
    }

    /// Whether the register has this certificate of this agent, revoked or not.
    #[must_use]
    pub fn knows(&self, id: &SpiffeId, serial: &Serial) -> bool {
        self.of(id).iter().any(|record| record.serial.as_ref() == Some(serial))
    }

    /// Every record, by SPIFFE ID; those of one in the order in which they were enrolled.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.records.values().flatten()
    }

    /// Every agent that is not revoked, by the certificate of theirs that ends last: those before it were renewed.
    pub fn standing(&self) -> impl Iterator<Item = &Record> {
        self.records.values().filter_map(|records| {
            let good = records.iter().filter(|record| record.revoked_at_ms.is_none());
            good.max_by_key(|record| record.expires_at_ms)
        })
    }

    /// When the first agent is left without a certificate that is good.
    #[must_use]
    pub fn first_expiry(&self) -> Option<Timestamp> {
        self.standing().filter_map(|record| record.expires_at_ms).min().map(Timestamp)
    }

    fn of(&self, id: &SpiffeId) -> &[Record] {
        self.records.get(id).map_or(&[], Vec::as_slice)
    }

    fn push(&mut self, record: Record) {
        self.records.entry(record.id.clone()).or_default().push(record);
    }

    fn revoke(&mut self, id: &SpiffeId, now: Timestamp) -> usize {
        let good = self.records.get_mut(id).into_iter().flatten();
        let good = good.filter(|record| record.revoked_at_ms.is_none());
        good.map(|record| record.revoked_at_ms = Some(now.0)).count()
    }
}

impl Registry {
    /// Reads the register; where there is no file yet, it is empty.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn open(path: &Path) -> Result<Self, RegistryError> {
        let (agents, stamp) = read(path)?.unzip();
        Ok(Self {
            path: path.to_owned(),
            read: RwLock::new(Arc::new(agents.unwrap_or_default())),
            seen: Mutex::new(stamp),
        })
    }

    /// The register as it was read last; cheap.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Agents> {
        Arc::clone(&self.read.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this peer may stay connected. `accept_unregistered`: one that the register does not know may too, because
    /// production brings its own CA.
    #[must_use]
    pub fn admits(&self, peer: &Peer, accept_unregistered: bool) -> bool {
        let agents = self.snapshot();
        let known = accept_unregistered || agents.knows(&peer.id, &peer.serial);
        known && !agents.is_revoked(&peer.id, &peer.serial)
    }

    /// Reads the file again if it is another than the one that was read; tells whether it was.
    ///
    /// # Errors
    /// [`RegistryError`]; the register that was read last stays.
    pub fn reload_if_changed(&self) -> Result<bool, RegistryError> {
        let mut seen = self.seen();
        let stamp = match std::fs::metadata(&self.path) {
            Ok(metadata) => Some(Stamp::of(&metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(file_error("look at", &self.path)(source)),
        };
        if stamp == *seen {
            return Ok(false);
        }
        let (agents, stamp) =
            read(&self.path)?.ok_or_else(|| RegistryError::Gone { path: self.path.clone() })?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(agents);
        *seen = Some(stamp);
        Ok(true)
    }

    /// Adds a certificate that is about to be given out.
    ///
    /// # Errors
    /// [`RegistryError`]; the file is then as it was.
    pub fn add(&self, record: &Record) -> Result<(), RegistryError> {
        self.change(|agents| agents.push(record.clone()))
    }

    /// Takes back every certificate of this agent; tells how many were good until now. One that the register does not
    /// know is shut out as well, whatever certificate it shows.
    ///
    /// # Errors
    /// [`RegistryError`]; the file is then as it was.
    pub fn revoke(&self, id: &SpiffeId, now: Timestamp) -> Result<usize, RegistryError> {
        self.change(|agents| {
            if agents.of(id).is_empty() {
                agents.push(Record {
                    name: id.path().to_owned(),
                    id: id.clone(),
                    serial: None,
                    enrolled_at_ms: now.0,
                    expires_at_ms: None,
                    revoked_at_ms: Some(now.0),
                });
            }
            agents.revoke(id, now)
        })
    }

    /// Reads, changes and writes, while no other command can.
    fn change<T>(&self, change: impl FnOnce(&mut Agents) -> T) -> Result<T, RegistryError> {
        let mut seen = self.seen();
        let lock_path = self.path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(file_error("lock", &lock_path))?;
        lock.lock().map_err(file_error("lock", &lock_path))?;
        let mut agents = match read(&self.path)? {
            Some((agents, _)) => agents,
            None if seen.is_some() => return Err(RegistryError::Gone { path: self.path.clone() }),
            None => Agents::default(),
        };
        let outcome = change(&mut agents);
        write(&self.path, &agents)?;
        let metadata = std::fs::metadata(&self.path).map_err(file_error("look at", &self.path))?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(agents);
        *seen = Some(Stamp::of(&metadata));
        Ok(outcome)
    }

    fn seen(&self) -> MutexGuard<'_, Option<Stamp>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What is in the file, and the stamp of the very file that was read; none where there is none.
fn read(path: &Path) -> Result<Option<(Agents, Stamp)>, RegistryError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file_error("open", path)(source)),
    };
    let stamp = Stamp::of(&file.metadata().map_err(file_error("look at", path))?);
    let mut bytes = Vec::new();
    file.take(MAX_REGISTRY_BYTES + 1).read_to_end(&mut bytes).map_err(file_error("read", path))?;
    if bytes.len() as u64 > MAX_REGISTRY_BYTES {
        return Err(RegistryError::TooLarge { path: path.to_owned() });
    }
    let malformed = |source| RegistryError::Malformed { path: path.to_owned(), source };
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| malformed(Some(error)))?;
    // A record without a serial number may revoke; it can never admit.
    let admits_all = |record: &Record| record.serial.is_none() && record.revoked_at_ms.is_none();
    if document.schema != SCHEMA || document.agents.iter().any(admits_all) {
        return Err(malformed(None));
    }
    let mut agents = Agents::default();
    document.agents.into_iter().for_each(|record| agents.push(record));
    Ok(Some((agents, stamp)))
}

fn write(path: &Path, agents: &Agents) -> Result<(), RegistryError> {
    let document = Document { schema: SCHEMA.to_owned(), agents: agents.iter().cloned().collect() };
    let mut text = serde_json::to_vec_pretty(&document)
        .map_err(|error| RegistryError::Malformed { path: path.to_owned(), source: Some(error) })?;
    text.push(b'\n');
    if text.len() as u64 > MAX_REGISTRY_BYTES {
        return Err(RegistryError::TooLarge { path: path.to_owned() });
    }
    write_durably(path, &text, 0o600).map_err(file_error("write", path))
}

fn file_error(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::File { doing, path, source }
}
