//! Roles: what an operator may do at the console, in one table.
//!
//! The rule it keeps: what the table does not name is not allowed. A role opens a page and the ceremony of an act; it does not make
//! an act count. That is for who verifies the signature: the bundle's `operators.toml` for approvals, `hsm.operators` for
//! re-arm and charters, `policy.signers` for bundles, the charter itself for warrants and reviews.

use assent_proto::entry::Approval;
use assent_proto::entry::break_glass::{
    CHARTER_NAMESPACE, CHARTER_REVOKE_NAMESPACE, REVIEW_NAMESPACE, WARRANT_NAMESPACE,
};
use serde::{Deserialize, Serialize};

/// What an operator is trusted with at the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// To look, and no more.
    Viewer,
    /// To answer holds.
    Approver,
    /// To keep it running: the queue, drills, re-arm.
    Sre,
    /// To say what is allowed, and by which keys: charters, warrants, reviews, bundles, keys.
    Security,
}

/// What somebody may want to do at the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// See status, queue, holds and log.
    Look,
    /// Approve or reject a hold.
    AnswerHold,
    /// Withdraw a ticket from the queue.
    CancelTicket,
    /// Begin or end a drill.
    Drill,
    /// Order re-arm.
    Rearm,
    /// Order a charter.
    Charter,
    /// Revoke a charter.
    RevokeCharter,
    /// Sign a warrant.
    Warrant,
    /// End a warrant before its time.
    EndWarrant,
    /// Review a use of a warrant.
    Review,
    /// Have a bundle loaded.
    LoadBundle,
    /// Announce, rotate or retire a key.
    Keys,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Approver, Self::Sre, Self::Security];

    /// As the configuration names it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::Sre => "sre",
            Self::Security => "security",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.label() == label)
    }
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Look,
        Self::AnswerHold,
        Self::CancelTicket,
        Self::Drill,
        Self::Rearm,
        Self::Charter,
        Self::RevokeCharter,
        Self::Warrant,
        Self::EndWarrant,
        Self::Review,
        Self::LoadBundle,
        Self::Keys,
    ];

    /// A bounded label, for the log and for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::AnswerHold => "answer-hold",
            Self::CancelTicket => "cancel-ticket",
            Self::Drill => "drill",
            Self::Rearm => "rearm",
            Self::Charter => "charter",
            Self::RevokeCharter => "revoke-charter",
            Self::Warrant => "warrant",
            Self::EndWarrant => "end-warrant",
            Self::Review => "review",
            Self::LoadBundle => "load-bundle",
            Self::Keys => "keys",
        }
    }

    /// The role that it takes; none: any.
    const fn role(self) -> Option<Role> {
        match self {
            Self::Look => None,
            Self::AnswerHold => Some(Role::Approver),
            Self::CancelTicket | Self::Drill | Self::Rearm => Some(Role::Sre),
            Self::Charter
            | Self::RevokeCharter
            | Self::Warrant
            | Self::EndWarrant
            | Self::Review
            | Self::LoadBundle
            | Self::Keys => Some(Role::Security),
        }
    }

    /// The namespace of the statement that is signed for it. An act whose entry holds no signature has the console's, and a
    /// leaf of its own with the signature. None: it takes no signature.
    #[must_use]
    pub const fn namespace(self) -> Option<&'static str> {
        match self {
            Self::Look => None,
            Self::AnswerHold => Some(Approval::NAMESPACE),
            Self::Rearm => Some(crate::token::rearm::NAMESPACE),
            Self::Charter => Some(CHARTER_NAMESPACE),
            Self::RevokeCharter => Some(CHARTER_REVOKE_NAMESPACE),
            Self::Warrant => Some(WARRANT_NAMESPACE),
            Self::Review => Some(REVIEW_NAMESPACE),
            Self::LoadBundle => Some(crate::policy::NAMESPACE),
            Self::CancelTicket | Self::Drill | Self::EndWarrant | Self::Keys => Some(super::NAMESPACE),
        }
    }
}

/// Whether somebody of these roles may do this at the console. Whoever has no role may do nothing.
#[must_use]
pub fn may(roles: &[Role], act: Act) -> bool {
    act.role().map_or(!roles.is_empty(), |role| roles.contains(&role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_runbook_says_and_nothing_else() {
        let runbook = include_str!("../../OPERATING.md");
        for act in Act::ALL {
            let row = runbook.lines().find(|line| line.starts_with(&format!("| `{}` |", act.label())));
            let row = row.unwrap_or_else(|| panic!("`{}` is not in OPERATING.md", act.label()));
            let cells: Vec<&str> = row.split('|').skip(2).take(4).map(str::trim).collect();
            let allowed: Vec<bool> = cells.iter().map(|cell| *cell == "yes").collect();
            assert_eq!(allowed, Role::ALL.map(|role| may(&[role], act)), "{row}");
            assert!(!may(&[], act), "{act:?}");
            assert!(may(&Role::ALL, act), "{act:?}");
        }
    }

    #[test]
    fn roles_are_known_by_their_labels_alone() {
        for role in Role::ALL {
            assert_eq!(Role::from_label(role.label()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.label());
        }
        assert_eq!(Role::from_label("admin"), None);
        assert_eq!(Role::from_label("Viewer"), None);
    }
}
