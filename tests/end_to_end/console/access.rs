//! Every page of the console as people meet it who see little, or hear it read: axe-core finds nothing serious on any, in the
//! light, in the dark, and on a phone.
//!
//! axe-core runs in a world of its own ([`Tab::apart`]), so the console's policy stands as it is.

use assent_client::Intent;
use assent_proto::entry::DrillStage;
use serde_json::Value;

use super::browser::Tab;
use super::site::Site;
use crate::queue::{close, queueable, reopen};
use crate::support::{assent, eventually};

/// What npm has as `axe-core`; its licence lies beside it.
const AXE: &str = include_str!("../../axe/axe.min.js");
/// Findings by those who must not find any.
const RUN: &str = "axe.run(document, {resultTypes: ['violations']}).then((told) => told.violations
    .filter((found) => found.impact === 'serious' || found.impact === 'critical')
    .map((found) => `${found.impact} ${found.id}: ${found.help}: ` + found.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(' | ')))";

/// What is serious or critical about what stands there now.
fn findings(tab: &Tab) -> Vec<String> {
    let Value::Array(found) = tab.apart(AXE, RUN) else { panic!("axe-core says nothing") };
    found.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
}

/// The ways in which each page is looked at: a name, whether it is dark, and the width of a phone.
const WAYS: [(&str, bool, bool); 4] =
    [("light", false, false), ("dark", true, false), ("phone", false, true), ("dark phone", true, true)];

/// Looks at what stands there, in each of these ways: what is wrong with it, and pictures.
pub(super) fn look(tab: &Tab, what: &str, all: &mut Vec<String>) {
    for (way, dark, phone) in WAYS {
        tab.set_dark(dark);
        let width = if phone { 390 } else { 1280 };
        tab.set_width(width, phone);
        all.extend(findings(tab).into_iter().map(|line| format!("{what}, {way}: {line}")));
        // Not `innerWidth`: a phone looks at what is too wide from further away.
        if tab.value(&format!("document.documentElement.scrollWidth <= {width}")) != true {
            all.push(format!("{what}, {way}: wider than the window"));
        }
        tab.picture(&format!(
            "seen-{}-{}",
            what.trim_matches('/').replace(['/', '?', '='], "-"),
            way.replace(' ', "-")
        ));
    }
    tab.set_dark(false);
    tab.set_width(1280, false);
}

/// Has the log say that a drill began or ended.
fn mark(site: &Site, stage: DrillStage) {
    let told = appliance::control::mark_drill(&site.appliance.data(), "HSM gone for a while", stage);
    assert!(told.expect("it answers"));
}

#[test]
fn axe_core_finds_what_is_wrong_with_a_page() {
    let tab = Tab::open();
    tab.goto("data:text/html,<html><body><img src=x><input><p style='color:%23ccc'>faint</p></body></html>");
    let found = findings(&tab).join("\n");
    for rule in ["critical image-alt", "critical label", "serious color-contrast", "serious html-has-lang"] {
        assert!(found.contains(rule), "{rule}: {found}");
    }
}

#[test]
fn no_page_of_the_console_has_a_serious_finding_in_the_light_the_dark_or_on_a_phone() {
    let mut site = Site::open();
    let tab = Tab::open();
    let mut all = Vec::new();
    tab.goto(&site.at("/login"));
    look(&tab, "/login", &mut all);
    let (code, out, talk) = assent(Some(&site.appliance.config()), &["operator", "invite", "vic"]);
    assert_eq!(code, 0, "{talk}");
    tab.goto(out.trim());
    look(&tab, "/enrol", &mut all);
    let line = site.enrol(&tab, "eve");
    look(&tab, "/enrolled", &mut all);
    site.hold_cancellations(&line);
    let orders = queueable(3);
    let (first, second) = (site.hold(&orders[0]), site.hold(&orders[1]));
    site.log_in(&tab);
    site.answer(&tab, &first, "good", "approved, at leaf");
    look(&tab, "approved", &mut all);
    tab.goto(&site.at("/evidence"));
    tab.click("form[action='/evidence/verify'] button");
    tab.wait("it is verified", "document.querySelector('#verification[data-verified=true]')");
    for path in
        ["/evidence", "/evidence/report", "/policy", "/log", "/log?kind=approval", "/log/3", "/nowhere"]
    {
        tab.goto(&site.at(path));
        look(&tab, path, &mut all);
    }
    tab.goto(&site.at(&format!("/holds/{}", second.id())));
    look(&tab, "hold", &mut all);
    tab.click("button.act.danger");
    tab.wait("the statement", "document.querySelector('#statement[open]')");
    look(&tab, "statement", &mut all);
    tab.click("#leave");
    let transfers = crate::hostile::transfers();
    let longest =
        transfers.iter().max_by_key(|intent| serde_json::to_string(intent).map_or(0, |text| text.len()));
    let third = site.hold(longest.expect("one of them"));
    tab.goto(&site.at(&format!("/holds/{}", third.id())));
    look(&tab, "long hold", &mut all);
    look_at_a_drill(&site, &tab, &transfers, &mut all);
    assert!(all.is_empty(), "{}", all.join("\n"));
    site.appliance.stop_and_verify_log();
}

/// An outage within a drill, and what the pages say of it then and later.
fn look_at_a_drill(site: &Site, tab: &Tab, transfers: &[Intent], all: &mut Vec<String>) {
    mark(site, DrillStage::Begun);
    close(&site.appliance);
    let _ = site.agent.preauthorize(&transfers[..1]);
    eventually("it is told closed", || {
        site.appliance.status().filter(|status| !status.boundaries.token.open).map(|_| ())
    });
    for path in ["/", "/holds", "/queue", "/breakglass", "/escalations"] {
        tab.goto(&site.at(path));
        look(tab, path, all);
    }
    tab.goto(&site.at("/queue"));
    tab.click("tr[data-ticket] a");
    tab.wait("what waits, in full", "document.querySelector('main pre')");
    look(tab, "ticket", all);
    tab.value("document.getElementById('stale').hidden = false");
    look(tab, "stale", all);
    reopen(&site.appliance);
    let _ = site.agent.preauthorize(&transfers[1..2]);
    mark(site, DrillStage::Ended);
    eventually("the end of the drill is in the log", || {
        tab.goto(&site.at("/drills"));
        tab.click("main tbody td:last-child a");
        tab.wait("the drill", "document.querySelector('ol.timeline')");
        tab.text("ol.timeline").contains("it ended").then_some(())
    });
    let told = tab.text("main");
    for what in
        ["HSM gone for a while", "it began", "trip", "rearm", "cause device_removed", "token boundary closed"]
    {
        assert!(told.contains(what), "{what}: {told}");
    }
    assert_eq!(tab.value("document.querySelectorAll('.drill rect.closed').length"), 1);
    look(tab, "drill", all);
    tab.goto(&site.at("/drills"));
    let told = tab.text("main");
    assert!(told.contains("assent drill run --live") && told.contains("scratch appliances"), "{told}");
    look(tab, "/drills", all);
}
