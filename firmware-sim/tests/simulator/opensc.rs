//! The stand-alone simulator as `pkcs11-tool` of OpenSC drives it, in processes of its own.
//!
//! Needs the Debian package `opensc`; without it the test says that it did nothing.

use std::path::Path;
use std::process::Command;

use ed25519_dalek::{Signature, VerifyingKey};

use crate::{not_run, scratch};

struct Tool<'a> {
    folder: &'a Path,
}

impl Tool<'_> {
    /// Runs `pkcs11-tool`, which must succeed, and gives what it prints.
    fn run(&self, arguments: &str) -> String {
        let output = Command::new("pkcs11-tool")
            .arg("--module")
            .arg(scratch::built_module())
            .args(arguments.split(' '))
            .env(firmware_sim::ENV_DIR, self.folder.join("state"))
            .current_dir(self.folder)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "pkcs11-tool {arguments}: {text}");
        text
    }
}

#[test]
fn pkcs11_tool_finds_nothing_to_complain_about() {
    if Command::new("pkcs11-tool").arg("--help").output().is_err() {
        return not_run::missing("pkcs11-tool is not installed (apt-get install opensc)");
    }
    let folder = tempfile::tempdir().unwrap();
    let tool = Tool { folder: folder.path() };
    assert!(tool.run("--list-slots").contains("uninitialized"));
    tool.run("--slot-index 0 --init-token --label trial --so-pin 56785678");
    tool.run("--token-label trial --login --login-type so --so-pin 56785678 --init-pin --pin 1234");
    assert!(
        tool.run("--token-label trial --list-mechanisms").contains("EDDSA, keySize={255,255}, sign, verify")
    );

    let user = "--token-label trial --login --pin 1234";
    tool.run(&format!("{user} --keypairgen --key-type EC:edwards25519 --id 01 --label log"));
    let objects = tool.run(&format!("{user} --list-objects"));
    assert!(objects.contains("sensitive, always sensitive, never extractable, local"), "{objects}");

    std::fs::write(folder.path().join("message"), b"assent").unwrap();
    tool.run(&format!("{user} --sign -m EDDSA --id 01 --input-file message --output-file signature"));
    tool.run("--token-label trial --read-object --type pubkey --id 01 --output-file public.pem");
    verify(folder.path());
    let verified = "--verify -m EDDSA --id 01 --input-file message --signature-file signature";
    assert!(tool.run(&format!("{user} {verified}")).contains("Signature is valid"));

    tool.run(&format!("{user} --write-object message --type data --label fence --application-label assent"));
    assert!(tool.run("--token-label trial --read-object --type data --label fence").ends_with("assent"));
    tool.run(&format!("{user} --delete-object --type data --label fence"));

    tool.run("--token-label trial --generate-random 32 --output-file random");
    assert_eq!(std::fs::read(folder.path().join("random")).unwrap().len(), 32);
    assert!(tool.run(&format!("{user} --test")).contains("No errors"));
    tool.run(&format!("{user} --test-fork"));
    tool.run(&format!("{user} --change-pin --new-pin 4321"));
    tool.run("--token-label trial --login --pin 4321 --delete-object --type privkey --id 01");
}

/// What the tool signed, under the key that it read: a SubjectPublicKeyInfo, as DER or PEM, that ends with the 32 bytes.
fn verify(folder: &Path) {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let written = read("public.pem");
    let der = match std::str::from_utf8(&written).ok().filter(|text| text.starts_with("-----")) {
        Some(text) => base64(&text.lines().filter(|line| !line.starts_with('-')).collect::<String>()),
        None => written,
    };
    let point = der.last_chunk::<32>().unwrap();
    let signature = Signature::from_slice(&read("signature")).unwrap();
    VerifyingKey::from_bytes(point).unwrap().verify_strict(&read("message"), &signature).unwrap();
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter(|&digit| digit != b'=') {
        let value = DIGITS.iter().position(|&known| known == digit).unwrap();
        bits = (bits << 6 | u32::try_from(value).unwrap()) & 0xff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}
