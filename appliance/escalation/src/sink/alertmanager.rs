//! Alertmanager, API v2: an incident is an alert with labels that stay the same from its begin to its end.
//!
//! Alertmanager takes an alert without an end as ended some minutes after it was last sent, and expects clients to send again
//! and again. An incident is told once, so its alert carries an end far ahead, which the incident's own end replaces.

use assent_proto::calendar::Utc;
use assent_proto::number::Timestamp;
use serde::Serialize;

use crate::http::Request;
use crate::limits::ALERT_LASTS_MS;
use crate::message::{Message, bytes};
use crate::secret::Secret;

/// An Alertmanager.
#[derive(Debug)]
pub(super) struct Alertmanager {
    url: String,
    bearer: Option<Secret>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'m> {
    labels: Labels<'m>,
    annotations: Annotations,
    starts_at: String,
    ends_at: String,
}

#[derive(Serialize)]
struct Labels<'m> {
    alertname: String,
    severity: &'static str,
    instance: &'m str,
    job: &'static str,
    kind: &'static str,
    incident: &'m str,
    drill: &'static str,
}

#[derive(Serialize)]
struct Annotations {
    summary: String,
    description: String,
}

impl Alertmanager {
    pub(super) fn new(base_url: &str, bearer: Option<Secret>) -> Self {
        Self { url: format!("{}/api/v2/alerts", base_url.trim_end_matches('/')), bearer }
    }

    /// The message as a request.
    pub(super) fn request(&self, message: &Message, now: Timestamp) -> Request {
        let incident = message.incident();
        let mut description = Vec::new();
        if !incident.cause().is_empty() {
            description.push(format!("cause: {}", incident.cause()));
        }
        description.extend(incident.epoch().map(|epoch| format!("epoch: {epoch}")));
        let details = incident.details().iter();
        description.extend(details.map(|detail| format!("{}: {}", detail.name, detail.value)));
        let lasts_until = incident.since().max(now).plus_ms(ALERT_LASTS_MS);
        let alert = Alert {
            labels: Labels {
                alertname: alertname(incident.kind().label()),
                severity: incident.shown_severity().label(),
                instance: incident.origin(),
                job: "assent",
                kind: incident.kind().label(),
                incident: incident.key().as_str(),
                drill: if incident.is_drill() { "true" } else { "false" },
            },
            annotations: Annotations { summary: message.summary(), description: description.join("\n") },
            starts_at: Utc(incident.since()).to_string(),
            ends_at: Utc(message.end().map_or(lasts_until, |end| end.at().max(incident.since()))).to_string(),
        };
        let bearer = self.bearer.as_ref();
        let headers = bearer.map(|bearer| ("authorization", format!("Bearer {}", bearer.reveal())));
        let hidden = bearer.map(|bearer| bearer.reveal().to_owned()).into_iter().collect();
        let headers = headers.into_iter().collect();
        Request { url: self.url.clone(), headers, body: bytes(&[alert]), hidden }
    }
}

/// `AssentDiskLow` of `disk_low`, as Prometheus names alerts.
fn alertname(label: &str) -> String {
    label.split('_').fold("Assent".to_owned(), |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::{begun, ended, trip};
    use crate::secret::tests::file;

    const LABELS: &str = concat!(
        r#"[{"labels":{"alertname":"AssentTrip","severity":"critical","instance":"example.org/log","#,
        r#""job":"assent","kind":"trip","incident":"example.org/log/trip/7","drill":"false"},"#
    );

    #[test]
    fn an_alert_keeps_its_labels_and_its_begin_and_its_end_replaces_one_far_ahead() {
        let sink = Alertmanager::new("http://127.0.0.1:9093/", None);
        let request = sink.request(&begun(), Timestamp(1_667_507_171_000));
        assert_eq!(request.url, "http://127.0.0.1:9093/api/v2/alerts");
        assert_eq!(
            String::from_utf8(request.body).unwrap(),
            format!(
                "{LABELS}{}{}",
                r#""annotations":{"summary":"token boundary closed: <HSM> & more","description":"cause: hsm_timeout\nepoch: 7\nslot: 0\nmodule: /usr/lib/libhsm.so"},"#,
                r#""startsAt":"2022-11-03T20:26:10.344Z","endsAt":"2022-12-03T20:26:11.000Z"}]"#
            )
        );
        let request = sink.request(&ended(), Timestamp(1_667_507_300_000));
        assert_eq!(
            String::from_utf8(request.body).unwrap(),
            format!(
                "{LABELS}{}{}",
                r#""annotations":{"summary":"re-armed after 60 s","description":"cause: hsm_timeout\nepoch: 7\nslot: 0\nmodule: /usr/lib/libhsm.so"},"#,
                r#""startsAt":"2022-11-03T20:26:10.344Z","endsAt":"2022-11-03T20:27:10.000Z"}]"#
            )
        );
    }

    #[test]
    fn a_drill_has_a_label_that_routes_can_match() {
        let sink = Alertmanager::new("http://127.0.0.1:9093", None);
        let drill = Message::new(4, 9, "alerts", 0, trip().in_drill(true), None);
        let alerts: serde_json::Value =
            serde_json::from_slice(&sink.request(&drill, Timestamp(0)).body).unwrap();
        assert_eq!(alerts[0]["labels"]["drill"], "true");
        assert_eq!(alerts[0]["labels"]["severity"], "info");
        assert_eq!(alerts[0]["annotations"]["summary"], "[DRILL] token boundary closed: <HSM> & more");
    }

    #[test]
    fn a_bearer_is_sent_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let bearer = Secret::line(&file(folder.path(), "bearer", "hush"), "it").unwrap();
        let sink = Alertmanager::new("https://alerts.example.org", Some(bearer));
        assert!(!format!("{sink:?}").contains("hush"));
        let headers = sink.request(&begun(), Timestamp(0)).headers;
        assert_eq!(headers, [("authorization", "Bearer hush".to_owned())]);
    }

    #[test]
    fn names_are_as_prometheus_has_them() {
        assert_eq!(alertname("escalation_undeliverable"), "AssentEscalationUndeliverable");
    }
}
