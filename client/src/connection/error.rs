//! What can go wrong between an agent and an appliance, told apart by what to do next.

use std::time::Duration;

use assent_proto::refusal::{Refusal, Retry};
use quinn::{ConnectionError, VarInt};

use super::config::ConfigError;
use crate::batch::{BatchError, ReplyError};
use crate::notice::Fork;

/// Why there are no outcomes. None of these is a denial.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The configuration does not serve.
    #[error(transparent)]
    Config(ConfigError),
    /// The address names no machine.
    #[error("`{addr}` does not resolve: check ASSENT_ADDR")]
    Resolve {
        /// Host and port.
        addr: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No socket could be opened.
    #[error("no UDP socket can be opened")]
    Socket(#[source] std::io::Error),
    /// No connection could be begun.
    #[error("no connection can be begun: {0}")]
    Endpoint(String),
    /// Nobody answered.
    #[error(
        "no appliance answers at {addr} within {waited:?}: is it running there (`assent status`), and does a firewall pass UDP?"
    )]
    NoAnswer {
        /// Host and port.
        addr: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The appliance does not take our certificate.
    #[error(
        "appliance at {addr} refuses our certificate ({reason}): enrol this agent with `assent agent enroll`"
    )]
    Unauthorised {
        /// Host and port.
        addr: String,
        /// What it said.
        reason: String,
    },
    /// We do not take the appliance's certificate.
    #[error(
        "certificate of the appliance at {addr} is refused ({reason}): check ASSENT_CA and the server name"
    )]
    ServerRefused {
        /// Host and port.
        addr: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The other side speaks another protocol.
    #[error("whoever answers at {addr} does not speak ours ({reason}): is it an appliance of this version?")]
    Protocol {
        /// Host and port.
        addr: String,
        /// What it said.
        reason: String,
    },
    /// The connection or the stream broke before the answer was there.
    #[error("connection was lost before the answer: {0}")]
    Lost(String),
    /// The appliance is stopping and did not decide.
    #[error("appliance at {addr} is shutting down")]
    ShuttingDown {
        /// Host and port.
        addr: String,
    },
    /// All attempts within the deadline got no answer. Whether it was decided is not known; asking the same again tells.
    #[error("no answer within {deadline:?}{}", last_attempt(.last.as_deref()))]
    Deadline {
        /// The deadline.
        deadline: Duration,
        /// How the last attempt ended, when it did.
        last: Option<Box<Self>>,
    },
    /// The answer is longer than any answer may be.
    #[error("reply is longer than any reply may be")]
    ReplyTooLong,
    /// The intents make no batch.
    #[error(transparent)]
    Batch(BatchError),
    /// The answer was refused: by the appliance, or by us because it does not verify.
    #[error(transparent)]
    Reply(ReplyError),
    /// The appliance's log was seen to fork, or to go back: see [`Notices`](super::Notices). No answer of it is believed any more.
    #[error("{0}")]
    Forked(Box<Fork>),
    /// The system gives no random bytes.
    #[error("system gives no random bytes")]
    Random,
}

fn last_attempt(last: Option<&ClientError>) -> String {
    last.map_or_else(
        || {
            ": the first attempt had not ended, and whether the appliance has what was asked is not known"
                .to_owned()
        },
        |error| format!("; at last: {error}"),
    )
}

/// TLS alerts (RFC 8446 section 6.2) by which a server refuses a client's certificate.
const CERTIFICATE_ALERTS: [u8; 10] = [40, 42, 43, 44, 45, 46, 48, 49, 51, 116];
/// The TLS alert for a protocol that the server does not speak.
const NO_APPLICATION_PROTOCOL: u8 = 120;

impl ClientError {
    /// Whether the same batch may be asked again, under its id, and may fare better then: what was decided meanwhile is what
    /// it hears. At once after a [`Self::Deadline`]; after a refusal when the boundary may have opened again, with pauses.
    /// It must be the batch itself (see [`Client::ask`](super::Client::ask)), while its id is current (FORMAT section 5).
    #[must_use]
    pub const fn can_be_repeated(&self) -> bool {
        match self {
            Self::Deadline { .. } => true,
            Self::Reply(ReplyError::Refused(refusal)) => matches!(refusal.retry(), Retry::Later),
            Self::Resolve { .. }
            | Self::NoAnswer { .. }
            | Self::Lost(_)
            | Self::ShuttingDown { .. }
            | Self::Config(_)
            | Self::Socket(_)
            | Self::Endpoint(_)
            | Self::Unauthorised { .. }
            | Self::ServerRefused { .. }
            | Self::Protocol { .. }
            | Self::ReplyTooLong
            | Self::Batch(_)
            | Self::Reply(_)
            | Self::Forked(_)
            | Self::Random => self.is_passing(),
        }
    }

