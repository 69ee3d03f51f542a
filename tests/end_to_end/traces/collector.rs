//! Spans over OTLP, with a collector of the test's own: what arrives, and that a collector which refuses or hangs costs nobody anything.
//!
//! `cargo nextest run --workspace --release --locked --features assent/otlp -E 'test(traces::)'` builds the feature and runs these.

use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use appliance::clock::Stopwatch;
use appliance::limits::{MAX_SPANS_AN_EXPORT, MAX_SPANS_QUEUED, SPAN_EXPORT_DEADLINE};
use assent_client::batch::Batch;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message as _;

use super::{OTHER, PARENT, context};
use crate::support::agent::{Agent, allowed, batch_id};
use crate::support::{Appliance, Hsm, PATIENCE, eventually};

/// What the collector does with what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    Refuses,
    Hangs,
}

/// A collector on this machine, until the test ends.
#[derive(Clone)]
struct Collector {
    address: String,
    mood: Arc<Mutex<Mood>>,
    requests: Arc<AtomicUsize>,
    taken: Arc<Mutex<Vec<ResourceSpans>>>,
}

impl Collector {
    fn listen(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (requests, taken) = (Arc::default(), Arc::default());
        let collector = Self { address, mood: Arc::new(Mutex::new(mood)), requests, taken };
        let served = collector.clone();
        let serve = move || {
            for stream in listener.incoming().flatten() {
                let served = served.clone();
                let name = std::thread::Builder::new().name("collector".to_owned());
                name.spawn(move || served.serve(stream)).expect("a thread");
            }
        };
        std::thread::Builder::new().name("collectors".to_owned()).spawn(serve).expect("a thread");
        collector
    }

    /// Answers what comes over one connection, until it ends.
    fn serve(&self, stream: TcpStream) {
        let mut writer = stream.try_clone().expect("a second handle");
        let mut reader = BufReader::new(stream);
        while let Some(body) = read_request(&mut reader) {
            self.requests.fetch_add(1, Ordering::SeqCst);
            let answer = match *self.mood.lock().expect("a mood") {
                Mood::Takes => {
                    let request = ExportTraceServiceRequest::decode(&*body).expect("spans");
                    self.taken.lock().expect("spans").extend(request.resource_spans);
                    "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
                }
                Mood::Refuses => "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
                Mood::Hangs => continue,
            };
            if writer.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().expect("spans");
        let scopes = taken.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| &scope.spans).cloned().collect()
    }
}

/// The body of the next request for spans.
fn read_request(reader: &mut impl std::io::BufRead) -> Option<Vec<u8>> {
    let (mut length, mut is_protobuf, mut line) = (0, false, String::new());
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    assert_eq!(line.trim_end(), "POST /v1/traces HTTP/1.1");
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().expect("a length"),
            "content-type" => is_protobuf = value == "application/x-protobuf",
            _ => {}
        }
    }
    assert!(is_protobuf, "it says what it sends");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// An appliance that sends its spans there.
fn exporting_to(collector: &Collector) -> Appliance {
    let mut appliance = Appliance::start(Hsm::Simulator);
    assert!(appliance.stop());
    let config = std::fs::read_to_string(appliance.config()).expect("a configuration");
    let traces = format!("{config}\n[traces]\notlp = \"{}\"\n", collector.address);
    std::fs::write(appliance.config(), traces).expect("a configuration");
    appliance.launch();
    appliance
}

fn text_of(span: &Span, key: &str) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let value = span.attributes.iter().find(|attribute| attribute.key == key)?.value.clone()?.value?;
    if let Value::StringValue(text) = value {
        return Some(text);
    }
    if let Value::IntValue(number) = value { Some(number.to_string()) } else { None }
}

