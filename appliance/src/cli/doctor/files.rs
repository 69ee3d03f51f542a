//! Files and folders: what others may open that is nobody else's, and what this user cannot.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::Subject;
use super::findings::Findings;
use crate::cli::output::chain;
use crate::config::PinSource;
use crate::control;
use crate::disk::check_places;
use crate::provision;
use crate::witness::SigningKey;

/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    let config = subject.config;
    let data = &config.appliance.data;
    if !folder(data, findings) {
        return;
    }
    let files = [provision::log_file(config), provision::keyring_file(config)];
    if let Err(error) = check_places(data, &files, &config.fence_file()) {
        let next = "give the data folder and the fence's folder to the appliance's user (chown), mode 0700";
        findings.fail("places", chain(&error), next);
    } else {
        findings.ok("places", "data folder, log and fence can be read and written");
    }
    if subject.running.is_up() {
        private("control socket", &data.join(control::SOCKET), findings);
        private("control word", &data.join(control::WORD), findings);
    }
    examine_pin(&config.hsm.pin, findings);
    private("server key", &config.tls.key, findings);
    let ca_key = config.ca_key();
    if ca_key.exists() {
        private("CA key", &ca_key, findings);
    } else {
        findings
            .ok("CA key", format!("not here, at {}: certificates are issued elsewhere", ca_key.display()));
    }
    if !config.witnessing.logs.is_empty() {
        let key = &config.witnessing.key;
        let next = format!("`assent witness init`, or put {} back", key.display());
        if findings.of("witness key", SigningKey::read(key), |_| key.display().to_string(), next).is_some() {
            private("witness key", key, findings);
        }
    }
    examine_operators(subject, findings);
}

/// Whether the data folder is there and closed to others.
fn folder(data: &Path, findings: &mut Findings) -> bool {
    let found = match std::fs::metadata(data) {
        Ok(found) => found,
        Err(error) => {
            let next = "`assent init` makes it; or run this as the appliance's user";
            findings.fail("data folder", format!("cannot look at {}: {error}", data.display()), next);
            return false;
        }
    };
    let mode = found.permissions().mode() & 0o777;
    if mode & OTHERS == 0 {
        findings.ok("data folder", format!("{}, its owner's only", data.display()));
    } else {
        let found = format!("others can look into {} (mode {mode:04o})", data.display());
        findings.fail("data folder", found, format!("chmod 0700 {}", data.display()));
    }
    true
}

/// Whether a file is its owner's only. One that is missing is for whoever needs it to tell.
pub(super) fn private(check: &str, path: &Path, findings: &mut Findings) {
    let mode = match std::fs::metadata(path) {
        Ok(found) => found.permissions().mode() & 0o777,
        Err(error) => {
            let next = "put it back, or correct its path in the configuration";
            findings.fail(check, format!("cannot look at {}: {error}", path.display()), next);
            return;
        }
    };
    if mode & OTHERS == 0 {
        findings.ok(check, format!("{}, its owner's only", path.display()));
    } else {
        let found = format!("others can open {} (mode {mode:04o})", path.display());
        findings.fail(check, found, format!("chmod 0600 {}", path.display()));
    }
}

fn examine_pin(pin: &PinSource, findings: &mut Findings) {
    match pin {
        PinSource::File(path) => {
            let next = format!("write the PIN to {}, chmod 0600; or correct `hsm.pin_file`", path.display());
            let told = |_: &_| format!("{}, one line", path.display());
            if findings.of("PIN", pin.read(), told, next).is_some() {
                private("PIN file", path, findings);
            }
        }
        PinSource::Credential(name) => {
            let next = "add `LoadCredential=` to the unit, and run this within it: `systemd-run -p LoadCredential=..`";
            findings.of("PIN", pin.read(), |_| format!("the systemd credential {name}"), next);
        }
    }
}

/// Who may order re-arm: whether their list can be read and reaches its quorum.
fn examine_operators(subject: &Subject<'_>, findings: &mut Findings) {
    let hsm = &subject.config.hsm;
    match hsm.office() {
        Ok(Some(office)) => {
            let (needed, keys) = (office.grave.threshold(), office.grave.keys().len());
            findings.ok("operators", format!("{needed} of {keys} order re-arm after an integrity fault"));
        }
        Ok(None) => findings.wanting(
            "operators",
            "nobody may order re-arm after an integrity fault",
            "name their SSH keys in `hsm.operators`",
        ),
        Err(error) => {
            let next = "put the list back, or correct `hsm.operators` and `hsm.quorum`";
            findings.fail("operators", chain(&error), next);
        }
    }
}
