//! `closing`: how fast the boundary closes, over and over: errors and dead signers by turns, for the share that a single
//! drill cannot show.

use anyhow::Context as _;
use assent_proto::entry::DrillStage;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::{Value, json};

use super::account::SCHEMA;
use super::catalogue::Load;
use super::checks::{CLOSES_WITHIN, by_clients, by_socket, closed_spans, micros, millis};
use super::load::Agents;
use super::stage::{Stage, Venue};
use crate::clock::Mark;
use crate::control;

/// Its name among the drills.
pub(super) const NAME: &str = "closing";
/// What happens, and what we hold will come of it.
pub(super) const HYPOTHESIS: &str =
    "errors and dead signers, again and again while one agent asks: 99 of 100 close the boundary within 1 ms";

/// Closes the boundary so often, half by errors and half by kills, while one agent asks.
pub(super) fn measure(venue: &Venue, keep: bool, times: usize) -> anyhow::Result<Value> {
    let mut stage = Stage::build(venue, keep)?;
    stage.start()?;
    stage.until("the boundary opens", |status| status.boundaries.token.open)?;
    let mut agents = Agents::connect(&stage.address, &stage.agent)?;
    agents.settle()?;
    control::mark_drill(stage.data(), NAME, DrillStage::Begun)?;
    agents.begin(Load::Lone);
    let mut times_of = Times::default();
    for number in 0..times {
        let epoch = stage.until("the boundary is open", |status| status.boundaries.token.open)?.epoch;
        let killed =
            if number.is_multiple_of(2) { inject(&stage).map(|()| None)? } else { Some(kill(&stage)?) };
        stage.until("the boundary closes and opens", |status| {
            status.epoch > epoch && status.boundaries.token.open
        })?;
        let story = stage.story()?.transitions;
        let closed = story.iter().find(|transition| !transition.open && transition.epoch == epoch + 1);
        let closed = closed.context("the closing is not in the story")?.mark_us;
        let after = |since: Mark| closed.0.saturating_sub(since.0);
        match killed {
            Some((said, dead)) => {
                times_of.kills.push(after(said));
                times_of.deaths.push(after(dead));
            }
            None => times_of.errors.push(after(
                stage
                    .faults()?
                    .newest_strike()
                    .context("firmware-sim does not tell when the fault struck")?,
            )),
        }
    }
    let story = stage.story()?;
    let seen = agents.end()?;
    // Transitions are remembered so far back; what came before them is judged by no one here.
    let since = story.transitions.first().map_or(Mark(0), |first| first.mark_us);
    let asks: Vec<_> = seen.asks.into_iter().filter(|ask| ask.sent >= since).collect();
    let mut judged = story.clone();
    judged.released.retain(|released| released.first_us >= since);
    let tokens = by_clients(&asks, &closed_spans(&judged, Mark::now())).max(by_socket(&judged));
    control::mark_drill(stage.data(), NAME, DrillStage::Ended)?;
    stage.stop()?;
    Ok(times_of.account(&venue.label(), tokens))
}

/// In microseconds: from each error, each kill, and each death, to the closed boundary.
#[derive(Default)]
struct Times {
    errors: Vec<u64>,
    kills: Vec<u64>,
    deaths: Vec<u64>,
}

impl Times {
    fn account(&mut self, hsm: &str, tokens: u64) -> Value {
        let [errors, kills, deaths] = [&mut self.errors, &mut self.kills, &mut self.deaths].map(|times| {
            let [p50, p99, longest] = [50, 99, 100].map(|percent| millis(percentile(times, percent)));
            json!({"count": times.len(), "p50_ms": p50, "p99_ms": p99, "max_ms": longest})
        });
        let p99 = percentile(&mut self.errors, 99).max(percentile(&mut self.deaths, 99));
        json!({
            "schema": SCHEMA, "name": NAME, "hypothesis": HYPOTHESIS, "hsm": hsm,
            "passed": p99 <= micros(CLOSES_WITHIN) && tokens == 0, "tokens_after_fault": tokens, "closed_after_ms": millis(p99),
            "rearmed_after_ms": null, "after_error": errors, "after_kill": kills, "after_death": deaths,
        })
    }
}

/// Has one signature fail; when it did is known afterwards.
fn inject(stage: &Stage) -> anyhow::Result<()> {
    stage.inject("rv 0x30 --call C_Sign --times 1")
}

/// Kills the signer; gives when that was said, and when it was dead.
fn kill(stage: &Stage) -> anyhow::Result<(Mark, Mark)> {
    let signer = stage.signer()?;
    let death = pidfd_open(signer, PidfdFlags::empty()).context("the signer cannot be watched")?;
    let said = Mark::now();
    kill_process(signer, Signal::KILL).context("the signer cannot be killed")?;
    poll(&mut [PollFd::new(&death, PollFlags::IN)], None)?;
    Ok((said, Mark::now()))
}

/// The value below or at which so many of a hundred are.
fn percentile(times: &mut [u64], percent: usize) -> u64 {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}
