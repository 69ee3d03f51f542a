//! Warrants: break-glass as an executor believes it, offline.
//!
//! A warrant file brings two leaves with their proofs: a charter, which an HSM-signed checkpoint covers, and a warrant that enough
//! of the charter's operators signed. The one rule: nothing in the file is believed for its own sake; a [`Warrant`] is made only
//! when every step of `FORMAT.md` section 19 held, and lends a guard nothing that the charter does not. It tells nothing of
//! reviews, nor whether the charter was revoked since: who is offline cannot know. Feature `break-glass`.

mod error;
mod file;
mod held;

use std::fmt;

use assent_operators::Quorum;
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::break_glass::WARRANT_NAMESPACE;
use assent_proto::entry::{self, Charter, Entry};
use assent_proto::hash::Hash;
use assent_proto::note::{Note, NoteError, VerifierKey};
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::proof::InclusionProof;
use assent_proto::verify::{TrustedKey, TrustedWarrant, warrant_key_name};

pub use self::error::{Part, WarrantError};
pub use self::file::SCHEMA;
pub use self::held::AcceptError;
pub(crate) use self::held::Held;
use crate::limits::MAX_TRUSTED_KEYS;
use crate::trust::Trust;

/// Tells its holder that this warrant is in a trusted log's charter's name: the charter was under a checkpoint of the log, enough
/// of its operators signed, and window, uses and key are as they signed them. It does not tell that it still lives.
///
/// Only [`Warrant::parse`] makes one:
///
/// ```compile_fail,E0451
/// fn forge(warrant: assent_client::Warrant) -> assent_client::Warrant {
///     assent_client::Warrant { uses: u16::MAX, ..warrant }
/// }
/// ```
pub struct Warrant {
    origin: String,
    leaf: LeafIndex,
    key_name: String,
    key: [u8; 32],
    not_before: Timestamp,
    not_after: Timestamp,
    uses: u16,
    reason: String,
    signers: Vec<String>,
    /// The log's keys that signed for the charter.
    vouching: Vec<[u8; 32]>,
    /// The charter's leaf, whose scope it has.
    charter: Vec<u8>,
}

/// A leaf whose place in the tree of a checkpoint is proven, and signed for by nobody yet.
struct Proven<'p> {
    part: Part,
    proof: InclusionProof<'p>,
    leaf: Vec<u8>,
    hash: Hash,
}

impl Warrant {
    /// Parses a warrant file and verifies all of it: against the keys that are trusted now, and so that it can live now or later.
    ///
    /// # Errors
    /// [`WarrantError`]: the first step that fails.
    pub fn parse(text: &str, trust: &Trust, now: Timestamp) -> Result<Self, WarrantError> {
        let file = file::File::parse(text)?;
        let of_origin = trust.keys().iter().filter(|trusted| trusted.key.name() == file.origin);
        let in_dates = of_origin.filter(|trusted| trusted.not_before <= now && now <= trusted.not_after);
        let keys: Vec<VerifierKey<'_>> = in_dates.map(|trusted| trusted.key).collect();
        if keys.is_empty() {
            return Err(WarrantError::Origin(crate::quote::quoted(&file.origin)));
        }
        let charter = Proven::parse(Part::Charter, &file.charter)?;
        let vouching = charter.signed_by(&file.origin, &keys)?;
        let warrant = Proven::parse(Part::Warrant, &file.warrant)?;
        let verified = Self::verified(&file.origin, &charter, &warrant, &keys, now)?;
        Ok(Self { vouching, ..verified })
    }

