//! What changes while a person looks, reads a statement or signs it: it is refused, and the page says so; what is the same stays
//! as they left it.

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::browser::Tab;
use super::site::Site;
use crate::queue::{close, queueable, reopen};
use crate::support::assent;

#[test]
fn a_statement_that_stands_open_is_signed_only_while_the_page_is_heard_and_the_hold_is_as_it_was() {
    let mut site = Site::open();
    let tab = Tab::open();
    let line = site.enrol(&tab, "eve");
    site.hold_cancellations(&line);
    let ticket = site.hold(&queueable(1)[0]);
    site.log_in(&tab);
    tab.goto(&site.at(&format!("/holds/{}", ticket.id())));
    tab.click("button.act.good");
    tab.wait("the statement", "document.querySelector('#statement[open]')");
    let process = site.appliance.process();
    kill_process(process, Signal::STOP).expect("it can be stopped");
    tab.wait("stale", "!document.getElementById('stale').hidden");
    assert_eq!(tab.value("document.getElementById('sign').disabled"), true);
    kill_process(process, Signal::CONT).expect("it goes on");
    tab.wait("heard again", "document.getElementById('stale').hidden");
    assert_eq!(tab.value("document.getElementById('sign').disabled"), false);
    let late = tab.post("/act/finish", &json!({"mark": "any", "response": {}, "heard_ms": 1}));
    assert_eq!(late["kind"], "stale", "{late}");

    // Meanwhile it waits no longer: what was read is not what would be signed.
    let words = ["queue", "cancel", &ticket.id().to_string(), "--reason", "meanwhile"];
    let (code, _, talk) = assent(Some(&site.appliance.config()), &words);
    assert_eq!(code, 0, "{talk}");
    tab.click("#sign");
    tab.wait("it is refused", "document.querySelector('#told.bad')?.textContent");
    assert_eq!(tab.value("document.querySelectorAll('button.act').length"), 0, "the page is loaded anew");
    let report = site.appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["approval"].as_u64().unwrap_or_default(), 0, "{report}");
}

#[test]
fn a_ticket_is_withdrawn_only_as_it_was_shown() {
    let mut site = Site::open();
    let (tab, other) = (Tab::open(), Tab::open());
    let line = site.enrol(&tab, "eve");
    site.enrol(&other, "max");
    site.hold_cancellations(&line);
    let ticket = site.hold(&queueable(1)[0]);
    close(&site.appliance);
    site.log_in(&tab);
    site.log_in(&other);
    let id = ticket.id().to_string();
    // It awaits approval as both look; then one approves, and it waits for the boundary.
    other.goto(&site.at(&format!("/queue/{id}")));
    tab.goto(&site.at("/queue"));
    tab.wait("it is listed", "document.querySelector('button.act')");
    let in_row = tab.value("document.querySelector('button.act').dataset.shown");
    let shown = other.value("document.querySelector('button.act').dataset.shown");
    assert!(shown.as_str().is_some_and(|mark| !mark.is_empty()) && in_row == shown, "{shown} {in_row}");
    let begin = || {
        other.click("button.act.ask-reason");
        other.wait("the reason is asked for", "document.querySelector('#reason[open]')");
        other.value("document.getElementById('reason-text').value = 'as it was'");
        other.click("#reason-go");
    };
    begin();
    other.wait("the statement", "document.querySelector('#statement[open]')");
    site.answer(&tab, &ticket, "good", "approved, at leaf");
    other.click("#sign");
    let told = "document.querySelector('#told.bad')?.textContent.includes('changed since you looked')";
    other.wait("it is refused", told);
    let state = other.text("main");
    assert!(state.contains("approved") && !state.contains("awaiting approval"), "{state}");
    let marked = other.value("[...document.querySelectorAll('.changed')].map((e) => e.textContent).join()");
    assert!(marked.as_str().is_some_and(|text| text.contains("eve")), "what is new is marked: {marked}");

    // Neither begins what another state showed; as it is shown now it is withdrawn.
    let now = site.appliance.status().expect("it answers").now_ms;
    let wish = json!({"act": "cancel", "ticket": id, "reason": "as it was"});
    for mark in [&shown, &json!("")] {
        let told = other.post("/act/begin", &json!({"wish": wish, "shown": mark, "heard_ms": now}));
        assert_eq!(told["kind"], "changed", "{mark}: {told}");
    }
    site.act(&other, "button.act.ask-reason", Some("as it is"), "is withdrawn");
    reopen(&site.appliance);
    site.appliance.stop_and_verify_log();
    let acts = site.entries("operator");
    assert!(acts.iter().all(|entry| !entry.to_string().contains("as it was")), "{acts:?}");
    assert!(acts.iter().any(|entry| entry.to_string().contains("as it is")), "{acts:?}");
}

#[test]
fn what_is_refused_leaves_no_leaf_and_what_is_live_leaves_the_keyboard_where_it_is() {
    let mut site = Site::open();
    let tab = Tab::open();
    site.enrol(&tab, "eve");
    site.log_in(&tab);
    close(&site.appliance);
    // A batch each, and so a ticket.
    for intent in &queueable(2) {
        let _ = site.agent.preauthorize(std::slice::from_ref(intent));
    }
    tab.goto(&site.at("/queue"));
    tab.wait("two wait", "document.querySelectorAll('button.act').length === 2");
    let now = site.appliance.status().expect("it answers").now_ms;
    let wish = json!({"act": "end_warrant", "leaf": 1, "reason": "another one"});
    let told = tab.post("/act/begin", &json!({"wish": wish, "shown": "", "heard_ms": now}));
    assert_eq!(told["kind"], "changed", "there is no warrant of that leaf: {told}");

    // A row that goes leaves the others, and the one that has the keyboard, as they are.
    tab.value("[...document.querySelectorAll('button.act')].at(-1).focus()");
    let focused = tab.value("document.activeElement.dataset.wish");
    let gone = tab.value("JSON.parse(document.querySelector('button.act').dataset.wish).ticket");
    let words = ["queue", "cancel", gone.as_str().expect("a ticket"), "--reason", "one less"];
    let (code, _, talk) = assent(Some(&site.appliance.config()), &words);
    assert_eq!(code, 0, "{talk}");
    tab.wait("one is left", "document.querySelectorAll('button.act').length === 1");
    assert_eq!(tab.value("document.activeElement.dataset.wish"), focused);

    // Withdrawn by somebody else while the statement stands open.
    tab.click("button.act.ask-reason");
    tab.wait("the reason is asked for", "document.querySelector('#reason[open]')");
    tab.value("document.getElementById('reason-text').value = 'mine'");
    tab.click("#reason-go");
    tab.wait("the statement", "document.querySelector('#statement[open]')");
    let statement = tab.text("#statement-text");
    assert!(statement.contains("\nintent ") && statement.contains("\nagent spiffe://"), "{statement}");
    let left: serde_json::Value = serde_json::from_str(focused.as_str().expect("a wish")).expect("JSON");
    let words = ["queue", "cancel", left["ticket"].as_str().expect("a ticket"), "--reason", "theirs"];
    let (code, _, talk) = assent(Some(&site.appliance.config()), &words);
    assert_eq!(code, 0, "{talk}");
    tab.click("#sign");
    tab.wait("it is refused", "document.querySelector('#told.bad')?.textContent");
    reopen(&site.appliance);
    site.appliance.stop_and_verify_log();
    let acts = site.entries("operator");
    assert!(acts.iter().all(|entry| !entry.to_string().contains("mine")), "{acts:?}");
}
