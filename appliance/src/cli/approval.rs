//! `assent approval list|show|approve|reject`: what waits for operators.
//!
//! The running appliance answers. Whoever answers a hold sees all of it first, with whatever does not print made visible, and
//! signs a statement that is of use for this hold and this answer only: here with `--key`, which `ssh-keygen` signs with, or
//! anywhere else, and then brings the signature.

use std::io::Write as _;
use std::path::PathBuf;

use assent_proto::entry::Approval;
use assent_proto::number::Timestamp;
use clap::Subcommand;
use serde_json::json;

use super::hsm::print_table;
use super::output::json_lines;
use super::queue::{describe, describe_intent};
use super::{Exit, Failure, Format, Globals, output, signing, stdout, utc};
use crate::config::Config;
use crate::control;
use crate::operators::SignatureFile;
use crate::queue::approving::{ApprovalAnswer, ApprovalOrder, DemandView, HoldView};
use crate::queue::desk::IntentView;
use crate::shown::{self, counted, visible};

/// What to do with holds.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List what awaits approval.
    List,
    /// Show a hold in full: the intent, its risk, the policies that hold it, and who may answer.
    Show {
        /// Its ticket.
        ticket: String,
    },
    /// Approve a hold: with enough approvals it is evaluated anew. Without --key or --signature, print what is to be signed.
    Approve(By),
    /// Reject a hold: its agent hears APPROVAL_REJECTED.
    Reject(By),
}

/// Which hold, and whose answer.
#[derive(Debug, clap::Args)]
pub(super) struct By {
    /// Its ticket.
    ticket: String,
    /// The operator's SSH key, or the public key of one that an agent holds: `ssh-keygen` signs with it.
    #[arg(long, value_name = "FILE", conflicts_with = "signature")]
    key: Option<PathBuf>,
    /// The operator's signature, made elsewhere with `ssh-keygen -Y sign -n assent-approval@v1`.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(verb: Verb, globals: &Globals) -> anyhow::Result<Exit> {
    let config = Config::load(&globals.config)?;
    let ask = |order| {
        control::ask_approval(&config.appliance.data, order).map_err(|error| super::unavailable(&error))
    };
    match verb {
        Verb::List => {
            let told = ask(ApprovalOrder::List)?;
            let ApprovalAnswer::Listed { holds, left_out } = told else { return unexpected(told) };
            list(&holds, left_out, globals.output)
        }
        Verb::Show { ticket } => {
            let told = ask(ApprovalOrder::Show { ticket })?;
            let ApprovalAnswer::Shown { hold, intents } = told else { return unexpected(told) };
            show(&hold, &intents, globals.output)
        }
        Verb::Approve(by) => answer(&by, true, &ask, globals.output),
        Verb::Reject(by) => answer(&by, false, &ask, globals.output),
    }
}

fn unexpected(answer: ApprovalAnswer) -> anyhow::Result<Exit> {
    let (message, exit) = match answer {
        ApprovalAnswer::Refused(why) => (why, Exit::Failed),
        ApprovalAnswer::Invalid(why) => (why, Exit::Invalid),
        ApprovalAnswer::Listed { .. }
        | ApprovalAnswer::Shown { .. }
        | ApprovalAnswer::ToSign { .. }
        | ApprovalAnswer::Recorded { .. } => {
            ("the appliance answers something else; is it of another version?".to_owned(), Exit::Failed)
        }
    };
    Err(Failure { message, exit }.into())
}

fn answer(
    by: &By,
    approve: bool,
    ask: &impl Fn(ApprovalOrder) -> anyhow::Result<ApprovalAnswer>,
    format: Format,
) -> anyhow::Result<Exit> {
    let order = |signature| ApprovalOrder::Answer { ticket: by.ticket.clone(), approve, signature };
    let signature: Option<SignatureFile> = match (&by.key, &by.signature) {
        (_, Some(path)) => output::signatures(std::slice::from_ref(path))?.pop(),
        (Some(key), None) => {
            let told = ask(order(None))?;
            let ApprovalAnswer::ToSign { statement, hold, intents, .. } = told else {
                return unexpected(told);
            };
            describe_hold(&mut crate::cli::stderr(), &hold, &intents)?;
            Some(signing::sign(Approval::NAMESPACE, &statement, key)?)
        }
        (None, None) => None,
    };
    match ask(order(signature))? {
        ApprovalAnswer::ToSign { statement, namespace, hold, intents } => {
            to_sign(&statement, &namespace, (&hold, &intents), format)?;
            talk!(
                "to be signed by one of {}: save the statement as FILE, `ssh-keygen -Y sign -n {namespace} -f KEY FILE`, then again with --signature FILE.sig; or let --key KEY do all of it",
                who(&hold.demands)
            );
            Ok(Exit::Pending)
        }
        ApprovalAnswer::Recorded { by, leaf, complete } => recorded(&by, leaf, approve, complete, format),
        told @ (ApprovalAnswer::Listed { .. }
        | ApprovalAnswer::Shown { .. }
        | ApprovalAnswer::Refused(_)
        | ApprovalAnswer::Invalid(_)) => unexpected(told),
    }
}

