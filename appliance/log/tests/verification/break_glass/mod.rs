//! Break-glass: charters, warrants, uses and reviews are held against each other, or the log does not verify.

mod answers;
mod authority;

use std::cell::OnceCell;

use assent_log::verification::Report;
use assent_proto::entry::break_glass::{
    Finding, REVIEW_NAMESPACE, ResourceScope, WARRANT_END_ACT, WARRANT_NAMESPACE,
};
use assent_proto::entry::{Allow, Charter, Entry, Grounds, OperatorAct, Review, Salt, Warrant};
use assent_proto::hash::Hash;
use assent_proto::intent::Uid;
use assent_proto::number::LeafIndex;
use ed25519_dalek::SigningKey;

use crate::office::Office;
use crate::synthetic::{BUNDLE, Beside, ORIGIN, PRINCIPAL, Synthetic, leaves};
use crate::verdict::verify_leaves;

/// What lives for the rest of the test.
pub(crate) fn lasting(text: impl Into<String>) -> &'static str {
    String::leak(text.into())
}

/// A log with operators, in which a charter's operators are alice, bob and carol.
pub(crate) struct Glass {
    pub(crate) log: Synthetic,
    pub(crate) office: Office,
    pub(crate) key: SigningKey,
    pub(crate) charter: u64,
    pub(crate) hash: OnceCell<Hash>,
}

pub(crate) const MINUTE_MS: u64 = 60_000;

