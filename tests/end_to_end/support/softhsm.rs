//! An appliance on SoftHSM2, provisioned with the commands that a security team would use.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{ASSENT, not_run};

/// Where Debian puts the module.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// Whether SoftHSM2 is installed. `tests/run` installs it; without it what needs it is not run, and that is kept.
pub(crate) fn present() -> bool {
    let present = Path::new(MODULE).exists();
    if !present {
        not_run::missing("SoftHSM2 is not installed (apt-get install softhsm2, or use tests/run)");
    }
    present
}

/// Makes an appliance's folder whose HSM is a SoftHSM2 of its own.
pub(crate) fn provision(folder: &Path, port: u16) {
    let hsm = folder.join("hsm");
    std::fs::create_dir_all(hsm.join("tokens")).expect("a folder");
    let softhsm = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
        hsm.join("tokens").display()
    );
    std::fs::write(hsm.join("softhsm2.conf"), softhsm).expect("a file");
    for (name, pin) in [("pin", "24680"), ("so-pin", "13579")] {
        let path = hsm.join(name);
        std::fs::write(&path, pin).expect("a file");
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, owner_only).expect("a mode");
    }
    let config = format!(
        "[appliance]\nname = \"test\"\n[listen]\nquic = \"127.0.0.1:{port}\"\nhttp = \"127.0.0.1:0\"\n[hsm]\nmodule = \"{MODULE}\"\n\
         slot_label = \"assent-test\"\npin_file = \"hsm/pin\"\n[hsm.environment]\nSOFTHSM2_CONF = \"{}\"\n",
        hsm.join("softhsm2.conf").display()
    );
    std::fs::write(folder.join("assent.toml"), config).expect("a file");
    let so_pin = hsm.join("so-pin").display().to_string();
    run(folder, &["hsm", "init", "--slot-label", "assent-test", "--so-pin-file", &so_pin]);
    run(folder, &["keys", "generate"]);
    run(folder, &["init", "--sample"]);
    run(
        folder,
        &["agent", "enroll", "retail-support", "--out", &folder.join("agents").display().to_string()],
    );
    let trust = folder.join("trust.toml").display().to_string();
    run(folder, &["trust", "export", "--out", &trust]);
}

fn run(folder: &Path, arguments: &[&str]) {
    let output = Command::new(ASSENT)
        .arg("--config")
        .arg(folder.join("assent.toml"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("assent runs");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "assent {}: {}\n{talk}", arguments.join(" "), output.status);
}
