//! `assent doctor`: everything that this machine must have right for the appliance, one line a check.
//!
//! The rule it keeps: it changes nothing, and whatever is not well names what to do next. It works while the appliance runs
//! and while it stands still; what only one of the two can tell is asked of that one. The HSM is asked last, by a child of
//! its own, with one try of the PIN. It does not verify the log: `assent log verify` does. One file a group of checks.

mod bundle;
mod certificates;
mod clock;
mod configuration;
mod console;
mod disk;
mod escalation;
mod files;
mod findings;
mod hsm;
mod log;
mod network;
mod running;
mod witnesses;

use assent_proto::number::Timestamp;

use self::findings::Findings;
use self::running::Running;
use super::{Exit, Globals};
use crate::clock::Clock;
use crate::config::Config;

/// What is looked at beside the usual.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Ask the witnesses too, over the network.
    #[arg(long)]
    online: bool,
    /// Leave the HSM alone: load no module, try no PIN.
    #[arg(long)]
    skip_hsm: bool,
    /// End with 3 for warnings too.
    #[arg(long)]
    strict: bool,
}

/// What is examined.
struct Subject<'c> {
    config: &'c Config,
    /// What the appliance itself says, where it runs.
    running: Running,
    now: Timestamp,
}

/// Runs the command. Ends with 3 when something fails, and with 0 when there are warnings only.
pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let mut findings = Findings::new(globals.output);
    if let Some(config) = configuration::examine(&globals.config, &mut findings) {
        findings.judge_by(&config);
        let now = Clock::system().now();
        let subject = Subject { config: &config, running: Running::ask(&config), now };
        running::examine(&subject, &mut findings);
        files::examine(&subject, &mut findings);
        certificates::examine(&subject, &mut findings);
        bundle::examine(&subject, &mut findings);
        escalation::examine(&subject, &mut findings);
        log::examine(&subject, &mut findings);
        clock::examine(&subject, &mut findings);
        disk::examine(&subject, &mut findings);
        network::examine(&subject, &mut findings);
        console::examine(&subject, &mut findings);
        witnesses::examine(&subject, options.online, &mut findings);
        hsm::examine(&subject, &globals.config, options.skip_hsm, &mut findings);
    }
    findings.end(options.strict)
}
