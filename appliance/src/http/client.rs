//! The other side of HTTP: asking witnesses, and logs of others. What comes back is worth what its signatures are worth.

use std::path::Path;
use std::time::Duration;

use assent_doors::outbound::{NoAnswer, Outbound, RootsError, Trust};

/// Connections that are kept for the next question: a proof asks one log for many tiles.
const KEPT_CONNECTIONS: usize = 4;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach {url}")]
pub struct Unreachable {
    url: String,
    #[source]
    source: NoAnswer,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// What the body says that it is.
    pub content_type: String,
    /// The body, as far as the limit.
    pub body: Vec<u8>,
}

/// Asks others.
#[derive(Clone, Debug)]
pub struct Client(Outbound);

impl Client {
    /// A client that waits so long for a whole exchange. HTTPS is believed under the authorities in `roots`, or the system's
    /// where none are named; where those are missing too, no HTTPS is believed at all.
    ///
    /// # Errors
    /// [`RootsError`]; only for `roots`.
    pub fn new(deadline: Duration, roots: Option<&Path>) -> Result<Self, RootsError> {
        Outbound::new(deadline, roots.map_or(Trust::System, Trust::Only), KEPT_CONNECTIONS).map(Self)
    }

    /// Gets what is there, at most `most` bytes of it: more is an error.
    ///
    /// # Errors
    /// [`Unreachable`].
    pub fn get(&self, url: &str, most: u64) -> Result<Reply, Unreachable> {
        taken(url, self.0.get(url), most)
    }

    /// Posts a text, and takes at most `most` bytes of the answer.
    ///
    /// # Errors
    /// [`Unreachable`].
    pub fn post(&self, url: &str, body: &str, most: u64) -> Result<Reply, Unreachable> {
        taken(url, self.0.post(url, "text/plain; charset=utf-8", &[], body.as_bytes()), most)
    }
}

fn taken(
    url: &str,
    answer: Result<assent_doors::outbound::Reply, NoAnswer>,
    most: u64,
) -> Result<Reply, Unreachable> {
    let unreachable = |source| Unreachable { url: url.to_owned(), source };
    let answer = answer.map_err(unreachable)?;
    let (status, content_type) =
        (answer.status(), answer.header("content-type").unwrap_or_default().to_owned());
    Ok(Reply { status, content_type, body: answer.body(most).map_err(unreachable)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_named() {
        let client = Client::new(Duration::from_secs(5), None).unwrap();
        // A port that nobody can listen at.
        let refused = client.get("http://127.0.0.1:0/checkpoint", 10).unwrap_err();
        assert_eq!(refused.to_string(), "cannot reach http://127.0.0.1:0/checkpoint");
    }
}
