//! The operator console in a real browser: enrolling, looking on while a boundary trips, deciding holds, and what it refuses.

mod access;
mod acts;
mod browser;
mod changed;
mod crowds;
mod disguised;
mod doors;
mod evidence;
mod refused;
mod restarted;
mod searched;
mod site;
mod statements;
mod tabs;

use std::io::Write as _;

use assent_client::Ticket;
use rustix::process::{Signal, kill_process};

use self::browser::Tab;
use self::site::Site;
use crate::hostile::transfers;
use crate::operators::{inject, is_closed_for_operators};
use crate::queue::{close, collect, kinds, queueable, reopen};
use crate::support::{assent, eventually};

#[test]
fn an_operator_enrols_sees_a_trip_and_a_drain_decides_holds_and_verifies_an_entry() {
    let mut site = Site::open();
    let mut tab = Tab::open();
    tab.goto(&site.at("/"));
    tab.wait("whoever is not logged in is sent there", "location.pathname === '/login'");
    let line = site.enrol(&tab, "eve");
    assert!(line.starts_with("sk-ecdsa-sha2-nistp256@openssh.com "), "{line}");
    site.log_in(&tab);
    tab.picture("overview");
    assert_eq!(tab.problems(), Vec::<String>::new());

    // A trip shows by itself, and so does what waits, and the drain.
    close(&site.appliance);
    tab.wait("the token boundary is shown closed", "document.querySelector('.boundary.closed')");
    tab.picture("closed");
    let waiting = queueable(50);
    for intent in &waiting {
        let _ = site.agent.preauthorize(std::slice::from_ref(intent));
    }
    tab.goto(&site.at("/queue"));
    tab.wait("fifty tickets", "document.querySelectorAll('tr[data-ticket]').length === 50");
    tab.picture("queue");
    look_at_a_ticket(&site, &tab);
    reopen(&site.appliance);
    tab.wait("the drain", "document.querySelectorAll('tr[data-ticket]').length === 0");

    site.hold_cancellations(&line);
    let (first, second) = (site.hold(&waiting[0]), site.hold(&waiting[1]));
    tab.goto(&site.at("/holds"));
    tab.wait("two holds", "document.querySelectorAll('#live tbody tr').length === 2");
    tab.picture("holds");
    assert_rows_differ(&tab, 2);
    tab.goto(&site.at(&format!("/holds/{}", first.id())));
    tab.picture("hold");
    site.answer(&tab, &first, "good", "approved, at leaf");
    site.answer(&tab, &second, "danger", "rejected, at leaf");
    assert!(collect(&site.agent, &first).all_allowed());
    assert_eq!(kinds(&collect(&site.agent, &second)), ["denied"]);

    // What was decided is in the log, and the page proves it.
    tab.goto(&site.at("/log?kind=approval"));
    assert_eq!(tab.value("document.querySelectorAll('main tbody tr').length"), 2);
    tab.picture("log");
    tab.click("main tbody tr a");
    tab.wait(
        "the proof",
        "document.getElementById('verdict')?.textContent.startsWith('Verified by this page')",
    );
    tab.picture("entry");
    let proof = tab.value("fetch(document.querySelector('#proof a').href).then((r) => r.text())");
    let file = site.appliance.folder.path().join("proof");
    std::fs::write(&file, proof.as_str().expect("a proof")).expect("a file");
    let trust = site.appliance.folder.path().join("trust.toml").display().to_string();
    let (code, out, talk) =
        assent(None, &["log", "check-proof", &file.display().to_string(), "--trust", &trust]);
    assert!(code == 0 && out.contains("verified"), "{out}{talk}");
    look_around(&site, &tab);

    // Somebody who may look sees it and is refused, by the page and behind it.
    let third = site.hold(&waiting[2]);
    tab.click("form.who button");
    tab.wait("logged out", "location.pathname === '/login'");
    tab.take_authenticator();
    site.enrol(&tab, "vic");
    site.log_in(&tab);
    tab.goto(&site.at(&format!("/holds/{}", third.id())));
    assert_eq!(tab.value("document.querySelectorAll('button.act').length"), 0);
    let wish = serde_json::json!({"act": "answer", "ticket": third.id().to_string(), "approve": true});
    let heard = tab.value("Number(document.querySelector('main').dataset.now)");
    let told = tab.post("/act/begin", &serde_json::json!({"wish": wish, "shown": "", "heard_ms": heard}));
    assert_eq!(told["kind"], "role", "{told}");
    let _ = tab.problems();
    let report = site.appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["approval"].as_u64(), Some(2), "{report}");
}

