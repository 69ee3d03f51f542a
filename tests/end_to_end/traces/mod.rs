//! Trace context: the appliance's span of a batch lies below the agent's, and nothing that is decided, answered or kept knows of it.

#[cfg(feature = "otlp")]
mod collector;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use assent_client::TraceContext;
use assent_client::batch::Batch;
use serde_json::Value;

use crate::support::agent::{Agent, Credentials, allowed, batch_id, retail};
use crate::support::{ASSENT, Appliance, Hsm};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-11111111222222223333333344444444-5555555566666666-00";

fn context(text: &str) -> TraceContext {
    text.parse().expect("a trace context")
}

/// What was traced of the decision of this batch, each time: trace and parent of its span.
fn spans(appliance: &Appliance, batch: &str) -> Vec<(Option<String>, Option<String>)> {
    let traces = appliance.traces();
    let lines = traces.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let decided =
        lines.filter(|line| line["fields"]["message"] == "decided" && line["span"]["batch"] == batch);
    let field = |line: &Value, name: &str| line["span"][name].as_str().map(str::to_owned);
    decided.map(|line| (field(&line, "trace_id"), field(&line, "parent_id"))).collect()
}

/// Whether these bytes are in any file of a folder.
fn holds(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder).expect("a folder").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return holds(&path, wanted);
        }
        // A socket cannot be read.
        std::fs::read(&path).is_ok_and(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted))
    })
}

#[test]
fn the_span_of_a_batch_lies_below_its_agents_and_the_log_knows_nothing_of_it() {
    let mut appliance = Appliance::unfounded(Hsm::Simulator);
    appliance.launch_under(&["env", "ASSENT_TRACE=debug"].map(OsString::from));
    appliance.wait_until_open();
    let agent = Agent::connect(&appliance);
    let batch = Batch::new(batch_id(), &[allowed()]).expect("a batch");
    let first = agent.reply(&batch.clone().traced(context(PARENT)));
    assert_eq!(agent.reply(&batch), first, "asked again without a trace, it is the same batch");
    assert_eq!(agent.reply(&batch.clone().traced(context(OTHER))), first, "and in another one");
    let below = |text: &str| {
        let parts: Vec<_> = text.split('-').collect();
        (Some(parts[1].to_owned()), Some(parts[2].to_owned()))
    };
    let id = batch.id().to_string();
    assert_eq!(spans(&appliance, &id), [below(PARENT), (None, None), below(OTHER)]);
    // One that is too large to be read at once, too, whose beginning is taken off before the rest has come.
    let many: Vec<_> = retail().into_iter().cycle().take(4000).collect();
    let large = Batch::new(batch_id(), &many).expect("a batch").traced(context(PARENT));
    let outcomes = agent.runtime.block_on(agent.client.ask(large.clone())).expect("outcomes");
    assert_eq!(outcomes.len(), many.len());
    assert_eq!(spans(&appliance, &large.id().to_string()), [below(PARENT)]);
    let again = agent.runtime.block_on(agent.client.preauthorize_traced(&[allowed()], context(OTHER)));
    assert!(again.expect("outcomes").iter().next().is_some_and(|outcome| outcome.token().is_some()));
    drop(agent);
    appliance.stop_and_verify_log();
    let data = appliance.data();
    assert!(holds(&data, &batch.id().0), "what the log keeps is found where it is looked for");
    for hidden in [&context(PARENT).trace_id()[..], b"0af7651916cd43dd8448eb211c80319c"] {
        assert!(!holds(&data, hidden), "a trace id is kept");
    }
}

#[test]
fn a_traceparent_is_given_on_the_command_line() {
    let mut appliance = Appliance::unfounded(Hsm::Simulator);
    appliance.launch_under(&["env", "ASSENT_TRACE=debug"].map(OsString::from));
    appliance.wait_until_open();
    let intents = appliance.folder.path().join("one.jsonl");
    std::fs::write(&intents, allowed().to_json().expect("JSON")).expect("a file");
    let (agent, address) =
        (Credentials::of_sample(&appliance), appliance.status().expect("it answers").listen);
    let ask = |traceparent: &str| {
        let mut command = Command::new(ASSENT);
        command.env("ASSENT_ADDR", &address).env("ASSENT_CA", &agent.ca);
        command.env("ASSENT_CERT", &agent.certificate).env("ASSENT_KEY", &agent.key);
        let output =
            command.args(["intent", "preauthorize"]).arg(&intents).args(["--traceparent", traceparent]);
        let output = output.output().expect("assent runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(ask(PARENT).0, Some(0));
    assert!(appliance.traces().contains("\"parent_id\":\"b7ad6b7169203331\""), "{}", appliance.traces());
    let (code, talk) = ask("00-00000000000000000000000000000000-b7ad6b7169203331-01");
    assert!(code == Some(1) && talk.contains("no id of zeroes"), "{code:?} {talk}");
}
