//! Certificates, judged as the agents' and this appliance's TLS judge them, and the register of agents.

use std::sync::Arc;
use std::time::Duration;

use assent_proto::number::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Subject;
use super::findings::Findings;
use crate::cli::output::chain;
use crate::cli::utc;
use crate::config::Config;
use crate::identity::{Agents, Registry, SpiffeId, tls, validity};
use crate::limits::CERTIFICATE_ENDS_SOON;

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    let config = subject.config;
    let tls = &config.tls;
    let built_in = config.ca_key().exists();
    let reissue = reissue(config, built_in);
    let read = |path, findings: &mut Findings, check, next| {
        findings.of(
            check,
            tls::certificates(path),
            |chain| format!("{}, {} in it", path.display(), chain.len()),
            next,
        )
    };
    let authority =
        read(&tls.ca, findings, "CA certificate", "`assent init` makes one; or correct `tls.ca`".to_owned());
    let own = read(&tls.certificate, findings, "certificate", reissue.clone());
    let (Some(authority), Some(own)) = (authority, own) else { return };
    // What the socket for agents is made from, and with the same checks.
    let together = |_: &_| "certificate and key go together".to_owned();
    findings.of("certificate and key", tls::server_config(&config.tls_settings()), together, reissue.clone());
    for (check, certificate) in [("CA's end", authority.first()), ("certificate's end", own.first())] {
        let next =
            if check == "CA's end" { "make a new CA, and enroll the agents again" } else { reissue.as_str() };
        if let Some(certificate) = certificate {
            examine_end(check, certificate, subject.now, next, findings);
        }
    }
    match shown_to_agents(&authority, &own, &config.appliance.host, subject.now) {
        Ok(()) => findings.ok("certificate holds", format!("for `{}`, under the CA", config.appliance.host)),
        Err(why) => findings.fail("certificate holds", why, reissue),
    }
    examine_domain(config, &own, findings);
    examine_agents(subject, findings);
}

/// How to come by another certificate.
fn reissue(config: &Config, built_in: bool) -> String {
    let (certificate, key) = (config.tls.certificate.display(), config.tls.key.display());
    if built_in {
        format!("remove {certificate} and {key}, then `assent init` issues others; restart the appliance")
    } else {
        format!("have your CA issue one for `{}`, to {certificate} and {key}", config.appliance.host)
    }
}

pub(super) fn examine_end(
    check: &str,
    certificate: &[u8],
    now: Timestamp,
    next: &str,
    findings: &mut Findings,
) {
    match validity(certificate) {
        Err(error) => findings.fail(check, chain(&error), next),
        Ok((begins, _)) if now < begins => {
            findings.fail(check, format!("it holds from {} on, and it is {}", utc(begins), utc(now)), next);
        }
        Ok((_, ends)) if now >= ends => findings.fail(check, format!("it ended at {}", utc(ends)), next),
        Ok((_, ends)) => {
            let left = Duration::from_millis(ends.0.saturating_sub(now.0));
            let found = format!("{}, in {} days", utc(ends), left.as_secs() / (24 * 60 * 60));
            if left < CERTIFICATE_ENDS_SOON {
                findings.warn(check, found, next)
            } else {
                findings.ok(check, found)
            }
        }
    }
}

