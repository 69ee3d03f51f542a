//! The console beside the work: what pages that follow the appliance cost its agents, and how fast pages come meanwhile.
//!
//! `cargo bench --workspace --locked --bench console` prints a table, then one line of JSON, and fails when a bound is missed. SoftHSM2 signs.
//! Windows with and without followers alternate in one run, over the same appliance; the load generator and the followers share
//! its cores.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "../tests/authenticator/mod.rs"]
mod authenticator;
#[path = "console/site.rs"]
mod site;
#[path = "../tests/end_to_end/support/mod.rs"]
mod support;

use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::limits::MAX_CONSOLE_STREAMS;
use assent_client::batch::Batch;
use site::{Followers, Site};
use support::agent::{Agent, allowed_batch, batch_id};
use support::softhsm;

/// Pages that follow.
const FOLLOWERS: usize = 8;
/// Windows of each kind.
const WINDOWS: usize = 9;
/// How long one is, behind a moment to settle.
const WINDOW: Duration = Duration::from_secs(2);
/// That moment.
const SETTLE: Duration = Duration::from_millis(300);
/// Agents at full load, each with batches of so many intents, one behind the other.
const AGENTS: usize = 4;
/// Intents of a batch.
const BATCH: usize = 1024;
/// Entries a second of the paced load, in batches a hundred times a second.
const PACE: usize = 1200;
/// And how many there must have been.
const PACE_FLOOR: f64 = 1000.0;
/// How long that lasts.
const PACED: Duration = Duration::from_secs(10);
/// What followers may cost.
const COST_CEILING: f64 = 0.03;
/// How long a page may take, 99 of 100.
const PAGE_CEILING: Duration = Duration::from_millis(250);
/// Beats a second that each page must hear: where one hears less, fewer follow than is said.
const BEATS_FLOOR: f64 = 0.9;
/// What all pages that may follow may take in memory, none of which reads.
const MEMORY_CEILING_MB: f64 = 16.0;
/// Pages that are asked for.
const PAGES: [&str; 6] = ["/", "/holds", "/queue", "/policy", "/evidence", "/log"];

