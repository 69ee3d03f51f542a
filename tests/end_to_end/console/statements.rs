//! What is signed is what is read: statements are shown in their own lines, with all that they hold, and no reason hides anything.

use serde_json::json;

use super::browser::Tab;
use super::site::Site;
use crate::queue::{close, queueable};

#[test]
fn a_statement_is_shown_by_its_lines_and_a_reason_that_hides_something_is_refused() {
    let mut site = Site::open();
    let tab = Tab::open();
    site.enrol(&tab, "eve");
    site.log_in(&tab);
    close(&site.appliance);
    let _ = site.agent.preauthorize(&queueable(1));
    tab.goto(&site.at("/queue"));
    tab.wait("one waits", "document.querySelector('button.act')");
    let ticket = tab.value("JSON.parse(document.querySelector('button.act').dataset.wish).ticket");
    let begin = |reason: &str| {
        let now = site.appliance.status().expect("it answers").now_ms;
        let wish = json!({"act": "cancel", "ticket": ticket, "reason": reason});
        tab.post("/act/begin", &json!({"wish": wish, "shown": "", "heard_ms": now}))
    };
    for hidden in ["paid \u{202e}000,1", "down\u{2028}ticket another", "a\u{200b}b"] {
        let told = begin(hidden);
        let why = told["error"].as_str().unwrap_or_default();
        assert!(why.contains("does not print") && why.is_ascii(), "{hidden:?}: {told}");
    }
    let begun = begin("down\\nticket another");
    let lines: Vec<&str> =
        begun["lines"].as_array().expect("lines").iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(format!("{}\n", lines.join("\n")), begun["statement"], "{begun}");
    assert!(lines.contains(&"reason down\\nticket another"), "{begun}");

    // The dialog shows what the server says is to be shown, and nothing raw.
    tab.value(
        "(() => { const real = window.fetch; window.fetch = async (...asked) => {
            const answer = await (await real(...asked)).json();
            answer.statement = 'raw \\u202e';
            answer.lines[2] = { text: 'reason \\\\u{202e}000,1', is_marked: true };
            return new Response(JSON.stringify(answer));
        }; })()",
    );
    tab.click("button.act.ask-reason");
    tab.wait("the reason is asked for", "document.querySelector('#reason[open]')");
    tab.value("document.getElementById('reason-text').value = 'mistaken'");
    tab.click("#reason-go");
    tab.wait("the statement", "document.querySelector('#statement[open]')");
    let shown = tab.text("#statement-text");
    assert_eq!(shown.lines().nth(2), Some("reason \\u{202e}000,1"), "{shown}");
    assert!(shown.is_ascii() && shown.lines().count() == lines.len(), "{shown}");
    assert_eq!(tab.text("#statement-text .marked"), "reason \\u{202e}000,1");
    assert!(tab.text("#statement-marked").contains("written out"));
    tab.picture("statement-marked");
    tab.click("#leave");
    site.appliance.stop_and_verify_log();
    assert_eq!(site.entries("operator").iter().filter(|entry| entry["act"] == "cancel-ticket").count(), 0);
}
