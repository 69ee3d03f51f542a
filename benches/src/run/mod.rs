//! The run: everything that is asked, as often as it is asked, one piece of work after the other.

mod works;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use appliance::clock::{Clock, Stopwatch};
use assent_proto::calendar::Utc;

use crate::bed::{Agents, Bed, Hsm};
use crate::children::become_tied;
use crate::figures::{Report, Run, TARGETS};
use crate::options::{Helper, Options, Output, Work};
use crate::page::page;
use crate::parts::{echo, sign};
use crate::peers::cerbos::Cerbos;
use crate::peers::plain;
use crate::peers::tokens::Scene;
use crate::scratch::{Scratch, sweep};
use crate::setting::Setting;
use crate::table;

/// Agents of the fleet.
const FLEET: usize = 64;
/// All sizes, by all numbers of agents.
pub(crate) const SIZES: [usize; 6] = [1, 16, 64, 256, 1024, 4096];
pub(crate) const AGENTS: [usize; 3] = [1, 8, 64];

/// Runs it, and tells whether every target that was measured is kept.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let began = Utc(Clock::system().now()).to_string();
    let mut bench = Bench::new(options);
    let scratch = Scratch::begin()?;
    bench.look_ahead()?;
    let setting = bench.setting();
    setting.warnings.iter().for_each(|warning| bench.warn(warning));
    let mut runs = Vec::new();
    let mut outcome = Ok(());
    while outcome.is_ok() && runs.len() < usize::from(options.runs) {
        bench.number = runs.len() + 1;
        outcome = bench.run().map(|run| runs.push(run));
    }
    // Figures of work that was not true are none: where the log does not verify, nothing is told.
    let verified = bench.end();
    if let Err(unverified) = verified {
        return Err(outcome.err().unwrap_or(unverified));
    }
    let report = Report { setting, is_judged: bench.hsm == Hsm::SoftHsm, began, runs };
    // Whole runs are told, whatever became of the last.
    if !report.runs.is_empty() {
        let mut out = std::io::stdout().lock();
        match options.output {
            Output::Table => table::print(&report, &mut out)?,
            Output::Json => writeln!(out, "{}", table::json(&report))?,
        }
        let file = unfinished(&options.page);
        write_page(&file, &page(&report))?;
        std::fs::rename(&file, &options.page).with_context(|| cannot_write(&options.page))?;
        bench.warn(&format!("the page with the plots: {}", options.page.display()));
    }
    let swept = scratch.end();
    outcome?;
    swept?;
    Ok(!TARGETS.iter().any(|target| report.misses(target)))
}

/// What a process does that this program started of itself.
pub(crate) fn help(helper: &Helper) -> anyhow::Result<()> {
    match helper {
        Helper::Echo => echo::serve(),
        Helper::RawSign { module, pin_file, signatures } => {
            let times = sign::run(module, pin_file, *signatures)?;
            writeln!(std::io::stdout().lock(), "{} {}", times.a_second(), times.p50_us())?;
            Ok(())
        }
        Helper::ModuleVersion { module } => {
            writeln!(std::io::stdout().lock(), "{}", sign::version_of(module)?)?;
            Ok(())
        }
        Helper::PlainPeer { module, pin_file, folder } => plain::serve(module, pin_file, folder),
        Helper::Sweep { folder } => sweep(folder),
        Helper::Tied { program, words } => become_tied(program, words).map(|never| match never {}),
    }
}

/// Where the page lies until it is whole: the last one stays until there is another.
fn unfinished(page: &Path) -> PathBuf {
    page.with_extension("unfinished")
}

fn write_page(file: &Path, page: &str) -> anyhow::Result<()> {
    let write = || {
        std::fs::create_dir_all(file.parent().unwrap_or(Path::new("")))?;
        std::fs::write(file, page)
    };
    write().with_context(|| cannot_write(file))
}

fn cannot_write(file: &Path) -> String {
    format!("the page cannot be written to {}; say with --page where it can", file.display())
}

/// A piece of work: what is asked for, what it is called while it runs, and what it does.
type Piece<'o> = (Work, &'static str, fn(&mut Bench<'o>, &mut Run) -> anyhow::Result<()>);

/// What runs over all runs.
struct Bench<'o> {
    options: &'o Options,
    hsm: Hsm,
    bed: Option<Bed>,
    echo: Option<echo::Echo>,
    tokens: Option<Scene>,
    number: usize,
    began: Stopwatch,
}

impl<'o> Bench<'o> {
    fn new(options: &'o Options) -> Self {
        let hsm = options.hsm.unwrap_or_else(Hsm::at_hand);
        Self { options, hsm, bed: None, echo: None, tokens: None, number: 1, began: Stopwatch::start() }
    }