/// What is to be signed, byte for byte; for people the hold is beside it.
fn to_sign(
    statement: &str,
    namespace: &str,
    (hold, intents): (&HoldView, &[IntentView]),
    format: Format,
) -> anyhow::Result<()> {
    match format {
        Format::Json | Format::Jsonl => {
            let document = json!({
                "schema": "assent.v1.approval.statement", "statement": statement, "namespace": namespace,
                "hold": hold, "intents": intents,
            });
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Table => {
            describe_hold(&mut crate::cli::stderr(), hold, intents)?;
            write!(stdout(), "{statement}")?;
        }
    }
    Ok(())
}

fn recorded(by: &str, leaf: u64, approve: bool, complete: bool, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json | Format::Jsonl => {
            let document = json!({
                "schema": "assent.v1.approval.answer", "by": by, "leaf": leaf, "approve": approve, "complete": complete,
            });
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Table => {
            let what = match (approve, complete) {
                (false, _) => "rejected: its agent hears APPROVAL_REJECTED",
                (true, true) => "approved: it is evaluated anew as soon as the boundaries are open",
                (true, false) => "approved by one more; others must approve it, too",
            };
            writeln!(stdout(), "{what}; signed by {}, leaf {leaf} of the log", visible(by))?;
        }
    }
    Ok(Exit::Done)
}

fn who(demands: &[DemandView]) -> String {
    let each = demands.iter().map(|demand| format!("{} ({})", demand.group, demand.operators.join(", ")));
    let all: Vec<String> = each.collect();
    if all.is_empty() {
        "nobody: no policy of the bundle demands it any more".to_owned()
    } else {
        all.join(" or ")
    }
}

fn list(holds: &[HoldView], left_out: u64, format: Format) -> anyhow::Result<Exit> {
    match format {
        Format::Json => {
            let document = json!({"schema": "assent.v1.approval.list", "holds": holds, "left_out": left_out});
            writeln!(stdout(), "{}", shown::json(&document))?;
        }
        Format::Jsonl => json_lines("assent.v1.approval.hold", holds)?,
        Format::Table => {
            let rows: Vec<_> = holds.iter().map(row).collect();
            print_table(["TICKET", "RISK", "SINCE", "UNTIL", "APPROVED", "WAITS FOR", "PRINCIPAL"], &rows)?;
        }
    }
    if left_out > 0 {
        talk!("{} not shown", counted(left_out, "more hold is", "more holds are"));
    }
    talk!(
        "{} approval. `assent approval show TICKET` shows the intent",
        counted(holds.len() as u64 + left_out, "hold awaits", "holds await")
    );
    Ok(Exit::Done)
}

fn row(hold: &HoldView) -> [String; 7] {
    let wanted = hold.demands.iter().map(|demand| format!("{} of {}", demand.count, demand.group));
    [
        hold.ticket.ticket.clone(),
        hold.risk.to_string(),
        utc(Timestamp(hold.ticket.since_ms)),
        utc(Timestamp(hold.ticket.until_ms)),
        hold.ticket.approved_by.len().to_string(),
        wanted.collect::<Vec<_>>().join(", "),
        visible(&hold.ticket.principal),
    ]
}

fn show(hold: &HoldView, intents: &[IntentView], format: Format) -> anyhow::Result<Exit> {
    let mut out = stdout();
    match format {
        Format::Json | Format::Jsonl => {
            let document = json!({"schema": "assent.v1.approval.show", "hold": hold, "intents": intents});
            writeln!(out, "{}", shown::json(&document))?;
        }
        Format::Table => describe_hold(&mut out, hold, intents)?,
    }
    Ok(Exit::Done)
}

fn describe_hold(
    out: &mut impl std::io::Write,
    hold: &HoldView,
    intents: &[IntentView],
) -> std::io::Result<()> {
    describe(out, &hold.ticket)?;
    writeln!(out, "risk       {}", hold.risk)?;
    writeln!(out, "held by    {}", visible(&hold.policies.join(", ")))?;
    for DemandView { count, group, operators } in &hold.demands {
        writeln!(out, "waits for  {count} of {group}: {}", visible(&operators.join(", ")))?;
    }
    intents.iter().try_for_each(|intent| describe_intent(out, &intent.digest, &intent.intent))
}
