//! A rehearsal: one drill from its beginning to its end, and all that was observed of it. Nothing is judged here.

use std::time::Duration;

use anyhow::{Context as _, bail};
use assent_client::batch::Batch;
use assent_proto::entry::DrillStage;
use rustix::process::{Signal, kill_process};

use super::catalogue::{Drill, Ends, Fault, Load};
use super::evidence::Evidence;
use super::faults::Faults;
use super::load::{Agents, Seen};
use super::stage::{PATIENCE, Stage, Venue};
use crate::clock::{Mark, Stopwatch};
use crate::control::{self, Story};
use crate::hsm::FaultClass;
use crate::token::rearm::Ordered;

/// How long good times last before and after.
const STEADY: Duration = Duration::from_millis(200);
/// How long the fault lasts once the boundary has closed.
const OUTAGE: Duration = Duration::from_millis(500);
/// How long a boundary that is the operators' must stay closed although the fault is over: several attempts' pauses.
const TEMPTATION: Duration = Duration::from_millis(900);
/// How long a slow HSM stays slow without the boundary closing.
const SLOWNESS: Duration = Duration::from_secs(1);
/// Half a period of flapping, and how many of them there are.
const FLAP: Duration = Duration::from_millis(100);
const FLAPS: usize = 8;

/// What the operators' part came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Orders {
    /// Whether the boundary stayed closed while nobody had signed.
    pub(super) stayed_closed: bool,
    /// Whether one signature, and one given twice, were refused.
    pub(super) one_was_refused: bool,
    /// When two had signed.
    pub(super) given: Option<Mark>,
}

/// All that was observed.
pub(super) struct Observed {
    pub(super) begun: Mark,
    /// When the HSM was broken.
    pub(super) broken: Mark,
    /// When the fault was over.
    pub(super) mended: Option<Mark>,
    pub(super) orders: Option<Orders>,
    pub(super) ended: Mark,
    pub(super) story: Story,
    pub(super) seen: Seen,
    /// What firmware-sim tells of its faults.
    pub(super) faults: Faults,
    /// How often operators were warned of slow signatures.
    pub(super) slow_signatures: u64,
    /// The answer to one batch: before the fault, and when it was asked again at the end.
    pub(super) repeated: (Vec<u8>, Vec<u8>),
    pub(super) is_open: bool,
    /// How long one signature may take there, and how often an idle signer proves itself.
    pub(super) deadline: Duration,
    pub(super) heartbeat: Duration,
    /// What the log says; nothing where it belongs to an appliance that runs on.
    pub(super) evidence: Option<Evidence>,
}

/// Holds a drill.
pub(super) fn hold(drill: &Drill, venue: &Venue, keep: bool) -> anyhow::Result<Observed> {
    let mut stage = Stage::build(venue, keep)?;
    let begun = Mark::now();
    if let Fault::AtStart(line) = drill.row.fault {
        stage.inject(line)?;
    }
    if !venue.is_live() {
        stage.start()?;
    }
    if !matches!(drill.row.fault, Fault::AtStart(_)) {
        stage.until("the boundary is open", |status| status.boundaries.token.open)?;
    }
    let mut agents = Agents::connect(&stage.address, &stage.agent)?;
    control::mark_drill(stage.data(), &drill.name(), DrillStage::Begun)?;
    let rehearsal = Rehearsal { drill, stage: &mut stage, agents: &mut agents, earlier: Story::default() };
    let mut observed = rehearsal.run(begun)?;
    control::mark_drill(stage.data(), &drill.name(), DrillStage::Ended)?;
    drop(agents);
    if !venue.is_live() {
        stage.stop()?;
        observed.evidence = Some(Evidence::read(stage.config())?);
    }
    Ok(observed)
}

struct Rehearsal<'d> {
    drill: &'d Drill,
    stage: &'d mut Stage,
    agents: &'d mut Agents,
    /// What a process saw that is no more.
    earlier: Story,
}

