//! What lives as long as the process and no longer: links that were handed out, logins that were begun, sessions and their acts.
//!
//! The rule it keeps: everything has an end and a bound, is found by a hash or a challenge, and is taken out before it is used, so that nothing serves
//! twice. A restart ends all of it: operators log in again, and links are asked for again.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use assent_proto::hash::Hash;
use assent_proto::number::Timestamp;

use super::IdentityError;
use super::secret;
use super::site::{Enrolling, LoggingIn};
use crate::limits::{
    CEREMONY_DEADLINE, MAX_ENROLMENT_LINKS, MAX_PENDING_ACTS, MAX_PENDING_LOGINS, MAX_SESSIONS,
    MAX_SESSIONS_PER_OPERATOR, SESSION_IDLE, SESSION_LIFETIME,
};

/// A link that was handed out, and nobody has enrolled by yet.
#[derive(Debug)]
struct Link {
    name: String,
    until: Timestamp,
    /// What its browser was asked last.
    begun: Option<(Enrolling, Timestamp)>,
}

/// Somebody who logged in.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) name: String,
    /// The SSH line of the passkey.
    pub(super) key: String,
    pub(super) csrf: String,
    pub(super) since: Timestamp,
    used: Timestamp,
    /// What is being signed, each until its time is over.
    acts: Vec<(Hash, Timestamp)>,
}

impl Standing {
    fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until()
    }

    /// When it ends, if nothing is asked in it.
    pub(super) fn until(&self) -> Timestamp {
        later(self.used, SESSION_IDLE).min(later(self.since, SESSION_LIFETIME))
    }
}

