//! The operator console: whether its door would open, whether browsers would take it for the site, and whether anybody can log in.

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use url::Url;

use super::Subject;
use super::certificates::examine_end;
use super::files::private;
use super::findings::Findings;
use super::network::free;
use crate::cli::output::chain;
use crate::config::Config;
use crate::control::ask_operators;
use crate::identity::tls;
use crate::passkeys::{self, OperatorAnswer, OperatorOrder, PasskeysError, is_site};
use crate::serving::ConsoleError;
use crate::serving::console::{DoorFiles, Named, door_tls};
use crate::serving::ports::OPERATORS;
use crate::shown::counted;

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    let config = subject.config;
    let origin = config.console_origin();
    if config.console.operators.is_empty() {
        findings.ok("console", "nobody operates it: no [[console.operator]]");
    } else if is_site(&origin) {
        examine_door(subject, &origin, findings);
        examine_passkeys(subject, findings);
    } else {
        let next = "give `appliance.host` or `console.origin` a host name";
        findings.fail("console's origin", PasskeysError::Origin { origin }.to_string(), next);
    }
    examine_port(subject, &config.console_origin(), findings);
}

/// What the door is made from, by what makes it.
fn examine_door(subject: &Subject<'_>, origin: &str, findings: &mut Findings) {
    let config = subject.config;
    let Some(address) = config.console.listen else {
        return findings.ok("console", "off: `console.listen` says so");
    };
    match door_tls(config, address) {
        Ok(None) => {
            findings.ok("console's origin", format!("{origin}, of this machine alone: it needs no TLS"));
        }
        Ok(Some(_)) => {
            examine_origin(config, origin, findings);
            findings.ok("console's door", "certificate and key go together");
        }
        Err(error) => {
            let next = error.next();
            match &error {
                ConsoleError::InClear { address } => {
                    let found = format!("{origin} is of this machine alone, and `console.listen` {address}");
                    findings.fail("console's origin", found, next);
                }
                ConsoleError::Tls { settings, source } => {
                    findings.fail("console's door", format!("{settings}: {}", chain(source)), next);
                }
                ConsoleError::Port(port) => findings.fail("console's door", chain(port), next),
            }
        }
    }
    if !config.console.is_local() {
        examine_files(subject, origin, findings);
    }
}

/// Without one of its own the site's port is the usual, wherever the console listens.
fn examine_origin(config: &Config, origin: &str, findings: &mut Findings) {
    let told = Url::parse(origin).ok().and_then(|url| url.port_or_known_default());
    let ours = config.console.listen.map(|address| address.port());
    if config.console.origin.is_none() && told != ours {
        let found = format!("{origin}, which follows from `appliance.host`, and it listens at another port");
        findings.warn("console's origin", found, "set `console.origin` to what operators type");
    } else {
        findings.ok("console's origin", origin);
    }
}

/// What browsers make of the certificates, as far as it is known here: which authorities they trust is not.
fn examine_files(subject: &Subject<'_>, origin: &str, findings: &mut Findings) {
    let files = DoorFiles::of(subject.config);
    let Named { setting, path } = files.certificate;
    let next = format!("have another issued, to {}, and restart the appliance", path.display());
    if let Some(first) = first(path) {
        match names(&first, origin) {
            Ok(host) => findings.ok("console's certificate", format!("names `{host}`")),
            Err(why) => {
                let next =
                    format!("have `{setting}` issued for that host, unless a proxy with its own is in front");
                findings.warn("console's certificate", why, next);
            }
        }
        // The appliance's own is examined as that.
        if subject.config.console.certificate.is_some() {
            examine_end("console's certificate ends", &first, subject.now, &next, findings);
        }
    }
    if let Some(key) = subject.config.console.key.as_deref().filter(|key| key.exists()) {
        private("console's key", key, findings);
    }
    for root in files.client_ca.into_iter().flat_map(|file| tls::certificates(file.path).unwrap_or_default())
    {
        let next = "put the next CA's certificate into `console.client_ca`, and give browsers others";
        examine_end("console's client CA ends", &root, subject.now, next, findings);
    }
}

fn first(path: &std::path::Path) -> Option<CertificateDer<'static>> {
    tls::certificates(path).ok()?.into_iter().next()
}

/// The origin's host, if the certificate names it.
fn names(certificate: &CertificateDer<'_>, origin: &str) -> Result<String, String> {
    let host = Url::parse(origin).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let name = ServerName::try_from(host.clone()).map_err(|_| format!("`{host}` is no name for a server"))?;
    let parsed = ParsedCertificate::try_from(certificate).map_err(|error| error.to_string())?;
    match verify_server_name(&parsed, &name) {
        Ok(()) => Ok(host),
        Err(_) => Err(format!("it does not name `{host}`, which is the origin's: browsers refuse it")),
    }
}

/// Whether the port is free, or ours.
fn examine_port(subject: &Subject<'_>, origin: &str, findings: &mut Findings) {
    const CHECK: &str = "port for operators";
    let console = &subject.config.console;
    let wanted = console.listen.filter(|_| !console.operators.is_empty());
    let Some(status) = subject.running.status() else {
        if let (Some(address), false) = (wanted, subject.running.is_up()) {
            free(CHECK, address, OPERATORS.tcp(address).map(drop), findings);
        }
        return;
    };
    match (wanted, status.console.as_deref()) {
        (None, None) => {}
        (Some(address), Some(now)) if now == origin => findings.ok(CHECK, format!("{address}, ours")),
        (wanted, now) => {
            let now = now.unwrap_or("nowhere");
            let wanted = wanted.map_or("nowhere", |_| origin);
            let found = format!("the appliance has the console at {now}, the configuration says {wanted}");
            findings.warn(CHECK, found, "restart the appliance");
        }
    }
}

/// Whether anybody can log in: the appliance knows, where it runs. Else what is known is that there is no register yet.
fn examine_passkeys(subject: &Subject<'_>, findings: &mut Findings) {
    let config = subject.config;
    let operators = &config.console.operators;
    let enrolled = if subject.running.status().is_some() {
        let Ok(OperatorAnswer::Listed(all)) = ask_operators(&config.appliance.data, OperatorOrder::List)
        else {
            return;
        };
        let can = |name: &str| {
            all.iter().any(|view| view.name == name && view.keys.iter().any(|key| key.revoked_ms.is_none()))
        };
        operators.iter().filter(|operator| can(&operator.name)).count()
    } else if subject.running.is_up() || config.appliance.data.join(passkeys::FILE).exists() {
        return;
    } else {
        0
    };
    let of = counted(operators.len() as u64, "operator", "operators");
    if enrolled == 0 {
        let next = "`assent operator invite NAME`, while the appliance runs";
        findings.wanting("passkeys", format!("none of {of} has one, so nobody can log in"), next);
    } else {
        findings.ok("passkeys", format!("{enrolled} of {of} can log in"));
    }
}
