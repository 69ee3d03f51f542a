//! `assent log show` and `assent log export`: entries for people, and for other tools.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::Context as _;

use super::filter::{Choice, Filter};
use super::rows::{Evidence, Writer};
use super::{Source, selection, unreadable};
use crate::cli::progress::Progress;
use crate::cli::{Exit, Globals};
use crate::log::reader::Reader;

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
            eprintln!(
                "{} entries may be meant too: they have more policies than they name, or their bundle is not archived",
                choice.doubtful
            );
        }
        Ok(out)
    }
}

/// Runs `assent log show`.
pub(super) fn show(options: &Show, globals: &Globals) -> anyhow::Result<Exit> {
    let (reading, evidence) = options.read(globals)?;
    let out = BufWriter::new(std::io::stdout().lock());
    options.write(reading, Writer::for_show(out, globals, evidence)?)?;
    Ok(Exit::Done)
}

/// Runs `assent log export`.
pub(super) fn export(options: &Export, globals: &Globals) -> anyhow::Result<Exit> {
    let (reading, evidence) = options.show.read(globals)?;
    let Some(path) = &options.out else {
        let out = BufWriter::new(std::io::stdout().lock());
        options.show.write(reading, Writer::for_export(out, globals, evidence)?)?;
        return Ok(Exit::Done);
    };
    let told = || format!("cannot write {}", path.display());
    let out = BufWriter::new(File::create(path).with_context(told)?);
    let out = options.show.write(reading, Writer::for_export(out, globals, evidence)?)?;
    out.into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .with_context(told)?;
    Ok(Exit::Done)
}
