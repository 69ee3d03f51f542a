//! `closing`: how fast the boundary closes, over and over: errors and dead signers by turns, for the share that a single
//! drill cannot show.

use anyhow::{Context as _, ensure};
use assent_proto::entry::DrillStage;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::{Value, json};

use super::account::SCHEMA;
use super::catalogue::Load;
use super::checks::{CLOSES_WITHIN, by_clients, by_socket, closed_spans, micros, millis};
use super::load::{Agents, Ask};
use super::stage::{Stage, Venue};
use crate::clock::Mark;
use crate::control::{self, Story};
use crate::limits::MAX_TRANSITIONS;
use crate::token::Transition;

/// Its name among the drills.
pub(super) const NAME: &str = "closing";
/// What happens, and what we hold will come of it.
pub(super) const HYPOTHESIS: &str =
    "errors and dead signers, again and again while one agent asks: 99 of 100 close the boundary within 1 ms";

/// After so many closings what left meanwhile is judged. Each has its opening, and a story reaches back over both and some more: an
/// answer that is under way then is judged with the next ones.
const JUDGED_TOGETHER: usize = 100;
const _: () = assert!(2 * JUDGED_TOGETHER < MAX_TRANSITIONS);

/// Closes the boundary so often, half by errors and half by kills, while one agent asks.
pub(super) fn measure(venue: &Venue, keep: bool, times: usize) -> anyhow::Result<Value> {
    let mut stage = Stage::build(venue, keep)?;
    stage.start()?;
    stage.until("the boundary opens", |status| status.boundaries.token.open)?;
    let (mut times_of, mut judged) = (Times::default(), Judged::new(Mark::now()));
    let mut agents = Agents::connect(&stage.address, &stage.agent)?;
    agents.settle()?;
    control::mark_drill(stage.data(), NAME, DrillStage::Begun)?;
    agents.begin(Load::Lone);
    for number in 0..times {
        if number > 0 && number.is_multiple_of(JUDGED_TOGETHER) {
            judged.judge(&agents.take_seen().asks, stage.story()?)?;
        }
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
    judged.judge(&agents.end()?.asks, stage.story()?)?;
    control::mark_drill(stage.data(), NAME, DrillStage::Ended)?;
    stage.stop()?;
    Ok(times_of.account(&venue.label(), judged.tokens))
}

/// Tokens that left while the boundary was closed: judged some closings at a time, for no story tells of all of them.
struct Judged {
    /// Up to when.
    until: Mark,
    tokens: u64,
}

impl Judged {
    /// Nothing before this moment, and nothing yet.
    const fn new(until: Mark) -> Self {
        Self { until, tokens: 0 }
    }

    /// Judges what was answered and what left since the last time, by a story that was told after it.
    fn judge(&mut self, asks: &[Ask], mut story: Story) -> anyhow::Result<()> {
        let mark = |transition: Option<&Transition>| transition.map_or(Mark(0), |line| line.mark_us);
        let (first, last) = (mark(story.transitions.first()), mark(story.transitions.last()));
        ensure!(first <= self.until, "the story begins {} us too late", first.0 - self.until.0);
        // Of an epoch whose opening the story does not tell any more, the one before did. What leaves in the last one is judged again.
        story.released.retain(|released| released.first_us >= first && released.last_us >= self.until);
        self.tokens += by_clients(asks, &closed_spans(&story, Mark::now())).max(by_socket(&story));
        self.until = last;
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::record::Released;

    /// Closed at each of these moments, and open again soon.
    fn story(closings: &[u64]) -> Story {
        let line = |open, at| Transition {
            epoch: at / 10,
            open,
            cause: None,
            class: None,
            at_ms: 0,
            mark_us: Mark(at),
        };
        let transitions = closings.iter().flat_map(|at| [line(false, *at), line(true, at + 5)]).collect();
        Story { transitions, released: Vec::new() }
    }

    fn ask(sent: u64, answered: u64) -> Ask {
        Ask { sent: Mark(sent), answered: Mark(answered), allowed: 2, unavailable: 0, wrong: 0 }
    }

    #[test]
    fn tokens_of_every_stretch_count_and_a_story_with_a_hole_before_it_is_none() {
        let mut judged = Judged::new(Mark(25));
        judged.judge(&[ask(16, 19), ask(21, 24)], story(&[10, 20])).unwrap();
        assert_eq!(judged.tokens, 2, "one of them came while it was closed");
        judged.judge(&[ask(27, 29), ask(31, 34)], story(&[20, 30])).unwrap();
        assert_eq!(judged.tokens, 4, "and one of the next stretch");
        let released = Released { epoch: 3, tokens: 5, replies: 1, first_us: Mark(44), last_us: Mark(44) };
        let late = Story { released: vec![released], ..story(&[30, 40]) };
        judged.judge(&[], late).unwrap();
        assert_eq!(judged.tokens, 9, "and what the socket alone saw");
        assert!(judged.judge(&[], story(&[50])).is_err(), "nobody tells of what came between");
    }
}
