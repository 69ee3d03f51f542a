//! Admission: what a bundle must be before it may decide.
//!
//! The one rule: all of it, or not at all. It compiles, its worst case is within the budget, its ids fit an entry, a SPIFFE ID
//! names one entity, it is no older than the one in force unless an operator says so, and enough operators signed just
//! this. Compiling is the compiler's; whether the result is put in force is the loader's.

use assent_compiler::{Bundle, BundleError, Sources};
use assent_doors::shelf::ShelfError;
use assent_evaluator::DEFAULT_BUDGET;
use assent_proto::hash::Hash;
use assent_proto::limits::MAX_POLICY_ID_BYTES;

use super::approvers::Approvers;
use super::offer::{Offer, OfferError};
use super::snapshot::{Provenance, Snapshot};
use super::statement::{NAMESPACE, Statement};

use crate::limits::MAX_REASON_BYTES;
use crate::operators::{Quorum, QuorumError};

/// Why a bundle is refused; the one before stays in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is none to be read.
    #[error(transparent)]
    Offer(#[from] OfferError),
    /// It does not compile.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// One evaluation could use more fuel than is allowed.
    #[error(
        "the worst case is {worst_case} units of fuel and `policy.budget` is {budget}; simplify what the bundle \
         evaluates, or raise the budget"
    )]
    Budget {
        /// The bundle's.
        worst_case: u64,
        /// The appliance's.
        budget: u64,
    },
    /// An entry has no room for the id.
    #[error("the id of policy `{id}` has {} bytes; an id may have {MAX_POLICY_ID_BYTES}", id.len())]
    PolicyId {
        /// The id.
        id: String,
    },
    /// Its operators are not what its policies demand, or cannot be read.
    #[error("{problem}")]
    Operators {
        /// What is wrong.
        problem: String,
    },
    /// Nobody could ask for anything.
    #[error("no action of the catalog takes a principal; give agents an entity type")]
    Principals,
    /// Its signatures would hold again whenever somebody put it back.
    #[error(
        "bundle.toml states no version, and where `policy.signers` is set a bundle has one, so that no older one that was \
         signed comes back; write `version = N`, above the one in force, and sign that"
    )]
    Unversioned,
    /// Neither the source's bundle nor the one that was kept can decide.
    #[error("{}\nthe last good bundle is not taken, either: {}", offered.report(), kept.report())]
    Neither {
        /// What is wrong with the source's.
        offered: Box<Self>,
        /// What is wrong with the kept one.
        kept: Box<Self>,
    },
    /// It is older than the one in force.
    #[error(
        "{} would replace version {in_force}; load it with `assent policy load --downgrade` if you mean that",
        version_of(*.offered)
    )]
    Downgrade {
        /// The version that it states.
        offered: Option<u64>,
        /// The version in force.
        in_force: u64,
    },
    /// Too few operators signed it.
    #[error("{error}; what they sign is printed by `assent policy statement`")]
    Signatures {
        /// What is wrong with the signatures.
        #[source]
        error: QuorumError,
    },
    /// It could not be kept, so that it would be forgotten at the next start.
    #[error("the bundle cannot be kept")]
    Store(#[from] ShelfError),
    /// The compiler panicked.
    #[error("the compiler failed on this bundle; the traces say where, please report it")]
    Crashed,
    /// There is no thread to load it on.
    #[error("cannot start the loader")]
    Thread(#[source] std::io::Error),
}

fn version_of(version: Option<u64>) -> String {
    version.map_or_else(|| "a bundle without a version".to_owned(), |version| format!("version {version}"))
}

impl LoadError {
    /// A bounded label.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Offer(OfferError::Away { .. }) => "away",
            Self::Offer(OfferError::Unreadable { .. }) => "unreadable",
            Self::Offer(OfferError::TooLarge { .. } | OfferError::TooDeep { .. }) => "too_large",
            Self::Offer(OfferError::Manifest { .. }) => "manifest",
            Self::Offer(OfferError::Changing) => "changing",
            Self::Offer(OfferError::Files(error)) | Self::Bundle(error) => error.kind(),
            Self::Budget { .. } => "over_budget",
            Self::PolicyId { .. } => "policy_id",
            Self::Operators { .. } => "operators",
            Self::Principals => "principals",
            Self::Unversioned => "unversioned",
            Self::Neither { offered, .. } => offered.kind(),
            Self::Downgrade { .. } => "downgrade",
            Self::Signatures { .. } => "signatures",
            Self::Store(_) => "store",
            Self::Crashed => "crashed",
            Self::Thread(_) => "thread",
        }
    }

    /// Everything that is known of it, with Cedar's diagnostic where there is one.
    #[must_use]
    pub fn report(&self) -> String {
        if let Self::Offer(OfferError::Files(error)) | Self::Bundle(error) = self {
            return error.report();
        }
        let mut report = self.to_string();
        // The text of what is wrong with signatures is in the message already.
        let is_told = matches!(self, Self::Signatures { .. });
        let mut cause = std::error::Error::source(self).filter(|_| !is_told);
        while let Some(because) = cause {
            report.push_str(": ");
            report.push_str(&because.to_string());
            cause = because.source();
        }
        report
    }

    /// One bounded line for log and status: the label, then the report's first words, without what draws the source.
    #[must_use]
    pub fn reason(&self) -> String {
        let is_drawing = |c: char| c.is_control() || ('\u{2500}'..='\u{25ff}').contains(&c);
        let report = self.report();
        let lines = report.lines().filter(|line| !line.contains('\u{2502}'));
        let words = lines.map(|line| line.trim_matches(|c: char| is_drawing(c) || c.is_whitespace()));
        // A place in brackets stands over the drawn source; the first line has it too.
        let says = |line: &&str| line.contains(char::is_alphabetic) && !line.starts_with('[');
        let plain = words.filter(says).take(2).collect::<Vec<_>>().join(": ").replace(is_drawing, " ");
        bounded(&format!("{}: {plain}", self.kind()), MAX_REASON_BYTES)
    }
}

