//! Incidents: labels, keys and bounds.

use super::*;

fn incident() -> Incident {
    Incident::new(Kind::Trip, "example.org/log", "7", "the HSM does not answer", Timestamp(1))
}

#[test]
fn labels_are_those_that_are_serialized_and_all_differ() {
    let labels: std::collections::BTreeSet<_> = Kind::ALL.into_iter().map(Kind::label).collect();
    assert_eq!(labels.len(), Kind::ALL.len());
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.label()));
    }
    for severity in [Severity::Info, Severity::Warning, Severity::Error, Severity::Critical] {
        assert_eq!(serde_json::to_string(&severity).unwrap(), format!("\"{}\"", severity.label()));
        assert_eq!(Severity::from_label(severity.label()), Some(severity));
    }
    assert_eq!(Severity::from_label("fatal"), None);
    assert!(Severity::Info < Severity::Warning && Severity::Error < Severity::Critical);
}

#[test]
fn a_key_says_what_it_is_of_and_fits_every_sink() {
    assert_eq!(incident().key().as_str(), "example.org/log/trip/7");
    let long = "x".repeat(MAX_KEY_BYTES);
    let keys = ["a b", "\u{202e}", "a\nb", &long, &format!("{long}y")]
        .map(|odd| IncidentKey::new("example.org/log", Kind::HoldWaiting, odd));
    for key in &keys {
        assert!(key.as_str().len() <= MAX_KEY_BYTES && key.as_str().bytes().all(|b| b.is_ascii_graphic()));
        assert!(key.as_str().starts_with("hold_waiting/"));
    }
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), keys.len());
}

#[test]
fn texts_are_bounded_and_visible() {
    let long = "\u{202e}".repeat(2000);
    let mut incident = Incident::new(Kind::DiskLow, &long, "", &long, Timestamp(1))
        .caused_by(&long)
        .with_detail(&long, &long);
    for number in 0..2 * MAX_DETAILS {
        incident = incident.with_detail(&number.to_string(), "1");
    }
    let end = End::new(incident.key().clone(), Timestamp(2)).because(&long);
    assert_eq!(incident.details().len(), MAX_DETAILS);
    assert_eq!(incident.details()[0].name, ESCAPED, "it is told that it is not what was written");
    let detail = &incident.details()[1];
    for (text, most) in [
        (incident.origin(), MAX_ORIGIN_BYTES),
        (incident.summary(), MAX_SUMMARY_BYTES),
        (incident.cause(), MAX_CAUSE_BYTES),
        (&detail.name, MAX_DETAIL_NAME_BYTES),
        (&detail.value, MAX_DETAIL_BYTES),
        (end.summary().unwrap(), MAX_SUMMARY_BYTES),
    ] {
        assert!(text.len() <= most && text.is_ascii(), "{text}");
    }
    assert_eq!(incident.clone().with_detail("0", "2").details()[2].value, "2", "one of each name");
}

#[test]
fn an_incident_is_marked_where_some_text_of_it_hides_something() {
    let named = |summary: &str, cause: &str, value: &str| {
        let incident = Incident::new(Kind::DiskLow, "a/b", "", summary, Timestamp(1)).caused_by(cause);
        incident.with_detail("policy", value).details().iter().filter(|detail| detail.name == ESCAPED).count()
    };
    assert_eq!(named("gr\u{fc}n \"a\" \\", "b", "c"), 0);
    for (summary, cause, value) in
        [("a\nb", "c", "d"), ("a", "b\u{3164}", "c"), ("a", "b", "\u{202e}c\u{1b}")]
    {
        assert_eq!(named(summary, cause, value), 1, "{summary:?} {cause:?} {value:?}");
    }
    let full =
        (0..MAX_DETAILS).fold(incident(), |incident, number| incident.with_detail(&number.to_string(), "1"));
    let marked = full.with_detail("late", "\u{202e}");
    assert_eq!(
        marked.details().last().map(|detail| &*detail.name),
        Some(ESCAPED),
        "it has room where none was"
    );
}

#[test]
fn a_drill_is_not_more_than_to_be_known() {
    let drill = incident().in_drill(true);
    assert_eq!((drill.severity(), drill.shown_severity()), (Severity::Critical, Severity::Info));
    assert_eq!(incident().shown_severity(), Severity::Critical);
}