impl Glass {
    /// A log with a charter, under a signed checkpoint unless told otherwise.
    pub(crate) fn with_charter(is_signed: bool, change: impl FnOnce(&mut Charter<'static>)) -> Self {
        let (mut log, office) = (Synthetic::started(), Office::open());
        let charter = log.size();
        let key = SigningKey::from_bytes(&[8; 32]);
        let glass = Self { log, office, key, charter, hash: OnceCell::new() };
        glass.with_its_charter(is_signed, change)
    }

    fn with_its_charter(mut self, is_signed: bool, change: impl FnOnce(&mut Charter<'static>)) -> Self {
        let actions: &[Uid<'static>] = &[Uid { type_name: "Retail::Action", id: "cancel_pending_order" }];
        let resources: &[ResourceScope<'static>] = &[ResourceScope::OfType("Retail::Order")];
        let names = ["alice", "bob", "carol"];
        let operators: &[&str] = Vec::leak(names.map(|name| lasting(self.office.line(name))).to_vec());
        let mut charter = Charter {
            salt: Salt([1; 16]),
            time: self.log.now,
            epoch: self.log.epoch,
            name: "cancellations",
            actions: actions.into(),
            resources: resources.into(),
            principals: (&[][..]).into(),
            closed_s: 60,
            window_max_s: 3600,
            uses_max: 2,
            operators: operators.into(),
            threshold: 2,
            not_after: self.log.now.plus_ms(1000 * MINUTE_MS),
            by: std::iter::empty().collect(),
            statement: "",
            signatures: std::iter::empty().collect(),
        };
        change(&mut charter);
        let mut statement = String::new();
        charter.write_statement(ORIGIN, &mut statement).unwrap();
        charter.statement = lasting(statement);
        let made = leaves(&[Entry::Charter(charter)]);
        self.hash.set(Hash::of_leaf(made.iter().next().unwrap())).unwrap();
        self.log.commit(&[&made], nothing(), is_signed);
        self
    }

    /// The boundary closes, and time passes.
    pub(crate) fn close(&mut self, for_ms: u64) {
        self.log.trip("signer_lost");
        // The trip's round took a second.
        self.log.now = self.log.now.plus_ms(for_ms - 1000);
    }

    /// An unsigned round of this entry; gives its leaf.
    fn put(&mut self, entry: &Entry<'_>) -> u64 {
        let at = self.log.size();
        self.log.commit(&[&leaves(std::slice::from_ref(entry))], nothing(), false);
        at
    }

    /// A warrant of two uses, changed before these operators sign it; gives its leaf.
    pub(crate) fn give(&mut self, signers: &[&str], change: impl FnOnce(&mut Warrant<'static>)) -> u64 {
        let now = self.log.now;
        let mut warrant = Warrant {
            salt: Salt([2; 16]),
            time: now,
            epoch: self.log.epoch,
            charter: LeafIndex(self.charter),
            key: self.key.verifying_key().to_bytes(),
            uses: 2,
            not_before: now,
            not_after: now.plus_ms(60 * MINUTE_MS),
            reason: "the HSM burnt",
            by: signers.iter().map(|name| lasting(*name)).collect(),
            statement: "",
            signatures: std::iter::empty().collect(),
        };
        change(&mut warrant);
        let mut statement = String::new();
        warrant.write_statement(ORIGIN, *self.hash.get().unwrap(), &mut statement).unwrap();
        warrant.statement = lasting(statement);
        let sign = |name: &&str| lasting(self.office.sign(name, WARRANT_NAMESPACE, warrant.statement));
        warrant.signatures = signers.iter().map(sign).collect();
        self.put(&Entry::Warrant(warrant))
    }

    /// A use of the warrant, changed; gives its leaf.
    pub(crate) fn spend(&mut self, warrant: u64, number: u16, change: impl FnOnce(&mut Allow<'_>)) -> u64 {
        let time = self.log.now;
        let mut allow = Allow {
            salt: Salt([3; 16]),
            time,
            epoch: self.log.epoch,
            bundle: BUNDLE,
            principal: PRINCIPAL,
            audience: "store-api",
            action: Uid { type_name: "Retail::Action", id: "cancel_pending_order" },
            resource: Uid { type_name: "Retail::Order", id: "#W1" },
            intent: Hash([4; 32]),
            not_before: time,
            not_after: time.plus_ms(MINUTE_MS),
            uses: 1,
            risk: 0,
            grounds: Grounds::Warrant { leaf: LeafIndex(warrant), number },
            policies: std::iter::empty().collect(),
        };
        change(&mut allow);
        self.put(&Entry::Allow(allow))
    }

    pub(crate) fn review(
        &mut self,
        warrant: u64,
        used: u64,
        by: &str,
        change: impl FnOnce(&mut Review<'static>),
    ) -> u64 {
        let mut review = Review {
            salt: Salt([5; 16]),
            time: self.log.now,
            epoch: self.log.epoch,
            warrant: LeafIndex(warrant),
            used: LeafIndex(used),
            finding: Finding::Justified,
            text: "seen",
            by: lasting(by),
            statement: "",
            signature: "",
        };
        change(&mut review);
        let mut statement = String::new();
        review.write_statement(ORIGIN, &mut statement).unwrap();
        review.statement = lasting(statement);
        review.signature = lasting(self.office.sign(by, REVIEW_NAMESPACE, review.statement));
        self.put(&Entry::Review(review))
    }

    /// The warrant is ended, by what a statement says.
    pub(crate) fn end(&mut self, statement: &str) -> u64 {
        let (salt, time, epoch) = (Salt([6; 16]), self.log.now, self.log.epoch);
        let (by, signatures) = (["alice"].into_iter().collect(), std::iter::empty().collect());
        self.put(&Entry::Operator(OperatorAct {
            salt,
            time,
            epoch,
            act: WARRANT_END_ACT,
            by,
            statement,
            signatures,
        }))
    }

    /// The boundary opens.
    pub(crate) fn open(&mut self) {
        let outage = self.log.outage();
        self.log.rearm(Some(outage));
    }

    pub(crate) fn report(&mut self) -> Report {
        verify_leaves(&mut self.log)
    }
}

pub(crate) fn nothing() -> Beside<'static> {
    Beside { requests: Vec::new(), answers: Vec::new() }
}

/// What an appliance says when it ends the warrant at that leaf.
pub(crate) fn end_of(warrant: u64) -> String {
    format!("assent/warrant-end/v1\norigin {ORIGIN}\nwarrant {warrant}\nreason it is open again\n")
}

/// A closed boundary under a charter.
pub(crate) fn closed() -> Glass {
    let mut glass = Glass::with_charter(true, |_| ());
    glass.close(MINUTE_MS);
    glass
}

/// One with a warrant.
pub(crate) fn broken() -> (Glass, u64) {
    let mut glass = closed();
    let warrant = glass.give(&["alice", "bob"], |_| ());
    (glass, warrant)
}
