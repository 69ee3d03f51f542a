//! A decision: what an entry says of an intent, whichever way it was decided.
//!
//! Allows, denials and holds have most of their fields in common; filters, rows and reports ask for those here, once.

use assent_proto::entry::{Allow, Entry, Policies};
use assent_proto::hash::Hash;
use assent_proto::intent::Uid;
use assent_proto::number::{Epoch, Timestamp};
use assent_proto::refusal::Refusal;
use clap::ValueEnum;

/// How an intent was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Outcome {
    /// With a token.
    Allow,
    /// With a refusal.
    Deny,
    /// It waits for operators.
    Hold,
}

impl Outcome {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Hold => "hold",
        }
    }
}

/// What an entry says of an intent.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Decision<'e> {
    pub(in crate::cli) outcome: Outcome,
    pub(in crate::cli) time: Timestamp,
    pub(in crate::cli) epoch: Epoch,
    pub(in crate::cli) bundle: Hash,
    pub(in crate::cli) principal: &'e str,
    pub(in crate::cli) audience: &'e str,
    pub(in crate::cli) action: Uid<'e>,
    pub(in crate::cli) resource: Uid<'e>,
    pub(in crate::cli) intent: Hash,
    pub(in crate::cli) risk: i64,
    pub(in crate::cli) policies: &'e Policies<'e>,
    /// None where it was allowed.
    pub(in crate::cli) refusal: Option<Refusal>,
    /// What was granted, where it was allowed.
    pub(in crate::cli) allow: Option<&'e Allow<'e>>,
}

impl<'e> Decision<'e> {
    /// What this entry says of an intent; none where it is about the appliance itself.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are not about an intent")]
    pub(in crate::cli) const fn of(entry: &'e Entry<'e>) -> Option<Self> {
        let (outcome, deny) = match entry {
            Entry::Allow(allow) => {
                return Some(Self {
                    outcome: Outcome::Allow,
                    time: allow.time,
                    epoch: allow.epoch,
                    bundle: allow.bundle,
                    principal: allow.principal,
                    audience: allow.audience,
                    action: allow.action,
                    resource: allow.resource,
                    intent: allow.intent,
                    risk: allow.risk,
                    policies: &allow.policies,
                    refusal: None,
                    allow: Some(allow),
                });
            }
            Entry::Deny(deny) => (Outcome::Deny, deny),
            Entry::Hold(hold) => (Outcome::Hold, &hold.denial),
            _ => return None,
        };
        Some(Self {
            outcome,
            time: deny.time,
            epoch: deny.epoch,
            bundle: deny.bundle,
            principal: deny.principal,
            audience: deny.audience,
            action: deny.action,
            resource: deny.resource,
            intent: deny.intent,
            risk: deny.risk,
            policies: &deny.policies,
            refusal: Some(deny.refusal),
            allow: None,
        })
    }
}
