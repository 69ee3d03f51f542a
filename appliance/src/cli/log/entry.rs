//! An entry as people and JSON have it.
//!
//! Texts of peers are shown with whatever does not print made visible, so that no entry moves the cursor of a terminal or
//! turns the direction of what stands beside it.

use assent_proto::entry::break_glass::ResourceScope;
use assent_proto::entry::{Charter, Deny, DrillStage, Entry, Grounds, Hold, Kind, OfferOutcome, Policies};
use assent_proto::refusal::Refusal;

use crate::shown::counted;
pub(in crate::cli) use crate::shown::visible;

/// How a kind is written.
pub(crate) fn kind_name(kind: Kind) -> String {
    format!("{kind:?}").to_lowercase()
}

/// The entry as a JSON document.
pub(crate) fn json(index: u64, entry: &Entry<'_>) -> serde_json::Value {
    let mut json = serde_json::json!({
        "schema": "assent.v1.log.entry",
        "index": index,
        "kind": kind_name(entry.kind()),
        "time_ms": entry.time().0,
    });
    if let (Some(json), serde_json::Value::Object(details)) = (json.as_object_mut(), details(entry)) {
        json.extend(details);
    }
    json
}

/// What the kind adds.
pub(super) fn details(entry: &Entry<'_>) -> serde_json::Value {
    match entry {
        Entry::Allow(allow) => serde_json::json!({
            "epoch": allow.epoch.0, "bundle": allow.bundle.to_string(), "principal": allow.principal,
            "audience": allow.audience, "action": allow.action.to_string(), "resource": allow.resource.to_string(),
            "intent": allow.intent.to_string(), "not_before_ms": allow.not_before.0, "not_after_ms": allow.not_after.0,
            "uses": allow.uses, "risk": allow.risk, "grounds": grounds(allow.grounds),
            "policies": names(&allow.policies),
        }),
        Entry::Hold(hold) => {
            let mut json = denial(&hold.denial);
            if let (Some(json), Some(wait)) = (json.as_object_mut(), hold.wait) {
                json.insert("until_ms".to_owned(), wait.until.0.into());
                json.insert("priority".to_owned(), format!("{:?}", wait.priority).to_lowercase().into());
            }
            json
        }
        Entry::Deny(deny) => denial(deny),
        Entry::Approval(approval) => serde_json::json!({
            "epoch": approval.epoch.0, "hold": approval.hold.0, "intent": approval.intent.to_string(),
            "principal": approval.principal, "answer": approval.answer.name(), "by": approval.by,
            "key": approval.key, "bundle": approval.bundle.to_string(), "signature": approval.signature,
        }),
        Entry::Trip(trip) => serde_json::json!({"epoch": trip.epoch.0, "cause": trip.cause}),
        Entry::Rearm(rearm) => serde_json::json!({"epoch": rearm.epoch.0}),
        Entry::Status(status) => serde_json::json!({"epoch": status.epoch.0}),
        Entry::Bundle(bundle) => serde_json::json!({
            "before": bundle.before.to_string(), "after": bundle.after.to_string(), "source": bundle.source,
            "by": bundle.by, "version": bundle.version, "loaded": bundle.outcome == OfferOutcome::Loaded,
            "reason": match bundle.outcome {
                OfferOutcome::Loaded => None,
                OfferOutcome::Refused(reason) => Some(reason),
            },
        }),
        Entry::Key(key) => serde_json::json!({"verifier_key": key.vkey}),
        Entry::Boot(boot) => serde_json::json!({
            "epoch": boot.epoch.0, "version": boot.version, "hsm": boot.hsm, "simulator": boot.simulator,
        }),
        Entry::Outage(outage) => serde_json::json!({
            "from_ms": outage.from.0, "covered": outage.covered.0, "reached": outage.reached.0,
            "denials": outage.denials, "holds": outage.holds, "refused": outage.refused,
        }),
        Entry::Operator(act) => serde_json::json!({
            "epoch": act.epoch.0, "act": act.act, "by": act.by.as_slice(), "statement": act.statement,
            "signatures": act.signatures.as_slice(),
        }),
        Entry::Drill(drill) => serde_json::json!({
            "epoch": drill.epoch.0, "name": drill.name, "begun": drill.stage == DrillStage::Begun,
        }),
        Entry::Charter(charter) => charter_details(charter),
        Entry::Warrant(warrant) => serde_json::json!({
            "epoch": warrant.epoch.0, "charter": warrant.charter.0, "key": crate::log::hex::hex(&warrant.key),
            "uses": warrant.uses, "not_before_ms": warrant.not_before.0, "not_after_ms": warrant.not_after.0,
            "reason": warrant.reason, "by": warrant.by.as_slice(), "statement": warrant.statement,
            "signatures": warrant.signatures.as_slice(),
        }),
        Entry::Review(review) => serde_json::json!({
            "epoch": review.epoch.0, "warrant": review.warrant.0, "used": review.used.0,
            "finding": review.finding.name(), "text": review.text, "by": review.by,
            "statement": review.statement, "signature": review.signature,
        }),
        _ => serde_json::Value::Null,
    }
}

