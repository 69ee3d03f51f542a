//! What the CA issues, and what a certificate must not be to name an agent.

use std::os::unix::fs::PermissionsExt as _;

use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose, SanType};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::super::ca::{CaError, CertificateAuthority, Name};
use super::super::certificate::{IdentityError, Peer};
use super::super::spiffe::{SpiffeError, SpiffeId};
use super::{DAY, authority, create, der, domain, odd_leaf, today};
use crate::limits::CA_LIFETIME;

const AGENT: &str = "spiffe://assent.test/agent/shop";

#[test]
fn an_issued_certificate_names_its_agent() {
    let (now, id) = (today(), domain().agent("shop").unwrap());
    let issued = authority().issue_agent(&id, 90 * DAY, now).unwrap();
    let peer = Peer::from_certificate(&der(&issued.certificate_pem)).unwrap();
    assert_eq!((peer.id.as_str(), &peer.serial, peer.expires), (AGENT, &issued.serial, issued.expires));
    assert!(!peer.is_expired(now) && peer.is_expired(issued.expires));
    let length = issued.expires.0 - now.0;
    assert!((90 * 86_400_000 - 1000..=90 * 86_400_000).contains(&length), "{length} ms");
}

#[test]
fn an_agents_certificate_is_for_clients_only() {
    let id = domain().agent("shop").unwrap();
    let issued = authority().issue_agent(&id, DAY, today()).unwrap();
    let der = der(&issued.certificate_pem);
    let (_, certificate) = X509Certificate::from_der(&der).unwrap();
    let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.client_auth && !purposes.server_auth && !purposes.any);
    assert!(!certificate.is_ca());
    assert!(certificate.key_usage().unwrap().unwrap().critical);
}

#[test]
fn two_serial_numbers_are_never_the_same() {
    let (authority, id) = (authority(), domain().agent("shop").unwrap());
    let serials = (0..32).map(|_| authority.issue_agent(&id, DAY, today()).unwrap().serial);
    assert_eq!(serials.collect::<std::collections::HashSet<_>>().len(), 32);
}

#[test]
fn a_certificate_without_exactly_one_uri_names_nobody() {
    let authority = authority();
    let refused = |uris: &[&str]| {
        let leaf = odd_leaf(&authority, uris, |_| ());
        SpiffeId::from_certificate(&der(&leaf.certificate_pem)).unwrap_err()
    };
    assert_eq!(refused(&[]), IdentityError::UriNames(0));
    assert_eq!(refused(&[AGENT, "spiffe://assent.test/agent/other"]), IdentityError::UriNames(2));
    assert_eq!(refused(&[AGENT, AGENT]), IdentityError::UriNames(2));
    assert_eq!(refused(&["https://assent.test/agent/shop"]), IdentityError::Name(SpiffeError::Scheme));
    assert_eq!(refused(&["spiffe://assent.test"]), IdentityError::NoPath);
}

#[test]
fn other_kinds_of_names_do_not_count() {
    let leaf = odd_leaf(&authority(), &[AGENT], |params| {
        params.subject_alt_names.insert(0, SanType::DnsName("shop.example".try_into().unwrap()));
    });
    assert_eq!(SpiffeId::from_certificate(&der(&leaf.certificate_pem)).unwrap().as_str(), AGENT);
}

#[test]
fn a_certificate_that_can_sign_names_no_agent() {
    let authority = authority();
    let ca =
        odd_leaf(&authority, &[AGENT], |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let signer =
        odd_leaf(&authority, &[AGENT], |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign));
    let revoker = odd_leaf(&authority, &[AGENT], |params| params.key_usages.push(KeyUsagePurpose::CrlSign));
    for leaf in [ca, signer, revoker] {
        let read = SpiffeId::from_certificate(&der(&leaf.certificate_pem));
        assert_eq!(read, Err(IdentityError::Authority));
    }
    assert_eq!(SpiffeId::from_certificate(&der(authority.certificate_pem())), Err(IdentityError::Authority));
}

