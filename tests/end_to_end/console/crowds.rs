//! Many who follow, and many who only hold a connection: nobody's places are taken by another, and whoever comes to log in or to
//! act is answered.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use appliance::limits::{MAX_CONSOLE_STREAMS_PER_OPERATOR, MAX_HTTP_CONNECTIONS};

use super::browser::Tab;
use super::site::Site;

/// How long whoever comes may wait: idle connections are bounded by what a request's head may take.
const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn an_operators_newest_page_ends_their_oldest_and_others_follow_on() {
    let site = Site::open();
    let (vic, eve) = (Tab::open(), Tab::open());
    for (tab, name) in [(&vic, "vic"), (&eve, "eve")] {
        site.enrol(tab, name);
        site.log_in(tab);
    }
    let many = MAX_CONSOLE_STREAMS_PER_OPERATOR + 2;
    vic.value(&format!(
        "window.ended = []; window.streams = [...Array({many}).keys()].map((number) => {{
            const stream = new EventSource('/events?page=still');
            stream.addEventListener('elsewhere', () => {{ window.ended.push(number); stream.close(); }});
            return stream;
        }}); true"
    ));
    // The page's own was first, and then these, each as another needed its place.
    vic.wait("the oldest are ended", "window.ended.length === 2");
    vic.wait("the page says so", "document.getElementById('why').innerText.includes('newer pages')");
    let open = "window.streams.filter((stream) => stream.readyState === EventSource.OPEN).length";
    vic.wait("the newest are told", &format!("{open} === {MAX_CONSOLE_STREAMS_PER_OPERATOR}"));
    vic.wait("it says that it is not heard", "!document.getElementById('stale').hidden");
    assert_eq!(eve.value("document.getElementById('stale').hidden"), true, "eve follows as before");
    // A browser with as many streams as one may have still logs in, loads and acts.
    assert_eq!(vic.value("fetch('/log').then((answer) => answer.status)"), 200);
    vic.value("window.dispatchEvent(new Event('focus'))");
    vic.wait("it is told again", "document.getElementById('stale').hidden");
    assert_eq!(vic.problems(), Vec::<String>::new());
}

#[test]
fn connections_on_which_nothing_is_asked_make_room_for_whoever_logs_in() {
    let site = Site::open();
    let address = site.host().replace("localhost", "127.0.0.1");
    let idle: Vec<TcpStream> =
        (0..MAX_HTTP_CONNECTIONS).map(|_| TcpStream::connect(&address).expect("a socket")).collect();
    let mut stream = TcpStream::connect(&address).expect("a socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("GET /login HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", site.host());
    stream.write_all(request.as_bytes()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(idle);
}
