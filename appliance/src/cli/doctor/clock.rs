//! The clock: whether anything keeps it. Windows of tokens, holds and charters are as right as it is.

use std::process::{Command, Stdio};

use super::Subject;
use super::findings::Findings;
use crate::cli::utc;

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    const NEXT: &str = "have chrony or systemd-timesyncd keep it: `timedatectl set-ntp true`";
    let now = utc(subject.now);
    match kept() {
        Some(true) => findings.ok("clock", format!("{now}, synchronised")),
        Some(false) => findings.wanting("clock", format!("{now}, and nothing synchronises it"), NEXT),
        None => findings.wanting("clock", format!("{now}; the system does not say whether it is kept"), NEXT),
    }
}

/// Whether the system says that the clock is synchronised; nothing where it does not say.
fn kept() -> Option<bool> {
    let mut asked = Command::new("timedatectl");
    asked
        .args(["show", "--property", "NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = asked.output().ok().filter(|output| output.status.success())?;
    match output.stdout.trim_ascii() {
        b"yes" => Some(true),
        b"no" => Some(false),
        _ => None,
    }
}
