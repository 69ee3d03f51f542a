//! Passkeys: who an operator at the console is, without a password anywhere.
//!
//! An operator of the configuration enrols a passkey by a link that serves once, logs in with it, and signs each act with it anew. The
//! rules: a session lets somebody look, and begin what they then sign; an act is one assertion over the statement that was shown;
//! each passkey is an SSH key too, so that whatever takes operators' signatures takes these. What it does *not* do: speak HTTP, or
//! make an act count. An approval counts where the bundle lists the key, whoever is enrolled here.
//!
//! Everything that is asked here takes the time as an argument. Where it is said that something waits for the disk, call it where that may be waited for.

mod acting;
mod answer;
mod error;
mod live;
mod order;
mod register;
mod role;
mod secret;
mod site;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assent_proto::number::Timestamp;
use serde::Serialize;

pub use acting::Assented;
pub use error::{IdentityError, PasskeysError};
pub use order::{OperatorAnswer, OperatorOrder, OperatorView, PasskeyView};
pub use role::{Act, Role, may};

use self::live::{Live, Standing, later};
use self::register::{Enrolled, Register};
use self::site::{Credential, Site};
use crate::config::{Config, ConsoleOperator};
use crate::limits::{MAX_LINK_LIFETIME, MIN_LINK_LIFETIME};
use crate::operators::OperatorKey;
use crate::shown::visible;
use crate::token::Operation;

/// The register's name in the data folder.
pub const FILE: &str = "passkeys.redb";
/// The namespace of acts whose own room has no statement.
pub const NAMESPACE: &str = "assent-console@v1";

/// What a browser is given, as `navigator.credentials` takes it once `PublicKeyCredential.parseCreationOptionsFromJSON` or
/// `parseRequestOptionsFromJSON` has read its member `publicKey`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Options(pub serde_json::Value);

/// Somebody who logged in: whose browser shows the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who, by the name in the configuration.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// The fingerprint of the passkey that they logged in with.
    pub fingerprint: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if nothing more is asked.
    pub until: Timestamp,
    csrf: String,
}

impl Session {
    /// The token that every form of this session must bring back.
    #[must_use]
    pub fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Whether a form brought it back.
    #[must_use]
    pub fn accepts(&self, csrf: &str) -> bool {
        secret::same(&self.csrf, csrf)
    }

    /// Whether this is for one of their roles.
    #[must_use]
    pub fn may(&self, act: Act) -> bool {
        may(&self.roles, act)
    }
}

/// Somebody who has just logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct LoggedIn {
    /// The value of the cookie: for that browser alone (`Secure`, `HttpOnly`, `SameSite=Strict`, `__Host-`), and kept nowhere here.
    pub cookie: String,
    /// The session.
    pub session: Session,
}

/// The operators of the console, and what they hold.
pub struct Passkeys {
    site: Site,
    operators: Vec<ConsoleOperator>,
    log_origin: String,
    register: Mutex<Register>,
    live: Mutex<Live>,
    record: Arc<dyn Fn(Operation) + Send + Sync>,
}

impl std::fmt::Debug for Passkeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Passkeys({}, {} operators)", self.site.origin(), self.operators.len())
    }
}

impl Passkeys {
    /// The operators of this configuration, with the register in its data folder; none where it names none. What they do is handed to `record`, for the log.
    ///
    /// # Errors
    /// [`PasskeysError`].
    pub fn open(
        config: &Config,
        record: impl Fn(Operation) + Send + Sync + 'static,
    ) -> Result<Option<Arc<Self>>, PasskeysError> {
        let operators = config.console.operators.clone();
        if operators.is_empty() {
            return Ok(None);
        }
        let path = config.appliance.data.join(FILE);
        Self::new(&path, &config.console_origin(), config.origin(), operators, record)
            .map(|passkeys| Some(Arc::new(passkeys)))
    }

    fn new(
        path: &Path,
        origin: &str,
        log_origin: String,
        operators: Vec<ConsoleOperator>,
        record: impl Fn(Operation) + Send + Sync + 'static,
    ) -> Result<Self, PasskeysError> {
        let site = Site::new(origin).ok_or_else(|| PasskeysError::Origin { origin: origin.to_owned() })?;
        let register = Mutex::new(Register::open(path)?);
        let (live, record) = (Mutex::new(Live::default()), Arc::new(record));
        Ok(Self { site, operators, log_origin, register, live, record })
    }

