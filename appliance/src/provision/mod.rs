//! Provisioning: from an empty folder to an appliance that can serve.
//!
//! Stages, each of which may be repeated and none of which overwrites: configuration, CA and certificates; the HSM's slot
//! and key (by `assent hsm init` and `assent keys generate`, since keys are the security team's); last the log, which is
//! made for the key that the HSM shows and holds the appliance to it from then on.

mod dev;
mod logs;
pub mod succession;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use assent_proto::note::{NoteError, VerifierKey};
use assent_proto::number::Timestamp;

pub use dev::{AgentFiles, Dev, DevError, OPERATOR, dev, scratch};
pub use logs::{agree, keyring, keyring_file, keyrings_before, log_file};

use crate::config::{Config, HsmFence, Module, Signers};
use crate::hsm::{HsmFault, HsmSettings, InHsm, Pin, PinError, Signer};
use crate::identity::{CaError, CertificateAuthority, Name, SpiffeError, write_durably};
use crate::limits::SIGNER_START_DEADLINE;
use crate::log::disk::system;
use crate::log::keyring::{Keyring, KeyringError};
use crate::log::second_fence::label;
use crate::log::store::{Identity, Store, StoreError};

/// How long a server certificate of the built-in CA lives.
const SERVER_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The simulator's file name.
const SIMULATOR: &str = "libfirmware_sim.so";

