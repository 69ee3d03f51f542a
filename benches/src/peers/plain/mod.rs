//! A straightforward peer made of well-kept parts, in a process of its own, and how many approvals it gives.
//!
//! It is what people would build instead: the same policies, the same HSM, the same disk, one signature and one commit for
//! each approval.

mod load;
mod server;

use std::time::Duration;

use serde::Deserialize;

use crate::bed::Module;
use crate::children::{Running, helper};
use crate::sample::allowed_lines;
use crate::scratch;

pub(crate) use load::{client, counted_a_second};
pub(crate) use server::serve;

/// The word that makes this program the peer.
const VERB: &str = "plain-peer";
/// Clients that ask at once. On two cores more of them gave no more, and fewer gave less.
const CLIENTS: usize = 8;

/// The peer while it runs. It ends with this.
#[derive(Debug)]
pub(crate) struct PlainPeer {
    url: String,
    _process: Running,
    /// Where its approvals lie.
    _folder: tempfile::TempDir,
}

impl PlainPeer {
    /// Starts it over a log of its own that is empty.
    pub(crate) fn start(module: &Module) -> anyhow::Result<Self> {
        let Module { module, pin_file, environment: (name, value) } = module;
        let folder = scratch::folder()?;
        let mut command = helper(VERB)?;
        command.env(name, value).args([module, pin_file]).arg(folder.path());
        let (process, address) = Running::listening(&mut command)?;
        Ok(Self { url: format!("http://{address}/v1/authorize"), _process: process, _folder: folder })
    }

    /// Approvals a second: replies with a token, to intents that the sample's rules allow.
    pub(crate) fn approvals_a_second(&self, span: Duration) -> anyhow::Result<f64> {
        counted_a_second(&self.url, CLIENTS, &allowed_lines()?, span, tokens)
    }
}

/// How many tokens a reply carries.
fn tokens(reply: &str) -> anyhow::Result<usize> {
    #[derive(Deserialize)]
    struct Reply<'a> {
        token: Option<&'a str>,
    }
    let reply: Reply<'_> = serde_json::from_str(reply)?;
    Ok(usize::from(reply.token.is_some_and(|token| !token.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_replies_with_a_token_count() {
        assert_eq!(tokens(r#"{"decision":"allow","token":"ab.cd"}"#).unwrap(), 1);
        assert_eq!(tokens(r#"{"decision":"deny"}"#).unwrap(), 0);
        assert_eq!(tokens(r#"{"decision":"allow","token":""}"#).unwrap(), 0);
        assert!(tokens("deny").is_err());
    }
}
