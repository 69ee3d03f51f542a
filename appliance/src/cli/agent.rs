//! `assent agent enroll|list|revoke`: who may connect.
//!
//! A running appliance sees what these commands write within a moment, and ends the connections of who was revoked.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use assent_proto::number::Timestamp;
use clap::Subcommand;
use serde::Serialize;

use super::hsm::print_table;
use super::output::json_lines;
use super::{Exit, Format, Globals, utc};
use crate::clock::Clock;
use crate::config::Config;
use crate::identity::{CertificateAuthority, Record, Registry, SpiffeId, write_durably};
use crate::limits::{AGENT_CERTIFICATE_DAYS, MAX_AGENT_CERTIFICATE_DAYS};

/// What to do with agents.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Issue a certificate to an agent, and register it.
    Enroll {
        /// Its name: one segment of its SPIFFE ID.
        name: String,
        /// The folder for its certificate, its key and the CA's certificate.
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// For how many days.
        #[arg(
            long,
            default_value_t = AGENT_CERTIFICATE_DAYS,
            value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_AGENT_CERTIFICATE_DAYS))
        )]
        days: u32,
    },
    /// Show which certificates were given to whom.
    List,
    /// Take back every certificate of an agent, and end its connections.
    Revoke {
        /// Its name, or its whole SPIFFE ID.
        name: String,
    },
}

/// An agent that was just enrolled.
#[derive(Serialize)]
struct Enrolled<'a> {
    schema: &'static str,
    #[serde(flatten)]
    record: &'a Record,
    address: String,
    ca: &'a Path,
    certificate: &'a Path,
    key: &'a Path,
}

/// The agents and what their certificates are worth.
#[derive(Serialize)]
struct Listed<'a> {
    schema: &'static str,
    agents: &'a [Row<'a>],
}

/// One certificate.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    record: &'a Record,
    state: &'static str,
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let now = Clock::system().now();
    match verb {
        Verb::Enroll { name, out, days } => enroll(&config, globals.output, &name, &out, days, now),
        Verb::List => list(&config, globals.output, now),
        Verb::Revoke { name } => revoke(&config, globals.output, &name, now),
    }
}

fn enroll(
    config: &Config,
    format: Format,
    name: &str,
    out: &Path,
    days: u32,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let id =
        config.tls.trust_domain.agent(name).with_context(|| format!("`{name}` is no name of an agent"))?;
    let ca = CertificateAuthority::open(&config.tls.ca, &config.ca_key()).context(
        "the built-in CA cannot be used; `assent init` makes one, a CA of your own issues by itself",
    )?;
    let registry = Registry::open(&config.agents_path())?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let out = out.canonicalize().with_context(|| format!("cannot find the folder {}", out.display()))?;
    let [ca_path, certificate, key] =
        ["ca.pem", &format!("{name}.pem"), &format!("{name}.key")].map(|file| out.join(file));
    for path in [&certificate, &key] {
        if path.exists() {
            bail!("{} exists; give another folder with --out, or remove it first", path.display());
        }
    }
    write_ca(&ca_path, ca.certificate_pem())?;
    let issued = ca.issue_agent(&id, Duration::from_secs(u64::from(days) * 24 * 60 * 60), now)?;
    let record = Record::new(name, id, &issued, now);
    // Registered first: a certificate that exists can always be revoked.
    registry.add(&record)?;
    issued.write(&certificate, &key)?;
    let address = address_for_others(&config.appliance.host, config.listen.quic);
    let schema = "assent.v1.agent";
    print_enrolled(
        format,
        &Enrolled { schema, record: &record, address, ca: &ca_path, certificate: &certificate, key: &key },
    )?;
    Ok(Exit::Done)
}

/// By what others reach what listens there: where it listens at every address, nobody can connect to that one.
pub(super) fn address_for_others(host: &str, listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() { format!("{host}:{}", listen.port()) } else { listen.to_string() }
}

/// Puts the CA's certificate beside the agent's; several agents may share a folder, but not two CAs.
fn write_ca(path: &Path, pem: &str) -> anyhow::Result<()> {
    match std::fs::read(path) {
        Ok(there) if there == pem.as_bytes() => Ok(()),
        Ok(_) => bail!("{} is another CA's certificate; give another folder with --out", path.display()),
        Err(_) => write_durably(path, pem.as_bytes(), 0o644)
            .with_context(|| format!("cannot write {}", path.display())),
    }
}

