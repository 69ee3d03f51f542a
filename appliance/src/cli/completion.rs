//! `assent completion`: what a shell completes, from the definitions that the command line is parsed by.

use std::io::Write as _;

use clap_complete::{Shell, generate};

use super::{Exit, command, stdout};

/// For which shell.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Which.
    shell: Shell,
}

/// Runs the command.
pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    // The library panics where it cannot write; into memory it can.
    let mut script = Vec::new();
    generate(options.shell, &mut shown(), "assent", &mut script);
    stdout().write_all(&script)?;
    Ok(Exit::Done)
}

/// The command line without what nobody types: the library would complete hidden commands too.
fn shown() -> clap::Command {
    let whole = command();
    let nouns = whole.get_subcommands().filter(|noun| !noun.is_hide_set()).cloned();
    clap::Command::new("assent")
        .version(env!("CARGO_PKG_VERSION"))
        .args(whole.get_arguments().cloned())
        .subcommands(nouns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_noun() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            generate(shell, &mut shown(), "assent", &mut script);
            let script = String::from_utf8(script).unwrap();
            for noun in super::super::examples::NOUNS {
                assert!(script.contains(noun.noun), "{shell}: {}", noun.noun);
            }
            assert!(!script.contains("signer"), "{shell}: nobody types it");
            assert!(script.contains("config") && script.contains("version"), "{shell}: what all take");
        }
    }
}
