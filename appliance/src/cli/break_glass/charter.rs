//! `assent breakglass charter create|list|revoke`.

use std::path::PathBuf;

use assent_proto::number::Timestamp;
use clap::Subcommand;

use super::{Signed, ask, listed, signed_order, unexpected, wish};
use crate::break_glass::{BreakGlassAnswer, BreakGlassOrder, CharterView};
use crate::cli::hsm::print_table;
use crate::cli::{Exit, Globals, utc};
use crate::config::Config;
use crate::shown::visible;

/// What to do with charters.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Verb {
    /// Make a charter of a file, ordered by the operators of `hsm.operators`.
    Create {
        /// The charter as TOML.
        file: PathBuf,
        #[command(flatten)]
        by: Signed,
    },
    /// List charters.
    List,
    /// Revoke a charter: no warrant can be had under it any more.
    Revoke {
        /// Its name.
        name: String,
        /// Why, for whoever reads the log.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        by: Signed,
    },
}

pub(super) fn run(verb: &Verb, globals: &Globals) -> anyhow::Result<Exit> {
    match verb {
        Verb::Create { file, by } => {
            let charter = wish::read(file)?;
            signed_order(globals, "charter.create", by, |signatures| BreakGlassOrder::CharterCreate {
                charter: Box::new(charter.clone()),
                signatures,
            })
        }
        Verb::Revoke { name, reason, by } => signed_order(globals, "charter.revoke", by, |signatures| {
            BreakGlassOrder::CharterRevoke { name: name.clone(), reason: reason.clone(), signatures }
        }),
        Verb::List => list(globals),
    }
}

fn list(globals: &Globals) -> anyhow::Result<Exit> {
    let data = Config::load(&globals.config)?.appliance.data;
    let BreakGlassAnswer::Charters(charters) = ask(&data, BreakGlassOrder::CharterList)? else {
        return unexpected();
    };
    if !listed("charter.list", ("charter", "charters"), &charters, globals)? {
        let rows: Vec<_> = charters.iter().map(row).collect();
        print_table(["NAME", "LEAF", "STATE", "USES", "SIGN", "UNTIL", "ACTIONS"], &rows)?;
    }
    if charters.is_empty() {
        talk!("next: `assent breakglass charter create FILE` makes one, while the token boundary is open");
    }
    Ok(Exit::Done)
}

fn row(view: &CharterView) -> [String; 7] {
    [
        visible(&view.name),
        view.leaf.to_string(),
        view.state.clone(),
        view.uses.to_string(),
        format!("{} of {}", view.threshold, view.operators.len()),
        utc(Timestamp(view.not_after_ms)),
        visible(&view.actions.join(" ")),
    ]
}
