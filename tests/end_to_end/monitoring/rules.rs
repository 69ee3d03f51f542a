//! The rules, the dashboard and the runbook against a real scrape: none of them names what is not there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{get, scrape};
use crate::support::agent::{Agent, retail};
use crate::support::{Appliance, Hsm, not_run};
use serde_json::Value;

/// Bytes that an exposition stays below, whatever agents do.
const MOST_BYTES: usize = 64 * 1024;

/// Where the package puts the runbook.
const RUNBOOK: &str = "/usr/share/doc/assent/OPERATING.md";

/// A file of the appliance's folder.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The families of a scrape.
fn families(scrape: &str) -> BTreeSet<String> {
    let kinds = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    kinds.map(|line| line.split(' ').next().expect("a name").to_owned()).collect()
}

/// The metrics that a text names, by their families: of a histogram's series the histogram.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let ours = words.filter(|word| {
        let family = word.starts_with("assent_") || word.starts_with("process_");
        family && !word.contains('.')
    });
    let series = ["_bucket", "_sum", "_count"];
    ours.map(|word| series.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()).collect()
}

/// The value behind a key, in each line that has it.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key))
        .map(str::trim)
        .collect()
}

/// What a panel or an annotation asks for.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("expr").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| expressions(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| expressions(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text("monitoring/grafana.json")).expect("JSON");
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    found
}

#[test]
fn every_metric_that_rules_dashboard_and_runbook_name_is_in_a_scrape_and_the_runbook_names_all() {
    let appliance = Appliance::start(Hsm::Simulator);
    let _ = Agent::connect(&appliance).preauthorize(&retail()[..8]);
    let scraped = families(&scrape(&appliance));
    let runbook = text("OPERATING.md");
    let (_, section) = runbook.split_once("\n## Metrics\n").expect("a section Metrics");
    let (section, _) = section.split_once("\n## ").expect("another section");
    assert_eq!(named(section), scraped, "OPERATING.md, section Metrics, tells of each metric");
    let (rules, panels) = (text("monitoring/assent.rules.yml"), dashboard().join("\n"));
    let (_, alerts) = runbook.split_once("\n## Alerts\n").expect("a section Alerts");
    let (alerts, _) = alerts.split_once("\n## ").expect("another section");
    for (of, asked) in [("rules", named(&rules)), ("dashboard", named(&panels)), ("alerts", named(alerts))] {
        assert!(asked.len() > 5, "{of}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&scraped).collect();
        assert!(unknown.is_empty(), "{of} ask for what there is not: {unknown:?}");
    }
    let open = get(&appliance, "/metrics", "*/*");
    assert!(
        open.head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n")
    );
    assert!(open.body.ends_with("# EOF\n") && open.body.len() < MOST_BYTES, "{}", open.body.len());
    for line in open.body.lines().filter_map(|line| line.strip_prefix("# UNIT ")) {
        let (family, unit) = line.split_once(' ').expect("a unit");
        assert!(family.ends_with(&format!("_{unit}")), "{line}");
    }
    let helped = open.body.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert_eq!(helped, scraped.len(), "each has its help");
}

#[test]
fn every_alert_leads_to_its_entry_in_the_runbook_and_is_fired_by_a_test() {
    let (rules, tests, runbook) =
        (text("monitoring/assent.rules.yml"), text("monitoring/assent.rules.test.yml"), text("OPERATING.md"));
    let alerts = values(&rules, "alert:");
    assert!(alerts.len() > 20);
    assert_eq!(alerts.iter().collect::<BTreeSet<_>>().len(), alerts.len(), "no name twice");
    let leads: Vec<_> =
        alerts.iter().map(|alert| format!("file://{RUNBOOK}#{}", alert.to_lowercase())).collect();
    assert_eq!(values(&rules, "runbook:"), leads);
    let entries: Vec<_> = runbook.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    for alert in &alerts {
        assert!(entries.contains(alert), "OPERATING.md has no entry `### {alert}`");
    }
    let stale: Vec<_> =
        entries.iter().filter(|entry| entry.starts_with("Assent") && !alerts.contains(entry)).collect();
    assert!(stale.is_empty(), "entries without an alert: {stale:?}");
    // A test that expects the alert says with which labels.
    let fired: BTreeSet<_> = tests
        .split("alertname: ")
        .skip(1)
        .filter_map(|rest| {
            let (alert, rest) = rest.split_once('\n')?;
            rest.trim_start().starts_with("exp_alerts:\n").then_some(alert)
        })
        .collect();
    assert_eq!(fired, alerts.into_iter().collect());
}

#[test]
fn the_package_holds_rules_and_dashboard_and_the_runbook_where_alerts_lead() {
    let manifest: toml::Table = text("Cargo.toml").parse().expect("TOML");
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().expect("assets");
    let monitoring = "usr/share/assent/monitoring/";
    let folder = RUNBOOK.trim_start_matches('/').trim_end_matches("OPERATING.md");
    for (from, to) in [
        ("OPERATING.md", folder),
        ("monitoring/assent.rules.yml", monitoring),
        ("monitoring/grafana.json", monitoring),
    ] {
        let is_it = |asset: &toml::Value| asset[0].as_str() == Some(from) && asset[1].as_str() == Some(to);
        assert!(assets.iter().any(is_it), "{from} goes to {to}");
    }
}

/// Runs promtool, which is Prometheus' own; gives its talk where it is not content.
fn promtool(arguments: &[&str], input: Option<&str>) -> Result<(), String> {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("promtool runs");
    let mut stdin = process.stdin.take().expect("its input");
    std::io::Write::write_all(&mut stdin, input.unwrap_or_default().as_bytes()).expect("it reads");
    drop(stdin);
    let output = process.wait_with_output().expect("it ends");
    let talk = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(()) } else { Err(talk) }
}

/// Every expression of the dashboard as a rule, so that somebody else parses it.
fn as_rules(expressions: &[String]) -> String {
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, expression) in expressions.iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "5m").replace("$__interval", "1m");
        assert!(!expression.contains("$__"), "{expression}");
        let quoted = expression.replace("$instance", ".*").replace('\'', "''");
        rules.push_str(&format!("      - {{record: 'dashboard:{number}', expr: '{quoted}'}}\n"));
    }
    rules
}

#[test]
fn promtool_takes_rules_their_tests_the_dashboard_and_a_scrape() {
    if Command::new("promtool").arg("--version").output().is_err() {
        not_run::missing("promtool is not installed (apt-get install prometheus)");
        return;
    }
    let (rules, tests) = (file("monitoring/assent.rules.yml"), file("monitoring/assent.rules.test.yml"));
    promtool(&["check", "rules", &rules.display().to_string()], None).unwrap();
    promtool(&["test", "rules", &tests.display().to_string()], None).unwrap();
    let expressions = dashboard();
    assert!(expressions.len() > 40);
    let folder = tempfile::tempdir().expect("a folder");
    let panels = folder.path().join("panels.yml").display().to_string();
    std::fs::write(&panels, as_rules(&expressions)).expect("a file");
    promtool(&["check", "rules", &panels], None).unwrap();
    std::fs::write(&panels, as_rules(&["sum(".to_owned()])).expect("a file");
    assert!(promtool(&["check", "rules", &panels], None).is_err(), "it sees what does not parse");

    let appliance = Appliance::start(Hsm::Simulator);
    let _ = Agent::connect(&appliance).preauthorize(&retail()[..8]);
    promtool(&["check", "metrics"], Some(&scrape(&appliance))).unwrap();
    assert!(promtool(&["check", "metrics"], Some("assent_seconds_ms 1\n")).is_err(), "it sees a bad name");
}
