//! A page that stands open while the appliance goes away: it says what is the matter, follows again as soon as it is told
//! something, and goes to the login once its session is over.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use super::browser::Tab;
use super::site::Site;
use crate::support::eventually;

/// What stands in for the appliance, as a proxy would whose appliance is away.
const REFUSES: u8 = 0;
/// What tells a beat to whoever follows, and then breaks off.
const BEATS: u8 = 1;
/// Nothing any more.
const ENDS: u8 = 2;

/// Answers everybody at this address.
fn stand_in(listener: &TcpListener, mode: &AtomicU8, has_refused_twice: &AtomicBool, beat_ms: u64) {
    let mut refused = 0;
    while let Ok((mut stream, _)) = listener.accept() {
        let mode = mode.load(Ordering::SeqCst);
        if mode == ENDS {
            return;
        }
        let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
        let _ = stream.read(&mut [0; 4096]);
        let answer = if mode == BEATS {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\nretry: 200\nevent: beat\ndata: {beat_ms}\n\n"
            )
        } else {
            refused += 1;
            has_refused_twice.store(refused > 2, Ordering::SeqCst);
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
        };
        let _ = stream.write_all(answer.as_bytes());
    }
}

#[test]
fn a_page_whose_appliance_goes_away_says_why_follows_again_and_logs_in_anew_after_a_restart() {
    let mut site = Site::open();
    let tab = Tab::open();
    site.enrol(&tab, "eve");
    site.log_in(&tab);
    let later_ms = site.appliance.status().expect("it answers").now_ms + 120_000;
    assert!(site.appliance.stop(), "it stops");
    tab.wait("stale", "!document.getElementById('stale').hidden");
    assert!(tab.text("#stale").contains("the appliance is not heard"), "{}", tab.text("#stale"));

    let address = site.host().replace("localhost", "127.0.0.1");
    let (mode, twice) = (Arc::new(AtomicU8::new(REFUSES)), Arc::new(AtomicBool::new(false)));
    let listener = TcpListener::bind(&address).expect("its address is free");
    let standing = std::thread::Builder::new().spawn({
        let (mode, twice) = (Arc::clone(&mode), Arc::clone(&twice));
        move || stand_in(&listener, &mode, &twice, later_ms)
    });
    let standing = standing.expect("a thread");
    tab.wait(
        "it says why",
        "document.getElementById('stale').innerText.includes('answered with status 503')",
    );
    eventually("it asks again", || twice.load(Ordering::SeqCst).then_some(()));
    mode.store(BEATS, Ordering::SeqCst);
    tab.wait("it follows again", "document.getElementById('stale').hidden");
    mode.store(ENDS, Ordering::SeqCst);
    let _ = std::net::TcpStream::connect(&address);
    standing.join().expect("nobody panicked");

    // The one that is started then knows none of the sessions.
    site.appliance.launch();
    tab.wait("it goes to the login", "location.pathname === '/login'");
    site.log_in(&tab);
    tab.wait("it follows", "document.querySelector('main') && document.getElementById('stale').hidden");
}
