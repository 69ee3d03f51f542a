//! The token boundary, as the log tells it: every trip begins an epoch, a re-arm opens it, and only open it allows.
//!
//! A trip that no entry tells of, because the process was killed first, may be skipped; nothing goes back.

use assent_proto::entry::OperatorAct;
use assent_proto::number::Epoch;

/// How the boundary stands.
#[derive(Debug, Default)]
pub(super) struct Boundary {
    epoch: Epoch,
    is_open: bool,
    /// The epoch of an order to refuse what is older.
    revoking: Option<Epoch>,
    /// The epoch below which executors were told to refuse.
    lowest: Epoch,
}

impl Boundary {
    /// It closed: another epoch.
    pub(super) fn trip(&mut self, epoch: Epoch) -> Result<(), String> {
        let before = self.epoch;
        (self.epoch, self.is_open) = (epoch, false);
        match epoch.cmp(&before) {
            std::cmp::Ordering::Greater => Ok(()),
            std::cmp::Ordering::Equal => Err(format!("a trip that begins no epoch: {epoch} stands already")),
            std::cmp::Ordering::Less => Err(fell(before, epoch)),
        }
    }

    /// It opened.
    pub(super) fn rearm(&mut self, epoch: Epoch) -> Result<(), String> {
        self.is_open = true;
        if self.revoking.take() == Some(epoch) {
            self.lowest = epoch;
        }
        self.enter(epoch)
    }

    /// The appliance started, which finds it closed.
    pub(super) fn boot(&mut self, epoch: Epoch) -> Result<(), String> {
        self.is_open = false;
        self.enter(epoch)
    }

    /// A sign of life.
    pub(super) fn status(&self, epoch: Epoch) -> Result<(), String> {
        let epoch_now = self.epoch;
        if epoch == epoch_now {
            Ok(())
        } else {
            Err(format!("a sign of life of epoch {epoch}, and it is {epoch_now}"))
        }
    }

    /// Operators did something; an order to re-arm is about this log.
    pub(super) fn operators(&mut self, act: &OperatorAct<'_>, origin: &str) -> Result<(), String> {
        if act.act != "rearm" {
            return Ok(());
        }
        let said = |name: &str| act.statement.lines().find_map(|line| line.strip_prefix(name));
        if said("origin ") != Some(origin) {
            return Err("operators' order to re-arm names another log".to_owned());
        }
        if said("revoke ") == Some("yes") {
            self.revoking = said("epoch ").and_then(|epoch| epoch.parse().ok()).map(Epoch);
        }
        Ok(())
    }

    /// The epoch below which executors were told to refuse tokens.
    pub(super) const fn lowest(&self) -> Epoch {
        self.lowest
    }

    /// The epoch that stands.
    pub(super) const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Something was allowed in this epoch, by policy.
    pub(super) fn allow(&self, epoch: Epoch) -> Result<(), String> {
        if epoch != self.epoch {
            return Err(format!("allowed in epoch {epoch}, which was not open"));
        }
        if self.is_open {
            Ok(())
        } else {
            Err(format!("allowed in epoch {epoch} while the boundary was closed"))
        }
    }

    fn enter(&mut self, epoch: Epoch) -> Result<(), String> {
        let before = self.epoch;
        self.epoch = epoch;
        if epoch < before { Err(fell(before, epoch)) } else { Ok(()) }
    }
}

fn fell(before: Epoch, epoch: Epoch) -> String {
    format!("epoch fell from {before} to {epoch}")
}
