//! Ports that are free and stay so until whoever asked has bound them.
//!
//! One that the system picks is another's as soon as it is released: of the same range it gives ports to every connection that
//! begins. So these lie below that range, each process of tests has a stretch of its own, and within it none is given twice.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux's range for connections (`net.ipv4.ip_local_port_range`), which begins at 32768.
const FIRST: u16 = 16_384;
const STRETCH: u16 = 32;
/// Processes of tests that run at once have numbers that lie close together.
const STRETCHES: u16 = 512;
const _: () = assert!(FIRST as u32 + STRETCH as u32 * STRETCHES as u32 <= 32_768);

static GIVEN: AtomicU16 = AtomicU16::new(0);

/// A port of the loopback address that nobody has, of TCP and of UDP.
pub(crate) fn free_port() -> u16 {
    let stretch = u16::try_from(std::process::id() % u32::from(STRETCHES)).expect("a stretch");
    let is_free = |port: &u16| {
        TcpListener::bind(("127.0.0.1", *port)).is_ok() && UdpSocket::bind(("127.0.0.1", *port)).is_ok()
    };
    let mut ports = std::iter::repeat_with(|| GIVEN.fetch_add(1, Ordering::Relaxed))
        .take(usize::from(STRETCH))
        .map(|given| FIRST + stretch * STRETCH + given % STRETCH);
    ports.find(is_free).expect("a port of this process's own")
}

#[test]
fn a_port_is_given_once_and_lies_where_no_connection_begins() {
    let ports: std::collections::BTreeSet<u16> = (0..8).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 8, "{ports:?}");
    assert!(ports.iter().all(|port| (FIRST..32_768).contains(port)), "{ports:?}");
}
