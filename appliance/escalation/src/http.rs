//! The socket door of this room: posts one request, within a deadline, and says what the answer means.
//!
//! No redirect is followed: who is told is who was named. The status decides (Standard Webhooks, "Delivery success and failure"); a body
//! is read only for the reason of a refusal. No reason shows the address, which may be a secret.

use std::path::Path;
use std::time::Duration;

use assent_doors::outbound::{NoAnswer, Outbound, RootsError, Trust, Uri};
use assent_proto::number::Timestamp;

use crate::calendar::http_date;
use crate::limits::{MAX_REASON_BYTES, MAX_REPLY_BYTES};
use crate::outbox::Outcome;
use crate::visible::visible;

/// What counts of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Whether what is sent there cannot be read on the way: by TLS, or because it stays on this machine.
    pub(crate) is_private: bool,
}

impl Address {
    /// Reads an address; says what is wrong with it, but not what it is.
    pub(crate) fn of(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "is no URL; write https://HOST/PATH")?;
        let authority = uri.authority().ok_or("names no host; write https://HOST/PATH")?;
        if authority.as_str().contains('@') {
            return Err("holds a name or a password; put secrets into secret_file");
        }
        let host = authority.host().trim_matches(['[', ']']);
        let is_local = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        match uri.scheme_str() {
            Some("https") => Ok(Self { is_private: true }),
            Some("http") => Ok(Self { is_private: is_local }),
            Some(_) | None => Err("is not http or https"),
        }
    }
}

/// A request: always a POST, always JSON.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) url: String,
    /// Beside the content type.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// What no reason may repeat, should an answer: the secrets of the request.
    pub(crate) hidden: Vec<String>,
}

impl Request {
    /// A text of somebody who has seen the request, without its secrets.
    fn without_secrets(&self, text: &str) -> String {
        let shown = text.replace(&self.url, "its URL");
        let hidden = self.hidden.iter().filter(|hidden| !hidden.is_empty());
        let shown = hidden.fold(shown, |shown, hidden| shown.replace(hidden.as_str(), "its secret"));
        visible(&shown, MAX_REASON_BYTES)
    }
}

/// It may carry secrets in all of its parts.
impl std::fmt::Debug for Request {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Request(..)")
    }
}

/// What of an answer counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// The beginning of a refusal's body.
    pub(crate) body: Vec<u8>,
}

/// Posts to one sink.
#[derive(Clone, Debug)]
pub(crate) struct Client(Outbound);

impl Client {
    /// A client that waits so long for a whole exchange. HTTPS is believed under the authorities of the system, and under
    /// those in `extra`.
    pub(crate) fn new(deadline: Duration, extra: Option<&Path>) -> Result<Self, RootsError> {
        // A sink is asked seldom: a connection from an hour ago would only fail.
        Outbound::new(deadline, extra.map_or(Trust::System, Trust::SystemAnd), 0).map(Self)
    }

    /// Posts a request, and says what became of it.
    pub(crate) fn post(&self, request: &Request, now: Timestamp) -> Outcome {
        match self.exchange(request) {
            Ok(mut reply) => {
                reply.body = request.without_secrets(&String::from_utf8_lossy(&reply.body)).into_bytes();
                judge(&reply, now)
            }
            Err(error) => Outcome::Failed {
                reason: request.without_secrets(&reason(&error)),
                retry_after_seconds: None,
            },
        }
    }

    fn exchange(&self, request: &Request) -> Result<Reply, NoAnswer> {
        let answer = self.0.post(&request.url, "application/json", &request.headers, &request.body)?;
        let (status, retry_after) = (answer.status(), answer.header("retry-after").map(str::to_owned));
        // Of a refusal the reason; what else is in it changes nothing.
        let is_refused = !(200..300).contains(&status);
        let body = if is_refused { answer.beginning(MAX_REPLY_BYTES) } else { Vec::new() };
        Ok(Reply { status, retry_after, body })
    }
}

fn reason(error: &NoAnswer) -> String {
    if matches!(error, NoAnswer::Certificate(_)) {
        format!("{error}; renew it, or name the authority that signed it in ca_file")
    } else {
        error.to_string()
    }
}

/// What an answer means.
pub(crate) fn judge(reply: &Reply, now: Timestamp) -> Outcome {
    let said = visible(String::from_utf8_lossy(&reply.body).trim(), MAX_REASON_BYTES);
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let status = reply.status;
    match status {
        200..=299 => Outcome::Delivered,
        300..=399 => Outcome::Failed {
            reason: format!("status {status}: redirects are not followed; give the address that it leads to"),
            retry_after_seconds: None,
        },
        410 => Outcome::Gone { reason: format!("status 410, it wants nothing more{said}") },
        // What is wrong with the sink or with our right to tell it, not with this event.
        401 | 403 | 404 | 405 | 407 | 408 | 421 | 425 | 429 | 500.. => Outcome::Failed {
            reason: format!("status {status}{said}"),
            retry_after_seconds: reply.retry_after.as_deref().and_then(|text| retry_after(text, now)),
        },
        _ => Outcome::Refused { reason: format!("status {status}{said}") },
    }
}

/// Seconds, or a date (RFC 9110 section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    http_date(text).map(|until| until.0.saturating_sub(now.0).div_ceil(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<&str>, body: &str) -> Outcome {
        let retry_after = retry_after.map(str::to_owned);
        judge(&Reply { status, retry_after, body: body.as_bytes().to_vec() }, Timestamp(784_111_777_000))
    }

    #[test]
    fn a_status_decides_whether_the_event_the_sink_or_nothing_is_wrong() {
        for status in [200, 202, 204, 299] {
            assert_eq!(judged(status, None, ""), Outcome::Delivered);
        }
        for status in [301, 302, 307, 401, 403, 404, 408, 429, 500, 502, 503, 504, 599] {
            assert!(matches!(judged(status, None, ""), Outcome::Failed { .. }), "{status}");
        }
        for status in [100, 400, 409, 413, 415, 422] {
            assert!(matches!(judged(status, None, ""), Outcome::Refused { .. }), "{status}");
        }
        assert!(matches!(judged(410, None, ""), Outcome::Gone { .. }));
    }

    #[test]
    fn reasons_say_what_the_sink_said_made_visible() {
        let Outcome::Refused { reason } = judged(400, None, " invalid\u{202e}_payload\n") else { panic!() };
        assert_eq!(reason, "status 400: invalid\\u{202e}_payload");
        let Outcome::Failed { reason, .. } = judged(302, None, "x") else { panic!() };
        assert_eq!(reason, "status 302: redirects are not followed; give the address that it leads to");
    }

    #[test]
    fn a_sink_may_put_us_off_in_seconds_or_until_a_date() {
        let put_off = |text| {
            let Outcome::Failed { retry_after_seconds, .. } = judged(503, Some(text), "") else { panic!() };
            retry_after_seconds
        };
        assert_eq!(put_off("120"), Some(120));
        assert_eq!(put_off("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(put_off("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(put_off("soon"), None);
        assert_eq!(put_off("-1"), None);
    }

    #[test]
    fn a_request_shows_nothing() {
        let request = Request {
            url: "secret".to_owned(),
            headers: Vec::new(),
            body: b"secret".to_vec(),
            hidden: vec!["key".to_owned(), String::new()],
        };
        assert_eq!(format!("{request:?}"), "Request(..)");
        assert_eq!(request.without_secrets("secret: no key here"), "its URL: no its secret here");
    }
}
