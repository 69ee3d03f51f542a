//! `assent dev`: everybody's first minute. A whole appliance with throw-away keys, on loopback.

use std::io::Write as _;
use std::path::PathBuf;

use super::{Exit, Globals};
use crate::config::Config;
use crate::provision::{self, Dev};
use crate::serving::status::Status;

/// Where, and on which port.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The folder; made when it is missing, used again when it is there.
    #[arg(long, default_value = ".assent", value_name = "FOLDER")]
    dir: PathBuf,
    /// The port on 127.0.0.1. An existing folder keeps the one that it was made with.
    #[arg(long, default_value_t = 7743)]
    port: u16,
    /// The port on 127.0.0.1 where the log is read over HTTP. An existing folder keeps its own.
    #[arg(long, default_value_t = 7744)]
    http_port: u16,
    /// The port on 127.0.0.1 of the operator console; 7745, or none where `--port` is 0. An existing folder keeps its own.
    #[arg(long, value_name = "PORT")]
    console_port: Option<u16>,
}

impl Options {
    fn console(&self) -> Option<u16> {
        self.console_port.or((self.port != 0).then_some(CONSOLE_PORT)).filter(|port| *port != 0)
    }
}

/// Where the console is, unless another port is said.
const CONSOLE_PORT: u16 = 7745;

const TRUST: &str = "trust.toml";
const INTENTS: &str = "intents.jsonl";

/// Runs the command, until Ctrl-C.
pub(super) fn run(options: &Options, _: &Globals) -> anyhow::Result<Exit> {
    let dev = provision::dev(&options.dir, options.port, options.http_port, options.console())?;
    let config = Config::load(&dev.config)?;
    let trust = options.dir.join(TRUST);
    let now = crate::clock::Clock::system().now();
    std::fs::write(&trust, super::trust::export(&config, now, 30)?)?;
    let intents = options.dir.join(INTENTS);
    std::fs::write(&intents, crate::sample::INTENTS)?;
    let globals = Globals { config: dev.config.clone(), output: super::Format::Table, rows: None };
    // A port may be any that was free: where to go is known when it listens. Nobody may be there to read it.
    super::serve::run_and_tell(&globals, |status| drop(tell(options, &dev, status)))
}

/// What to do in another shell.
fn tell(options: &Options, dev: &Dev, status: &Status) -> std::io::Result<()> {
    let (folder, config, agent) = (&options.dir, dev.config.display(), &dev.agent);
    let [trust, intents] = [TRUST, INTENTS].map(|name| folder.join(name));
    let mut talk = crate::cli::stderr();
    writeln!(talk, "\na development appliance in {}: simulated HSM, throw-away keys", folder.display())?;
    writeln!(talk, "in another shell, as the agent and then as the executor:\n")?;
    writeln!(talk, "  export ASSENT_ADDR={} ASSENT_CA={}", status.listen, agent.ca.display())?;
    let (certificate, key) = (agent.certificate.display(), agent.key.display());
    writeln!(talk, "  export ASSENT_CERT={certificate} ASSENT_KEY={key}")?;
    writeln!(talk, "  assent intent preauthorize {} --tokens tokens.jsonl | tail", intents.display())?;
    writeln!(
        talk,
        "  assent token verify --trust {} --audience {} < tokens.jsonl | sort | uniq -c",
        trust.display(),
        crate::sample::AUDIENCE
    )?;
    writeln!(talk, "  assent --config {config} status")?;
    if let Some(http) = &status.http {
        writeln!(talk, "  curl http://{http}/checkpoint http://{http}/readyz http://{http}/metrics")?;
    }
    if let Some(console) = &status.console {
        writeln!(talk, "\nand for the operator console at {console}, a link to make a passkey by:\n")?;
        writeln!(talk, "  assent --config {config} operator invite {}", provision::OPERATOR)?;
    }
    writeln!(
        talk,
        "\nCtrl-C stops it; then `assent --config {config} log verify` reads what it leaves behind\n"
    )
}
