//! The works: what each of them asks of bed, parts and peers, and which figures it notes.

use std::time::Duration;

use anyhow::Context as _;

use super::{AGENTS, Bench, FLEET, SIZES};
use crate::bed::{Bed, Hsm, Stretch};
use crate::evaluators;
use crate::figures::Run;
use crate::measure::as_f64;
use crate::parts::{commit, sign};
use crate::peers::cerbos::Cerbos;
use crate::peers::plain::PlainPeer;
use crate::peers::tokens::Scene;

/// Agents of a batch that fills rounds.
const BATCHERS: usize = 16;
const BATCH: usize = 1024;
/// Of an HSM with the pace of a real device, as many as fill its rounds; and how long they ask at least.
const PATIENT: usize = 32;
const PACE: &str = "yubihsm2";
const PACED_LEAST: Duration = Duration::from_secs(4);
/// Of the grid, how many answers each agent is to have, and how long a cell may go on for them.
const GRID_ANSWERS: usize = 4;
const GRID_MOST: Duration = Duration::from_secs(20);
/// Pieces of work that are timed one by one.
const SIGNATURES: usize = 4000;
const LONE: usize = 2000;

impl Bench<'_> {
    pub(super) fn parts(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let signing = sign::measure(&self.bed()?.module()?, SIGNATURES)?;
        run.note("raw_sign_a_second", signing.a_second);
        run.note("raw_sign_p50_us", signing.p50_us);
        // As the log is now: in the first run of all it is small, so the bare parts get fewer bytes than is asked of them later.
        let (sizes, stored) = self.connect(1)?.lone_sizes()?;
        let commit = commit::measure(stored)?;
        run.note("commit_a_second", commit.a_second());
        run.note("commit_p50_us", commit.p50_us());
        run.note("commit_bytes", as_f64(stored));
        let echo = self.echo()?.lone(sizes, LONE)?;
        run.note("echo_asked_bytes", as_f64(sizes.asked));
        run.note("echo_answered_bytes", as_f64(sizes.answered));
        run.note("echo_p50_us", echo.p50_us());
        run.note("echo_p99_us", echo.quantile_us(0.99));
        Ok(())
    }

    pub(super) fn lone(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let times = self.connect(1)?.lone(LONE)?;
        run.note("lone_a_second", times.a_second());
        run.note("lone_p50_us", times.p50_us());
        run.note("lone_p99_us", times.quantile_us(0.99));
        run.note("lone_p999_us", times.quantile_us(0.999));
        Ok(())
    }

    pub(super) fn batches(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let span = self.options.span;
        let agents = self.connect(BATCHERS)?;
        let sizes = agents.sizes_of(BATCH)?;
        let (rate, times) = agents.ask(BATCHERS, BATCH, Stretch::of(span))?;
        drop(agents);
        run.note("echo_1024_a_second", self.echo()?.rate(BATCHERS, sizes, span)?);
        run.note("batch_1024_a_second", rate);
        run.note("batch_1024_p50_us", times.p50_us());
        run.note("batch_1024_p99_us", times.quantile_us(0.99));
        Ok(())
    }

    pub(super) fn agents(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let span = self.options.span;
        let agents = self.connect(FLEET)?;
        let sizes = agents.sizes_of(1)?;
        let (rate, times) = agents.ask(FLEET, 1, Stretch::of(span))?;
        drop(agents);
        run.note("echo_64_a_second", self.echo()?.rate(FLEET, sizes, span)?);
        run.note("agents_64_a_second", rate);
        run.note("agents_64_p50_us", times.p50_us());
        run.note("agents_64_p99_us", times.quantile_us(0.99));
        Ok(())
    }

    pub(super) fn flood(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let span = self.options.span;
        let agents = self.connect(FLEET)?.before_a_flood();
        let (_, calm) = agents.in_calm(span)?;
        let (others_a_second, flood, own_a_second) = agents.beside_a_flood(span)?;
        run.note("calm_p50_us", calm.p50_us());
        run.note("calm_p99_us", calm.quantile_us(0.99));
        run.note("flood_p50_us", flood.p50_us());
        run.note("flood_p99_us", flood.quantile_us(0.99));
        run.note("flood_own_a_second", own_a_second);
        run.note("flood_others_a_second", others_a_second);
        Ok(())
    }

    pub(super) fn grid(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let least = self.options.span / 2;
        let stretch = Stretch { least, answers: GRID_ANSWERS, most: least.max(GRID_MOST) };
        let agents = self.connect(FLEET)?;
        for count in AGENTS {
            for size in SIZES {
                let (rate, _) = agents.ask(count, size, stretch)?;
                run.note(format!("tokens_{count}x{size}_a_second"), rate);
            }
        }
        Ok(())
    }

    pub(super) fn paced(&mut self, run: &mut Run) -> anyhow::Result<()> {
        // It is gone when it was measured: an appliance whose heartbeat takes 114 ms would stand beside all others.
        let bed = Bed::start(Hsm::Simulator, PATIENT, Some(PACE))?;
        let signing = sign::measure(&bed.module()?, 10)?;
        run.note("paced_raw_sign_p50_us", signing.p50_us);
        let stretch = Stretch::of(self.options.span.max(PACED_LEAST));
        let (rate, _) = bed.connect(PATIENT)?.ask(PATIENT, BATCH, stretch)?;
        run.note("paced_114_ms_a_second", rate);
        run.note("paced_resident_peak_mb", bed.resident_peak_mb()?);
        bed.stop_and_verify()
    }

    /// The peer has the same HSM as the appliance, which rests meanwhile.
    pub(super) fn plain(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let peer = PlainPeer::start(&self.bed()?.module()?)?;
        run.note("plain_peer_a_second", peer.approvals_a_second(self.options.span)?);
        Ok(())
    }

    pub(super) fn cerbos(&mut self, run: &mut Run) -> anyhow::Result<()> {
        let binary = self.options.cerbos.as_ref().context("say with --cerbos where its binary is")?;
        let (rate, batch) = Cerbos::start(binary)?.decisions_a_second(self.options.span)?;
        run.note("cerbos_a_second", rate);
        run.note("cerbos_batch", as_f64(batch));
        Ok(())
    }

    pub(super) fn evaluator(&mut self, run: &mut Run) -> anyhow::Result<()> {
        evaluators::measure(run)
    }

    pub(super) fn tokens(&mut self, run: &mut Run) -> anyhow::Result<()> {
        if self.tokens.is_none() {
            self.tokens = Some(Scene::new()?);
        }
        self.tokens.as_ref().context("it was made")?.measure(run)
    }
}