impl Rehearsal<'_> {
    fn run(mut self, begun: Mark) -> anyhow::Result<Observed> {
        let starts_closed = matches!(self.drill.row.fault, Fault::AtStart(_));
        let mut known = None;
        if !starts_closed {
            known = Some(self.agents.settle()?);
            if self.drill.load != Load::Idle {
                self.agents.begin(self.drill.load);
            }
            std::thread::sleep(STEADY);
        } else {
            self.agents.begin(self.drill.load);
        }
        let broken = self.break_it()?;
        let closed = self.wait_until_closed(broken)?;
        if self.drill.load == Load::Idle && !starts_closed {
            self.agents.begin(Load::Idle);
        }
        self.restart_if_asked()?;
        if closed {
            std::thread::sleep(OUTAGE);
        }
        let mended = self.mend()?;
        let orders = match self.drill.row.ends {
            Ends::ByOperators => Some(self.have_operators_order()?),
            Ends::ByItself | Ends::NeverClosed => None,
        };
        let opened = self.stage.until("the boundary opens again", |status| status.boundaries.token.open);
        let is_open = opened.is_ok();
        std::thread::sleep(STEADY);
        self.agents.ask_once();
        let seen = self.agents.end()?;
        let repeated = self.repeated(known.as_ref())?;
        let status = self.stage.status()?;
        let faults = self.stage.faults()?;
        Ok(Observed {
            begun,
            broken,
            mended,
            orders,
            ended: Mark::now(),
            story: self.whole_story(begun)?,
            seen,
            faults,
            slow_signatures: status.counters.slow_signatures,
            repeated,
            is_open,
            deadline: self.stage.config().hsm.deadline,
            heartbeat: self.stage.config().hsm.heartbeat,
            evidence: None,
        })
    }

    /// A live appliance has an older story, which is not this drill's.
    fn whole_story(&self, begun: Mark) -> anyhow::Result<Story> {
        let Story { mut transitions, mut released } = self.earlier.clone();
        let now = self.stage.story()?;
        transitions.extend(now.transitions);
        released.extend(now.released);
        released.retain(|released| released.last_us >= begun);
        Ok(Story { transitions, released })
    }

    /// The batch that was answered in good times, asked again: the recorded answer, or something is wrong.
    fn repeated(&self, known: Option<&(Batch, Vec<u8>)>) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
        match known {
            Some((batch, before)) => Ok((before.clone(), self.agents.repeat(batch)?)),
            None => Ok((Vec::new(), Vec::new())),
        }
    }

    fn break_it(&self) -> anyhow::Result<Mark> {
        let stage = &*self.stage;
        let now = Mark::now();
        match self.drill.row.fault {
            Fault::AtStart(_) => {}
            Fault::Simulated(line) | Fault::BeforeRestart(line) => drop(stage.inject(line)?),
            Fault::WhileArming(line) => {
                stage.inject(line)?;
                return self.signal(Signal::KILL);
            }
            Fault::Kill => return self.signal(Signal::KILL),
            Fault::Stop => return self.signal(Signal::STOP),
            Fault::MoveTokens => std::fs::rename(stage.tokens(), stage.tokens().with_extension("away"))?,
            Fault::Flap(line) => {
                for _ in 0..FLAPS {
                    stage.inject(line)?;
                    std::thread::sleep(FLAP);
                    stage.clear()?;
                    std::thread::sleep(FLAP);
                }
                stage.inject(line)?;
            }
        }
        Ok(now)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<Mark> {
        let signer = self.stage.signer()?;
        let now = Mark::now();
        kill_process(signer, signal).context("the signer cannot be signalled")?;
        Ok(now)
    }

    /// Whether it closed; what must not close is watched for a while.
    fn wait_until_closed(&self, broken: Mark) -> anyhow::Result<bool> {
        if self.drill.row.ends == Ends::NeverClosed {
            std::thread::sleep(SLOWNESS);
            return Ok(false);
        }
        // It may be open again before anybody looks: the story tells.
        let since = if matches!(self.drill.row.fault, Fault::AtStart(_)) { Mark(0) } else { broken };
        let watch = Stopwatch::start();
        while watch.left_of(PATIENCE).is_some() {
            let transitions = self.stage.story()?.transitions;
            if transitions.iter().any(|transition| !transition.open && transition.mark_us >= since) {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        bail!("the boundary does not close")
    }

    fn restart_if_asked(&mut self) -> anyhow::Result<()> {
        if !matches!(self.drill.row.fault, Fault::BeforeRestart(_)) {
            return Ok(());
        }
        // What the trip voided is written before the next look, so that the log knows of it.
        std::thread::sleep(self.stage.config().hsm.heartbeat);
        self.earlier = self.stage.story()?;
        self.stage.kill()?;
        self.stage.start()
    }

    /// Ends the fault, where it does not end by itself.
    fn mend(&self) -> anyhow::Result<Option<Mark>> {
        match self.drill.row.fault {
            Fault::Kill | Fault::Stop => return Ok(None),
            Fault::MoveTokens => {
                std::fs::rename(self.stage.tokens().with_extension("away"), self.stage.tokens())?;
            }
            Fault::Simulated(_)
            | Fault::AtStart(_)
            | Fault::WhileArming(_)
            | Fault::BeforeRestart(_)
            | Fault::Flap(_) => self.stage.clear()?,
        }
        Ok(Some(Mark::now()))
    }

    /// Nobody signs, then one, then two.
    fn have_operators_order(&self) -> anyhow::Result<Orders> {
        let is_theirs = |status: &crate::serving::status::Status| {
            !status.boundaries.token.open && status.boundaries.token.class == Some(FaultClass::Integrity)
        };
        let settled = self.stage.until("the fault is the operators'", is_theirs);
        let opened = self.stage.until_within(TEMPTATION, "", |status| status.boundaries.token.open);
        let mut orders = Orders { stayed_closed: settled.is_ok() && opened.is_err(), ..Orders::default() };
        let order = |signatures| control::ask_rearm(self.stage.data(), false, signatures);
        let Ordered::ToSign { statement, threshold: 2, .. } = order(Vec::new())? else {
            bail!("the appliance does not say what two operators are to sign")
        };
        let signatures = self.stage.sign(&statement)?;
        let one: Vec<_> = signatures.iter().take(1).cloned().collect();
        let twice = [one.as_slice(), one.as_slice()].concat();
        orders.one_was_refused = matches!(order(one)?, Ordered::Refused { .. })
            && matches!(order(twice)?, Ordered::Refused { .. });
        let given = Mark::now();
        if let Ordered::Trying { .. } = order(signatures)? {
            orders.given = Some(given);
        }
        self.stage.until("the boundary opens for the operators", |status| status.boundaries.token.open)?;
        Ok(orders)
    }
}
