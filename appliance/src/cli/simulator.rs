//! The simulator's own command, `firmware-sim`: where it lies, and how it is told to break the HSM.
//!
//! It is another program and stays one: nothing of the simulator is linked into this. So it may be missing where the module
//! is there, and whoever is going to need it says so before anything begins.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::{Exit, Failure};

/// How it is called.
const NAME: &str = "firmware-sim";

/// That it can be run.
///
/// # Errors
/// Where it cannot, with what makes it.
pub(in crate::cli) fn require() -> anyhow::Result<()> {
    let asked = Command::new(program()?).arg("--help").stdin(Stdio::null()).output();
    if asked.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let message = format!(
        "the HSM is broken by {NAME}, which is not beside assent; from the sources make it with `cargo build --release --locked -p assent -p {NAME}`"
    );
    Err(Failure { message, exit: Exit::Failed }.into())
}

/// Tells it something about the simulator in this folder; gives what it answers.
pub(in crate::cli) fn tell(folder: &Path, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program()?)
        .arg("--dir")
        .arg(folder)
        .args(words.iter().flat_map(|word| word.split(' ')))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {NAME}"))?;
    if !output.status.success() {
        bail!("{NAME} {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Beside this program, or wherever the system finds it.
fn program() -> std::io::Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name(NAME);
    Ok(if beside.is_file() { beside } else { PathBuf::from(NAME) })
}
