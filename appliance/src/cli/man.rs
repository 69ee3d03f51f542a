//! `assent man`: manual pages, from the definitions that the command line is parsed by; a page for each command.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap_mangen::{Man, generate_to};

use super::{Exit, command, stdout};

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The folder for the pages of all commands; made when it is missing. Without it the page of `assent` is printed.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command.
pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    match &options.out {
        None => {
            let mut page = Vec::new();
            Man::new(plain()).render(&mut page)?;
            stdout().write_all(&page)?;
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            generate_to(plain(), folder)
                .with_context(|| format!("cannot write pages into {}", folder.display()))?;
            talk!("next: `man -l {}`", folder.join("assent.1").display());
        }
    }
    Ok(Exit::Done)
}

/// The command line without what the surroundings put into it: pages are of the program, not of who made them.
fn plain() -> clap::Command {
    command().disable_help_subcommand(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_and_each_noun_examples() {
        let folder = tempfile::tempdir().unwrap();
        generate_to(plain(), folder.path()).unwrap();
        let page = |name: &str| std::fs::read_to_string(folder.path().join(format!("{name}.1")));
        for noun in super::super::examples::NOUNS {
            let text = page(&format!("assent-{}", noun.noun)).unwrap();
            assert!(text.contains("Examples:") && text.contains("Exit codes:"), "{}: {text}", noun.noun);
        }
        let mut verbs = 0;
        for noun in plain().get_subcommands().filter(|noun| !noun.is_hide_set()) {
            for verb in noun.get_subcommands().filter(|verb| verb.get_name() != "help") {
                verbs += 1;
                let name = format!("assent-{}-{}", noun.get_name(), verb.get_name());
                assert!(page(&name).is_ok_and(|text| text.contains(".SH DESCRIPTION")), "{name}");
            }
        }
        assert!(verbs > 40, "{verbs} verbs have pages");
        assert!(page("assent-signer").is_err(), "what is hidden has none");
        assert!(page("assent").unwrap().contains("assent doctor"));
    }
}
