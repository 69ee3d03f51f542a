//! What is signed is what is read: statements are shown in their own lines, with all that they hold, and no reason hides anything.

use serde_json::json;

use super::acts::charter;
use super::browser::Tab;
use super::site::Site;
use crate::operators::{inject, is_closed_for_operators};
use crate::queue::{close, queueable, reopen};
use crate::support::eventually;

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
    let shown = tab.value("document.querySelector('button.act').dataset.shown");
    let begin = |reason: &str| {
        let now = site.appliance.status().expect("it answers").now_ms;
        let wish = json!({"act": "cancel", "ticket": ticket, "reason": reason});
        tab.post("/act/begin", &json!({"wish": wish, "shown": shown, "heard_ms": now}))
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

#[test]
fn a_signature_by_a_key_that_is_not_listed_is_refused_and_what_waits_for_another_is_told_with_its_end() {
    let mut site = Site::open();
    let (eve, mut other) = (Tab::open(), Tab::open());
    let lines = [("eve", &eve), ("ann", &other)].map(|(name, tab)| site.enrol(tab, name));
    // The third of the charter need not sign, and is here only so that somebody could review.
    other.take_authenticator();
    let max = site.enrol(&other, "max");
    charter(&site, &[lines.as_slice(), &[max]].concat());
    site.staff(&lines);

    // Ben may sign warrants, but none under this charter.
    close(&site.appliance);
    other.take_authenticator();
    site.enrol(&other, "ben");
    site.log_in(&other);
    other.goto(&site.at("/breakglass"));
    site.act(&other, "button.act.ask-reason", Some("customers wait"), "is not listed for this");
    assert!(!other.text("#live").contains("signed by ben"), "{}", other.text("#live"));
    other.click("form.who button");
    other.wait("logged out", "location.pathname === '/login'");
    reopen(&site.appliance);

    // And max may order re-arm where he is listed, and is not here.
    inject(&site.appliance, "corrupt --times 1");
    eventually("it is closed for operators", || is_closed_for_operators(&site.appliance).then_some(()));
    other.take_authenticator();
    site.enrol(&other, "max");
    site.log_in(&other);
    let told = "is not listed for this; the keys of eve, ann are";
    site.act(&other, "button.act.danger", None, told);
    assert!(!other.text("#live").contains("igned by"), "{}", other.text("#live"));

    site.log_in(&eve);
    site.act(&eve, "button.act.danger", None, "your signature is kept");
    other.goto(&site.at("/"));
    let waits = "document.querySelector('.attention a[href=\"/breakglass\"]')?.innerText";
    other.wait("it needs people", &format!("{waits}?.includes('1 statement waits for more signatures')"));
    let signed = other.text("#live p.signed");
    assert!(signed.contains("Signed by eve") && signed.contains(" left)"), "{signed}");
    other.picture("rearm-waits");
    other.goto(&site.at("/breakglass"));
    let card = other.text("#live article.card");
    assert!(
        card.contains("signed by eve") && card.contains("waits until") && card.contains(" left)"),
        "{card}"
    );
    let problems = other.problems();
    assert!(problems.iter().all(|problem| problem.contains("422")), "{problems:?}");
}
