//! The operator console: what is closed and why, what waits, what happened; and the acts of operators, each signed anew.
//!
//! The rules it keeps: what a page shows is text, whoever wrote it; a session lets somebody look, and each act is an assertion over
//! the statement that was shown; an act on something that has changed meanwhile, or from a page that has not heard of the
//! appliance for a while, is refused. It knows no HTTP: that is [`crate::http`]'s. It decides nothing: acts go to the desks that
//! the command line goes to.

pub mod acts;
mod asked;
pub mod assets;
pub mod drills;
pub mod evidence;
pub mod live;
pub mod pages;
pub mod search;
mod similar;

use std::sync::Arc;

use assent_proto::number::Timestamp;

use self::evidence::Evidence;
use self::live::Live;
use crate::config::Config;
use crate::control::Desk;
use crate::log::reader::Reader;
use crate::passkeys::{Passkeys, Session};
use crate::serving::status::Status;

/// What all pages and acts come from.
#[derive(Debug)]
pub struct Console {
    desk: Arc<Desk>,
    passkeys: Arc<Passkeys>,
    live: Live,
    acts: acts::Acts,
    evidence: Evidence,
}

/// Who looks, and at what moment.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Their session.
    pub session: Session,
    /// The time.
    pub now: Timestamp,
}

impl Console {
    /// The console of this appliance.
    #[must_use]
    pub fn new(desk: Arc<Desk>, passkeys: Arc<Passkeys>, config: Config) -> Self {
        let (live, acts, evidence) = (Live::default(), acts::Acts::default(), Evidence::new(config));
        Self { desk, passkeys, live, acts, evidence }
    }

    /// Who operates.
    #[must_use]
    pub const fn passkeys(&self) -> &Arc<Passkeys> {
        &self.passkeys
    }

    /// What is told to whoever looks on.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.desk.status.clock.now()
    }

    /// How the appliance is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.desk.status.read()
    }

    /// The log.
    pub(crate) fn reader(&self) -> &Reader {
        self.desk.status.sealer.reader()
    }
}
