//! The desk: what `assent operator` asks of a running appliance.

use std::time::Duration;

use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use super::{IdentityError, Passkeys, Role};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OperatorOrder {
    /// A link by which an operator enrols a passkey, once.
    Invite {
        /// Who.
        name: String,
        /// For how many seconds it is valid.
        valid_s: u64,
    },
    /// All operators and their passkeys.
    List,
    /// That passkeys count no more.
    Revoke {
        /// An operator, or the fingerprint of one passkey.
        who: String,
    },
}

/// A passkey, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyView {
    /// As `ssh-keygen -l` shows it.
    pub fingerprint: String,
    /// The SSH public key: type, key and the operator's name, as every list of operators takes it.
    pub line: String,
    /// When it was enrolled, in milliseconds since 1970.
    pub since_ms: u64,
    /// When it was used last.
    pub used_ms: Option<u64>,
    /// When it was revoked.
    pub revoked_ms: Option<u64>,
}

/// An operator, as people see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorView {
    /// Their name.
    pub name: String,
    /// Their roles; none where the configuration names them no more.
    pub roles: Vec<Role>,
    /// Their passkeys.
    pub keys: Vec<PasskeyView>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAnswer {
    /// A link.
    Invited {
        /// Who enrols by it.
        name: String,
        /// The link.
        link: String,
        /// Until when, in milliseconds since 1970.
        until_ms: u64,
    },
    /// All of them.
    Listed(Vec<OperatorView>),
    /// These count no more.
    Revoked {
        /// The passkeys.
        keys: Vec<PasskeyView>,
    },
    /// It was not carried out.
    Refused(String),
}

impl Passkeys {
    /// Carries out an order of whoever may use the control socket. It waits for the disk.
    #[must_use]
    pub fn carry_out(&self, order: OperatorOrder, by: &str, now: Timestamp) -> OperatorAnswer {
        let outcome = match order {
            OperatorOrder::Invite { name, valid_s } => self
                .invite(&name, Duration::from_secs(valid_s), by, now)
                .map(|(link, until)| OperatorAnswer::Invited { name, link, until_ms: until.0 }),
            OperatorOrder::List => Ok(OperatorAnswer::Listed(self.list())),
            OperatorOrder::Revoke { who } => {
                self.revoke(&who, by, now).map(|keys| OperatorAnswer::Revoked { keys })
            }
        };
        outcome.unwrap_or_else(|error| OperatorAnswer::Refused(told(&error)))
    }
}

/// An error with its causes, in a line.
fn told(error: &IdentityError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
