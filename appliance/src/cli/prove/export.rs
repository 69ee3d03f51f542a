//! `assent token export`: a token as a C2SP tlog-proof, which tools that know nothing of tokens verify.

use crate::log::proof::InclusionProof;
use assent_client::trust::TrustedKey;
use assent_proto::checkpoint::Checkpoint;
use assent_proto::entry::{Kind, LEAF_LABEL, allow_leaf_hash};
use assent_proto::note::NoteSignature;
use assent_proto::token::UnverifiedToken;

use super::super::log::Source;
use super::super::{Exit, Globals};
use super::source::{invalid, refused};
use super::{To, inclusion_json, token_bytes};

/// Which token.
#[derive(Debug, clap::Args)]
pub(in super::super) struct Options {
    /// The token, as text or in a file.
    #[arg(value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, clap::Args)]
struct Trust {
    /// The trust file that names the token's log; by default the configured appliance's own key ring.
    #[arg(long, value_name = "FILE")]
    trust: Option<std::path::PathBuf>,
}

/// Runs the command. Its window and its uses are not asked about: the proof says that it was given, not that it is still good.
pub(in super::super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<Exit> {
    let bytes = token_bytes(&options.token)?;
    let token = UnverifiedToken::parse(&bytes).map_err(|error| invalid(&error))?;
    let trust = Source::trusting(options.trust.trust.clone()).trust(globals)?;
    let Some((origin, checkpoint)) = trust.keys().iter().find_map(|key| signed(&token, key)) else {
        return Err(refused("no key of the trust file signed this token".to_owned()));
    };
    let line = NoteSignature { name: origin, id: token.key_id, signature: token.signature };
    let text = checkpoint.text().map_err(|error| invalid(&error))?;
    let leaf = [LEAF_LABEL.as_slice(), &[Kind::Allow.number()], token.body].concat();
    let proof = InclusionProof {
        extra: Some(leaf),
        index: token.index,
        path: token.path().collect(),
        note: format!("{text}\n{line}"),
    };
    options.to.print(
        &proof.to_string(),
        &inclusion_json(&proof, allow_leaf_hash(token.body), &checkpoint),
        globals,
    )?;
    Ok(Exit::Done)
}

/// The checkpoint that the token leads to, if this key signed it.
fn signed<'k>(token: &UnverifiedToken<'_>, trusted: &TrustedKey<'k>) -> Option<(&'k str, Checkpoint<'k>)> {
    let origin = trusted.key.name();
    let checkpoint = Checkpoint { origin, size: token.size, root: token.root()? };
    let text = checkpoint.text().ok()?;
    let verified =
        trusted.key.id() == token.key_id && trusted.key.verify(text.as_bytes(), &token.signature).is_ok();
    verified.then_some((origin, checkpoint))
}
