//! The unit as it is shipped: how much it may do, and that it fits the configuration and the program it comes with.
//!
//! `tests/package` runs it, under a systemd of its own; here only what can be told from the files.

use std::path::{Path, PathBuf};
use std::process::Command;

use appliance::config::{Config, PinSource};

use crate::support::not_run;

/// What `systemd-analyze security` may find at most, in tenths: 2.5 of 10.
const EXPOSURE: &str = "25";

fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

fn unit() -> String {
    std::fs::read_to_string(packaging("assent.service")).expect("the unit")
}

#[test]
fn the_unit_is_as_confined_as_was_promised() {
    let mut analyze = Command::new("systemd-analyze");
    let threshold = format!("--threshold={EXPOSURE}");
    analyze.args(["security", "--no-pager", "--offline=true", &threshold]).arg(packaging("assent.service"));
    let Ok(output) = analyze.output() else {
        return not_run::missing(
            "systemd-analyze is not installed (apt-get install systemd, or use tests/run)",
        );
    };
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{}", told.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Overall exposure level"), "{told}");
}

#[test]
fn the_unit_hands_over_the_pin_that_the_configuration_asks_for() {
    let config = Config::load(&packaging("assent.default.toml")).expect("the packaged configuration is one");
    let PinSource::Credential(name) = &config.hsm.pin else { panic!("no credential: {:?}", config.hsm.pin) };
    assert!(unit().contains(&format!("\nLoadCredential={name}:/etc/assent/{name}\n")));
    // One of them is enough, and the runbook's drop-in for the second leads there.
    for file in [name.clone(), format!("{name}.cred")] {
        assert!(unit().contains(&format!("\nConditionPathExists=|/etc/assent/{file}\n")), "{file}");
    }
    let runbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPERATING.md");
    let runbook = std::fs::read_to_string(runbook).expect("the runbook");
    let drop_in = format!("LoadCredential=\\nLoadCredentialEncrypted={name}:/etc/assent/{name}.cred");
    assert!(runbook.contains(&drop_in), "{drop_in}");
    assert!(!config.hsm.allow_simulator, "nobody serves on a simulator who has not said so");
    for place in [&config.appliance.data, &config.fence.path, &config.tls.key, &config.witnessing.key] {
        assert!(place.starts_with("/var/lib/assent"), "the unit may write nowhere else: {}", place.display());
    }
    assert!(config.policy.bundle.starts_with("/etc/assent"), "and must not write what decides");
}

#[test]
fn sigterm_is_for_the_appliance_and_not_for_its_signer() {
    let unit = unit();
    for line in ["KillMode=mixed", "Type=notify", "NotifyAccess=main", "RestartPreventExitStatus=1 3"] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}
