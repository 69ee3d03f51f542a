//! Rounds in order: what each means in its place.
//!
//! The tree grows by what was examined, and every checkpoint must be its root at that size, signed by the key in force. What
//! entries say of the appliance (keys, bundles, trips, re-arms, outages) must follow from one to the next, and each
//! decision must fit what holds where it stands.

use std::collections::HashSet;

use assent_proto::entry::{BundleOffer, Entry, Kind, OfferOutcome};
use assent_proto::hash::Hash;
use assent_proto::number::{LeafIndex, Timestamp};
use assent_proto::tree::Frontier;
use assent_proto::verify::TrustedKey;

use super::absent::Absent;
use super::authority::Approvals;
use super::batches::Batches;
use super::boundary::Boundary;
use super::break_glass::BreakGlass;
use super::elsewhere::Elsewhere;
use super::examined::{Event, Examined, Run};
use super::gap::Gaps;
use super::report::{Approved, Beside, Report};
use super::times::Times;
use crate::succession::Succession;
use crate::{SignedCheckpoint, predecessor};

/// What is known after the rounds so far.
#[derive(Debug)]
pub(super) struct Sequence<'t> {
    origin: &'t str,
    succession: Succession<'t>,
    tree: Frontier,
    boundary: Boundary,
    break_glass: BreakGlass<'t>,
    gaps: Gaps,
    times: Times,
    batches: Batches,
    approvals: Approvals,
    /// Allows of the round that rest on approvals, in order.
    approved: Vec<Approved>,
    elsewhere: Vec<Elsewhere>,
    /// Bundles that some entry said were loaded.
    loaded: HashSet<Hash>,
    /// The one that was loaded last.
    in_force: Hash,
    beside: Beside,
    absent: Absent,
    /// What could not be read beside the leaves, as it was last told.
    damaged: Option<String>,
    /// Leaves whose entries are taken: they do not fit the tree.
    is_torn: bool,
    report: Report,
}