    /// The origin of the site that passkeys are made for. A request of another (`Origin`, `Host`) is none of ours.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.site.origin()
    }

    /// Makes a link by which an operator enrols a passkey, once; gives it, and until when it is valid.
    ///
    /// # Errors
    /// [`IdentityError`]: nobody of that name, too many links.
    pub fn invite(
        &self,
        name: &str,
        valid: Duration,
        by: &str,
        now: Timestamp,
    ) -> Result<(String, Timestamp), IdentityError> {
        self.operator(name)?;
        let until = later(now, valid.clamp(MIN_LINK_LIFETIME, MAX_LINK_LIFETIME));
        let token = self.live().invite(name, until, now)?;
        self.note("operator-invite", by, format!("operator {name}\nuntil {}\n", until.0));
        Ok((format!("{}/enrol/{token}", self.site.origin()), until))
    }

    /// Whom a link invites, for the page behind it.
    ///
    /// # Errors
    /// [`IdentityError::Link`].
    pub fn invited(&self, token: &str, now: Timestamp) -> Result<String, IdentityError> {
        self.live().invited(token, now)
    }

    /// Begins the enrolment by a link: options for `navigator.credentials.create`. It may be begun again while the link is valid.
    ///
    /// # Errors
    /// [`IdentityError`]: the link is not valid.
    pub fn begin_enrolment(&self, token: &str, now: Timestamp) -> Result<Options, IdentityError> {
        let name = self.invited(token, now)?;
        let known = self.register().of(&name).map(|key| key.credential.id().to_vec()).collect();
        let (options, begun) = self.site.begin_enrolment(&name, known)?;
        self.live().begin_enrolment(token, begun, now);
        Ok(Options(options))
    }

    /// Takes the browser's answer (`credential.toJSON()`), and enrols the passkey: its SSH line, for lists of operators. The link is
    /// spent. It waits for the disk.
    ///
    /// # Errors
    /// [`IdentityError`]; where only the answer was refused, the enrolment may be begun again.
    pub fn finish_enrolment(
        &self,
        token: &str,
        response: &str,
        now: Timestamp,
    ) -> Result<PasskeyView, IdentityError> {
        let name = self.invited(token, now)?;
        let begun = self.live().take_enrolment(token, now)?;
        let credential = self.site.finish_enrolment(&begun, response)?;
        let point = credential.point().ok_or(IdentityError::Key)?;
        let key =
            OperatorKey::of_passkey(&point, self.site.relying_party(), &name).ok_or(IdentityError::Key)?;
        let (line, used, revoked) = (key.line(), None, None);
        // The count of the enrolment itself the library keeps; a login comes before every act.
        let enrolled =
            Enrolled { name: name.clone(), line, credential, counter: 0, since: now, used, revoked };
        let mut register = self.register();
        // Looked at and spent under the register's lock: of two answers by one link the second finds none.
        self.invited(token, now)?;
        register.add(enrolled.clone())?;
        self.live().spend_link(token);
        drop(register);
        self.note("operator-enrol", &name, about(&enrolled));
        Ok(view(&enrolled))
    }

    /// Begins a login: options for `navigator.credentials.get`, with the passkeys of this operator, or for whichever the authenticator
    /// knows where nobody is named or the one who is has none. Whoever asks does so from that address, and a flood of logins that
    /// nobody finishes ends those of the network that it comes from.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn begin_login(
        &self,
        name: Option<&str>,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<Options, IdentityError> {
        let (options, challenge, begun) = {
            let register = self.register();
            let keys = name.into_iter().flat_map(|name| register.of(name));
            let known: Vec<&Credential> = keys.map(|key| &key.credential).collect();
            self.site.begin_login(&known)?
        };
        self.live().begin_login(challenge, begun, (from, now));
        Ok(Options(options))
    }

    /// Takes the browser's answer, and opens a session. It waits for the disk.
    ///
    /// # Errors
    /// [`IdentityError`]; then it must be begun again.
    pub fn finish_login(&self, response: &str, now: Timestamp) -> Result<LoggedIn, IdentityError> {
        let answer = answer::decode(response)?;
        let begun = self.live().take_login(&answer.challenge, now)?;
        let mut register = self.register();
        let mut enrolled = register.find(&answer.credential).ok_or(IdentityError::Key)?.clone();
        self.operator(&enrolled.name).map_err(|_| IdentityError::Key)?;
        let by = (enrolled.name.as_str(), &mut enrolled.credential);
        let counter = self.site.finish_login(begun, response, by)?;
        enrolled.count(counter, now)?;
        register.replace(enrolled.clone())?;
        // Opened under the register's lock: a key that is revoked from here on finds the session, and ends it.
        let (cookie, standing) = self.live().open_session(&enrolled.name, &enrolled.line, now)?;
        drop(register);
        self.note("operator-login", &enrolled.name, about(&enrolled));
        let session = self.shown(&standing).ok_or(IdentityError::Key)?;
        Ok(LoggedIn { cookie, session })
    }

    /// The session of a cookie; asking is use. None where there is none, or not any more.
    #[must_use]
    pub fn session(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let standing = self.live().session(cookie, now)?.clone();
        self.shown(&standing)
    }

    /// Whether there is a session of this cookie. Asking is no use of it: a page that looks on by itself keeps nobody logged in.
    #[must_use]
    pub fn stands(&self, cookie: &str, now: Timestamp) -> bool {
        self.live().stands(cookie, now)
    }

    /// Ends the session of a cookie.
    pub fn logout(&self, cookie: &str) {
        self.live().close_session(cookie);
    }

    /// All operators, with their passkeys; those whom the configuration names no more at the end.
    #[must_use]
    pub fn list(&self) -> Vec<OperatorView> {
        let register = self.register();
        let mut operators: Vec<OperatorView> = self
            .operators
            .iter()
            .map(|operator| OperatorView {
                name: operator.name.clone(),
                roles: operator.roles.clone(),
                keys: Vec::new(),
            })
            .collect();
        for key in register.all() {
            let at = operators.iter().position(|operator| operator.name == key.name);
            let at = at.unwrap_or_else(|| {
                operators.push(OperatorView { name: key.name.clone(), roles: Vec::new(), keys: Vec::new() });
                operators.len() - 1
            });
            if let Some(operator) = operators.get_mut(at) {
                operator.keys.push(view(key));
            }
        }
        operators
    }

    /// Revokes all passkeys of an operator, or the one of this fingerprint; with them end sessions, and links that were not used. It waits for the disk.
    ///
    /// # Errors
    /// [`IdentityError`]: there is none, or it cannot be written.
    pub fn revoke(&self, who: &str, by: &str, now: Timestamp) -> Result<Vec<PasskeyView>, IdentityError> {
        let revoked = {
            let mut register = self.register();
            let revoked = register.revoke(who, now)?;
            let mut live = self.live();
            live.end_links_of(who);
            revoked.iter().for_each(|key| live.end_sessions_of(&key.line));
            revoked
        };
        if revoked.is_empty() {
            return Err(IdentityError::UnknownKey { who: visible(who) });
        }
        for key in &revoked {
            self.note("operator-revoke", by, about(key));
        }
        Ok(revoked.iter().map(view).collect())
    }

    fn operator(&self, name: &str) -> Result<&ConsoleOperator, IdentityError> {
        let found = self.operators.iter().find(|operator| operator.name == name);
        found.ok_or_else(|| IdentityError::UnknownOperator { name: visible(name) })
    }

    fn shown(&self, standing: &Standing) -> Option<Session> {
        let operator = self.operator(&standing.name).ok()?;
        let key = OperatorKey::parse(&format!("{} {}", standing.key, standing.name)).ok()?;
        Some(Session {
            name: operator.name.clone(),
            roles: operator.roles.clone(),
            fingerprint: key.fingerprint(),
            since: standing.since,
            until: standing.until(),
            csrf: standing.csrf.clone(),
        })
    }

    /// Has the log say what was done to whose passkey: it takes no signature, for who did it used the control socket, or just proved who they are.
    fn note(&self, act: &'static str, by: &str, statement: String) {
        (self.record)(Operation::Operators {
            act,
            by: vec![by.to_owned()],
            statement,
            signatures: Vec::new(),
        });
    }

    // Where both are held, the register is locked first.
    fn register(&self) -> MutexGuard<'_, Register> {
        self.register.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a browser would make passkeys for a site of this origin.
#[must_use]
pub fn is_site(origin: &str) -> bool {
    Site::new(origin).is_some()
}

fn about(key: &Enrolled) -> String {
    format!("operator {}\nkey {}\n", key.name, key.line)
}

fn view(key: &Enrolled) -> PasskeyView {
    PasskeyView {
        fingerprint: key.fingerprint(),
        line: format!("{} {}", key.line, key.name),
        since_ms: key.since.0,
        used_ms: key.used.map(|used| used.0),
        revoked_ms: key.revoked.map(|revoked| revoked.0),
    }
}
