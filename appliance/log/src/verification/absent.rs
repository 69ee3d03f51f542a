//! Requests that are not beside their entries: gone by an operator's order, or gone.
//!
//! An order to erase is an entry, which names the principal; what that principal asked before it, or in its round, may be
//! missing from then on. Whatever else is missing was removed by somebody who left no word.

use std::collections::{BTreeMap, BTreeSet};

use assent_proto::entry::OperatorAct;

use super::report::Report;
use crate::limits::MAX_ABSENT_PRINCIPALS;

/// What is missing so far, by principal: the last entry whose request is.
#[derive(Debug, Default)]
pub(super) struct Absent {
    last: BTreeMap<String, u64>,
    /// Whose requests the round that is being read orders to be erased.
    erased: BTreeSet<String>,
}

impl Absent {
    /// An order to erase.
    pub(super) fn order(&mut self, act: &OperatorAct<'_>) {
        let principal = act.statement.lines().find_map(|line| line.strip_prefix("principal "));
        if let (crate::ERASURE_ACT, Some(principal)) = (act.act, principal) {
            self.last.remove(principal);
            self.erased.insert(principal.to_owned());
        }
    }

    /// What is missing of the round whose orders were taken: principals, each with its last entry.
    pub(super) fn round(&mut self, missing: Vec<(String, u64)>, report: &mut Report) {
        for (principal, index) in missing {
            if self.erased.contains(&principal) {
                continue;
            }
            // LIMIT: a forged log may name as many principals as it has entries.
            if self.last.len() < MAX_ABSENT_PRINCIPALS || self.last.contains_key(&principal) {
                self.last.insert(principal, index);
            } else {
                report.find(index, gone(&principal));
            }
        }
        self.erased.clear();
    }

    /// The log is over: what no order explains is told.
    pub(super) fn end(self, report: &mut Report) {
        for (principal, index) in self.last {
            report.find(index, gone(&principal));
        }
    }
}

fn gone(principal: &str) -> String {
    format!("what `{principal}` asked is missing up to here, and no later order erased it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use assent_proto::entry::Salt;
    use assent_proto::number::{Epoch, Timestamp};

    fn order(statement: &str) -> OperatorAct<'_> {
        OperatorAct {
            salt: Salt::default(),
            time: Timestamp(1),
            epoch: Epoch(0),
            act: "erase",
            by: std::iter::once("root").collect(),
            statement,
            signatures: std::iter::empty().collect(),
        }
    }

    /// A round: its order, and whose requests are missing up to where.
    type Step<'s> = (Option<&'s str>, &'s [(&'s str, u64)]);

    fn findings(steps: &[Step<'_>]) -> Vec<u64> {
        let (mut absent, mut report) = (Absent::default(), Report::default());
        for (statement, missing) in steps {
            statement.iter().for_each(|statement| absent.order(&order(statement)));
            let missing = missing.iter().map(|(name, index)| ((*name).to_owned(), *index)).collect();
            absent.round(missing, &mut report);
        }
        absent.end(&mut report);
        report.findings.iter().map(|finding| finding.index).collect()
    }

    #[test]
    fn an_order_explains_what_is_missing_before_it_and_in_its_round_and_nothing_else() {
        let erase_a = Some("principal a\nreason of theirs\n");
        assert_eq!(findings(&[(None, &[("a", 3)]), (erase_a, &[("a", 7)])]), []);
        assert_eq!(findings(&[(erase_a, &[]), (None, &[("a", 9)])]), [9], "after the order");
        assert_eq!(findings(&[(None, &[("a", 3), ("b", 4)]), (erase_a, &[])]), [4], "of another");
        assert_eq!(findings(&[(None, &[("a", 3)])]), [3], "without a word");
    }
}