/// Follows the first row of the queue to its ticket, and comes back.
fn look_at_a_ticket(site: &Site, tab: &Tab) {
    assert_rows_differ(tab, 50);
    tab.click("tr[data-ticket] a");
    tab.wait(
        "its page, with what waits in full",
        "document.querySelector('main pre')?.textContent.includes('cancel_pending_order')",
    );
    assert_eq!(tab.value("document.querySelectorAll('main button.act.ask-reason').length"), 1);
    tab.picture("ticket");
    tab.goto(&site.at("/queue"));
}

/// The pages on which nothing is done here. The trip is over, and its incident says so.
fn look_around(site: &Site, tab: &Tab) {
    for path in ["/breakglass", "/escalations", "/policy"] {
        tab.goto(&site.at(path));
        tab.picture(path.trim_start_matches('/'));
        let shown = tab.text("main");
        // What is over says so; what has no page says where it is done.
        let says: &[&str] = match path {
            "/escalations" => &["over since"],
            "/policy" => &["assent policy load", "assent keys rotate", "assent operator invite"],
            _ => &["assent breakglass charter create"],
        };
        assert!(says.iter().all(|words| shown.contains(words)), "{path}: {shown}");
    }
    assert_eq!(tab.problems(), Vec::<String>::new());
}

/// Each row says what is asked, on what, and of which ticket.
fn assert_rows_differ(tab: &Tab, rows: usize) {
    let rows_of = |what: &str| {
        let cells = format!("[...document.querySelectorAll('#live tbody td[data-what={what}]')]");
        tab.value(&format!("new Set({cells}.map((cell) => cell.textContent)).size"))
    };
    assert_eq!(rows_of("Ticket"), rows, "tickets are told apart");
    assert!(tab.text("#live tbody tr").contains("cancel_pending_order"), "{}", tab.text("#live tbody tr"));
    assert_ne!(tab.text("#live tbody td[data-what=Resource]"), "", "what it is to be done on");
}

#[test]
fn what_waits_is_withdrawn_with_a_reason_and_two_passkeys_open_what_must_not_open_by_itself() {
    let mut site = Site::open();
    let (first, second) = (Tab::open(), Tab::open());
    let lines = [site.enrol(&first, "eve"), site.enrol(&second, "max")];
    site.staff(&lines);
    site.log_in(&first);
    site.log_in(&second);

    close(&site.appliance);
    let _ = site.agent.preauthorize(&queueable(1));
    first.goto(&site.at("/queue"));
    let statement = site.act(&first, "button.act.ask-reason", Some("asked by mistake"), "is withdrawn");
    assert!(statement.contains("reason asked by mistake"), "{statement}");
    assert_eq!(site.appliance.status().expect("it answers").queue.queued, [0; 4]);
    reopen(&site.appliance);

    inject(&site.appliance, "corrupt --times 1");
    eventually("it is closed for operators", || is_closed_for_operators(&site.appliance).then_some(()));
    for (tab, told) in [(&first, "your signature is kept"), (&second, "re-arm is being tried")] {
        tab.goto(&site.at("/"));
        let statement = site.act(tab, "button.act.danger", None, told);
        assert!(statement.starts_with("assent/rearm/v1"), "{statement}");
    }
    site.appliance.wait_until_open();
    assert_eq!((first.problems(), second.problems()), (Vec::new(), Vec::new()));
    site.appliance.stop_and_verify_log();
    // Both are in the log, with what was signed.
    let withdrawn = site.leaf_of("cancel-ticket", "eve");
    assert!(
        withdrawn["statement"].as_str().is_some_and(|text| text.contains("asked by mistake")),
        "{withdrawn}"
    );
    assert_eq!(withdrawn["signatures"].as_array().map(Vec::len), Some(1), "{withdrawn}");
    let entries = site.entries("operator");
    let ordered = entries.iter().find(|entry| entry["act"] == "rearm").expect("the order");
    assert_eq!(ordered["by"], serde_json::json!(["eve", "max"]), "{ordered}");
}

