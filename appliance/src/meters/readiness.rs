//! Readiness: whether a token could be released now, and if not, what is closed.
//!
//! It repeats bounded labels and times only: what the messages behind them say of paths and devices, `assent status` tells
//! those who may ask it.

use std::fmt::{Display, Formatter};

use assent_proto::calendar::Utc;
use assent_proto::number::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hsm::FaultClass;
use crate::serving::status::{Boundaries, BoundaryStatus};

/// Whether a token could be released now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// `assent.v1.readiness`.
    pub schema: String,
    /// Whether all boundaries are open.
    pub ready: bool,
    /// Those that are closed.
    pub closed: Vec<ClosedBoundary>,
}

/// A boundary that is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedBoundary {
    /// `intent`, `evaluation` or `token`.
    pub boundary: String,
    /// Why, as a bounded label.
    pub cause: String,
    /// Who may open it again, where that depends on the cause.
    pub class: Option<FaultClass>,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

impl Readiness {
    /// Of these boundaries.
    #[must_use]
    pub fn of(boundaries: &Boundaries) -> Self {
        let closed: Vec<ClosedBoundary> = boundaries
            .named()
            .into_iter()
            .filter(|(_, status)| !status.open)
            .map(|(boundary, BoundaryStatus { cause, class, since_ms, .. })| ClosedBoundary {
                boundary: boundary.to_owned(),
                cause: cause.clone().unwrap_or_default(),
                class: *class,
                since_ms: since_ms.unwrap_or_default(),
            })
            .collect();
        Self { schema: "assent.v1.readiness".to_owned(), ready: closed.is_empty(), closed }
    }
}

/// A line for people: `ready`, or one for each boundary that is closed.
impl Display for Readiness {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if self.ready {
            return writeln!(f, "ready");
        }
        self.closed.iter().try_for_each(|ClosedBoundary { boundary, cause, class, since_ms }| {
            let opens = match class {
                Some(FaultClass::Integrity) => "opens by operators only",
                Some(FaultClass::Availability) | None => "opens when that is over",
            };
            writeln!(
                f,
                "not ready: {boundary} closed, cause {cause}, since {}, {opens}",
                Utc(Timestamp(*since_ms))
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: BoundaryStatus =
        BoundaryStatus { open: true, cause: None, class: None, message: None, since_ms: None };

    #[test]
    fn what_is_closed_is_told_without_its_message() {
        let mut boundaries = Boundaries { intent: OPEN, evaluation: OPEN, token: OPEN };
        let ready = Readiness::of(&boundaries);
        assert!(ready.ready && ready.to_string() == "ready\n");
        boundaries.token = BoundaryStatus {
            open: false,
            cause: Some("bad_signature".to_owned()),
            class: Some(FaultClass::Integrity),
            message: Some("of /secret/place".to_owned()),
            since_ms: Some(0),
        };
        let closed = Readiness::of(&boundaries);
        assert!(!closed.ready && closed.closed.len() == 1);
        let told = closed.to_string();
        assert!(
            told.starts_with("not ready: token closed, cause bad_signature, since 1970-01-01T00:00:00"),
            "{told}"
        );
        assert!(told.ends_with("opens by operators only\n") && !told.contains("secret"), "{told}");
    }
}
