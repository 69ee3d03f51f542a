//! The source moves away and comes back: the last good bundle decides, for as long as it may, also after a restart.

use assent_proto::refusal::Refusal;

use super::{CLOSED, ask, denied_by, digest, load, offers, source, start, variant, write};
use crate::support::agent::Agent;
use crate::support::{Appliance, assent, eventually};

fn hide(appliance: &Appliance) {
    std::fs::rename(source(appliance), appliance.folder.path().join("hidden")).expect("it moves away");
}

fn bring_back(appliance: &Appliance) {
    std::fs::rename(appliance.folder.path().join("hidden"), source(appliance)).expect("it comes back");
}

fn is_evaluating(appliance: &Appliance) -> Option<bool> {
    Some(appliance.status()?.boundaries.evaluation.open)
}

#[test]
fn without_its_source_it_decides_until_max_age_and_again_when_the_source_is_back() {
    let mut appliance = start("poll = \"20ms\"\nmax_age = \"2s\"");
    let agent = Agent::connect(&appliance);
    hide(&appliance);
    assert_eq!(ask(&agent), None, "it goes on for now");
    eventually("evaluation closes", || (!is_evaluating(&appliance)?).then_some(()));
    assert_eq!(ask(&agent), Some(Refusal::EvaluationUnavailable));
    let status = appliance.status().unwrap();
    let evaluation = status.boundaries.evaluation;
    assert_eq!(evaluation.cause.as_deref(), Some("bundle_unconfirmed"));
    assert!(evaluation.since_ms.is_some_and(|since| since <= status.now_ms));
    assert!(status.boundaries.token.open, "that is another boundary");
    let (code, out, _) = assent(Some(&appliance.config()), &["status"]);
    assert!(
        code == 5 && out.contains("CLOSED") && out.contains("the bundle's source was not confirmed"),
        "{out}"
    );

    bring_back(&appliance);
    eventually("evaluation opens", || is_evaluating(&appliance)?.then_some(()));
    assert_eq!(ask(&agent), None);
    hide(&appliance);
    eventually("evaluation closes", || (!is_evaluating(&appliance)?).then_some(()));
    let elsewhere = variant(&appliance, "elsewhere", &[("policies/closed.cedar", CLOSED)]);
    assert_eq!(load(&appliance, &elsewhere).0, 0);
    assert_eq!(denied_by(&agent), ["store-is-closed"], "a load opens it too");
    drop(agent);
    let traces = appliance.traces();
    assert_eq!(
        traces.matches("evaluation boundary closed").count(),
        2,
        "each closing is traced once: {traces}"
    );
    appliance.stop_and_verify_log();
}

#[test]
fn a_restart_while_the_source_is_away_serves_the_last_good_bundle() {
    let mut appliance = start("poll = \"20ms\"");
    write(&source(&appliance), "policies/closed.cedar", CLOSED);
    let before = digest(&appliance);
    let after = eventually("it is loaded", || Some(digest(&appliance)).filter(|digest| *digest != before));
    hide(&appliance);
    appliance.kill();
    appliance.launch();
    let agent = Agent::connect(&appliance);
    assert_eq!((denied_by(&agent), digest(&appliance)), (vec!["store-is-closed".to_owned()], after.clone()));
    let status = appliance.status().unwrap().policy;
    assert!(status.source.starts_with("last good bundle of "), "{status:?}");
    assert!(status.refused.is_some_and(|refused| refused.reason.starts_with("away: ")));
    // It comes back with another bundle.
    std::fs::remove_file(appliance.folder.path().join("hidden/policies/closed.cedar")).unwrap();
    bring_back(&appliance);
    eventually("the source decides again", || (digest(&appliance) == before).then_some(()));
    assert_eq!(ask(&agent), None);
    drop(agent);
    let last = offers(&mut appliance).pop().expect("an offer");
    assert_eq!((last.by.as_str(), last.before.to_string(), last.after.to_string()), ("watch", after, before));
    assert!(last.index > 0);
}

#[test]
fn a_restart_does_not_make_a_bundle_younger() {
    let mut appliance = start("poll = \"20ms\"\nmax_age = \"3s\"");
    hide(&appliance);
    appliance.kill();
    appliance.launch();
    eventually("evaluation closes", || (!is_evaluating(&appliance)?).then_some(()));
    appliance.kill();
    appliance.launch();
    assert_eq!(is_evaluating(&appliance), Some(false), "closed from the start");
    bring_back(&appliance);
    eventually("evaluation opens", || is_evaluating(&appliance)?.then_some(()));
    appliance.stop_and_verify_log();
}

#[test]
fn an_invalid_source_at_start_leaves_the_last_good_bundle_deciding_loudly() {
    let mut appliance = start("poll = \"20ms\"");
    let before = digest(&appliance);
    appliance.kill();
    write(&source(&appliance), "policies/bad.cedar", "nonsense");
    appliance.launch();
    assert_eq!(digest(&appliance), before);
    let refused = appliance.status().unwrap().policy.refused.expect("it says so");
    assert!(refused.by == "start" && refused.reason.starts_with("policies: "), "{refused:?}");
    assert!(appliance.traces().contains("the source's bundle is not taken"), "{}", appliance.traces());
    let refused: Vec<_> = offers(&mut appliance).into_iter().filter_map(|offer| offer.refused).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
}
