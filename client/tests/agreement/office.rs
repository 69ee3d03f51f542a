//! Operators who sign: with the real `ssh-keygen`, and one with a security key as OpenSSH would make its signature.

use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use base64ct::{Base64, Encoding as _};
use ed25519_dalek::{Signer as _, SigningKey};

/// Whose keys are files here; `dave` has a security key.
const NAMES: [&str; 4] = ["alice", "bob", "carol", "mallory"];

pub(crate) struct Office {
    folder: tempfile::TempDir,
}

fn keygen(arguments: &[&str], folder: &Path) {
    let mut command = Command::new("ssh-keygen");
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success(), "ssh-keygen {arguments:?}");
}

impl Office {
    pub(crate) fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in NAMES {
            keygen(&["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name], folder.path());
        }
        Self { folder }
    }

    /// The operator's key line.
    pub(crate) fn line(&self, name: &str) -> String {
        if name == "dave" {
            return format!("sk-ssh-ed25519@openssh.com {} dave", Base64::encode_string(&dave_public()));
        }
        let line = std::fs::read_to_string(self.folder.path().join(format!("{name}.pub"))).unwrap();
        line.trim().to_owned()
    }

    pub(crate) fn sign(&self, name: &str, namespace: &str, statement: &str) -> String {
        if name == "dave" {
            return touched(namespace, statement);
        }
        let _ = std::fs::remove_file(self.folder.path().join("statement.sig"));
        std::fs::write(self.folder.path().join("statement"), statement).unwrap();
        keygen(&["-q", "-Y", "sign", "-n", namespace, "-f", name, "statement"], self.folder.path());
        std::fs::read_to_string(self.folder.path().join("statement.sig")).unwrap()
    }
}

/// A string as SSH writes it: its length, then its bytes.
fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn dave() -> SigningKey {
    SigningKey::from_bytes(&[77; 32])
}

fn dave_public() -> Vec<u8> {
    [b"sk-ssh-ed25519@openssh.com".as_slice(), dave().verifying_key().as_bytes(), b"ssh:"]
        .map(string)
        .concat()
}

/// What a security key makes of a statement where somebody touched it.
fn touched(namespace: &str, statement: &str) -> String {
    let message = digest(&SHA512, statement.as_bytes());
    let parts = [namespace.as_bytes(), b"", b"sha512"].map(string).concat();
    let signed = [b"SSHSIG".as_slice(), &parts, &string(message.as_ref())].concat();
    let trailer = [1, 0, 0, 0, 9];
    let (application, signed) = (digest(&SHA256, b"ssh:"), digest(&SHA256, &signed));
    let asserted = [application.as_ref(), &trailer, signed.as_ref()].concat();
    let signature =
        [string(b"sk-ssh-ed25519@openssh.com"), string(&dave().sign(&asserted).to_bytes())].concat();
    let signature = string(&[&signature[..], &trailer].concat());
    let blob = [b"SSHSIG\0\0\0\x01".as_slice(), &string(&dave_public()), &parts, &signature].concat();
    let encoded = Base64::encode_string(&blob);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}
