//! The setting: what was measured, on what, and what of that spoils figures. Told beside them: figures without it say nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::bed::Hsm;
use crate::machine;
use crate::peers::cerbos;

/// What was measured, and where. What could not be found out is not told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setting {
    /// Of the appliance.
    pub(crate) version: String,
    /// The commit of the source folder at hand, with `-dirty` behind it where files are changed; none where there is no folder.
    pub(crate) commit: Option<String>,
    /// Which HSM signs, for people, and what its module says of its version.
    pub(crate) hsm: String,
    pub(crate) hsm_version: Option<String>,
    /// Of Cerbos, where it is measured.
    pub(crate) cerbos_version: Option<String>,
    /// What the processors are.
    pub(crate) processor: String,
    /// How many there are, shared with the load generator.
    pub(crate) cores: usize,
    /// The kernel's release.
    pub(crate) kernel: Option<String>,
    /// The type of the file system in which the log lies.
    pub(crate) file_system: Option<String>,
    /// What spoils figures here.
    pub(crate) warnings: Vec<String>,
}

impl Setting {
    /// Looks around. `folder`: where what is measured lies; `cerbos`: its binary, where it is measured.
    pub(crate) fn look(hsm: Hsm, folder: &Path, cerbos: Option<&Path>) -> Self {
        let mut warnings = machine::warnings(folder);
        if hsm == Hsm::Simulator {
            warnings.push(
                "the simulator signs: the targets are those of SoftHSM2 (apt-get install softhsm2)"
                    .to_owned(),
            );
        }
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: commit(),
            hsm: hsm.name().to_owned(),
            // It signs, or the work says why it does not: that its version is not known ends nothing.
            hsm_version: hsm.version().ok(),
            cerbos_version: cerbos.and_then(cerbos::version),
            processor: machine::processor(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: machine::kernel(),
            file_system: machine::file_system(folder),
            warnings,
        }
    }

    /// What was measured and on what, for people: one line.
    pub(crate) fn line(&self) -> String {
        let versioned = |name: &str, version: Option<&String>| match version {
            Some(version) => format!("{name} {version}"),
            None => name.to_owned(),
        };
        let assent = match &self.commit {
            Some(commit) => format!("Assent {} of commit {commit}", self.version),
            None => format!("Assent {}", self.version),
        };
        let cerbos = self.cerbos_version.as_ref().map(|version| format!("Cerbos {version}"));
        let kernel = self.kernel.as_ref().map(|kernel| format!("Linux {kernel}"));
        let parts = [
            Some(assent),
            Some(versioned(&self.hsm, self.hsm_version.as_ref())),
            cerbos,
            kernel,
            self.file_system.clone(),
            Some(format!("{} processors ({}) shared with the load generator", self.cores, self.processor)),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The commit of the folder that this was built from, where it is still there and is git's.
fn commit() -> Option<String> {
    let words = ["describe", "--always", "--dirty", "--exclude", "*"];
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_tells_what_is_known_and_nothing_of_the_rest() {
        let some = |text: &str| Some(text.to_owned());
        let bare = Setting {
            version: "1.2.3".to_owned(),
            hsm: "SoftHSM2".to_owned(),
            processor: "a processor".to_owned(),
            cores: 2,
            ..Setting::default()
        };
        let end = "2 processors (a processor) shared with the load generator";
        assert_eq!(bare.line(), format!("Assent 1.2.3, SoftHSM2, {end}"));
        let full = Setting {
            commit: some("abc"),
            hsm_version: some("2.6"),
            cerbos_version: some("0.51.0"),
            kernel: some("6.1"),
            file_system: some("ext4"),
            ..bare
        };
        let begin = "Assent 1.2.3 of commit abc, SoftHSM2 2.6, Cerbos 0.51.0, Linux 6.1, ext4";
        assert_eq!(full.line(), format!("{begin}, {end}"));
    }
}
