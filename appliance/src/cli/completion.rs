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
    generate(options.shell, &mut command(), "assent", &mut script);
    stdout().write_all(&script)?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_noun() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            generate(shell, &mut command(), "assent", &mut script);
            let script = String::from_utf8(script).unwrap();
            for noun in super::super::examples::NOUNS {
                assert!(script.contains(noun.noun), "{shell}: {}", noun.noun);
            }
        }
    }
}
