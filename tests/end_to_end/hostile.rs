//! Hostile texts: whatever an agent writes into an intent, the people who answer it see it escaped and marked, in every
//! listing, and nothing of it moves a cursor, turns a line or draws a line of its own.

use assent_client::{Intent, Outcome, Value};

use crate::approvals::operator;
use crate::queue::{close, kinds, open_shop, reopen, waiting};
use crate::support::agent::retail;
use crate::support::{Appliance, assent};

/// Markup, a text that runs backwards, lines of their own, a screen that is cleared, and as long a text as there is.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "<script>alert('approved')</script><b>",
        "refund \u{202e}000,1\u{202c} EUR\u{2066}\u{200f}",
        "fine\nstate      approved, priority low\r\nsigned by ann",
        "\u{1b}[2J\u{1b}[H\u{1b}]0;owned\u{7}\u{9b}31m\u{0}\u{7f}\u{8}",
        "\u{200b}\u{feff}\u{e0041}\u{2028}",
    ]
    .map(str::to_owned)
    .to_vec();
    let line = "all is well\n";
    texts.push(line.repeat(64 * 1024 / line.len()));
    texts
}

/// Transfers to people, whose summary is the agent's own text.
pub(crate) fn transfers() -> Vec<Intent> {
    let is_transfer = |intent: &Intent| intent.action.id == "transfer_to_human_agents";
    let one = retail().into_iter().find(is_transfer).expect("the sample has one");
    let with = |text: String| {
        let mut intent = one.clone();
        intent.context.insert("summary".to_owned(), Value::String(text));
        intent
    };
    waiting(hostile().into_iter().map(with))
}

/// What a command prints, on both streams, in every format: all of it is given.
fn prints(appliance: &Appliance, arguments: &[&str], most_lines: usize) -> String {
    let mut all = String::new();
    for format in ["table", "json", "jsonl"] {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", format]).collect();
        let (code, out, talk) = assent(Some(&appliance.config()), &arguments);
        assert!([0, 3, 4, 5].contains(&code), "{arguments:?}: {code}: {talk}");
        for text in [&out, &talk] {
            let hidden =
                text.chars().find(|c| *c != '\n' && c.escape_debug().len() > 1 && !"\"'\\".contains(*c));
            assert_eq!(hidden, None, "{arguments:?} prints it as it is");
        }
        if format == "table" {
            assert!(
                out.lines().count() <= most_lines,
                "{arguments:?} draws lines of an agent's: {out:.2000}"
            );
            assert!(!out.lines().any(|line| line == "signed by ann"), "{out:.2000}");
        } else {
            for line in out.lines() {
                let _: serde_json::Value = serde_json::from_str(line).expect("JSON");
            }
        }
        all.push_str(&out);
        all.push_str(&talk);
    }
    all
}

/// What was told of all of [`hostile`]: every text is there, and whoever reads it is told what it is.
fn stands_escaped_and_marked(what: &str, told: &str) {
    assert!(told.contains("ESCAPED    1 text holds"), "{what}: it is marked: {told:.2000}");
    assert!(
        told.contains("LONG       its longest text has 655"),
        "{what}: and its length told: {told:.2000}"
    );
    assert!(told.contains("<script>alert('approved')</script><b>"), "{what}: markup is text: {told:.2000}");
    assert!(told.contains("\\u{202e}") && told.contains("\\u202e"), "{what}: in words and in JSON");
}

fn hold_transfers(appliance: &Appliance) {
    let bundle = appliance.folder.path().join("bundle");
    let catalog = std::fs::read_to_string(bundle.join("catalog.cedarschema")).expect("the catalog");
    let facts = "assent: { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long },";
    let catalog = catalog.replace("summary: String,", &format!("summary: String,\n      {facts}"));
    std::fs::write(bundle.join("catalog.cedarschema"), catalog).expect("a catalog");
    let policy = "@id(\"transfer-is-approved\")\n@approval(\"1 of desk\")\nforbid (\n  principal,\n  action == Retail::Action::\"transfer_to_human_agents\",\n  resource\n)\nunless { context.assent.approvals >= 1 };\n";
    std::fs::write(bundle.join("policies/approvals.cedar"), policy).expect("a policy");
    let operators = operator(appliance.folder.path(), "ann", "groups = [\"desk\"]");
    std::fs::write(bundle.join("operators.toml"), operators).expect("operators");
    let (code, _, talk) = assent(Some(&appliance.config()), &["policy", "load"]);
    assert_eq!(code, 0, "{talk}");
}

#[test]
fn what_waits_through_an_outage_is_shown_escaped_and_marked() {
    let (mut appliance, agent) = open_shop("");
    close(&appliance);
    let intents = transfers();
    let outcomes = agent.preauthorize(&intents);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Queued(_))), "{:?}", kinds(&outcomes));
    prints(&appliance, &["queue", "list"], 2);
    let mut shown = String::new();
    for ticket in outcomes.tickets() {
        let lines = 8 + 26 * ticket.positions().len();
        shown.push_str(&prints(&appliance, &["queue", "show", &ticket.id().to_string()], lines));
    }
    stands_escaped_and_marked("show", &shown);
    prints(&appliance, &["status"], 40);
    prints(&appliance, &["escalation", "list"], 20);
    reopen(&appliance);
    assert!(appliance.stop(), "it stops");
    prints(&appliance, &["log", "show"], 60);
}

#[test]
fn whoever_approves_sees_it_escaped_and_marked() {
    let (mut appliance, agent) = open_shop("");
    hold_transfers(&appliance);
    let (mut shown, mut to_sign) = (String::new(), String::new());
    for intent in transfers() {
        let outcomes = agent.preauthorize(&[intent]);
        assert!(matches!(outcomes.at(0), Some(Outcome::AwaitingApproval(_))), "{:?}", kinds(&outcomes));
        let [ticket] = outcomes.tickets().try_into().expect("one ticket");
        let id = ticket.id().to_string();
        shown.push_str(&prints(&appliance, &["approval", "show", &id], 40));
        // What is to be signed is a statement of ours, beside the hold on standard error.
        to_sign.push_str(&prints(&appliance, &["approval", "approve", &id], 40));
    }
    for (what, told) in [("show", &shown), ("approve", &to_sign)] {
        stands_escaped_and_marked(what, told);
    }
    prints(&appliance, &["approval", "list"], 10);
    prints(&appliance, &["escalation", "list"], 20);
    assert!(appliance.stop(), "it stops");
    prints(&appliance, &["log", "show"], 60);
}
