//! PagerDuty, Events API v2: an incident triggers an alert under its key, and its end resolves that one.
//!
//! Limits of the interface: 1024 characters of summary, 255 of `dedup_key`, 512 KB in all. A second trigger of an open alert
//! is none to people, which makes a repetition harmless.

use assent_proto::calendar::Utc;
use serde::Serialize;

use crate::http::Request;
use crate::incident::DRILL_MARK;
use crate::limits::{MAX_KEY_BYTES, MAX_SUMMARY_BYTES};
use crate::message::{Details, Message, bytes};
use crate::secret::Secret;

/// Where events go.
pub(super) const BASE_URL: &str = "https://events.pagerduty.com";

const _: () = assert!(MAX_SUMMARY_BYTES + DRILL_MARK.len() + "ended: ".len() <= 1024, "a summary fits");
const _: () = assert!(MAX_KEY_BYTES <= 255, "a key fits");

/// An integration of a PagerDuty service.
#[derive(Debug)]
pub(super) struct PagerDuty {
    url: String,
    routing_key: Secret,
}

#[derive(Serialize)]
struct Call<'m> {
    routing_key: &'m str,
    event_action: &'static str,
    dedup_key: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'m>>,
}

#[derive(Serialize)]
struct Payload<'m> {
    summary: String,
    source: &'m str,
    severity: &'static str,
    timestamp: String,
    component: &'static str,
    group: &'static str,
    class: &'static str,
    custom_details: CustomDetails<'m>,
}

#[derive(Serialize)]
struct CustomDetails<'m> {
    drill: bool,
    cause: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<assent_proto::number::Epoch>,
    details: Details<'m>,
}

impl PagerDuty {
    pub(super) fn new(base_url: &str, routing_key: Secret) -> Self {
        Self { url: format!("{}/v2/enqueue", base_url.trim_end_matches('/')), routing_key }
    }

    /// The message as a request. Of an end PagerDuty takes the key alone.
    pub(super) fn request(&self, message: &Message) -> Request {
        let incident = message.incident();
        let begun = message.end().is_none();
        let call = Call {
            routing_key: self.routing_key.reveal(),
            event_action: if begun { "trigger" } else { "resolve" },
            dedup_key: incident.key().as_str(),
            client: begun.then_some("assent"),
            payload: begun.then(|| Payload {
                summary: message.summary(),
                source: incident.origin(),
                severity: incident.shown_severity().label(),
                timestamp: Utc(incident.since()).to_string(),
                component: "appliance",
                group: "assent",
                class: incident.kind().label(),
                custom_details: CustomDetails {
                    drill: incident.is_drill(),
                    cause: incident.cause(),
                    epoch: incident.epoch(),
                    details: Details(incident.details()),
                },
            }),
        };
        let hidden = vec![self.routing_key.reveal().to_owned()];
        Request { url: self.url.clone(), headers: Vec::new(), body: bytes(&call), hidden }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::{begun, ended, trip};
    use crate::secret::tests::file;

    fn sink() -> PagerDuty {
        let folder = tempfile::tempdir().unwrap();
        let key = Secret::line(&file(folder.path(), "key", "samplekeyhere"), "a key").unwrap();
        PagerDuty::new("https://events.example.org/", key)
    }

    #[test]
    fn an_incident_triggers_and_its_end_resolves() {
        let request = sink().request(&begun());
        assert_eq!(request.url, "https://events.example.org/v2/enqueue");
        assert!(request.headers.is_empty());
        assert_eq!(
            String::from_utf8(request.body).unwrap(),
            concat!(
                r#"{"routing_key":"samplekeyhere","event_action":"trigger","#,
                r#""dedup_key":"example.org/log/trip/7","client":"assent","payload":{"#,
                r#""summary":"token boundary closed: <HSM> & more","source":"example.org/log","#,
                r#""severity":"critical","timestamp":"2022-11-03T20:26:10.344Z","component":"appliance","#,
                r#""group":"assent","class":"trip","custom_details":{"drill":false,"cause":"hsm_timeout","#,
                r#""epoch":7,"details":{"slot":"0","module":"/usr/lib/libhsm.so"}}}}"#
            )
        );
        assert_eq!(
            String::from_utf8(sink().request(&ended()).body).unwrap(),
            r#"{"routing_key":"samplekeyhere","event_action":"resolve","dedup_key":"example.org/log/trip/7"}"#
        );
    }

    #[test]
    fn a_drill_is_marked_and_only_to_be_known() {
        let drill = Message::new(4, 9, "on-call", 0, trip().in_drill(true), None);
        let call: serde_json::Value = serde_json::from_slice(&sink().request(&drill).body).unwrap();
        let payload = &call["payload"];
        assert_eq!(payload["summary"], "[DRILL] token boundary closed: <HSM> & more");
        assert_eq!(payload["severity"], "info");
        assert_eq!(payload["custom_details"]["drill"], true);
    }

    #[test]
    fn it_does_not_show_its_key() {
        assert!(!format!("{:?}", sink()).contains("samplekeyhere"));
    }
}