/// Whether an agent that holds the CA's certificate takes the appliance for the one of this name.
fn shown_to_agents(
    authority: &[CertificateDer<'static>],
    own: &[CertificateDer<'static>],
    host: &str,
    now: Timestamp,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for root in authority {
        roots.add(root.clone()).map_err(|error| format!("the CA certificate is none: {error}"))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|error| format!("the CA certificate is none: {error}"))?;
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is no name for a server"))?;
    let (first, others) = own.split_first().ok_or("there is no certificate")?;
    let time = UnixTime::since_unix_epoch(Duration::from_millis(now.0));
    let shown = verifier.verify_server_cert(first, others, &name, &[], time);
    shown.map(drop).map_err(|error| {
        if let rustls::Error::InvalidCertificate(why) = &error { told(why, host) } else { error.to_string() }
    })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is told in the library's words")]
fn told(why: &CertificateError, host: &str) -> String {
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "it is not signed by the CA of `tls.ca`".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("it does not name `{host}`, which is `appliance.host`")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has ended".to_owned(),
        other => format!("agents refuse it: {other:?}"),
    }
}

/// Whether it names the appliance in the trust domain that is configured.
fn examine_domain(config: &Config, own: &[CertificateDer<'static>], findings: &mut Findings) {
    let domain = config.tls.trust_domain.as_str();
    let Some(id) = own.first().and_then(|certificate| SpiffeId::from_certificate(certificate).ok()) else {
        findings.ok("trust domain", format!("{domain}; the certificate names none"));
        return;
    };
    if id.trust_domain() == domain {
        findings.ok("trust domain", format!("{domain}, in which it is {}", id.as_str()));
    } else {
        let found =
            format!("the certificate is of `{}`, and `tls.trust_domain` is `{domain}`", id.trust_domain());
        findings.fail("trust domain", found, "set `tls.trust_domain` back, or issue and enroll anew");
    }
}

fn examine_agents(subject: &Subject<'_>, findings: &mut Findings) {
    let config = subject.config;
    let path = config.agents_path();
    if !path.exists() && !config.tls.accept_unregistered {
        findings.wanting("agents", "none is enrolled, so nobody can ask", "`assent agent enroll NAME`");
        return;
    }
    let next = "put the last good register back, or enroll the agents again";
    let registry = match Registry::open(&path) {
        Ok(registry) => registry,
        Err(error) => return findings.fail("agents", chain(&error), next),
    };
    let agents = registry.snapshot();
    if agents.standing().next().is_none() && !config.tls.accept_unregistered {
        return findings.wanting(
            "agents",
            "none is enrolled, so nobody can ask",
            "`assent agent enroll NAME`",
        );
    }
    judge_agents(&agents, config.tls.trust_domain.as_str(), subject.now, findings);
}

/// Each by the newest of its certificates: one that was renewed is not wanting.
fn judge_agents(agents: &Agents, domain: &str, Timestamp(now): Timestamp, findings: &mut Findings) {
    let (mut count, mut foreign, mut ended) = (0_u64, 0_u64, 0_u64);
    for agent in agents.standing() {
        count += 1;
        foreign += u64::from(agent.id.trust_domain() != domain);
        ended += u64::from(agent.expires_at_ms.is_some_and(|end| end <= now));
    }
    if foreign > 0 {
        let found = format!("{foreign} of {count} are of another trust domain than `{domain}`, and refused");
        findings.fail("agents", found, "set `tls.trust_domain` back, or enroll them again");
    } else if ended > 0 {
        let found = format!("the newest certificates of {ended} of {count} have ended");
        findings.warn("agents", found, "`assent agent list`, then `assent agent enroll` or `revoke`");
    } else {
        findings.ok("agents", format!("{count} enrolled"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Exit, Format};
    use crate::identity::{Record, Serial};

    #[test]
    fn a_certificate_that_ends_soon_warns_and_one_that_ended_fails() {
        let folder = tempfile::tempdir().unwrap();
        let domain = crate::identity::TrustDomain::parse("assent.test").unwrap();
        let now = Timestamp(1_800_000_000_000);
        let (root, root_key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
        let ca = crate::identity::CertificateAuthority::create(&root, &root_key, &domain, now).unwrap();
        let id = domain.appliance("dev").unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let name = crate::identity::Name::Dns("appliance.test".to_owned());
        let issued = ca.issue_server(&id, std::slice::from_ref(&name), 90 * day, now).unwrap();
        issued.write(&folder.path().join("a.pem"), &folder.path().join("a.key")).unwrap();
        let own = tls::certificates(&folder.path().join("a.pem")).unwrap();
        let authority = tls::certificates(&root).unwrap();
        let ended = |days: u32, strict| {
            let mut findings = Findings::new(Format::Json);
            let then = Timestamp(now.0 + u64::from(days) * 24 * 60 * 60 * 1000);
            examine_end("end", &own[0], then, "issue another", &mut findings);
            findings.end(strict).unwrap()
        };
        assert_eq!(
            (ended(1, true), ended(70, false), ended(70, true)),
            (Exit::Done, Exit::Done, Exit::Invalid)
        );
        assert_eq!(ended(91, false), Exit::Invalid);
        let shown = |host: &str, days: u64| {
            let then = Timestamp(now.0 + days * 24 * 60 * 60 * 1000);
            shown_to_agents(&authority, &own, host, then)
        };
        assert_eq!(shown("appliance.test", 1), Ok(()));
        assert!(shown("elsewhere.test", 1).unwrap_err().contains("does not name `elsewhere.test`"));
        assert!(shown("appliance.test", 91).unwrap_err().contains("has ended"));
    }

    #[test]
    fn an_agent_with_a_renewed_certificate_is_well_though_its_first_one_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let domain = crate::identity::TrustDomain::parse("assent.test").unwrap();
        let registry = Registry::open(&folder.path().join("agents.json")).unwrap();
        let enroll = |name: &str, serial: u8, ends: u64| {
            let record = Record {
                name: name.to_owned(),
                id: domain.agent(name).unwrap(),
                serial: Some(Serial::from_bytes(&[serial])),
                enrolled_at_ms: 1,
                expires_at_ms: Some(ends),
                revoked_at_ms: None,
            };
            registry.add(&record).unwrap();
        };
        let judged = |now: u64| {
            let mut findings = Findings::new(Format::Json);
            judge_agents(&registry.snapshot(), "assent.test", Timestamp(now), &mut findings);
            findings.end(true).unwrap()
        };
        enroll("shop", 1, 10);
        assert_eq!((judged(9), judged(10)), (Exit::Done, Exit::Invalid));
        enroll("shop", 2, 20);
        assert_eq!(judged(10), Exit::Done);
        enroll("desk", 3, 15);
        assert_eq!((judged(14), judged(15)), (Exit::Done, Exit::Invalid));
    }
}
