//! Those who cosign this log's checkpoints: what the appliance knows of them, and with `--online` whether they answer.

use super::Subject;
use super::findings::Findings;
use crate::cli::output::chain;
use crate::witness::witness_client;
use assent_proto::limits::MAX_NOTE_BYTES;

pub(super) fn examine(subject: &Subject<'_>, online: bool, findings: &mut Findings) {
    let witness = &subject.config.witness;
    if witness.ask.is_empty() {
        let found = "none cosigns: who puts back log and fences together is not seen";
        return findings.ok("witnesses", found);
    }
    let client = match witness_client(witness.ca.as_deref()) {
        Ok(client) => client,
        Err(error) => return findings.fail("witnesses", chain(&error), "correct `witness.ca`"),
    };
    if !online {
        findings.ok("witnesses", format!("{}, not asked: --online does", witness.ask.len()));
    }
    for (vkey, url) in witness.ask.iter().filter(|_| online) {
        let check = format!("witness {}", vkey.split('+').next().unwrap_or_default());
        findings.waits(Some(&format!("asking {url}")));
        // Whatever it answers to that, it is there.
        let next = format!("look at its machine and the network: curl {url}");
        findings.of(&check, client.get(url, MAX_NOTE_BYTES as u64), |_| format!("{url} answers"), next);
    }
    for known in subject.running.status().iter().flat_map(|status| &status.witnesses) {
        let Some(error) = &known.error else { continue };
        let check = format!("cosigned by {}", known.name);
        if known.contradicts {
            let next =
                "find out which of the two is right before anything else: `assent log verify --against`";
            findings.fail(&check, format!("it contradicts this log: {error}"), next);
        } else {
            findings.warn(
                &check,
                format!("{} attempts failed: {error}", known.failures),
                "`assent doctor --online`",
            );
        }
    }
}
