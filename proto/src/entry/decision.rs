//! Entries about an intent: it was allowed, refused, or got no leave yet.

use serde::{Deserialize, Serialize};

use super::Salt;
use crate::codec::{self, CodecError};
use crate::hash::Hash;
use crate::intent::{Priority, Uid};
use crate::limits::MAX_NAMED_POLICIES;
use crate::number::{Epoch, LeafIndex, Timestamp};
use crate::refusal::Refusal;

/// The policies that determined a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policies<'a> {
    /// How many there were.
    pub total: u32,
    /// The ids of the first of them, in the bundle's order.
    #[serde(borrow)]
    pub named: heapless::Vec<&'a str, MAX_NAMED_POLICIES>,
}

impl<'a> FromIterator<&'a str> for Policies<'a> {
    fn from_iter<I: IntoIterator<Item = &'a str>>(ids: I) -> Self {
        let mut policies = Self::default();
        for id in ids {
            policies.total = policies.total.saturating_add(1);
            // LIMIT: beyond MAX_NAMED_POLICIES only the total tells of the others.
            let _ = policies.named.push(id);
        }
        policies
    }
}

/// Whence an allow has its authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grounds {
    /// The policies alone.
    Policy,
    /// The policies, with the approval that this entry records as evidence.
    Approval(LeafIndex),
    /// A warrant: the policies forbid nothing, and nobody could sign otherwise.
    Warrant {
        /// The warrant.
        leaf: LeafIndex,
        /// Which use of it this is, from 1.
        number: u16,
    },
}

/// An intent was allowed. A token carries this body: its claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allow<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When it was decided.
    pub time: Timestamp,
    /// The token boundary's epoch at the time.
    pub epoch: Epoch,
    /// Digest of the bundle that decided.
    pub bundle: Hash,
    /// The agent's SPIFFE ID.
    pub principal: &'a str,
    /// Who is to act on the token.
    pub audience: &'a str,
    /// Cedar's action.
    #[serde(borrow)]
    pub action: Uid<'a>,
    /// Cedar's resource.
    #[serde(borrow)]
    pub resource: Uid<'a>,
    /// The intent digest.
    pub intent: Hash,
    /// From when the token is good.
    pub not_before: Timestamp,
    /// Until when the token is good.
    pub not_after: Timestamp,
    /// How often it may be used.
    pub uses: u16,
    /// The risk score under which it was decided.
    pub risk: i64,
    /// Whence it has its authority.
    pub grounds: Grounds,
    /// Every satisfied permit.
    #[serde(borrow)]
    pub policies: Policies<'a>,
}

impl Allow<'_> {
    /// Appends the body: what postcard makes of it, written field by field. Every allow goes through here twice, at the appliance
    /// and at its agent, and postcard goes byte by byte.
    pub(crate) fn append(&self, out: &mut impl Extend<u8>) -> Result<(), CodecError> {
        let Self { salt, time, epoch, bundle, principal, audience, action, resource, intent, .. } = self;
        let Self { not_before, not_after, uses, risk, grounds, policies, .. } = self;
        out.extend(salt.0);
        codec::append_varint(time.0, out);
        codec::append_varint(epoch.0, out);
        out.extend(bundle.0);
        codec::append_bytes(principal.as_bytes(), out);
        codec::append_bytes(audience.as_bytes(), out);
        action.append(out);
        resource.append(out);
        out.extend(intent.0);
        codec::append_varint(not_before.0, out);
        codec::append_varint(not_after.0, out);
        codec::append_varint(u64::from(*uses), out);
        codec::append_signed(*risk, out);
        codec::append(grounds, out)?;
        codec::append_varint(u64::from(policies.total), out);
        codec::append_varint(policies.named.len() as u64, out);
        policies.named.iter().for_each(|id| codec::append_bytes(id.as_bytes(), out));
        Ok(())
    }
}

/// An intent was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deny<'a> {
    /// Hides the body from those who see only its hash.
    pub salt: Salt,
    /// When it was decided.
    pub time: Timestamp,
    /// The token boundary's epoch at the time.
    pub epoch: Epoch,
    /// Digest of the bundle that decided.
    pub bundle: Hash,
    /// The agent's SPIFFE ID.
    pub principal: &'a str,
    /// Who was to act on the token.
    pub audience: &'a str,
    /// Cedar's action, as the agent wrote it.
    #[serde(borrow)]
    pub action: Uid<'a>,
    /// Cedar's resource, as the agent wrote it.
    #[serde(borrow)]
    pub resource: Uid<'a>,
    /// The intent digest.
    pub intent: Hash,
    /// What the agent heard.
    pub refusal: Refusal,
    /// The risk score under which it was decided.
    pub risk: i64,
    /// The satisfied forbids, or the policies that could not be evaluated.
    #[serde(borrow)]
    pub policies: Policies<'a>,
}

/// Until when an intent waits, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// It is decided by then, or [`Refusal::Expired`].
    pub until: Timestamp,
    /// Its place in the queue.
    pub priority: Priority,
}

/// An intent got no leave yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold<'a> {
    /// What a denial says.
    #[serde(borrow)]
    pub denial: Deny<'a>,
    /// Where and how long it waits; none: it does not.
    pub wait: Option<Wait>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_is_appended_as_postcard_encodes_it() {
        let grounds = [
            Grounds::Policy,
            Grounds::Approval(LeafIndex(1 << 40)),
            Grounds::Warrant { leaf: LeafIndex(7), number: 300 },
        ];
        for (case, grounds) in grounds.into_iter().enumerate() {
            for risk in [0, -1, 63, -65, i64::MAX, i64::MIN] {
                let allow = Allow {
                    salt: Salt([1; 16]),
                    time: Timestamp(1_795_000_000_000),
                    epoch: Epoch(u64::MAX),
                    bundle: Hash([2; 32]),
                    principal: "spiffe://a.test/agent/b",
                    audience: "",
                    action: Uid { type_name: "A::Action", id: "do" },
                    resource: Uid { type_name: "A::B", id: "\u{fc}" },
                    intent: Hash([3; 32]),
                    not_before: Timestamp(0),
                    not_after: Timestamp(127),
                    uses: 128,
                    risk,
                    grounds,
                    policies: core::iter::repeat_n("p", MAX_NAMED_POLICIES * case).collect(),
                };
                let mut buffer = [0; 512];
                let expected = codec::encode(&allow, &mut buffer).unwrap();
                let mut out = heapless_bytes();
                allow.append(&mut out).unwrap();
                assert_eq!(out.as_slice(), expected, "{grounds:?} {risk}");
            }
        }
    }

    fn heapless_bytes() -> heapless::Vec<u8, 512> {
        heapless::Vec::new()
    }

    #[test]
    fn policies_beyond_the_limit_are_counted_not_named() {
        let policies: Policies<'_> = core::iter::repeat_n("p", MAX_NAMED_POLICIES + 3).collect();
        assert_eq!(policies.named.len(), MAX_NAMED_POLICIES);
        assert_eq!(policies.total as usize, MAX_NAMED_POLICIES + 3);
    }
}
