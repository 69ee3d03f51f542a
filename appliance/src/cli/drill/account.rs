//! The account of a drill: what was held, what came of it, and when. What machines read, and what the page is drawn from.

use serde::{Deserialize, Serialize};

/// What documents of this kind say that they are.
pub(super) const SCHEMA: &str = "assent.v1.drill";

/// Something that had to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Check {
    /// What.
    pub(super) what: String,
    /// Whether it did.
    pub(super) held: bool,
    /// What was seen.
    pub(super) seen: String,
}

/// A moment that is marked on the timeline, in milliseconds from its beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moment {
    pub(super) at_ms: f64,
    pub(super) what: String,
}

/// What happened when: all in milliseconds from the beginning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Timeline {
    /// How long it is.
    pub(super) length_ms: f64,
    /// From when to when the token boundary was closed.
    pub(super) closed_ms: Vec<(f64, f64)>,
    /// Fault, mending, orders.
    pub(super) moments: Vec<Moment>,
    /// How long one step of the counts below is.
    pub(super) step_ms: f64,
    /// Intents that were allowed, by the step in which the answer came.
    pub(super) allowed: Vec<u64>,
    /// Intents that were refused, likewise.
    pub(super) refused: Vec<u64>,
}

/// What a drill came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    /// [`SCHEMA`].
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) hypothesis: String,
    /// Which HSM was broken.
    pub(super) hsm: String,
    /// Whether everything held.
    pub(super) passed: bool,
    /// Tokens that left between the closing of the boundary and its opening, by whoever saw most of them: the log, the
    /// clients, the socket.
    pub(super) tokens_after_fault: u64,
    /// From the HSM's faulty answer (a hang: from its beginning; a dead signer: from the kill) to the closed boundary.
    pub(super) closed_after_ms: Option<f64>,
    /// From the end of the fault, or the operators' order, to the open boundary.
    pub(super) rearmed_after_ms: Option<f64>,
    /// Intents that were asked for.
    pub(super) intents: u64,
    /// Those that were allowed.
    pub(super) allowed: u64,
    /// Those that were refused because no token could be had.
    pub(super) refused: u64,
    /// The longest that an answer took.
    pub(super) slowest_answer_ms: f64,
    pub(super) checks: Vec<Check>,
    pub(super) timeline: Timeline,
}

/// The account of a drill that could not be held.
impl Account {
    pub(super) fn failed(name: String, hypothesis: &str, hsm: &str, why: &anyhow::Error) -> Self {
        let check = Check { what: "the drill was held".to_owned(), held: false, seen: format!("{why:#}") };
        Self {
            schema: SCHEMA.to_owned(),
            name,
            hypothesis: hypothesis.to_owned(),
            hsm: hsm.to_owned(),
            passed: false,
            tokens_after_fault: 0,
            closed_after_ms: None,
            rearmed_after_ms: None,
            intents: 0,
            allowed: 0,
            refused: 0,
            slowest_answer_ms: 0.0,
            checks: vec![check],
            timeline: Timeline::default(),
        }
    }

    /// What did not hold.
    pub(super) fn broken(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.held)
    }
}