#[test]
fn a_page_that_is_stale_or_shows_what_has_changed_acts_no_more() {
    let site = Site::open();
    let tab = Tab::open();
    let line = site.enrol(&tab, "eve");
    site.hold_cancellations(&line);
    let ticket = site.hold(&queueable(1)[0]);
    site.log_in(&tab);
    tab.goto(&site.at(&format!("/holds/{}", ticket.id())));
    let process = site.appliance.process();
    kill_process(process, Signal::STOP).expect("it can be stopped");
    tab.wait("stale", "!document.getElementById('stale').hidden");
    assert_eq!(
        tab.value("[...document.querySelectorAll('button.act')].every((button) => button.disabled)"),
        true
    );
    let banner = tab.text("#stale");
    let since = banner.strip_prefix("Stale since ").and_then(|rest| rest.split_once(": "));
    assert!(since.is_some_and(|(since, _)| since.starts_with("20") && since.ends_with(" UTC")), "{banner}");
    assert!(tab.text("footer").ends_with("All times here are UTC."), "{}", tab.text("footer"));
    tab.picture("stale");
    kill_process(process, Signal::CONT).expect("it goes on");
    tab.wait("heard again", "document.getElementById('stale').hidden");

    let wish = serde_json::json!({"act": "answer", "ticket": ticket.id().to_string(), "approve": true});
    let asked =
        |shown: &str, heard: u64| serde_json::json!({"wish": wish, "shown": shown, "heard_ms": heard});
    let now = site.appliance.status().expect("it answers").now_ms;
    let shown = tab.value("document.querySelector('button.act').dataset.shown");
    let shown = shown.as_str().expect("a mark");
    assert_eq!(tab.post("/act/begin", &asked(shown, now - 60_000))["kind"], "stale");
    assert_eq!(tab.post("/act/begin", &asked("another", now))["kind"], "changed");
    let begun = tab.post("/act/begin", &asked(shown, now));
    assert!(begun["statement"].as_str().is_some_and(|text| text.contains("answer approve")), "{begun}");
    // Nothing of another site, or without the session's token, is heard.
    let without = "fetch('/act/begin', {method: 'POST', body: '{}'}).then((r) => r.json())";
    assert_eq!(tab.value(without)["kind"], "csrf");
    for (header, kind) in [("Origin: http://evil.example", "origin"), ("Host: evil.example", "host")] {
        let told = raw(
            &site,
            &format!(
                "POST /act/begin HTTP/1.1\r\nHost: {}\r\n{header}\r\nContent-Length: 0\r\n\r\n",
                site.host()
            ),
        );
        assert!(told.contains(kind), "{header}: {told}");
    }
}

/// What the console answers to bytes.
fn raw(site: &Site, request: &str) -> String {
    use std::io::Read as _;
    let request = match request.contains("Host: evil") {
        true => request.replacen(&format!("Host: {}\r\n", site.host()), "", 1),
        false => request.to_owned(),
    };
    let mut stream =
        std::net::TcpStream::connect(site.host().replace("localhost", "127.0.0.1")).expect("a socket");
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut bytes = [0; 4096];
    let read = stream.read(&mut bytes).expect("an answer");
    String::from_utf8_lossy(&bytes[..read]).into_owned()
}

#[test]
fn hostile_texts_are_shown_escaped_and_marked_and_pages_read_on_a_phone_in_the_dark_and_without_scripts() {
    let site = Site::open();
    let tab = Tab::open();
    let line = site.enrol(&tab, "eve");
    site.hold_cancellations(&line);
    let tickets: Vec<Ticket> = transfers().iter().map(|intent| site.hold(intent)).collect();
    site.log_in(&tab);
    for (number, ticket) in tickets.iter().enumerate() {
        tab.goto(&site.at(&format!("/holds/{}", ticket.id())));
        let shown = tab.text("main");
        let hidden =
            shown.chars().find(|c| !c.is_whitespace() && c.escape_debug().len() > 1 && !"\"'\\".contains(*c));
        assert_eq!(hidden, None, "hold {number} shows it as it is");
        assert_eq!(
            tab.value("document.querySelectorAll('main pre b, main script').length"),
            0,
            "hold {number}"
        );
        assert!(
            shown.contains("ESCAPED") || shown.contains("LONG") || number == 0,
            "hold {number} is marked: {shown}"
        );
        // However long a text is, all of it is there, and nothing else is out of sight for it.
        let whole = tab.value(
            "((pre) => { pre.querySelectorAll('summary').forEach((s) => s.remove()); return pre.textContent; })(document.querySelector('main pre').cloneNode(true))",
        );
        let said = whole.as_str().unwrap_or_default().matches("all is well").count();
        assert_eq!(said, if shown.contains("LONG") { 64 * 1024 / 12 } else { 0 }, "hold {number}");
        assert!(shown.contains("\"user\"") && shown.contains("\"audience\""), "hold {number}: {shown}");
        tab.picture(&format!("hostile-{number}"));
    }
    tab.set_width(390, true);
    tab.set_dark(true);
    for path in ["/", "/holds", "/log", "/policy"] {
        tab.goto(&site.at(path));
        assert_eq!(
            tab.value("document.documentElement.scrollWidth <= 390"),
            true,
            "{path} is too wide for a phone"
        );
        tab.picture(&format!("phone{}", path.replace('/', "-")));
    }
    assert_eq!(tab.problems(), Vec::<String>::new());
    tab.set_scripts(false);
    tab.goto(&site.at("/holds"));
    tab.picture("without-scripts");
    tab.set_scripts(true);
    assert!(tab.text("main").contains("In the order in which they would be decided"), "{}", tab.text("main"));
}
