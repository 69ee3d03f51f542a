//! The fence in the HSM: what no copy of the disk brings back, on the simulator and on SoftHSM2.

mod keeping;
mod rolled_back;

use std::path::Path;
use std::process::{Command, Stdio};

use appliance::hsm::FaultClass;
use appliance::serving::status::Status;
use appliance::token::FenceInHsm;

use crate::support::{Appliance, Hsm, eventually, not_run, softhsm};

/// Runs a test with each HSM that is here.
pub(crate) fn on_each(test: impl Fn(Hsm)) {
    test(Hsm::Simulator);
    if softhsm::present() {
        test(Hsm::SoftHsm);
    }
}

/// An appliance with this section `[fence]`.
fn fenced(hsm: Hsm, settings: &str) -> Appliance {
    let mut appliance = Appliance::start(hsm);
    assert!(appliance.stop(), "it stops");
    configure(&appliance, settings);
    appliance.launch();
    appliance
}

/// Gives a stopped appliance this section `[fence]`, in place of the one that it had.
fn configure(appliance: &Appliance, settings: &str) {
    let config = std::fs::read_to_string(appliance.config()).expect("the configuration");
    let kept = config.split("[fence]\n").next().unwrap_or_default();
    std::fs::write(appliance.config(), format!("{kept}[fence]\n{settings}\n")).expect("a configuration");
}

/// What the HSM keeps, once it keeps at least so much.
fn kept(appliance: &Appliance, at_least: u64) -> u64 {
    eventually("the HSM keeps the fence", || match appliance.status()?.fence_in_hsm {
        FenceInHsm::Kept { size, .. } if size >= at_least => Some(size),
        FenceInHsm::Kept { .. } | FenceInHsm::Off | FenceInHsm::Unknown | FenceInHsm::Refused { .. } => None,
    })
}

/// Waits until it is closed for operators, with this cause.
pub(crate) fn held(appliance: &Appliance, cause: &str) -> Status {
    eventually("it is closed for operators", || {
        let status = appliance.status()?;
        let token = &status.boundaries.token;
        let so = token.class == Some(FaultClass::Integrity) && token.cause.as_deref() == Some(cause);
        (so && !token.open).then_some(status)
    })
}

pub(crate) fn message(status: &Status) -> &str {
    status.boundaries.token.message.as_deref().unwrap_or_default()
}

/// All of an appliance that lies on disks that may be put back: its data, and the fence's file.
pub(crate) fn save(appliance: &Appliance, name: &str) {
    let to = appliance.folder.path().join(name);
    let _ = std::fs::remove_dir_all(&to);
    for part in ["data", "fence"] {
        copy(&appliance.folder.path().join(part), &to.join(part));
    }
}

/// Puts it back.
pub(crate) fn restore(appliance: &Appliance, name: &str) {
    let from = appliance.folder.path().join(name);
    for part in ["data", "fence"] {
        let to = appliance.folder.path().join(part);
        std::fs::remove_dir_all(&to).expect("removed");
        copy(&from.join(part), &to);
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (kind, to) = (entry.file_type().expect("its type"), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&entry.path(), &to);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

/// Runs OpenSC's tool, as somebody with the PIN would; none where it is not installed.
fn opensc(appliance: &Appliance, hsm: Hsm, arguments: &[&str]) -> Option<String> {
    let folder = appliance.folder.path().join("hsm");
    let pin = std::fs::read_to_string(folder.join("pin")).expect("the PIN");
    let (module, label, variable, value) = match hsm {
        Hsm::SoftHsm => {
            (softhsm::MODULE.into(), "assent-test", "SOFTHSM2_CONF", folder.join("softhsm2.conf"))
        }
        Hsm::Simulator => {
            let beside = Path::new(crate::support::ASSENT).with_file_name("libfirmware_sim.so");
            (beside, "assent-dev", "FIRMWARE_SIM_DIR", folder.join("simulator"))
        }
    };
    let mut tool = Command::new("pkcs11-tool");
    tool.arg("--module").arg(module).args(["--token-label", label, "--login", "--pin", pin.trim()]);
    let Ok(output) = tool.env(variable, value).args(arguments).stdin(Stdio::null()).output() else {
        not_run::missing("pkcs11-tool is not installed (apt-get install opensc)");
        return None;
    };
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The label of the fence's data object.
fn label(appliance: &Appliance) -> String {
    appliance::log::second_fence::label(&appliance.status().expect("it answers").origin)
}
