//! Approvals, as operators and agents see them: who may answer a hold, what an answer is bound to, and what becomes of it.

use std::path::Path;

use assent_client::{Intent, Outcome, Refusal, Ticket, Value};
use assent_proto::entry::Answer;

use crate::queue::{collect, kinds, open_shop, waiting};
use crate::support::agent::{Agent, allowed_batch};
use crate::support::{Appliance, assent, eventually, keygen};

/// What the bundle's operators are: alice and bob are on call, carol is not; dave's own agent asks here.
const PEOPLE: &[(&str, &str)] = &[
    ("ann", "groups = [\"payments-oncall\"]"),
    ("ben", "groups = [\"payments-oncall\"]"),
    ("cleo", "groups = [\"catering\"]"),
    ("dave", "groups = [\"payments-oncall\"]\nagents = [\"spiffe://assent.test/agent/retail-support\"]"),
];

pub(crate) const FACTS: &str =
    "assent: { now: datetime, risk: Long, approvals: Long, degraded: Bool, agent_rate: Long, epoch: Long },";

/// An open appliance whose bundle holds cancellations until so many of the operators on call approve, and no longer than for some
/// seconds.
pub(crate) fn held_shop(count: u32) -> (Appliance, Agent) {
    held_shop_for(count, "3s")
}

/// The same, for so long.
fn held_shop_for(count: u32, time: &str) -> (Appliance, Agent) {
    let (appliance, agent) = open_shop("");
    let bundle = appliance.folder.path().join("bundle");
    let catalog = std::fs::read_to_string(bundle.join("catalog.cedarschema")).expect("the catalog");
    let (before, rest) = catalog.split_once("action cancel_pending_order").expect("the action");
    let rest = rest.replacen("reason: String,", &format!("reason: String,\n      {FACTS}"), 1);
    std::fs::write(
        bundle.join("catalog.cedarschema"),
        format!("{before}action cancel_pending_order{rest}")
            .replace("@queue(\"15m\")", &format!("@queue({time:?})")),
    )
    .expect("a catalog");
    let policy = format!(
        "@id(\"cancellation-is-approved\")\n@approval(\"{count} of payments-oncall\")\nforbid (\n  principal,\n  action == Retail::Action::\"cancel_pending_order\",\n  resource\n)\nunless {{ context.assent.approvals >= {count} }};\n"
    );
    std::fs::write(bundle.join("policies/approvals.cedar"), policy).expect("a policy");
    let operators = PEOPLE.iter().map(|(name, rest)| operator(appliance.folder.path(), name, rest));
    std::fs::write(bundle.join("operators.toml"), operators.collect::<String>()).expect("operators");
    load(&appliance);
    (appliance, agent)
}

pub(crate) fn load(appliance: &Appliance) {
    let (code, _, talk) = assent(Some(&appliance.config()), &["policy", "load"]);
    assert_eq!(code, 0, "{talk}");
}

