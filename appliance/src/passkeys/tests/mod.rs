//! Operators' identity against a software authenticator that answers as a browser would, or as somebody hostile might.

mod acts;
mod enrolment;
mod logins;

use std::cell::Cell;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assent_proto::number::Timestamp;

use super::*;

#[path = "../../../../tests/authenticator/mod.rs"]
mod authenticator;

pub(super) use authenticator::{Authenticator, PRESENT};

/// Where browsers are.
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ORIGIN: &str = "https://console.example.org:7745";

/// A console's operators, on a clock that moves when it is told to.
struct Console {
    folder: tempfile::TempDir,
    passkeys: Passkeys,
    leaves: Arc<Mutex<Vec<Operation>>>,
    now: Cell<Timestamp>,
}

impl Console {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let leaves = Arc::default();
        let passkeys = passkeys(&folder, &leaves, &["alice", "bob", "vera"]);
        Self { folder, passkeys, leaves, now: Cell::new(Timestamp(1_800_000_000_000)) }
    }

    /// The same after a restart, with these operators in the configuration.
    fn restarted(self, names: &[&str]) -> Self {
        let Self { folder, passkeys: before, leaves, now } = self;
        drop(before);
        let passkeys = passkeys(&folder, &leaves, names);
        Self { folder, passkeys, leaves, now }
    }

    fn now(&self) -> Timestamp {
        self.now.get()
    }

    fn pass(&self, time: Duration) {
        self.now.set(later(self.now(), time));
    }

    /// The token of a fresh link.
    fn link(&self, name: &str) -> String {
        let (link, _) =
            self.passkeys.invite(name, Duration::from_secs(15 * 60), "root (uid 0)", self.now()).unwrap();
        link.strip_prefix(&format!("{ORIGIN}/enrol/")).expect(&link).to_owned()
    }

    fn enrol_with(
        &self,
        authenticator: &mut Authenticator,
        token: &str,
    ) -> Result<PasskeyView, IdentityError> {
        let Options(options) = self.passkeys.begin_enrolment(token, self.now())?;
        self.passkeys.finish_enrolment(token, &authenticator.create(&options).to_string(), self.now())
    }

    fn enrol(&self, name: &str) -> Authenticator {
        let mut authenticator = Authenticator::new(ORIGIN);
        self.enrol_with(&mut authenticator, &self.link(name)).unwrap();
        authenticator
    }

    fn log_in(
        &self,
        authenticator: &mut Authenticator,
        name: Option<&str>,
    ) -> Result<LoggedIn, IdentityError> {
        let Options(options) = self.passkeys.begin_login(name, HERE, self.now())?;
        self.passkeys.finish_login(&authenticator.get(&options).to_string(), self.now())
    }

    /// An operator with a passkey, logged in: the authenticator and the cookie.
    fn present(&self, name: &str) -> (Authenticator, String) {
        let mut authenticator = self.enrol(name);
        let cookie = self.log_in(&mut authenticator, Some(name)).unwrap().cookie;
        (authenticator, cookie)
    }

    fn sign(
        &self,
        (authenticator, cookie): (&mut Authenticator, &str),
        act: Act,
        statement: &str,
    ) -> Result<Assented, IdentityError> {
        let Options(options) = self.passkeys.begin_act(cookie, act, statement, self.now())?;
        let response = authenticator.get(&options).to_string();
        self.passkeys.finish_act(cookie, act, statement, &response, self.now())
    }

    /// The log's Operator leaves: what, by whom, with how many signatures.
    fn acts(&self) -> Vec<(&'static str, String, usize)> {
        let leaves = self.leaves.lock().unwrap();
        let act = |leaf: &Operation| {
            let Operation::Operators { act, by, signatures, .. } = leaf else { panic!("{leaf:?}") };
            (*act, by.join(","), signatures.len())
        };
        leaves.iter().map(act).collect()
    }
}

fn passkeys(folder: &tempfile::TempDir, leaves: &Arc<Mutex<Vec<Operation>>>, names: &[&str]) -> Passkeys {
    let role = |name: &str| if name == "vera" { vec![Role::Viewer] } else { Role::ALL.to_vec() };
    let operators =
        names.iter().map(|name| ConsoleOperator { name: (*name).to_owned(), roles: role(name) }).collect();
    let leaves = Arc::clone(leaves);
    let record = move |operation| leaves.lock().unwrap().push(operation);
    let log_origin = "localhost/test/log/1".to_owned();
    Passkeys::new(&folder.path().join(FILE), ORIGIN, log_origin, operators, record).unwrap()
}

/// What a refusal says, by its label.
fn refused<T: std::fmt::Debug>(outcome: Result<T, IdentityError>) -> &'static str {
    outcome.unwrap_err().kind()
}
