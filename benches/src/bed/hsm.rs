//! Which HSM signs: SoftHSM2 where it is installed, else the simulator that comes with the appliance.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use appliance::provision;

use crate::parts::sign;
use crate::scratch;

/// Where Debian puts the module of SoftHSM2.
const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The slot's label.
pub(crate) const LABEL: &str = "assent-bench";

/// Which HSM signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Hsm {
    /// Debian's SoftHSM2.
    #[value(name = "softhsm")]
    SoftHsm,
    /// The simulator that comes with the appliance.
    Simulator,
}

/// A module as PKCS#11 applications are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) module: PathBuf,
    pub(crate) pin_file: PathBuf,
    /// The one variable that tells the module where its things are.
    pub(crate) environment: (&'static str, PathBuf),
}

impl Hsm {
    /// SoftHSM2 where it is installed.
    pub(crate) fn at_hand() -> Self {
        if Path::new(SOFTHSM).exists() { Self::SoftHsm } else { Self::Simulator }
    }

    /// Whether it is installed.
    ///
    /// # Errors
    /// What to install, where it is not.
    pub(crate) fn is_there(self) -> anyhow::Result<()> {
        match self {
            Self::SoftHsm => {
                std::fs::metadata(SOFTHSM).map(drop).context("install SoftHSM2 (apt-get install softhsm2)")
            }
            Self::Simulator => {
                provision::simulator().map(drop).context("the simulator is not beside this program")
            }
        }
    }

    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::SoftHsm => "SoftHSM2",
            Self::Simulator => "firmware-sim",
        }
    }

    /// What its module says of its version; asked without a slot.
    pub(crate) fn version(self) -> anyhow::Result<String> {
        let folder = scratch::folder()?;
        self.prepare(folder.path())?;
        sign::version(&self.module(folder.path())?)
    }

    /// Lays out what the module needs, and the PINs.
    pub(super) fn prepare(self, folder: &Path) -> anyhow::Result<()> {
        let hsm = folder.join("hsm");
        for kept in ["tokens", "simulator"] {
            std::fs::create_dir_all(hsm.join(kept))?;
        }
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n",
            hsm.join("tokens").display()
        );
        std::fs::write(hsm.join("softhsm2.conf"), text)?;
        Ok(())
    }

    /// The appliance's configuration: ports that are free, and the default for the rest.
    pub(super) fn configuration(self, folder: &Path) -> String {
        let (module, simulator) = match self {
            Self::SoftHsm => (SOFTHSM, false),
            Self::Simulator => ("simulator", true),
        };
        let (name, value) = self.environment(folder);
        format!(
            "[appliance]\nname = \"bench\"\n[listen]\nquic = \"127.0.0.1:0\"\nhttp = \"off\"\n\
             [hsm]\nmodule = \"{module}\"\nallow_simulator = {simulator}\nslot_label = \"{LABEL}\"\npin_file = \"hsm/pin\"\n\
             [hsm.environment]\n{name} = \"{}\"\n",
            value.display()
        )
    }

    pub(super) fn module(self, folder: &Path) -> anyhow::Result<Module> {
        let module = match self {
            Self::SoftHsm => PathBuf::from(SOFTHSM),
            Self::Simulator => provision::simulator().context("the simulator is not beside this program")?,
        };
        Ok(Module { module, pin_file: folder.join("hsm/pin"), environment: self.environment(folder) })
    }

    fn environment(self, folder: &Path) -> (&'static str, PathBuf) {
        match self {
            Self::SoftHsm => ("SOFTHSM2_CONF", folder.join("hsm/softhsm2.conf")),
            Self::Simulator => ("FIRMWARE_SIM_DIR", folder.join("hsm/simulator")),
        }
    }
}
