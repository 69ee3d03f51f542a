//! The evidence: what the stopped appliance's log says, read with nothing but its verifier key.

use std::collections::HashMap;

use assent_proto::entry::{Entry, Kind};
use assent_proto::hash::Hash;
use assent_proto::number::LeafIndex;

use crate::config::Config;
use crate::log::reader::Reader;
use crate::log::verification::{Report, Verification};
use crate::provision;

/// What the log says.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    pub(super) report: Report,
    /// Allow entries by their leaf index: the intent's digest.
    allows: HashMap<u64, Hash>,
    /// Allow entries between a trip and the next re-arm.
    pub(super) allows_while_closed: u64,
}

impl Evidence {
    /// Reads the log of the appliance that this configuration is of.
    pub(super) fn read(config: &Config) -> anyhow::Result<Self> {
        let trust = crate::cli::trust::own(config)?;
        let store = Reader::open(&provision::log_file(config))?;
        let origin = config.origin();
        let mut report = Verification::new(&origin, trust.keys()).run(store.rounds(LeafIndex(0))?, |_| ())?;
        report.compare_with_head(&store.head()?);
        let mut evidence = Self { report, ..Self::default() };
        let mut closed = false;
        for round in store.rounds(LeafIndex(0))? {
            let round = round?;
            for (index, leaf) in (round.first.0..).zip(round.leaves.iter()) {
                evidence.leaf(index, leaf, &mut closed)?;
            }
        }
        Ok(evidence)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "no other kind says anything of the boundary")]
    fn leaf(&mut self, index: u64, leaf: &[u8], closed: &mut bool) -> anyhow::Result<()> {
        match Entry::parse(leaf)? {
            Entry::Trip(_) => *closed = true,
            Entry::Rearm(_) => *closed = false,
            Entry::Allow(allow) => {
                self.allows_while_closed += u64::from(*closed);
                self.allows.insert(index, allow.intent);
            }
            _ => {}
        }
        Ok(())
    }

    /// How many of these tokens do not stand in the log, or stand there for another intent, or came twice.
    pub(super) fn strangers(&self, tokens: &[(u64, Hash)]) -> usize {
        let mut seen = std::collections::HashSet::new();
        tokens
            .iter()
            .filter(|(index, digest)| self.allows.get(index) != Some(digest) || !seen.insert(index))
            .count()
    }

    pub(super) fn drills(&self) -> u64 {
        self.report.of_kind(Kind::Drill)
    }
}
