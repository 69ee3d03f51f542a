//! The drain: how a server stops without taking back what it has answered.
//!
//! The one rule: once nothing more is taken in, the count of what is being answered only falls, and the sockets close when it
//! is none or patience is at its end. Whoever asks meanwhile hears that the appliance is stopping, and nothing else: the
//! batch was not decided, and asks again under its id. What it does not do: decide what becomes of a batch; the sealer does.

use std::time::Duration;

use tokio::sync::watch;

use crate::limits::{DRAIN_PATIENCE, DRAIN_ROUND_TRIPS};

/// How far a server is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It takes what comes.
    Serves,
    /// It takes nothing more; what was taken in is being decided.
    TakesNothing,
    /// Nothing is decided any more: what is answered is to be read, then it ends.
    Closes,
}

/// The stage; whoever is being answered listens to it.
#[derive(Debug)]
pub(super) struct Drain(watch::Sender<Stage>);

/// A peer is being answered.
#[derive(Debug)]
pub(super) struct UnderWay(watch::Receiver<Stage>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(Stage::Serves))
    }
}

impl Drain {
    /// Goes on to this stage; never back.
    pub(super) fn enter(&self, stage: Stage) {
        self.0.send_if_modified(|now| {
            let goes_on = stage > *now;
            *now = (*now).max(stage);
            goes_on
        });
    }

    /// Whether anything is taken in.
    pub(super) fn takes(&self) -> bool {
        *self.0.borrow() == Stage::Serves
    }

    /// Begins to answer somebody; none where nothing is taken in any more.
    pub(super) fn begin(&self) -> Option<UnderWay> {
        let under_way = UnderWay(self.0.subscribe());
        // Looked at behind the count: what is taken here is waited for.
        self.takes().then_some(under_way)
    }

    /// Waits until nobody is being answered any more, and what has left has had time to arrive: `round_trip` is that of the
    /// slowest peer. False when patience ended first.
    pub(super) async fn wait(&self, round_trip: Duration) -> bool {
        let all = async {
            self.0.closed().await;
            tokio::time::sleep(round_trip * DRAIN_ROUND_TRIPS).await;
        };
        tokio::time::timeout(DRAIN_PATIENCE, all).await.is_ok()
    }
}

impl UnderWay {
    /// Returns when nothing is decided any more.
    pub(super) async fn closes(&mut self) {
        // Whoever tells it lives as long as the server.
        let _ = self.0.wait_for(|stage| *stage == Stage::Closes).await;
    }

    /// Whether this is among the last that are answered.
    pub(super) fn is_last(&self) -> bool {
        *self.0.borrow() > Stage::Serves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_taken_in_is_waited_for_and_nothing_more_is_taken() {
        let drain = Drain::default();
        let mut first = drain.begin().unwrap();
        assert!(!first.is_last());
        drain.enter(Stage::TakesNothing);
        assert!(drain.begin().is_none() && first.is_last());
        drain.enter(Stage::Closes);
        first.closes().await;
        drain.enter(Stage::Serves);
        assert!(drain.begin().is_none(), "it never goes back");
        let mut wait = Box::pin(drain.wait(Duration::ZERO));
        tokio::select! {
            biased;
            _ = &mut wait => panic!("somebody is being answered"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        assert!(wait.await, "nobody is left");
    }

    #[tokio::test]
    async fn patience_with_one_who_does_not_read_has_an_end() {
        let drain = Drain::default();
        let _reads_nothing = drain.begin().unwrap();
        drain.enter(Stage::Closes);
        assert!(!drain.wait(Duration::ZERO).await);
    }
}
