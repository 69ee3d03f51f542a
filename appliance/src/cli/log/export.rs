//! `assent log show` and `assent log export`: entries for people, and for other tools.
//!
//! The one place that writes to standard output without [`crate::cli::stdout`]: a log is long, and whoever has read enough of it
//! ends the command. It gives no verdict that would be lost.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;

use super::filter::{Choice, Filter};
use super::rows::{Evidence, Writer};
use super::{Source, selection, unreadable};
use crate::cli::progress::Progress;
use crate::cli::{Exit, Globals};
use crate::log::reader::Reader;
use crate::shown::counted;

/// Which entries to print.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    filter: Filter,
    /// With what each agent asked, where it was not erased.
    #[arg(long)]
    intents: bool,
}

/// Which entries to write, and where.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    show: Show,
    /// The file to write; by default standard output.
    #[arg(short = 'O', long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A log that is read, and what is asked of it.
struct Reading<'o> {
    store: Reader,
    choice: Choice<'o>,
    progress: Progress,
}

impl Show {
    fn read(&self, globals: &Globals) -> anyhow::Result<(Reading<'_>, Evidence)> {
        let store = self.source.open(globals)?;
        let choice = self.filter.ready(&self.source.archive(globals)?)?;
        let origin = store.identity().map_err(|error| unreadable(&error))?.origin;
        let evidence = Evidence::read(origin, &store)?;
        let progress = Progress::new("reading", store.head().map_err(|error| unreadable(&error))?.size);
        Ok((Reading { store, choice, progress }, evidence))
    }

    fn write<W: Write>(&self, reading: Reading<'_>, mut writer: Writer<W>) -> anyhow::Result<W> {
        let Reading { store, mut choice, mut progress } = reading;
        let count = selection::each(&store, &mut choice, self.intents, &mut progress, |selected| {
            Ok(writer.row(selected)?)
        })?;
        let out = writer.end(count)?;
        if choice.doubtful > 0 {
            talk!(
                "{} be meant too: more policies decided than are named, or the bundle is not archived",
                counted(choice.doubtful, "entry may", "entries may")
            );
        }
        Ok(out)
    }
}

/// Runs `assent log show`.
pub(super) fn show(options: &Show, globals: &Globals) -> anyhow::Result<Exit> {
    let (reading, evidence) = options.read(globals)?;
    let out = BufWriter::new(io::stdout().lock());
    as_far_as_read(
        Writer::for_show(out, globals, evidence)
            .map_err(Into::into)
            .and_then(|writer| options.write(reading, writer)),
    )
}

/// Whoever closes the pipe has read enough.
fn as_far_as_read<W>(written: anyhow::Result<W>) -> anyhow::Result<Exit> {
    match written {
        Ok(_) => Ok(Exit::Done),
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(is_closed) => Ok(Exit::Done),
        Err(error) => Err(error),
    }
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Runs `assent log export`.
pub(super) fn export(options: &Export, globals: &Globals) -> anyhow::Result<Exit> {
    let (reading, evidence) = options.show.read(globals)?;
    let Some(path) = &options.out else {
        let out = BufWriter::new(io::stdout().lock());
        return as_far_as_read(
            Writer::for_export(out, globals, evidence)
                .map_err(Into::into)
                .and_then(|writer| options.show.write(reading, writer)),
        );
    };
    let told = || format!("cannot write {}", path.display());
    let out = BufWriter::new(File::create(path).with_context(told)?);
    let out = options.show.write(reading, Writer::for_export(out, globals, evidence)?)?;
    out.into_inner()
        .map_err(io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .with_context(told)?;
    Ok(Exit::Done)
}
