//! Whoever is told when something needs people: whether the sinks can be used. Nobody is told anything.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use assent_escalation::SinkConfig;

use super::Subject;
use super::findings::Findings;

/// Permission bits of which a program has one.
const RUNS: u32 = 0o111;

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    let sinks = &subject.config.escalation.sinks;
    if sinks.is_empty() {
        let found = "nobody is told when something needs people";
        findings.wanting("escalation", found, "configure an `[[escalation.sink]]`");
    }
    for sink in sinks {
        examine_sink(sink, findings);
    }
    let Some(status) = subject.running.status() else { return };
    for sink in &status.escalations.sinks {
        let Some(why) = sink.gone.as_ref().or(sink.reason.as_ref()) else { continue };
        let found = format!("{} waiting, {} undeliverable: {why}", sink.waiting, sink.undeliverable);
        let next =
            format!("mend it, `assent escalation test {}`, `assent escalation retry --all`", sink.name);
        findings.warn(&format!("sink {} tells", sink.name), found, next);
    }
    if let Some(why) = &status.escalations.not_durable {
        findings.fail("outbox", why.clone(), "make room on the data folder's disk, and look at its owner");
    }
}

fn examine_sink(sink: &SinkConfig, findings: &mut Findings) {
    let check = format!("sink {}", sink.name);
    let found =
        |_: &_| format!("{}, not asked: `assent escalation test {}` does", sink.kind.label(), sink.name);
    if let Some(program) = sink.command.first().filter(|program| !runs(Path::new(program))) {
        let next = "correct `command`, or chmod 0755 the program";
        findings.fail(&check, format!("{program} is no program that can be run"), next);
        return;
    }
    let secret = sink.secret_file.as_ref().or(sink.key_file.as_ref());
    let next = match secret {
        Some(secret) => {
            format!("chmod 0600 {}, of the appliance's user, with one secret a line", secret.display())
        }
        None => format!("correct the `[[escalation.sink]]` of the name `{}`", sink.name),
    };
    findings.of(&check, sink.build(), found, next);
}

fn runs(program: &Path) -> bool {
    std::fs::metadata(program).is_ok_and(|found| found.is_file() && found.permissions().mode() & RUNS != 0)
}
