//! Certificates: one that nobody trusted has signed is refused, in words that help, and accepted with its authority's file.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::scene::{Scene, until};
use crate::server::{Answer, Server, Stream};

/// A sink behind TLS for this name, and its authority's certificate as PEM.
fn server(name: &str) -> (Server, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let accept = move |stream: TcpStream| -> Option<Box<dyn Stream>> {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        Some(Box::new(rustls::StreamOwned::new(connection, stream)))
    };
    (Server::start_over(|_| Answer::Status(204, "", ""), accept), ca.pem())
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/hook", server.port)
}

#[test]
fn an_unknown_authority_is_named_as_such_and_the_event_goes_out_once_it_is_known() {
    let (server, pem) = server("localhost");
    let mut scene = Scene::new();
    scene.start(vec![scene.webhook("hook", &url(&server), None)]);
    scene.begin(1);
    let reason = scene.await_reason("certificate");
    assert_eq!(
        reason,
        "its certificate is not accepted: nobody trusted here has signed it; renew it, or name the authority that signed it in ca_file"
    );
    assert!(server.got().is_empty(), "nothing was said to it");
    scene.stop();
    let ca = scene.folder.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    scene.start(vec![scene.webhook("hook", &url(&server), Some(&ca))]);
    until("it to be delivered", || server.got().len() == 1);
    assert_eq!(server.got()[0].event(), "trip/1 begun");
    scene.stop();
}

#[test]
fn a_certificate_of_another_name_is_refused_though_its_authority_is_known() {
    let (server, pem) = server("elsewhere.example");
    let mut scene = Scene::new();
    let ca = scene.folder.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    scene.start(vec![scene.webhook("hook", &url(&server), Some(&ca))]);
    scene.begin(1);
    let reason = scene.await_reason("certificate");
    assert!(reason.contains("elsewhere.example"), "{reason}");
    assert!(server.got().is_empty());
    scene.stop();
}