fn main() -> ExitCode {
    // `cargo bench` says `--bench`; whoever runs all targets of a crate as tests does not, and has no minutes for this one.
    if !std::env::args().any(|argument| argument == "--bench") || !softhsm::present() {
        return ExitCode::SUCCESS;
    }
    if measure() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Agents at full load, while it lives.
struct Load {
    stop: Arc<AtomicBool>,
    decided: Arc<AtomicU64>,
    agents: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(site: &Site) -> Self {
        let (stop, decided) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let intents = Arc::new(allowed_batch(BATCH));
        let start = |_| {
            let (agent, intents) = (Agent::connect(&site.appliance), Arc::clone(&intents));
            let (stop, decided) = (Arc::clone(&stop), Arc::clone(&decided));
            let ask = move || {
                while !stop.load(Ordering::Relaxed) {
                    agent.reply(&Batch::new(batch_id(), intents.iter()).expect("a batch"));
                    decided.fetch_add(BATCH as u64, Ordering::Relaxed);
                }
            };
            std::thread::Builder::new().spawn(ask).expect("a thread")
        };
        let agents = (0..AGENTS).map(start).collect();
        Self { stop, decided, agents }
    }

    /// Intents decided a second over a window.
    fn window(&self, meanwhile: impl FnOnce(Duration)) -> f64 {
        std::thread::sleep(SETTLE); // WAIT: for what was opened or closed just before
        let (before, watch) = (self.decided.load(Ordering::Relaxed), Stopwatch::start());
        meanwhile(WINDOW);
        (self.decided.load(Ordering::Relaxed) - before) as f64 / watch.elapsed().as_secs_f64()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.agents.drain(..).for_each(|agent| drop(agent.join()));
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn at(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// What was measured.
#[derive(Default)]
struct Figures {
    alone: f64,
    followed: f64,
    /// The median of what each pair of neighbouring windows says.
    paired: f64,
    full_pages: Vec<Duration>,
    paced_pages: Vec<Duration>,
    paced_rate: f64,
    /// Beats a second, of the page that heard fewest.
    beats: f64,
    /// Bytes a second that a page got.
    bytes: f64,
    longest: Duration,
    /// Resident memory, in megabytes: before, and with followers of which none reads.
    memory: (f64, f64),
}

fn waits(window: Duration) {
    std::thread::sleep(window); // WAIT: the window that is measured
}

fn measure() -> bool {
    let mut site = Site::open();
    let mut figures = Figures::default();
    full(&site, &mut figures);
    paced(&site, &mut figures);
    site.appliance.stop_and_verify_log();
    figures.print()
}

/// Windows with and without followers, in turn; the order of a pair changes, so that what drifts falls on both.
fn full(site: &Site, figures: &mut Figures) {
    let load = Load::on(site);
    load.window(waits);
    let (mut alone, mut followed) = (Vec::new(), Vec::new());
    for pair in 0..WINDOWS {
        for is_followed in [pair % 2 == 0, pair % 2 == 1] {
            if is_followed {
                let followers = Followers::of(site);
                followed.push(load.window(waits));
                drop(followers);
            } else {
                alone.push(load.window(waits));
            }
        }
    }
    figures.paired = median(alone.iter().zip(&followed).map(|(alone, followed)| followed / alone).collect());
    (figures.alone, figures.followed) = (median(alone), median(followed));
    let _followers = Followers::of(site);
    load.window(|window| figures.full_pages = pages(site, window * 2));
}

/// Pages, one behind the other, for so long.
fn pages(site: &Site, window: Duration) -> Vec<Duration> {
    let (watch, mut times) = (Stopwatch::start(), Vec::new());
    while watch.elapsed() < window {
        times.extend(PAGES.map(|path| site.page(path)));
    }
    times
}

/// A thousand entries a second, of lone intents and small batches, with followers and people who look.
fn paced(site: &Site, figures: &mut Figures) {
    let agent = Agent::connect(&site.appliance);
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let size = || site.appliance.status().expect("it answers").counters.log_size;
    let asking = std::thread::Builder::new().spawn(move || {
        let intents = allowed_batch(PACE / 100);
        let (watch, mut asked) = (Stopwatch::start(), 0_u32);
        while !told.load(Ordering::Relaxed) {
            agent.reply(&Batch::new(batch_id(), &intents).expect("a batch"));
            asked += 1;
            let due = Duration::from_millis(10) * asked;
            std::thread::sleep(due.saturating_sub(watch.elapsed())); // WAIT: the pace is what is asked
        }
    });
    let followers = Followers::of(site);
    let (before, watch) = (size(), Stopwatch::start());
    figures.paced_pages = pages(site, PACED);
    let seconds = watch.elapsed().as_secs_f64();
    figures.paced_rate = (size() - before) as f64 / seconds;
    figures.beats = followers.fewest_beats() as f64 / seconds;
    figures.bytes = followers.bytes.load(Ordering::Relaxed) as f64 / seconds / FOLLOWERS as f64;
    figures.longest = Duration::from_micros(followers.longest_us.load(Ordering::Relaxed));
    unread(site, figures);
    drop(followers);
    stop.store(true, Ordering::Relaxed);
    asking.expect("a thread").join().expect("it ends");
}

/// As many more as may follow, none of whom reads on.
fn unread(site: &Site, figures: &mut Figures) {
    let before = site.resident_mb();
    let follow = |number| {
        let stream = site.follows(number, "overview");
        let mut head = [0; 12];
        stream.peek(&mut head).expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200", "there is a place");
        stream
    };
    let followers: Vec<TcpStream> = (FOLLOWERS..MAX_CONSOLE_STREAMS).map(follow).collect();
    waits(PACED);
    figures.memory = (before, site.resident_mb());
    drop(followers);
}

impl Figures {
    fn print(mut self) -> bool {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let cost = 1.0 - self.followed / self.alone;
        let [full_50, full_99] = [50, 99].map(|percent| at(&mut self.full_pages, percent));
        let [paced_50, paced_99] = [50, 99].map(|percent| at(&mut self.paced_pages, percent));
        let grown = self.memory.1 - self.memory.0;
        println!(
            "\nSoftHSM2, {AGENTS} agents with batches of {BATCH}, {WINDOWS} windows of {WINDOW:?} of each kind, in turn; medians"
        );
        let line = |what: &str, said: String| println!("  {what:<56} {said}");
        line("intents a second, nobody looks", format!("{:.0}", self.alone));
        line(&format!("the same, {FOLLOWERS} pages follow"), format!("{:.0}", self.followed));
        line(
            "cost",
            format!(
                "{:.2} % (ceiling {:.0} %); median of pairs {:.2} %",
                cost * 100.0,
                COST_CEILING * 100.0,
                (1.0 - self.paired) * 100.0
            ),
        );
        line(
            "a page under full load, p50, p99",
            format!("{:.1} ms, {:.1} ms, of {}", ms(full_50), ms(full_99), self.full_pages.len()),
        );
        line(
            &format!("a page at {:.0} entries a second, p50, p99", self.paced_rate),
            format!(
                "{:.1} ms, {:.1} ms, of {} (ceiling {:.0} ms)",
                ms(paced_50),
                ms(paced_99),
                self.paced_pages.len(),
                ms(PAGE_CEILING)
            ),
        );
        line(
            "beats a second of the page that heard fewest",
            format!("{:.2} (floor {BEATS_FLOOR}); a page gets {:.0} bytes a second", self.beats, self.bytes),
        );
        line("the longest time between two beats", format!("{:.0} ms", ms(self.longest)));
        line(
            &format!("{MAX_CONSOLE_STREAMS} pages follow, most read nothing, resident memory"),
            format!("{:.1} MB before, {grown:+.1} MB (ceiling {MEMORY_CEILING_MB:.0} MB)", self.memory.0),
        );
        println!(
            "{{\"schema\":\"assent.v1.bench.console\",\"alone_per_second\":{:.0},\"followed_per_second\":{:.0},\"cost\":{cost:.4},\"cost_paired\":{:.4},\"full_page_p50_ms\":{:.2},\"full_page_p99_ms\":{:.2},\"paced_per_second\":{:.0},\"paced_page_p50_ms\":{:.2},\"paced_page_p99_ms\":{:.2},\"beats_per_second\":{:.2},\"bytes_per_second\":{:.0},\"longest_beat_ms\":{:.0},\"unread_mb\":{grown:.1}}}",
            self.alone,
            self.followed,
            1.0 - self.paired,
            ms(full_50),
            ms(full_99),
            self.paced_rate,
            ms(paced_50),
            ms(paced_99),
            self.beats,
            self.bytes,
            ms(self.longest)
        );
        cost <= COST_CEILING
            && paced_99 <= PAGE_CEILING
            && self.paced_rate >= PACE_FLOOR
            && self.beats >= BEATS_FLOOR
            && grown <= MEMORY_CEILING_MB
    }
}