fn print_enrolled(format: Format, enrolled: &Enrolled<'_>) -> anyhow::Result<()> {
    let mut out = crate::cli::stdout();
    if format != Format::Table {
        return Ok(writeln!(out, "{}", crate::shown::json_of(enrolled)?)?);
    }
    let ends = enrolled.record.expires_at_ms.map(|at| utc(Timestamp(at))).unwrap_or_default();
    talk!("{} is enrolled until {ends}. Give its program:", enrolled.record.id);
    writeln!(out, "export ASSENT_ADDR={}", enrolled.address)?;
    for (variable, path) in
        [("ASSENT_CA", enrolled.ca), ("ASSENT_CERT", enrolled.certificate), ("ASSENT_KEY", enrolled.key)]
    {
        writeln!(out, "export {variable}={}", quoted(path))?;
    }
    Ok(())
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte));
    if plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn list(config: &Config, format: Format, now: Timestamp) -> anyhow::Result<Exit> {
    let agents = Registry::open(&config.agents_path())?.snapshot();
    let rows: Vec<_> = agents.iter().map(|record| Row { record, state: state(record, now) }).collect();
    let mut out = crate::cli::stdout();
    match format {
        Format::Json => {
            writeln!(
                out,
                "{}",
                crate::shown::json_of(&Listed { schema: "assent.v1.agents", agents: &rows })?
            )?;
        }
        Format::Jsonl => {
            drop(out);
            json_lines("assent.v1.agents.agent", &rows)?;
        }
        Format::Table => {
            drop(out);
            let cells: Vec<_> = rows.iter().map(cells).collect();
            print_table(["NAME", "STATE", "EXPIRES", "SERIAL", "SPIFFE ID"], &cells)?;
            if rows.is_empty() {
                talk!("no agent is enrolled; `assent agent enroll NAME` does it");
            }
        }
    }
    Ok(Exit::Done)
}

fn cells(row: &Row<'_>) -> [String; 5] {
    let record = row.record;
    let ends = record.expires_at_ms.map_or_else(|| "-".to_owned(), |at| utc(Timestamp(at)));
    let serial = record.serial.as_ref().map_or_else(|| "every one".to_owned(), ToString::to_string);
    [record.name.clone(), row.state.to_owned(), ends, serial, record.id.to_string()]
}

fn state(record: &Record, now: Timestamp) -> &'static str {
    match (record.revoked_at_ms, record.expires_at_ms) {
        (Some(_), _) => "revoked",
        (None, Some(ends)) if ends <= now.0 => "expired",
        (None, _) => "enrolled",
    }
}

fn revoke(config: &Config, format: Format, name: &str, now: Timestamp) -> anyhow::Result<Exit> {
    let whole = name.contains("://");
    let id = if whole { SpiffeId::parse(name) } else { config.tls.trust_domain.agent(name) };
    let id = id.with_context(|| format!("`{name}` is neither a name of an agent nor a SPIFFE ID"))?;
    let registry = Registry::open(&config.agents_path())?;
    // A misspelt name must not look like a success; a whole ID may be of another CA.
    if !whole && !registry.snapshot().iter().any(|record| record.id == id) {
        bail!(
            "no agent `{name}` is enrolled; `assent agent list` shows them, a whole SPIFFE ID shuts out any other"
        );
    }
    let certificates = registry.revoke(&id, now)?;
    match format {
        Format::Table => {
            writeln!(
                crate::cli::stdout(),
                "{id} is revoked; certificates that were good until now: {certificates}"
            )?;
        }
        Format::Json | Format::Jsonl => {
            let schema = "assent.v1.agent_revoked";
            let json = serde_json::json!({ "schema": schema, "id": id, "certificates": certificates });
            writeln!(crate::cli::stdout(), "{}", crate::shown::json(&json))?;
        }
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_the_shell() {
        assert_eq!(quoted(Path::new("/a/b-1.pem")), "/a/b-1.pem");
        assert_eq!(quoted(Path::new("/my agents/it's.key")), r"'/my agents/it'\''s.key'");
        assert_eq!(quoted(Path::new("/$HOME")), "'/$HOME'");
    }

    #[test]
    fn an_address_that_nobody_can_connect_to_is_not_given_out() {
        for (listen, given) in [
            ("127.0.0.1:7743", "127.0.0.1:7743"),
            ("[::1]:7743", "[::1]:7743"),
            ("0.0.0.0:7743", "a.example:7743"),
            ("[::]:1", "a.example:1"),
        ] {
            assert_eq!(address_for_others("a.example", listen.parse().unwrap()), given);
        }
    }

    #[test]
    fn another_cas_certificate_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        write_ca(&path, "one").unwrap();
        write_ca(&path, "one").unwrap();
        assert!(write_ca(&path, "other").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
    }
}
