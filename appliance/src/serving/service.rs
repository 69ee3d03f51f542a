//! The service manager: told that the appliance is ready, alive, how its boundaries stand, and that it stops (sd_notify(3)).
//!
//! The one rule: a sign of life goes out only when the sealer's own thread has just answered, or waits for HSM or disk within their
//! deadlines, so a process whose sealer hangs is ended by the watchdog although its sockets answer. An HSM that is away is no
//! hang, and neither is a disk that is: the boundary is closed then, whoever waits is refused, and another process could do no more. Without a manager
//! (no `NOTIFY_SOCKET`) nothing is told, and nothing changes.

use std::sync::Arc;

use sd_notify::NotifyState;
use tokio::time::MissedTickBehavior;

use crate::clock::Clock;
use crate::limits::{LIFE_PAUSE, LIVES_PER_WATCHDOG, SERVICE_LOOK, SERVICE_START_EXTENSION};
use crate::policy::Policies;
use crate::token::SealerHandle;

/// What is told of.
#[derive(Clone, Debug)]
pub(super) struct Service {
    sealer: SealerHandle,
    policies: Arc<Policies>,
    clock: Clock,
}

impl Service {
    pub(super) fn new(sealer: &SealerHandle, policies: &Arc<Policies>, clock: &Clock) -> Self {
        Self { sealer: sealer.clone(), policies: Arc::clone(policies), clock: clock.clone() }
    }

    /// Says that it is ready, then how it is, until the task is dropped.
    pub(super) async fn keep(self) {
        let mut told = self.standing();
        tell(&[NotifyState::Ready, NotifyState::Status(&told)]).await;
        tokio::join!(self.live(), self.show(&mut told));
    }

    /// Signs of life, as many as the manager asks for, each behind an answer of the sealer.
    async fn live(&self) {
        let Some(within) = sd_notify::watchdog_enabled() else { return };
        // A watchdog that gives no time at all is nobody's wish, and no interval.
        let mut due = tokio::time::interval((within / LIVES_PER_WATCHDOG).max(LIFE_PAUSE));
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            if !self.sealer.lives().await {
                // It has ended, and the process with it.
                return;
            }
            tell(&[NotifyState::Watchdog]).await;
        }
    }

    /// Tells how the boundaries stand whenever that has changed.
    async fn show(&self, told: &mut String) {
        let mut standing = self.sealer.boundary().subscribe();
        let mut look = tokio::time::interval(SERVICE_LOOK);
        loop {
            tokio::select! {
                // The evaluation boundary tells nobody: it is looked at.
                _ = look.tick() => {}
                changed = standing.changed() => if changed.is_err() { return },
            }
            let now = self.standing();
            if *told != now {
                tell(&[NotifyState::Status(&now)]).await;
                *told = now;
            }
        }
    }

    /// The line that `systemctl status` shows.
    fn standing(&self) -> String {
        let token = self.sealer.boundary().closed().map(|closed| closed.cause.kind);
        let moment = self.policies.moment(self.clock.now());
        let evaluation = self.policies.boundary().closed(moment).map(|closed| closed.cause.kind());
        line(token, evaluation)
    }
}

/// What the boundaries say, in one line of bounded labels.
fn line(token: Option<&str>, evaluation: Option<&str>) -> String {
    let closed =
        |boundary, cause: Option<&str>| cause.map(|cause| format!("{boundary} boundary CLOSED: {cause}"));
    let closed: Vec<String> =
        [closed("token", token), closed("evaluation", evaluation)].into_iter().flatten().collect();
    if closed.is_empty() { "open".to_owned() } else { closed.join("; ") }
}

/// A start that takes long because there is much to check asks for more time.
pub(super) fn starting(what: &str) {
    let micros = u32::try_from(SERVICE_START_EXTENSION.as_micros()).unwrap_or(u32::MAX);
    send(&text_of(&[NotifyState::ExtendTimeoutUsec(micros), NotifyState::Status(what)]));
}

/// It stops, and says what it does first.
pub(super) async fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what was taken in")]).await;
}

/// Tells the manager. One that has stopped reading holds up whoever waits for this, and no thread that serves.
async fn tell(states: &[NotifyState<'_>]) {
    let text = text_of(states);
    let _ = tokio::task::spawn_blocking(move || send(&text)).await;
}

fn text_of(states: &[NotifyState<'_>]) -> String {
    states.iter().map(NotifyState::to_string).collect::<Vec<_>>().join("\n")
}

/// A datagram. A manager that cannot be reached misses it: nothing here depends on being heard.
fn send(text: &str) {
    if let Err(error) = sd_notify::notify(&[NotifyState::Custom(text)]) {
        tracing::debug!(%error, "the service manager is not told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_each_boundary_that_is_closed_and_why() {
        assert_eq!(line(None, None), "open");
        assert_eq!(line(Some("device_removed"), None), "token boundary CLOSED: device_removed");
        assert_eq!(
            line(Some("starting"), Some("bundle_unconfirmed")),
            "token boundary CLOSED: starting; evaluation boundary CLOSED: bundle_unconfirmed"
        );
    }
}
