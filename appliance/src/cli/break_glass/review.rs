//! `assent breakglass review list|show|close`.
//!
//! Whoever closes a review sees the use in full first, as `show` shows it: before it is signed here, or beside the statement that is
//! to be signed elsewhere.

use assent_proto::number::Timestamp;
use clap::{Subcommand, ValueEnum};
use std::path::PathBuf;

use super::{Signed, ask, listed, signed_order, unexpected, used};
use crate::break_glass::{BreakGlassAnswer, BreakGlassOrder, ReviewView};
use crate::cli::hsm::print_table;
use crate::cli::output::json_lines;
use crate::cli::{Exit, Format, Globals, stdout, utc};
use crate::config::Config;
use crate::shown::{counted, visible};

/// What to do with reviews.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Verb {
    /// List the uses of warrants: those that are to be reviewed, then the others.
    List,
    /// Show a use in full: the intent, the warrant with its reason and who signed it, the charter, and its review.
    Show {
        /// The use's leaf.
        leaf: u64,
    },
    /// Review a use, signed by an operator of the charter who did not sign the warrant.
    Close {
        /// The use's leaf.
        leaf: u64,
        /// What was found.
        #[arg(long, value_enum)]
        finding: Found,
        /// Why, for whoever reads the log.
        #[arg(long)]
        text: String,
        /// The reviewer's signature over the statement. Without one the statement is printed that is to be signed.
        #[arg(long, value_name = "FILE", conflicts_with = "key")]
        signature: Option<PathBuf>,
        /// The reviewer's key to sign with here, or its public half where an agent holds it.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
}

/// What a reviewer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Found {
    /// The use was right.
    Justified,
    /// It was not.
    Unjustified,
}

pub(super) fn run(verb: &Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::List => list(globals),
        Verb::Show { leaf } => show(*leaf, globals),
        Verb::Close { leaf, finding, text, signature, key } => {
            let (signatures, keys) = (signature.iter().cloned().collect(), key.iter().cloned().collect());
            let justified = *finding == Found::Justified;
            signed_order(globals, "review.close", &Signed { signatures, keys }, |signatures| {
                BreakGlassOrder::ReviewClose { leaf: *leaf, justified, text: text.clone(), signatures }
            })
        }
    }
}

fn show(leaf: u64, globals: &Globals) -> anyhow::Result<Exit> {
    let data = Config::load(&globals.config)?.appliance.data;
    let BreakGlassAnswer::Use(view) = ask(&data, BreakGlassOrder::ReviewShow { leaf })? else {
        return unexpected();
    };
    match globals.output {
        Format::Table => used::describe(&mut stdout(), &view)?,
        Format::Json | Format::Jsonl => {
            json_lines("assent.v1.breakglass.review.show", std::slice::from_ref(&view))?;
        }
    }
    if view.used.review.is_none() {
        talk!("next: `assent breakglass review close {leaf} --finding .. --text .. --key KEY`");
    }
    Ok(Exit::Done)
}

fn list(globals: &Globals) -> anyhow::Result<Exit> {
    let data = Config::load(&globals.config)?.appliance.data;
    let BreakGlassAnswer::Reviews { uses, left_out } = ask(&data, BreakGlassOrder::ReviewList)? else {
        return unexpected();
    };
    if !listed("review.list", ("use", "uses"), &uses, globals)? {
        let rows: Vec<_> = uses.iter().map(row).collect();
        print_table(["LEAF", "WARRANT", "USE", "TIME", "REVIEW", "PRINCIPAL", "ACT"], &rows)?;
    }
    if left_out > 0 {
        talk!("{} not shown", counted(left_out, "more use is", "more uses are"));
    }
    if uses.iter().any(|view| view.review.is_none()) {
        talk!(
            "next: `assent breakglass review show LEAF`, then `assent breakglass review close LEAF --finding .. --text .. --key KEY` for each"
        );
    }
    Ok(Exit::Done)
}

fn row(view: &ReviewView) -> [String; 7] {
    let due = || format!("due {}", utc(Timestamp(view.due_ms)));
    [
        view.leaf.to_string(),
        view.warrant.to_string(),
        view.number.to_string(),
        utc(Timestamp(view.time_ms)),
        view.review.map_or_else(due, |at| format!("leaf {at}")),
        visible(&view.principal),
        visible(&format!("{} on {}", view.action, view.resource)),
    ]
}
