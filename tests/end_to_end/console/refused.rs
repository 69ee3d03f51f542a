//! Requests that no page makes: each is refused in the console's own words, as a document or as a page, and never in those of the
//! libraries that could not read it.

use serde_json::{Value, json};

use super::browser::Tab;
use super::site::Site;

/// What is answered: the status, the form, and the text.
fn answered(tab: &Tab, path: &str, request: &Value) -> (u64, String, String) {
    let told = tab.value(&format!(
        "fetch({path:?}, {request}).then((r) => r.text().then((t) => [r.status, r.headers.get('content-type'), t]))"
    ));
    let text = |at: usize| told[at].as_str().unwrap_or_default().to_owned();
    (told[0].as_u64().unwrap_or_default(), text(1), text(2))
}

#[test]
fn what_cannot_be_read_is_refused_in_the_consoles_own_words() {
    let site = Site::open();
    let tab = Tab::open();
    tab.goto(&site.at("/login"));
    let (status, _, text) = answered(&tab, "/events", &json!({}));
    assert!(status == 401 && text.contains("no_session"), "{status} {text}");
    site.enrol(&tab, "eve");
    site.log_in(&tab);
    for path in ["/events", "/events?page", "/events?page=nowhere", "/events?page=%ff"] {
        let (status, form, text) = answered(&tab, path, &json!({}));
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(
            (status, &*form, told["kind"].as_str()),
            (400, "application/json", Some("not_understood")),
            "{path}: {text}"
        );
        let theirs = ["variant", "deserialize", "missing field", "nowhere", "UTF-8"];
        assert!(theirs.iter().all(|word| !text.contains(word)), "{path}: {text}");
    }
    for path in ["/log/first", "/log/-1/proof", "/drills/x", "/breakglass/99999999999999999999", "/holds/%ff"]
    {
        let (status, form, text) = answered(&tab, path, &json!({}));
        assert!(
            status == 404 && form.starts_with("text/html") && text.contains("There is no such page"),
            "{path}: {status} {form} {text}"
        );
    }
    let token = tab.value("document.querySelector('main').dataset.csrf");
    for body in ["", "{", "{\"wish\":{\"act\":\"nothing\"}}"] {
        let request = json!({"method": "POST", "headers": {"x-csrf": token}, "body": body});
        for path in ["/act/begin", "/act/finish"] {
            let (status, _, text) = answered(&tab, path, &request);
            assert!(status == 400 && text.contains("not_understood"), "{path} {body}: {status} {text}");
        }
    }
    assert!(tab.problems().iter().all(|problem| problem.contains("the server responded with a status of 4")));
}