/// On what an allow rests.
pub(in crate::cli) fn grounds(grounds: Grounds) -> serde_json::Value {
    match grounds {
        Grounds::Policy => serde_json::json!({"kind": "policy"}),
        Grounds::Approval(leaf) => serde_json::json!({"kind": "approval", "leaf": leaf.0}),
        Grounds::Warrant { leaf, number } => {
            serde_json::json!({"kind": "warrant", "leaf": leaf.0, "number": number})
        }
    }
}

/// What a denial says, or a hold.
fn denial(deny: &Deny<'_>) -> serde_json::Value {
    serde_json::json!({
    "epoch": deny.epoch.0, "bundle": deny.bundle.to_string(), "principal": deny.principal,
            "audience": deny.audience, "action": deny.action.to_string(), "resource": deny.resource.to_string(),
            "intent": deny.intent.to_string(), "refusal": deny.refusal.name(), "risk": deny.risk,
            "policies": names(&deny.policies),
    })
}

fn charter_details(charter: &Charter<'_>) -> serde_json::Value {
    let resource = |scope| match scope {
        ResourceScope::OfType(type_name) => type_name.to_owned(),
        ResourceScope::One(uid) => uid.to_string(),
    };
    serde_json::json!({
        "epoch": charter.epoch.0, "name": charter.name,
        "actions": charter.actions.iter().map(|action| action.to_string()).collect::<Vec<_>>(),
        "resources": charter.resources.iter().map(resource).collect::<Vec<_>>(),
        "principals": charter.principals.iter().collect::<Vec<_>>(),
        "closed_s": charter.closed_s, "window_max_s": charter.window_max_s, "uses_max": charter.uses_max,
        "operators": charter.operators.iter().collect::<Vec<_>>(), "threshold": charter.threshold,
        "not_after_ms": charter.not_after.0, "by": charter.by.as_slice(), "statement": charter.statement,
        "signatures": charter.signatures.as_slice(),
    })
}

/// The policies that an entry names.
pub(super) fn names<'a>(policies: &Policies<'a>) -> Vec<&'a str> {
    policies.named.iter().copied().collect()
}

