//! OTLP: the spans of batches, as protobuf over HTTP (OTLP 1.9, "OTLP/HTTP"), to one collector.
//!
//! The one rule: whoever decides hands a span over and goes on. A queue of bounded length takes it or drops it; one thread sends
//! what is in it, each exchange within its deadline. What cannot be sent is dropped, and that it cannot is told once, until it can. Nothing is
//! taken from the environment, and no span but a batch's leaves.

use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, Ordering};

use assent_doors::outbound::{Outbound, RootsError, Trust};
use assent_proto::wire::TraceContext;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
};
use prost::Message as _;
use tracing::{Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::limits::{
    MAX_SPAN_ATTRIBUTES, MAX_SPANS_AN_EXPORT, MAX_SPANS_QUEUED, SPAN_EXPORT_DEADLINE, SPAN_EXPORT_INTERVAL,
    SPAN_EXPORT_LAST,
};

/// What the traces of this crate's batches are called.
const SPAN: &str = "batch";

/// Spans are exported for as long as this lives.
#[derive(Debug)]
pub(super) struct Exported(SdkTracerProvider);

impl Drop for Exported {
    fn drop(&mut self) {
        // What does not arrive in a moment is dropped as ever.
        let _ = self.0.shutdown_with_timeout(SPAN_EXPORT_LAST);
    }
}

/// Begins the traces, as lines and as spans for a collector.
pub(super) fn begin<W>(
    collector: &str,
    origin: &str,
    filter: EnvFilter,
    (writer, is_terminal): (W, bool),
) -> Result<Exported, RootsError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let provider = provider(Collector::new(collector)?, origin);
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("assent"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_of_a_batch).with_max_level_hint(LevelFilter::DEBUG));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
    let lines = if is_terminal { lines.boxed() } else { lines.json().boxed() };
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
    Ok(Exported(provider))
}

fn is_of_a_batch(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.name() == SPAN && metadata.target().starts_with("appliance::pipeline")
}

fn provider(collector: Collector, origin: &str) -> SdkTracerProvider {
    let bounds = BatchConfigBuilder::default()
        .with_max_queue_size(MAX_SPANS_QUEUED)
        .with_max_export_batch_size(MAX_SPANS_AN_EXPORT)
        .with_scheduled_delay(SPAN_EXPORT_INTERVAL)
        .build();
    let resource = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", "assent"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", origin.to_owned()),
    ]);
    SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(collector).with_batch_config(bounds).build())
        // An agent that does not record its trace wants no part of it recorded here.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        .with_max_attributes_per_span(MAX_SPAN_ATTRIBUTES)
        .with_max_events_per_span(0)
        .with_max_links_per_span(0)
        .with_resource(resource.build())
        .build()
}

/// Puts a span below that of an agent, before anything has entered it.
pub(super) fn adopt(span: &Span, trace: &TraceContext) {
    let (id, parent) = (TraceId::from_bytes(trace.trace_id()), SpanId::from_bytes(trace.parent_id()));
    let remote = SpanContext::new(id, parent, TraceFlags::new(trace.flags()), true, TraceState::NONE);
    // It fails where nothing is exported, and then nothing is lost.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}

/// Where spans are sent.
#[derive(Debug)]
struct Collector {
    outbound: Outbound,
    url: String,
    resource: ResourceAttributesWithSchema,
    is_failing: AtomicBool,
}

impl Collector {
    fn new(url: &str) -> Result<Self, RootsError> {
        let outbound = Outbound::new(SPAN_EXPORT_DEADLINE, Trust::System, 1)?;
        let (url, resource) = (url.to_owned(), ResourceAttributesWithSchema::default());
        Ok(Self { outbound, url, resource, is_failing: AtomicBool::new(false) })
    }

    fn send(&self, spans: Vec<SpanData>) -> Result<(), String> {
        let served = spans.into_iter().map(|span| SpanData { span_kind: SpanKind::Server, ..span });
        let resource_spans = group_spans_by_resource_and_scope(served.collect(), &self.resource);
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        match self.outbound.post(&self.url, "application/x-protobuf", &[], &body) {
            Ok(reply) if (200..300).contains(&reply.status()) => Ok(()),
            Ok(reply) => Err(format!("it answers {}", reply.status())),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl SpanExporter for Collector {
    /// Waits for the collector, on the thread that the processor keeps for it. An error stays here: the processor would tell each.
    fn export(&self, spans: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        let sent: Ready<OTelSdkResult> = ready(Ok(()));
        match self.send(spans) {
            Ok(()) if self.is_failing.swap(false, Ordering::Relaxed) => {
                tracing::info!(url = self.url, "spans are exported again");
            }
            Err(why) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    url = self.url,
                    why,
                    "spans cannot be exported, and are dropped until they can"
                );
            }
            Ok(()) | Err(_) => {}
        }
        sent
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}