    fn verified(
        origin: &str,
        charter: &Proven<'_>,
        warrant: &Proven<'_>,
        keys: &[VerifierKey<'_>],
        now: Timestamp,
    ) -> Result<Self, WarrantError> {
        let (Ok(Entry::Charter(ordered)), Ok(Entry::Warrant(given))) =
            (Entry::parse(&charter.leaf), Entry::parse(&warrant.leaf))
        else {
            return Err(WarrantError::Kinds);
        };
        ordered.check(origin).map_err(|cause| WarrantError::Act { part: Part::Charter, cause })?;
        if now > ordered.not_after {
            return Err(WarrantError::Over { part: Part::Charter, not_after: ordered.not_after });
        }
        let leaf = warrant.proof.index;
        let weak = |cause| WarrantError::Note { part: Part::Warrant, cause };
        let key_name = warrant_key_name(origin, leaf).map_err(weak)?;
        let mut signing = keys.to_vec();
        signing.push(VerifierKey::new(&key_name, &given.key).map_err(weak)?);
        warrant.signed_by(origin, &signing)?;
        if given.charter != charter.proof.index || leaf <= given.charter {
            return Err(WarrantError::Order);
        }
        given
            .check(origin, charter.hash)
            .map_err(|cause| WarrantError::Act { part: Part::Warrant, cause })?;
        given.fits(&ordered).map_err(WarrantError::Misfit)?;
        if now > given.not_after {
            return Err(WarrantError::Over { part: Part::Warrant, not_after: given.not_after });
        }
        let signers = signers_of(&given, &ordered)?;
        Ok(Self {
            origin: origin.to_owned(),
            leaf,
            key_name: key_name.as_str().to_owned(),
            key: given.key,
            // What the appliance decided before the warrant was in its log is not decided under it.
            not_before: given.not_before.max(given.time),
            not_after: given.not_after,
            uses: given.uses,
            reason: given.reason.to_owned(),
            signers,
            vouching: Vec::new(),
            charter: charter.leaf.clone(),
        })
    }

    /// Writes a warrant file: both proofs as C2SP tlog-proof has them, each with its leaf as `extra`.
    #[must_use]
    pub fn render(origin: &str, charter: &str, warrant: &str) -> String {
        file::render(origin, charter, warrant)
    }

    /// Origin of the log that it is in.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where it is in that log.
    #[must_use]
    pub const fn leaf(&self) -> LeafIndex {
        self.leaf
    }

    /// Nothing is decided under it before this.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Nor after this.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// How many uses it has.
    #[must_use]
    pub const fn uses(&self) -> u16 {
        self.uses
    }

    /// Why it was ordered.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Who ordered it, as the charter names them.
    #[must_use]
    pub fn signers(&self) -> &[String] {
        &self.signers
    }

    /// Whether one of these keys signed for its charter: one that this guard trusts must have.
    pub(crate) fn is_vouched_for_by(&self, keys: &[TrustedKey<'_>]) -> bool {
        let mut of_origin = keys.iter().filter(|trusted| trusted.key.name() == self.origin);
        of_origin.any(|trusted| self.vouching.contains(trusted.key.key().as_bytes()))
    }

    /// Whether the other is the same leaf of the same log, under the same charter, whoever signed for that.
    pub(crate) fn is_the_same_as(&self, other: &Self) -> bool {
        let of =
            |warrant: &Self| (warrant.leaf, warrant.key, warrant.not_before, warrant.not_after, warrant.uses);
        of(self) == of(other) && self.origin == other.origin && self.charter == other.charter
    }

    /// The same, vouched for by those who signed for another proof of its charter, too.
    pub(crate) fn vouched_for_as(mut self, other: &Self) -> Self {
        let more = other.vouching.iter().filter(|key| !self.vouching.contains(key)).copied();
        let more: Vec<_> = more.collect();
        self.vouching.extend(more);
        // LIMIT: over the years a log may have had more keys than a trust holds.
        self.vouching.truncate(MAX_TRUSTED_KEYS);
        self
    }

    pub(crate) const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// As a verifier trusts it.
    pub(crate) fn trusted(&self) -> Option<TrustedWarrant<'_>> {
        let Ok(Entry::Charter(charter)) = Entry::parse(&self.charter) else {
            return None;
        };
        let key = VerifierKey::new(&self.key_name, &self.key).ok()?;
        let Self { origin, leaf, not_before, not_after, uses, .. } = self;
        Some(TrustedWarrant {
            key,
            origin,
            leaf: *leaf,
            not_before: *not_before,
            not_after: *not_after,
            uses: *uses,
            scope: charter.scope(),
        })
    }
}

/// Who signed: those who are named, enough of the charter's operators, over the statement that was made again.
fn signers_of(given: &entry::Warrant<'_>, charter: &Charter<'_>) -> Result<Vec<String>, WarrantError> {
    let quorum = Quorum::of_lines(charter.operators.iter(), usize::from(charter.threshold));
    let quorum = quorum.map_err(|cause| WarrantError::Operators(Box::new(cause)))?;
    let signers =
        quorum.verify_named(WARRANT_NAMESPACE, given.statement.as_bytes(), &given.by, &given.signatures);
    signers.map(|signers| signers.names().to_vec()).map_err(|cause| WarrantError::Signatures(Box::new(cause)))
}

impl<'p> Proven<'p> {
    fn parse(part: Part, text: &'p str) -> Result<Self, WarrantError> {
        let proof = InclusionProof::parse(text).map_err(|cause| WarrantError::Proof { part, cause })?;
        let mut buffer = vec![0; proof.extra.map_or(0, str::len)];
        let leaf = proof.decoded_extra(&mut buffer).ok_or(WarrantError::Leaf { part })?.to_vec();
        Ok(Self { part, proof, hash: Hash::of_leaf(&leaf), leaf })
    }

    /// Which of these keys signed the checkpoint of this log that covers it: at least one, and none of them wrongly.
    fn signed_by(&self, origin: &str, keys: &[VerifierKey<'_>]) -> Result<Vec<[u8; 32]>, WarrantError> {
        let part = self.part;
        let refused = |cause| WarrantError::Note { part, cause };
        let note = Note::parse(self.proof.note).map_err(refused)?;
        let mut signed = Vec::new();
        for key in keys {
            match note.verify(key) {
                Ok(()) => signed.push(*key.key().as_bytes()),
                Err(NoteError::Unsigned) => {}
                Err(cause) => return Err(refused(cause)),
            }
        }
        let checkpoint = Checkpoint::parse(note.text()).map_err(|_| WarrantError::Unproven { part })?;
        if signed.is_empty() {
            return Err(refused(NoteError::Unsigned));
        }
        let leads = self.proof.leads_to(self.hash, checkpoint.size, checkpoint.root);
        if leads && checkpoint.origin == origin { Ok(signed) } else { Err(WarrantError::Unproven { part }) }
    }
}

impl fmt::Debug for Warrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Warrant({} leaf {}, until {})", self.origin, self.leaf, self.not_after)
    }
}