/// Why provisioning stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// No log was made yet.
    #[error("no key is pinned at {}; run `assent hsm init`, `assent keys generate`, then `assent init`", .0.display())]
    NotPinned(PathBuf),
    /// A log of a higher number lies beside the configured one.
    #[error(
        "log {newest} lies beside log {configured}, which it has succeeded; set `appliance.log` to {newest}. Where its ceremony was not \
         finished, finish it; to audit the older log, name its file and a trust file"
    )]
    Succeeded {
        /// What the configuration names.
        configured: u32,
        /// The newest log in the data folder.
        newest: u32,
    },
    /// The configured log is yet to be opened by operators.
    #[error("log {0} is not open; operators open it: `assent log succeed`")]
    NotOpened(u32),
    /// The HSM remembers a log of that name.
    #[error(
        "the HSM keeps a fence of `{0}`: that log was begun before; restore it, or open the next one by `assent log succeed`"
    )]
    Begun(String),
    /// The simulator is not where it is built.
    #[error(
        "the simulator {SIMULATOR} is not beside this program; build it, or name a module under `hsm.module`"
    )]
    NoSimulator,
    /// A file or folder cannot be made or read.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The CA cannot be made or used.
    #[error("cannot issue certificates")]
    Ca(#[from] CaError),
    /// The appliance's name makes no SPIFFE ID.
    #[error("the appliance's name makes no SPIFFE ID")]
    Spiffe(#[from] SpiffeError),
    /// The HSM does not show its key.
    #[error("the HSM does not show its key")]
    Hsm(#[from] HsmFault),
    /// The PIN cannot be read.
    #[error("cannot read the PIN")]
    Pin(#[from] PinError),
    /// The HSM's key or the origin is none.
    #[error("the HSM's key cannot sign for `{origin}`")]
    Key {
        /// The log's origin.
        origin: String,
        /// What is wrong.
        #[source]
        source: NoteError,
    },
    /// The key ring cannot be made or read.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The log cannot be made.
    #[error("cannot make the log")]
    Log(#[from] StoreError),
}

fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ProvisionError {
    move |source| ProvisionError::File { doing, path: path.to_owned(), source }
}

/// Where the witness that this appliance is keeps its records.
#[must_use]
pub fn witness_folder(config: &Config) -> PathBuf {
    config.appliance.data.join("witness")
}

/// How the signer reaches the configured HSM, with the key that `hsm.key_id` names.
///
/// # Errors
/// [`ProvisionError::NoSimulator`].
pub fn hsm_settings(config: &Config) -> Result<HsmSettings, ProvisionError> {
    let simulator = match config.hsm.module {
        Module::Simulator => simulator().ok_or(ProvisionError::NoSimulator)?,
        Module::File(_) => PathBuf::new(),
    };
    Ok(HsmSettings { protected: kept_from_signer(config), ..config.hsm.settings(&simulator) })
}

/// What decides, what is remembered, who may order, and every secret that is not the HSM's own: nothing of it is a module's
/// business.
fn kept_from_signer(config: &Config) -> Vec<PathBuf> {
    let (tls, policy, console) = (&config.tls, &config.policy, &config.console);
    let fence = config.fence_file();
    let own = [&config.file, &config.appliance.data, &config.fence.path, &fence, &policy.bundle];
    let certificates = [&tls.key, &tls.ca, &tls.certificate];
    let mut kept: Vec<PathBuf> = own.into_iter().chain(certificates).cloned().collect();
    // The latch is there when the signer starts that is to re-arm: unnamed it would lie beside its fence, and be the module's to write.
    kept.extend([config.ca_key(), config.witnessing.key.clone(), config.latch_file()]);
    kept.extend([&console.key, &console.certificate, &console.client_ca].into_iter().flatten().cloned());
    kept.extend(policy.shadow.clone());
    kept.extend([&policy.signers, &config.hsm.operators].into_iter().flatten().filter_map(Signers::file));
    kept.extend(config.hsm.pin.file());
    kept.extend(config.escalation.secrets().cloned());
    kept
}

/// The simulator: beside this program, where cargo puts what a program depends on, or where a package installs it.
#[must_use]
pub fn simulator() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folder = program.parent()?;
    let places = ["", "deps", "..", "../deps", "../lib/assent"];
    places.into_iter().map(|place| folder.join(place).join(SIMULATOR)).find(|path| path.is_file())
}

/// Writes a configuration to this file where there is none, and tells whether it did.
///
/// # Errors
/// [`ProvisionError::File`].
pub fn init_config(path: &Path, text: &str) -> Result<bool, ProvisionError> {
    if path.exists() {
        return Ok(false);
    }
    make_folder_of(path)?;
    write_durably(path, text.as_bytes(), 0o644).map_err(file("write", path))?;
    Ok(true)
}

/// Makes the folder that this file is to lie in.
fn make_folder_of(path: &Path) -> Result<(), ProvisionError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| std::fs::create_dir_all(folder).map_err(file("make", folder)))
}

/// Makes the data folder, and the CA with a server certificate where there is none.
///
/// # Errors
/// [`ProvisionError`].
pub fn init_identity(config: &Config, now: Timestamp) -> Result<(), ProvisionError> {
    let data = &config.appliance.data;
    system().make_folder(data).map_err(file("make", data))?;
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(data, owner_only).map_err(file("close to others", data))?;
    let tls = &config.tls;
    if tls.certificate.exists() {
        return Ok(());
    }
    let ca = if tls.ca.exists() {
        CertificateAuthority::open(&tls.ca, &config.ca_key())?
    } else {
        CertificateAuthority::create(&tls.ca, &config.ca_key(), &tls.trust_domain, now)?
    };
    let id = tls.trust_domain.appliance(&config.appliance.name)?;
    let names = [
        Name::Dns("localhost".to_owned()),
        Name::of(&config.appliance.host),
        Name::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Name::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ];
    let issued = ca.issue_server(&id, &names, SERVER_LIFETIME, now)?;
    make_folder_of(&tls.key)?;
    make_folder_of(&tls.certificate)?;
    issued.write(&tls.certificate, &tls.key)?;
    Ok(())
}

/// Whoever deletes a log and makes it anew would have two of one name.
fn refuse_fenced(config: &Config, signer: &mut Signer) -> Result<(), ProvisionError> {
    if config.fence.hsm == HsmFence::Off {
        return Ok(());
    }
    let origin = config.origin();
    match signer.fence(&label(&origin), SIGNER_START_DEADLINE)? {
        InHsm::Kept(kept) if kept.count > 0 => Err(ProvisionError::Begun(origin)),
        InHsm::Kept(_) | InHsm::Refused(_) => Ok(()),
    }
}

/// Makes the log for the key that the HSM shows, and pins that key. False when there is one already.
///
/// # Errors
/// [`ProvisionError`].
pub fn found_log(config: &Config, pin: &Pin, now: Timestamp) -> Result<bool, ProvisionError> {
    agree(config)?;
    let log = log_file(config);
    if log.exists() {
        return Ok(false);
    }
    if config.appliance.log > 1 {
        return Err(ProvisionError::NotOpened(config.appliance.log));
    }
    let mut signer = Signer::start(&hsm_settings(config)?, pin, SIGNER_START_DEADLINE, |_| ())?;
    let origin = config.origin();
    refuse_fenced(config, &mut signer)?;
    let key = VerifierKey::new(&origin, &signer.identity().public_key)
        .map_err(|source| ProvisionError::Key { origin: origin.clone(), source })?;
    // The ring first: a log without its ring could not be served, a ring without a log is made again.
    Keyring::found(&keyring_file(config), &key, &config.hsm.key_id, now)?;
    let key = key.to_string();
    let fence = config.fence.path.parent().unwrap_or_else(|| Path::new("."));
    system().make_folder(fence).map_err(file("make", fence))?;
    Store::create(&log, &Identity::new(&origin, &key))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use rustls::client::verify_server_name;
    use rustls::pki_types::ServerName;
    use rustls::server::ParsedCertificate;

    use super::*;
    use crate::control;
    use crate::identity::tls::certificates;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn config(folder: &Path, text: &str) -> Config {
        Config::parse(text, &folder.join("site.toml")).unwrap()
    }

    #[test]
    fn a_configuration_is_written_to_the_file_that_was_named_and_replaces_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etc/site.toml");
        assert!(init_config(&path, "# one").unwrap());
        assert!(!init_config(&path, "# other").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# one");
        assert!(!folder.path().join("etc/assent.toml").exists());
    }

    #[test]
    fn certificates_are_made_where_the_configuration_looks_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[tls]\nca = \"pki/root.pem\"\ncertificate = \"own/a.pem\"\nkey = \"keys/a.key\"\n";
        let config = config(folder.path(), text);
        init_identity(&config, NOW).unwrap();
        CertificateAuthority::open(&config.tls.ca, &config.ca_key()).unwrap();
        assert!(folder.path().join("pki/root.key").exists() && folder.path().join("own/a.pem").exists());
        assert!(!folder.path().join("pki/ca.pem").exists());
    }

    #[test]
    fn a_certificate_holds_for_the_host_whether_it_is_a_name_or_an_address() {
        for host in ["assent.example", "10.1.2.3", "localhost"] {
            let folder = tempfile::tempdir().unwrap();
            let config = config(folder.path(), &format!("[appliance]\nhost = \"{host}\"\n"));
            init_identity(&config, NOW).unwrap();
            let own = certificates(&config.tls.certificate).unwrap();
            let own = ParsedCertificate::try_from(&own[0]).unwrap();
            for name in [host, "localhost", "127.0.0.1", "::1"] {
                verify_server_name(&own, &ServerName::try_from(name).unwrap()).unwrap();
            }
            assert!(verify_server_name(&own, &ServerName::try_from("10.9.9.9").unwrap()).is_err());
        }
    }

    /// What is the appliance's own lies below `/own`, by name or by default; what a module may need as well, below `/theirs`.
    const CONFIGURATION: &str = r#"
[appliance]
log = 2
[hsm]
module = "/theirs/module.so"
operators = "/own/operators.pub"
[policy]
signers = "/own/signers"
shadow = "shadow"
[witness]
ca = "/theirs/roots.pem"
[[escalation.sink]]
name = "oncall"
kind = "webhook"
url = "https://hooks.example.org/assent"
key_file = "webhook.key"
secret_file = "webhook.secret"
ca_file = "/theirs/sinks.pem"
[console]
certificate = "tls/console.pem"
key = "tls/console.key"
client_ca = "tls/operators-ca.pem"
"#;

    #[test]
    fn the_signer_is_kept_from_every_path_that_is_the_appliances_own_and_from_no_other() {
        let config = Config::parse(CONFIGURATION, Path::new("/own/assent.toml")).unwrap();
        let kept = kept_from_signer(&config);
        // What lies below a path that is kept is kept with it.
        let is_kept = |path: &Path| kept.iter().any(|kept| path.starts_with(kept));
        let mut named = Vec::new();
        for setting in config.effective() {
            let text = setting.value.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
            if text.starts_with("/own/") {
                assert!(is_kept(Path::new(text)), "`{}` leaves {text} to the module: {kept:?}", setting.key);
                named.push(setting.key.as_str());
            }
            assert!(
                !text.starts_with("/theirs/") || !is_kept(Path::new(text)),
                "{text} of `{}`",
                setting.key
            );
        }
        for key in
            ["appliance.data", "fence.path", "policy.bundle", "hsm.operators", "hsm.pin_file", "tls.key"]
        {
            assert!(named.contains(&key), "{key} is no path any more: {named:?}");
        }
        let control = config.appliance.data.join(control::SOCKET);
        let files =
            [log_file(&config), keyring_file(&config), config.agents_path(), config.outbox_path(), control];
        let beside = [config.file.clone(), config.ca_key(), config.fence_file(), config.latch_file()];
        for path in files.into_iter().chain(beside).chain([witness_folder(&config)]) {
            assert!(is_kept(&path), "{} is left to the module: {kept:?}", path.display());
        }
        assert!(kept.iter().all(|path| path.starts_with("/own") && path != Path::new("/own")), "{kept:?}");
    }
}