#[test]
fn a_key_that_is_not_for_signatures_names_no_agent() {
    let authority = authority();
    for usages in [vec![], vec![KeyUsagePurpose::KeyAgreement]] {
        let leaf = odd_leaf(&authority, &[AGENT], |params| params.key_usages = usages);
        let read = SpiffeId::from_certificate(&der(&leaf.certificate_pem));
        assert_eq!(read, Err(IdentityError::KeyUsage));
    }
}

#[test]
fn cut_or_continued_bytes_name_nobody() {
    let id = domain().agent("shop").unwrap();
    let whole = der(&authority().issue_agent(&id, DAY, today()).unwrap().certificate_pem).to_vec();
    for length in 0..whole.len() {
        let read = SpiffeId::from_certificate(&whole[..length]);
        assert_eq!(read, Err(IdentityError::Malformed), "{length} bytes");
    }
    let longer = [&whole[..], &[0]].concat();
    assert_eq!(SpiffeId::from_certificate(&longer), Err(IdentityError::Malformed));
}

#[test]
fn a_ca_is_opened_as_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let made = create(folder.path()).unwrap();
    let (certificate, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let opened = CertificateAuthority::open(&certificate, &key).unwrap();
    assert_eq!(opened.certificate_pem(), made.certificate_pem());

    let id = domain().appliance("assent").unwrap();
    let host = Name::Dns("localhost".to_owned());
    let names = [host.clone(), Name::Ip([127, 0, 0, 1].into()), host];
    let issued = opened.issue_server(&id, &names, DAY, today()).unwrap();
    let (leaf, root) = (der(&issued.certificate_pem), der(made.certificate_pem()));
    let (_, leaf) = X509Certificate::from_der(&leaf).unwrap();
    let (_, root) = X509Certificate::from_der(&root).unwrap();
    assert_eq!(leaf.issuer(), root.subject());
    assert_eq!(leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 3);
}

#[test]
fn a_ca_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path()).unwrap();
    let before = std::fs::read(folder.path().join("ca.key")).unwrap();
    let again = create(folder.path());
    assert!(matches!(again, Err(CaError::Exists { .. })));
    assert_eq!(std::fs::read(folder.path().join("ca.key")).unwrap(), before);
}

#[test]
fn a_ca_that_was_made_by_half_is_finished_with_its_own_key() {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path()).unwrap();
    let key = std::fs::read(folder.path().join("ca.key")).unwrap();
    std::fs::remove_file(folder.path().join("ca.pem")).unwrap();
    create(folder.path()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("ca.key")).unwrap(), key);
    CertificateAuthority::open(&folder.path().join("ca.pem"), &folder.path().join("ca.key")).unwrap();
}

#[test]
fn another_cas_key_is_refused() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    create(one.path()).unwrap();
    create(other.path()).unwrap();
    let mixed = CertificateAuthority::open(&one.path().join("ca.pem"), &other.path().join("ca.key"));
    assert!(matches!(mixed, Err(CaError::Key { .. })));
}

#[test]
fn no_certificate_outlives_the_ca() {
    let (now, id) = (today(), domain().agent("shop").unwrap());
    let authority = CertificateAuthority::generate(&domain(), now).unwrap().0;
    let issued = authority.issue_agent(&id, 2 * CA_LIFETIME, now).unwrap();
    assert!(issued.expires.0 - now.0 <= u64::try_from(CA_LIFETIME.as_millis()).unwrap());
    let late = authority.issue_agent(&id, DAY, issued.expires);
    assert!(matches!(late, Err(CaError::Expired)));
}

#[test]
fn keys_are_not_shown() {
    let id = domain().agent("shop").unwrap();
    let issued = authority().issue_agent(&id, DAY, today()).unwrap();
    let shown = format!("{issued:?}");
    assert!(shown.contains(issued.serial.as_str()) && !shown.contains("PRIVATE"));
}
