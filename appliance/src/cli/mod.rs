//! The command line: `assent <noun> <verb> [NAME] [--flags]`.
//!
//! One file a noun. Data goes to standard output, talk to standard error; an error is a chain that ends with what to do
//! next. Exit codes are in [`Exit`]; clap's own code for a usage error, 2, would read as a denial and is mapped to 1.

/// Says something to whoever runs the command, on standard error. Nobody has to listen: a pipe that was closed is no fault.
macro_rules! talk {
    ($($words:tt)*) => { $crate::cli::output::say(format_args!($($words)*)) };
}

mod agent;
mod approval;
mod backup;
mod bench;
mod break_glass;
mod completion;
mod config;
mod demo;
mod dev;
mod doctor;
mod drill;
mod escalation;
mod examples;
mod hsm;
mod html;
mod init;
mod intent;
mod judge;
mod keys;
pub(crate) mod log;
mod man;
mod operator;
mod output;
mod policy;
mod progress;
mod prove;
mod queue;
mod scratch;
mod serve;
mod signing;
mod simulator;
mod status;
mod token;
mod top;
pub(crate) mod trust;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use output::Output;
pub use output::{Failure, Format, Rows, fail};
pub(crate) use output::{failure, stderr, stdout, unavailable, utc};

/// Where the configuration is looked for when nobody says.
const DEFAULT_CONFIG: &str = "assent.toml";

/// How a command ended: what the shell sees. When there is more than one outcome, the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done, or allowed.
    Done = 0,
    /// It could not run.
    Failed = 1,
    /// Denied.
    Denied = 2,
    /// A bundle is invalid, or a verification failed.
    Invalid = 3,
    /// It waits for others.
    Pending = 4,
    /// The appliance or its HSM is not available.
    Unavailable = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Authority for AI agents that fails closed.
#[derive(Debug, Parser)]
#[command(name = "assent", version, about, max_term_width = 100)]
struct Cli {
    /// The appliance's configuration.
    #[arg(long, global = true, env = "ASSENT_CONFIG", default_value = DEFAULT_CONFIG, value_name = "FILE")]
    config: PathBuf,
    /// How to print data.
    #[arg(
        short,
        long,
        global = true,
        env = "ASSENT_FORMAT",
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    output: Output,
    #[command(subcommand)]
    noun: Noun,
}

#[derive(Debug, Subcommand)]
enum Noun {
    /// Run the main job on a simulated HSM, and see it.
    Demo(demo::Options),
    /// Start a development appliance with throw-away keys.
    Dev(dev::Options),
    /// Write configuration, certificates and log, stage by stage.
    Init(init::Options),
    /// Run the appliance.
    Serve,
    /// Show the state of the running appliance.
    Status,
    /// Look at everything that this machine must have right, and name what to do about the rest.
    Doctor(doctor::Options),
    /// Watch the running appliance on a terminal.
    Top(top::Options),
    /// Who may connect: enroll an agent, list them, revoke one.
    Agent {
        #[command(subcommand)]
        verb: agent::Verb,
    },
    /// The configuration: check it, show what holds.
    Config {
        #[command(subcommand)]
        verb: config::Verb,
    },
    /// Ask for authorization, as an agent.
    Intent {
        #[command(subcommand)]
        verb: intent::Verb,
    },
    /// Tokens, offline: verify them, look into them.
    Token {
        #[command(subcommand)]
        verb: token::Verb,
    },
    /// The trust file that executors and auditors hold.
    Trust {
        #[command(subcommand)]
        verb: trust::Verb,
    },
    /// The audit log: verify, show or export a copy of it; erase and archive in the running appliance.
    Log {
        #[command(subcommand)]
        verb: log::Verb,
    },
    /// Back up and restore: make a copy of the running appliance, put one back where there is nothing.
    Backup {
        #[command(subcommand)]
        verb: backup::Verb,
    },
    /// Bundles: check one, test it, explain what it decides, see what another would change.
    Policy {
        #[command(subcommand)]
        verb: policy::Verb,
    },
    /// The HSM: list its slots, initialise one, check it, re-arm after an integrity fault.
    Hsm {
        #[command(subcommand)]
        verb: hsm::Verb,
    },
    /// Authority keys in the HSM: make one, list them, announce the next, rotate to it, retire the old one.
    Keys {
        #[command(subcommand)]
        verb: keys::Verb,
    },
    /// Failures, rehearsed on an appliance of their own: list them, hold them, show the report.
    Drill {
        #[command(subcommand)]
        verb: drill::Verb,
    },
    /// Operators at the console: invite one to enrol a passkey, list them, revoke passkeys.
    Operator {
        #[command(subcommand)]
        verb: operator::Verb,
    },
    /// What waits for operators: list holds, look into one, approve or reject it.
    Approval {
        #[command(subcommand)]
        verb: approval::Verb,
    },
    /// What waits while it cannot be decided: list it, look into it, withdraw it.
    Queue {
        #[command(subcommand)]
        verb: queue::Verb,
    },
    /// Break-glass, limited authority while the HSM cannot sign: charters, warrants, reviews.
    #[command(name = "breakglass")]
    BreakGlass {
        #[command(subcommand)]
        verb: break_glass::Verb,
    },
    /// Who is told when something needs people: list what was to be known, test the sinks, try again.
    Escalation {
        #[command(subcommand)]
        verb: escalation::Verb,
    },
    /// Cosigning for other logs: make the key of a witness, show it.
    Witness {
        #[command(subcommand)]
        verb: witness::Verb,
    },
    /// What it costs beside what people would use instead; the program `assent-bench` does it.
    Bench(bench::Options),
    /// Print shell completions.
    Completion(completion::Options),
    /// Print manual pages.
    Man(man::Options),
    /// The process that loads the PKCS#11 module; started by the appliance.
    #[command(hide = true)]
    Signer,
}

