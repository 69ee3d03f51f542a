//! The loader without a thread: what it puts in force, what it refuses, what it writes down, and what a restart finds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use assent_proto::number::Timestamp;

use super::*;
use crate::sample;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

/// What was recorded: digest in force from there on, who, and why it was refused.
type Recorded = Arc<Mutex<Vec<(Hash, String, Option<String>)>>>;

struct Place {
    folder: tempfile::TempDir,
    clock: Clock,
    recorded: Recorded,
    max_age: Option<Duration>,
    rules: Rules,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        sample::write_bundle(&folder.path().join("bundle")).unwrap();
        let (clock, recorded, rules) = (Clock::manual(NOW), Recorded::default(), Rules::default());
        Self { folder, clock, recorded, max_age: None, rules }
    }

    fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn try_begin(&self) -> Result<Loader, LoadError> {
        let settings = LoaderSettings {
            folder: self.bundle(),
            watch: true,
            poll: Duration::from_secs(1),
            max_age: self.max_age,
            rules: self.rules.clone(),
            store: self.folder.path().join("policies.redb"),
            archive: self.folder.path().join("bundles"),
        };
        let recorded = Arc::clone(&self.recorded);
        let archive = Archive::at(&self.folder.path().join("bundles"));
        let record = move |operation| {
            let Operation::BundleOffered { after, by, refused, .. } = operation else {
                panic!("{operation:?}")
            };
            // An auditor must be able to decide again whatever the log says was decided.
            let is_kept = archive.digests().unwrap().contains(&after);
            assert!(refused.is_some() || is_kept, "recorded before it was kept");
            recorded.lock().unwrap_or_else(PoisonError::into_inner).push((after, by, refused));
        };
        Loader::begin(settings, self.clock.clone(), None, Box::new(record))
    }

    fn begin(&self) -> Loader {
        self.try_begin().unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.bundle().join(file), text).unwrap();
    }

    /// Who offered what was refused, and why, in order.
    fn refusals(&self) -> Vec<(String, String)> {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.iter().filter_map(|(_, by, refused)| Some((by.clone(), refused.clone()?))).collect()
    }

    fn loads(&self) -> usize {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.iter().filter(|(_, _, refused)| refused.is_none()).count()
    }
}

fn operator() -> By {
    By::Operator { name: Some("alice".to_owned()), uid: 1000 }
}

fn order(folder: Option<PathBuf>, downgrade: bool) -> Order {
    Order { folder, downgrade, signatures: Vec::new(), by: operator() }
}

fn refused(answer: &Answer) -> &str {
    match answer {
        Answer::Refused { kind, .. } => kind,
        Answer::Loaded { .. } | Answer::Busy => panic!("{answer:?}"),
    }
}

fn is_loaded(answer: &Answer) -> bool {
    matches!(answer, Answer::Loaded { .. })
}

#[test]
fn a_change_is_loaded_at_the_second_look_and_recorded_before_it_is_in_force() {
    let place = Place::new();
    let mut loader = place.begin();
    let first = loader.policies.digest();
    place.write("policies/more.cedar", "@id(\"closed\") forbid (principal, action, resource);");
    loader.look();
    assert_eq!(loader.policies.digest(), first);
    loader.look();
    let second = loader.policies.digest();
    assert_ne!(second, first);
    let recorded = place.recorded.lock().unwrap().clone();
    let expected = [(first, "start".to_owned(), None), (second, "watch".to_owned(), None)];
    assert_eq!(recorded, expected);
}

#[test]
fn one_bad_bundle_is_recorded_once_however_often_it_is_seen() {
    let place = Place::new();
    let mut loader = place.begin();
    let good = loader.policies.digest();
    for _ in 0..3 {
        // Wrong for every action, which Cedar tells in another order each time.
        place.write("policies/bad.cedar", "permit (principal, action, resource) when { context.nonsense };");
        loader.look();
        loader.look();
        // Touched, as by a deployment that writes the same files again: another look, the same content.
        std::fs::remove_file(place.bundle().join("policies/bad.cedar")).unwrap();
    }
    assert_eq!((loader.policies.digest(), place.refusals().len()), (good, 1));
    let (by, reason) = place.refusals().swap_remove(0);
    assert_eq!(by, "watch");
    assert!(reason.starts_with("policies: policies/bad.cedar:1:45: ") && !reason.contains('\n'), "{reason}");
    let shown = loader.policies.status(0, None).refused.unwrap();
    assert_eq!((shown.reason, shown.at_ms), (reason, NOW.0));
    assert_eq!(refused(&loader.obey(order(Some(place.folder.path().join("nowhere")), false))), "away");
    assert_eq!(place.refusals().len(), 2, "what an operator does is recorded each time");
}

