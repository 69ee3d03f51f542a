//! Many tabs of one browser, and pages that were left for a while: a browser has six connections for one host, and a page that
//! nobody sees keeps none of them.

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::browser::Tab;
use super::site::Site;
use crate::queue::{close, queueable, reopen};
use crate::support::eventually;

/// Whether the overview is another than when this was asked first, as it is every second: its stream is open. A page that another
/// covers before that opens none, and has none to leave.
const CHANGED: &str = "document.querySelector('main[data-page=overview]') \
    && (window.first ??= document.body.innerText) !== document.body.innerText";
/// Streams that a page has left: one is told of by the browser once it is over.
const LEFT: &str =
    "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/events?')).length";

#[test]
fn of_eight_tabs_the_last_loads_and_acts_and_those_behind_it_hold_no_stream() {
    let site = Site::open();
    let mut tab = Tab::open();
    site.enrol(&tab, "eve");
    site.log_in(&tab);
    tab.wait("it follows", CHANGED);
    for _ in 0..7 {
        tab.open_beside(&site.at("/"));
        tab.wait("it follows", CHANGED);
    }
    for other in 0..tab.others() {
        let behind = |expression: &str| tab.value_behind(other, expression);
        assert_eq!(behind("document.hidden"), true, "tab {other}");
        eventually("its stream is closed", || (behind(LEFT) == 1).then_some(()));
    }
    let wish = json!({"act": "rearm", "revoke": false});
    let now = site.appliance.status().expect("it answers").now_ms;
    let told = tab.post("/act/begin", &json!({"wish": wish, "shown": "", "heard_ms": now}));
    assert_eq!(told["kind"], "refused", "the boundary is open, and it is said: {told}");
}

#[test]
fn a_page_that_is_shown_again_acts_only_once_it_has_heard_and_shows_what_is_so_now() {
    let site = Site::open();
    let mut tab = Tab::open();
    site.enrol(&tab, "eve");
    site.log_in(&tab);
    close(&site.appliance);
    let _ = site.agent.preauthorize(&queueable(1));
    tab.goto(&site.at("/queue"));
    tab.wait("one waits", "document.querySelector('button.act:enabled')");
    tab.open_beside(&site.at("/"));
    tab.wait("it is loaded", "document.querySelector('main[data-page=overview] .boundary')");
    eventually("its stream is closed", || (tab.value_behind(0, LEFT) == 1).then_some(()));
    let enabled = "document.querySelectorAll('button.act:enabled').length";
    assert_eq!(tab.value_behind(0, enabled), 0, "nobody acts on what is not heard of");

    // Nothing is heard while the process stands still.
    let process = site.appliance.process();
    kill_process(process, Signal::STOP).expect("it can be stopped");
    tab.wait("the one in front is stale", "!document.getElementById('stale').hidden");
    tab.turn_to(0);
    tab.wait("it is looked at", "!document.hidden");
    assert_eq!(tab.value("document.getElementById('stale').hidden"), false, "it says so");
    assert_eq!(tab.value(enabled), 0, "it has heard nothing yet");
    kill_process(process, Signal::CONT).expect("it goes on");
    tab.wait("it acts again", "document.querySelector('button.act:enabled')");

    // What was withdrawn behind its back is gone when it is looked at.
    tab.turn_to(0);
    reopen(&site.appliance);
    eventually("the drain", || (site.appliance.status()?.queue.queued == [0; 4]).then_some(()));
    tab.turn_to(0);
    tab.wait("it shows what is so now", "!document.querySelector('tr[data-ticket]')");
    tab.wait("and follows", "document.getElementById('stale').hidden");
    assert_eq!(tab.problems(), Vec::<String>::new());
}