    /// Finds out before what would else be found out behind minutes of measuring.
    fn look_ahead(&self) -> anyhow::Result<()> {
        let file = unfinished(&self.options.page);
        write_page(&file, "")?;
        std::fs::remove_file(&file).with_context(|| cannot_write(&file))?;
        self.hsm.is_there()?;
        if self.options.wants(Work::Cerbos) {
            let binary = self.options.cerbos.as_ref().context("say with --cerbos where its binary is")?;
            std::fs::metadata(binary)
                .with_context(|| format!("--cerbos: there is no {}", binary.display()))?;
            Cerbos::start(binary)
                .with_context(|| format!("--cerbos: {} does not serve", binary.display()))?;
        }
        Ok(())
    }

    /// What is measured, and on what.
    fn setting(&self) -> Setting {
        let cerbos = self.options.cerbos.as_deref().filter(|_| self.options.wants(Work::Cerbos));
        Setting::look(self.hsm, &std::env::temp_dir(), cerbos)
    }

    /// One run: everything once, so that what a ratio is made of lies close together.
    fn run(&mut self) -> anyhow::Result<Run> {
        let mut run = Run::default();
        let pieces: [Piece<'o>; 11] = [
            (Work::Parts, "bare signatures, commits and exchanges", Self::parts),
            (Work::Lone, "lone intents", Self::lone),
            (Work::Batches, "batches of 1,024", Self::batches),
            (Work::Plain, "a straightforward peer", Self::plain),
            (Work::Cerbos, "Cerbos", Self::cerbos),
            (Work::Agents, "64 agents", Self::agents),
            (Work::Flood, "64 agents, one of which floods", Self::flood),
            (Work::Grid, "batches of all sizes", Self::grid),
            (Work::Paced, "at 114 ms a signature", Self::paced),
            (Work::Evaluator, "the evaluator beside Cedar", Self::evaluator),
            (Work::Tokens, "tokens beside those of others", Self::tokens),
        ];
        if let Some(bed) = &self.bed {
            bed.forget_peak()?;
        }
        let wanted = pieces.into_iter().filter(|(work, ..)| self.options.wants(*work)).collect::<Vec<_>>();
        for (number, (_, what, measure)) in (1..).zip(&wanted) {
            self.tell(&format!("{number} of {}, {what}", wanted.len()));
            measure(self, &mut run).with_context(|| format!("{what}: this cannot be measured"))?;
        }
        self.resident(&mut run)?;
        self.tell("");
        Ok(run)
    }

    /// What is being measured: one line on a terminal, and a line each elsewhere.
    fn tell(&self, what: &str) {
        let mut talk = std::io::stderr().lock();
        let line = format!(
            "run {} of {}, {:.0} s: {what}",
            self.number,
            self.options.runs,
            self.began.elapsed().as_secs_f64()
        );
        let _ = match (talk.is_terminal(), what.is_empty()) {
            (true, true) => write!(talk, "\r\u{1b}[K"),
            (true, false) => write!(talk, "\r\u{1b}[K{line}"),
            (false, true) => Ok(()),
            (false, false) => writeln!(talk, "{line}"),
        };
    }

    /// Says something that is no figure.
    fn warn(&self, line: &str) {
        self.tell("");
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    fn bed(&mut self) -> anyhow::Result<&Bed> {
        if self.bed.is_none() {
            self.bed = Some(Bed::start(self.hsm, FLEET, None)?);
        }
        self.bed.as_ref().context("it was started")
    }

    fn echo(&mut self) -> anyhow::Result<&echo::Echo> {
        if self.echo.is_none() {
            self.echo = Some(echo::Echo::start()?);
        }
        self.echo.as_ref().context("it was started")
    }

    fn connect(&mut self, agents: usize) -> anyhow::Result<Agents> {
        self.bed()?.connect(agents)
    }

    /// The most memory that was held in this run, where there were all the loads that fill it.
    fn resident(&self, run: &mut Run) -> anyhow::Result<()> {
        let loads = [Work::Batches, Work::Grid, Work::Flood, Work::Paced];
        if let Some(bed) = &self.bed
            && loads.into_iter().all(|load| self.options.wants(load))
        {
            let paced = run.get("paced_resident_peak_mb").unwrap_or_default();
            run.note("resident_peak_mb", bed.resident_peak_mb()?.max(paced));
        }
        Ok(())
    }

    /// What was measured was true work: the logs verify.
    fn end(&mut self) -> anyhow::Result<()> {
        self.tell("the log of what was measured is verified");
        if let Some(bed) = self.bed.take() {
            bed.stop_and_verify()?;
        }
        self.tell("");
        Ok(())
    }
}
