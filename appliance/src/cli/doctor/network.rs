//! Sockets: whether the ports are free or ours, and whether the system gives what they need.

use std::net::SocketAddr;

use rustix::process::{Resource, getrlimit};

use super::Subject;
use super::findings::Findings;
use crate::limits::{FREE_DESCRIPTORS, MAX_HTTP_CONNECTIONS, SOCKET_BUFFER_BYTES};
use crate::serving::ports::{AGENTS, PortError, READERS};
use crate::serving::status::Status;

pub(super) fn examine(subject: &Subject<'_>, findings: &mut Findings) {
    let listen = &subject.config.listen;
    match (subject.running.status(), subject.running.is_up()) {
        (Some(status), _) => examine_served(status, listen.quic, listen.http, findings),
        (None, true) => {}
        (None, false) => {
            free("port for agents", listen.quic, AGENTS.udp(listen.quic).map(drop), findings);
            if let Some(http) = listen.http {
                free("port for readers", http, READERS.tcp(http).map(drop), findings);
            }
        }
    }
    if let Some(http) = listen.http.filter(|http| listen.http_entries && !http.ip().is_loopback()) {
        let found = format!("{http} gives whoever asks entries, which name principals and what they asked");
        findings.wanting("log over HTTP", found, "set `listen.http_entries = false`, or listen on loopback");
    }
    examine_buffer(findings);
    examine_descriptors(findings);
}

/// Whether a port could be had, as the start would have it.
pub(super) fn free(check: &str, address: SocketAddr, had: Result<(), PortError>, findings: &mut Findings) {
    match had {
        Ok(()) => findings.ok(check, format!("{address} is free")),
        Err(error) => {
            findings.fail(check, format!("{address} cannot be had: {}", error.source), error.next());
        }
    }
}

/// A running appliance listens where it did when it started.
fn examine_served(status: &Status, quic: SocketAddr, http: Option<SocketAddr>, findings: &mut Findings) {
    let http_now = status.http.as_deref();
    let places =
        [("port for agents", Some(quic), Some(status.listen.as_str())), ("port for readers", http, http_now)];
    for (check, configured, now) in places {
        let same = match (configured, now) {
            (None, None) => continue,
            // Port 0 is whichever was free.
            (Some(wanted), Some(now)) => wanted.port() == 0 || wanted.to_string() == now,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let shown = now.unwrap_or("nowhere");
        if same {
            findings.ok(check, format!("{shown}, ours"));
        } else {
            let wanted = configured.map_or_else(|| "off".to_owned(), |address| address.to_string());
            let found = format!("the appliance listens at {shown}, the configuration says {wanted}");
            findings.warn(check, found, "restart the appliance");
        }
    }
}

fn examine_buffer(findings: &mut Findings) {
    let wanted = SOCKET_BUFFER_BYTES;
    let granted = std::fs::read_to_string("/proc/sys/net/core/rmem_max");
    let Some(granted) = granted.ok().and_then(|text| text.trim().parse::<usize>().ok()) else {
        return findings.wanting("UDP buffer", "the system does not say", "sysctl net.core.rmem_max");
    };
    if granted >= wanted {
        findings.ok("UDP buffer", format!("{granted} bytes may be had"));
    } else {
        let found = format!("{granted} bytes of the {wanted} that a burst of agents needs");
        findings.wanting(
            "UDP buffer",
            found,
            format!("sysctl -w net.core.rmem_max={wanted}, and in /etc/sysctl.d"),
        );
    }
}

fn examine_descriptors(findings: &mut Findings) {
    let needed = MAX_HTTP_CONNECTIONS as u64 + FREE_DESCRIPTORS;
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => {
            let found = format!("{limit} files may be open here, of the {needed} that it needs");
            findings.fail("open files", found, "raise `ulimit -n`, and `LimitNOFILE=` of the unit");
        }
        Some(limit) => findings.ok("open files", format!("{limit} may be open here")),
        None => findings.ok("open files", "as many as there are"),
    }
}
