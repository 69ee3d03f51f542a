//! Messages: one event of one incident for one sink, with the id that it keeps through every attempt.
//!
//! A sink that remembers ids sees no event twice, however often it is sent. The JSON that webhooks and commands get stands
//! here; the other sinks have formats of their own.

use assent_proto::calendar::Utc;
use assent_proto::hash::Hash;
use assent_proto::number::{Epoch, Timestamp};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::incident::{DRILL_MARK, Detail, End, Incident};

/// Which of an incident's two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It has begun.
    Begun,
    /// It is over.
    Ended,
}

impl Phase {
    /// Its label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Ended => "ended",
        }
    }
}

/// Bytes of a message id's hash that are written.
const ID_HASH_BYTES: usize = 16;

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub(crate) number: u64,
    pub(crate) sequence: u64,
    pub(crate) sink: String,
    pub(crate) failed: u32,
    incident: Incident,
    end: Option<End>,
    id: String,
}

impl Message {
    /// The event of the outbox's incident `number`: its end where there is one.
    pub(crate) fn new(
        number: u64,
        sequence: u64,
        sink: &str,
        failed: u32,
        incident: Incident,
        end: Option<End>,
    ) -> Self {
        let phase = if end.is_some() { Phase::Ended } else { Phase::Begun };
        // The time tells apart what has the same number in an outbox that was made anew.
        let name =
            format!("{number}\0{}\0{}\0{sink}\0{}", incident.since(), phase.label(), incident.key().as_str());
        let hash = Hash::of_labelled(b"assent/escalation/v1\0", [name.as_bytes()]);
        let id = format!("msg_{}", hex(hash.0.get(..ID_HASH_BYTES).unwrap_or_default()));
        Self { number, sequence, sink: sink.to_owned(), failed, incident, end, id }
    }

    /// The same through every attempt, and no other event's. Without a full stop (Standard Webhooks, "Signature scheme").
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which of the incident's events.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        if self.end.is_some() { Phase::Ended } else { Phase::Begun }
    }

    /// The incident.
    #[must_use]
    pub const fn incident(&self) -> &Incident {
        &self.incident
    }

    /// Its end, in the message of that.
    #[must_use]
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// For whom.
    #[must_use]
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// Attempts that failed before.
    #[must_use]
    pub const fn failed_attempts(&self) -> u32 {
        self.failed
    }

    /// When the event happened.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.end.as_ref().map_or(self.incident.since(), End::at)
    }

    /// The event in a line, a drill marked.
    #[must_use]
    pub fn summary(&self) -> String {
        let mark = if self.incident.is_drill() { DRILL_MARK } else { "" };
        match &self.end {
            None => format!("{mark}{}", self.incident.summary()),
            Some(end) => match end.summary() {
                Some(summary) => format!("{mark}{summary}"),
                None => format!("{mark}ended: {}", self.incident.summary()),
            },
        }
    }

    /// The event as JSON, as Standard Webhooks recommends ("Payload structure"): a type, when it happened, and the data.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        let incident = &self.incident;
        let payload = Payload {
            kind: format!("assent.incident.{}", self.phase().label()),
            timestamp: Utc(self.time()).to_string(),
            data: Data {
                key: incident.key().as_str(),
                kind: incident.kind().label(),
                severity: incident.shown_severity().label(),
                summary: self.summary(),
                cause: incident.cause(),
                origin: incident.origin(),
                epoch: incident.epoch(),
                since: Utc(incident.since()).to_string(),
                ended: self.end.as_ref().map(|end| Utc(end.at()).to_string()),
                drill: incident.is_drill(),
                details: Details(incident.details()),
            },
        };
        bytes(&payload)
    }
}

#[derive(Serialize)]
struct Payload<'m> {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    data: Data<'m>,
}

#[derive(Serialize)]
struct Data<'m> {
    key: &'m str,
    kind: &'m str,
    severity: &'m str,
    summary: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    cause: &'m str,
    origin: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    drill: bool,
    details: Details<'m>,
}

