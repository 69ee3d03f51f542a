//! The ports: had, or told with the setting that names each and what to do.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, UdpSocket};

/// A port that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {} at {address}; {}", port.whom, self.next())]
pub struct PortError {
    port: &'static Port,
    address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: std::io::Error,
}

/// What somebody connects to.
#[derive(Debug)]
pub struct Port {
    /// Who connects.
    whom: &'static str,
    /// The setting that names it.
    setting: &'static str,
    /// By which options `ss` shows who has it.
    shown_by: &'static str,
}

/// Agents, over QUIC.
pub static AGENTS: Port = Port { whom: "agents", setting: "listen.quic", shown_by: "-ulpn" };
/// Readers of the log, over HTTP.
pub static READERS: Port = Port { whom: "readers", setting: "listen.http", shown_by: "-tlpn" };
/// Operators at the console.
pub static OPERATORS: Port = Port { whom: "operators", setting: "console.listen", shown_by: "-tlpn" };

impl Port {
    /// Takes it for datagrams.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn udp(&'static self, address: SocketAddr) -> Result<UdpSocket, PortError> {
        UdpSocket::bind(address).map_err(self.refused(address))
    }

    /// Takes it for connections.
    ///
    /// # Errors
    /// [`PortError`].
    pub fn tcp(&'static self, address: SocketAddr) -> Result<TcpListener, PortError> {
        TcpListener::bind(address).map_err(self.refused(address))
    }

    /// That the system does not give it.
    pub fn refused(&'static self, address: SocketAddr) -> impl FnOnce(std::io::Error) -> PortError {
        move |source| PortError { port: self, address, source }
    }
}

impl PortError {
    /// What to do.
    #[must_use]
    pub fn next(&self) -> String {
        let Port { setting, shown_by, .. } = self.port;
        let kind = self.source.kind();
        if kind == ErrorKind::AddrInUse {
            format!("find who has it (`ss {shown_by}`), or name another port in `{setting}`")
        } else if kind == ErrorKind::AddrNotAvailable {
            format!("name an address of this machine in `{setting}` (`ip address`)")
        } else if kind == ErrorKind::PermissionDenied {
            format!(
                "name a port above 1023 in `{setting}`, or give the unit `AmbientCapabilities=CAP_NET_BIND_SERVICE`"
            )
        } else {
            format!("correct `{setting}` in the configuration")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_told_with_its_number_its_setting_and_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let told = OPERATORS.tcp(address).unwrap_err().to_string();
        assert_eq!(
            told,
            format!(
                "cannot listen for operators at {address}; find who has it (`ss -tlpn`), or name another port in `console.listen`"
            )
        );
        let elsewhere = "192.0.2.1:7743".parse().unwrap();
        assert!(AGENTS.udp(elsewhere).unwrap_err().next().contains("of this machine in `listen.quic`"));
    }
}
