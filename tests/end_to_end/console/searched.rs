//! The log is searched for what its pages show: names as they stand there, and tickets.

use super::browser::Tab;
use super::site::Site;
use crate::queue::queueable;

#[test]
fn a_search_finds_what_a_page_shows_and_the_hold_of_a_ticket_and_tells_kinds_that_there_are_not() {
    let site = Site::open();
    let tab = Tab::open();
    let line = site.enrol(&tab, "eve");
    site.hold_cancellations(&line);
    let [asked, other] = queueable(2).try_into().expect("two");
    let (ticket, _) = (site.hold(&asked), site.hold(&other));
    site.log_in(&tab);
    let search = |kind: &str, text: &str| {
        let text = tab.value(&format!("encodeURIComponent({text:?})"));
        let text = text.as_str().expect("a text");
        tab.goto(&site.at(&format!("/log?kind={kind}&text={text}")));
        tab.text("main")
    };
    let hits =
        || tab.value("[...document.querySelectorAll('td[data-what=Kind]')].map((td) => td.textContent)");

    let named = asked.resource.to_string();
    assert!(search("hold", &named).contains(&named), "{}", tab.text("main"));
    assert!(hits().as_array().is_some_and(|hits| !hits.is_empty()), "{named}: {}", tab.text("main"));
    search("", &ticket.id().to_string());
    assert_eq!(hits(), serde_json::json!(["hold"]), "{}", tab.text("main"));
    let told = search("holds", "");
    assert!(told.contains("There is no kind holds: the kinds are allow, deny, hold"), "{told}");
    assert_eq!(hits(), serde_json::json!([]), "{told}");
}