/// An operator of a bundle, with a key that is made once, as `operators.toml` names them.
pub(crate) fn operator(folder: &Path, name: &str, rest: &str) -> String {
    if !folder.join(name).exists() {
        keygen(folder, &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
    }
    let line = std::fs::read_to_string(folder.join(format!("{name}.pub"))).expect("a key");
    format!("[[operator]]\nname = \"{name}\"\nkeys = [{:?}]\n{rest}\n", line.trim())
}

fn cancellations(count: usize) -> Vec<Intent> {
    let cancels = |intent: &Intent| intent.action.id == "cancel_pending_order";
    waiting(allowed_batch(1500).into_iter().filter(cancels).take(count))
}

pub(crate) fn hold(agent: &Agent) -> Ticket {
    let outcomes = agent.preauthorize(&cancellations(1));
    assert!(matches!(outcomes.at(0), Some(Outcome::AwaitingApproval(_))), "{:?}", kinds(&outcomes));
    let [ticket]: [Ticket; 1] = outcomes.tickets().try_into().expect("one ticket");
    ticket
}

/// Answers a hold with an operator's key; gives exit code, output and talk.
fn answer(appliance: &Appliance, answer: Answer, ticket: &Ticket, by: &str) -> (i32, String, String) {
    let key = appliance.folder.path().join(by).display().to_string();
    let config = appliance.config();
    assent(Some(&config), &["approval", answer.name(), &ticket.id().to_string(), "--key", &key])
}

#[test]
fn what_an_operator_approves_is_evaluated_anew_and_allowed() {
    let (mut appliance, agent) = held_shop(1);
    let ticket = hold(&agent);
    let config = appliance.config();
    let (code, out, _) = assent(Some(&config), &["approval", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!((code, &list["holds"][0]["ticket"]), (0, &ticket.id().to_string().into()), "{list}");
    assert_eq!(list["holds"][0]["demands"][0]["operators"], serde_json::json!(["ann", "ben"]));
    let (_, out, talk) = assent(Some(&config), &["approval", "list", "-o", "jsonl"]);
    assert!(talk.contains("1 hold awaits approval."), "{talk}");
    let row: serde_json::Value = serde_json::from_str(&out).expect("one row");
    assert_eq!(
        (&row["schema"], &row["risk"]),
        (&"assent.v1.approval.hold".into(), &list["holds"][0]["risk"])
    );
    let (_, out, _) = assent(Some(&config), &["approval", "show", &ticket.id().to_string()]);
    assert!(out.contains("cancellation-is-approved") && out.contains("\"reason\""), "{out}");
    let (code, out, talk) = answer(&appliance, Answer::Approved, &ticket, "ann");
    assert_eq!(code, 0, "{talk}");
    assert!(out.contains("evaluated anew") && out.contains("signed by ann"), "{out}");
    assert!(
        talk.contains("signing with") && talk.contains("answer approve"),
        "what is signed is shown: {talk}"
    );
    let decided = collect(&agent, &ticket);
    assert!(decided.all_allowed(), "{:?}", kinds(&decided));
    let report = appliance.stop_and_verify_log();
    assert_eq!(report["kinds"]["approval"].as_u64(), Some(1), "{report}");
    let (code, out, talk) = assent(Some(&config), &["log", "verify", "--replay", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!((code, &report["replayed"]["differ"]), (0, &0.into()), "{report}{talk}");
    assert_eq!(report["replayed"]["reproduced"], 2, "the hold, and the allow on its approval: {report}");
}

#[test]
fn who_may_not_answer_is_told_why_and_changes_nothing() {
    let (mut appliance, agent) = held_shop(2);
    let ticket = hold(&agent);
    for (by, why) in [
        ("cleo", "cleo is in none of the groups that may answer this hold: payments-oncall"),
        ("dave", "dave does not answer for an agent of their own"),
        ("alice", "by no listed key"),
    ] {
        let (code, _, talk) = answer(&appliance, Answer::Approved, &ticket, by);
        assert!(code == 3 && talk.contains(why), "{by}: {code} {talk}");
    }
    let (code, out, talk) = answer(&appliance, Answer::Approved, &ticket, "ann");
    assert!(code == 0 && out.contains("others must approve it, too"), "{out}{talk}");
    let (code, _, talk) = answer(&appliance, Answer::Approved, &ticket, "ann");
    assert!(code == 3 && talk.contains("ann has approved this hold already"), "{code} {talk}");
    assert_eq!(answer(&appliance, Answer::Approved, &ticket, "ben").0, 0);
    assert!(collect(&agent, &ticket).all_allowed());
    let (code, _, talk) = answer(&appliance, Answer::Approved, &ticket, "ben");
    assert!(code == 1 && talk.contains("nothing waits under ticket"), "{talk}");
    appliance.stop_and_verify_log();
}

#[test]
fn a_signature_serves_for_its_own_hold_and_answer_only() {
    let (mut appliance, agent) = held_shop(1);
    let tickets: Vec<Ticket> = agent.preauthorize(&cancellations(2)).tickets();
    let [first, second]: [Ticket; 2] = tickets.try_into().expect("a hold waits alone");
    let (config, folder) = (appliance.config(), appliance.folder.path().to_owned());
    let (code, statement, talk) = assent(Some(&config), &["approval", "reject", &first.id().to_string()]);
    assert!(code == 4 && talk.contains("payments-oncall (ann, ben)"), "{talk}");
    let in_json = ["approval", "reject", &first.id().to_string(), "-o", "json"];
    let told: serde_json::Value = serde_json::from_str(&assent(Some(&config), &in_json).1).expect("json");
    assert_eq!(told["statement"], statement.as_str(), "{told}");
    std::fs::write(folder.join("statement"), &statement).expect("a file");
    keygen(&folder, &["-q", "-Y", "sign", "-n", "assent-approval@v1", "-f", "ann", "statement"]);
    let signature = folder.join("statement.sig").display().to_string();
    for (verb, ticket) in [("approve", &first), ("reject", &second)] {
        let id = ticket.id().to_string();
        let (code, _, talk) = assent(Some(&config), &["approval", verb, &id, "--signature", &signature]);
        assert!(code == 3 && talk.contains("over another statement"), "{verb}: {code} {talk}");
    }
    let id = first.id().to_string();
    assert_eq!(assent(Some(&config), &["approval", "reject", &id, "--signature", &signature]).0, 0);
    let rejected = collect(&agent, &first);
    let reason = rejected.at(0).and_then(|outcome| outcome.reason()).map(|reason| reason.refusal);
    assert_eq!((kinds(&rejected), reason), (vec!["denied"], Some(Refusal::ApprovalRejected)));
    // Nobody answers the other, and that is no rejection.
    assert_eq!(kinds(&collect(&agent, &second)), ["expired"]);
    appliance.stop_and_verify_log();
}

#[test]
fn an_approval_by_a_key_that_is_gone_does_not_count_any_more() {
    let (mut appliance, agent) = held_shop(2);
    let ticket = hold(&agent);
    assert_eq!(answer(&appliance, Answer::Approved, &ticket, "ann").0, 0);
    let path = appliance.folder.path().join("bundle/operators.toml");
    let people = PEOPLE.iter().filter(|(name, _)| *name != "ann");
    let rest = people.map(|(name, rest)| operator(appliance.folder.path(), name, rest));
    std::fs::write(&path, rest.collect::<String>()).expect("operators");
    load(&appliance);
    let (code, _, talk) = answer(&appliance, Answer::Approved, &ticket, "ann");
    assert!(code == 3 && talk.contains("by no listed key"), "{code} {talk}");
    let (code, out, talk) = answer(&appliance, Answer::Approved, &ticket, "ben");
    assert!(code == 0 && out.contains("others must approve it, too"), "{out}{talk}");
    assert_eq!(kinds(&collect(&agent, &ticket)), ["expired"]);
    // A bundle that demands more approvals than it has operators is no bundle.
    std::fs::write(&path, operator(appliance.folder.path(), "ben", PEOPLE[1].1)).expect("operators");
    let (code, _, talk) = assent(Some(&appliance.config()), &["policy", "load"]);
    assert!(code == 3 && talk.contains("names 1 operators of that group"), "{code}: {talk}");
    appliance.stop_and_verify_log();
}

#[test]
fn what_an_agent_writes_cannot_pass_for_ours_and_an_approval_outlives_a_kill() {
    // It is killed and started meanwhile, which must not take longer than the hold lasts.
    let (mut appliance, agent) = held_shop_for(2, "15m");
    let spoofed = "fine\n\u{202e}evil\u{1b}[2Jreason\r";
    let mut intent = cancellations(1).remove(0);
    intent.context.insert("reason".to_owned(), Value::String(spoofed.to_owned()));
    let outcomes = agent.preauthorize(&[intent]);
    let [ticket]: [Ticket; 1] = outcomes.tickets().try_into().expect("one ticket");
    let (_, out, _) = assent(Some(&appliance.config()), &["approval", "show", &ticket.id().to_string()]);
    assert!(
        out.contains("evil") && !out.contains('\u{202e}') && !out.contains('\u{1b}') && !out.contains('\r'),
        "{out:?}"
    );
    assert_eq!(answer(&appliance, Answer::Approved, &ticket, "ann").0, 0);
    appliance.kill();
    appliance.launch();
    let agent = eventually("the agent connects", || Some(Agent::connect_trusting(&appliance)));
    let (_, out, _) = assent(Some(&appliance.config()), &["approval", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!(list["holds"][0]["approved_by"], serde_json::json!(["ann"]), "{list}");
    assert_eq!(answer(&appliance, Answer::Approved, &ticket, "ben").0, 0);
    let decided = collect(&agent, &ticket);
    assert!(decided.all_allowed(), "the approval of before the kill counts: {:?}", kinds(&decided));
    appliance.stop_and_verify_log();
}
