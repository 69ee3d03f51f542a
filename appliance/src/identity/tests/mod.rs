//! Certificates, the register and whole handshakes, each against what it must refuse.

mod handshake;
mod issuing;
mod register;

use std::path::Path;

use assent_proto::number::Timestamp;
use rcgen::{CertificateParams, IsCa, KeyUsagePurpose, SanType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::ca::{CaError, CertificateAuthority, Issued};
use super::spiffe::TrustDomain;
use crate::clock::Clock;

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

fn domain() -> TrustDomain {
    TrustDomain::parse("assent.test").unwrap()
}

/// TLS checks dates against the machine's clock, so certificates of these tests are of today.
fn today() -> Timestamp {
    Clock::system().now()
}

fn authority() -> CertificateAuthority {
    CertificateAuthority::generate(&domain(), today()).unwrap().0
}

/// A CA in this folder.
fn create(folder: &Path) -> Result<CertificateAuthority, CaError> {
    CertificateAuthority::create(&folder.join("ca.pem"), &folder.join("ca.key"), &domain(), today())
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

/// A leaf that the CA would not issue: like an agent's, then changed.
fn odd_leaf(
    authority: &CertificateAuthority,
    uris: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> Issued {
    let expires = Timestamp(today().0 + 60_000);
    let (mut params, serial) = super::ca::params("odd", today(), expires).unwrap();
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    change(&mut params);
    authority.sign(&params, serial, expires).unwrap()
}
