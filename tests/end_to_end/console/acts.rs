//! Break-glass by page: a warrant that several sign, its use, its end, and the review of somebody who signed nothing of it.

use assent_client::batch::Batch;
use serde_json::{Value, json};

use super::access::look;
use super::browser::Tab;
use super::site::Site;
use crate::break_glass::wishing;
use crate::hostile::transfers;
use crate::queue::{close, reopen};
use crate::support::agent::batch_id;
use crate::support::{assent, eventually};

/// A charter for cancellations whose warrants two of these must sign, ordered by alice and bob.
pub(super) fn charter(site: &Site, operators: &[String]) {
    let folder = site.appliance.folder.path();
    let text = format!(
        "name = \"orders\"\nactions = ['Retail::Action::\"cancel_pending_order\"']\ncategories = [\"services.desk\"]\n\
         resources = [\"Retail::Order\", \"Retail::Store\"]\nclosed = \"0s\"\nwindow = \"1h\"\nuses = 3\noperators = {operators:?}\nthreshold = 2\n\
         not_after = \"90d\"\n"
    );
    let file = folder.join("orders.toml");
    std::fs::write(&file, text).expect("a file");
    let key = |name: &str| folder.join(name).display().to_string();
    let (file, alice, bob) = (file.display().to_string(), key("alice"), key("bob"));
    let words = ["breakglass", "charter", "create", &file, "--key", &alice, "--key", &bob];
    let (code, out, talk) = assent(Some(&site.appliance.config()), &words);
    assert_eq!(code, 0, "{out}{talk}");
}

/// What a reviewer must not be misled by.
const SUMMARY: &str = "<b>approved by ann</b> refund \u{202e}000,1\u{202c} EUR";

/// Has an agent use the warrant once, for something whose text is the agent's own.
fn used(site: &Site) {
    let mut intent = transfers().swap_remove(0);
    intent.context.insert("summary".to_owned(), assent_client::Value::String(SUMMARY.to_owned()));
    let batch = Batch::new(batch_id(), &wishing([intent])).expect("a batch");
    site.agent.reply(&batch);
    eventually("the use is counted", || {
        let warrant = site.appliance.status()?.break_glass.warrant?;
        (warrant.used == 1).then_some(())
    });
}

#[test]
fn a_warrant_is_signed_by_two_used_ended_and_reviewed_by_a_third_each_by_passkey() {
    let mut site = Site::open();
    let tabs = [("eve", Tab::open()), ("ann", Tab::open()), ("ben", Tab::open())];
    let lines: Vec<String> = tabs.iter().map(|(name, tab)| site.enrol(tab, name)).collect();
    charter(&site, &lines);
    let [(_, eve), (_, ann), (_, ben)] = &tabs;
    tabs.iter().for_each(|(_, tab)| site.log_in(tab));
    close(&site.appliance);

    // One signature is none; the second is given over the statement that the first was.
    eve.goto(&site.at("/breakglass"));
    let asked = site.act(eve, "button.act.ask-reason", Some("customers wait"), "your signature is kept");
    assert!(asked.starts_with("assent/warrant/v1") && asked.contains("customers wait"), "{asked}");
    assert!(site.appliance.status().expect("it answers").break_glass.warrant.is_none());
    ann.goto(&site.at("/breakglass"));
    ann.wait("what eve signed", "document.querySelector('#live').innerText.includes('signed by eve')");
    ann.picture("break-glass");
    assert_eq!(site.act(ann, "button.act.danger", None, "the warrant lives"), asked);
    used(&site);
    ann.goto(&site.at("/breakglass"));
    ann.wait("the use", "document.querySelector('#live').innerText.includes('1 of 3')");
    ann.picture("warrant");
    ann.set_width(390, true);
    ann.set_dark(true);
    ann.picture("phone-warrant");
    assert_eq!(ann.value("document.documentElement.scrollWidth <= 390"), true, "too wide for a phone");
    let ended = site.act(ann, "button.act.danger.ask-reason", Some("enough"), "the warrant has ended");
    assert!(ended.contains("\nwarrant ") && ended.contains("reason enough"), "{ended}");
    assert_eq!(site.appliance.status().expect("it answers").break_glass.warrant.map(|_| ()), None);
    reopen(&site.appliance);

    // Whoever signed it is no reviewer of it; ben is, and finds it wrong.
    refused_review(&site, eve);
    review(&site, ben);
    for (name, tab) in &tabs {
        // The refusals are eve's review, and one of a page that shows something else.
        let refused = |problem: &String| problem.contains("422") || problem.contains("409");
        let problems: Vec<String> =
            tab.problems().into_iter().filter(|problem| name != &"eve" || !refused(problem)).collect();
        assert_eq!(problems, Vec::<String>::new(), "{name}");
    }

    let report = site.appliance.stop_and_verify_log();
    told_by_the_log(&site, &report);
}