#[test]
fn a_source_that_is_too_large_to_be_looked_at_is_refused_and_one_that_is_away_is_not() {
    let place = Place::new();
    let mut loader = place.begin();
    std::os::unix::fs::symlink(place.bundle(), place.bundle().join("itself")).unwrap();
    (0..3).for_each(|_| loader.look());
    let refusals = place.refusals();
    assert!(refusals.len() == 1 && refusals[0].1.starts_with("too_large: "), "{refusals:?}");
    std::fs::remove_file(place.bundle().join("itself")).unwrap();
    loader.look();
    std::fs::rename(place.bundle(), place.folder.path().join("elsewhere")).unwrap();
    (0..3).for_each(|_| loader.look());
    assert_eq!(place.refusals().len(), 1);
}

#[test]
fn versions_do_not_go_down_unless_an_operator_says_so_and_a_restart_remembers() {
    let place = Place::new();
    place.write("bundle.toml", "version = 7");
    let mut loader = place.begin();
    for lower in ["version = 6", ""] {
        place.write("bundle.toml", lower);
        assert_eq!(refused(&loader.obey(order(None, false))), "downgrade", "{lower}");
    }
    place.write("bundle.toml", "version = 6");
    drop(loader);
    let mut loader = place.begin();
    assert_eq!(loader.policies.snapshot().version(), Some(7), "the last good one decides");
    assert!(is_loaded(&loader.obey(order(None, true))));
    drop(loader);
    let mut loader = place.begin();
    assert_eq!(loader.policies.snapshot().version(), Some(6), "the downgrade is remembered too");
    place.write("bundle.toml", "version = 8");
    assert!(is_loaded(&loader.obey(order(None, false))));
}

#[test]
fn a_source_that_is_away_at_start_is_served_from_what_was_kept() {
    let place = Place::new();
    let digest = place.begin().policies.digest();
    std::fs::rename(place.bundle(), place.folder.path().join("elsewhere")).unwrap();
    let loader = place.begin();
    assert_eq!(loader.policies.digest(), digest);
    assert!(loader.policies.snapshot().provenance().source.starts_with("last good bundle of "));
    assert!(place.refusals()[0].1.starts_with("away: "), "{:?}", place.refusals());
}

#[test]
fn a_bundle_that_is_invalid_at_start_leaves_the_kept_one_deciding_and_without_one_nothing_starts() {
    let place = Place::new();
    place.write("policies/bad.cedar", "nonsense");
    assert_eq!(place.try_begin().unwrap_err().kind(), "policies");
    std::fs::remove_file(place.bundle().join("policies/bad.cedar")).unwrap();
    let digest = place.begin().policies.digest();
    place.write("policies/bad.cedar", "nonsense");
    let loader = place.begin();
    assert_eq!(loader.policies.digest(), digest);
    assert!(loader.policies.status(0, None).refused.unwrap().reason.starts_with("policies: "));
}

#[test]
fn where_the_kept_bundle_fails_too_both_are_told_and_the_source_first() {
    let mut place = Place::new();
    drop(place.begin());
    place.write("policies/bad.cedar", "nonsense");
    place.rules.budget = 1;
    let error = place.try_begin().unwrap_err();
    assert_eq!(error.kind(), "policies");
    let said = error.to_string();
    let (source, kept) = (said.find("policies/bad.cedar:1:"), said.find("over the budget of 1;"));
    assert!(source.is_some() && source < kept, "{said}");
    assert!(said.contains("the last good bundle is not taken, either"), "{said}");
    assert_eq!(error.report(), said);
}

#[test]
fn a_refusal_ends_with_the_digest_of_what_was_offered() {
    let place = Place::new();
    let mut loader = place.begin();
    let offered = |place: &Place| {
        let digest = Hash(Offer::read(&place.bundle()).unwrap().sources.digest());
        format!("; offered {:.16}", digest.to_string())
    };
    let long = format!("@{}(\"\") permit (principal, action, resource);", "x".repeat(4000));
    for text in ["nonsense", &long] {
        place.write("policies/bad.cedar", text);
        assert!(matches!(loader.obey(order(None, false)), Answer::Refused { .. }));
        let (_, reason) = place.refusals().pop().unwrap();
        assert!(reason.ends_with(&offered(&place)) && reason.len() <= 512, "{reason}");
    }
    drop(loader);
    place.begin();
    let (by, reason) = place.refusals().pop().unwrap();
    assert!(by == "start" && reason.ends_with(&offered(&place)), "{by}: {reason}");
}

