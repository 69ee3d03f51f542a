//! Addresses: where the appliance's name leads to, of which each is tried, and the sockets that reach them.
//!
//! A name may have addresses of both families, and other ones tomorrow. They are tried in the order in which they resolve,
//! each for its share of the time that one attempt to connect may take; who listens at none of them is told once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use quinn::{Endpoint, VarInt};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::error::ClientError;

/// A socket for each family of addresses, opened when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    v4: OnceLock<Endpoint>,
    v6: OnceLock<Endpoint>,
}

impl Sockets {
    /// The one that reaches that address. It is driven by `runtime`, whoever is the first to need it.
    pub(super) fn toward(&self, remote: SocketAddr, runtime: &Handle) -> Result<&Endpoint, ClientError> {
        let (socket, any): (_, IpAddr) = match remote {
            SocketAddr::V4(_) => (&self.v4, Ipv4Addr::UNSPECIFIED.into()),
            SocketAddr::V6(_) => (&self.v6, Ipv6Addr::UNSPECIFIED.into()),
        };
        if let Some(open) = socket.get() {
            return Ok(open);
        }
        let _entered = runtime.enter();
        let opened = Endpoint::client((any, 0).into()).map_err(ClientError::Socket)?;
        Ok(socket.get_or_init(|| opened))
    }

    /// Says goodbye on all of them, and waits until it was heard.
    pub(super) async fn close(&self) {
        for open in [&self.v4, &self.v6].into_iter().filter_map(OnceLock::get) {
            open.close(VarInt::from_u32(0), b"done");
            open.wait_idle().await;
        }
    }
}

/// The addresses of a name with a port, in order; at least one.
pub(super) async fn resolve(addr: &str, within: Duration) -> Result<Vec<SocketAddr>, ClientError> {
    let unresolved = |source| ClientError::Resolve { addr: addr.to_owned(), source };
    let found = timeout(within, tokio::net::lookup_host(addr)).await;
    let found = found.map_err(|_| unresolved(io::ErrorKind::TimedOut.into()))?.map_err(unresolved)?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() { Err(unresolved(io::ErrorKind::NotFound.into())) } else { Ok(found) }
}

/// What comes of the first address that serves, within so long since then. Each has an equal share of what is left of that when
/// its turn comes.
///
/// # Errors
/// Of what went wrong that which tells most; `no_answer` for an address whose share passed.
pub(super) async fn first_that_serves<T, F: Future<Output = Result<T, ClientError>>>(
    addresses: &[SocketAddr],
    (begun, within): (Instant, Duration),
    attempt: impl Fn(SocketAddr) -> F,
    no_answer: impl Fn() -> ClientError,
) -> Result<T, ClientError> {
    let mut told: Option<ClientError> = None;
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for remote in addresses {
        let share = within.saturating_sub(begun.elapsed()) / left.max(1);
        left = left.saturating_sub(1);
        let error = match timeout(share, attempt(*remote)).await {
            Ok(Ok(served)) => return Ok(served),
            Ok(Err(error)) => error,
            Err(_) => no_answer(),
        };
        if told.as_ref().is_none_or(|before| tells(before) < tells(&error)) {
            told = Some(error);
        }
    }
    Err(told.unwrap_or_else(no_answer))
}

/// How much an error says: what somebody answered more than silence, and silence more than that we could not ask.
const fn tells(error: &ClientError) -> u8 {
    match error {
        ClientError::Socket(_) | ClientError::Endpoint(_) => 0,
        ClientError::Resolve { .. } | ClientError::NoAnswer { .. } | ClientError::Lost(_) => 1,
        ClientError::Unauthorised { .. }
        | ClientError::ServerRefused { .. }
        | ClientError::Protocol { .. }
        | ClientError::ShuttingDown { .. }
        | ClientError::Config(_)
        | ClientError::Deadline { .. }
        | ClientError::ReplyTooLong
        | ClientError::Batch(_)
        | ClientError::Reply(_)
        | ClientError::Forked(_)
        | ClientError::Random => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(400);

    fn address(number: u8) -> SocketAddr {
        (Ipv4Addr::new(127, 0, 0, number), 7700).into()
    }

    fn no_answer() -> ClientError {
        ClientError::NoAnswer { addr: "a:1".to_owned(), waited: PATIENCE }
    }

    fn unauthorised() -> ClientError {
        ClientError::Unauthorised { addr: "a:1".to_owned(), reason: "unknown".to_owned() }
    }

    fn no_socket() -> ClientError {
        ClientError::Socket(io::ErrorKind::Unsupported.into())
    }

    #[tokio::test]
    async fn dead_address_leaves_the_next_one_its_share() {
        let attempt = |remote: SocketAddr| async move {
            if remote == address(3) { Ok(remote) } else { std::future::pending().await }
        };
        let addresses = [1, 2, 3, 4].map(address);
        let begun = Instant::now();
        let served = first_that_serves(&addresses, (begun, PATIENCE), attempt, no_answer).await;
        assert!(matches!(served, Ok(remote) if remote == address(3)), "{served:?}");
        assert!(begun.elapsed() >= PATIENCE / 2);
        let addresses = [1, 2].map(address);
        let begun = Instant::now();
        let served = first_that_serves(&addresses, (begun, PATIENCE), attempt, no_answer).await;
        assert!(matches!(served, Err(ClientError::NoAnswer { .. })), "{served:?}");
        assert!(begun.elapsed() >= PATIENCE);
    }

    /// What is told where the first address fails so, and the second so.
    async fn told_of(first: fn() -> ClientError, second: fn() -> ClientError) -> ClientError {
        let attempt = |remote: SocketAddr| async move {
            Err::<(), _>(if remote == address(1) { first() } else { second() })
        };
        let addresses = [1, 2].map(address);
        let served = first_that_serves(&addresses, (Instant::now(), PATIENCE), attempt, no_answer).await;
        served.unwrap_err()
    }

    #[tokio::test]
    async fn of_several_errors_that_is_told_which_says_most() {
        for told in [told_of(no_answer, unauthorised).await, told_of(unauthorised, no_socket).await] {
            assert!(matches!(told, ClientError::Unauthorised { .. }), "{told}");
        }
        let told = told_of(no_socket, no_answer).await;
        assert!(matches!(told, ClientError::NoAnswer { .. }), "{told}");
    }

    #[tokio::test]
    async fn each_family_has_a_socket_that_is_opened_once() {
        let (sockets, runtime) = (Sockets::default(), Handle::current());
        let port = |remote| {
            sockets
                .toward(remote, &runtime)
                .and_then(|socket| socket.local_addr().map_err(ClientError::Socket))
        };
        let v4 = port(address(1)).unwrap();
        assert!(v4.is_ipv4() && port(address(2)).unwrap() == v4);
        // A machine may have no addresses of the other family.
        if let Ok(v6) = port((Ipv6Addr::LOCALHOST, 7700).into()) {
            assert!(v6.is_ipv6() && port(address(1)).unwrap() == v4);
        }
        sockets.close().await;
    }
}