impl<'t> Sequence<'t> {
    pub(super) fn new(
        origin: &'t str,
        trusted: &'t [TrustedKey<'t>],
        now: Option<Timestamp>,
        elsewhere: Vec<Elsewhere>,
    ) -> Self {
        Self {
            origin,
            succession: Succession::new(origin, trusted),
            tree: Frontier::new(),
            boundary: Boundary::default(),
            break_glass: BreakGlass::new(origin),
            gaps: Gaps::default(),
            times: Times::new(now),
            batches: Batches::default(),
            approvals: Approvals::default(),
            approved: Vec::new(),
            elsewhere,
            loaded: HashSet::new(),
            in_force: Hash::default(),
            beside: Beside::default(),
            absent: Absent::default(),
            damaged: None,
            is_torn: false,
            report: Report::default(),
        }
    }

    /// Takes the next round; gives how many leaves there are.
    pub(super) fn take(&mut self, examined: Examined<'t>) -> u64 {
        let (first, is_signed) = (examined.first, examined.checkpoint.is_some());
        let size = self.tree.size();
        if first.0 != size.0 {
            self.find(first.0, format!("round begins here, but the one before ended at {size}"));
        }
        for finding in examined.findings {
            self.find(finding.index, finding.what);
        }
        self.gaps.begin_round(size.0, examined.leaves, is_signed);
        for (level, subtree) in examined.subtrees {
            if self.tree.append_subtree(level, subtree).is_err()
                && !std::mem::replace(&mut self.is_torn, true)
            {
                self.find(first.0, "the leaves from here on do not fit the tree".to_owned());
            }
        }
        self.approved.clear();
        for (index, subject) in examined.holds {
            self.approvals.hold(index, subject);
        }
        for event in &examined.events {
            self.event(event, is_signed);
        }
        for answer in &examined.sealed {
            let outcome = self.break_glass.sealed(answer, &self.tree);
            self.hold(answer.first, outcome);
        }
        if let Some(beside) = examined.beside {
            let Beside { intents, erased, answers } = &mut self.beside;
            (*intents, *erased, *answers) =
                (*intents + beside.intents, *erased + beside.erased, *answers + beside.answers);
        }
        self.absent.round(examined.absent, &mut self.report);
        if examined.damaged.is_some() && examined.damaged != self.damaged {
            self.damaged.clone_from(&examined.damaged);
            self.find(first.0, examined.damaged.unwrap_or_default());
        }
        for batch in &examined.batches {
            self.batches.take(batch, self.times.latest(), &mut self.report);
        }
        match &examined.checkpoint {
            Some(signed) => self.checkpoint(signed, &examined.signers),
            None => {
                let outcome = self.succession.unsigned();
                self.hold(first.0, outcome);
            }
        }
        for elsewhere in &mut self.elsewhere {
            elsewhere.meet(self.tree.size(), || self.tree.root(), &mut self.report);
        }
        self.tree.size().0
    }

    /// Allows of the round that was taken last that rest on approvals, in order.
    pub(super) fn approved(&self) -> &[Approved] {
        &self.approved
    }

    fn event(&mut self, event: &Event, is_signed: bool) {
        match event {
            Event::Decisions(run) => self.decisions(run, is_signed),
            Event::Approved(index, leaf) => {
                match Entry::parse(leaf) {
                    Ok(Entry::Allow(allow)) => {
                        let counted = self.approvals.check(*index, &allow);
                        let approvals = counted.as_ref().map_or(None, |counted| *counted);
                        self.approved.push(Approved { index: *index, approvals });
                        self.hold(*index, counted.map(drop));
                        let outcome = self.boundary.allow(allow.epoch);
                        self.hold(*index, outcome);
                    }
                    Ok(_) | Err(_) => self.find(*index, "an approved intent that is no allow".to_owned()),
                }
                // Only a warrant gives leave without a signature.
                if !is_signed {
                    self.find(*index, "an allow without a signed checkpoint over its round".to_owned());
                }
            }
            Event::Use(index, leaf) => match Entry::parse(leaf) {
                Ok(Entry::Allow(allow)) => {
                    let outcome = self.break_glass.used(*index, &allow, self.boundary.epoch());
                    self.hold(*index, outcome);
                }
                Ok(_) | Err(_) => self.find(*index, "a use of a warrant that is no allow".to_owned()),
            },
            Event::Own(index, leaf) => match Entry::parse(leaf) {
                Ok(entry) => self.own(*index, &entry, is_signed),
                Err(error) => self.find(*index, error.to_string()),
            },
        }
    }

    fn decisions(&mut self, run: &Run, is_signed: bool) {
        for (kind, count) in [(Kind::Allow, run.allows), (Kind::Deny, run.denials), (Kind::Hold, run.holds)] {
            if count > 0 {
                self.report.count(kind, count);
            }
        }
        self.times.take(run.first, run.earliest, run.latest, &mut self.report);
        self.gaps.time(run.earliest, is_signed);
        self.gaps.decisions(run.allows, run.denials, run.holds, is_signed);
        if !self.loaded.contains(&run.bundle) {
            self.find(
                run.first,
                format!("decided by bundle {}, of which no entry said that it was loaded", run.bundle),
            );
            self.loaded.insert(run.bundle);
        }
        if let Some(index) = run.first_allow {
            let outcome = self.boundary.allow(run.epoch);
            self.hold(index, outcome);
            if !is_signed && run.by_policy > 0 {
                self.find(index, "an allow without a signed checkpoint over its round".to_owned());
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other kinds are not about the appliance, or have no rule"
    )]
    fn own(&mut self, index: u64, entry: &Entry<'_>, is_signed: bool) {
        self.report.count(entry.kind(), 1);
        self.times.take(index, entry.time(), entry.time(), &mut self.report);
        self.gaps.time(entry.time(), is_signed);
        let outcome = match entry {
            Entry::Trip(trip) => {
                self.gaps.trip(trip.cause, trip.time, is_signed);
                self.break_glass.closed(trip.time);
                self.boundary.trip(trip.epoch)
            }
            Entry::Approval(approval) => self.approvals.take(self.origin, index, approval),
            Entry::Rearm(rearm) => {
                let outcome = self.break_glass.opened(rearm.time);
                self.hold(index, outcome);
                self.boundary.rearm(rearm.epoch)
            }
            Entry::Status(status) => self.boundary.status(status.epoch),
            Entry::Boot(boot) => {
                self.times.start();
                self.gaps.start();
                self.break_glass.closed(boot.time);
                self.boundary.boot(boot.epoch)
            }
            Entry::Operator(act) => {
                self.absent.order(act);
                let outcome = self.break_glass.operators(act);
                self.hold(index, outcome);
                let outcome = predecessor::in_its_place(self.origin, index, act);
                self.hold(index, outcome);
                self.boundary.operators(act, self.origin)
            }
            Entry::Charter(charter) => self.break_glass.charter(index, charter),
            Entry::Warrant(warrant) => self.break_glass.warrant(index, warrant),
            Entry::Review(review) => self.break_glass.review(index, review),
            Entry::Bundle(offer) => self.bundle(offer),
            Entry::Key(key) => self.succession.name(key.vkey),
            Entry::Outage(outage) => {
                for wrong in self.gaps.outage(index, outage, is_signed) {
                    self.find(index, wrong);
                }
                Ok(())
            }
            _ => Ok(()),
        };
        self.hold(index, outcome);
    }

    /// `before` is zeroes where the appliance had just started.
    fn bundle(&mut self, offer: &BundleOffer<'_>) -> Result<(), String> {
        let (before, in_force) = (offer.before, self.in_force);
        let follows = before == Hash::default() || before == in_force;
        match offer.outcome {
            OfferOutcome::Loaded => {
                self.loaded.insert(offer.after);
                self.in_force = offer.after;
            }
            OfferOutcome::Refused(_) if offer.after != before => {
                return Err("a bundle that was refused, and another one in force".to_owned());
            }
            OfferOutcome::Refused(_) => {}
        }
        if follows {
            Ok(())
        } else {
            Err(format!("bundle {before} is said to be in force, and {in_force} was"))
        }
    }

    fn checkpoint(&mut self, signed: &SignedCheckpoint, signers: &[assent_proto::note::VerifierKey<'t>]) {
        let last = LeafIndex(self.tree.size().0.saturating_sub(1)).0;
        let covers = signed.size == self.tree.size() && signed.root == self.tree.root();
        if !covers {
            self.find(last, "checkpoint does not cover the leaves before it".to_owned());
        }
        match self.succession.checkpoint(signed, signers, self.times.latest()) {
            Ok(()) if !covers => {}
            Ok(()) => {
                self.report.checkpoints += 1;
                self.report.head = Some(*signed);
                self.break_glass.covered(signed.size.0);
            }
            Err(why) => self.find(last, why),
        }
        if let Some((gap, unaccounted)) = self.gaps.close(self.tree.size().0) {
            self.hold(last, unaccounted.map_or(Ok(()), Err));
            self.report.gaps.push(gap);
        }
        self.times.checkpoint(&mut self.report);
    }

    /// The log is over.
    pub(super) fn end(self, was_looked_beside: bool) -> Report {
        let Self { mut report, tree, gaps, times, batches, succession, elsewhere, beside, .. } = self;
        (report.entries, report.root) = (tree.size().0, tree.root());
        report.lowest_epoch = self.boundary.lowest();
        report.warrants = self.break_glass.end();
        self.absent.end(&mut report);
        self.approvals.end(&mut report);
        report.gaps.extend(gaps.end());
        report.beside = was_looked_beside.then_some(beside);
        batches.end(times.latest(), &mut report);
        times.end(&mut report);
        let (keys, trusted) = succession.end(report.entries);
        report.keys = keys;
        if let Err(why) = trusted {
            report.find(report.entries.saturating_sub(1), why);
        }
        for elsewhere in &elsewhere {
            elsewhere.end(&mut report);
        }
        report
    }

    fn hold(&mut self, index: u64, outcome: Result<(), String>) {
        if let Err(why) = outcome {
            self.find(index, why);
        }
    }

    fn find(&mut self, index: u64, what: String) {
        self.report.find(index, what);
    }
}
