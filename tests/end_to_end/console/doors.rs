//! The console's door over TLS, with certificates asked for in front: who shows one of the right authority sees the login, and
//! nobody else sees anything. No browser is needed for that.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::queue::open_shop;
use crate::support::Appliance;
use crate::support::ports::free_port;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// An authority of somebody's browsers.
struct Authority(Issuer<'static, KeyPair>, String);

/// A certificate that a browser shows, with its key.
type Shown = (CertificateDer<'static>, Vec<u8>);

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self(Issuer::new(params, key), certificate.pem())
    }

    fn issues(&self, usage: ExtendedKeyUsagePurpose) -> Shown {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.der().clone(), key.serialize_der())
    }
}

/// An appliance whose console asks browsers for certificates of this authority, and where that is.
fn open(authority: &Authority) -> (Appliance, SocketAddr) {
    let (mut appliance, agent) = open_shop("");
    drop(agent);
    assert!(appliance.stop(), "it stops");
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let ca = appliance.folder.path().join("browsers.pem");
    std::fs::write(&ca, &authority.1).expect("a file");
    let console = format!(
        "[console]\nlisten = \"{address}\"\norigin = \"https://localhost:{}\"\nclient_ca = {ca:?}\n[[console.operator]]\nname = \"eve\"\n\
         roles = [\"viewer\"]\n",
        address.port()
    );
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    std::fs::write(appliance.config(), config.replace("[console]\nlisten = \"off\"\n", &console))
        .expect("a configuration");
    appliance.launch();
    (appliance, address)
}

/// What a browser that trusts this authority for the site, and shows this, is answered; the error is what TLS or the socket said.
fn asked(address: SocketAddr, trusts: &Path, shows: Option<Shown>) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusts).expect("an authority")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let config = match shows {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
            builder.with_client_auth_cert(vec![certificate], key).expect("a usable certificate")
        }
    };
    let name = "localhost".try_into().expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let socket = TcpStream::connect(address).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request =
        format!("GET /login HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", address.port());
    exchanged(StreamOwned::new(connection, socket), &request)
}

fn exchanged(mut stream: impl std::io::Read + std::io::Write, request: &str) -> Result<String, String> {
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // Closed without a farewell, behind an answer.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof && !answer.is_empty() => {}
        Err(error) => return Err(error.to_string()),
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn with_an_authority_for_browsers_only_its_certificates_reach_the_login_and_nothing_goes_in_clear() {
    let (ours, theirs) = (Authority::new("our browsers"), Authority::new("their browsers"));
    let (mut appliance, address) = open(&ours);
    let site = appliance.folder.path().join("tls/ca.pem");
    let of = |authority: &Authority| Some(authority.issues(ExtendedKeyUsagePurpose::ClientAuth));

    let answer = asked(address, &site, of(&ours)).expect("a certificate of the right authority is let in");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        answer.contains("Log in with your passkey") && answer.contains("content-security-policy"),
        "{answer}"
    );

    for (what, shows) in [
        ("none", None),
        ("one of somebody else's authority", of(&theirs)),
        ("one of a server", Some(ours.issues(ExtendedKeyUsagePurpose::ServerAuth))),
        ("an agent's", Some(of_agent(&appliance))),
    ] {
        let refused = asked(address, &site, shows).expect_err(what);
        assert!(refused.contains("received fatal alert"), "{what}: {refused}");
    }
    let in_clear = TcpStream::connect(address).expect("a socket");
    in_clear.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("GET /login HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", address.port());
    let answer = exchanged(in_clear, &request);
    assert!(
        answer.as_ref().map_or(true, |answer| !answer.contains("HTTP/") && !answer.contains("passkey")),
        "{answer:?}"
    );

    // Whoever was refused cost nothing: the right one is let in as before.
    assert!(asked(address, &site, of(&ours)).is_ok_and(|answer| answer.contains("Log in with your passkey")));
    appliance.stop_and_verify_log();
}

/// The certificate by which an agent is known: good for its own door, and for no other.
fn of_agent(appliance: &Appliance) -> Shown {
    let agents = appliance.folder.path().join("agents");
    let certificate =
        CertificateDer::from_pem_file(agents.join("retail-support.pem")).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from_pem_file(agents.join("retail-support.key")).expect("a key");
    (certificate, key.secret_pkcs8_der().to_vec())
}
