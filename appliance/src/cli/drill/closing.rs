//! `closing`: how fast the boundary closes, over and over: errors and dead signers by turns, for the share that a single
//! drill cannot show.

use anyhow::Context as _;
use assent_proto::entry::DrillStage;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use super::account::SCHEMA;
use super::catalogue::Load;
use super::checks::{CLOSES_WITHIN, micros, millis};
use super::load::Agents;
use super::stage::{Hsm, Stage};
use crate::clock::Mark;
use crate::control;

/// Its name among the drills.
pub(super) const NAME: &str = "closing";
/// What happens, and what we hold will come of it.
pub(super) const HYPOTHESIS: &str =
    "errors and dead signers, again and again under load: 99 of 100 close the boundary within 1 ms";

/// Closes the boundary so often, half by errors and half by kills, while one agent asks.
pub(super) fn measure(hsm: Hsm, keep: bool, times: usize) -> anyhow::Result<Value> {
    let mut stage = Stage::build(hsm, keep)?;
    stage.start()?;
    let opened = stage.until("the boundary opens", |status| status.boundaries.token.open)?;
    let mut agents = Agents::connect(&stage.address, &stage.agent)?;
    agents.settle()?;
    control::mark_drill(stage.data(), NAME, DrillStage::Begun)?;
    agents.begin(Load::Lone);
    let mut epoch = opened.epoch;
    let (mut errors, mut kills) = (Vec::new(), Vec::new());
    for number in 0..times {
        let since = if number.is_multiple_of(2) { inject(&stage)? } else { kill(&stage)? };
        stage.until("the boundary closes and opens", |status| {
            status.epoch > epoch && status.boundaries.token.open
        })?;
        let story = stage.story()?.transitions;
        let closed = story.iter().find(|transition| !transition.open && transition.epoch == epoch + 1);
        let closed = closed.context("the closing is not in the story")?.mark_us;
        let since = match since {
            Some(killed) => killed,
            None => struck(&stage)?,
        };
        let after = closed.0.saturating_sub(since.0);
        if number.is_multiple_of(2) {
            errors.push(after)
        } else {
            kills.push(after)
        }
        epoch = story.last().map_or(epoch, |last| last.epoch);
    }
    agents.end()?;
    control::mark_drill(stage.data(), NAME, DrillStage::Ended)?;
    stage.stop()?;
    let (error_p99, kill_p99) = (percentile(&mut errors, 99), percentile(&mut kills, 99));
    let bound = micros(CLOSES_WITHIN);
    Ok(json!({
        "schema": SCHEMA, "name": NAME, "hypothesis": HYPOTHESIS, "hsm": hsm.label(),
        "passed": error_p99 <= bound && kill_p99 <= bound, "tokens_after_fault": 0,
        "closed_after_ms": millis(error_p99.max(kill_p99)), "rearmed_after_ms": null,
        "errors": errors.len(), "error_p50_ms": millis(percentile(&mut errors, 50)), "error_p99_ms": millis(error_p99),
        "error_max_ms": millis(percentile(&mut errors, 100)),
        "kills": kills.len(), "kill_p50_ms": millis(percentile(&mut kills, 50)), "kill_p99_ms": millis(kill_p99),
        "kill_max_ms": millis(percentile(&mut kills, 100)),
    }))
}

/// Has one signature fail; when it did is known afterwards.
fn inject(stage: &Stage) -> anyhow::Result<Option<Mark>> {
    stage.inject("rv 0x30 --call C_Sign --times 1")?;
    Ok(None)
}

fn kill(stage: &Stage) -> anyhow::Result<Option<Mark>> {
    let signer = stage.signer()?;
    let now = Mark::now();
    kill_process(signer, Signal::KILL).context("the signer cannot be killed")?;
    Ok(Some(now))
}

/// When the newest fault struck.
fn struck(stage: &Stage) -> anyhow::Result<Mark> {
    let faults: Value = stage.faults()?;
    let lists = ["faults", "history"].into_iter().filter_map(|list| faults.get(list)?.as_array());
    let strikes = lists.flatten().filter_map(|fault| fault.get("first_struck_us")?.as_u64());
    strikes.max().map(Mark).context("firmware-sim does not tell when the fault struck")
}

/// The value below or at which so many of a hundred are.
fn percentile(times: &mut [u64], percent: usize) -> u64 {
    times.sort_unstable();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}
