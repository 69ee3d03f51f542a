//! Code that nobody here wrote: Go's sumdb packages, asked by `tests/go/auditor.go`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::not_run;

/// Where Debian puts Go and its packages.
const GO: &str = "/usr/lib/go-1.19/bin/go";
const PACKAGES: &str = "/usr/share/gocode";
const AUDITOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/go/auditor.go");

/// The auditor, built in a folder of its own.
pub(crate) struct Auditor {
    program: PathBuf,
}

impl Auditor {
    /// Builds it; none where Go is not installed, which is an error where everything is to run.
    pub(crate) fn build(folder: &Path) -> Option<Self> {
        if !Path::new(GO).exists() || !Path::new(PACKAGES).join("src/golang.org/x/mod/sumdb/tlog").exists() {
            not_run::missing(
                "golang-1.19-go and golang-golang-x-mod-dev are not installed (or use tests/run)",
            );
            return None;
        }
        let program = folder.join("auditor");
        let built = Command::new(GO)
            .args(["build", "-o"])
            .args([program.as_os_str(), AUDITOR.as_ref()])
            .envs([("GO111MODULE", "off"), ("GOPATH", PACKAGES), ("GOFLAGS", ""), ("CGO_ENABLED", "0")])
            .env("GOCACHE", folder.join("go-cache"))
            .output()
            .expect("go runs");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Some(Self { program })
    }

    /// What it says that is good.
    pub(crate) fn accepts(&self, arguments: &[&str]) -> String {
        self.ask(arguments).unwrap_or_else(|told| panic!("auditor {arguments:?}: {told}"))
    }

    /// Why it refuses.
    pub(crate) fn refuses(&self, arguments: &[&str]) -> String {
        match self.ask(arguments) {
            Err(told) if told.starts_with("refused: ") => told,
            other => panic!("auditor {arguments:?} does not refuse: {other:?}"),
        }
    }

    fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.program).args(arguments).output().expect("the auditor runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}