/// A login that was begun.
#[derive(Debug)]
struct Login {
    challenge: Vec<u8>,
    begun: LoggingIn,
    until: Timestamp,
    /// The network that it was begun from.
    from: IpAddr,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Live {
    links: HashMap<Hash, Link>,
    /// The oldest first.
    logins: Vec<Login>,
    sessions: HashMap<Hash, Standing>,
}

pub(super) fn later(from: Timestamp, by: Duration) -> Timestamp {
    Timestamp(from.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}

/// Whom an address stands for: whoever has an address of version 6 has all of its network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

impl Live {
    /// Hands out a link for an operator. One that they had before is none any more.
    pub(super) fn invite(
        &mut self,
        name: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<String, IdentityError> {
        self.links.retain(|_, link| link.until > now && link.name != name);
        if self.links.len() >= MAX_ENROLMENT_LINKS {
            return Err(IdentityError::TooMany("links"));
        }
        let token = secret::fresh()?;
        self.links.insert(secret::kept(&token), Link { name: name.to_owned(), until, begun: None });
        Ok(token)
    }

    /// Whose link this is, while it is one.
    pub(super) fn invited(&self, token: &str, now: Timestamp) -> Result<String, IdentityError> {
        let link = self.links.get(&secret::kept(token)).filter(|link| link.until > now);
        Ok(link.ok_or(IdentityError::Link)?.name.clone())
    }

    /// Notes what the browser behind a link was asked.
    pub(super) fn begin_enrolment(&mut self, token: &str, begun: Enrolling, now: Timestamp) {
        if let Some(link) = self.links.get_mut(&secret::kept(token)) {
            link.begun = Some((begun, later(now, CEREMONY_DEADLINE)));
        }
    }

    /// Takes it: one answer for one question.
    pub(super) fn take_enrolment(&mut self, token: &str, now: Timestamp) -> Result<Enrolling, IdentityError> {
        let link = self.links.get_mut(&secret::kept(token)).filter(|link| link.until > now);
        let (begun, until) = link.ok_or(IdentityError::Link)?.begun.take().ok_or(IdentityError::NotBegun)?;
        if until > now { Ok(begun) } else { Err(IdentityError::NotBegun) }
    }

    /// Takes the link itself.
    pub(super) fn spend_link(&mut self, token: &str) {
        self.links.remove(&secret::kept(token));
    }

    /// Notes a login that was begun, which anybody may from anywhere. Nobody is kept out by that: where there are too many, the
    /// oldest makes room of those from the network that most are from.
    pub(super) fn begin_login(
        &mut self,
        challenge: Vec<u8>,
        begun: LoggingIn,
        (from, now): (IpAddr, Timestamp),
    ) {
        self.logins.retain(|login| login.until > now);
        if self.logins.len() >= MAX_PENDING_LOGINS {
            self.make_room_for_login();
        }
        let (until, from) = (later(now, CEREMONY_DEADLINE), network(from));
        self.logins.push(Login { challenge, begun, until, from });
    }

    /// How many logins were begun.
    #[cfg(test)]
    pub(super) const fn logins(&self) -> usize {
        self.logins.len()
    }

    fn make_room_for_login(&mut self) {
        let mut shares: HashMap<IpAddr, usize> = HashMap::new();
        for login in &self.logins {
            *shares.entry(login.from).or_default() += 1;
        }
        let most = shares.values().copied().max();
        let oldest = self.logins.iter().position(|login| shares.get(&login.from).copied() == most);
        oldest.map(|at| self.logins.remove(at));
    }

    /// Takes it: one answer for one challenge.
    pub(super) fn take_login(
        &mut self,
        challenge: &[u8],
        now: Timestamp,
    ) -> Result<LoggingIn, IdentityError> {
        let at = self.logins.iter().position(|login| login.challenge == challenge);
        let login = self.logins.remove(at.ok_or(IdentityError::NotBegun)?);
        if login.until > now { Ok(login.begun) } else { Err(IdentityError::NotBegun) }
    }

    /// Opens a session: its cookie. Of an operator's own the oldest makes room.
    pub(super) fn open_session(
        &mut self,
        name: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<(String, Standing), IdentityError> {
        self.sessions.retain(|_, session| !session.is_over(now));
        let own = || self.sessions.iter().filter(|(_, session)| session.name == name);
        if own().count() >= MAX_SESSIONS_PER_OPERATOR {
            let oldest = own().min_by_key(|(_, session)| session.since).map(|(cookie, _)| *cookie);
            oldest.and_then(|cookie| self.sessions.remove(&cookie));
        }
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(IdentityError::TooMany("sessions"));
        }
        let (cookie, csrf) = (secret::fresh()?, secret::fresh()?);
        let (name, key) = (name.to_owned(), key.to_owned());
        let standing = Standing { name, key, csrf, since: now, used: now, acts: Vec::new() };
        self.sessions.insert(secret::kept(&cookie), standing.clone());
        Ok((cookie, standing))
    }

    /// The session of a cookie, which is used now.
    pub(super) fn session(&mut self, cookie: &str, now: Timestamp) -> Option<&mut Standing> {
        let kept = secret::kept(cookie);
        if self.sessions.get(&kept)?.is_over(now) {
            self.sessions.remove(&kept);
            return None;
        }
        let session = self.sessions.get_mut(&kept)?;
        session.used = session.used.max(now);
        Some(session)
    }

    /// Whether there is a session of this cookie, which is not used.
    pub(super) fn stands(&self, cookie: &str, now: Timestamp) -> bool {
        self.sessions.get(&secret::kept(cookie)).is_some_and(|session| !session.is_over(now))
    }

    /// Ends a session.
    pub(super) fn close_session(&mut self, cookie: &str) {
        self.sessions.remove(&secret::kept(cookie));
    }

    /// Ends what stands on a passkey.
    pub(super) fn end_sessions_of(&mut self, key: &str) {
        self.sessions.retain(|_, session| session.key != key);
    }

    /// Takes back what an operator was handed out.
    pub(super) fn end_links_of(&mut self, name: &str) {
        self.links.retain(|_, link| link.name != name);
    }
}

impl Standing {
    /// Notes what is being signed.
    pub(super) fn begin_act(&mut self, act: Hash, now: Timestamp) -> Result<(), IdentityError> {
        self.acts.retain(|(known, until)| *until > now && *known != act);
        if self.acts.len() >= MAX_PENDING_ACTS {
            return Err(IdentityError::TooMany("acts that were begun"));
        }
        self.acts.push((act, later(now, CEREMONY_DEADLINE)));
        Ok(())
    }

    /// Takes it: one signature for one showing.
    pub(super) fn take_act(&mut self, act: Hash, now: Timestamp) -> Result<(), IdentityError> {
        let at = self.acts.iter().position(|(known, until)| *known == act && *until > now);
        self.acts.swap_remove(at.ok_or(IdentityError::NotBegun)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_whoever_has_it() {
        let of = |address: &str| network(address.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(
            (of("192.0.2.7"), of("::ffff:192.0.2.7")),
            ("192.0.2.7".to_owned(), "192.0.2.7".to_owned())
        );
    }

    #[test]
    fn sessions_and_links_are_bounded_over_all_operators_and_room_comes_with_time() {
        let (mut live, now) = (Live::default(), Timestamp(1_800_000_000_000));
        for number in 0..MAX_SESSIONS {
            live.open_session(&format!("operator-{number}"), "key", now).unwrap();
        }
        let more = live.open_session("one-more", "key", now);
        assert!(matches!(more, Err(IdentityError::TooMany("sessions"))), "{more:?}");
        assert!(live.open_session("one-more", "key", later(now, SESSION_IDLE)).is_ok());
        let until = later(now, Duration::from_secs(60));
        for number in 0..MAX_ENROLMENT_LINKS {
            live.invite(&format!("operator-{number}"), until, now).unwrap();
        }
        let more = live.invite("one-more", until, now);
        assert!(matches!(more, Err(IdentityError::TooMany("links"))), "{more:?}");
        assert!(live.invite("operator-0", until, now).is_ok(), "one takes the place of the one before");
        assert!(live.invite("one-more", later(until, SESSION_IDLE), until).is_ok());
    }
}