#[test]
fn spans_arrive_below_those_of_their_agents() {
    let collector = Collector::listen(Mood::Takes);
    let mut appliance = exporting_to(&collector);
    let agent = Agent::connect(&appliance);
    let (sampled, unsampled, untraced) = (batch_id(), batch_id(), batch_id());
    let batch = |id| Batch::new(id, &[allowed()]).expect("a batch");
    agent.reply(&batch(unsampled).traced(context(OTHER)));
    agent.reply(&batch(untraced));
    agent.reply(&batch(sampled).traced(context(PARENT)));
    let of = |id: assent_client::BatchId| {
        collector.spans().into_iter().find(|span| text_of(span, "batch") == Some(id.to_string()))
    };
    let (span, root) = (eventually("the span arrives", || of(sampled)), eventually("both", || of(untraced)));
    assert_eq!((span.name.as_str(), span.kind), ("batch", 2), "a server's");
    assert_eq!(span.trace_id, context(PARENT).trace_id());
    assert_eq!(span.parent_span_id, context(PARENT).parent_id());
    assert!(span.end_time_unix_nano > span.start_time_unix_nano && span.span_id != span.parent_span_id);
    let counted = ["intents", "allows", "holds", "denials"].map(|key| text_of(&span, key));
    assert_eq!(counted, ["1", "1", "0", "0"].map(|count| Some(count.to_owned())));
    assert!(text_of(&span, "principal").is_some_and(|id| id.starts_with("spiffe://")), "{span:?}");
    assert!(root.parent_span_id.is_empty() && root.trace_id != span.trace_id, "a trace of its own");
    // What was asked before both has had its time: its agent records nothing, so nothing is recorded here.
    assert_eq!(of(unsampled), None);
    let resource = collector.taken.lock().expect("spans")[0].resource.clone().expect("a resource");
    let service = resource.attributes.iter().find(|attribute| attribute.key == "service.name");
    assert!(format!("{service:?}").contains("\"assent\""), "{service:?}");
    // The last spans leave before the appliance does.
    let last = batch_id();
    agent.reply(&batch(last).traced(context(PARENT)));
    drop(agent);
    appliance.stop_and_verify_log();
    assert!(of(last).is_some(), "the last span was sent");
}

#[test]
fn a_collector_that_refuses_is_told_once_and_again_when_it_takes() {
    let collector = Collector::listen(Mood::Refuses);
    let appliance = exporting_to(&collector);
    let agent = Agent::connect(&appliance);
    let told = |words: &str| appliance.traces().matches(words).count();
    eventually("three exports fail", || {
        drop(agent.preauthorize(&[allowed()]));
        (collector.requests.load(Ordering::SeqCst) > 3).then_some(())
    });
    assert_eq!(told("spans cannot be exported"), 1, "{}", appliance.traces());
    *collector.mood.lock().expect("a mood") = Mood::Takes;
    eventually("it takes them", || {
        drop(agent.preauthorize(&[allowed()]));
        (told("spans are exported again") == 1).then_some(())
    });
    assert_eq!(told("spans cannot be exported"), 1);
}

/// Asks for many batches of one intent, so many at a time: how long it took until each had its answer.
fn ask_many(agent: &Agent, batches: usize) -> Duration {
    const AT_A_TIME: usize = 64;
    // It reads the whole sample to find one.
    let intents = [allowed()];
    let watch = Stopwatch::start();
    for _ in 0..batches / AT_A_TIME {
        let batch = |_| Batch::new(batch_id(), &intents).expect("a batch");
        let batches: Vec<_> = (0..AT_A_TIME).map(batch).collect();
        let asked = batches.iter().map(|batch| agent.client.reply(batch));
        for answer in agent.runtime.block_on(futures_util::future::join_all(asked)) {
            answer.expect("an answer");
        }
    }
    watch.elapsed()
}

#[test]
fn a_collector_that_hangs_costs_nobody_anything_but_spans() {
    let (collector, alone) = (Collector::listen(Mood::Hangs), Appliance::start(Hsm::Simulator));
    // More than wait and are on their way: what has no room is dropped, and every batch is answered.
    let many = MAX_SPANS_QUEUED + 4 * MAX_SPANS_AN_EXPORT;
    let undisturbed = ask_many(&Agent::connect(&alone), many);
    drop(alone);
    let mut appliance = exporting_to(&collector);
    let agent = Agent::connect(&appliance);
    drop(agent.preauthorize(&[allowed()]));
    eventually("the collector hangs", || (collector.requests.load(Ordering::SeqCst) > 0).then_some(()));
    let disturbed = ask_many(&agent, many);
    println!("{many} batches: {undisturbed:?} without a collector, {disturbed:?} with one that hangs");
    assert!(disturbed < 3 * undisturbed + SPAN_EXPORT_DEADLINE / 2, "{disturbed:?}, not {undisturbed:?}");
    eventually("spans are dropped", || {
        ask_many(&agent, MAX_SPANS_AN_EXPORT);
        appliance.traces().contains("dropped a Span due to queue full").then_some(())
    });
    let told = || appliance.traces().matches("spans cannot be exported").count();
    eventually("it is told", || (told() > 0).then_some(()));
    assert_eq!(told(), 1, "{}", appliance.traces());
    drop(agent);
    let watch = Stopwatch::start();
    appliance.stop_and_verify_log();
    assert!(watch.elapsed() < PATIENCE, "{:?}", watch.elapsed());
}
