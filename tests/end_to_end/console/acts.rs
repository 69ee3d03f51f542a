//! Break-glass by page: a warrant that several sign, its use, its end, and the review of somebody who signed nothing of it.

use assent_client::batch::Batch;
use serde_json::{Value, json};

use super::browser::Tab;
use super::site::Site;
use crate::break_glass::wishing;
use crate::queue::{close, queueable, reopen};
use crate::support::agent::batch_id;
use crate::support::{assent, eventually};

/// A charter for cancellations whose warrants two of these must sign, ordered by alice and bob.
fn charter(site: &Site, operators: &[String]) {
    let folder = site.appliance.folder.path();
    let text = format!(
        "name = \"orders\"\nactions = ['Retail::Action::\"cancel_pending_order\"']\ncategories = [\"services.desk\"]\n\
         resources = [\"Retail::Order\"]\nclosed = \"0s\"\nwindow = \"1h\"\nuses = 3\noperators = {operators:?}\nthreshold = 2\n\
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

/// Has an agent use the warrant once.
fn used(site: &Site) {
    let batch = Batch::new(batch_id(), &wishing(queueable(1))).expect("a batch");
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
    let lines: Vec<String> =
        tabs.iter().map(|(name, tab)| format!("{} {name}", site.enrol(tab, name))).collect();
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
    assert_eq!(ann.value("document.documentElement.scrollWidth <= innerWidth"), true, "too wide for a phone");
    let ended = site.act(ann, "button.act.danger.ask-reason", Some("enough"), "the warrant has ended");
    assert!(ended.contains("\nwarrant ") && ended.contains("reason enough"), "{ended}");
    assert_eq!(site.appliance.status().expect("it answers").break_glass.warrant.map(|_| ()), None);
    reopen(&site.appliance);

    // Whoever signed it is no reviewer of it; ben is, and finds it wrong.
    eve.goto(&site.at("/breakglass"));
    refused_review(&site, eve);
    ben.goto(&site.at("/breakglass"));
    let found = site.act(ben, "button.act.danger.ask-text", Some("nobody waited"), "it is in the log");
    assert!(found.starts_with("assent/review/v1") && found.contains("nobody waited"), "{found}");
    ben.wait("it is shown", "document.querySelector('#live').innerText.includes('reviewed at')");
    assert_eq!(site.appliance.status().expect("it answers").break_glass.reviews_open, 0);
    for (name, tab) in &tabs {
        // The one refusal is eve's review.
        let problems: Vec<String> =
            tab.problems().into_iter().filter(|problem| !problem.contains("422")).collect();
        assert_eq!(problems, Vec::<String>::new(), "{name}");
    }

    let report = site.appliance.stop_and_verify_log();
    told_by_the_log(&site, &report);
}

fn refused_review(site: &Site, eve: &Tab) {
    eve.wait("the use", "document.querySelector('button.act.ask-text')");
    let wish = eve.value("JSON.parse(document.querySelector('button.act.good.ask-text').dataset.wish)");
    let leaf = wish["leaf"].clone();
    let now = site.appliance.status().expect("it answers").now_ms;
    let wish = json!({"act": "review", "leaf": leaf, "justified": true, "text": "it was right"});
    let asked = json!({"wish": wish, "shown": "", "heard_ms": now});
    let begun = eve.post("/act/begin", &asked);
    // The statement may be had; nothing that eve signs over it is taken.
    if begun["kind"].is_null() {
        let told = "document.getElementById('told')";
        eve.click("button.act.good.ask-text");
        eve.wait("the text is asked for", "document.querySelector('#reason[open]')");
        eve.value("document.getElementById('reason-text').value = 'it was right'");
        eve.click("#reason-go");
        eve.wait("the statement", "document.querySelector('#statement[open]')");
        eve.click("#sign");
        eve.wait("it is refused", &format!("{told}.classList.contains('bad') && !{told}.hidden"));
    }
    assert_eq!(site.appliance.status().expect("it answers").break_glass.reviews_open, 1, "{begun}");
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