    /// Whether we ask again by ourselves, within the deadline: nobody answered. Who did answer is left alone.
    pub(super) const fn is_passing(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::NoAnswer { .. } | Self::Lost(_) | Self::ShuttingDown { .. } => true,
            Self::Config(_)
            | Self::Socket(_)
            | Self::Endpoint(_)
            | Self::Unauthorised { .. }
            | Self::ServerRefused { .. }
            | Self::Protocol { .. }
            | Self::Deadline { .. }
            | Self::ReplyTooLong
            | Self::Batch(_)
            | Self::Reply(_)
            | Self::Forked(_)
            | Self::Random => false,
        }
    }

    /// What it means that the appliance gave up our stream.
    pub(super) fn of_reset(addr: &str, code: VarInt) -> Self {
        match refusal(code) {
            Some(Refusal::ShuttingDown) => Self::ShuttingDown { addr: addr.to_owned() },
            // FORMAT section 5: the log keeps it, and asking again fetches it.
            Some(Refusal::QuotaExceeded) => {
                Self::Lost("the appliance gave up its reply, for which there was no room".to_owned())
            }
            Some(refusal) => Self::Reply(ReplyError::Refused(refusal)),
            None => Self::Lost(format!("stream was reset with code {code}")),
        }
    }

    /// What the end of a connection means.
    pub(super) fn of_connection(addr: &str, end: ConnectionError) -> Self {
        let (addr, reason) = (addr.to_owned(), end.to_string());
        match end {
            ConnectionError::ConnectionClosed(close) => match alert(u64::from(close.error_code)) {
                Some(NO_APPLICATION_PROTOCOL) => Self::Protocol { addr, reason },
                Some(alert) if CERTIFICATE_ALERTS.contains(&alert) => Self::Unauthorised { addr, reason },
                Some(_) => Self::Protocol { addr, reason },
                None => Self::Lost(reason),
            },
            ConnectionError::TransportError(error)
                if alert(u64::from(error.code)) == Some(NO_APPLICATION_PROTOCOL) =>
            {
                Self::Protocol { addr, reason }
            }
            ConnectionError::TransportError(error) if alert(u64::from(error.code)).is_some() => {
                Self::ServerRefused { addr, reason }
            }
            ConnectionError::VersionMismatch => Self::Protocol { addr, reason },
            ConnectionError::ApplicationClosed(close) => match refusal(close.error_code) {
                Some(Refusal::Unauthenticated) => Self::Unauthorised { addr, reason },
                Some(Refusal::ShuttingDown) => Self::ShuttingDown { addr },
                Some(_) | None => Self::Lost(reason),
            },
            ConnectionError::TransportError(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => Self::Lost(reason),
        }
    }
}

/// The refusal whose number an application error code is.
fn refusal(code: VarInt) -> Option<Refusal> {
    Refusal::from_number(u8::try_from(code.into_inner()).ok()?)
}

/// The TLS alert in a QUIC error code (RFC 9001 section 4.8).
fn alert(code: u64) -> Option<u8> {
    u8::try_from(code.checked_sub(0x100)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_that_was_given_up_is_asked_for_again_and_one_that_stays_behind_a_closed_boundary_is_not() {
        let of = |refusal: Refusal| {
            let error = ClientError::of_reset("a:1", VarInt::from_u32(u32::from(refusal.number())));
            (error.is_passing(), error.can_be_repeated())
        };
        assert_eq!((of(Refusal::QuotaExceeded), of(Refusal::ShuttingDown)), ((true, true), (true, true)));
        assert_eq!(of(Refusal::TokenUnavailable), (false, true), "its owner may, when the boundary opens");
        assert_eq!(of(Refusal::FrameInvalid), (false, false));
        assert!(ClientError::of_reset("a:1", VarInt::MAX).is_passing(), "nobody says why");
    }

    #[test]
    fn batch_may_be_asked_again_wherever_its_answer_may_be_fetched_later() {
        let deadline = ClientError::Deadline { deadline: Duration::from_secs(1), last: None };
        assert!(deadline.can_be_repeated() && !deadline.is_passing());
        for refusal in Refusal::ALL {
            let error = ClientError::Reply(ReplyError::Refused(*refusal));
            assert_eq!(error.can_be_repeated(), refusal.retry() == Retry::Later, "{refusal}");
            assert!(!error.is_passing(), "{refusal}");
        }
        assert!(!ClientError::Reply(ReplyError::Signature).can_be_repeated());
    }
}