/// The policies that decided, or that could not be evaluated.
fn told(refusal: Refusal, policies: &Policies<'_>) -> String {
    let role = if refusal == Refusal::EvaluationUnavailable { "failed in" } else { "by" };
    let named = names(policies);
    if named.is_empty() {
        return String::new();
    }
    let more = (policies.total as usize).saturating_sub(named.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(" {role} {}{more}", named.join(", "))
}

/// What the entry is about, in a line; not yet made visible.
#[expect(clippy::wildcard_enum_match_arm, reason = "kinds of later versions are shown without details")]
pub(crate) fn about(entry: &Entry<'_>) -> String {
    match entry {
        Entry::Allow(allow) => {
            let under = match allow.grounds {
                Grounds::Warrant { leaf, number } => format!(": use {number} of the warrant at {leaf}"),
                Grounds::Policy | Grounds::Approval(_) => String::new(),
            };
            format!("{} on {} by {}{under}", allow.action, allow.resource, allow.principal)
        }
        Entry::Approval(approval) => {
            let (by, answer, hold) = (approval.by, approval.answer.name(), approval.hold);
            format!("{answer} the hold at {hold} of {} by {by}", approval.principal)
        }
        Entry::Deny(deny) | Entry::Hold(Hold { denial: deny, .. }) => {
            let named = told(deny.refusal, &deny.policies);
            format!("{} on {} by {}: {}{named}", deny.action, deny.resource, deny.principal, deny.refusal)
        }
        Entry::Trip(trip) => format!("{}, epoch {} begins", trip.cause, trip.epoch),
        Entry::Rearm(rearm) => format!("open in epoch {}", rearm.epoch),
        Entry::Boot(boot) => format!("version {}, {}", boot.version, boot.hsm),
        Entry::Bundle(bundle) => match bundle.outcome {
            OfferOutcome::Loaded => format!("{} from {} by {}", bundle.after, bundle.source, bundle.by),
            OfferOutcome::Refused(reason) => {
                format!("refused from {} by {}: {reason}", bundle.source, bundle.by)
            }
        },
        Entry::Outage(outage) => {
            let unlogged = match outage.refused {
                0 => String::new(),
                refused => format!(", {} refused without an entry", counted(refused, "intent", "intents")),
            };
            let denials = counted(outage.denials, "denial", "denials");
            format!("{denials} from {} to {}{unlogged}", outage.covered, outage.reached)
        }
        Entry::Key(key) => key.vkey.to_owned(),
        Entry::Operator(act) => {
            let statement: Vec<&str> = act.statement.lines().filter(|line| !line.is_empty()).collect();
            let said =
                if statement.is_empty() { String::new() } else { format!(": {}", statement.join("; ")) };
            format!("{} by {}{said}", act.act, act.by.join(", "))
        }
        Entry::Charter(charter) => {
            let (name, threshold, operators) = (charter.name, charter.threshold, charter.operators.len());
            format!("`{name}` by {}: {threshold} of {operators} operators", charter.by.join(", "))
        }
        Entry::Warrant(warrant) => {
            let (charter, by) = (warrant.charter, warrant.by.join(", "));
            let uses = counted(warrant.uses.into(), "use", "uses");
            format!("{uses} under the charter at {charter} by {by}: {}", warrant.reason)
        }
        Entry::Review(review) => {
            let (used, finding, by) = (review.used, review.finding.name(), review.by);
            format!("the use at {used} is {finding}, says {by}: {}", review.text)
        }
        Entry::Drill(drill) => {
            let stage = if drill.stage == DrillStage::Begun { "begins" } else { "is over" };
            format!("`{}` {stage}", drill.name)
        }
        _ => String::new(),
    }
}

/// The entry as a line of a table.
pub(in crate::cli) fn line(index: u64, entry: &Entry<'_>) -> String {
    let (kind, time) = (kind_name(entry.kind()), crate::cli::utc(entry.time()));
    format!("{index:>10}  {time}  {kind:<8} {}", visible(&about(entry)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_that_decided_and_policies_that_failed_are_named_and_the_rest_counted() {
        let some: Policies<'_> = ["a", "b"].into_iter().collect();
        assert_eq!(told(Refusal::PolicyDenied, &some), " by a, b");
        assert_eq!(told(Refusal::EvaluationUnavailable, &some), " failed in a, b");
        assert_eq!(told(Refusal::PolicyDenied, &Policies::default()), "");
        let many: Policies<'_> = std::iter::repeat_n("x", 100).collect();
        let more = format!(" and {} more", 100 - many.named.len());
        assert!(
            told(Refusal::PolicyDenied, &many).ends_with(&more),
            "{}",
            told(Refusal::PolicyDenied, &many)
        );
    }

    #[test]
    fn what_moves_the_cursor_or_turns_the_text_is_shown_and_not_done() {
        assert_eq!(visible("a \"b\"\\ \u{e9}\u{4e16}"), "a \"b\"\\ \u{e9}\u{4e16}");
        assert_eq!(visible("\u{1b}[2J\r\n\t\0"), "\\u{1b}[2J\\r\\n\\t\\0");
        assert_eq!(
            visible("a\u{202e}b\u{2066}\u{200f}\u{85}\u{feff}"),
            "a\\u{202e}b\\u{2066}\\u{200f}\\u{85}\\u{feff}"
        );
    }
}
