//! Re-arm by operators: what they sign, so that a boundary may open again that must not do so by itself.
//!
//! The statement names the log, the epoch that began with the closing, and its cause. Every trip begins another epoch, so
//! no signature serves twice, and none that was made before something graver was found. It orders one thing: that arming be
//! tried. The HSM must still show the pinned key and sign with it. (`appliance/DESIGN.md`, "Boundaries".)

use assent_proto::limits::{MAX_ACT_SIGNATURES, MAX_BODY_BYTES};
use assent_proto::number::Epoch;
use serde::{Deserialize, Serialize};

use super::Operation;
use super::boundary::Closed;
use super::cause::Cause;
use super::sealer::SealerHandle;
use crate::hsm::FaultClass;
use crate::operators::{Quorum, QuorumError, SignatureFile};

/// The namespace of these signatures: `ssh-keygen -Y sign -n assent-rearm@v1`.
pub const NAMESPACE: &str = "assent-rearm@v1";
/// What the log calls the act.
pub(super) const ACT: &str = "rearm";
/// Bytes of signatures that one entry holds; the rest of its body is names and the statement.
const MAX_EVIDENCE_BYTES: usize = MAX_BODY_BYTES - 4096;

/// What is signed, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The log's origin.
    pub origin: String,
    /// The epoch that began with the closing.
    pub epoch: Epoch,
    /// Why it is closed.
    pub cause: String,
    /// Whether executors are to refuse tokens that were decided before it.
    pub revoke: bool,
}

impl std::fmt::Display for Statement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { origin, epoch, cause, revoke } = self;
        let revoke = if *revoke { "yes" } else { "no" };
        write!(f, "assent/rearm/v1\norigin {origin}\nepoch {epoch}\ncause {cause}\nrevoke {revoke}\n")
    }
}

/// Whether a statement of the log orders that older tokens be refused.
pub(super) fn revokes(statement: &str) -> bool {
    statement.lines().any(|line| line == "revoke yes")
}

/// Who may order it.
#[derive(Clone, Debug)]
pub struct Office {
    /// After an integrity fault: at least two.
    pub grave: Quorum,
    /// After an availability fault, where the configuration leaves that to operators: one.
    pub light: Quorum,
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Ordered {
    /// This is to be signed by so many operators.
    ToSign {
        /// The statement, byte for byte.
        statement: String,
        /// Who may sign it.
        operators: Vec<String>,
        /// How many of them must.
        threshold: usize,
    },
    /// They signed: arming is being tried.
    Trying {
        /// In which epoch.
        epoch: u64,
        /// Who ordered it.
        by: Vec<String>,
    },
    /// It is open.
    NotClosed,
    /// It re-arms by itself.
    ByItself {
        /// Why it is closed.
        cause: String,
    },
    /// Nobody is named who could order it.
    NoOperators,
    /// The signatures do not order it.
    Refused {
        /// Why not.
        reason: String,
    },
}

/// What orders re-arm as it is closed now.
struct Wanted<'o> {
    quorum: &'o Quorum,
    epoch: Epoch,
    cause: Cause,
    statement: String,
}

/// Takes orders.
#[derive(Debug)]
pub struct Orders {
    origin: String,
    office: Option<Office>,
    automatic: bool,
    sealer: SealerHandle,
}

impl Orders {
    /// Orders for the sealer of this log; `automatic` where availability faults re-arm by themselves.
    #[must_use]
    pub const fn new(origin: String, office: Option<Office>, automatic: bool, sealer: SealerHandle) -> Self {
        Self { origin, office, automatic, sealer }
    }

    /// With signatures, orders re-arm; without, tells what is to be signed.
    #[must_use]
    pub fn order(&self, revoke: bool, signatures: &[SignatureFile]) -> Ordered {
        let Wanted { quorum, epoch, cause, statement } = match self.wanted(revoke) {
            Ok(wanted) => wanted,
            Err(answer) => return answer,
        };
        if signatures.is_empty() {
            let operators = quorum.keys().iter().map(|key| key.name().to_owned()).collect();
            return Ordered::ToSign { statement, operators, threshold: quorum.threshold() };
        }
        match self.verified(quorum, (epoch, &cause), statement, signatures) {
            Ok(by) => Ordered::Trying { epoch: epoch.0, by },
            Err(reason) => Ordered::Refused { reason },
        }
    }

    /// Whether a signature is one of those that order re-arm now, however many more must.
    ///
    /// # Errors
    /// What an order with it would be answered.
    pub fn admits(&self, revoke: bool, signature: &SignatureFile) -> Result<(), Ordered> {
        let Wanted { quorum, statement, .. } = self.wanted(revoke)?;
        let admitted = quorum.admits(NAMESPACE, statement.as_bytes(), signature);
        admitted.map_err(|error| Ordered::Refused { reason: error.to_string() })
    }

    /// What would order it now, unless nothing does.
    fn wanted(&self, revoke: bool) -> Result<Wanted<'_>, Ordered> {
        let boundary = self.sealer.boundary();
        let epoch = boundary.epoch();
        let Some(closed) = boundary.closed() else { return Err(Ordered::NotClosed) };
        let Some(office) = &self.office else { return Err(Ordered::NoOperators) };
        if closed.cause.class == FaultClass::Availability && self.automatic {
            return Err(Ordered::ByItself { cause: closed.cause.message });
        }
        let cause = closed.cause.kind.to_owned();
        let statement = Statement { origin: self.origin.clone(), epoch, cause, revoke }.to_string();
        Ok(Wanted { quorum: office.quorum(&closed), epoch, statement, cause: closed.cause })
    }

    fn verified(
        &self,
        quorum: &Quorum,
        (epoch, cause): (Epoch, &Cause),
        statement: String,
        signatures: &[SignatureFile],
    ) -> Result<Vec<String>, String> {
        let signers = quorum
            .verify(NAMESPACE, statement.as_bytes(), signatures)
            .map_err(|error: QuorumError| error.to_string())?;
        let by: Vec<String> = signers.names().iter().take(MAX_ACT_SIGNATURES).cloned().collect();
        let revoke = revokes(&statement);
        let operation =
            Operation::Operators { act: ACT, by: by.clone(), statement, signatures: evidence(signatures) };
        if self.sealer.order_rearm(epoch, cause, revoke, operation) {
            return Ok(by);
        }
        Err("the boundary has changed meanwhile; sign its new statement".to_owned())
    }
}

impl Office {
    fn quorum(&self, closed: &Closed) -> &Quorum {
        match closed.cause.class {
            FaultClass::Integrity => &self.grave,
            FaultClass::Availability => &self.light,
        }
    }
}

/// The signatures that the entry holds: as many as fit, whole.
pub(crate) fn evidence(signatures: &[SignatureFile]) -> Vec<String> {
    let mut bytes = 0;
    let fits = |file: &&SignatureFile| {
        bytes += file.text.len();
        bytes <= MAX_EVIDENCE_BYTES
    };
    signatures.iter().take(MAX_ACT_SIGNATURES).take_while(fits).map(|file| file.text.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_these_bytes() {
        let origin = "localhost/test/log/1".to_owned();
        let statement =
            Statement { origin, epoch: Epoch(7), cause: "bad_signature".to_owned(), revoke: false };
        let expected =
            "assent/rearm/v1\norigin localhost/test/log/1\nepoch 7\ncause bad_signature\nrevoke no\n";
        assert_eq!(statement.to_string(), expected);
        assert!(!revokes(expected));
        assert!(revokes(&Statement { revoke: true, ..statement }.to_string()));
    }
}
