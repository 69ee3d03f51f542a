//! The section `[traces]`: where spans go besides the traces on standard error.
//!
//! A program that was built without the feature `otlp` refuses the key rather than leave a collector waiting.

use url::{Host, Url};

use super::ConfigError;
use super::reader::Reader;

/// What it is to be where spans can be exported.
const ALLOWED: &str = "https:// and a host, or http:// and an address of this machine, such as \"http://127.0.0.1:4318\"; spans go to /v1/traces there";
/// And where they cannot.
const NOT_BUILT: &str = "left out: this program was built without the feature `otlp` (cargo build --release --locked --features assent/otlp)";
/// Bytes of an address.
const MAX_URL_BYTES: usize = 1024;

/// `[traces]`: where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The collector's address for spans, over OTLP/HTTP; none: they go nowhere.
    pub otlp: Option<String>,
}

impl Traces {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, ConfigError> {
        let mut section = reader.section("traces")?;
        let (is_built, allowed) = if cfg!(feature = "otlp") { (true, ALLOWED) } else { (false, NOT_BUILT) };
        let otlp = section
            .optional("otlp", allowed, |value| value.as_str().filter(|_| is_built).and_then(spans_of))?;
        section.finish()?;
        Ok(Self { otlp })
    }
}

/// Where a collector takes spans (OTLP/HTTP: the signal's path below the base address). Principals and batch ids are not sent in clear.
fn spans_of(collector: &str) -> Option<String> {
    let url = Url::parse(collector).ok().filter(|_| collector.len() <= MAX_URL_BYTES)?;
    let is_of_this_machine = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let is_private = url.scheme() == "https" || (url.scheme() == "http" && is_of_this_machine);
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    (is_private && is_plain).then(|| format!("{}/v1/traces", url.as_str().trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn read(collector: &str) -> Result<Option<String>, String> {
        let text = format!("[traces]\notlp = \"{collector}\"\n");
        let config = Config::parse(&text, Path::new("/etc/assent/assent.toml"));
        config.map(|config| config.traces.otlp).map_err(|error| error.to_string())
    }

    #[test]
    fn spans_go_in_clear_to_this_machine_only() {
        for (collector, spans) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
            ("http://localhost:4318/otlp", "http://localhost:4318/otlp/v1/traces"),
            ("https://collector.example", "https://collector.example/v1/traces"),
        ] {
            assert_eq!(spans_of(collector).as_deref(), Some(spans));
        }
        for wrong in [
            "",
            "127.0.0.1:4318",
            "http://collector.example:4318",
            "http://10.0.0.1:4318",
            "http://localhost.example",
            "https://user:word@collector.example",
            "https://collector.example/?key=1",
            "https://collector.example/#1",
            "grpc://127.0.0.1:4317",
        ] {
            assert_eq!(spans_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_program_that_exports_nothing_says_how_to_build_one_that_does() {
        let (good, wrong) = (read("http://127.0.0.1:4318"), read("http://collector.example").unwrap_err());
        if cfg!(feature = "otlp") {
            assert_eq!(good, Ok(Some("http://127.0.0.1:4318/v1/traces".to_owned())));
            assert!(wrong.ends_with(ALLOWED), "{wrong}");
        } else {
            let refused = good.unwrap_err();
            assert!(
                refused.contains(":2: `traces.otlp` cannot be") && refused.ends_with(NOT_BUILT),
                "{refused}"
            );
            assert!(wrong.ends_with(NOT_BUILT), "{wrong}");
        }
    }
}
