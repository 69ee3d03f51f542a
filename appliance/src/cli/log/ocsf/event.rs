//! One entry as one event, before its attestation.

use assent_proto::entry::break_glass::Finding;
use assent_proto::entry::{Allow, Entry, Grounds, OfferOutcome};
use assent_proto::hash::Hash;
use assent_proto::refusal::{Refusal, Retry};
use serde_json::{Value, json};

use super::canonical::{exact, number};
use super::{CLASS, TYPE, VERSION, put};
use crate::cli::log::decision::{Decision, Outcome};
use crate::cli::log::entry::{about, details, kind_name, names};
use crate::cli::log::rows::Evidence;
use crate::cli::log::selection::{Body, Selected};

/// How grave an event is, as OCSF numbers and names it.
#[derive(Clone, Copy)]
struct Severity(u32, &'static str);

const INFORMATIONAL: Severity = Severity(1, "Informational");
const LOW: Severity = Severity(2, "Low");
const MEDIUM: Severity = Severity(3, "Medium");
const HIGH: Severity = Severity(4, "High");

/// The event.
pub(super) fn of(selected: &Selected<'_>, evidence: &Evidence, uid: &str) -> Value {
    let Selected { index, leaf, entry, body } = selected;
    let Severity(severity_id, severity) = severity(entry);
    let mut event = json!({
        "category_uid": 6, "category_name": "Application Activity", "class_uid": CLASS, "class_name": "API Activity",
        "activity_id": 99, "type_uid": TYPE, "type_name": "API Activity: Other",
        "time": number(entry.time().0), "severity_id": severity_id, "severity": severity, "message": about(entry),
        "metadata": {
            "version": VERSION, "profiles": ["ai_operation", "record_integrity", "security_control"],
            "product": {"name": "Assent", "vendor_name": "Assent", "version": env!("CARGO_PKG_VERSION")},
            "uid": uid, "original_event_uid": index.to_string(), "original_time": crate::cli::utc(entry.time()),
            "sequence": number(*index), "log_name": evidence.origin, "log_provider": "assent",
            "event_code": kind_name(entry.kind()),
        },
    });
    match Decision::of(entry) {
        Some(decision) => intent(&mut event, &decision),
        None => own(&mut event, entry, &evidence.origin),
    }
    let mut assent = json!({
        "leaf_index": number(*index), "leaf_hash": Hash::of_leaf(leaf).to_string(),
        "checkpoint": evidence.covering(*index),
    });
    match body {
        Body::Unwanted => {}
        Body::Erased => put(&mut assent, "intent_erased", true.into()),
        // Its numbers are the agent's: as a text nobody rounds them.
        Body::Intent(body) => put(&mut assent, "intent", body.to_string().into()),
    }
    put(&mut assent, "entry", rest(entry));
    put(&mut event, "unmapped", json!({"assent": exact(assent)}));
    event
}

/// What of the entry the schema has no place for.
fn rest(entry: &Entry<'_>) -> Value {
    const PLACED: &[&str] =
        &["principal", "audience", "action", "resource", "intent", "refusal", "policies", "bundle"];
    let mut rest = exact(details(entry));
    if let Some(fields) = rest.as_object_mut().filter(|_| Decision::of(entry).is_some()) {
        fields.retain(|name, _| !PLACED.contains(&name.as_str()));
    }
    rest
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not named here informs")]
fn severity(entry: &Entry<'_>) -> Severity {
    match entry {
        Entry::Deny(deny) => match deny.refusal {
            Refusal::EvaluationUnavailable | Refusal::TokenUnavailable => MEDIUM,
            _ => LOW,
        },
        Entry::Trip(_) => HIGH,
        Entry::Review(review) if review.finding == Finding::Unjustified => HIGH,
        Entry::Allow(Allow { grounds: Grounds::Warrant { .. }, .. })
        | Entry::Charter(_)
        | Entry::Warrant(_)
        | Entry::Review(_)
        | Entry::Outage(_)
        | Entry::Operator(_)
        | Entry::Key(_) => MEDIUM,
        Entry::Bundle(offer) if offer.outcome != OfferOutcome::Loaded => MEDIUM,
        _ => INFORMATIONAL,
    }
}

/// What is said of an intent.
fn intent(event: &mut Value, decision: &Decision<'_>) {
    let short = decision.principal.rsplit('/').next().unwrap_or_default();
    let (status_id, status, action_id, action, disposition_id, disposition) = match decision.outcome {
        Outcome::Allow => (1, "Success", 1, "Allowed", 1, "Allowed"),
        Outcome::Deny => (2, "Failure", 2, "Denied", 2, "Blocked"),
        Outcome::Hold => (99, "Held", 2, "Denied", 14, "Delayed"),
    };
    let authorization = |id: &str| json!({"decision": decision.outcome.name(), "policy": {"uid": id}});
    let named = names(decision.policies);
    let fields = [
        ("activity_name", "Preauthorize".into()),
        ("status_id", status_id.into()),
        ("status", status.into()),
        ("action_id", action_id.into()),
        ("action", action.into()),
        ("disposition_id", disposition_id.into()),
        ("disposition", disposition.into()),
        (
            "actor",
            json!({"user": {"uid": decision.principal, "name": short, "type_id": 99, "type": "AI Agent"}}),
        ),
        ("ai_agent", json!({"uid": decision.principal, "name": short, "type_id": 0, "type": "Unknown"})),
        ("src_endpoint", json!({"uid": decision.principal, "name": short})),
        (
            "resources",
            json!([{"uid": decision.resource.to_string(), "name": decision.resource.id, "type": decision.resource.type_name}]),
        ),
        ("authorizations", named.iter().map(|id| authorization(id)).collect()),
        // The bundle decides as a whole; the policies of it that did are authorizations.
        ("policy", json!({"name": "bundle", "uid": decision.bundle.to_string()})),
        ("risk_score", number(decision.risk)),
        ("api", api(decision)),
    ];
    fields.into_iter().for_each(|(name, value)| put(event, name, value));
    if let Some(refusal) = decision.refusal {
        put(event, "status_code", refusal.name().into());
        put(event, "status_detail", asking_again(refusal).into());
    }
}

fn api(decision: &Decision<'_>) -> Value {
    let mut api = json!({
        "operation": decision.action.to_string(), "service": {"name": decision.audience},
        "request": {"uid": decision.intent.to_string()},
    });
    if let Some(refusal) = decision.refusal {
        put(&mut api, "response", json!({"error": refusal.name(), "error_message": asking_again(refusal)}));
    }
    api
}

const fn asking_again(refusal: Refusal) -> &'static str {
    match refusal.retry() {
        Retry::Never => "asking again gives the same answer",
        Retry::Later => "asking again later can help",
        Retry::AfterOthers => "asking again can help when others have acted",
    }
}

/// The operator who did it, or the first of several.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are the appliance's own acts")]
fn by_whom<'a>(entry: &Entry<'a>) -> Option<&'a str> {
    match entry {
        Entry::Operator(act) => act.by.first().copied(),
        Entry::Charter(charter) => charter.by.first().copied(),
        Entry::Warrant(warrant) => warrant.by.first().copied(),
        Entry::Approval(approval) => Some(approval.by),
        Entry::Review(review) => Some(review.by),
        _ => None,
    }
}

/// What is said of the appliance itself.
fn own(event: &mut Value, entry: &Entry<'_>, origin: &str) {
    let kind = kind_name(entry.kind());
    let by = by_whom(entry);
    let user = match by {
        Some(operator) => json!({"uid": operator, "name": operator, "type_id": 2, "type": "Admin"}),
        None => json!({"uid": origin, "name": "assent", "type_id": 3, "type": "System"}),
    };
    let host = origin.split('/').next().unwrap_or_default();
    let fields = [
        ("activity_name", kind.clone().into()),
        ("status_id", 1.into()),
        ("status", "Success".into()),
        ("actor", json!({"user": user})),
        ("src_endpoint", json!({"uid": origin, "name": host})),
        ("api", json!({"operation": kind, "service": {"name": "assent"}})),
    ];
    fields.into_iter().for_each(|(name, value)| put(event, name, value));
}