/// Goes from the overview to the use that is to be reviewed, and by its row to its page: its leaf.
fn follow(site: &Site, tab: &Tab) -> u64 {
    tab.goto(&site.at("/"));
    tab.wait("it needs people", "document.querySelector('.attention a[href=\"/breakglass\"]')");
    assert!(tab.text(".attention").contains("1 use of a warrant is to be reviewed"));
    tab.click(".attention a[href='/breakglass']");
    tab.wait("its row", "document.querySelector('#live td[data-what=Review] a')");
    assert_eq!(
        tab.value("document.querySelectorAll('button.ask-text').length"),
        0,
        "nobody signs what a row says"
    );
    tab.click("#live td[data-what=Review] a");
    tab.wait("its page", "document.querySelector('main button.act.good.ask-text')");
    let path = tab.value("location.pathname");
    let leaf = path.as_str().and_then(|path| path.strip_prefix("/breakglass/")?.parse().ok());
    leaf.unwrap_or_else(|| panic!("no leaf in {path}"))
}

/// Eve signed the warrant: the page shows her the use, and nothing that she signs over it is taken.
fn refused_review(site: &Site, eve: &Tab) {
    let leaf = follow(site, eve);
    let now = site.appliance.status().expect("it answers").now_ms;
    let wish = json!({"act": "review", "leaf": leaf, "justified": true, "text": "it was right"});
    let unseen = eve.post("/act/begin", &json!({"wish": wish, "shown": "", "heard_ms": now}));
    assert_eq!(unseen["kind"], "changed", "a page that does not show this use: {unseen}");
    eve.click("button.act.good.ask-text");
    eve.wait("the text is asked for", "document.querySelector('#reason[open]')");
    eve.value("document.getElementById('reason-text').value = 'it was right'");
    eve.click("#reason-go");
    eve.wait("the statement", "document.querySelector('#statement[open]')");
    eve.click("#sign");
    let told = "document.getElementById('told')";
    eve.wait("it is refused", &format!("{told}.classList.contains('bad') && !{told}.hidden"));
    assert_eq!(site.appliance.status().expect("it answers").break_glass.reviews_open, 1);
}

/// Ben sees all of the use, and finds it wrong.
fn review(site: &Site, ben: &Tab) {
    let leaf = follow(site, ben);
    let shown = ben.text("main");
    for what in [
        "<b>approved by ann</b> refund \\u{202e}000,1\\u{202c} EUR",
        "ESCAPED",
        "transfer_to_human_agents",
        "open-services",
        "customers wait",
        "eve, ann",
        "who did not sign the warrant (ben)",
        "orders, in force",
        "2 of eve, ann, ben",
        "alice, bob",
    ] {
        assert!(shown.contains(what), "{what}: {shown}");
    }
    assert!(!shown.contains('\u{202e}'), "it is shown as it is: {shown}");
    assert_eq!(ben.value("document.querySelectorAll('main pre b').length"), 0, "markup is text");
    let mut all = Vec::new();
    look(ben, "use", &mut all);
    let found = site.act(ben, "button.act.danger.ask-text", Some("nobody waited"), "it is in the log");
    let said: Vec<&str> = found.lines().collect();
    assert_eq!(said.first(), Some(&"assent/review/v1"), "{found}");
    assert!(said.contains(&"text nobody waited"), "{found}");
    assert!(said.contains(&&*format!("use {leaf}")), "{found}");
    ben.goto(&site.at(&format!("/breakglass/{leaf}")));
    let shown = ben.text("main");
    assert!(shown.contains("unjustified") && shown.contains("nobody waited"), "{shown}");
    assert_eq!(ben.value("document.querySelectorAll('button.act').length"), 0, "once");
    look(ben, "reviewed", &mut all);
    ben.goto(&site.at("/breakglass"));
    ben.wait("the row says so", "document.querySelector('#live').innerText.includes('reviewed at')");
    assert_eq!(site.appliance.status().expect("it answers").break_glass.reviews_open, 0);
    ben.goto(&site.at("/breakglass/1"));
    look(ben, "no-use", &mut all);
    assert_eq!(ben.text("h1"), "No such use");
    assert_eq!(all, Vec::<String>::new());
    let problems = ben.problems();
    assert!(
        problems.iter().all(|problem| problem.contains("404")),
        "only the last is not there: {problems:?}"
    );
}

/// The log holds each act with what was signed, and verifies.
fn told_by_the_log(site: &Site, report: &Value) {
    let warrant = &report["warrants"][0];
    assert_eq!(
        (&warrant["by"], &warrant["reason"]),
        (&json!(["eve", "ann"]), &json!("customers wait")),
        "{report}"
    );
    let review = &warrant["uses"][0]["review"];
    assert_eq!((&review["by"], &review["justified"]), (&json!("ben"), &json!(false)), "{report}");
    let entries = site.entries("warrant");
    let signatures = entries.first().and_then(|entry| entry["signatures"].as_array()).map(Vec::len);
    assert_eq!((entries.len(), signatures), (1, Some(2)), "{entries:?}");
    let ended = site.leaf_of("end-warrant", "ann");
    assert!(ended["statement"].as_str().is_some_and(|text| text.contains("reason enough")), "{ended}");
    assert_eq!(ended["signatures"].as_array().map(Vec::len), Some(1), "{ended}");
    assert_eq!(site.entries("review").len(), 1);
}
