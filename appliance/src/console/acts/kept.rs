//! What was begun and not finished, and signatures of which several are needed: kept for a while, as many as there may be.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use assent_proto::number::Timestamp;

use super::Wish;
use crate::limits::{CONSOLE_ACT_LIFETIME, MAX_CONSOLE_ACTS};
use crate::operators::SignatureFile;
use crate::passkeys::Act;

/// A wish whose statement was shown.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) mark: String,
    pub(super) by: String,
    pub(super) act: Act,
    pub(super) wish: Wish,
    /// The mark of what the page showed.
    pub(super) shown: String,
    pub(super) statement: String,
    pub(super) at: Timestamp,
}

/// A statement that several must sign.
#[derive(Clone, Debug)]
pub struct Collected {
    /// What names it.
    pub mark: String,
    /// What it does.
    pub act: Act,
    /// The statement.
    pub statement: String,
    /// Who has signed.
    pub by: Vec<String>,
    /// Since when.
    pub since: Timestamp,
    pub(super) wish: Wish,
    signatures: Vec<SignatureFile>,
}

impl Collected {
    /// When it waits no longer, in milliseconds since 1970.
    #[must_use]
    pub fn until_ms(&self) -> u64 {
        let lifetime = u64::try_from(CONSOLE_ACT_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        self.since.plus_ms(lifetime).0
    }

    /// Whether it also has executors refuse what was decided before.
    #[must_use]
    pub const fn revokes(&self) -> bool {
        matches!(self.wish, Wish::Rearm { revoke: true })
    }
}

/// What was begun, and what waits for more signatures.
#[derive(Debug, Default)]
pub(in crate::console) struct Acts(Mutex<(VecDeque<Standing>, VecDeque<Collected>)>);

impl Acts {
    pub(super) fn begin(&self, standing: Standing) {
        let mut acts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acts.0.retain(|other| other.mark != standing.mark || other.by != standing.by);
        if acts.0.len() == MAX_CONSOLE_ACTS {
            acts.0.pop_front();
        }
        acts.0.push_back(standing);
    }

    pub(super) fn take(&self, mark: &str, by: &str, now: Timestamp) -> Option<Standing> {
        let mut acts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = acts.0.iter().position(|standing| standing.mark == mark && standing.by == by)?;
        acts.0.remove(at).filter(|standing| is_fresh(standing.at, now))
    }

    /// Adds a signature to those over the same statement, and gives all of them.
    pub(super) fn collect(
        &self,
        standing: &Standing,
        signature: SignatureFile,
        now: Timestamp,
    ) -> Vec<SignatureFile> {
        let mut acts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = acts.1.iter().position(|collected| collected.statement == standing.statement);
        let Some(collected) = known.and_then(|at| acts.1.get_mut(at)) else {
            if acts.1.len() == MAX_CONSOLE_ACTS {
                acts.1.pop_front();
            }
            acts.1.push_back(Collected {
                mark: standing.mark.clone(),
                act: standing.act,
                statement: standing.statement.clone(),
                by: vec![standing.by.clone()],
                since: now,
                wish: standing.wish.clone(),
                signatures: vec![signature.clone()],
            });
            return vec![signature];
        };
        match collected.by.iter().position(|by| *by == standing.by) {
            Some(at) => {
                if let Some(before) = collected.signatures.get_mut(at) {
                    *before = signature;
                }
            }
            None => {
                collected.by.push(standing.by.clone());
                collected.signatures.push(signature);
            }
        }
        collected.signatures.clone()
    }

    pub(super) fn forget(&self, statement: &str) {
        let mut acts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acts.1.retain(|collected| collected.statement != statement);
    }

    pub(super) fn collected(&self, now: Timestamp) -> Vec<Collected> {
        let mut acts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        acts.1.retain(|collected| is_fresh(collected.since, now));
        acts.1.iter().cloned().collect()
    }
}

fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    u128::from(now.0.saturating_sub(at.0)) <= CONSOLE_ACT_LIFETIME.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(by: &str, statement: &str, at: u64) -> Standing {
        let (mark, by, statement) = (statement.to_owned(), by.to_owned(), statement.to_owned());
        let wish = Wish::Rearm { revoke: false };
        Standing { mark, by, act: Act::Rearm, wish, statement, shown: String::new(), at: Timestamp(at) }
    }

    fn signature(name: &str) -> SignatureFile {
        SignatureFile { name: name.to_owned(), text: name.to_owned() }
    }

    #[test]
    fn an_act_is_finished_once_by_who_began_it_and_in_time() {
        let (acts, late) = (Acts::default(), u64::try_from(CONSOLE_ACT_LIFETIME.as_millis()).unwrap() + 1);
        acts.begin(standing("alice", "s", 0));
        assert!(acts.take("s", "bob", Timestamp(0)).is_none(), "it is alice's");
        assert!(acts.take("s", "alice", Timestamp(0)).is_some());
        assert!(acts.take("s", "alice", Timestamp(0)).is_none(), "once");
        acts.begin(standing("alice", "s", 0));
        assert!(acts.take("s", "alice", Timestamp(late)).is_none(), "it took too long");
        for number in 0..=MAX_CONSOLE_ACTS {
            acts.begin(standing("alice", &number.to_string(), 0));
        }
        assert!(acts.take("0", "alice", Timestamp(0)).is_none(), "the oldest made room");
        assert!(acts.take("1", "alice", Timestamp(0)).is_some());
    }

    #[test]
    fn signatures_over_one_statement_are_collected_and_nobody_counts_twice() {
        let (acts, late) = (Acts::default(), u64::try_from(CONSOLE_ACT_LIFETIME.as_millis()).unwrap());
        acts.collect(&standing("alice", "s", 0), signature("a"), Timestamp(0));
        acts.collect(&standing("alice", "s", 0), signature("a2"), Timestamp(0));
        assert_eq!(
            acts.collect(&standing("bob", "s", 0), signature("b"), Timestamp(0)),
            [signature("a2"), signature("b")]
        );
        assert_eq!(
            acts.collect(&standing("bob", "other", 0), signature("b"), Timestamp(0)),
            [signature("b")]
        );
        let kept = acts.collected(Timestamp(late));
        assert_eq!(
            kept.iter().map(Collected::until_ms).collect::<Vec<_>>(),
            [late, late],
            "until its very end"
        );
        acts.forget("s");
        assert_eq!(
            acts.collected(Timestamp(0)).iter().map(|kept| kept.statement.as_str()).collect::<Vec<_>>(),
            ["other"]
        );
        assert!(acts.collected(Timestamp(u64::MAX)).is_empty(), "they do not wait for ever");
    }
}
