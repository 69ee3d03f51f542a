//! Signing a statement with an operator's SSH key, by `ssh-keygen`: it knows agents, passphrases and security keys.
//!
//! The rule it keeps: what is signed is shown first, on standard error, with whatever does not print made visible; so nobody
//! signs what they have not seen.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::operators::SignatureFile;
use crate::shown::visible;

/// Has `ssh-keygen` sign a statement in a namespace with this key, or with the agent's where the file is a public key.
pub(super) fn sign(namespace: &str, statement: &str, key: &Path) -> anyhow::Result<SignatureFile> {
    // Told before anything is shown, which looked as if it had been signed.
    std::fs::metadata(key).with_context(|| format!("cannot sign with {}", key.display()))?;
    talk!("signing with {}:", key.display());
    statement.lines().for_each(|line| talk!("  {}", visible(line)));
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-Y", "sign", "-n", namespace, "-f"]).arg(key);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context(
        "ssh-keygen does not run; install OpenSSH's client, or sign elsewhere and use --signature",
    )?;
    // Its standard input ends here, or it would wait for more.
    process.stdin.take().context("ssh-keygen takes no input")?.write_all(statement.as_bytes())?;
    let output = process.wait_with_output()?;
    if !output.status.success() {
        bail!("ssh-keygen did not sign with {}: {}", key.display(), output.status);
    }
    let text = String::from_utf8(output.stdout).context("ssh-keygen wrote no signature")?;
    Ok(SignatureFile { name: key.display().to_string(), text })
}