/// What every command is given.
#[derive(Clone, Debug)]
pub struct Globals {
    /// The appliance's configuration.
    pub config: PathBuf,
    /// How to print data.
    pub output: Format,
    /// The format of rows that only some commands print; then `output` is [`Format::Jsonl`].
    pub rows: Option<Rows>,
}

/// The command line's definition, with what stands behind each noun's help.
fn command() -> clap::Command {
    let all = Cli::command().after_help(examples::map()).after_long_help(examples::behind_all());
    examples::NOUNS.iter().fold(all, |command, told| {
        let place = examples::place(told.noun);
        command.mut_subcommand(told.noun, |noun| {
            noun.display_order(place).after_long_help(examples::behind(told))
        })
    })
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let parsed = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(usage) => {
            let wanted = !usage.use_stderr();
            let _ = usage.print();
            return if wanted { Exit::Done } else { Exit::Failed }.into();
        }
    };
    let (output, rows) = cli.output.split();
    let globals = Globals { config: cli.config, output, rows };
    let outcome = match (rows, &cli.noun) {
        (Some(_), Noun::Log { verb }) if verb.prints_rows() => run(cli.noun, &globals),
        (Some(_), _) => Err(anyhow::anyhow!(
            "only `assent log show` and `assent log export` print csv or ocsf; use -o json"
        )),
        (None, _) => run(cli.noun, &globals),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error).into(),
    }
}

fn run(noun: Noun, globals: &Globals) -> anyhow::Result<Exit> {
    match noun {
        Noun::Demo(options) => demo::run(&options, globals),
        Noun::Dev(options) => dev::run(&options, globals),
        Noun::Init(options) => init::run(&options, globals),
        Noun::Serve => serve::run(globals),
        Noun::Status => status::run(globals),
        Noun::Doctor(options) => doctor::run(&options, globals),
        Noun::Top(options) => top::run(&options, globals),
        Noun::Agent { verb } => agent::run(verb, globals),
        Noun::Config { verb } => config::run(verb, globals),
        Noun::Intent { verb } => intent::run(verb, globals),
        Noun::Token { verb } => token::run(verb, globals),
        Noun::Trust { verb } => trust::run(verb, globals),
        Noun::Log { verb } => log::run(verb, globals),
        Noun::Backup { verb } => backup::run(verb, globals),
        Noun::Policy { verb } => policy::run(verb, globals),
        Noun::Hsm { verb } => hsm::run(verb, globals),
        Noun::Keys { verb } => keys::run(verb, globals),
        Noun::Drill { verb } => drill::run(&verb, globals),
        Noun::Operator { verb } => operator::run(&verb, globals),
        Noun::Approval { verb } => approval::run(verb, globals),
        Noun::Queue { verb } => queue::run(&verb, globals),
        Noun::BreakGlass { verb } => break_glass::run(&verb, globals),
        Noun::Escalation { verb } => escalation::run(&verb, globals),
        Noun::Witness { verb } => witness::run(verb, globals),
        Noun::Bench(_) => bench::run(globals),
        Noun::Completion(options) => completion::run(&options),
        Noun::Man(options) => man::run(&options),
        Noun::Signer => {
            let ended_well = crate::hsm::signer::run() == ExitCode::SUCCESS;
            Ok(if ended_well { Exit::Done } else { Exit::Failed })
        }
    }
}
