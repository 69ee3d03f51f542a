//! Approvers: the operators of a bundle, whose keys and groups its `operators.toml` names.
//!
//! The rules it keeps: a key belongs to one operator, an operator counts once however many keys they have, and what a policy
//! demands can be given: a bundle that asks for more approvals than its group has operators is refused. Nobody approves what
//! an agent of their own asks. Signatures are OpenSSH's.

use std::collections::BTreeSet;

use assent_compiler::{Approval as Demand, Bundle, Document};
use serde::Deserialize;

use crate::operators::{Quorum, SignatureFile};

/// The operators of a bundle.
#[derive(Clone, Debug, Default)]
pub struct Approvers {
    operators: Vec<Operator>,
    /// All keys, and whose each is.
    keys: Option<(Quorum, Vec<usize>)>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// How the log and people know them.
    pub name: String,
    /// Their public keys: type and key, as in a `.pub` file.
    pub keys: Vec<String>,
    /// The groups that they approve for.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Agents of their own, whose intents they do not approve: SPIFFE IDs.
    #[serde(default)]
    pub agents: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    operator: Vec<Operator>,
}

/// Who signed an answer to a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// The operator.
    pub operator: &'a Operator,
    /// The key: its type and itself.
    pub key: String,
}

/// Bytes of an operator's or a group's name.
const MAX_NAME_BYTES: usize = 128;

impl Approvers {
    /// Takes `operators.toml`; without it there are none.
    ///
    /// # Errors
    /// What is wrong with it, in a line.
    pub fn parse(document: Option<&Document>) -> Result<Self, String> {
        let Some(Document { name: file, text }) = document else { return Ok(Self::default()) };
        let told = |what: &dyn std::fmt::Display| format!("{file}: {what}");
        let File { operator: operators } = toml::from_str(text).map_err(|error| told(&error.message()))?;
        let (mut names, mut lines, mut owners) = (BTreeSet::new(), Vec::new(), Vec::new());
        for (position, operator) in operators.iter().enumerate() {
            let Operator { name, keys, groups, .. } = operator;
            let mut words = std::iter::once(name).chain(groups);
            if words.any(|word| {
                word.is_empty() || word.len() > MAX_NAME_BYTES || word.contains(char::is_whitespace)
            }) {
                return Err(told(&format!(
                    "operator `{}` or a group of theirs has no name of 1 to {MAX_NAME_BYTES} bytes without blanks",
                    name.escape_debug()
                )));
            }
            if !names.insert(name) {
                return Err(told(&format!(
                    "operator `{name}` is named twice; give one operator all their keys"
                )));
            }
            if keys.is_empty() {
                return Err(told(&format!("operator `{name}` has no key")));
            }
            for key in keys {
                lines.push(format!("{} {name}", plain(key)));
                owners.push(position);
            }
        }
        let keys = match lines.is_empty() {
            true => None,
            false => {
                let lines = lines.iter().zip(&owners).map(|(line, _)| (file.clone(), line.as_str()));
                Some((Quorum::new(lines, 1).map_err(|error| error.to_string())?, owners))
            }
        };
        Ok(Self { operators, keys })
    }

    /// Whether every approval that the bundle's policies demand can be given.
    ///
    /// # Errors
    /// Which cannot, in a line.
    pub fn check(&self, bundle: &Bundle) -> Result<(), String> {
        for policy in bundle.policies() {
            let Some(Demand { count, group }) = &policy.approval else { continue };
            let found = self.in_group(group).count();
            if u64::from(*count) > found as u64 {
                return Err(format!(
                    "policy `{}` demands approvals by {count} of {group}, and operators.toml names {found} operators of that group",
                    policy.id
                ));
            }
        }
        Ok(())
    }

    /// The operators of a group.
    pub fn in_group(&self, group: &str) -> impl Iterator<Item = &Operator> {
        self.operators.iter().filter(move |operator| operator.groups.iter().any(|known| known == group))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Operator] {
        &self.operators
    }

    /// Who signed this statement.
    ///
    /// # Errors
    /// That nobody here did, in a line.
    pub fn signed(
        &self,
        namespace: &str,
        statement: &str,
        signature: &SignatureFile,
    ) -> Result<Signed<'_>, String> {
        let Some((quorum, owners)) = &self.keys else {
            return Err("the bundle names no operators; write them into its operators.toml".to_owned());
        };
        let place = quorum.verify_one(namespace, statement.as_bytes(), signature).map_err(|error| {
            format!("{error}; the keys that count are those of the bundle's operators.toml")
        })?;
        let operator = owners.get(place).and_then(|position| self.operators.get(*position));
        let operator = operator.ok_or("the signature is by nobody")?;
        let key = quorum.keys().get(place).map(|key| key.line()).unwrap_or_default();
        Ok(Signed { operator, key })
    }

    /// The operator who has this key, if they still do.
    #[must_use]
    pub fn owner(&self, key: &str) -> Option<&Operator> {
        self.operators.iter().find(|operator| operator.keys.iter().any(|known| plain(known) == key))
    }
}

/// Type and key, without what stands behind them.
fn plain(key: &str) -> String {
    key.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB";
    const BOB: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIC";

    fn parsed(text: &str) -> Result<Approvers, String> {
        Approvers::parse(Some(&Document::new("operators.toml", text)))
    }

    fn operator(name: &str, key: &str, rest: &str) -> String {
        format!("[[operator]]\nname = \"{name}\"\nkeys = [\"{key}\"]\n{rest}\n")
    }

    #[test]
    fn groups_and_owners_are_those_of_the_file() {
        let text =
            operator("alice", &format!("{ALICE} a@b"), "groups = [\"oncall\"]\nagents = [\"spiffe://a/b\"]");
        let approvers = parsed(&(text + &operator("bob", BOB, "groups = [\"oncall\", \"cfo\"]"))).unwrap();
        let names = |group| approvers.in_group(group).map(|operator| &*operator.name).collect::<Vec<_>>();
        assert_eq!((names("oncall"), names("cfo"), names("")), (vec!["alice", "bob"], vec!["bob"], vec![]));
        assert_eq!(approvers.owner(ALICE).map(|operator| &*operator.name), Some("alice"));
        assert_eq!(approvers.owner("ssh-ed25519 AAAA"), None);
    }

    #[test]
    fn what_is_wrong_with_the_file_is_told() {
        let twice = operator("alice", ALICE, "") + &operator("alice", BOB, "");
        let shared = operator("alice", ALICE, "") + &operator("bob", ALICE, "");
        for (text, problem) in [
            (twice, "named twice"),
            (shared, "this key is listed twice"),
            (operator("a b", ALICE, ""), "without blanks"),
            (operator("alice", "ssh-rsa AAAA", ""), "no key of a type"),
            ("[[operator]]\nname = \"alice\"\nkeys = []\n".to_owned(), "has no key"),
            (operator("alice", ALICE, "group = \"x\""), "unknown field"),
        ] {
            let told = parsed(&text).unwrap_err();
            assert!(told.contains(problem), "{told}");
        }
        assert!(Approvers::parse(None).unwrap().all().is_empty());
    }
}