/// Details as one object.
#[derive(Debug)]
pub(crate) struct Details<'m>(pub(crate) &'m [Detail]);

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for detail in self.0 {
            map.serialize_entry(&detail.name, &detail.value)?;
        }
        map.end()
    }
}

/// JSON of what has only texts for names: it cannot fail.
pub(crate) fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::incident::Kind;

    /// A trip, as a sink gets it.
    pub(crate) fn begun() -> Message {
        Message::new(4, 9, "on-call", 0, trip(), None)
    }

    /// Its end.
    pub(crate) fn ended() -> Message {
        let end = End::new(trip().key().clone(), Timestamp(1_667_507_230_000)).because("re-armed after 60 s");
        Message::new(4, 12, "on-call", 0, trip(), Some(end))
    }

    pub(crate) fn trip() -> Incident {
        let since = Timestamp(1_667_507_170_344);
        Incident::new(Kind::Trip, "example.org/log", "7", "token boundary closed: <HSM> & more", since)
            .caused_by("hsm_timeout")
            .in_epoch(Epoch(7))
            .with_detail("slot", "0")
            .with_detail("module", "/usr/lib/libhsm.so")
    }

    #[test]
    fn ids_stay_through_attempts_and_differ_between_events_sinks_and_incidents() {
        let again = Message { failed: 3, ..begun() };
        assert_eq!(again.id(), begun().id());
        let others = [
            begun(),
            ended(),
            Message::new(4, 9, "chat", 0, trip(), None),
            Message::new(5, 9, "on-call", 0, trip(), None),
            Message::new(4, 9, "on-call", 0, Incident::new(Kind::Trip, "o", "7", "", Timestamp(1)), None),
        ];
        let ids: std::collections::BTreeSet<_> = others.iter().map(Message::id).collect();
        assert_eq!(ids.len(), others.len());
        assert!(ids.iter().all(|id| id.starts_with("msg_") && id.len() == 36 && !id.contains('.')));
    }

    #[test]
    fn the_payload_has_a_type_a_time_and_the_data() {
        assert_eq!(
            String::from_utf8(begun().json()).unwrap(),
            concat!(
                r#"{"type":"assent.incident.begun","timestamp":"2022-11-03T20:26:10.344Z","data":{"#,
                r#""key":"example.org/log/trip/7","kind":"trip","severity":"critical","#,
                r#""summary":"token boundary closed: <HSM> & more","cause":"hsm_timeout","#,
                r#""origin":"example.org/log","epoch":7,"since":"2022-11-03T20:26:10.344Z","drill":false,"#,
                r#""details":{"slot":"0","module":"/usr/lib/libhsm.so"}}}"#
            )
        );
        assert_eq!(
            String::from_utf8(ended().json()).unwrap(),
            concat!(
                r#"{"type":"assent.incident.ended","timestamp":"2022-11-03T20:27:10.000Z","data":{"#,
                r#""key":"example.org/log/trip/7","kind":"trip","severity":"critical","#,
                r#""summary":"re-armed after 60 s","cause":"hsm_timeout","origin":"example.org/log","epoch":7,"#,
                r#""since":"2022-11-03T20:26:10.344Z","ended":"2022-11-03T20:27:10.000Z","drill":false,"#,
                r#""details":{"slot":"0","module":"/usr/lib/libhsm.so"}}}"#
            )
        );
    }

    #[test]
    fn a_drill_is_marked_in_summary_and_payload() {
        let drill = Message::new(4, 9, "on-call", 0, trip().in_drill(true), None);
        assert_eq!(drill.summary(), "[DRILL] token boundary closed: <HSM> & more");
        let json: serde_json::Value = serde_json::from_slice(&drill.json()).unwrap();
        assert_eq!((&json["data"]["drill"], &json["data"]["severity"]), (&true.into(), &"info".into()));
        let end = End::new(trip().key().clone(), Timestamp(1_667_507_230_000));
        let over = Message::new(4, 9, "on-call", 0, trip().in_drill(true), Some(end));
        assert_eq!(over.summary(), "[DRILL] ended: token boundary closed: <HSM> & more");
    }
}
