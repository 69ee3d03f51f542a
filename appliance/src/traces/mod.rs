//! The traces: where they go, and how those of agents and ours meet.
//!
//! Lines on standard error: JSON, or text on a terminal; `ASSENT_TRACE` filters them. Built with the feature `otlp`, the spans of batches go
//! to a collector as well, where `traces.otlp` names one. The one rule: nobody who decides waits for a trace. The audit log is
//! none of them, and nothing here is evidence.

#[cfg(feature = "otlp")]
mod otlp;

use assent_proto::wire::TraceContext;
use tracing::Span;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::Config;

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TracesError {
    /// The collector cannot be asked over TLS.
    #[cfg(feature = "otlp")]
    #[error("cannot export traces")]
    Roots(#[from] assent_doors::outbound::RootsError),
}

/// Traces that have begun. Dropped, it sends what is still to be sent, for a moment.
#[derive(Debug)]
#[must_use]
pub(crate) struct Traces {
    #[cfg(feature = "otlp")]
    _exported: Option<otlp::Exported>,
}

impl Traces {
    /// Begins them for this process, once.
    pub(crate) fn begin<W>(config: &Config, writer: W, is_terminal: bool) -> Result<Self, TracesError>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let filter = EnvFilter::try_from_env("ASSENT_TRACE").unwrap_or_else(|_| EnvFilter::new("info"));
        #[cfg(feature = "otlp")]
        if let Some(collector) = &config.traces.otlp {
            let exported = otlp::begin(collector, &config.origin(), filter, (writer, is_terminal))?;
            return Ok(Self { _exported: Some(exported) });
        }
        #[cfg(not(feature = "otlp"))]
        debug_assert!(config.traces.otlp.is_none(), "the configuration refuses it");
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
        if is_terminal {
            lines.init()
        } else {
            lines.json().init()
        }
        Ok(Self {
            #[cfg(feature = "otlp")]
            _exported: None,
        })
    }
}

/// Puts the span of a batch below the agent's, for whoever exports it.
#[cfg(feature = "otlp")]
pub(crate) fn adopt(span: &Span, trace: &TraceContext) {
    otlp::adopt(span, trace);
}

/// Puts the span of a batch below the agent's: nobody exports it.
#[cfg(not(feature = "otlp"))]
pub(crate) const fn adopt(_: &Span, _: &TraceContext) {}