#[test]
fn a_look_at_what_decides_confirms_it_and_one_at_what_was_refused_does_not() {
    let place = Place { max_age: Some(Duration::from_secs(3600)), ..Place::new() };
    let mut loader = place.begin();
    let closed = |loader: &mut Loader, seconds: u64| {
        place.clock.set(Timestamp(NOW.0 + seconds * 1000));
        loader.look();
        loader.policies.boundary().closed(loader.policies.moment(place.clock.now())).is_some()
    };
    assert!(!closed(&mut loader, 3601), "the look confirmed it");
    place.write("policies/bad.cedar", "nonsense");
    assert!(!closed(&mut loader, 7000));
    assert!(!closed(&mut loader, 7100), "read and refused, and not confirmed");
    assert!(closed(&mut loader, 7300));
    std::fs::remove_file(place.bundle().join("policies/bad.cedar")).unwrap();
    assert!(closed(&mut loader, 7301), "changed, not settled");
    assert!(!closed(&mut loader, 7302), "what decides is back");
}

#[test]
fn age_goes_on_while_the_appliance_does_not_run() {
    let place = Place { max_age: Some(Duration::from_secs(3600)), ..Place::new() };
    drop(place.begin());
    std::fs::rename(place.bundle(), place.folder.path().join("elsewhere")).unwrap();
    place.clock.set(Timestamp(NOW.0 + 3_601_000));
    let loader = place.begin();
    let closed = loader.policies.boundary().closed(loader.policies.moment(place.clock.now()));
    assert_eq!(closed.map(|closed| closed.cause.kind()), Some("bundle_unconfirmed"));
}

/// By the time that was kept when the source was confirmed; the process that saw it is gone.
#[test]
fn a_clock_that_went_back_over_a_restart_closes_until_an_operator_accepts_it() {
    let place = Place::new();
    drop(place.begin());
    let kind = |loader: &Loader| {
        let moment = loader.policies.moment(place.clock.now());
        loader.policies.boundary().closed(moment).map(|closed| closed.cause.kind())
    };
    place.clock.set(Timestamp(NOW.0 - 3_600_000));
    for _ in 0..2 {
        let mut loader = place.begin();
        loader.look();
        assert_eq!(kind(&loader), Some("clock_went_back"), "no start and no look accepts it");
    }
    let mut loader = place.begin();
    assert!(is_loaded(&loader.obey(order(None, false))));
    assert_eq!(kind(&loader), None);
    drop(loader);
    assert_eq!(kind(&place.begin()), None, "it is kept that it was accepted");
}

#[test]
fn what_is_replaced_is_held_until_nobody_uses_it() {
    let place = Place::new();
    let mut loader = place.begin();
    let in_use = loader.policies.snapshot();
    place.write("bundle.toml", "version = 1");
    assert!(is_loaded(&loader.obey(order(None, false))));
    assert_eq!((Arc::strong_count(&in_use), loader.retired.len()), (2, 1), "the loader and this batch");
}

#[test]
fn a_bundle_over_the_budget_is_refused_with_both_numbers() {
    let place = Place::new();
    let mut loader = place.begin();
    loader.settings.rules.budget = 1;
    place.write("bundle.toml", "version = 1");
    let answer = loader.obey(order(None, false));
    assert_eq!(refused(&answer), "over_budget");
    assert!(matches!(answer, Answer::Refused { report, .. } if report.contains("`policy.budget` is 1;")));
    assert_eq!(place.loads(), 1);
}

#[test]
fn other_entities_alone_make_another_bundle_under_the_same_rules() {
    let place = Place::new();
    let mut loader = place.begin();
    let first = loader.policies.snapshot();
    let entities = std::fs::read_to_string(place.bundle().join("entities.json")).unwrap();
    place.write("entities.json", &format!("{entities}\n"));
    assert!(is_loaded(&loader.obey(order(None, false))));
    let second = loader.policies.snapshot();
    assert_ne!(first.digest(), second.digest());
    assert!(std::ptr::eq(first.bundle().policies(), second.bundle().policies()), "nothing else was compiled");
    place.write("entities.json", "[");
    assert_eq!(refused(&loader.obey(order(None, false))), "entities");
}