/// A text of at most so many bytes.
pub(super) fn bounded(text: &str, most: usize) -> String {
    match text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= most).last() {
        Some(end) if end < text.len() => text.get(..end).unwrap_or_default().to_owned(),
        Some(_) | None => text.to_owned(),
    }
}

/// What a bundle is held to.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The most fuel that one evaluation may use.
    pub budget: u64,
    /// Who must sign; none where nobody must.
    pub quorum: Option<Quorum>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { budget: DEFAULT_BUDGET, quorum: None }
    }
}

impl Rules {
    /// Admits an offer. `in_force` spares compiling what is the same; `floor` is the version that may not be gone below,
    /// unless `downgrade` says that an operator means to.
    pub(super) fn admit(
        &self,
        offer: Offer,
        provenance: Provenance,
        in_force: Option<&Snapshot>,
        floor: Option<u64>,
        downgrade: bool,
    ) -> Result<Snapshot, LoadError> {
        self.demand_version(&offer)?;
        let replaces = floor.filter(|floor| offer.manifest.version.is_none_or(|offered| offered < *floor));
        if let Some(in_force) = replaces.filter(|_| !downgrade) {
            // What else is wrong with it is of less interest than that it is old.
            return Err(LoadError::Downgrade { offered: offer.manifest.version, in_force });
        }
        self.admit_replacing(offer, provenance, in_force, replaces)
    }

    /// What operators sign is bound to a version, or it could be put back for ever.
    fn demand_version(&self, offer: &Offer) -> Result<(), LoadError> {
        match (&self.quorum, offer.manifest.version) {
            (Some(_), None) => Err(LoadError::Unversioned),
            (Some(_), Some(_)) | (None, _) => Ok(()),
        }
    }

    /// Admits an offer that may replace a newer one.
    pub(super) fn admit_replacing(
        &self,
        offer: Offer,
        provenance: Provenance,
        in_force: Option<&Snapshot>,
        replaces: Option<u64>,
    ) -> Result<Snapshot, LoadError> {
        self.demand_version(&offer)?;
        // Nobody compiles what nobody signed.
        let digest = Hash(offer.sources.digest());
        let statement = Statement { digest, version: offer.manifest.version, replaces }.to_string();
        let signers = match &self.quorum {
            None => Vec::new(),
            Some(quorum) => quorum
                .verify(NAMESPACE, statement.as_bytes(), &offer.signatures)
                .map_err(|error| LoadError::Signatures { error })?
                .names()
                .to_vec(),
        };
        offer.sources.check_names()?;
        offer.check_packed()?;
        let Offer { sources, manifest, signatures, packed: _ } = offer;
        let bundle = match in_force.filter(|known| is_same_but_for_entities(known.bundle(), &sources)) {
            Some(known) => known.bundle().with_entities(sources.entities)?,
            None => Bundle::compile_within(sources, self.budget)?,
        };
        let wrong = |problem| LoadError::Operators { problem };
        let approvers = Approvers::parse(bundle.sources().operators.as_ref()).map_err(wrong)?;
        approvers.check(&bundle).map_err(wrong)?;
        let worst_case = bundle.worst_case();
        if worst_case > self.budget {
            return Err(LoadError::Budget { worst_case, budget: self.budget });
        }
        let principal_type = fitting_agents(&bundle)?.to_owned();
        let errors = bundle.policies().iter().map(|_| Default::default()).collect();
        let version = manifest.version;
        Ok(Snapshot {
            bundle,
            digest,
            principal_type,
            version,
            replaces,
            signatures,
            signers,
            approvers,
            worst_case,
            provenance,
            errors,
        })
    }
}

/// The entity type of all agents, of a bundle whose ids and principals fit what an appliance logs and serves.
///
/// # Errors
/// [`LoadError`]: what does not fit.
pub fn fitting_agents(bundle: &Bundle) -> Result<&str, LoadError> {
    if let Some(long) = bundle.policies().iter().find(|policy| policy.id.len() > MAX_POLICY_ID_BYTES) {
        return Err(LoadError::PolicyId { id: long.id.clone() });
    }
    // A SPIFFE ID is an entity of this type.
    bundle.agent_type()?.ok_or(LoadError::Principals)
}

fn is_same_but_for_entities(known: &Bundle, offered: &Sources) -> bool {
    let Sources { catalog, policies, risk, links, operators, entities: _, tests, rules } = known.sources();
    (catalog, policies, risk) == (&offered.catalog, &offered.policies, &offered.risk)
        && (links, operators, tests, rules)
            == (&offered.links, &offered.operators, &offered.tests, &offered.rules)
}
