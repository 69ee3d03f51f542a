//! What an agent names in disguise: the name of an action or a resource that holds what does not print stands escaped wherever
//! people meet it, and marked.

use super::browser::Tab;
use super::site::Site;
use crate::approvals::{FACTS, load};
use crate::queue::waiting;
use crate::support::agent::retail;
use crate::support::assent;

/// Has the bundle hold what is asked of products, whose names are the agent's own text, until eve's key approves.
fn hold_lookups(site: &Site, line: &str) {
    site.hold_cancellations(line);
    let bundle = site.appliance.folder.path().join("bundle");
    let catalog = std::fs::read_to_string(bundle.join("catalog.cedarschema")).expect("the catalog");
    let (before, rest) = catalog.split_once("action get_product_details").expect("the action");
    let rest = rest.replacen("user: User,", &format!("user: User,\n      {FACTS}"), 1);
    let catalog = format!("{before}@queue(\"15m\")\n  action get_product_details{rest}");
    std::fs::write(bundle.join("catalog.cedarschema"), catalog).expect("a catalog");
    let policies = bundle.join("policies/approvals.cedar");
    let policy = std::fs::read_to_string(&policies).expect("the policy");
    let held = "Retail::Action::\"transfer_to_human_agents\"";
    let policy = policy.replace(held, &format!("{held}, Retail::Action::\"get_product_details\""));
    std::fs::write(policies, policy).expect("a policy");
    load(&site.appliance);
}

#[test]
fn a_resource_that_is_not_called_what_it_looks_like_is_marked_wherever_people_meet_it() {
    let site = Site::open();
    let tab = Tab::open();
    let line = site.enrol(&tab, "eve");
    hold_lookups(&site, &line);
    let mut intents = retail().into_iter();
    let asked = intents.find(|intent| intent.action.id == "get_product_details").expect("the sample has one");
    let mut asked = waiting([asked]).remove(0);
    site.hold(&asked);
    asked.resource.id = "16563670\u{202e}82".to_owned();
    let id = site.hold(&asked).id().to_string();

    let (code, hold, talk) = assent(Some(&site.appliance.config()), &["approval", "show", &id, "-o", "json"]);
    assert_eq!(code, 0, "{talk}");
    let hold: serde_json::Value = serde_json::from_str(&hold).expect("JSON");
    let leaf = &hold["hold"]["hold"];
    for words in [["approval", "show", &id], ["queue", "show", &id]] {
        let (code, shown, talk) = assent(Some(&site.appliance.config()), &words);
        assert_eq!(code, 0, "{talk}");
        assert!(shown.contains("ESCAPED    1 text holds"), "{words:?}: {shown}");
    }

    site.log_in(&tab);
    let in_row = "[data-what=Resource] .marked";
    let pages = [
        ("/holds", in_row),
        ("/queue", in_row),
        (&*format!("/holds/{id}"), "section p.warn .marked"),
        (&*format!("/holds/{id}"), "[data-what=Now] .marked"),
        (&*format!("/queue/{id}"), "section p.warn .marked"),
        ("/log?kind=hold", "[data-what=What] .marked"),
        (&*format!("/log/{leaf}"), "section p.warn .marked"),
    ];
    for (path, mark) in pages {
        tab.goto(&site.at(path));
        tab.wait("it is shown", "document.querySelector('main').textContent.includes('u{202e}')");
        let marked = tab.value(&format!("document.querySelectorAll('{mark}').length"));
        assert_eq!(marked, 1, "{path} marks it and not the other: {}", tab.text("main"));
    }
}
