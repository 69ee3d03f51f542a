//! How long batches take, and the span that a batch has in the traces.
//!
//! The span costs nothing where the traces do not want it (`ASSENT_TRACE=debug` does). It names principal and batch, by which
//! the log and the agent know them too, and the agent's own trace where the agent said in which one it asks; what is in the
//! batch it does not tell, for that is the log's.

use std::time::Duration;

use assent_proto::wire::{BatchId, TraceContext};
use tracing::Span;
use tracing::field::{Empty, display};

use crate::identity::SpiffeId;
use crate::meters::{COMPUTED, Distribution, Histogram, WAITED};
use crate::token::Written;
use crate::traces;

/// What was measured since the start.
#[derive(Debug)]
pub(super) struct Timing {
    answering: Histogram,
    evaluating: Histogram,
}

impl Default for Timing {
    fn default() -> Self {
        Self { answering: Histogram::new(WAITED), evaluating: Histogram::new(COMPUTED) }
    }
}

impl Timing {
    /// From a batch's last byte to its answer.
    pub(super) fn answered(&self, took: Duration) {
        self.answering.observe_time(took);
    }

    /// The walk up to the draft.
    pub(super) fn evaluated(&self, took: Duration) {
        self.evaluating.observe_time(took);
    }

    pub(super) fn answering(&self) -> Distribution {
        self.answering.read()
    }

    pub(super) fn evaluating(&self) -> Distribution {
        self.evaluating.read()
    }
}

/// The span of a batch of this principal, below the span of the agent that asks, where it said which.
pub(super) fn span(principal: &SpiffeId, trace: Option<&TraceContext>) -> Span {
    let span = tracing::debug_span!(
        "batch",
        %principal,
        trace_id = Empty,
        parent_id = Empty,
        batch = Empty,
        intents = Empty,
        allows = Empty,
        holds = Empty,
        denials = Empty
    );
    if let Some(trace) = trace.filter(|_| !span.is_disabled()) {
        let (id, parent) = (u128::from_be_bytes(trace.trace_id()), u64::from_be_bytes(trace.parent_id()));
        span.record("trace_id", display(format_args!("{id:032x}")));
        span.record("parent_id", display(format_args!("{parent:016x}")));
        traces::adopt(&span, trace);
    }
    span
}

/// Says in the span of the batch at hand, if it has one, what was decided.
pub(super) fn record(batch: BatchId, written: &Written) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let (allows, holds, intents) = written.counted();
    let intents = intents as u64;
    let denials = intents.saturating_sub(allows).saturating_sub(holds);
    span.record("batch", display(batch)).record("intents", intents);
    span.record("allows", allows).record("holds", holds).record("denials", denials);
    tracing::debug!("decided");
}
